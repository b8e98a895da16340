"""Sound in, sound out."""

from .denoise import Denoise
from .highpass import HighPassFilter

__all__ = ["Denoise", "HighPassFilter"]
