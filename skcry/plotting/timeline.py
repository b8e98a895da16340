"""Display of part of a recording: sound, scores, detected and true events."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._typing import Annotations, Axes, PathLike
from ..events import LabelMap, as_annotations
from ..io.audio import open_source
from ..windows.display import RANGE_DB, decibels
from .common import (
    BLUE,
    VERMILLION,
    check_matplotlib,
    legend_below,
    name_recording,
    one_table,
    one_timeline,
    score_recording,
    time_axis,
)

if TYPE_CHECKING:
    from ..detector import CryDetector

MAX_DURATION = 600.0  # seconds of sound in a figure
MAX_FREQUENCY = 8000.0  # Hz
N_COLUMNS = 2000
LANES = {"truth": (1.2, 0.09), "detected": (1.08, 0.09)}  # bottom and height, above scores from 0 to 1


@dataclass(repr=False, eq=False)
class TimelineDisplay:
    """Display of part of a recording: sound, score of each second, true and detected events.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`, which make the display and draw it.

    Parameters
    ----------
    timeline : DataFrame of shape (n_seconds, n_columns)
        Indexed by second, with the column ``score``.
    events : DataFrame of shape (n_events, 2) or None, default=None
        Detected events: columns ``onset`` and ``offset`` in seconds of the recording. None draws none.
    true_events : DataFrame of shape (n_events, 2) or None, default=None
        True events with the same columns. None draws none.
    sound : ndarray of shape (n_timepoints,) or None, default=None
        Sound of the seconds in ``timeline``. None draws none.
    sr : int, default=16000
        Sampling rate of the sound in Hz.
    threshold : float or None, default=None
        Threshold on the score.
    name : str or None, default=None
        Name of the recording in the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with scores and events.
    sound_ax_ : matplotlib Axes or None
        Axes with the sound; None without ``sound``.
    figure_ : matplotlib Figure
        Figure of the axes.
    line_ : matplotlib PolyCollection
        Scores.
    bars_ : dict of str to matplotlib BrokenBarHCollection
        Bars of "truth" and "detected" events that are not None.

    See Also
    --------
    DayDisplay : Display of a long recording.
    EventMatchDisplay : Display of matched events of several recordings.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import pandas as pd
    >>> from skcry.plotting import TimelineDisplay
    >>> timeline = pd.DataFrame({"score": [0.1, 0.8, 0.9, 0.7, 0.2]})
    >>> display = TimelineDisplay.from_predictions(timeline, [(1, 4)], [(1.2, 3.9, "cry")], threshold=0.5)
    >>> list(display.bars_)
    ['truth', 'detected']
    """

    timeline: pd.DataFrame
    _: KW_ONLY
    events: pd.DataFrame | None = None
    true_events: pd.DataFrame | None = None
    sound: np.ndarray | None = None
    sr: int = 16000
    threshold: float | None = None
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        detector: CryDetector,
        recording: ArrayLike | PathLike,
        annotations: Annotations | None = None,
        *,
        start: float = 0.0,
        duration: float = 300.0,
        kind: Literal["spectrogram", "waveform"] = "spectrogram",
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw part of a recording with its scores and events.

        Parameters
        ----------
        detector : CryDetector
            Fitted detector. It scores the whole recording.
        recording : str, path-like or ndarray of shape (n_timepoints,)
            Recording.
        annotations : DataFrame, list of tuples or None, default=None
            Annotations, see :func:`skcry.events.as_annotations`. None draws none.
        start : float, default=0.0
            Start of the drawn part in seconds, rounded down.
        duration : float, default=300.0
            Length of the drawn part in seconds, at most 600. It ends at the end of the recording.
        kind : {"spectrogram", "waveform"}, default="spectrogram"
            How the sound is drawn.
        name : str or None, default=None
            Name of the recording in the title. None means the name of its file.
        ax : matplotlib Axes or None, default=None
            Axes to replace, in a grid. None makes a new figure.
        **kwargs : dict
            Passed to ``fill_between``, which draws the scores.

        Returns
        -------
        TimelineDisplay
            The display.

        Raises
        ------
        OSError, ValueError
            As :meth:`skcry.CryDetector.timeline`, or if the stretch lies outside the recording.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        if not 0 < duration <= MAX_DURATION:
            raise ValueError(
                f"duration={duration} s must be above 0 and up to {MAX_DURATION:g} s of sound. Draw a stretch of it, "
                "or all of it by DayDisplay."
            )
        detector, found = score_recording(detector, recording)
        timeline, first = found.timeline, int(start)
        if not 0 <= first < len(timeline):
            raise ValueError(f"start={start} s must lie within the {len(timeline)} s of the recording.")
        timeline = timeline.iloc[first : first + int(np.ceil(duration))]
        sr = detector.windower_.sr
        return cls.from_predictions(
            timeline,
            found.events,
            annotations,
            sound=_stretch(recording, sr, detector.windower_.channel, first, len(timeline)),
            sr=sr,
            positive=detector.crying_labels_,
            threshold=detector.threshold_,
            kind=kind,
            name=name_recording(recording) if name is None else name,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        timeline: pd.DataFrame,
        events: pd.DataFrame | list | None = None,
        annotations: Annotations | None = None,
        *,
        sound: ArrayLike | None = None,
        sr: int = 16000,
        positive: str | tuple[str, ...] = ("cry",),
        threshold: float | None = None,
        kind: Literal["spectrogram", "waveform"] = "spectrogram",
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw scores and events from tables.

        Parameters
        ----------
        timeline : DataFrame of shape (n_seconds, n_columns)
            Result of :meth:`skcry.CryDetector.timeline` for one recording, or consecutive seconds of it.
        events : DataFrame of shape (n_events, n_columns), list of tuples or None, default=None
            Result of :meth:`skcry.CryDetector.detect`: columns ``onset`` and ``offset`` in seconds. None draws none.
        annotations : DataFrame, list of tuples or None, default=None
            Annotations, see :func:`skcry.events.as_annotations`. None draws none.
        sound : array-like of shape (n_timepoints,) or None, default=None
            Sound of the seconds in ``timeline``. None draws none.
        sr : int, default=16000
            Sampling rate of the sound in Hz.
        positive : str or tuple of str, default=("cry",)
            Labels of annotations that are drawn.
        threshold : float or None, default=None
            Threshold on the score, drawn as a line.
        kind : {"spectrogram", "waveform"}, default="spectrogram"
            How the sound is drawn.
        name : str or None, default=None
            Name of the recording in the title.
        ax : matplotlib Axes or None, default=None
            Axes to replace, in a grid. None makes a new figure.
        **kwargs : dict
            Passed to ``fill_between``, which draws the scores.

        Returns
        -------
        TimelineDisplay
            The display.

        Raises
        ------
        TypeError, ValueError
            If a table has other columns or several recordings.
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        timeline, recording = one_timeline(timeline)
        true_events = None
        if annotations is not None:
            table = as_annotations(annotations)
            true_events = one_table(table[table["label"].isin(LabelMap(positive).positive)], None)
        display = cls(
            timeline,
            events=one_table(events, recording),
            true_events=true_events,
            sound=None if sound is None else np.asarray(sound, dtype=float),
            sr=sr,
            threshold=threshold,
            name=name,
        )
        return display.plot(ax, kind=kind, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        kind: Literal["spectrogram", "waveform"] = "spectrogram",
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw sound, scores and events.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to replace, in a grid. None makes a new figure.
        kind : {"spectrogram", "waveform"}, default="spectrogram"
            How the sound is drawn.
        name : str or None, default=None
            Name of the recording in the title. None means the ``name`` of the display.
        **kwargs : dict
            Passed to ``fill_between``, which draws the scores.

        Returns
        -------
        TimelineDisplay
            The display itself.

        Raises
        ------
        ValueError
            If ``kind`` is unknown.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        if kind not in ("spectrogram", "waveform"):
            raise ValueError(f"kind={kind!r} must be 'spectrogram' or 'waveform'.")
        top, bottom = _axes(ax, self.sound is not None)
        self.ax_, self.sound_ax_, self.figure_ = bottom, top, bottom.figure
        begin = int(self.timeline.index[0])
        end = begin + len(self.timeline)
        if top is not None:
            self._draw_sound(top, kind, self.sound, begin, end)
        self._draw_scores(bottom, begin, end, kwargs)
        name = self.name if name is None else name
        if name:
            (top or bottom).set_title(name)
        return self

    def _draw_sound(self, ax, kind, y, begin, end):
        if kind == "waveform":
            # Extremes of each column of the figure, which is much faster than millions of points.
            edges = np.linspace(0, len(y), min(len(y), N_COLUMNS) + 1).astype(int)[:-1]
            low, high = (extreme.reduceat(y, edges) for extreme in (np.minimum, np.maximum))
            ax.fill_between(begin + edges / self.sr, low, high, step="post", color="black", lw=0.5)
            ax.set(ylabel="Amplitude", xlim=(begin, end))
        else:
            values = decibels(y, max(128, len(y) // N_COLUMNS))
            values = np.maximum(values, values.max() - RANGE_DB)
            extent = (begin, begin + len(y) / self.sr, 0, self.sr / 2000)
            ax.imshow(values, origin="lower", aspect="auto", extent=extent, cmap="magma", interpolation="none")
            ax.set_facecolor("black")
            ax.set(ylabel="Frequency (kHz)", xlim=(begin, end), ylim=(0, min(MAX_FREQUENCY, self.sr / 2) / 1000))
        ax.tick_params(labelbottom=False)

    def _draw_scores(self, ax, begin, end, kwargs):
        from matplotlib.patches import Patch

        edges = np.arange(begin, end + 1)
        score = self.timeline["score"].to_numpy(dtype=float)
        style = {"step": "post", "facecolor": "0.75", "edgecolor": "0.25", "lw": 0.8, "label": "score", **kwargs}
        self.line_ = ax.fill_between(edges, 0, np.append(score, score[-1]), **style)
        handles = [self.line_]
        if self.threshold is not None:
            label = f"threshold {self.threshold:.2f}"
            handles.append(ax.axhline(self.threshold, color="black", ls=(0, (1, 2)), lw=1, label=label))
        self.bars_, ticks, labels = {}, [0, 0.5, 1], ["0", "0.5", "1"]
        lanes = (("truth", self.true_events, BLUE), ("detected", self.events, VERMILLION))
        for lane, events, color in lanes:
            if events is None:
                continue
            here = events[(events["offset"] > begin) & (events["onset"] < end)].clip(begin, end)
            bottom, height = LANES[lane]
            place = list(zip(here["onset"], here["offset"] - here["onset"], strict=True))
            self.bars_[lane] = ax.broken_barh(place, (bottom, height), facecolor=color, edgecolor=color, lw=0.6)
            handles.append(Patch(facecolor=color, label=f"{lane}: {len(here)} event{'s' * (len(here) != 1)}"))
            ticks.append(bottom + height / 2)
            labels.append(lane)
        ax.set_yticks(ticks, labels)
        ax.set(ylabel="Score of crying", ylim=(0, 1.34 if self.bars_ else 1.02))
        time_axis(ax, begin, end)
        legend_below(ax, handles, len(handles))


def _axes(ax, with_sound):
    """Return axes for sound (or None) and scores, in a new figure or in place of ``ax``."""
    import matplotlib.pyplot as plt
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    if not with_sound:
        return None, ax or plt.subplots(figsize=(10, 3), layout="constrained")[1]
    if ax is None:
        return plt.subplots(2, 1, figsize=(10, 5), sharex=True, layout="constrained")[1]
    place = GridSpecFromSubplotSpec(2, 1, subplot_spec=ax.get_subplotspec(), hspace=0.1)
    ax.set_axis_off()
    bottom = ax.figure.add_subplot(place[1])
    return ax.figure.add_subplot(place[0], sharex=bottom), bottom


def _stretch(recording, sr, channel, first, n_seconds):
    """Read part of a recording second by second, to limit memory."""
    name = name_recording(recording) or "recording"
    with open_source(recording, sr, name, channel) as source:
        for _ in range(first):
            source.read(sr)
        return source.read(n_seconds * sr)
