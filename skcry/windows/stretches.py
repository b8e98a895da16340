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
    """Sound in which windows start from timepoint ``begin`` to before ``end``, with context before and after them."""

    sound: np.ndarray  # (n_timepoints,)
    first: int  # timepoint of the recording at which the sound starts
    begin: int
    end: int
    n_new: int  # timepoints that were read for it
    at_end: bool  # whether it is the last one


def stretch_length(hop_length: int, sr: int) -> int:
    """Return the timepoints from one stretch to the next: whole steps of the windows."""
    return hop_length * max(1, int(STRETCH_DURATION * sr) // hop_length)


def read_stretches(source, window_length: int, hop_length: int, sr: int, *, live: bool = False) -> Iterator[Stretch]:
    """Yield the stretches of a recording from a source with ``read(n_timepoints)``.

    ``live`` stretches end with the last whole window that there is so far, at least one, without context after it. The
    source then has ``read(most, least)``, which returns as soon as it has ``least`` timepoints.
    """
    step = stretch_length(hop_length, sr)
    before = hop_length * -(-int(CONTEXT_DURATION * sr) // hop_length)
    after = 0 if live else before
    sound, first, begin, is_read, at_end = np.empty(0, np.float32), 0, 0, False, False
    while not at_end:
        have = first + len(sound)
        last = begin + step - hop_length + window_length  # end of the last window that starts in the stretch
        wanted = last + after - have
        least = begin + window_length - have if live else wanted
        new = source.read(wanted, least) if live else source.read(wanted)
        is_read = is_read or len(new) < least
        sound = new if have == 0 else np.concatenate([sound, new])
        have += len(new)
        at_end = is_read and have <= last
        end = begin + step
        if live and not is_read:
            end = begin + hop_length * (1 + (have - window_length - begin) // hop_length)
        yield Stretch(sound, first, begin, end, len(new), at_end)
        begin = end
        behind = max(0, begin - before - first)
        sound, first = sound[behind:], first + behind


class Seconds:
    """Apply a function to each second of sound that comes in parts; it takes an array (n_seconds, n_timepoints)."""

    def __init__(self, sr, function):
        self._sr, self._function, self._rest = sr, function, None

    def push(self, y):
        """Return the values of the seconds that these next timepoints complete."""
        y = y if self._rest is None else np.concatenate([self._rest, y])
        whole = y[: len(y) // self._sr * self._sr].reshape(-1, self._sr)
        self._rest = y[whole.size :]
        return self._function(whole)

    def finish(self):
        """Return the value of the last second, if it is not whole."""
        rest = np.empty((0, 1)) if self._rest is None or len(self._rest) == 0 else self._rest[np.newaxis]
        return self._function(rest)


def is_usable(y):
    """Tell which seconds (n_seconds, n_timepoints) hold sound; digital silence and a stuck recorder are constant."""
    return y.max(axis=1) > y.min(axis=1)


def usable_seconds(y, sr):
    """Tell which seconds of a recording (n_timepoints,) hold sound: an array of bool (n_seconds,)."""
    seconds = Seconds(sr, is_usable)
    return np.concatenate([seconds.push(y), seconds.finish()])


def ahead(items):
    """Yield the items of an iterator; a thread computes the next one meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = reader.submit(next, items, None)
            yield item
