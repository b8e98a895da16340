"""The network: a torch module and the estimator around it."""

from .alexnet import AlexNet
from .augment import SpectrogramMask
from .classifier import AlexNetClassifier

__all__ = ["AlexNet", "AlexNetClassifier", "SpectrogramMask"]
