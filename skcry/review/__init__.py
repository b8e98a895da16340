"""Listen to clips in a browser, and use what was judged: choose clips, write a page, read the judgements back.

:func:`select_clips` draws what to listen to, :func:`write_review` writes it to one file that a browser opens without
network, :func:`read_review` reads the judgements that the page saved, and :func:`review_annotations` makes annotations
of them, in which all that nobody judged is unknown. :func:`estimate_crying` estimates from the same judgements how much
crying there is, and how often the detector is right, with intervals; :func:`precision_by_threshold` and
:func:`threshold_for_precision` help to choose a threshold.
"""

from .estimates import estimate_crying
from .judgements import read_review, review_annotations
from .page import write_review
from .precision import precision_by_threshold, threshold_for_precision
from .selection import select_clips

__all__ = [
    "estimate_crying",
    "precision_by_threshold",
    "read_review",
    "review_annotations",
    "select_clips",
    "threshold_for_precision",
    "write_review",
]
