"""Audio files and annotation files in."""

from .annotations import read_annotations
from .audio import read_audio

__all__ = ["read_annotations", "read_audio"]
