"""Decisions: scores of windows to scores of seconds, of recordings, and a threshold on them."""

import numpy as np
from sklearn.metrics import precision_recall_curve

from .events import find_events


def second_scores(scores, start, n_timepoints, length, sr):
    """Pool the scores of overlapping windows into scores of seconds.

    A second gets the mean over the windows that cover any of it; where there is none (a dropped tail), that of the
    nearest window.

    Parameters
    ----------
    scores : ndarray of shape (n_windows, n_scores)
        Scores of one recording's windows.
    start : ndarray of int of shape (n_windows,)
        Where they start, in timepoints.
    n_timepoints : int
        Length of a window.
    length : int
        Length of the recording, in timepoints.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    ndarray of shape (n_seconds, n_scores)
        ``n_seconds = ceil(length / sr)``.
    """
    second = np.arange(-(-length // sr)) * sr
    # Windows start in order: those that cover a second are a run, and its sum is a difference of running sums.
    first = np.searchsorted(start, second - n_timepoints, side="right")
    last = np.searchsorted(start, second + sr, side="left")
    nearest = np.abs(start[:, None] - second[first >= last][None]).argmin(axis=0) if (first >= last).any() else 0
    first[first >= last] = nearest
    last = np.maximum(last, first + 1)
    running = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0, dtype=np.float64)])
    return (running[last] - running[first]) / (last - first)[:, None]


def recording_score(scores, *, merge_gap, min_duration, duration):
    """Highest threshold at which a recording still holds an event.

    Parameters
    ----------
    scores : ndarray of shape (n_seconds,)
        Score of each second.
    merge_gap, min_duration, duration : float
        See :func:`skcry.events.find_events`.

    Returns
    -------
    float
    """
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


def best_f1_threshold(truth, score):
    """Threshold on ``score`` with the highest F1, halfway to the next lower score so that rounding cannot tip it.

    Parameters
    ----------
    truth : ndarray of bool of shape (n_values,)
        Whether it was crying.
    score : ndarray of shape (n_values,)
        Scores in [0, 1].

    Returns
    -------
    float
    """
    precision, recall, thresholds = precision_recall_curve(truth, score)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1[:-1]))
    below = thresholds[best - 1] if best else 0.0
    return float((thresholds[best] + below) / 2)
