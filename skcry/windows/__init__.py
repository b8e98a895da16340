"""Windows of sound, and what cuts recordings into them."""

from .windower import Windower
from .windows import Windows

__all__ = ["Windower", "Windows"]
