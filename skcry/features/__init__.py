"""Sound in, numbers out."""

from .mel import MelSpectrogram
from .stats import StatFeatures

__all__ = ["MelSpectrogram", "StatFeatures"]
