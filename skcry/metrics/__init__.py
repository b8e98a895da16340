"""Metrics per second, per event, in false alarms and in cry minutes per hour.

:func:`second_truth` and :func:`event_truth` convert annotations to tables of truth. These are compared with the
``timeline`` and the ``detect`` of a detector, recording by recording. Functions that end in ``_metrics`` summarise the
comparison, and :func:`bootstrap_interval` resamples recordings or infants. :func:`get_scorer` does all of this by name,
for ``GridSearchCV`` over recordings. :func:`agreement` compares two annotators, neither of whom is the truth.
"""

from .annotators import agreement
from .bootstrap import bootstrap_interval
from .events import event_counts, event_metrics, match_events, recall_at_false_alarms, threshold_counts
from .scorers import get_scorer, get_scorer_names
from .seconds import cry_minutes, cry_minutes_metrics, second_metrics
from .truth import event_truth, second_truth

__all__ = [
    "agreement",
    "bootstrap_interval",
    "cry_minutes",
    "cry_minutes_metrics",
    "event_counts",
    "event_metrics",
    "event_truth",
    "get_scorer",
    "get_scorer_names",
    "match_events",
    "recall_at_false_alarms",
    "second_metrics",
    "second_truth",
    "threshold_counts",
]
