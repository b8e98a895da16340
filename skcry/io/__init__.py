"""Audio files in, annotation files in and out."""

from .annotations import read_annotations, write_annotations
from .audio import read_audio
from .lena import read_its_clock

__all__ = ["read_annotations", "read_audio", "read_its_clock", "write_annotations"]
