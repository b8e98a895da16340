"""True seconds and true events from annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd

from .._compat import Interval, StrOptions, validate_params
from .._typing import Annotations, Labels
from ..events import UNKNOWN, LabelMap, class_intervals, classify_known, merge
from ..summary import blocks, quote

_LABELS = [str, tuple, list]
_SECONDS = [Interval(Real, 0, None, closed="left")]
_MEANING = {
    "positive": _LABELS,
    "negative": [*_LABELS, None],
    "ignore": _LABELS,
    "overlap": [StrOptions({"union", "raise"})],
}


def as_items(values, name):
    """Return a dict from recording (its key, or its position in a list) to entry."""
    if isinstance(values, (Mapping, pd.Series)):
        return dict(values.items())
    if isinstance(values, (str, pd.DataFrame)) or not hasattr(values, "__len__"):
        raise TypeError(
            f"{name} must be a list with one entry per recording, or a dict from recording to entry, got "
            f"{type(values).__name__}. For a single recording pass [{name}]."
        )
    return dict(enumerate(values))


def _of_recordings(values, recordings, name):
    """List the entry of each recording of a timeline, from a list in the order of ``X`` or a dict."""
    items = as_items(values, name)
    in_order = not isinstance(values, (Mapping, pd.Series)) and recordings.dtype.kind not in "iu"
    if in_order and len(items) != len(recordings):
        raise ValueError(
            f"{name} holds {len(items)} entries, but the timeline {len(recordings)} recordings. Pass one for each, in "
            "their order, or a dict from recording to entry."
        )
    keys = range(len(recordings)) if in_order else recordings
    missing = [key for key in keys if key not in items]
    if missing:
        raise ValueError(
            f"{name}: nothing for recording {quote(missing[0])} ({len(missing)} of {len(recordings)} recordings of "
            "the timeline). Add an entry (an empty list if nothing was annotated), or drop the recording."
        )
    return [items[key] for key in keys]


def _bouts(annotations, label_map, merge_gap, recording, duration=None):
    """Return annotated crying in one recording, merged (n_bouts, 2), and unknown time (n_intervals, 2)."""
    name = f"annotations of recording {quote(recording)}"
    intervals = class_intervals(annotations, label_map, duration=duration, name=name)
    none = np.empty((0, 2))
    return merge(intervals.get(1, none), merge_gap), intervals.get(None, none)


def known_and_true(truth):
    """Return which seconds of a truth are known, and which are crying, both bool of shape (n_seconds,)."""
    truth = np.asarray(truth)
    known = ~pd.isna(truth)
    return known, np.where(known, truth, False).astype(bool)


@validate_params(
    {
        "timeline": [pd.DataFrame],
        **_MEANING,
        "min_overlap": [Interval(Real, 0, 1, closed="right")],
        "merge_gap": _SECONDS,
    },
    prefer_skip_nested_validation=True,
)
def second_truth(
    annotations: Sequence[Annotations] | Mapping[Any, Annotations],
    timeline: pd.DataFrame,
    *,
    positive: Labels = ("cry",),
    negative: Labels | None = None,
    ignore: Labels = (UNKNOWN,),
    overlap: Literal["union", "raise"] = "union",
    min_overlap: float = 0.5,
    merge_gap: float = 0.0,
    durations: Sequence[float] | Mapping[Any, float] | pd.Series | None = None,
) -> pd.Series:
    """Mark the seconds of a timeline that are annotated as crying.

    Parameters
    ----------
    annotations : list, or dict from recording, of DataFrame or list of tuples
        Annotations of each recording, see :func:`skcry.events.as_annotations`; a list is in the order of ``X``.
    timeline : DataFrame of shape (n_seconds, n_columns)
        Indexed by recording and second, as :meth:`skcry.CryDetector.timeline` gives it.
    positive, negative : str, tuple of str, default=("cry",), None
        Labels that count as crying and labels that do not, see :class:`skcry.events.LabelMap`.
    ignore : str or tuple of str, default=("unknown",)
        Labels of unknown time.
    overlap : {"union", "raise"}, default="union"
        Whether other labels may overlap those of crying.
    min_overlap : float, default=0.5
        Smallest share of a crying second that annotations of crying cover.
    merge_gap : float, default=0.0
        Longest gap in seconds between annotations of crying that is closed first.
    durations : list, dict, Series or None, default=None
        Duration of each recording in seconds, which may end within a second. None means whole seconds.

    Returns
    -------
    Series of bool of shape (n_seconds,)
        True where a second is crying, with the index of the timeline. If some seconds are unknown, these are
        ``pd.NA`` and the dtype is "boolean"; the functions of this module leave them out.

    Raises
    ------
    ValueError
        If the timeline has another index, a recording has no entry, or annotations are invalid.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry.metrics import second_truth
    >>> index = pd.MultiIndex.from_product([[0], range(4)], names=["recording", "second"])
    >>> second_truth([[(0.8, 2.5)]], pd.DataFrame(index=index)).to_list()
    [False, True, True, False]
    """
    recordings, first, second = blocks(timeline)
    ends = [*first[1:], len(timeline)]
    known = _of_recordings(annotations, recordings, "annotations")
    lengths = [None] * len(recordings)
    if durations is not None:
        lengths = _of_recordings(durations, recordings, "durations")
    label_map = LabelMap(positive, negative, ignore, overlap)
    truth, unknown = np.zeros((2, len(timeline)), dtype=bool)
    for recording, begin, end, table, duration in zip(recordings, first, ends, known, lengths, strict=False):
        onset = second[begin:end].astype(float)
        duration = onset[-1] + 1 if duration is None else float(duration)
        bouts, open_time = _bouts(table, label_map, merge_gap, recording, duration)
        table = pd.DataFrame(np.concatenate([bouts, open_time]), columns=["onset", "offset"])
        table["label"] = np.repeat(["cry", UNKNOWN], [len(bouts), len(open_time)])
        about = {"min_overlap": min_overlap, "duration": duration}
        found = classify_known(table, LabelMap(), onset, onset + 1, **about)
        truth[begin:end], unknown[begin:end] = found.chosen, ~found.known
    series = pd.Series(truth, index=timeline.index, name="truth")
    return series.astype("boolean").mask(unknown) if unknown.any() else series


@validate_params({**_MEANING, "merge_gap": _SECONDS}, prefer_skip_nested_validation=True)
def event_truth(
    annotations: Sequence[Annotations] | Mapping[Any, Annotations],
    *,
    positive: Labels = ("cry",),
    negative: Labels | None = None,
    ignore: Labels = (UNKNOWN,),
    overlap: Literal["union", "raise"] = "union",
    merge_gap: float = 5.0,
) -> pd.DataFrame:
    """Convert annotations to events of crying, in the form of :meth:`skcry.CryDetector.detect`.

    Parameters
    ----------
    annotations : list, or dict from recording, of DataFrame or list of tuples
        Annotations of each recording, see :func:`skcry.events.as_annotations`.
    positive, negative : str, tuple of str, default=("cry",), None
        Labels that count as crying and labels that do not, see :class:`skcry.events.LabelMap`.
    ignore : str or tuple of str, default=("unknown",)
        Labels of unknown time.
    overlap : {"union", "raise"}, default="union"
        Whether other labels may overlap those of crying.
    merge_gap : float, default=5.0
        Longest gap in seconds between annotations that is closed, as a detector does (Yao et al., 2022). 0 merges only
        annotations that overlap or touch. Short events are kept.

    Returns
    -------
    DataFrame of shape (n_events, 3)
        Columns ``recording`` (position in the list or key of the dict), ``onset`` and ``offset`` in seconds. If there
        is unknown time, also ``known`` (bool): the rows that are False are stretches of unknown time, which the
        functions of this module leave out. ``attrs["recordings"]`` lists the recordings.

    Raises
    ------
    TypeError, ValueError
        If annotations are invalid.

    Examples
    --------
    >>> from skcry.metrics import event_truth
    >>> event_truth([[(2.0, 4.0), (7.0, 9.0)], [], [(1.0, 3.0, "cry"), (3.0, 4.0, "fuss")]])
       recording  onset  offset
    0          0    2.0     9.0
    1          2    1.0     3.0
    """
    label_map = LabelMap(positive, negative, ignore, overlap)
    items, rows = as_items(annotations, "annotations"), []
    for recording, one in items.items():
        for known, intervals in zip((True, False), _bouts(one, label_map, merge_gap, recording), strict=True):
            rows += [(recording, *interval, known) for interval in intervals]
    table = pd.DataFrame(rows, columns=["recording", "onset", "offset", "known"])
    table = table.astype({"onset": float, "offset": float, "known": bool, **({} if rows else {"recording": int})})
    if table["known"].all():
        table = table.drop(columns="known")
    # Recordings without events have no row, but were annotated: event_counts compares these with the detections.
    table.attrs["recordings"] = list(items)
    return table


def check_same_seconds(truth, timeline):
    """Raise ValueError if truth and timeline have other seconds."""
    if len(truth) != len(timeline) or (isinstance(truth, pd.Series) and not truth.index.equals(timeline.index)):
        raise ValueError(
            f"truth ({len(truth)} seconds) and timeline ({len(timeline)} seconds) are not of the same seconds. Pass "
            "the result of second_truth(annotations, timeline) for this timeline."
        )


def check_scored(timeline):
    """Raise ValueError if a timeline has no rows or no scores."""
    if "score" not in timeline or timeline.empty:
        raise ValueError(
            f"timeline has {len(timeline)} seconds and columns {list(timeline.columns)!s:.60}, but some seconds and "
            "'score' are needed. With more than two classes choose one: timeline.assign(score=timeline['cry'])."
        )
