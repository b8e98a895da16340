"""How good a detector is: per second, per event, in false alarms and in cry minutes per hour.

Three steps, each a plain table that can be looked at. Annotations become truth (:func:`second_truth`,
:func:`event_truth`); truth is compared with what a detector gives (its ``timeline``, its ``detect``) recording by
recording; and the comparison becomes numbers (functions that end in ``_metrics``). Because the tables keep recordings
apart, :func:`bootstrap_interval` can draw whole recordings, or infants. :func:`get_scorer` does all of it by name, for
``GridSearchCV`` over recordings.
"""

from .bootstrap import bootstrap_interval
from .events import event_counts, event_metrics, match_events, recall_at_false_alarms, threshold_counts
from .scorers import get_scorer, get_scorer_names
from .seconds import cry_minutes, cry_minutes_metrics, second_metrics
from .truth import event_truth, second_truth

__all__ = [
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
