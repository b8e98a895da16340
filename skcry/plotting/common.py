"""What the displays share: matplotlib when it is there, colours, tables of one recording, an axis of time."""

from importlib import import_module

import numpy as np
import pandas as pd

from ..metrics.scorers import the_detector

# Colours that the colour-blind tell apart (Okabe & Ito, 2008). What stands for truth is blue and what was detected
# vermillion, in every display. None relies on colour alone: places, hatches or markers differ as well.
BLUE, SKY, GREEN, ORANGE = "#0072B2", "#56B4E9", "#009E73", "#E69F00"
VERMILLION, PURPLE, YELLOW, BLACK = "#D55E00", "#CC79A7", "#F0E442", "#000000"
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
    """Give ``ax``, or axes of a new figure where it is None, in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def legend_below(ax, handles, n_columns):
    """Put a legend under the label of the x axis, however high the axes are."""
    from matplotlib.transforms import ScaledTranslation

    below = ax.transAxes + ScaledTranslation(0, -0.5, ax.figure.dpi_scale_trans)  # inches
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below}
    return ax.legend(handles=handles, ncols=n_columns, frameon=False, borderaxespad=0, **place)


def clock(seconds, unit):
    """Write a time as h:mm:ss, m:ss or s, whichever ``unit`` (3600, 60 or 1 s) is the largest."""
    if unit == 1:
        return f"{seconds:g}"
    whole, sign = abs(round(seconds)), "-" if round(seconds) < 0 else ""
    if unit == 60:
        return f"{sign}{whole // 60}:{whole % 60:02d}"
    return f"{sign}{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def time_axis(ax, begin, end):
    """Limit the x axis to a stretch of time, in seconds, and write its times as people read them."""
    unit = 3600 if end >= 3600 else 60 if end > 120 else 1
    step = next((step for step in TICK_STEPS if (end - begin) / step <= MAX_TICKS), None)
    if step is None:  # weeks
        step = 86400 * np.ceil((end - begin) / 86400 / MAX_TICKS)
    ticks = step * np.arange(np.ceil(begin / step), np.floor(end / step + 1e-9) + 1)
    labels = [clock(tick, 1 if step < 1 else unit) for tick in ticks]
    ax.set_xticks(ticks, labels)
    ax.set_xlim(begin, end)
    written = {1: "s", 60: "min:s", 3600: "h:min:s"}[1 if step < 1 else unit]
    ax.set_xlabel(f"Time in the recording ({written})")


def stretches(flags):
    """Turn flags, one after the other, into pairs of start and length of those that are True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, dtype=np.int8), [0]])))
    begin, end = edges.reshape(-1, 2).T
    return np.column_stack([begin, end - begin])


def one_timeline(timeline):
    """Check the timeline of one recording; give it indexed by second, and the recording if that is known."""
    if not isinstance(timeline, pd.DataFrame):
        raise TypeError(
            f"timeline must be a DataFrame, as CryDetector.timeline gives it, got {type(timeline).__name__}."
        )
    if "score" not in timeline or timeline.empty:
        raise ValueError(
            f"timeline has {len(timeline)} seconds and columns {list(timeline.columns)}, but some seconds and 'score' "
            "are needed. With more than two classes name the one that counts: timeline.assign(score=timeline['cry'])."
        )
    recording = None
    if timeline.index.nlevels > 1:
        recordings = timeline.index.unique(0)
        if len(recordings) > 1:
            raise ValueError(
                f"timeline holds {len(recordings)} recordings, but one is drawn. Choose it: "
                f"timeline.loc[[{recordings[0]!r}]]."
            )
        recording, timeline = recordings[0], timeline.droplevel(0)
    if (np.diff(timeline.index) != 1).any():
        raise ValueError(
            "The seconds of timeline must follow one by one. Index it by second, as CryDetector.timeline does."
        )
    return timeline, recording


def one_table(events, recording):
    """Check the events of one recording; give their onsets and offsets in seconds, sorted."""
    if events is None:
        return None
    if not isinstance(events, pd.DataFrame):
        events = pd.DataFrame([row[:2] for row in events], columns=["onset", "offset"])
    if not {"onset", "offset"} <= set(events.columns):
        raise ValueError(
            f"events has columns {list(events.columns)}, but 'onset' and 'offset' are needed. Pass what "
            "CryDetector.detect gives."
        )
    if "recording" in events:
        if recording is not None:
            events = events[events["recording"] == recording]
        elif len(events["recording"].unique()) > 1:
            raise ValueError(
                f"events are of {len(events['recording'].unique())} recordings, but one is drawn. Choose it: "
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
