"""From recordings to seconds and events of crying."""

from .cry_detector import CryDetector

__all__ = ["CryDetector"]
