"""Summary of a timeline: how much an infant cried, in how many bouts, at what hours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from numbers import Real
from typing import Literal

import numpy as np
import pandas as pd

from ._compat import Interval, StrOptions, validate_params
from .events import find_events

HOUR = 3600  # seconds
NANOSECONDS = 10**9  # in a second
STATISTICS = {"mean": "mean", "median": "median", "longest": "max"}  # of bouts and gaps, by pandas' names


def quote(recording):
    """Return the repr of a recording, of numpy's numbers without their type."""
    return repr(recording.item() if isinstance(recording, np.generic) else recording)


def flags(timeline, name):
    """Return a column of the timeline as array of bool of shape (n_seconds,)."""
    column = timeline[name]
    if column.dtype == bool:
        return column.to_numpy()
    faulty = ~column.isin([True, False])
    if faulty.any():
        where = faulty.idxmax()
        raise ValueError(
            f"timeline: '{name}' is {column[where]!r} at recording {quote(where[0])}, second {where[1]}, but must be "
            "True or False. Fill it in, or leave the recording out."
        )
    return column.to_numpy(dtype=bool)


def blocks(timeline):
    """Check the index of a timeline; return its recordings and their first rows (n_recordings,), and its seconds."""
    if list(timeline.index.names) != ["recording", "second"]:
        raise ValueError(
            f"timeline is indexed by {list(timeline.index.names)}, but must be by ['recording', 'second'], as "
            "CryDetector.timeline gives it. Call timeline.set_index(['recording', 'second'])."
        )
    # Comparing codes is much faster than comparing names.
    code, second = timeline.index.codes[0], timeline.index.get_level_values("second").to_numpy()
    if (code < 0).any():
        raise ValueError("timeline: some rows have no recording. Fill it in or drop these rows.")
    if len(second) and second.dtype.kind not in "iu":
        raise ValueError(f"timeline: seconds have dtype {second.dtype}, but must be whole numbers. Use astype(int).")
    first = np.flatnonzero(np.diff(code, prepend=-1))
    recordings = timeline.index.levels[0].take(code[first])
    twice = recordings[recordings.duplicated()]
    if len(twice):
        raise ValueError(
            f"timeline: the rows of recording {quote(twice[0])} do not stand together. Call timeline.sort_index(), and "
            "give each recording its own name."
        )
    second = second.astype(np.int64)
    faulty = np.diff(second) != 1
    faulty[first[1:] - 1] = False
    if faulty.any():
        row = int(np.argmax(faulty))
        raise ValueError(
            f"timeline: in recording {quote(timeline.index[row][0])} second {second[row + 1]} follows second "
            f"{second[row]}, but seconds must be sorted, none missing or twice. Pass the output of "
            "CryDetector.timeline; mark seconds to ignore in its column 'usable'."
        )
    return recordings, first, second


def as_time(time, recording):
    """Return one start time as Timestamp."""
    try:
        # Not by pandas, which reads "07:30" as a time of today, and "3/4" as a day in March.
        time = datetime.fromisoformat(time) if isinstance(time, str) else time
        known = isinstance(time, (datetime, np.datetime64)) and not pd.isna(time)
    except ValueError:
        known = False
    if not known:
        raise ValueError(
            f"start of recording {quote(recording)} is {repr(time)[:100]}, but must be a date and a time, such as "
            "pd.Timestamp('2024-03-31 07:30', tz='Europe/Vienna') or '2024-03-31 07:30'."
        )
    return pd.Timestamp(time)


def start_times(start, recordings):
    """Return the start of each recording in nanoseconds (UTC, or local without time zone), and the time zone."""
    if isinstance(start, (Mapping, pd.Series)):
        if isinstance(start, pd.Series) and not start.index.is_unique:
            twice = start.index[start.index.duplicated()]
            raise ValueError(f"start: recording {quote(twice[0])} is there twice. Keep one time for each recording.")
        missing = [recording for recording in recordings if recording not in start]
        if missing:
            raise ValueError(
                f"start: no time for recording {quote(missing[0])} ({len(missing)} of {len(recordings)} recordings); "
                f"it has times for {list(start.keys())[:3]}... Add it, or leave the recording out of the timeline."
            )
        times = [start[recording] for recording in recordings]
    else:
        single = isinstance(start, (str, datetime, np.datetime64)) or not hasattr(start, "__len__")
        times = [start] if single else list(start)
        if len(times) != len(recordings):
            raise ValueError(
                f"start holds {len(times)} times, but the timeline {len(recordings)} recordings. Pass one time for "
                "each, in their order, or a dict from recording to time."
            )
    times = [as_time(time, recording) for time, recording in zip(times, recordings, strict=True)]
    zones = {str(time.tz): time.tz for time in times}
    if len(zones) > 1:
        raise ValueError(
            f"start: times in different zones, {sorted(zones)}. Convert all to one by tz_convert, or pass local times "
            "without a zone."
        )
    return [time.as_unit("ns").value for time in times], next(iter(zones.values()), None)


def _clock_hours(begins, tz):
    """Return the start of the clock hour of each time; both in nanoseconds, as from `start_times`."""
    local = begins
    if tz is not None:
        local = pd.DatetimeIndex(begins, tz="UTC").tz_convert(tz).tz_localize(None).as_unit("ns").asi8
    # Not DatetimeIndex.floor, which fails in the repeated hour at the end of summer time.
    return begins - local % (HOUR * NANOSECONDS)


@validate_params(
    {
        "timeline": [pd.DataFrame],
        "by": [StrOptions({"recording", "hour"})],
        "merge_gap": [Interval(Real, 0, None, closed="left")],
        "min_duration": [Interval(Real, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def summarize(
    timeline: pd.DataFrame,
    *,
    by: Literal["recording", "hour"] = "recording",
    start: object = None,
    merge_gap: float = 5.0,
    min_duration: float = 5.0,
) -> pd.DataFrame:
    """Summarize a timeline: how much crying, in how many bouts, per recording or per hour.

    All time within bouts counts as crying. Bouts are crying seconds with gaps of at most ``merge_gap`` between them;
    those shorter than ``min_duration`` are dropped (see :func:`skcry.events.find_events`). Bouts are found in the whole
    recording and are not cut at the hour. The last second counts as a whole one.

    Parameters
    ----------
    timeline : DataFrame of shape (n_seconds, n_columns)
        Output of :meth:`skcry.CryDetector.timeline`: indexed by recording (number or name) and second, with the column
        ``cry`` (bool) and optionally ``usable`` (bool, whether the second holds sound; without this column all are
        usable). The seconds of a recording are sorted, without gaps.
    by : {"recording", "hour"}, default="recording"
        One row per recording, or per recording and hour, including hours recorded only in part.
    start : datetime-like, sequence of them, dict, Series or None, default=None
        Start of each recording, for ``by="hour"``: dates with times (``Timestamp``, ``datetime``, or text such as
        "2024-03-31 07:30"), by recording (dict, Series) or in their order. Hours are then clock hours. Times with a
        time zone keep it, including summer time. None counts hours from the start of each recording.
    merge_gap : float, default=5.0
        Longest gap within crying to close, in seconds.
    min_duration : float, default=5.0
        Shortest bout to keep, in seconds. Pass the ``merge_gap`` and ``min_duration`` of the detector to summarize
        what its ``detect`` finds.

    Returns
    -------
    DataFrame of shape (n_rows, 11)
        Indexed by ``recording``, or by ``recording`` and ``hour`` (0, 1, ... without ``start``, else the ``Timestamp``
        at which the clock hour begins). Columns:

        - ``hours``: duration in hours, counted in whole seconds;
        - ``usable_share``: share of the duration that holds sound, from 0 to 1;
        - ``cry_minutes``: minutes within bouts;
        - ``cry_minutes_per_hour``: minutes within bouts per hour of usable sound; NaN if nothing is usable;
        - ``n_bouts``, and in seconds ``mean_bout``, ``median_bout`` and ``longest_bout``: a bout belongs, as a whole,
          to the hour in which it begins; NaN if there is none;
        - ``n_gaps``, and in seconds ``mean_gap`` and ``longest_gap``: from the end of one bout to the next one of the
          recording; a gap belongs, as a whole, to the hour in which it begins; NaN if there is none.

    Raises
    ------
    ValueError
        If the timeline has another form, or a recording has no start although others have one.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry import summarize
    >>> timeline = pd.DataFrame(
    ...     {"cry": [False] * 60 + [True] * 30 + [False] * 20 + [True] * 70},
    ...     index=pd.MultiIndex.from_product([["monday.wav"], range(180)], names=["recording", "second"]),
    ... )
    >>> summarize(timeline)[["hours", "n_bouts", "mean_bout", "longest_gap"]]
                hours  n_bouts  mean_bout  longest_gap
    recording
    monday.wav   0.05        2       50.0         20.0
    >>> summarize(timeline, by="hour", start="2024-05-01 23:58")[["cry_minutes", "n_bouts"]]
                                    cry_minutes  n_bouts
    recording  hour
    monday.wav 2024-05-01 23:00:00     0.666667        2
               2024-05-02 00:00:00     1.000000        0
    """
    if "cry" not in timeline or ("label" in timeline and timeline["cry"].dtype != bool):
        remedy = "CryDetector.timeline gives it"
        if "label" in timeline:
            remedy = "with more than two classes, choose one: timeline.assign(cry=timeline['label'] == 'cry')"
        raise ValueError(f"timeline has columns {list(timeline.columns)}, but one 'cry' (bool) is needed; {remedy}.")
    recordings, first, second = blocks(timeline)
    cry = flags(timeline, "cry")
    usable = flags(timeline, "usable") if "usable" in timeline else np.ones(len(cry), dtype=bool)
    n_rows = len(timeline)

    # Rows at which bouts, and gaps between two bouts of a recording, begin and end.
    bouts, gaps = [np.empty((0, 2), dtype=int)], [np.empty((0, 2), dtype=int)]
    for begin, end in zip(first, [*first[1:], n_rows], strict=False):
        found = find_events(cry[begin:end], merge_gap=merge_gap, min_duration=min_duration).astype(int) + begin
        bouts.append(found)
        gaps.append(np.column_stack([found[:-1, 1], found[1:, 0]]))
    bouts, gaps = np.concatenate(bouts), np.concatenate(gaps)
    change = np.zeros(n_rows + 1, dtype=np.int8)
    change[bouts[:, 0]] += 1
    change[bouts[:, 1]] -= 1
    inside = np.cumsum(change, dtype=np.int8)[:-1].astype(bool)

    # Cells are runs of rows (recordings, or hours of a recording); each becomes a row of the result.
    cell, index = first, recordings.rename("recording")
    if by == "hour":
        lengths = np.diff(first, append=n_rows)
        number = np.repeat(np.arange(len(first)), lengths)
        hour, tz = second // HOUR, None
        if start is not None:
            begins, tz = start_times(start, recordings)
            begins = np.repeat(np.asarray(begins, dtype=np.int64), lengths) + second * NANOSECONDS
            hour = _clock_hours(begins, tz)
        cell = np.flatnonzero(np.diff(number, prepend=-1) | (np.diff(hour, prepend=-1) != 0))
        hour = hour[cell]
        if start is not None:
            hour = pd.DatetimeIndex(hour) if tz is None else pd.DatetimeIndex(hour, tz="UTC").tz_convert(tz)
        index = pd.MultiIndex.from_arrays([recordings.take(number[cell]), hour], names=["recording", "hour"])

    def total(counted):
        # reduceat fails without cells.
        return np.add.reduceat(counted, cell, dtype=np.int64) if len(cell) else np.zeros(0)

    duration, n_usable = np.diff(cell, append=n_rows), total(usable)
    rate = np.divide(60.0 * total(inside & usable), n_usable, out=np.full(len(cell), np.nan), where=n_usable > 0)
    columns = {
        "hours": duration / HOUR,
        "usable_share": n_usable / duration,
        "cry_minutes": total(inside) / 60,
        "cry_minutes_per_hour": rate,
    }
    for kind, rows, names in (("bout", bouts, ("mean", "median", "longest")), ("gap", gaps, ("mean", "longest"))):
        where = np.searchsorted(cell, rows[:, 0], side="right") - 1
        columns[f"n_{kind}s"] = np.bincount(where, minlength=len(cell))
        lengths = pd.Series(rows[:, 1] - rows[:, 0], dtype=float).groupby(where)
        for name in names:
            columns[f"{name}_{kind}"] = lengths.agg(STATISTICS[name]).reindex(range(len(cell))).to_numpy()
    return pd.DataFrame(columns, index=index)
