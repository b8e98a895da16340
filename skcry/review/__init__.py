"""Listen to clips in a browser, and use what was judged: choose clips."""

from .selection import select_clips

__all__ = ["select_clips"]
