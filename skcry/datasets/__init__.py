"""Recordings to learn from: synthetic ones, and folders of one's own."""

from .folders import load_annotated, load_clips
from .synthetic import make_cry_recordings

__all__ = ["load_annotated", "load_clips", "make_cry_recordings"]
