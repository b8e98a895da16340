"""From recordings to seconds and events of crying."""

from .cry_detector import CryDetector
from .detection import Detection
from .targets import Roles
from .threshold import OperatingPoint

__all__ = ["CryDetector", "Detection", "OperatingPoint", "Roles"]
