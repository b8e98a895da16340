"""Read recordings in stretches with context, so that memory does not grow with their length.

Detection and training read files this way, so that both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

# Seconds of sound whose windows are computed together, and seconds of context on both sides, in which filter and noise
# gate settle. Both are multiples of the 37.5 s that `Denoise` works in.
STRETCH_DURATION = 1200.0
CONTEXT_DURATION = 75.0


class Stretch(NamedTuple):
    """Sound in which windows start from timepoint ``begin`` on, with context before and after them."""

    sound: np.ndarray  # (n_timepoints,)
    first: int  # timepoint of the recording at which the sound starts
    begin: int
    n_new: int  # timepoints that were read for it
    at_end: bool  # whether it is the last one


def stretch_length(hop_length: int, sr: int) -> int:
    """Return the timepoints from one stretch to the next: whole steps of the windows."""
    return hop_length * max(1, int(STRETCH_DURATION * sr) // hop_length)


def read_stretches(source, window_length: int, hop_length: int, sr: int) -> Iterator[Stretch]:
    """Yield the stretches of a recording from a source with ``read(n_timepoints)``."""
    step = stretch_length(hop_length, sr)
    context = hop_length * -(-int(CONTEXT_DURATION * sr) // hop_length)
    sound, first, begin, is_read, at_end = None, 0, 0, False, False
    while not at_end:
        have = 0 if sound is None else len(sound)
        last = begin + step - hop_length + window_length  # end of the last window that starts in the stretch
        wanted = last + context - first - have
        new = source.read(wanted)
        is_read = is_read or len(new) < wanted
        sound = new if have == 0 else np.concatenate([sound, new])
        at_end = is_read and first + len(sound) <= last
        yield Stretch(sound, first, begin, len(new), at_end)
        begin += step
        behind = max(0, begin - context - first)
        sound, first = sound[behind:], first + behind


class Usable:
    """Collect which seconds hold sound; digital silence and a stuck recorder give one constant value."""

    def __init__(self, sr):
        self._sr, self._rest, self._parts = sr, None, []

    def push(self, y):
        """Add the next timepoints."""
        y = y if self._rest is None else np.concatenate([self._rest, y])
        whole = y[: len(y) // self._sr * self._sr].reshape(-1, self._sr)
        self._parts.append(whole.max(axis=1) > whole.min(axis=1))
        self._rest = y[whole.size :]

    def finish(self):
        """Return an array of bool (n_seconds,)."""
        rest = [self._rest.max() > self._rest.min()] if self._rest is not None and len(self._rest) else []
        return np.concatenate([*self._parts, np.array(rest, dtype=bool)])


def usable_seconds(y, sr):
    """Tell which seconds of a recording (n_timepoints,) hold sound: an array of bool (n_seconds,), see `Usable`."""
    usable = Usable(sr)
    usable.push(y)
    return usable.finish()


def ahead(items):
    """Yield the items of an iterator; a thread computes the next one meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = reader.submit(next, items, None)
            yield item
