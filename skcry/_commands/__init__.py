"""The commands of the command line, each a function of its options; :mod:`skcry.__main__` parses these."""

from .detectors import card, evaluate, export_model, train
from .listening import listen
from .results import SUFFIXES, detect, export, report
from .reviews import correct, estimate, review
from .shared import in_terms

__all__ = [
    "SUFFIXES",
    "card",
    "correct",
    "detect",
    "estimate",
    "evaluate",
    "export",
    "export_model",
    "in_terms",
    "listen",
    "report",
    "review",
    "train",
]
