"""All clips that a person could judge: cut from scored seconds, and divided by score."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .._clock import quote
from ..detector import Detection
from ..summary import blocks, chosen, flags

COLUMNS = ["recording", "onset", "offset", "score", "stratum", "probability", "stratum_size", "stratum_drawn"]
LEAST_SCORE = 0.01  # a score below says that crying is rare, not that there is none
N_BANDS = 4  # of scores: two on each side of the threshold
LEAST_DRAWN = 2  # clips of a stratum: a variance needs two


def one_class(seconds, label):
    """Return a timeline with ``score`` and ``cry`` of a class, or of several together; None leaves it as it is."""
    several = "label" in seconds and ("score" not in seconds or "cry" not in seconds or seconds["cry"].dtype != bool)
    if label is None and several:
        names = ", ".join(repr(str(name)) for name in seconds.columns if name not in ("label", "usable"))
        raise ValueError(
            f"seconds holds several classes, {names:.100}. Choose the one to listen to, or several together, with "
            "label=."
        )
    if label is None:
        return seconds
    cry, labels = chosen(seconds, label), [label] if isinstance(label, str) else list(label)
    # Not more than 1: files hold rounded probabilities.
    score = seconds.loc[:, [str(name) in labels for name in seconds.columns]].sum(axis=1).clip(0, 1)
    return seconds.assign(score=score, cry=cry)


def as_seconds(seconds, label=None):
    """Return the table of seconds of a class, and the threshold if detections tell it."""
    threshold = None
    if not isinstance(seconds, pd.DataFrame):
        detections = [one for one in seconds if not isinstance(one, Detection) or one.error is None]
        strange = [type(one).__name__ for one in detections if not isinstance(one, Detection)]
        if strange or not detections:
            raise ValueError(
                f"seconds is a list of {strange[0] if strange else 'no recording that could be read'}, but must be a "
                "list of Detection, or the table that CryDetector.timeline or read_timelines returns."
            )
        thresholds = {one.threshold for one in detections}
        if len(thresholds) > 1:
            raise ValueError(f"seconds: detections with different thresholds, {sorted(thresholds)!s:.80}. Use one.")
        names = [one.name for one in detections]
        arrays = any(one.name == f"recordings[{one.recording}]" for one in detections)
        if arrays or len(set(names)) < len(names):
            names = [one.recording for one in detections]
        tables = dict(zip(names, (one.timeline for one in detections), strict=True))
        seconds, threshold = pd.concat(tables, names=["recording", "second"]), thresholds.pop()
    seconds = one_class(seconds, label)
    if "score" not in seconds:
        raise ValueError(f"seconds has columns {list(seconds.columns)!s:.100}, but no 'score'. Pass a timeline.")
    return seconds, threshold if label is None else None  # the most probable class counts, whatever its score


def candidates(seconds, duration):
    """Return all clips that may be chosen: DataFrame with recording, onset, offset and score."""
    recordings, first, second = blocks(seconds)
    usable = flags(seconds, "usable") if "usable" in seconds else np.ones(len(seconds), dtype=bool)
    score = seconds["score"].to_numpy(dtype=float)
    faulty = usable & ~((score >= 0) & (score <= 1))
    if faulty.any():
        row = int(np.argmax(faulty))
        raise ValueError(
            f"seconds: the score of recording {quote(seconds.index[row][0])}, second {second[row]}, is {score[row]}, "
            "but must be from 0 to 1. Pass the table that CryDetector.timeline or read_timelines returns."
        )
    tables = []
    for name, begin, end in zip(recordings, first, np.append(first[1:], len(seconds)), strict=False):
        begin += -second[begin] % duration  # seconds may not count from 0
        n_clips = max(0, end - begin) // duration
        rows = np.s_[begin : begin + n_clips * duration]
        whole = usable[rows].reshape(n_clips, duration).all(axis=1)
        mean = np.where(usable[rows], score[rows], 0).reshape(n_clips, duration).mean(axis=1)
        onset = second[rows][::duration][whole]
        tables.append(pd.DataFrame({"onset": onset, "offset": onset + duration, "score": mean[whole]}))
        tables[-1].insert(0, "recording", name)
    clips = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)
    if clips.empty:
        raise ValueError(
            f"seconds: none of {len(recordings)} recordings holds a clip of duration={duration} s that is usable "
            "throughout. Lower duration."
        )
    return clips


def threshold_in(seconds):
    """Return the lowest score that counts as crying or, if none does, the highest score."""
    if "cry" not in seconds:
        raise ValueError(
            f"seconds has columns {list(seconds.columns)!s:.100}, but no 'cry' (bool), which tells the threshold. Pass "
            "detector=."
        )
    cry = flags(seconds, "cry")
    return seconds["score"][cry].min() if cry.any() else seconds["score"].max()


def score_bands(score, threshold, n):
    """Return the band of each score (n_clips,), from 0; bands without clips are left out."""
    n_bands = N_BANDS if n >= N_BANDS * LEAST_DRAWN else 2 if n >= 2 * LEAST_DRAWN else 1
    band = np.zeros(len(score), dtype=int)
    if n_bands > 1:
        band += score >= threshold
    if n_bands == N_BANDS:
        p = np.clip(score, LEAST_SCORE, 1 - LEAST_SCORE)
        uncertainty = np.sqrt(p * (1 - p))
        upper = np.zeros(len(score), dtype=bool)
        for side in (band == 0, band == 1):
            if side.any():
                order = np.flatnonzero(side)[np.argsort(score[side], kind="stable")]
                summed = np.cumsum(uncertainty[order])
                upper[side] = score[side] > score[order[np.searchsorted(summed, summed[-1] / 2)]]
        band = 2 * band + upper
    return np.unique(band, return_inverse=True)[1]
