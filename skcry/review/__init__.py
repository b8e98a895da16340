"""Listen to clips in a browser, and use what was judged: choose clips, and read the judgements."""

from .judgements import read_review, review_annotations
from .selection import select_clips

__all__ = ["read_review", "review_annotations", "select_clips"]
