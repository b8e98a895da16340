"""Display of matched events: found, missed, right and false alarms."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length

from .._typing import Axes, Recordings, Targets
from ..io.audio import as_recordings
from ..metrics import event_truth, match_events
from ..metrics.scorers import meaning_of_labels, the_detector
from .common import BLUE, VERMILLION, check_matplotlib, legend_below, name_recording, new_axes, time_axis

if TYPE_CHECKING:
    from ..detector import CryDetector

# True events are drawn above detected events; events without a match are hollow.
LANES = {"true": (0.12, 0.36), "found": (0.52, 0.36)}
KINDS = {
    "found": ("true", True, BLUE),
    "missed": ("true", False, BLUE),
    "right": ("found", True, VERMILLION),
    "false alarms": ("found", False, VERMILLION),
}


@dataclass(repr=False, eq=False)
class EventMatchDisplay:
    """Display of true and detected events, one row per recording: found, missed, right, false alarms.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`, which make the display and draw it.

    Parameters
    ----------
    true_events : DataFrame of shape (n_true_events, 4)
        Columns ``recording``, ``onset``, ``offset`` and ``recalled``, as :func:`skcry.metrics.match_events` gives them.
    found_events : DataFrame of shape (n_found_events, 4)
        The same with ``correct``.
    recordings : list
        Values of ``recording`` in the tables, in the order of the rows.
    names : list of str or None, default=None
        Labels of the rows. None means ``recordings``.
    duration : float or None, default=None
        Duration of the longest recording in seconds. None means up to the last event.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the events.
    figure_ : matplotlib Figure
        Figure of the axes.
    bars_ : dict of str to matplotlib PolyCollection
        Bars of events "found", "missed", "right" and "false alarms".
    counts_ : dict of str to int
        Number of events of each kind.

    See Also
    --------
    skcry.metrics.event_metrics : Recall, precision and false alarms per hour.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skcry.plotting import EventMatchDisplay
    >>> true = [[(0, 20, "cry"), (60, 80, "cry")], []]
    >>> found = [[(2, 20, "cry"), (100, 110, "cry")], [(5, 9, "cry")]]
    >>> EventMatchDisplay.from_predictions(true, found).counts_
    {'found': 1, 'missed': 1, 'right': 1, 'false alarms': 2}
    """

    true_events: pd.DataFrame
    found_events: pd.DataFrame
    _: KW_ONLY
    recordings: list
    names: list[str] | None = None
    duration: float | None = None

    @classmethod
    def from_estimator(
        cls,
        detector: CryDetector,
        X: Recordings,
        y: Targets,
        *,
        names: list[str] | None = None,
        ax: Axes | None = None,
        **matching: Any,
    ) -> Self:
        """Draw events that a detector finds, and true events.

        Parameters
        ----------
        detector : CryDetector
            Fitted detector.
        X : list of ndarray or path
            Recordings.
        y : list of DataFrame or of list of tuples
            Annotations of each recording.
        names : list of str or None, default=None
            Labels of the rows. None means names of files, or numbers of arrays.
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        **matching : dict
            Settings of the match, see :func:`skcry.metrics.match_events`.

        Returns
        -------
        EventMatchDisplay
            The display.

        Raises
        ------
        OSError, ValueError
            As :meth:`skcry.CryDetector.detect`, or if annotations are faulty.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        detector = the_detector(detector)
        check_consistent_length(X, y)
        if names is None:
            names = [name_recording(one) or f"recording {number}" for number, one in enumerate(as_recordings(X))]
        true = event_truth(y, **meaning_of_labels(detector), merge_gap=detector.merge_gap)
        detections = list(detector.iter_detections(X))
        found = pd.concat([one.events for one in detections], ignore_index=True)
        duration = float(max(len(one.probabilities) for one in detections))
        return cls._of_tables(true, found, list(range(len(names))), names, duration, matching).plot(ax)

    @classmethod
    def from_predictions(
        cls,
        true_events: pd.DataFrame | list,
        found_events: pd.DataFrame | list,
        *,
        names: list[str] | None = None,
        duration: float | None = None,
        ax: Axes | None = None,
        **matching: Any,
    ) -> Self:
        """Draw detected and true events from tables.

        Parameters
        ----------
        true_events, found_events : DataFrame of shape (n_events, n_columns), or list of annotations
            Columns ``recording``, ``onset`` and ``offset`` in seconds, as :func:`skcry.metrics.event_truth` and
            :meth:`skcry.CryDetector.detect` give them; or a table or list of tuples (onset, offset, "cry") for each
            recording.
        names : list of str or None, default=None
            Labels of the rows, in the order of the recordings. None means ``recording`` in the tables.
        duration : float or None, default=None
            Duration of the longest recording in seconds. None means up to the last event.
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        **matching : dict
            Settings of the match, see :func:`skcry.metrics.match_events`.

        Returns
        -------
        EventMatchDisplay
            The display.

        Raises
        ------
        TypeError, ValueError
            As :func:`skcry.metrics.match_events`, or if the numbers of names and recordings differ.
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        recordings: set = set()
        tables = []
        for events in (true_events, found_events):
            if not isinstance(events, pd.DataFrame):
                recordings |= set(range(len(events)))
                events = event_truth(events, merge_gap=0.0)
            recordings |= set(events.get("recording", ()))
            tables.append(events)
        return cls._of_tables(tables[0], tables[1], sorted(recordings), names, duration, matching).plot(ax)

    @classmethod
    def _of_tables(cls, true_events, found_events, recordings, names, duration, matching):
        """Match events and make the display."""
        if names is not None and len(names) != len(recordings):
            raise ValueError(f"Got {len(names)} names for {len(recordings)} recordings. Pass one for each.")
        tables = match_events(true_events, found_events, **matching)
        return cls(*tables, recordings=recordings, names=names, duration=duration)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the events.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        EventMatchDisplay
            The display itself.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        from matplotlib.collections import PolyCollection

        n_rows = len(self.recordings)
        self.ax_ = new_axes(ax, 10, 1.4 + 0.5 * max(n_rows, 1))
        self.figure_ = self.ax_.figure
        ends = [table["offset"].max() for table in (self.true_events, self.found_events) if len(table)]
        end = self.duration or float(np.max(ends, initial=1.0))
        row = {recording: number for number, recording in enumerate(self.recordings)}
        self.bars_, self.counts_ = {}, {}
        for kind, (side, matched, color) in KINDS.items():
            table = self.true_events if side == "true" else self.found_events
            table = table[table.iloc[:, 3] == matched]
            top, height = LANES[side]
            y = table["recording"].map(row).to_numpy(dtype=float) + top
            left, right = table["onset"].to_numpy(), table["offset"].to_numpy()
            corners = [(left, y), (right, y), (right, y + height), (left, y + height)]
            bars = np.stack([np.column_stack(corner) for corner in corners], axis=1)
            style: dict[str, Any] = {"facecolor": color} if matched else {"facecolor": "white", "hatch": "///////"}
            self.counts_[kind] = len(table)
            label = f"{side if side == 'true' else 'detected'}, {kind.replace('alarms', 'alarm')} ({len(table)})"
            self.bars_[kind] = PolyCollection(list(bars), edgecolor=color, lw=0.9, label=label, **style)
            self.ax_.add_collection(self.bars_[kind], autolim=False)
        names = [str(one) for one in self.recordings] if self.names is None else self.names
        self.ax_.set_yticks(np.arange(n_rows) + 0.5, names)
        self.ax_.tick_params(axis="y", length=0)
        self.ax_.set(ylim=(max(n_rows, 1), 0), title=self._title())
        for number in range(1, n_rows):
            self.ax_.axhline(number, color="silver", lw=0.5)
        time_axis(self.ax_, 0, end)
        legend_below(self.ax_, list(self.bars_.values()), 4)
        return self

    def _title(self):
        found, missed, right, false = self.counts_.values()
        recall = f"{found} of {found + missed} events found" if found + missed else "no true events"
        precision = f"{right} of {right + false} detections right" if right + false else "nothing detected"
        return f"{recall[0].upper()}{recall[1:]}, {precision}"
