"""Shared parts of the displays: import of matplotlib, colours, tables of one recording, axis of time."""

from importlib import import_module

import numpy as np
import pandas as pd

from ..events import find_events
from ..metrics.scorers import the_detector
from ..metrics.truth import check_scored

# Colours for the colour-blind (Okabe & Ito, 2008). Truth is blue and detections are vermillion in all displays, which
# also differ in position, hatch or marker.
BLUE, GREEN, ORANGE, VERMILLION, PURPLE = "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
GREY, PALE = "#595959", "#E6E6E6"

TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 86400)
MAX_TICKS = 11


def check_matplotlib(caller_name):
    """Raise an error that says what to install if matplotlib is missing."""
    try:
        import_module("matplotlib")
    except ImportError as error:
        raise ImportError(f"{caller_name} requires matplotlib. Install it with `pip install 'skcry[plot]'`.") from error


def new_axes(ax, width, height):
    """Return ``ax``, or for None axes of a new figure with this size in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def legend_below(ax, handles, n_columns):
    """Add a legend below the label of the x axis."""
    from matplotlib.transforms import ScaledTranslation

    below = ax.transAxes + ScaledTranslation(0, -0.5, ax.figure.dpi_scale_trans)  # inches
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below}
    return ax.legend(handles=handles, ncols=n_columns, frameon=False, borderaxespad=0, **place)


def clock(seconds, unit):
    """Format a time as h:mm:ss, m:ss or s, for a ``unit`` of 3600, 60 or 1 s."""
    if unit == 1:
        return f"{seconds:g}"
    whole, sign = abs(round(seconds)), "-" if round(seconds) < 0 else ""
    if unit == 60:
        return f"{sign}{whole // 60}:{whole % 60:02d}"
    return f"{sign}{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def time_axis(ax, begin, end):
    """Set limits of the x axis in seconds, and label it in seconds, minutes or hours."""
    step = next((step for step in TICK_STEPS if (end - begin) / step <= MAX_TICKS), None)
    if step is None:  # for weeks, whole days
        step = 86400 * np.ceil((end - begin) / 86400 / MAX_TICKS)
    unit = 1 if step < 1 or end <= 120 else 60 if end < 3600 else 3600
    ticks = step * np.arange(np.ceil(begin / step), np.floor(end / step + 1e-9) + 1)
    ax.set_xticks(ticks, [clock(tick, unit) for tick in ticks])
    ax.set_xlim(begin, end)
    names = {1: "s", 60: "min:s", 3600: "h:min:s"}
    ax.set_xlabel(f"Time in the recording ({names[unit]})")


def stretches(flags):
    """Return start and length of runs of True, shape (n_runs, 2)."""
    begin, end = find_events(flags, merge_gap=0, min_duration=0).T
    return np.column_stack([begin, end - begin])


def one_timeline(timeline):
    """Check the timeline of one recording; return it indexed by second, and the recording or None."""
    if not isinstance(timeline, pd.DataFrame):
        raise TypeError(
            f"timeline must be a DataFrame, got {type(timeline).__name__}. Pass the result of CryDetector.timeline."
        )
    check_scored(timeline)
    recording = None
    if timeline.index.nlevels > 1:
        recordings = timeline.index.unique(0)
        if len(recordings) > 1:
            raise ValueError(
                f"timeline holds {len(recordings)} recordings, but one is drawn. Choose one: "
                f"timeline.loc[[{recordings[0]!r:.90}]]."
            )
        recording, timeline = recordings[0], timeline.droplevel(0)
    if (np.diff(timeline.index) != 1).any():
        raise ValueError("timeline must be indexed by consecutive seconds. Pass the result of CryDetector.timeline.")
    return timeline, recording


def one_table(events, recording):
    """Check the events of one recording; return their onsets and offsets in seconds, sorted."""
    if events is None:
        return None
    if not isinstance(events, pd.DataFrame):
        events = pd.DataFrame([row[:2] for row in events], columns=["onset", "offset"])
    if not {"onset", "offset"} <= set(events.columns):
        raise ValueError(
            f"events has columns {list(events.columns)!s:.90}, but 'onset' and 'offset' are needed. Pass the result of "
            "CryDetector.detect."
        )
    if "recording" in events:
        if recording is not None:
            events = events[events["recording"] == recording]
        elif len(events["recording"].unique()) > 1:
            raise ValueError(
                f"events holds {len(events['recording'].unique())} recordings, but one is drawn. Choose one: "
                "events[events['recording'] == 0]."
            )
    return events[["onset", "offset"]].astype(float).sort_values("onset", ignore_index=True)


def score_recording(detector, recording):
    """Return the detector (of a search, the best one) and its detection of one recording."""
    detector = the_detector(detector)
    (found,) = detector.iter_detections([recording])
    return detector, found


def name_recording(recording):
    """Name a recording for a title: by its file, or not at all."""
    from ..io.audio import name_of

    return None if hasattr(recording, "__array__") or isinstance(recording, list) else name_of(recording, 0)
