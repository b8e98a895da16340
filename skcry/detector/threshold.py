"""Calibration of scores and the threshold on them, learned from recordings that were left out of training.

Also the level of a new home: one number that is added to all log-odds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .._base import BaseEstimator
from .._warnings import warn
from ..events import find_events
from ..metrics import event_counts, event_metrics
from ..metrics.events import EventTable, as_events
from .pooling import recording_score

# Standard deviation of the level of a home. On 8 real soundscapes, left out, 0.5 did no harm with 30 s of annotations
# and gained most with two minutes; 1.0 lost up to 0.03 of F1 with one minute or less.
LEVEL_SCALE = 0.5
# Neighbouring seconds are alike, since crying and background last: three of them count as one.
SECONDS_PER_OBSERVATION = 3.0
# Crying is rare, so this share of a home's scores belongs to its background. A median also moves with how much an
# infant cries, and costs F1.
BACKGROUND_QUANTILE = 0.1
# Seconds without annotations after which the level moves by half of the difference.
HALF_TRUST_DURATION = 100.0
N_COARSE = 24  # thresholds at which false alarms are counted before the last step is halved


@dataclass
class LeftOut:
    """A recording that was scored by an estimator that was not trained on its group."""

    recording: int
    group: int
    scores: np.ndarray  # (n_seconds, n_scores), NaN in seconds that the gate closes
    truth: np.ndarray  # (n_seconds,) classes
    known: np.ndarray  # (n_seconds,) bool, False in unknown time
    usable: np.ndarray  # (n_seconds,) bool
    duration: float  # s
    weight: float = 1.0
    true_events: pd.DataFrame | None = None  # by event_truth; None if y holds one label per recording


class OperatingPoint(BaseEstimator):
    """Turn scores of seconds into probabilities, and choose the threshold of crying.

    Fitted attributes are those of :class:`skcry.CryDetector` with the same names: ``calibrator_``, ``threshold_``,
    ``level_``, ``background_level_`` and ``left_out_``. Parameters too, but for ``classes`` (n_classes,) and ``roles``.
    """

    __module__ = "skcry.detector"

    def __init__(self, classes, roles, *, max_false_alarms=None, merge_gap=5.0, min_duration=5.0):
        self.classes = classes
        self.roles = roles
        self.max_false_alarms = max_false_alarms
        self.merge_gap = merge_gap
        self.min_duration = min_duration

    def fix(self, threshold):
        """Set the threshold; scores stay uncalibrated."""
        self.calibrator_, self.threshold_, self.level_ = None, float(threshold), 0.0
        self.background_level_, self.left_out_ = None, None
        return self

    def fit(self, left_out):
        """Learn calibration and threshold from a list of :class:`LeftOut`."""
        self.fix(0.5)
        scores, truth, weight = (np.concatenate(part) for part in zip(*map(_seconds, left_out), strict=True))
        calibrator = self._fit_calibrator(scores, truth, weight)
        if self.roles.positive is None:
            self.calibrator_ = calibrator
            return self
        if calibrator[-1].coef_[0, 0] > 0:
            self.calibrator_ = calibrator
        else:
            warn(
                "The estimator did not score crying above the rest on recordings left out of training, so its scores "
                "stay uncalibrated. Pass more recordings, or check the annotations."
            )
        counts = np.concatenate([one.usable[one.known] for one in left_out]) & ~np.isnan(scores[:, 0])
        if counts.any():
            self.background_level_ = background_quantile(self.log_odds(scores[counts]))
        score = [self.predict_proba(one.scores)[:, self.roles.positive] for one in left_out]
        if self.max_false_alarms is not None:
            self.threshold_ = self._false_alarm_threshold(score, left_out)
        if left_out[0].true_events is None:
            rules = {"merge_gap": self.merge_gap, "min_duration": self.min_duration}
            score = [[recording_score(s, duration=o.duration, **rules)] for s, o in zip(score, left_out, strict=True)]
            truth, weight = (np.array(part) for part in zip(*((o.truth[0], o.weight) for o in left_out), strict=True))
        else:
            score = [s[o.known] for s, o in zip(score, left_out, strict=True)]
        n_scores, score = [len(one) for one in score], np.concatenate(score)
        crying = truth == self.classes[self.roles.positive]
        self.left_out_ = {
            "recording": np.repeat([one.recording for one in left_out], n_scores).astype(np.int32),
            "group": np.repeat([one.group for one in left_out], n_scores).astype(np.int32),
            "score": score.astype(np.float32),
            "crying": crying,
        }
        if self.max_false_alarms is None:
            self.threshold_ = best_f1_threshold(crying, score, weight)
        return self

    def _fit_calibrator(self, scores, truth, weight):
        missing = np.setdiff1d(self.classes, truth)
        if len(missing):
            raise ValueError(
                f"No second is {missing.tolist()} for at least min_overlap of it, though windows are, so scores of "
                "seconds cannot be calibrated. Lower min_overlap, or pass threshold=0.5."
            )
        heard = np.isin(truth, self.classes) & ~np.isnan(scores[:, 0])
        # Step by step and on arrays, so that the user's configuration of scikit-learn has no effect.
        scaler = StandardScaler().set_output(transform="default").fit(scores[heard], None, weight[heard])
        # Mild regularisation keeps the slope finite where classes separate, as Platt's prior does.
        regression = LogisticRegression(C=100.0, max_iter=1000)
        regression.fit(scaler.transform(scores[heard]), truth[heard], weight[heard])
        return make_pipeline(scaler, regression)

    def _false_alarm_threshold(self, score, left_out):
        true_events = pd.concat([one.true_events.assign(recording=i) for i, one in enumerate(left_out)])
        true_events.attrs["recordings"] = range(len(left_out))
        durations = [one.duration for one in left_out]
        rules = {"merge_gap": self.merge_gap, "min_duration": self.min_duration}
        threshold = false_alarm_threshold(score, true_events, durations, self.max_false_alarms, **rules)
        highest = max(one.max() for one in score)
        if threshold > highest:
            warn(
                f"Even the highest score on left-out recordings, {highest:.3g}, gives more than max_false_alarms="
                f"{self.max_false_alarms} per hour (in {sum(durations) / 3600:.2f} h). The threshold is just above it. "
                "Allow more, raise min_duration, or pass more recordings."
            )
        return threshold

    def log_odds(self, scores):
        """Log-odds of crying (n_seconds,) from scores (n_seconds, n_scores), without the level of a home."""
        if len(scores) == 0:
            return np.empty(0)
        odds = scores[:, 0] if self.calibrator_ is None else self.calibrator_.decision_function(scores)
        return odds if self.roles.positive == 1 else -odds

    def predict_proba(self, scores):
        """Probabilities (n_seconds, n_classes) from scores (n_seconds, n_scores); background where these are NaN."""
        if len(scores) == 0:
            return np.empty((0, len(self.classes)))
        closed = np.isnan(scores[:, 0])
        scores = np.where(closed[:, None], 0.0, scores)
        if self.roles.positive is not None:
            odds = self.log_odds(scores) + self.level_
            probabilities = np.empty((len(odds), 2))
            probabilities[:, self.roles.positive] = expit(odds)
            probabilities[:, 1 - self.roles.positive] = expit(-odds)
        elif self.calibrator_ is not None:
            probabilities = self.calibrator_.predict_proba(scores)
        elif scores.shape[1] == 1:
            probabilities = np.hstack([expit(-scores), expit(scores)])
        else:
            probabilities = softmax(scores, axis=1)
        if closed.any():
            probabilities[closed] = np.eye(len(self.classes))[self.roles.background]
        return probabilities

    def adapt(self, scores, crying=None):
        """Set the level of a home from scores (n_seconds, n_scores) and, if annotated, from crying (n_seconds,)."""
        odds = self.log_odds(scores)
        self.level_ = (
            background_level(odds, self.background_level_) if crying is None else annotated_level(odds, crying)
        )
        return self


def _seconds(one):
    """Scores, classes and weights of the known seconds of a LeftOut."""
    return one.scores[one.known], one.truth[one.known], np.full(int(one.known.sum()), one.weight)


def annotated_level(log_odds, crying):
    """Level that fits annotated seconds best, with a normal prior around zero.

    Both arguments have shape (n_seconds,): finite log-odds of crying, and whether it was crying (one class will do).
    """
    sign = np.where(crying, 1.0, -1.0)

    def slope(level):  # of the negative log-posterior, which is convex
        misfit = -(sign * expit(-sign * (log_odds + level))).sum() / SECONDS_PER_OBSERVATION
        return misfit + level / LEVEL_SCALE**2

    furthest = 1.0 + LEVEL_SCALE**2 * len(log_odds) / SECONDS_PER_OBSERVATION
    return float(brentq(slope, -furthest, furthest, xtol=1e-9))


def background_quantile(log_odds):
    """Log-odds below which there is hardly any crying, from those of all seconds (n_seconds,)."""
    return float(np.quantile(log_odds, BACKGROUND_QUANTILE))


def background_level(log_odds, expected):
    """Level that moves the :func:`background_quantile` of unannotated seconds towards the expected one.

    The level is a share of the difference that grows with the number of seconds: half of it for 100.
    """
    trust = len(log_odds) / (len(log_odds) + HALF_TRUST_DURATION)
    return trust * (expected - background_quantile(log_odds))


def best_f1_threshold(truth, score, sample_weight=None):
    """Threshold of best F1 for ``truth`` (bool) and ``score`` in [0, 1], both of shape (n_values,).

    It lies halfway to the next lower score, so that rounding does not matter.
    """
    precision, recall, thresholds = precision_recall_curve(truth, score, sample_weight=sample_weight)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1[:-1]))
    below = thresholds[best - 1] if best else 0.0
    return float((thresholds[best] + below) / 2)


def false_alarm_threshold(scores, true_events, durations, max_false_alarms, *, merge_gap, min_duration):
    """Lowest threshold, coming from above, that keeps to so many false alarms per hour.

    False alarms are those of :func:`skcry.metrics.event_metrics`. They do not only grow as the threshold falls: in the
    end all events of a recording are one. So the search goes down in steps that grow by a constant factor, stops at the
    first threshold with too many, and halves the last step.

    ``scores`` holds those of the seconds of each recording (n_seconds,), in [0, 1] (0 is never an alarm);
    ``true_events`` is from :func:`skcry.metrics.event_truth`, by place in that list; ``durations`` are in seconds.

    The threshold is halfway to the next lower score, so that rounding does not matter; just above the highest score if
    that one already gives too many.
    """
    true = as_events(true_events, "true_events")
    levels = np.unique(np.concatenate(scores))[::-1]
    levels = levels[levels > 0]

    def keeps(level):
        rules = {"merge_gap": merge_gap, "min_duration": min_duration}
        found = {
            number: find_events(score >= level, duration=duration, **rules)
            for number, (score, duration) in enumerate(zip(scores, durations, strict=True))
        }
        counts = event_counts(true, EventTable(found, {}, None), durations)
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
