"""How well events agree with the truth, at one threshold or at many: counts of each recording, and rates from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from .._compat import Interval, StrOptions, validate_params
from ..events import as_annotations, coverage, find_events, merge
from ..summary import HOUR, blocks, quote
from .seconds import ratio
from .truth import as_items

COUNTS = ["n_true", "n_found", "n_recalled", "n_correct", "hours"]
ROUNDING = 1e-9  # seconds; lengths that are equal on paper differ by binary fractions

_SECONDS = [Interval(Real, 0, None, closed="left")]
MATCHING = {
    "matching": [StrOptions({"overlap", "iou", "collar"})],
    "min_overlap": [Interval(Real, 0, 1, closed="right")],
    "onset_collar": _SECONDS,
    "offset_collar": [*_SECONDS, None],
    "offset_share": [Interval(Real, 0, 1, closed="both")],
}


def _as_events(events, name):
    """Check a table of events; give the onsets and offsets of each recording, in their order."""
    if isinstance(events, dict):  # checked already
        return events
    needed = ["recording", "onset", "offset"]
    if not isinstance(events, pd.DataFrame) or not set(needed) <= set(events.columns):
        got = list(events.columns) if isinstance(events, pd.DataFrame) else type(events).__name__
        raise TypeError(
            f"{name} must be a DataFrame with columns {needed}, as event_truth and CryDetector.detect give it, "
            f"got {got}."
        )
    return {
        recording: as_annotations(rows[["onset", "offset"]], name=name)[["onset", "offset"]].to_numpy()
        for recording, rows in events.groupby("recording", sort=False)
    }


def _match(true, found, *, matching, min_overlap, onset_collar, offset_collar, offset_share):
    """Tell which true events were found, and which found ones are right, in one recording."""
    recalled, correct = np.zeros(len(true), dtype=bool), np.zeros(len(found), dtype=bool)
    if len(true) == 0 or len(found) == 0:
        return recalled, correct
    if matching == "overlap":
        correct = coverage(merge(true), *found.T) >= min_overlap * (found[:, 1] - found[:, 0]) - ROUNDING
        recalled = coverage(merge(found[correct]), *true.T) >= min_overlap * (true[:, 1] - true[:, 0]) - ROUNDING
        return recalled, correct
    (onset, offset), (found_onset, found_offset) = true.T[:, :, None], found.T[:, None, :]
    if matching == "iou":
        shared = np.maximum(np.minimum(offset, found_offset) - np.maximum(onset, found_onset), 0)
        union = (offset - onset) + (found_offset - found_onset) - shared
        fits = shared >= min_overlap * union - ROUNDING
    else:
        fits = np.abs(onset - found_onset) <= onset_collar + ROUNDING
        if offset_collar is not None:
            collar = np.maximum(offset_collar, offset_share * (offset - onset))
            fits &= np.abs(offset - found_offset) <= collar + ROUNDING
    partner = maximum_bipartite_matching(csr_array(fits), perm_type="column")
    recalled = partner >= 0
    correct[partner[recalled]] = True
    return recalled, correct


def _checked_events(true_events, found_events):
    """Check both tables of events, and that they call recordings alike."""
    true, found = _as_events(true_events, "true_events"), _as_events(found_events, "found_events")
    if len({isinstance(recording, str) for recording in (*true, *found)}) > 1:
        raise ValueError(
            f"true_events and found_events call recordings differently: {[*true][:2]} and {[*found][:2]}. Name them "
            "alike, by number or by name."
        )
    return true, found


@validate_params(MATCHING, prefer_skip_nested_validation=True)
def match_events(
    true_events: pd.DataFrame,
    found_events: pd.DataFrame,
    *,
    matching: Literal["overlap", "iou", "collar"] = "overlap",
    min_overlap: float = 0.5,
    onset_collar: float = 1.0,
    offset_collar: float | None = 1.0,
    offset_share: float = 0.5,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tell which true events were found, and which found ones are right.

    Parameters
    ----------
    true_events, found_events : DataFrame of shape (n_events, n_columns)
        Columns ``recording``, ``onset`` and ``offset`` in seconds, as :func:`event_truth` and
        :meth:`skcry.CryDetector.detect` give them.
    matching : {"overlap", "iou", "collar"}, default="overlap"
        What a match is; see :func:`event_counts`, which counts what this tells one by one.
    min_overlap : float, default=0.5
        See :func:`event_counts`.
    onset_collar : float, default=1.0
        See :func:`event_counts`.
    offset_collar : float or None, default=1.0
        See :func:`event_counts`.
    offset_share : float, default=0.5
        See :func:`event_counts`.

    Returns
    -------
    true_events : DataFrame of shape (n_true_events, 4)
        Columns ``recording``, ``onset``, ``offset`` and ``recalled`` (bool), by recording and onset.
    found_events : DataFrame of shape (n_found_events, 4)
        The same with ``correct`` (bool).

    Raises
    ------
    TypeError, ValueError
        If a table has another form, or recordings go by number in one table and by name in the other.

    Examples
    --------
    >>> from skcry.metrics import event_truth, match_events
    >>> true, found = event_truth([[(0, 20), (60, 80)]]), event_truth([[(2, 20), (100, 110)]])
    >>> match_events(true, found)[0]
       recording  onset  offset  recalled
    0          0    0.0    20.0      True
    1          0   60.0    80.0     False
    """
    true, found = _checked_events(true_events, found_events)
    criterion = {
        "matching": matching,
        "min_overlap": min_overlap,
        "onset_collar": onset_collar,
        "offset_collar": offset_collar,
        "offset_share": offset_share,
    }
    none = np.empty((0, 2))
    rows: tuple[list, list] = ([], [])
    for recording in dict.fromkeys([*true, *found]):
        pair = true.get(recording, none), found.get(recording, none)
        for side, events, flags in zip(rows, pair, _match(*pair, **criterion), strict=True):
            side.extend(zip([recording] * len(events), *events.T, flags, strict=True))
    tables = []
    for side, flag in zip(rows, ("recalled", "correct"), strict=True):
        table = pd.DataFrame(side, columns=["recording", "onset", "offset", flag])
        tables.append(table.astype({"onset": float, "offset": float, flag: bool}))
    return tuple(tables)


@validate_params(MATCHING, prefer_skip_nested_validation=True)
def event_counts(
    true_events: pd.DataFrame,
    found_events: pd.DataFrame,
    durations: Sequence[float] | Mapping[Any, float] | pd.Series | None = None,
    *,
    matching: Literal["overlap", "iou", "collar"] = "overlap",
    min_overlap: float = 0.5,
    onset_collar: float = 1.0,
    offset_collar: float | None = 1.0,
    offset_share: float = 0.5,
) -> pd.DataFrame:
    """Count in each recording what was found of the true events, and what of the found ones is right.

    Parameters
    ----------
    true_events : DataFrame of shape (n_true_events, n_columns)
        Columns ``recording``, ``onset`` and ``offset`` in seconds, as :func:`event_truth` gives them.
    found_events : DataFrame of shape (n_found_events, n_columns)
        The same, as :meth:`skcry.CryDetector.detect` gives it.
    durations : list, dict, Series or None, default=None
        Length of each recording in seconds, such as ``timeline.groupby("recording").size()``. False alarms per hour
        need it, and so do recordings without any event, which have no row otherwise.
    matching : {"overlap", "iou", "collar"}, default="overlap"
        - "overlap": a found event is right when crying covers at least ``min_overlap`` of it; a true one is found when
          found events that are right cover at least ``min_overlap`` of it [1]_. Pieces may make up a whole, and a
          detector that never stops finds nothing.
        - "iou": one true with one found event, whose intersection is at least ``min_overlap`` of their union;
        - "collar": one true with one found event, whose onsets and offsets agree [2]_.

        One with one means the largest possible number of pairs.
    min_overlap : float, default=0.5
        See ``matching``.
    onset_collar : float, default=1.0
        Seconds by which onsets may differ. Timelines resolve one second; sound event detection at large uses 0.2.
    offset_collar : float or None, default=1.0
        Seconds by which offsets may differ, where ``offset_share`` does not allow for more. None: any offset will do.
    offset_share : float, default=0.5
        Share of the true event's length by which offsets may differ.

    Returns
    -------
    DataFrame of shape (n_recordings, 5)
        Indexed by recording: ``n_true`` and ``n_found`` events, ``n_recalled`` of the true and ``n_correct`` of the
        found ones (equal for pairs), and ``hours`` (NaN without durations). See :func:`event_metrics`.

    Raises
    ------
    TypeError, ValueError
        If a table has another form, an event is of a recording without duration, or recordings go by number in one
        table and by name in the other.

    References
    ----------
    .. [1] C. Bilen, G. Ferroni, F. Tuveri, J. Azcarreta and S. Krstulovic (2020). A framework for the robust evaluation
       of sound event detection. ICASSP. There, as tolerance criteria for detections and ground truth.
    .. [2] A. Mesaros, T. Heittola and T. Virtanen (2016). Metrics for polyphonic sound event detection. Applied
       Sciences 6(6), 162. The numbers are those of its reference implementation, sed_eval.

    Examples
    --------
    >>> from skcry.metrics import event_counts, event_truth
    >>> true = event_truth([[(0, 20), (60, 80)], []])
    >>> found = event_truth([[(1, 8), (14, 21), (75, 90)], [(3, 9)]])
    >>> event_counts(true, found, [120, 60])
               n_true  n_found  n_recalled  n_correct     hours
    recording
    0               2        3           1          2  0.033333
    1               0        1           0          0  0.016667
    """
    true, found = _checked_events(true_events, found_events)
    recordings = list(dict.fromkeys([*true, *found]))
    hours = dict.fromkeys(recordings, np.nan)
    if durations is not None:
        hours = {recording: seconds / HOUR for recording, seconds in as_items(durations, "durations").items()}
        missing = [recording for recording in recordings if recording not in hours]
        if missing:
            raise ValueError(
                f"There are events in recording {quote(missing[0])}, but durations are for {[*hours][:3]}... Add its "
                "duration, or leave out its events."
            )
    criterion = {
        "matching": matching,
        "min_overlap": min_overlap,
        "onset_collar": onset_collar,
        "offset_collar": offset_collar,
        "offset_share": offset_share,
    }
    none = np.empty((0, 2))
    rows = []
    for recording in hours:
        ours, theirs = true.get(recording, none), found.get(recording, none)
        recalled, correct = _match(ours, theirs, **criterion)
        rows.append((len(ours), len(theirs), recalled.sum(), correct.sum(), hours[recording]))
    return pd.DataFrame(rows, columns=COUNTS, index=pd.Index([*hours], name="recording"))


@validate_params({"counts": [pd.DataFrame], "by": [str, None]}, prefer_skip_nested_validation=True)
def event_metrics(counts: pd.DataFrame, *, by: str | None = None) -> pd.DataFrame | pd.Series:
    """Turn counts of events into rates.

    Parameters
    ----------
    counts : DataFrame of shape (n_rows, 5)
        What :func:`event_counts` or :func:`threshold_counts` gives; rows are summed.
    by : str or None, default=None
        Name of the index to keep: "threshold" gives the curve of a detector, "recording" a row per recording.

    Returns
    -------
    Series of shape (4,), or DataFrame of shape (n_groups, 4)
        ``f1``, ``precision`` (right among the found), ``recall`` (found among the true) and ``false_alarms_per_hour``
        (found events that are not right). NaN is what has no meaning: precision where nothing was found, recall where
        there is nothing to find, F1 where both; false alarms per hour without durations.

    Examples
    --------
    >>> from skcry.metrics import event_counts, event_metrics, event_truth
    >>> true, found = event_truth([[(0, 20), (60, 80)]]), event_truth([[(2, 20), (100, 110)]])
    >>> event_metrics(event_counts(true, found, [1800])).to_dict()
    {'f1': 0.5, 'precision': 0.5, 'recall': 0.5, 'false_alarms_per_hour': 2.0}
    """
    total = counts[COUNTS].groupby(level=by).sum() if by else counts[COUNTS].sum().to_frame().T
    n_true, n_found, n_recalled, n_correct, hours = total.to_numpy(dtype=float).T
    precision, recall = ratio(n_correct, n_found), ratio(n_recalled, n_true)
    # Where one side is empty nothing is right: F1 is 0, not undefined.
    f1 = ratio(2 * np.nan_to_num(precision) * np.nan_to_num(recall), np.nan_to_num(precision) + np.nan_to_num(recall))
    f1 = np.where(np.isnan(f1) & (n_true + n_found > 0), 0.0, f1)
    values = {
        "f1": f1,
        "precision": precision,
        "recall": recall,
        "false_alarms_per_hour": ratio(n_found - n_correct, hours),
    }
    table = pd.DataFrame(values, index=total.index)
    return table if by else table.iloc[0].rename(None)


@validate_params(
    {
        "timeline": [pd.DataFrame],
        "n_thresholds": [Interval(Integral, 1, None, closed="left")],
        "merge_gap": _SECONDS,
        "min_duration": _SECONDS,
    },
    prefer_skip_nested_validation=True,
)
def threshold_counts(
    true_events: pd.DataFrame,
    timeline: pd.DataFrame,
    *,
    n_thresholds: int = 200,
    merge_gap: float = 5.0,
    min_duration: float = 5.0,
    **matching: Any,
) -> pd.DataFrame:
    """Count events, as :func:`event_counts` does, at many thresholds on the score.

    Parameters
    ----------
    true_events : DataFrame of shape (n_true_events, n_columns)
        Columns ``recording``, ``onset`` and ``offset`` in seconds, as :func:`event_truth` gives them.
    timeline : DataFrame of shape (n_seconds, n_columns)
        Indexed by recording and second, with the column ``score``.
    n_thresholds : int, default=200
        Largest number of thresholds. They lie closer where few seconds exceed them: from one to the next, the number of
        seconds that do grows by a constant factor.
    merge_gap, min_duration : float, default=5.0
        Rules by which seconds become events, see :func:`skcry.events.find_events`; those of the detector.
    **matching : dict
        ``matching``, ``min_overlap``, ``onset_collar``, ... of :func:`event_counts`.

    Returns
    -------
    DataFrame of shape (n_thresholds * n_recordings, 5)
        Indexed by ``threshold``, falling, and ``recording``; columns as those of :func:`event_counts`.

    Raises
    ------
    ValueError
        If the timeline has another form, or a true event is of a recording that it lacks.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry.metrics import event_metrics, threshold_counts, event_truth
    >>> index = pd.MultiIndex.from_product([[0], range(120)], names=["recording", "second"])
    >>> timeline = pd.DataFrame({"score": [0.9] * 20 + [0.1] * 40 + [0.6] * 20 + [0.1] * 40}, index=index)
    >>> event_metrics(threshold_counts(event_truth([[(0, 18)]]), timeline), by="threshold")["precision"].to_dict()
    {0.1: 0.0, 0.6: 0.5, 0.9: 1.0}
    """
    if "score" not in timeline or timeline.empty:
        raise ValueError(
            f"timeline has {len(timeline)} seconds and columns {list(timeline.columns)}, but some seconds and 'score' "
            "are needed. With more than two classes name the one that counts: timeline.assign(score=timeline['cry'])."
        )
    recordings, first, second = blocks(timeline)
    score = timeline["score"].to_numpy(dtype=float)
    durations = pd.Series(np.diff(first, append=len(score)), index=recordings)
    true = _as_events(true_events, "true_events")
    ordered = np.sort(score)[::-1]
    ranks = np.geomspace(1, len(score), n_thresholds).astype(int) - 1
    counts = {}
    for threshold in np.unique(ordered[ranks])[::-1]:
        active, found = score >= threshold, {}
        for recording, begin, seconds in zip(recordings, first, durations, strict=True):
            bouts = find_events(active[begin : begin + seconds], merge_gap=merge_gap, min_duration=min_duration)
            if len(bouts):
                found[recording] = bouts + second[begin]
        counts[threshold] = event_counts(true, found, durations, **matching)
    return pd.concat(counts, names=["threshold", "recording"])


@validate_params(
    {"counts": [pd.DataFrame], "rate": [Interval(Real, 0, None, closed="left")]}, prefer_skip_nested_validation=True
)
def recall_at_false_alarms(counts: pd.DataFrame, rate: float = 1.0) -> float:
    """Share of the true events that is found at a threshold of at most so many false alarms per hour.

    Parameters
    ----------
    counts : DataFrame of shape (n_thresholds * n_recordings, 5)
        What :func:`threshold_counts` gives.
    rate : float, default=1.0
        False alarms per hour. In less than ``1 / rate`` hours of recordings a single one is too many.

    Returns
    -------
    float
        The highest recall among the thresholds that keep to the rate; 0 where none does, NaN where there is no true
        event. It says what the scores allow for, not that the threshold is known beforehand.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry.metrics import recall_at_false_alarms, threshold_counts, event_truth
    >>> index = pd.MultiIndex.from_product([[0], range(1800)], names=["recording", "second"])
    >>> score = [0.9] * 20 + [0.1] * 40 + [0.6] * 20 + [0.1] * 40 + [0.5] * 10 + [0.1] * 1670
    >>> counts = threshold_counts(event_truth([[(0, 18), (120, 130)]]), pd.DataFrame({"score": score}, index=index))
    >>> recall_at_false_alarms(counts, rate=1.0), recall_at_false_alarms(counts, rate=2.0)
    (0.5, 1.0)
    """
    curve = event_metrics(counts, by="threshold")
    if curve["recall"].isna().all():
        return np.nan
    allowed = curve["recall"][curve["false_alarms_per_hour"] <= rate]
    return float(allowed.max()) if len(allowed) else 0.0
