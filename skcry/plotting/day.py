"""Display of a long recording: hours as rows, with scores and bouts."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._clock import start_time
from .._typing import Axes, PathLike
from ..summary import HOUR
from .common import (
    GREY,
    PALE,
    VERMILLION,
    check_matplotlib,
    legend_below,
    name_recording,
    new_axes,
    one_table,
    one_timeline,
    score_recording,
    stretches,
)

if TYPE_CHECKING:
    from ..detector import CryDetector

DOT = 5  # seconds per dot of the figure; an hour has about 800 dots
BASE, HEIGHT = 0.68, 0.56  # position and height of the scores in a row, in rows
BOUTS = (0.72, 0.18)  # position and height of the bouts in a row


@dataclass(repr=False, eq=False)
class DayDisplay:
    """Display of a long recording with its hours as rows.

    Each row shows scores as a curve (the highest score of every 5 seconds), bouts as bars below it, and at its end the
    minutes in bouts. Time that was not recorded is grey, time without sound is hatched.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`, which make the display and draw it.

    Parameters
    ----------
    timeline : DataFrame of shape (n_seconds, n_columns)
        Indexed by second, with the column ``score`` (from 0 to 1) and, where known, ``usable`` (bool).
    events : DataFrame of shape (n_events, 2) or None, default=None
        Columns ``onset`` and ``offset`` in seconds. None draws no events.
    start : Timestamp or None, default=None
        Start of the recording. None counts hours from the start.
    threshold : float or None, default=None
        Threshold on the score.
    name : str or None, default=None
        Name of the recording in the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the hours as rows.
    figure_ : matplotlib Figure
        Figure of the axes.
    areas_ : list of matplotlib PolyCollection
        Scores of each hour.
    bouts_ : matplotlib PolyCollection or None
        Bars of the bouts, cut at the hours; None without ``events``.
    unusable_ : matplotlib PolyCollection or None
        Time without sound; None if there is none.
    minutes_ : ndarray of shape (n_hours,) or None
        Minutes in bouts of each row; None without ``events``.

    See Also
    --------
    TimelineDisplay : Display of some minutes with their sound.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skcry.plotting import DayDisplay
    >>> timeline = pd.DataFrame({"score": np.r_[np.full(5400, 0.1), np.full(600, 0.9)]})
    >>> display = DayDisplay.from_predictions(timeline, [(5400, 6000)], start="2024-05-06 07:30")
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['07:00', '08:00', '09:00']
    >>> display.minutes_.tolist()
    [0.0, 0.0, 10.0]
    """

    timeline: pd.DataFrame
    _: KW_ONLY
    events: pd.DataFrame | None = None
    start: pd.Timestamp | None = None
    threshold: float | None = None
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        detector: CryDetector,
        recording: ArrayLike | PathLike,
        *,
        start: Any = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the scores and bouts of a recording.

        Parameters
        ----------
        detector : CryDetector
            Fitted detector.
        recording : str, path-like or ndarray of shape (n_timepoints,)
            Recording. For a file, memory does not depend on its length.
        start : datetime-like or None, default=None
            Start of the recording: a ``Timestamp``, ``datetime`` or text such as "2024-05-06 07:30", or "name" or a
            pattern for the name of the file as in :func:`skcry.summarize`. None counts hours from the start.
        name : str or None, default=None
            Name of the recording in the title. None means the name of its file.
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        **kwargs : dict
            Passed to ``fill_between``, which draws the scores.

        Returns
        -------
        DayDisplay
            The display.

        Raises
        ------
        OSError, ValueError
            As :meth:`skcry.CryDetector.timeline`.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        start = start_time(start, os.fspath(recording) if isinstance(recording, os.PathLike) else recording, "to draw")
        _, found = score_recording(detector, recording)
        about = {"threshold": found.threshold, "name": name_recording(recording) if name is None else name}
        return cls.from_predictions(found.timeline, found.events, start=start, **about, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        timeline: pd.DataFrame,
        events: pd.DataFrame | list | None = None,
        *,
        start: Any = None,
        threshold: float | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw scores and bouts from tables.

        Parameters
        ----------
        timeline : DataFrame of shape (n_seconds, n_columns)
            Result of :meth:`skcry.CryDetector.timeline` for one recording: indexed by second (or by recording and
            second), with the column ``score`` and, where known, ``usable``.
        events : DataFrame of shape (n_events, n_columns), list of tuples or None, default=None
            Result of :meth:`skcry.CryDetector.detect`: columns ``onset`` and ``offset`` in seconds. None draws none.
        start : datetime-like or None, default=None
            Start of the recording. None counts hours from the start.
        threshold : float or None, default=None
            Threshold on the score, drawn as a line.
        name : str or None, default=None
            Name of the recording in the title.
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        **kwargs : dict
            Passed to ``fill_between``, which draws the scores.

        Returns
        -------
        DayDisplay
            The display.

        Raises
        ------
        TypeError, ValueError
            If a table has other columns or several recordings, or ``start`` is not a date and time.
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        timeline, recording = one_timeline(timeline)
        events = one_table(events, recording)
        start = start_time(start, recording if name is None else name, "to draw")
        return cls(timeline, events=events, start=start, threshold=threshold, name=name).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the recording.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        name : str or None, default=None
            Name of the recording in the title. None means the ``name`` of the display.
        **kwargs : dict
            Passed to ``fill_between``, which draws the scores.

        Returns
        -------
        DayDisplay
            The display itself.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.collections import PolyCollection

        into_hour = 0 if self.start is None else self.start.minute * 60 + self.start.second
        first = into_hour + int(self.timeline.index[0])
        end = first + len(self.timeline)
        n_hours = -(-end // HOUR)
        self.ax_ = new_axes(ax, 10, 1.5 + 0.42 * n_hours)
        self.figure_ = self.ax_.figure

        self.ax_.broken_barh([(0, 60)], (0, n_hours), color=PALE, zorder=0)  # background of time not recorded
        for hour in range(n_hours):
            begin, stop = (min(max(second / 60 - 60 * hour, 0), 60) for second in (first, end))
            self.ax_.broken_barh([(begin, stop - begin)], (hour, 1), color="white", zorder=0)
            self.ax_.plot([begin, stop], [hour + BASE] * 2, color=GREY, lw=0.5)
            if self.threshold is not None:
                level = hour + BASE - HEIGHT * self.threshold
                (line,) = self.ax_.plot([begin, stop], [level] * 2, color=GREY, lw=0.7, ls=(0, (1, 3)))
        score, usable = np.full(n_hours * HOUR, np.nan), np.ones(n_hours * HOUR)
        score[first:end] = self.timeline["score"]
        if "usable" in self.timeline:
            usable[first:end] = self.timeline["usable"]
        score = np.fmax.reduce(score.reshape(n_hours, -1, DOT), axis=2)
        style = {"step": "post", "color": GREY, "lw": 0.5}
        style |= normalize_kwargs(kwargs, PolyCollection)
        self.areas_ = []
        for hour, heights in enumerate(score):
            dots = np.flatnonzero(~np.isnan(heights))
            edges = np.append(dots, dots[-1:] + 1) * DOT / 60
            top = hour + BASE - HEIGHT * np.append(heights[dots], heights[dots[-1:]])
            self.areas_.append(self.ax_.fill_between(edges, hour + BASE, top, **style))

        silent = stretches(usable.reshape(-1, DOT).mean(axis=1) < 0.5) * DOT
        self.unusable_, self.bouts_ = None, None
        self.minutes_: np.ndarray | None = None
        if len(silent):
            bars, _ = _cut(silent[:, 0], silent.sum(axis=1), n_hours, 0.08, 0.6)
            self.unusable_ = PolyCollection(bars, facecolor="white", edgecolor=GREY, lw=0.4, hatch="//////", zorder=2)
            self.ax_.add_collection(self.unusable_, autolim=False)
        if self.events is not None:
            times = self.events[["onset", "offset"]].to_numpy() + into_hour
            bars, self.minutes_ = _cut(times[:, 0], times[:, 1], n_hours, *BOUTS)
            # The edge keeps short bouts visible.
            self.bouts_ = PolyCollection(bars, facecolor=VERMILLION, edgecolor=VERMILLION, lw=0.8, zorder=3)
            self.ax_.add_collection(self.bouts_, autolim=False)
        self._label(n_hours, self.name if name is None else name)
        self._add_legend(line if self.threshold is not None else None)
        return self

    def _label(self, n_hours, name):
        """Set title, labels and limits of the axes."""
        hours = np.arange(n_hours)
        if self.start is None:
            labels, hour_label, day = [f"{hour}:00" for hour in hours], "Hours since the recording began", None
        else:
            # Added to the start, so that a change of the clock within the day is correct.
            began = self.start - pd.Timedelta(minutes=self.start.minute, seconds=self.start.second)
            times = [began + pd.Timedelta(hours=int(hour)) for hour in hours]
            new_day = [False] + [one.date() != other.date() for one, other in zip(times[1:], times, strict=False)]
            labels = [
                f"{time.day} {time:%b}  {time:%H:%M}" if new else f"{time:%H:%M}"
                for time, new in zip(times, new_day, strict=True)
            ]
            hour_label, day = "Hour", f"{times[0].day} {times[0]:%B %Y}"
        self.ax_.set(xlim=(0, 60), ylim=(n_hours, 0), xlabel="Minute of the hour", ylabel=hour_label)
        self.ax_.set_xticks(range(0, 61, 5))
        self.ax_.set_yticks(hours + 0.5, labels)
        self.ax_.tick_params(axis="y", length=0)
        for hour in hours[1:]:
            self.ax_.axhline(hour, color="black", lw=0.5)
        title = ", ".join(part for part in (name, day) if part)
        if self.events is not None and self.minutes_ is not None:
            n = len(self.events)
            found = f"{self.minutes_.sum():.1f} min of crying in {n} bout{'s' * (n != 1)}" if n else "no crying found"
            title = f"{title}: {found}" if title else found[0].upper() + found[1:]
            right = self.ax_.secondary_yaxis("right")
            right.set_yticks(hours + 0.5, [f"{minutes:.1f}" if minutes else "0" for minutes in self.minutes_])
            right.tick_params(length=0)
            right.set_ylabel("Crying in bouts (min)")
        self.ax_.set_title(title)

    def _add_legend(self, line):
        from matplotlib.patches import Patch

        handles = [Patch(facecolor=GREY, label="score, from 0 to 1")]
        if line is not None:
            line.set_label(f"threshold {self.threshold:.2f}")
            handles.append(line)
        if self.bouts_ is not None:
            handles.append(Patch(facecolor=VERMILLION, label="bout of crying"))
        if self.unusable_ is not None:
            handles.append(Patch(facecolor="white", edgecolor=GREY, hatch="//////", label="no sound"))
        handles.append(Patch(facecolor=PALE, edgecolor="silver", label="not recorded"))
        legend_below(self.ax_, handles, len(handles))


def _cut(onset, offset, n_hours: int, top: float, height: float):
    """Cut intervals in seconds at the hours; return corners of their bars, and minutes in each hour (n_hours,)."""
    bars, minutes = [], np.zeros(n_hours)
    for begin, end in zip(onset, offset, strict=True):
        for hour in range(int(begin // HOUR), min(int(-(-end // HOUR)), n_hours)):
            left, right = max(begin / 60 - 60 * hour, 0), min(end / 60 - 60 * hour, 60)
            minutes[hour] += right - left
            y = hour + top
            bars.append([(left, y), (right, y), (right, y + height), (left, y + height)])
    return bars, minutes
