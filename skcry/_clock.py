"""When recordings were made: start times, names of files that hold them, and clocks of recorders that were paused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import pandas as pd

NANOSECONDS = 10**9  # in a second
TOLERANCE = 60  # seconds that a clock may go back at a pause, or end before its recording
PAUSE = 1  # seconds between two stretches from which the recorder was paused
BY_NAME = "name"
# Most recorders: 20240501_080000, also without seconds and with other separators. A time zone needs a pattern with %z.
USUAL = (
    r"(?<!\d)(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)[-_ T]+"
    r"(\d\d)[-_.:h]?(\d\d)(?:[-_.:m]?(\d\d))?(?!\d|Z|[+]\d\d)"
)
DIRECTIVES = {"Y": r"\d{4}", "f": r"\d{1,6}", "j": r"\d{3}", "b": r"[^\W\d]+", "B": r"[^\W\d]+", "p": r"[^\W\d]+"}
DIRECTIVES |= {"z": r"(?:Z|[+-]\d\d:?\d\d)", "%": "%", **dict.fromkeys("ymdHIMS", r"\d\d")}


class Clock(NamedTuple):
    """Clock of a recording: the stretches between pauses of its recorder."""

    onset: np.ndarray  # (n_stretches,) seconds in the recording
    time: np.ndarray  # (n_stretches,) time at the onset, in nanoseconds (UTC, or local without time zone)
    end: float  # end of the last stretch in seconds

    def stretch(self, second):
        """Return the stretch of each second (n_seconds,), by the middle of the second."""
        return np.maximum(np.searchsorted(self.onset, second + 0.5, side="right") - 1, 0)

    def times(self, second):
        """Return the time of each second in nanoseconds (n_seconds,)."""
        stretch = self.stretch(second)
        return self.time[stretch] + np.rint((second - self.onset[stretch]) * NANOSECONDS).astype(np.int64)

    def part(self, second):
        """Return the number of pauses before each second (n_seconds,)."""
        paused = self._jumps() > PAUSE * NANOSECONDS
        return np.append(0, np.cumsum(paused))[self.stretch(second)]

    def _jumps(self):
        return np.diff(self.time) - np.rint(np.diff(self.onset) * NANOSECONDS).astype(np.int64)

    def check(self, recording):
        """Refuse a clock that goes back."""
        for back in np.flatnonzero(self._jumps() < -TOLERANCE * NANOSECONDS):
            raise ValueError(
                f"start: the clock of recording {quote(recording)} goes back by {-self._jumps()[back] / 1e9:.0f} s at "
                f"{self.onset[back + 1]:g} s. Correct the start times of its stretches."
            )


def quote(recording):
    """Return the repr of a recording, of numpy's numbers without their type."""
    return repr(recording.item() if isinstance(recording, np.generic) else recording)


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


def start_time(start, recording, place):
    """Return the start of one recording as Timestamp, or None; ``place`` stands for the recording in messages."""
    if start is None:
        return None
    return pd.Timestamp(time_in_name(recording, start)) if is_pattern(start) else as_time(start, place)


def is_pattern(start):
    """Tell whether ``start`` says to find the time in the name of a recording."""
    return isinstance(start, str) and (start == BY_NAME or "%" in start)


def time_in_name(recording, pattern):
    """Return the start time that the name of a recording holds: the first that matches the pattern."""
    if not isinstance(recording, str):
        raise ValueError(
            f"start={pattern!r} finds the time in names of files, but the recordings are numbered. Pass the result of "
            "read_timelines, or the times themselves."
        )
    if pattern == BY_NAME:
        expression = USUAL
    else:
        texts = re.split(r"%(.)", pattern)  # texts and directives alternate
        unknown = [one for one in texts[1::2] if one not in DIRECTIVES]
        if unknown:
            raise ValueError(
                f"start={pattern!r}: %{unknown[0]} is not known. Use {', '.join(f'%{one}' for one in DIRECTIVES)}."
            )
        expression = "".join(DIRECTIVES[one] if i % 2 else re.escape(one) for i, one in enumerate(texts))
        expression = rf"(?<!\d){expression}(?!\d)"
    # In the name first, since folders may have dates too.
    for found in (re.search(expression, text) for text in (PurePath(recording).name, recording)):
        if found:
            try:
                if pattern == BY_NAME:
                    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
                    return datetime(year, month, day, hour, minute, second)
                return datetime.strptime(found[0], pattern)
            except ValueError:
                continue
    raise ValueError(
        f"start={pattern!r}: the name {recording!r} holds no such time. Rename the file, or pass a pattern such as "
        "'%Y%m%d_%H%M%S', or a dict from recording to time."
    )


def start_entries(start, recordings):
    """Return what ``start`` says of each recording: a time, or a table of stretches."""
    if is_pattern(start):
        return [time_in_name(recording, start) for recording in recordings]
    if isinstance(start, (Mapping, pd.Series)):
        if isinstance(start, pd.Series) and not start.index.is_unique:
            twice = start.index[start.index.duplicated()]
            raise ValueError(f"start: recording {quote(twice[0])} is there twice. Keep one time for each recording.")
        missing = [recording for recording in recordings if recording not in start]
        if missing:
            raise ValueError(
                f"start: no time for recording {quote(missing[0])} ({len(missing)} of {len(recordings)} recordings); "
                f"it has times for {list(start.keys())[:3]!s:.80}... Add it, or leave the recording out."
            )
        return [start[recording] for recording in recordings]
    single = isinstance(start, (str, datetime, np.datetime64, pd.DataFrame)) or not hasattr(start, "__len__")
    times = [start] if single else list(start)
    if len(times) != len(recordings):
        raise ValueError(
            f"start holds {len(times)} times, but the timeline {len(recordings)} recordings. Pass one time for "
            "each, in their order, or a dict from recording to time."
        )
    return times


def holds_tables(start):
    """Tell whether ``start`` holds a table of stretches."""
    if isinstance(start, (Mapping, pd.Series)):
        start = list(start.values()) if isinstance(start, Mapping) else list(start)
    return isinstance(start, pd.DataFrame) or (
        isinstance(start, (list, tuple)) and any(isinstance(one, pd.DataFrame) for one in start)
    )


def read_clocks(start, recordings):
    """Return the Clock of each recording, and the time zone of all."""
    clocks, zones = [], {}
    for recording, entry in zip(recordings, start_entries(start, recordings), strict=True):
        onset, end = np.zeros(1), np.inf
        times = [entry]
        if isinstance(entry, pd.DataFrame):
            onset, end, times = _stretches(entry, recording)
        times = [as_time(time, recording) for time in times]
        zones.update({str(time.tz): time.tz for time in times})
        clocks.append(Clock(onset, np.array([time.as_unit("ns").value for time in times], dtype=np.int64), end))
        clocks[-1].check(recording)
    if len(zones) > 1:
        raise ValueError(
            f"start: times in different zones, {sorted(zones)}. Convert all to one by tz_convert, or pass local times "
            "without a zone."
        )
    return clocks, next(iter(zones.values()), None)


def _stretches(table, recording):
    """Check a table of stretches; return their onsets, the end of the last one, and their start times."""
    place = f"start of recording {quote(recording)}"
    if not {"onset", "start"} <= set(table.columns) or len(table) == 0:
        raise ValueError(
            f"{place} is a table of {len(table)} rows with columns {list(table.columns)!s:.80}, but a row per stretch "
            "with 'onset' (seconds in the recording) and 'start' (date and time) is needed, as read_its_clock gives it."
        )
    try:
        table = table.astype({name: float for name in ("onset", "offset") if name in table})
    except (TypeError, ValueError):
        table = table.assign(onset=np.nan)
    table = table.sort_values("onset", ignore_index=True)
    onset = table["onset"].to_numpy()
    offset = table["offset"].to_numpy() if "offset" in table else np.append(onset[1:], np.inf)
    if not (np.isfinite(onset).all() and (np.diff(onset) > 0).all() and (offset >= onset).all()):
        raise ValueError(
            f"{place}: the stretches must have onsets and offsets in seconds, one after the other, but they are "
            f"{table.iloc[:3].to_dict('list')!s:.90}. Correct them."
        )
    lost = np.flatnonzero(np.append(0, offset[:-1]) + TOLERANCE < onset)
    if len(lost):
        raise ValueError(
            f"{place}: no stretch holds the time before {onset[lost[0]]:g} s. Add a row for it, or pass the clock of "
            "this recording."
        )
    return onset, offset[-1], table["start"].tolist()
