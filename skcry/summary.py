"""Summary of a timeline: how much an infant cried, in how many bouts, at what hours."""

from __future__ import annotations

from numbers import Real
from typing import Literal

import numpy as np
import pandas as pd

from ._clock import NANOSECONDS, TOLERANCE, holds_tables, quote, read_clocks
from ._compat import Interval, StrOptions, validate_params
from ._typing import Labels
from .events import find_events

__all__ = ["HOUR", "blocks", "flags", "quote", "summarize"]

HOUR = 3600  # seconds
RULES = {"merge_gap": 5.0, "min_duration": 5.0}  # of bouts in seconds, where the timeline knows no others
STATISTICS = {"mean": "mean", "median": "median", "longest": "max"}  # of bouts and gaps, by pandas' names


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


def _clock_hours(begins, tz):
    """Return the start of the clock hour of each time; both in nanoseconds, as from `start_times`."""
    local = begins
    if tz is not None:
        local = pd.DatetimeIndex(begins, tz="UTC").tz_convert(tz).tz_localize(None).as_unit("ns").asi8
    # Not DatetimeIndex.floor, which fails in the repeated hour at the end of summer time.
    return begins - local % (HOUR * NANOSECONDS)


def _uninterrupted(recordings, first, ends, second, clocks):
    """Yield first and last row of the parts of recordings between pauses of the recorder."""
    for number, (begin, end) in enumerate(zip(first, ends, strict=True)):
        if clocks is None:
            yield begin, end
            continue
        clock, last = clocks[number], second[end - 1] + 1
        if last > clock.end + TOLERANCE:
            raise ValueError(
                f"start: the clock of recording {quote(recordings[number])} ends at {clock.end:g} s, but the recording "
                f"at {last} s. Pass the clock of this recording."
            )
        cuts = begin + np.flatnonzero(np.diff(clock.part(second[begin:end]))) + 1
        yield from zip([begin, *cuts], [*cuts, end], strict=True)


def chosen(timeline, label):
    """Tell which seconds (n_seconds,) of a timeline of several classes have one of the labels."""
    if label is None or "label" not in timeline:
        remedy = "CryDetector.timeline gives it"
        if "label" in timeline:
            remedy = "with more than two classes, choose one: label='cry', or cry=timeline['label'] == 'cry'"
        elif label is not None:
            remedy = f"label={label!r} needs the timeline of more than two classes, with a column 'label'"
        raise ValueError(f"timeline has columns {list(timeline.columns)}, but one 'cry' (bool) is needed; {remedy}.")
    labels, found = [label] if isinstance(label, str) else list(label), timeline["label"].astype(str)
    known = sorted({*map(str, timeline.columns), *found.unique()} - {"label", "usable"})
    unknown = [one for one in labels if one not in known]
    if unknown or not labels:
        raise ValueError(f"label={label!r}: the classes of the timeline are {known}. Choose among them.")
    return found.isin(labels).to_numpy()


def rules_of(timeline, merge_gap, min_duration):
    """Return the rules of bouts in seconds: those given, else those of the detector that made the timeline, else 5."""
    given = {"merge_gap": merge_gap, "min_duration": min_duration}
    known = {**RULES, **{name: timeline.attrs[name] for name in RULES if name in timeline.attrs}}
    return known | {name: value for name, value in given.items() if value is not None}


@validate_params(
    {
        "timeline": [pd.DataFrame],
        "by": [StrOptions({"recording", "hour"})],
        "label": [str, tuple, list, None],
        "merge_gap": [Interval(Real, 0, None, closed="left"), None],
        "min_duration": [Interval(Real, 0, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def summarize(
    timeline: pd.DataFrame,
    *,
    by: Literal["recording", "hour"] = "recording",
    label: Labels | None = None,
    start: object = None,
    merge_gap: float | None = None,
    min_duration: float | None = None,
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
    label : str, tuple of str or None, default=None
        For a timeline of more than two classes: the class to count, or several to count together.
    start : datetime-like, DataFrame, sequence or dict or Series of them, str or None, default=None
        Start of each recording, by recording (dict, Series) or in their order. Hours are then clock hours.

        - A date with a time: ``Timestamp``, ``datetime``, or text such as "2024-03-31 07:30". Times with a time zone
          keep it, including summer time.
        - A table of the stretches between pauses of the recorder: columns ``onset`` (seconds in the recording),
          ``start`` (date and time) and optionally ``offset``, as :func:`skcry.io.read_its_clock` gives it. Neither a
          bout nor a gap extends over a pause, also with ``by="recording"``.
        - ``"name"``: dates with times in the names of the files, such as ``20240501_080000.WAV``; or a pattern of your
          own as for ``datetime.strptime``, such as ``"%d-%m-%Y %Hh%M"``. The first match in the name counts.

        None counts hours from the start of each recording.
    merge_gap : float or None, default=None
        Longest gap within crying to close, in seconds. None means the rule of the detector that made the
        timeline, else 5.
    min_duration : float or None, default=None
        Shortest bout to keep, in seconds. None means the rule of the detector that made the
        timeline, else 5. These rules are in ``timeline.attrs``.

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
        If the timeline has another form, a recording has no start although others have one, or the clock of a
        recording goes back or does not cover it.

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
    rules = rules_of(timeline, merge_gap, min_duration)
    if label is not None or "cry" not in timeline or ("label" in timeline and timeline["cry"].dtype != bool):
        timeline = timeline.assign(cry=chosen(timeline, label))
    recordings, first, second = blocks(timeline)
    cry = flags(timeline, "cry")
    usable = flags(timeline, "usable") if "usable" in timeline else np.ones(len(cry), dtype=bool)
    n_rows = len(timeline)

    clocks, tz = None, None
    ends = np.append(first[1:], n_rows)[: len(first)]
    if start is not None and (by == "hour" or holds_tables(start)):
        clocks, tz = read_clocks(start, recordings)
    # Rows at which bouts, and gaps between two bouts that no pause of the recorder separates, begin and end.
    bouts, gaps = [np.empty((0, 2), dtype=int)], [np.empty((0, 2), dtype=int)]
    for begin, end in _uninterrupted(recordings, first, ends, second, clocks):
        found = find_events(cry[begin:end], **rules).astype(int) + begin
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
        number = np.repeat(np.arange(len(first)), ends - first)
        hour = second // HOUR
        for clock, begin, end in zip(clocks or (), first, ends, strict=False):
            # A clock that goes back by some seconds at a pause stays in the hour that has begun.
            hour[begin:end] = np.maximum.accumulate(_clock_hours(clock.times(second[begin:end]), tz))
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
