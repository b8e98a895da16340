"""Scores of windows become scores of seconds; scores of seconds become the score of a recording."""

import numpy as np
from scipy.ndimage import uniform_filter1d

from ..events import find_events
from ..windows.windows import middle_of

EPSILON = 1e-12  # keeps log-odds finite


class SecondScorer:
    """Score windows by a ``method`` of a fitted classifier, and pool the scores into scores of seconds.

    A second has ``n_scores``: 1 for two classes, else one per class. Windows have ``window_length`` timepoints at
    ``sr`` Hz; their scores describe the ``target_duration`` seconds in their middle (None: all of them).
    ``smooth_duration``, odd, is the number of seconds that are averaged.
    """

    def __init__(self, estimator, method, *, n_scores, window_length, sr, target_duration, smooth_duration):
        self.estimator = estimator
        self.method = method
        self.n_scores = n_scores
        self.window_length = window_length
        self.sr = sr
        self.target_duration = target_duration
        self.smooth_duration = smooth_duration

    def score_windows(self, windows):
        """Score ``Windows``: an array of shape (n_windows, n_responses)."""
        scores = np.asarray(getattr(self.estimator, self.method)(windows))
        return scores[:, None] if scores.ndim == 1 else scores

    def pool(self, scores, start, length, is_open=None):
        """Pool the scores (n_windows, n_responses) of a recording's windows: log-odds or such, (n_seconds, n_scores).

        ``start`` of the windows and ``length`` of the recording are in timepoints. Seconds that are not in ``is_open``
        (n_seconds,) get NaN. Probabilities are averaged as probabilities, so that one certain window does not outweigh
        all others.
        """
        if len(start) == 0:
            return np.full((-(-length // self.sr), self.n_scores), np.nan)
        start, n_timepoints = middle_of(start, self.window_length, length, self.sr, self.target_duration)
        pooled = second_scores(scores, start, n_timepoints, length, self.sr)
        if self.method == "predict_proba":
            pooled = np.log(np.maximum(pooled, EPSILON))
            pooled = pooled[:, 1:] - pooled[:, :1] if pooled.shape[1] == 2 else pooled
        if is_open is not None:
            pooled[~is_open] = np.nan
        return smooth(pooled, self.smooth_duration)


def response_method(estimator):
    """Name the method of a fitted classifier that gives its scores: probabilities if it has them."""
    return "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"


def second_scores(scores, start, n_timepoints, length, sr):
    """Average the scores of overlapping windows over each second.

    A second gets the mean over the windows that cover any of it. If there is none (a dropped tail), it gets the score
    of the nearest window. Times are in timepoints; ``scores`` has shape (n_windows, n_scores), the result (n_seconds,
    n_scores) with ``n_seconds = ceil(length / sr)``.
    """
    second = np.arange(-(-length // sr)) * sr
    # Windows start in order, so those that cover a second are a run, and its sum is a difference of running sums.
    first = np.searchsorted(start, second - n_timepoints, side="right")
    last = np.searchsorted(start, second + sr, side="left")
    # For an uncovered second, the windows before and after it are first - 1 and first: take the nearer one.
    before, after = np.maximum(first - 1, 0), np.minimum(first, len(start) - 1)
    earlier_is_nearer = second - (start[before] + n_timepoints) <= start[after] - (second + sr)
    nearest = np.where((first == len(start)) | ((first > 0) & earlier_is_nearer), before, after)
    first = np.where(first < last, first, nearest)
    last = np.maximum(last, first + 1)
    running = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0, dtype=np.float64)])
    return (running[last] - running[first]) / (last - first)[:, None]


def smooth(scores, n_seconds):
    """Average each second of ``scores`` (n_seconds, n_scores) with its neighbours; NaN stays and is left out."""
    if n_seconds == 1:
        return scores
    known = ~np.isnan(scores)
    total, count = (
        uniform_filter1d(values.astype(float), n_seconds, axis=0, mode="constant")
        for values in (np.where(known, scores, 0.0), known)
    )
    return np.where(known, total / np.maximum(count, 1 / (2 * n_seconds)), np.nan)


def recording_score(scores, *, merge_gap, min_duration, duration):
    """Find the highest threshold on ``scores`` (n_seconds,) at which a recording still holds an event."""
    levels = np.unique(scores)
    lowest, highest = 0, len(levels) - 1  # at the lowest level all seconds are active
    while lowest < highest:
        middle = (lowest + highest + 1) // 2
        active = scores >= levels[middle]
        if len(find_events(active, merge_gap=merge_gap, min_duration=min_duration, duration=duration)):
            lowest = middle
        else:
            highest = middle - 1
    return float(levels[lowest])
