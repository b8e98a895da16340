"""Audio files and live sound in, annotation files in and out."""

from .annotations import read_annotations, write_annotations
from .audio import read_audio
from .lena import read_its_clock
from .live import Gap
from .pipes import follow_wav, read_pipe
from .recorder import microphone

__all__ = [
    "Gap",
    "follow_wav",
    "microphone",
    "read_annotations",
    "read_audio",
    "read_its_clock",
    "read_pipe",
    "write_annotations",
]
