"""Decisions: scores of windows to scores of seconds, of recordings, and a threshold on them."""

import numpy as np
from scipy.ndimage import uniform_filter1d
from sklearn.metrics import precision_recall_curve

from ..events import find_events
from ..metrics import event_counts, event_metrics
from ..windows.windows import middle_of

EPSILON = 1e-12  # keeps log-odds finite
N_COARSE = 24  # thresholds at which false alarms are counted before the last step is halved


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
    # Where none does, the windows before and after it are first - 1 and first: take the one that is less far away.
    before, after = np.maximum(first - 1, 0), np.minimum(first, len(start) - 1)
    earlier_is_nearer = second - (start[before] + n_timepoints) <= start[after] - (second + sr)
    nearest = np.where((first == len(start)) | ((first > 0) & earlier_is_nearer), before, after)
    first = np.where(first < last, first, nearest)
    last = np.maximum(last, first + 1)
    running = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0, dtype=np.float64)])
    return (running[last] - running[first]) / (last - first)[:, None]


def response_method(estimator):
    """Name the method of a fitted classifier that scores are taken from: probabilities, where it gives them.

    Parameters
    ----------
    estimator : classifier
        Fitted.

    Returns
    -------
    {"predict_proba", "decision_function"}
    """
    return "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"


def window_scores(estimator, windows, method):
    """Score windows by probabilities or by a decision function.

    Parameters
    ----------
    estimator : classifier
        Fitted on windows.
    windows : Windows of shape (n_windows, n_timepoints)
        What to score.
    method : {"predict_proba", "decision_function"}
        See :func:`response_method`.

    Returns
    -------
    scores : ndarray of shape (n_windows, n_scores)
    probable : bool
        Whether these are probabilities.
    """
    scores = np.asarray(getattr(estimator, method)(windows))
    return (scores[:, None] if scores.ndim == 1 else scores), method == "predict_proba"


def smooth(scores, n_seconds):
    """Average each second with its neighbours, ``n_seconds`` in all; NaN stays, and counts for nothing.

    Parameters
    ----------
    scores : ndarray of shape (n_seconds, n_scores)
        Scores of one recording.
    n_seconds : int
        Odd. At the ends there are fewer.

    Returns
    -------
    ndarray of shape (n_seconds, n_scores)
    """
    if n_seconds == 1:
        return scores
    known = ~np.isnan(scores)
    total, count = (
        uniform_filter1d(values.astype(float), n_seconds, axis=0, mode="constant")
        for values in (np.where(known, scores, 0.0), known)
    )
    return np.where(known, total / np.maximum(count, 1 / (2 * n_seconds)), np.nan)


def second_log_odds(
    scores, probable, start, n_timepoints, length, sr, is_open=None, *, target_duration=None, smooth_duration=1
):
    """Pool scores of one recording's windows into scores of its seconds, on the whole real line.

    Probabilities are pooled as such, so that a single window that is sure of itself does not outweigh all others.

    Parameters
    ----------
    scores : ndarray of shape (n_windows, n_scores)
        See :func:`window_scores`.
    probable : bool
        Whether these are probabilities.
    start, n_timepoints, length, sr
        See :func:`second_scores`.
    is_open : ndarray of bool of shape (n_seconds,) or None, default=None
        Seconds that a gate leaves open. None means all.
    target_duration : float or None, default=None
        Part of a window, in its middle, that its score is for, in seconds. None means all of it.
    smooth_duration : int, default=1
        Seconds that are averaged.

    Returns
    -------
    ndarray of shape (n_seconds, 1) for two classes, else (n_seconds, n_classes)
        NaN in closed seconds.
    """
    start, n_timepoints = middle_of(start, n_timepoints, length, sr, target_duration)
    pooled = second_scores(scores, start, n_timepoints, length, sr)
    if probable:
        pooled = np.log(np.maximum(pooled, EPSILON))
        pooled = pooled[:, 1:] - pooled[:, :1] if pooled.shape[1] == 2 else pooled
    if is_open is not None:
        pooled[~is_open] = np.nan
    return smooth(pooled, smooth_duration)


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


def best_f1_threshold(truth, score, sample_weight=None):
    """Threshold on ``score`` with the highest F1, halfway to the next lower score so that rounding cannot tip it.

    Parameters
    ----------
    truth : ndarray of bool of shape (n_values,)
        Whether it was crying.
    score : ndarray of shape (n_values,)
        Scores in [0, 1].
    sample_weight : ndarray of shape (n_values,) or None, default=None
        How much each counts. None means equal weights.

    Returns
    -------
    float
    """
    precision, recall, thresholds = precision_recall_curve(truth, score, sample_weight=sample_weight)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1[:-1]))
    below = thresholds[best - 1] if best else 0.0
    return float((thresholds[best] + below) / 2)


def false_alarm_threshold(scores, true_events, durations, max_false_alarms, *, merge_gap, min_duration):
    """Lowest threshold, coming from above, at which a detector keeps to so many false alarms per hour.

    False alarms are those of :func:`skcry.metrics.event_metrics`. As the threshold falls they do not only grow: in the
    end all events of a recording are one. So the threshold stops before the first that gives too many, among some that
    the number of scores above grows by a constant factor between; the last step is then halved.

    Parameters
    ----------
    scores : list of ndarray of shape (n_seconds,)
        Scores of the seconds of each recording, in [0, 1]; 0 is never an alarm.
    true_events : DataFrame of shape (n_true_events, 3)
        What :func:`skcry.metrics.event_truth` gives for the recordings, by place in the list.
    durations : list of float
        Length of each recording in seconds.
    max_false_alarms : float
        False alarms per hour.
    merge_gap, min_duration : float
        See :func:`skcry.events.find_events`.

    Returns
    -------
    float
        Halfway to the next lower score, so that rounding cannot tip it; just above the highest score where that one
        already gives too many.
    """
    columns = ["onset", "offset"]
    true = {number: rows[columns].to_numpy() for number, rows in true_events.groupby("recording")}
    levels = np.unique(np.concatenate(scores))[::-1]
    levels = levels[levels > 0]

    def keeps(level):
        rules = {"merge_gap": merge_gap, "min_duration": min_duration}
        found = {
            number: find_events(score >= level, duration=duration, **rules)
            for number, (score, duration) in enumerate(zip(scores, durations, strict=True))
        }
        counts = event_counts(true, found, durations)
        return event_metrics(counts)["false_alarms_per_hour"] <= max_false_alarms

    good, bad = -1, len(levels)
    for place in np.unique(np.rint(np.geomspace(1, len(levels), N_COARSE)).astype(int)) - 1:
        if not keeps(levels[place]):
            bad = place
            break
        good = place
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if keeps(levels[middle]) else (good, middle)
    if good < 0:
        return float(np.nextafter(levels[0], np.inf))
    below = levels[good + 1] if good + 1 < len(levels) else 0.0
    halfway = (levels[good] + below) / 2
    return float(halfway if halfway > below else levels[good])
