"""Agreement of events with the truth, at one threshold or at many: counts of each recording, and rates from them.

Own code, because sed_eval, the reference in the tests, cannot be imported: its dependency dcase_util needs the module
``pkg_resources``, which setuptools has removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from .._compat import Interval, StrOptions, validate_params
from ..events import MAX_TIME, UNKNOWN, as_annotations, coverage, find_events, merge
from ..summary import HOUR, blocks, quote, rules_of
from .truth import as_items, check_scored

COUNTS = ["n_true", "n_found", "n_recalled", "n_correct", "hours"]
NO_EVENTS = np.empty((0, 2))
ROUNDING = 1e-9  # tolerance in seconds, because 0.3 - 0.2 and 0.2 - 0.1 differ in binary

_SECONDS = [Interval(Real, 0, None, closed="left")]
MATCHING = {
    "matching": [StrOptions({"overlap", "iou", "collar"})],
    "min_overlap": [Interval(Real, 0, 1, closed="right")],
    "onset_collar": _SECONDS,
    "offset_collar": [*_SECONDS, None],
    "offset_share": [Interval(Real, 0, 1, closed="both")],
}


def _ratio(part, whole):
    """Divide arrays; NaN where ``whole`` is 0 or NaN."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


class EventTable(NamedTuple):
    """A checked table of events: dicts from recording to onsets and offsets, each of shape (n_intervals, 2)."""

    events: dict
    unknown: dict  # stretches of unknown time
    recordings: set | None  # all recordings that were annotated, where that is known


def as_events(events, name):
    """Check a table of events; return an :class:`EventTable`."""
    if isinstance(events, EventTable):
        return events
    needed = ["recording", "onset", "offset"]
    if not isinstance(events, pd.DataFrame) or not set(needed) <= set(events.columns):
        got = list(events.columns) if isinstance(events, pd.DataFrame) else type(events).__name__
        raise TypeError(
            f"{name} must be a DataFrame with columns {needed}, got {got!s:.90}. Pass the result of event_truth or "
            "CryDetector.detect."
        )
    known = events["known"].to_numpy(dtype=bool) if "known" in events else np.ones(len(events), dtype=bool)

    def by_recording(rows, label):
        return {
            recording: as_annotations(part[needed[1:]].assign(label=label), name=name)[needed[1:]].to_numpy()
            for recording, part in rows.groupby("recording", sort=False)
        }

    annotated = set(events.attrs["recordings"]) if "recordings" in events.attrs else None
    return EventTable(by_recording(events[known], "cry"), by_recording(events[~known], UNKNOWN), annotated)


def _checked_events(true_events, found_events):
    """Check both tables of events, that both name recordings in the same way, and that all are annotated."""
    true, found = as_events(true_events, "true_events"), as_events(found_events, "found_events")
    if len({isinstance(recording, str) for recording in (*true.events, *found.events)}) > 1:
        raise ValueError(
            f"true_events and found_events call recordings differently: {[*true.events][:1]!s:.50} and "
            f"{[*found.events][:1]!s:.50}. Use numbers in both, or names in both: "
            "event_truth(dict(zip(names, annotations)))."
        )
    _check_annotated(found.events, true)
    return true, found


def _check_annotated(recordings, true):
    """Raise ValueError if the truth is that of other recordings."""
    missing = [one for one in recordings if true.recordings is not None and one not in true.recordings]
    if missing:
        raise ValueError(
            f"true_events: nothing for recording {quote(missing[0])} ({len(missing)} recordings), whose events were "
            "detected. Add its annotations to event_truth (an empty list if nothing was heard), or leave it out."
        )


def _known_part(found, unknown):
    """Shorten detected events (n_found, 2) to what begins and ends in known time; drop those with less than 1 s."""
    if len(found) == 0 or len(unknown) == 0:
        return found
    inside = coverage(unknown, *found.T)
    kept = []
    for (onset, offset), lost in zip(found, inside, strict=True):
        if offset - onset - lost < min(1.0, offset - onset) - ROUNDING:
            continue
        for begin, end in unknown if lost else ():
            onset = end if begin <= onset < end else onset
        for begin, end in unknown[::-1] if lost else ():
            offset = begin if begin < offset <= end else offset
        kept.append((onset, offset))
    return np.array(kept).reshape(-1, 2)


def _pair(recording, true, found):
    """Return true events and the known part of the detected ones of a recording: a pair of arrays (n_events, 2)."""
    unknown = true.unknown.get(recording, NO_EVENTS)
    return true.events.get(recording, NO_EVENTS), _known_part(found.events.get(recording, NO_EVENTS), unknown)


def _match(pair, matching, min_overlap, onset_collar, offset_collar, offset_share):
    """Match the pair of true events (n_true, 2) and found events (n_found, 2) of a recording; return their flags."""
    true, found = pair
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
    """Match detected events with true events.

    Parameters
    ----------
    true_events, found_events : DataFrame of shape (n_events, n_columns)
        Columns ``recording``, ``onset`` and ``offset`` in seconds, as :func:`event_truth` and
        :meth:`skcry.CryDetector.detect` give them.
    matching : {"overlap", "iou", "collar"}, default="overlap"
        What counts as a match, see :func:`event_counts`.
    min_overlap, onset_collar, offset_collar, offset_share : float, default=0.5, 1.0, 1.0, 0.5
        Settings of the match, see :func:`event_counts`.

    Returns
    -------
    true_events : DataFrame of shape (n_true_events, 4)
        Columns ``recording``, ``onset``, ``offset`` and ``recalled`` (bool), by recording, sorted by onset.
    found_events : DataFrame of shape (n_found_events, 4)
        The same with ``correct`` (bool).

    Raises
    ------
    TypeError, ValueError
        If a table has other columns, or one table numbers recordings and the other names them.

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
    criterion = matching, min_overlap, onset_collar, offset_collar, offset_share
    rows: tuple[list, list] = ([], [])
    for recording in dict.fromkeys([*true.events, *found.events]):
        pair = _pair(recording, true, found)
        for side, events, flags in zip(rows, pair, _match(pair, *criterion), strict=True):
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
    """Count true, detected and matched events of each recording.

    Parameters
    ----------
    true_events, found_events : DataFrame of shape (n_events, n_columns)
        Columns ``recording``, ``onset`` and ``offset`` in seconds, as :func:`event_truth` and
        :meth:`skcry.CryDetector.detect` give them.
    durations : list, dict, Series or None, default=None
        Duration of each recording in seconds, such as ``timeline.groupby("recording").size()``. Needed for false alarms
        per hour, and for rows of recordings without any event.
    matching : {"overlap", "iou", "collar"}, default="overlap"
        - "overlap": a detected event is correct when true events cover at least ``min_overlap`` of it; a true event is
          recalled when correct events cover at least ``min_overlap`` of it [1]_. Several short events can match a long
          one, but an event over the whole recording matches nothing.
        - "iou": one true and one detected event match when their intersection is at least ``min_overlap`` of their
          union.
        - "collar": one true and one detected event match when their onsets and offsets agree [2]_.

        With "iou" and "collar" the number of pairs is the largest possible.
    min_overlap : float, default=0.5
        Share of an event, or of the union of two, see ``matching``.
    onset_collar : float, default=1.0
        Largest difference of onsets in seconds. Timelines have a resolution of one second; sound event detection
        usually takes 0.2.
    offset_collar : float or None, default=1.0
        Largest difference of offsets in seconds, unless ``offset_share`` allows more. None ignores offsets.
    offset_share : float, default=0.5
        Largest difference of offsets, as a share of the duration of the true event.

    Returns
    -------
    DataFrame of shape (n_recordings, 5)
        Indexed by recording. Columns: numbers of events ``n_true``, ``n_found``, ``n_recalled`` (true events that were
        found) and ``n_correct`` (detected events that are correct; equal to ``n_recalled`` for "iou" and "collar"), and
        ``hours`` (NaN without durations).

    Raises
    ------
    TypeError, ValueError
        If a table has other columns, a recording with events has no duration or no truth, or one table numbers
        recordings and the other names them.

    Notes
    -----
    Unknown time in ``true_events`` counts neither in ``hours`` nor as false alarm: a detected event ends where it
    begins, and is left out if less than a second of it is known.

    References
    ----------
    .. [1] C. Bilen, G. Ferroni, F. Tuveri, J. Azcarreta and S. Krstulovic (2020). A framework for the robust evaluation
       of sound event detection. ICASSP. There called detection and ground truth tolerance criterion.
    .. [2] A. Mesaros, T. Heittola and T. Virtanen (2016). Metrics for polyphonic sound event detection. Applied
       Sciences 6(6), 162. Results are equal to those of its reference implementation, sed_eval.

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
    recordings = list(dict.fromkeys([*true.events, *found.events]))
    hours = dict.fromkeys(recordings, np.nan)
    if durations is not None:
        hours = {}
        for recording, seconds in as_items(durations, "durations").items():
            unknown = true.unknown.get(recording, NO_EVENTS)
            hours[recording] = (seconds - float(coverage(unknown, 0.0, min(seconds, MAX_TIME)))) / HOUR
        _check_annotated(hours, true)
        missing = [recording for recording in recordings if recording not in hours]
        if missing:
            raise ValueError(
                f"There are events in recording {quote(missing[0])}, but durations are for {[*hours][:3]!s:.90}... "
                "Add its duration, or leave out its events."
            )
    rows = []
    for recording in hours:
        pair = _pair(recording, true, found)
        recalled, correct = _match(pair, matching, min_overlap, onset_collar, offset_collar, offset_share)
        rows.append((len(recalled), len(correct), recalled.sum(), correct.sum(), hours[recording]))
    return pd.DataFrame(rows, columns=COUNTS, index=pd.Index([*hours], name="recording"))


@validate_params({"counts": [pd.DataFrame], "by": [str, None]}, prefer_skip_nested_validation=True)
def event_metrics(counts: pd.DataFrame, *, by: str | None = None) -> pd.DataFrame | pd.Series:
    """Compute rates from counts of events.

    Parameters
    ----------
    counts : DataFrame of shape (n_rows, 5)
        Result of :func:`event_counts` or :func:`threshold_counts`; rows are summed.
    by : str or None, default=None
        Level of the index to group rows by: "threshold" or "recording". None sums all rows.

    Returns
    -------
    Series of shape (4,), or DataFrame of shape (n_groups, 4)
        ``f1``, ``precision``, ``recall`` and ``false_alarms_per_hour`` (of detected events that are not correct).
        Undefined values are NaN: precision without detected events, recall without true events, F1 without either,
        false alarms per hour without durations.

    Examples
    --------
    >>> from skcry.metrics import event_counts, event_metrics, event_truth
    >>> true, found = event_truth([[(0, 20), (60, 80)]]), event_truth([[(2, 20), (100, 110)]])
    >>> event_metrics(event_counts(true, found, [1800])).to_dict()
    {'f1': 0.5, 'precision': 0.5, 'recall': 0.5, 'false_alarms_per_hour': 2.0}
    """
    total = counts[COUNTS].groupby(level=by).sum() if by else counts[COUNTS].sum().to_frame().T
    n_true, n_found, n_recalled, n_correct, hours = total.to_numpy(dtype=float).T
    precision, recall = _ratio(n_correct, n_found), _ratio(n_recalled, n_true)
    p, r = np.nan_to_num(precision), np.nan_to_num(recall)
    f1 = _ratio(2 * p * r, p + r)
    f1 = np.where(np.isnan(f1) & (n_true + n_found > 0), 0.0, f1)  # 0 without matches, NaN without events
    values = {
        "f1": f1,
        "precision": precision,
        "recall": recall,
        "false_alarms_per_hour": _ratio(n_found - n_correct, hours),
    }
    table = pd.DataFrame(values, index=total.index)
    return table if by else table.iloc[0].rename(None)


@validate_params(
    {
        "timeline": [pd.DataFrame],
        "n_thresholds": [Interval(Integral, 1, None, closed="left")],
        "merge_gap": [*_SECONDS, None],
        "min_duration": [*_SECONDS, None],
    },
    prefer_skip_nested_validation=True,
)
def threshold_counts(
    true_events: pd.DataFrame,
    timeline: pd.DataFrame,
    *,
    n_thresholds: int = 200,
    merge_gap: float | None = None,
    min_duration: float | None = None,
    **matching: Any,
) -> pd.DataFrame:
    """Count events at many thresholds on the score, see :func:`event_counts`.

    Parameters
    ----------
    true_events : DataFrame of shape (n_true_events, n_columns)
        Columns ``recording``, ``onset`` and ``offset`` in seconds, as :func:`event_truth` gives them.
    timeline : DataFrame of shape (n_seconds, n_columns)
        Indexed by recording and second, with the column ``score``.
    n_thresholds : int, default=200
        Largest number of thresholds. From one to the next, the number of seconds above it grows by a constant factor.
    merge_gap, min_duration : float or None, default=None
        How seconds become events, see :func:`skcry.events.find_events`. None means the rule of the detector that made
        the timeline, else 5 s.
    **matching : dict
        ``matching``, ``min_overlap``, ``onset_collar``, ... of :func:`event_counts`.

    Returns
    -------
    DataFrame of shape (n_thresholds * n_recordings, 5)
        Indexed by ``threshold`` (descending) and ``recording``; columns as in :func:`event_counts`.

    Raises
    ------
    ValueError
        If the timeline has no scores, or a true event belongs to a recording that the timeline does not hold.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry.metrics import event_metrics, threshold_counts, event_truth
    >>> index = pd.MultiIndex.from_product([[0], range(120)], names=["recording", "second"])
    >>> timeline = pd.DataFrame({"score": [0.9] * 20 + [0.1] * 40 + [0.6] * 20 + [0.1] * 40}, index=index)
    >>> event_metrics(threshold_counts(event_truth([[(0, 18)]]), timeline), by="threshold")["precision"].to_dict()
    {0.1: 0.0, 0.6: 0.5, 0.9: 1.0}
    """
    check_scored(timeline)
    recordings, first, second = blocks(timeline)
    score = timeline["score"].to_numpy(dtype=float)
    durations = pd.Series(np.diff(first, append=len(score)), index=recordings)
    true = as_events(true_events, "true_events")
    rules = rules_of(timeline, merge_gap, min_duration)
    ordered = np.sort(score)[::-1]
    ranks = np.geomspace(1, len(score), n_thresholds).astype(int) - 1
    counts = {}
    for threshold in np.unique(ordered[ranks])[::-1]:
        active, found = score >= threshold, {}
        for recording, begin, seconds in zip(recordings, first, durations, strict=True):
            bouts = find_events(active[begin : begin + seconds], **rules)
            if len(bouts):
                found[recording] = bouts + second[begin]
        counts[threshold] = event_counts(true, EventTable(found, {}, None), durations, **matching)
    return pd.concat(counts, names=["threshold", "recording"])


@validate_params(
    {"counts": [pd.DataFrame], "rate": [Interval(Real, 0, None, closed="left")]}, prefer_skip_nested_validation=True
)
def recall_at_false_alarms(counts: pd.DataFrame, rate: float = 1.0) -> float:
    """Highest recall of events at a limited rate of false alarms.

    Parameters
    ----------
    counts : DataFrame of shape (n_thresholds * n_recordings, 5)
        Result of :func:`threshold_counts`.
    rate : float, default=1.0
        Largest number of false alarms per hour. In less than ``1 / rate`` hours of recordings it allows none.

    Returns
    -------
    float
        Highest recall over the thresholds that keep to the rate: 0 if there is no such threshold, NaN without true
        events. The threshold is chosen on the same recordings, so this is an upper bound.

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
