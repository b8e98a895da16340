"""Detect crying in many files."""

from .detect import detect_files, read_manifest, read_timelines, report

__all__ = ["detect_files", "read_manifest", "read_timelines", "report"]
