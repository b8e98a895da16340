"""The metrics by name, as scikit-learn's model selection takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._compat import Interval, validate_params
from .._typing import Annotations, Labels, Recordings
from .._warnings import warn
from ..io.text_files import shorten
from .events import MATCHING, event_counts, event_metrics, recall_at_false_alarms, threshold_counts
from .seconds import compare_minutes, cry_minutes_metrics, second_metrics
from .truth import event_truth, second_truth

_SECONDS = [Interval(Real, 0, None, closed="left")]

# Name -> part of Evaluation, entry in it, sign.
_SCORERS = {
    "second_f1": ("seconds", "f1", 1),
    "second_precision": ("seconds", "precision", 1),
    "second_recall": ("seconds", "recall", 1),
    "second_average_precision": ("seconds", "average_precision", 1),
    "second_roc_auc": ("seconds", "roc_auc", 1),
    "second_balanced_accuracy": ("seconds", "balanced_accuracy", 1),
    "second_cohen_kappa": ("seconds", "cohen_kappa", 1),
    "event_f1": ("events", "f1", 1),
    "event_precision": ("events", "precision", 1),
    "event_recall": ("events", "recall", 1),
    "neg_false_alarms_per_hour": ("events", "false_alarms_per_hour", -1),
    "recall_at_false_alarms": ("curve", "recall", 1),
    "neg_cry_minutes_error": ("minutes_metrics", "mean_absolute_error", -1),
    "cry_minutes_correlation": ("minutes_metrics", "correlation", 1),
}
# Value of a metric where it is undefined, if not 0.0: as in scikit-learn, a number, since NaN in one split would make
# the mean score of every setting of a search NaN.
CHANCE = {"roc_auc": 0.5, "balanced_accuracy": 0.5}


def the_detector(estimator, label=None):
    """Return a fitted detector with a single class of crying, or with several if ``label`` chooses one of them.

    Of a search, return the best one.
    """
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    if not hasattr(estimator, "iter_detections"):
        raise TypeError(
            f"{shorten(repr(estimator), 80)} has no timeline and detects no events. Pass a CryDetector, whose rows are "
            "recordings; for estimators of windows, scikit-learn has scorers, such as scoring='f1'."
        )
    check_is_fitted(estimator, "estimator_")
    names = list(map(str, estimator.classes_))
    if estimator.positive_index_ is None and label is None:
        raise ValueError(
            f"The detector has the classes {names}, none of which alone is crying. Pass positive=('cry', ...) to "
            "CryDetector, or label= to get_scorer; displays also draw tables, by from_predictions."
        )
    if label is not None and (estimator.positive_index_ is not None or label not in names):
        raise ValueError(
            f"label={label!r} must be one of several classes, but the detector has the classes {names}"
            f"{'' if estimator.positive_index_ is None else ', of crying and the rest'}. Correct it, or leave it out."
        )
    return estimator


def meaning_of_labels(detector, label=None):
    """Return what the labels of annotations mean to a detector, for `second_truth`; of several classes, to one."""
    meaning = {"ignore": detector.ignore, "overlap": detector.overlap}
    if label is not None:
        return {"positive": label, **meaning}
    # A detector of named labels counts all others as background.
    negative = None if detector.positive is None else detector.negative
    return {"positive": detector.crying_labels_, "negative": negative, **meaning}


class Evaluation:
    """One pass of a detector over recordings; each part is computed when it is first needed."""

    def __init__(self, estimator, X, y, *, merge_gap, min_duration, label=None, rate=1.0, **matching):
        self.detector = the_detector(estimator, label)
        self.true_rules = {"merge_gap": merge_gap, "min_duration": min_duration}
        self.rate, self.matching = rate, matching
        check_consistent_length(X, y)
        self.annotations = list(y)
        self.labels = meaning_of_labels(self.detector, label)
        try:
            self.true_events = event_truth(self.annotations, **self.labels, merge_gap=merge_gap)
        except TypeError as error:
            error.add_note(
                "Scorers of skcry.metrics compare seconds and events, so y must hold the annotations of each "
                "recording. For one label per recording use scikit-learn's own scorers, such as scoring='f1'."
            )
            raise
        found = list(self.detector.iter_detections(X))
        self.durations = {one.recording: one.duration for one in found}
        self.timeline = pd.concat({one.recording: one.timeline for one in found}, names=["recording", "second"])
        self.found_events = pd.concat([one.events for one in found], ignore_index=True)
        if label is not None:
            winner = self.timeline["label"].astype(str)
            self.timeline = self.timeline.assign(cry=winner == label, score=self.timeline[label])
            self.found_events = self.found_events[self.found_events["label"].astype(str) == label]
        self.rules = {"merge_gap": self.detector.merge_gap, "min_duration": self.detector.min_duration}
        options = {"min_overlap": self.detector.min_overlap, "durations": self.durations}
        self.truth = second_truth(self.annotations, self.timeline, **self.labels, **options)

    @cached_property
    def seconds(self):
        """Metrics of the seconds."""
        return second_metrics(self.truth, self.timeline)

    @cached_property
    def counts(self):
        """Counts of events by recording."""
        return event_counts(self.true_events, self.found_events, self.durations, **self.matching)

    @cached_property
    def events(self):
        """Metrics of the events."""
        return event_metrics(self.counts)

    @cached_property
    def curve(self):
        """Metrics over all thresholds."""
        counts = threshold_counts(self.true_events, self.timeline, **self.rules, **self.matching)
        return {"recall": recall_at_false_alarms(counts, self.rate)}

    @cached_property
    def minutes_metrics(self):
        """Errors of cry minutes per hour."""
        return cry_minutes_metrics(self.minutes)

    @cached_property
    def minutes(self):
        """True and found cry minutes per hour, by recording."""
        # The rules of the truth are fixed: a search would otherwise choose those that drop all events on both sides.
        rules = {"true_rules": self.true_rules, "found_rules": self.rules}
        return compare_minutes(self.truth, self.timeline, by="recording", start=None, **rules)

    def __getitem__(self, name):
        part, entry, sign = _SCORERS[name]
        value = float(getattr(self, part)[entry])
        if np.isnan(value):
            n_true, n_found = self.truth.sum(), self.timeline["cry"].sum()
            value = CHANCE.get(entry, 0.0)
            warn(
                f"{name} is undefined on these {len(self.durations)} recordings, and set to {value}: of "
                f"{len(self.truth)} seconds {n_true} are annotated as {self.labels['positive']!r}, and {n_found} are "
                "found. Use splits with crying and other sound in each, or leave this one out of means.",
                UndefinedMetricWarning,
            )
        return sign * value


@dataclass(frozen=True)
class _Scorer:
    """Score a detector by one name, or by several at once."""

    name: str | tuple
    options: dict

    def __call__(self, estimator, X, y):
        """Evaluate ``estimator`` on recordings ``X`` with annotations ``y``."""
        evaluation = Evaluation(estimator, X, y, **self.options)
        if isinstance(self.name, str):
            return evaluation[self.name]
        return {name: evaluation[name] for name in self.name}


def get_scorer_names() -> list[str]:
    """List the names that :func:`get_scorer` knows.

    Returns
    -------
    list of str
        In alphabetical order.

    Examples
    --------
    >>> from skcry.metrics import get_scorer_names
    >>> "second_f1" in get_scorer_names()
    True
    """
    return sorted(_SCORERS)


@validate_params(
    {
        "name": [str, list, tuple],
        "label": [str, None],
        "merge_gap": _SECONDS,
        "min_duration": _SECONDS,
        "rate": _SECONDS,
        **MATCHING,
    },
    prefer_skip_nested_validation=True,
)
def get_scorer(
    name: Labels,
    *,
    label: str | None = None,
    merge_gap: float = 5.0,
    min_duration: float = 5.0,
    rate: float = 1.0,
    matching: Literal["overlap", "iou", "collar"] = "overlap",
    min_overlap: float = 0.5,
    onset_collar: float = 1.0,
    offset_collar: float | None = 1.0,
    offset_share: float = 0.5,
) -> Callable[[Any, Recordings, Sequence[Annotations]], Any]:
    """Get a scorer by name, to pass as ``scoring`` to anything in scikit-learn that has recordings as rows.

    Scorers take a fitted :class:`skcry.CryDetector` (or a search over one), recordings, and their annotations. Greater
    is better; errors and false alarms are negated and say so in their names.

    Parameters
    ----------
    name : str, or list of str
        - ``second_f1``, ``second_precision``, ``second_recall``, ``second_average_precision``, ``second_roc_auc``,
          ``second_balanced_accuracy``, ``second_cohen_kappa``: see :func:`second_metrics`;
        - ``event_f1``, ``event_precision``, ``event_recall``, ``neg_false_alarms_per_hour``: see :func:`event_metrics`;
        - ``recall_at_false_alarms``: see :func:`recall_at_false_alarms`;
        - ``neg_cry_minutes_error`` (mean absolute error) and ``cry_minutes_correlation``, over recordings: see
          :func:`cry_minutes_metrics`.

        With several, recordings are scored once, and ``refit`` of a search must name one of them.
    label : str or None, default=None
        Class to score, for a detector of several classes. None means crying.
    merge_gap : float, default=5.0
        Gaps of at most so many seconds between annotations are closed for events and cry minutes, not for seconds. The
        truth does not depend on the ``merge_gap`` and ``min_duration`` of the detector, which a search may vary.
    min_duration : float, default=5.0
        Annotated crying that is then shorter than so many seconds is dropped for cry minutes, not for events.
    rate : float, default=1.0
        False alarms per hour, for ``recall_at_false_alarms``.
    matching : {"overlap", "iou", "collar"}, default="overlap"
        When an event counts as found, see :func:`event_counts`.
    min_overlap : float, default=0.5
        Share of an event, or of the union of two, for "overlap" and "iou".
    onset_collar : float, default=1.0
        Seconds by which onsets may differ, for "collar".
    offset_collar : float or None, default=1.0
        Seconds by which offsets may differ, for "collar". None: any offset will do.
    offset_share : float, default=0.5
        Share of the true event's length by which offsets may differ, for "collar".

    Returns
    -------
    callable
        ``scorer(estimator, X, y)``, which gives a float, or a dict where ``name`` is a list. Can be pickled. What is
        undefined is 0.0 (0.5 for ROC AUC and balanced accuracy), with an ``UndefinedMetricWarning``, so that a search
        can rank its settings although one split holds no crying. Raises TypeError where ``y`` holds labels rather than
        annotations, or the estimator is no detector, and ValueError where the detector has several classes and
        ``label`` names none of them.

    Raises
    ------
    ValueError
        If there is no scorer of that name.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV, GroupKFold
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcry import CryDetector, StatFeatures
    >>> from skcry.datasets import make_cry_recordings
    >>> from skcry.metrics import get_scorer
    >>> recordings, annotations, infants = make_cry_recordings(4, duration=30, random_state=0)
    >>> fast = make_pipeline(StatFeatures(["mfcc"]), StandardScaler(), LogisticRegression())
    >>> search = GridSearchCV(
    ...     CryDetector(fast, threshold=0.5),
    ...     {"threshold": [0.3, 0.5]},
    ...     scoring=get_scorer(["second_f1", "event_f1"]),
    ...     refit="second_f1",
    ...     cv=GroupKFold(2),
    ... )
    >>> results = search.fit(recordings, annotations, groups=infants).cv_results_
    >>> bool(results["mean_test_second_f1"].max() > 0)
    True
    """
    names = (name,) if isinstance(name, str) else tuple(name)
    unknown = [one for one in names if one not in _SCORERS]
    if unknown or not names:
        raise ValueError(f"{name!r} is not the name of a scorer, or a list of names. Known: {get_scorer_names()}.")
    options = {
        "label": label,
        "merge_gap": merge_gap,
        "min_duration": min_duration,
        "rate": rate,
        "matching": matching,
        "min_overlap": min_overlap,
        "onset_collar": onset_collar,
        "offset_collar": offset_collar,
        "offset_share": offset_share,
    }
    return _Scorer(name if isinstance(name, str) else names, options)
