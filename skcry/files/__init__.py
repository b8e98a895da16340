"""Detect crying in many files."""

from .detect import detect_files
from .manifest import read_manifest
from .report import read_timelines, report

__all__ = ["detect_files", "read_manifest", "read_timelines", "report"]
