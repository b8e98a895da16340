"""Listen to clips in a browser, and use what was judged: choose clips, write a page, read the judgements back.

:func:`select_clips` draws what to listen to, :func:`write_review` writes it to one file that a browser opens without
network, :func:`read_review` reads the judgements that the page saved, and :func:`review_annotations` makes annotations
of them, in which all that nobody judged is unknown.
"""

from .judgements import read_review, review_annotations
from .page import write_review
from .selection import select_clips

__all__ = ["read_review", "review_annotations", "select_clips", "write_review"]
