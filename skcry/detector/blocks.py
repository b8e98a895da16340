"""Read recordings in blocks and score their windows: memory does not grow with the length of a recording.

Arrays and files are read the same way, so that both give the same numbers.
"""

import os
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..io.audio import AudioFile, name_of, open_source
from ..windows import Windows
from ..windows.stretches import Seconds, ahead, is_usable, read_stretches, stretch_length


@dataclass
class Recording:
    """Facts about a recording, complete when its end is reached."""

    number: int
    name: str
    sr: int
    n_timepoints: int = 0
    usable: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    open: np.ndarray | None = None
    problems: list = field(default_factory=list)
    error: Exception | None = None

    @property
    def duration(self):
        """Length in seconds."""
        return self.n_timepoints / self.sr


class Block(NamedTuple):
    """Windows to score, and the recordings that end with them."""

    windows: Windows | None
    recording: np.ndarray  # number of the recording of each row
    start: np.ndarray  # start of each row in its recording, in timepoints
    finished: list


def windows_in_open_seconds(start, n_timepoints, sr, is_open):
    """Tell which windows (n_windows,) that start at ``start`` hold any second that ``is_open`` (n_seconds,)."""
    before = np.concatenate([[0], np.cumsum(is_open)])
    first = np.minimum(start // sr, len(is_open))
    last = np.minimum(-(-(start + n_timepoints) // sr), len(is_open))
    return before[last] > before[first]


def stream(windower, X, *, gate=None, on_error="raise", progress=None):
    """Cut recordings into windows, and yield them as blocks.

    Windows of seconds that the ``gate`` closes are left out. ``on_error="skip"`` finishes a recording that cannot be
    read with its ``error`` set; discard the rows that it had so far. ``progress`` is called with the seconds of sound
    that were read since the last call.
    """
    if on_error == "raise":
        for item in X:  # check all headers before the work begins
            if isinstance(item, (str, os.PathLike)):
                AudioFile(item, windower.sr, windower.channel).close()
    short: list = []  # whole recordings that wait for others, to be scored together
    total = 0  # their timepoints
    limit = stretch_length(windower.hop_length_, windower.sr)
    for number, item in enumerate(X):
        recording = Recording(number, name_of(item, number), windower.sr)
        try:
            for stretch in _stretches(windower, item, recording, gate, progress):
                at_end = recording.n_timepoints > 0
                is_whole = at_end and stretch[1] == 0
                if short and (not is_whole or total + len(stretch[0]) > limit):
                    yield _block(windower, short)
                    short, total = [], 0
                if is_whole:
                    short.append((recording, *stretch))
                    total += max(len(stretch[0]), windower.window_length_)
                else:
                    yield _block(windower, [(recording, *stretch)], finished=at_end)
        except (OSError, ValueError) as error:
            if on_error == "raise":
                raise
            if short:
                yield _block(windower, short)
                short, total = [], 0
            recording.error = error
            yield Block(None, np.empty(0, int), np.empty(0, int), [recording])
    if short:
        yield _block(windower, short)


def _stretches(windower, item, recording, gate, progress):
    """Yield sound with context, where it begins and where the windows to score start, in timepoints.

    With the last of them ``recording`` is complete.
    """
    sr, hop, length = windower.sr, windower.hop_length_, windower.window_length_
    if gate is not None:
        recording.open = gate.open_seconds(item, recording.name)
    seconds, usable = Seconds(sr, is_usable), []
    with open_source(item, sr, recording.name, windower.channel) as source:
        for stretch in read_stretches(source, length, hop, sr):
            sound, first = stretch.sound, stretch.first
            usable.append(seconds.push(sound[len(sound) - stretch.n_new :]))
            if stretch.at_end:
                recording.n_timepoints = first + len(sound)
                if recording.n_timepoints == 0:
                    raise ValueError(f"{recording.name} is empty: 0 timepoints at {sr} Hz. Leave it out.")
                recording.usable = np.concatenate([*usable, seconds.finish()])
                recording.problems = list(source.problems)
            start = windower._starts_in(stretch)
            if recording.open is not None:
                start = start[windows_in_open_seconds(start, length, sr, recording.open)]
            yield sound, first, start
            if progress is not None:
                progress(stretch.n_new / sr)


def _block(windower, stretches, finished=True):
    finished = [recording for recording, *_ in stretches] if finished else []
    stretches = [stretch for stretch in stretches if len(stretch[3])]
    if not stretches:
        return Block(None, np.empty(0, int), np.empty(0, int), finished)
    recordings, sounds, firsts, starts = zip(*stretches, strict=True)
    relative = [start - first for start, first in zip(starts, firsts, strict=True)]
    windows = windower._cut(list(sounds), relative, names=[recording.name for recording in recordings])
    numbers = np.repeat([recording.number for recording in recordings], [len(start) for start in starts])
    return Block(windows, numbers, np.concatenate(starts), finished)


def score_recordings(scorer, windower, X, progress=None, **options):
    """Score recordings block by block: yield each Recording with the scores of its seconds.

    The next block is read while one is scored. Scores are those of :meth:`SecondScorer.pool`, none if the recording
    could not be read. For the options see :func:`stream`.
    """
    waiting: dict = {}  # number of a recording -> starts and scores of its windows so far
    heard: deque = deque()  # seconds that were read, of which `progress` is told in this thread
    for block in ahead(stream(windower, X, progress=heard.append, **options)):
        while heard:
            seconds = heard.popleft()
            if progress is not None:
                progress(seconds)
        if block.windows is not None:
            scores = scorer.score_windows(block.windows)
            for number in np.unique(block.recording):
                rows = block.recording == number
                waiting.setdefault(number, []).append((block.start[rows], scores[rows]))
        for recording in block.finished:
            start, scores = zip(*waiting.pop(recording.number, [(np.empty(0, int), np.empty((0, 1)))]), strict=True)
            if recording.error is not None:
                yield recording, np.empty((0, scorer.n_scores))
                continue
            place = np.concatenate(start), recording.n_timepoints, recording.open
            yield recording, scorer.pool(np.concatenate(scores), *place)
