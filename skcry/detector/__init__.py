"""From recordings to seconds and events of crying."""

from .cry_detector import CryDetector
from .detection import Detection
from .live import LiveEvent, LiveSecond
from .targets import Roles
from .threshold import OperatingPoint

__all__ = ["CryDetector", "Detection", "LiveEvent", "LiveSecond", "OperatingPoint", "Roles"]
