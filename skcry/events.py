"""Convert annotations to classes of windows and seconds, and decisions per second to events.

An *annotation* has onset and offset in seconds and a label. :func:`as_annotations` checks annotations,
:class:`LabelMap` maps their labels to classes, :func:`coverage` measures how much of a stretch of time a class covers,
and :func:`find_events` joins decisions per second to events.

Time has three states: crying, not crying, and *unknown* (nobody listened, or the annotator was unsure). Unknown time is
annotated as such, with the label "unknown" or another that ``ignore`` names; :func:`skcry.events.mark_unknown` makes
these rows from the ranges that were listened to. All other time without annotation is background.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ._similar import fold, similar
from ._typing import Annotations, Labels
from ._warnings import warn

# Seconds that an annotation may end after the recording: annotation tools round to milliseconds, and audio encoders pad
# by about ten of them.
END_TOLERANCE = 0.1
# Three years in seconds. Later times are in milliseconds, or do not count from the start of the recording.
MAX_TIME = 1e8
# Seconds that annotations of different classes may overlap: boundaries drawn on a video of 25 frames per second, or
# rounded to a tenth of a second, touch within it.
OVERLAP_TOLERANCE = 0.05
MIXED_TOLERANCE = 1e-3  # seconds of another class that make a window mixed
N_SHOWN = 5  # contradictions that one message lists
UNKNOWN = "unknown"  # label of time that nobody annotated

__all__ = [
    "LabelMap",
    "as_annotations",
    "class_intervals",
    "classify",
    "coverage",
    "find_events",
    "mark_unknown",
    "merge",
]

COLUMN_NAMES = {"start": "onset", "end": "offset", "begin": "onset", "stop": "offset"}
RECORDING_COLUMNS = {"recording", "file", "filename"}
# By these, data frames of other libraries than pandas are recognised.
FRAME_ATTRIBUTES = ("columns", "column_names", "__dataframe__", "__narwhals_dataframe__")


def as_pandas(table, name):
    """Return a data frame of any library as one of pandas; other objects as they are."""
    kind = type(table)
    if isinstance(table, pd.DataFrame) or not any(hasattr(kind, one) for one in FRAME_ATTRIBUTES):
        return table
    if not any(hasattr(kind, one) for one in ("collect", "compute")):
        with contextlib.suppress(ImportError):  # polars needs pyarrow for it
            if hasattr(kind, "to_pandas"):
                return table.to_pandas()
        with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
            return pd.DataFrame({column: list(table[column]) for column in table.columns})
    raise TypeError(
        f"{name}: a table of type {kind.__module__}.{kind.__name__} cannot be read. Compute it, if it is lazy, and "
        "pass it as a DataFrame of pandas or polars."
    )


def as_annotations(
    annotations: Annotations, *, duration: float | None = None, name: str = "annotations"
) -> pd.DataFrame:
    """Check the annotations of one recording and return them as a DataFrame.

    Parameters
    ----------
    annotations : DataFrame or sequence of tuples
        Columns ``onset, offset, label`` (or ``start, end, label``), or tuples ``(onset, offset)`` or
        ``(onset, offset, label)``; times in seconds. Without labels all mean "cry". An empty sequence means that
        nothing was heard. DataFrames of polars and other libraries are accepted as those of pandas.
    duration : float or None, default=None
        Length of the recording in seconds. With None, annotations may end at any time.
    name : str, default="annotations"
        Name of the annotations in error messages.

    Returns
    -------
    DataFrame of shape (n_annotations, 3)
        Columns ``onset, offset`` (float, seconds) and ``label`` (str), sorted by onset. Points, which end when they
        start, are left out with a warning.

    Raises
    ------
    TypeError
        If the annotations are neither a DataFrame nor a sequence of such tuples.
    ValueError
        If a label is missing or empty, a time is not finite, negative or above three years, an annotation ends before
        it starts or after the recording, all annotations are points, or a column ``recording`` names several
        recordings. Only the label "unknown" may end at infinity: at the end of the recording.

    Examples
    --------
    >>> from skcry.events import as_annotations
    >>> as_annotations([(2.0, 4.5), (7.0, 9.0, "fuss")])
       onset  offset label
    0    2.0     4.5   cry
    1    7.0     9.0  fuss
    """
    return check_annotations(annotations, duration=duration, name=name).reset_index(drop=True)


def check_annotations(annotations, *, duration=None, name="annotations"):
    """Do what `as_annotations` does, but index each annotation by its place in the input, from 0."""
    annotations = as_pandas(annotations, name)
    if isinstance(annotations, pd.DataFrame):
        table = annotations.rename(columns=lambda column: COLUMN_NAMES.get(str(column).lower(), str(column).lower()))
        if not table.columns.is_unique:
            raise ValueError(
                f"{name}: columns {list(annotations.columns)!s:.100} name a time or label twice. Drop one of them."
            )
        if not {"onset", "offset"} <= set(table.columns):
            raise ValueError(
                f"{name}: the columns are {list(annotations.columns)!s:.100}, but 'onset' and 'offset' (or 'start' and "
                "'end') are needed, and 'label' for labels other than 'cry'. Rename the columns."
            )
        for column in RECORDING_COLUMNS & set(table.columns):
            recordings = table[column].unique().tolist()
            if len(recordings) > 1:
                raise ValueError(
                    f"{name}: the column {column!r} names {len(recordings)} recordings: {recordings!s:.100}. Pass the "
                    f"rows of one, as in table[table[{column!r}] == {recordings[0]!r:.50}]."
                )
        if "label" not in table and len(table.columns) > 2:
            raise ValueError(
                f"{name}: no column is called 'label', but there are others: {list(annotations.columns)!s:.100}. "
                "Rename the one that holds the labels; drop the others if every row means crying."
            )
        table = table.assign(label=table.get("label", "cry"))[["onset", "offset", "label"]].reset_index(drop=True)
    else:
        if isinstance(annotations, str) or not hasattr(annotations, "__len__"):
            raise TypeError(
                f"{name}: got {annotations!r}, but annotations are a DataFrame with columns onset, offset, label "
                "or a list of (onset, offset, label) tuples, times in seconds."
            )
        rows = []
        for row in annotations:
            if isinstance(row, (str, dict)) or not hasattr(row, "__len__") or len(row) not in (2, 3):
                raise TypeError(f"{name}: {row!r} is not an (onset, offset) or (onset, offset, label) tuple.")
            if getattr(row, "_fields", ("",))[0] == "Index":
                raise TypeError(f"{name}: {row!r:.150} starts with the index of a table. Pass the table itself.")
            rows.append((row[0], row[1], row[2] if len(row) == 3 else "cry"))
        table = pd.DataFrame(rows, columns=["onset", "offset", "label"])
    if table["label"].isna().any():
        row = table[table["label"].isna()].iloc[0]
        raise ValueError(
            f"{name}: the label from {row.onset} s to {row.offset} s is missing. Fill it in or drop the row."
        )
    try:
        table = table.astype({"onset": float, "offset": float, "label": str})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: onset and offset must be numbers, in seconds ({error}).") from None

    def refuse(faulty, reason):
        if faulty.any():
            row = table[faulty].iloc[0]
            raise ValueError(
                f"{name}: '{row.label:.100}' from {row.onset:g} s to {row.offset:g} s {reason} "
                f"({int(faulty.sum())} of {len(table)} annotations)."
            )

    empty = table["label"].str.strip() == ""
    if empty.any():
        row = table[empty].iloc[0]
        raise ValueError(
            f"{name}: the label '' from {row.onset:g} s to {row.offset:g} s is empty ({int(empty.sum())} of "
            f"{len(table)} annotations). Fill it in or drop the row."
        )
    unknown = table["label"] == UNKNOWN
    endless = unknown & (table["offset"] == np.inf)
    finite = np.isfinite(table["onset"]) & (np.isfinite(table["offset"]) | endless)
    refuse(~finite, "has a time that is missing or infinite; fill it in")
    refuse(table["offset"] < table["onset"], "ends before it starts; swap the times or drop the row")
    refuse(table["onset"] < 0, "starts before the recording, at a negative time; correct the offset between the clocks")
    refuse(
        (table["offset"] > MAX_TIME) & ~endless,
        f"lies more than {MAX_TIME:g} s after the start of the recording; give times in seconds from there",
    )
    points = (table["offset"] == table["onset"]) & ~unknown
    if points.any():
        row = table[points].iloc[0]
        text = (
            f"{name}: {int(points.sum())} of {len(table)} annotations end when they start, such as '{row.label:.50}' "
            f"at {row.onset:g} s. Points cover no time"
        )
        if points[~unknown].all():
            raise ValueError(f"{text}. Give each an end, or drop them if nothing was heard.")
        warn(f"{text} and are left out. Give each an end, or drop them.")
    if duration is not None:
        refuse(
            (table["offset"] > duration + END_TOLERANCE) & ~endless,
            f"ends after the recording, which lasts {duration:g} s; check that the annotations belong to it",
        )
        table[["onset", "offset"]] = table[["onset", "offset"]].clip(upper=duration)
    # Points in time cover nothing, and class_intervals would take them for contradictions.
    table = table[table["offset"] > table["onset"]]
    return table.sort_values(["onset", "offset"], kind="stable")


def _as_names(names):
    """Return one name, or several, as a tuple of str."""
    return tuple(map(str, names)) if isinstance(names, (tuple, list, set, np.ndarray)) else (str(names),)


@dataclass(frozen=True)
class LabelMap:
    """Map label names to classes.

    Called with label names, it returns their classes. All functions with ``positive``, ``negative``, ``ignore`` and
    ``overlap`` use it.

    Parameters
    ----------
    positive : str, tuple of str or None, default=("cry",)
        Labels that count as crying: the classes are then 0 and 1. With None, each label is a class of its own.
    negative : str, tuple of str or None, default=None
        Labels that do not. None means all that are not positive; otherwise a label in neither is an error. With
        ``positive=None`` these are the labels that are not reported as events; the first of them is the class of time
        without annotation ("background" with None).
    ignore : str or tuple of str, default=("unknown",)
        Labels of unknown time, such as "unsure": it is in no class, and counts neither in training nor in scores. Where
        annotations of crying overlap it, they count. "unknown" is always among them, unless ``positive`` or
        ``negative`` names it.
    overlap : {"union", "raise"}, default="union"
        What annotations of crying mean where other labels overlap them by more than 0.05 s. "union": crying, since
        other sounds do not exclude it; only labels that deny it ("notcry", "no crying") are an error. "raise": always
        an error. With ``positive=None``, overlapping labels are an error.

    See Also
    --------
    class_intervals : Apply it to annotations.

    Examples
    --------
    >>> from skcry.events import LabelMap
    >>> LabelMap(positive=("cry", "whine"))(["cry", "fuss", "whine"])
    [1, 0, 1]
    >>> LabelMap(positive=None, negative="quiet").background
    'quiet'
    """

    positive: Labels | None = ("cry",)
    negative: Labels | None = None
    ignore: Labels = (UNKNOWN,)
    overlap: Literal["union", "raise"] = "union"

    def __post_init__(self):
        for side in ("positive", "negative", "ignore"):
            if getattr(self, side) is not None:
                object.__setattr__(self, side, _as_names(getattr(self, side)))
        if UNKNOWN not in (*(self.positive or ()), *(self.negative or ()), *self.ignore):
            # So that ignore=("unsure",) does not turn what mark_unknown marks into background.
            object.__setattr__(self, "ignore", (*self.ignore, UNKNOWN))
        if self.overlap not in ("union", "raise"):
            raise ValueError(f"overlap={self.overlap!r} must be 'union' or 'raise'.")
        if self.positive is not None and not self.positive:
            raise ValueError("positive=() names no label. Name at least one, or pass None to keep every label.")
        for one, other in itertools.combinations(("positive", "negative", "ignore"), 2):
            both = set(getattr(self, one) or ()) & set(getattr(self, other) or ())
            if both:
                raise ValueError(f"{sorted(both)} stand in {one} and in {other}. Keep each label in one of them.")

    @property
    def background(self) -> int | str:
        """Class of time without annotation."""
        if self.positive is not None:
            return 0
        return self.negative[0] if self.negative else "background"

    @property
    def uninteresting(self) -> set:
        """Set of the classes that are not reported as events."""
        return {0} if self.positive is not None else {self.background, *(self.negative or ())}

    def _denies_crying(self, label: str) -> bool:
        """Tell whether a label says that there is no crying, such as "notcry" or "no crying"."""
        plain = "".join(filter(str.isalpha, fold(label)))
        return any(plain.startswith(no + fold(one)) for one in self.positive or () for no in ("not", "no", "non"))

    def __call__(self, labels: Iterable, name: str = "annotations") -> list:
        """Return the list of the classes of label names; None for unknown time.

        Raises ValueError for a label that ``negative`` lacks, and for one that differs from another label only by
        case, blanks or accents.
        """
        labels = [str(label) for label in labels]
        named = {*(self.positive or ()), *(self.negative or ()), *self.ignore}
        for alike in similar({*labels, *named}):
            strange = sorted(set(alike) - named) if self.positive is not None else sorted(set(alike) & set(labels))
            if len(strange) == len(alike) and self.positive is not None:
                continue  # two spellings of a label that has no role
            if strange and len(alike) > 1:
                other = next(one for one in alike if one != strange[0])
                raise ValueError(
                    f"{name}: label {strange[0]!r} differs from {other!r} only by case, blanks or accents. Correct it, "
                    "or name both in positive, negative or ignore."
                )
        if self.negative is not None and self.positive is not None:
            unknown = sorted(set(labels) - named)
            if unknown:
                raise ValueError(
                    f"{name}: label {unknown[0]!r} is neither in positive={self.positive} nor in "
                    f"negative={self.negative}. Add it to one of them, or pass negative=None to count all others as "
                    f"negative. Unknown labels: {unknown!s:.100}."
                )
        if self.positive is None:
            return [None if label in self.ignore else label for label in labels]
        return [None if label in self.ignore else int(label in self.positive) for label in labels]


def mark_unknown(annotations: Annotations, ranges: Iterable) -> pd.DataFrame:
    """Mark the time outside the annotated ranges of a recording as unknown.

    Parameters
    ----------
    annotations : DataFrame or sequence of tuples
        See :func:`as_annotations`.
    ranges : array-like of shape (n_ranges, 2), or DataFrame with columns onset, offset
        Onsets and offsets in seconds of what was listened to, in any order.

    Returns
    -------
    DataFrame of shape (n_annotations + n_gaps, 3)
        The annotations, and a row with the label "unknown" before, between and after the ranges. The last one ends at
        infinity, which means the end of the recording.

    Raises
    ------
    ValueError
        If a range has no length or a negative onset, there is none, or an annotation lies outside all of them.

    Examples
    --------
    >>> from skcry.events import mark_unknown
    >>> mark_unknown([(20.0, 25.0, "cry")], ranges=[(0, 90), (200, 290)])
       onset  offset    label
    0   20.0    25.0      cry
    1   90.0   200.0  unknown
    2  290.0     inf  unknown
    """
    table, ranges = as_annotations(annotations), merge(_as_ranges(ranges))
    outside = table[coverage(ranges, table["onset"], table["offset"]) == 0]
    outside = outside[outside["label"] != UNKNOWN]
    if len(outside):
        row = outside.iloc[0]
        raise ValueError(
            f"'{row.label:.100}' from {row.onset:g} s to {row.offset:g} s lies outside all ranges ({len(outside)} of "
            f"{len(table)} annotations). Correct the ranges, or drop these rows."
        )
    gaps = pd.DataFrame(unknown_rows(ranges.tolist()), columns=["onset", "offset", "label"])
    return as_annotations(pd.concat([table, gaps], ignore_index=True))


def _as_ranges(ranges):
    """Check ranges of time, and return their onsets and offsets in seconds (n_ranges, 2), sorted."""
    ranges = as_pandas(ranges, "ranges")
    if isinstance(ranges, pd.DataFrame) and {"onset", "offset"} <= set(ranges.columns):
        ranges = ranges[["onset", "offset"]]
    try:
        pairs = np.array(ranges if hasattr(ranges, "__array__") else list(ranges), dtype=float)
    except (TypeError, ValueError):
        pairs = np.empty(0)
    if (
        pairs.ndim != 2
        or pairs.shape[1] != 2
        or not len(pairs)
        or not ((pairs[:, 0] >= 0) & (pairs[:, 0] < pairs[:, 1])).all()
    ):
        given = ranges.tolist() if isinstance(ranges, np.ndarray) else ranges
        raise ValueError(
            f"ranges={given!s:.60} must hold at least one pair (onset, offset) in seconds, with 0 <= onset < offset, "
            "such as [(0, 90)]. Leave a recording out of which nothing was listened to."
        )
    return pairs[np.lexsort(pairs.T[::-1])]


def unknown_rows(ranges):
    """List (onset, offset, "unknown") of the time outside of ranges in seconds, to the end of the recording."""
    edges = np.concatenate([[0.0], merge(sorted(ranges)).ravel(), [np.inf]]).reshape(-1, 2)
    return [(onset, offset, UNKNOWN) for onset, offset in edges.tolist() if onset < offset]


def class_intervals(
    annotations: Annotations, label_map: LabelMap, *, duration: float | None = None, name: str = "annotations"
) -> dict[int | str | None, np.ndarray]:
    """Return the disjoint intervals of each class in the annotations of one recording.

    Parameters
    ----------
    annotations : DataFrame or sequence of tuples
        See :func:`as_annotations`.
    label_map : LabelMap
        Labels to classes.
    duration : float or None, default=None
        Length of the recording in seconds.
    name : str, default="annotations"
        Name of the annotations in error messages.

    Returns
    -------
    dict
        Class -> ndarray of shape (n_intervals, 2), onset and offset in seconds, sorted and merged. The key None is
        unknown time. Intervals of different classes may overlap, see :class:`LabelMap`.

    Raises
    ------
    ValueError
        If annotations contradict each other (the message lists them), or as :func:`as_annotations` raises.
    """
    table = as_annotations(annotations, duration=duration, name=name)
    classes = label_map(table["label"], name)
    stated = [True] * len(table)
    if label_map.positive is not None and label_map.overlap == "union":
        denied = table["label"].map(label_map._denies_crying)
        stated = [key == 1 or denies for key, denies in zip(classes, denied, strict=True)]
    _refuse_contradictions(table[stated], list(itertools.compress(classes, stated)), name)
    times = table[["onset", "offset"]].to_numpy()
    rows: dict = {}
    for row, key in enumerate(classes):
        rows.setdefault(key, []).append(row)
    return {key: merge(times[chosen]) for key, chosen in rows.items()}


def _refuse_contradictions(table, classes, name):
    """Raise one ValueError that lists the annotations of different classes that overlap, if any."""
    last: dict = {}
    found = []
    for row, key in zip(table.itertuples(), classes, strict=True):
        if key is None:
            continue
        for other, seen in last.items():
            if other != key and seen.offset - row.onset > OVERLAP_TOLERANCE:
                found.append(
                    f"'{row.label:.50}' from {row.onset:g} s to {row.offset:g} s contradicts '{seen.label:.50}' from "
                    f"{seen.onset:g} s to {seen.offset:g} s"
                )
        if key not in last or row.offset > last[key].offset:
            last[key] = row
    if found:
        more = f"; and {len(found) - N_SHOWN} more" if len(found) > N_SHOWN else ""
        raise ValueError(
            f"{name}: {'; '.join(found[:N_SHOWN])}{more}. Correct them. Labels of other sounds may overlap those in "
            'positive=(...) with overlap="union".'
        )


def merge(intervals: Iterable, gap: float = 0.0) -> np.ndarray:
    """Merge sorted intervals that overlap, touch, or are at most ``gap`` seconds apart.

    Parameters
    ----------
    intervals : array-like of shape (n_intervals, 2)
        Onsets and offsets in seconds, sorted by onset.
    gap : float, default=0.0
        Longest gap to close, in seconds.

    Returns
    -------
    ndarray of shape (n_merged, 2)
        Onsets and offsets of disjoint intervals.

    Examples
    --------
    >>> from skcry.events import merge
    >>> merge([(0, 2), (1, 3), (5, 6)], gap=1.0)
    array([[0., 3.],
           [5., 6.]])
    """
    merged: list = []
    for onset, offset in intervals:
        if merged and onset - merged[-1][1] <= gap:
            merged[-1][1] = max(offset, merged[-1][1])
        else:
            merged.append([onset, offset])
    return np.array(merged, dtype=float).reshape(-1, 2)


def coverage(intervals: np.ndarray, onset: ArrayLike, offset: ArrayLike) -> np.ndarray:
    """Measure how many seconds of each stretch are covered by disjoint, sorted intervals.

    Parameters
    ----------
    intervals : ndarray of shape (n_intervals, 2)
        Onsets and offsets in seconds.
    onset, offset : array-like of shape (n_stretches,)
        Edges in seconds.

    Returns
    -------
    ndarray of shape (n_stretches,)
        Seconds, from 0 to the length of the stretch.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry.events import coverage
    >>> coverage(np.array([[1.0, 3.0]]), [0, 2, 5], [2, 4, 6])
    array([1., 1., 0.])
    """
    onset, offset = np.asarray(onset, dtype=float), np.asarray(offset, dtype=float)
    if len(intervals) == 0 or offset.size == 0:
        return np.zeros(onset.shape)
    intervals = np.minimum(intervals, offset.max())  # unknown time may end at infinity
    covered = np.concatenate([[0.0], np.cumsum(intervals[:, 1] - intervals[:, 0])])
    # Time covered up to t is piecewise linear, with knots at the edges of the intervals.
    knots = intervals.ravel()
    heights = np.repeat(covered, 2)[1:-1]
    return np.interp(offset, knots, heights) - np.interp(onset, knots, heights)


class Classes(NamedTuple):
    """Classes of stretches of time, each of shape (n_stretches,)."""

    chosen: np.ndarray  # class of each stretch, as the label map names it
    mixed: np.ndarray  # whether it holds more than one class (time without annotation is background), bool
    known: np.ndarray  # whether its class does not depend on unknown time, bool


def classify(
    annotations: Annotations,
    label_map: LabelMap,
    onset: ArrayLike,
    offset: ArrayLike,
    *,
    min_overlap: float = 0.5,
    duration: float | None = None,
    name: str = "annotations",
) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each stretch of time.

    Parameters
    ----------
    annotations : DataFrame or sequence of tuples
        See :func:`as_annotations`.
    label_map : LabelMap
        Labels to classes.
    onset, offset : array-like of shape (n_stretches,)
        Edges in seconds.
    min_overlap : float, default=0.5
        A stretch belongs to a class that covers at least this share of it: of several, to the one that covers most; if
        there is none, to the background.
    duration : float or None, default=None
        Length of the recording in seconds; stretches are cut there.
    name : str, default="annotations"
        Name of the annotations in error messages.

    Returns
    -------
    chosen : ndarray of shape (n_stretches,)
        Class of each stretch, as the label map names it.
    mixed : ndarray of bool of shape (n_stretches,)
        Whether a stretch holds more than one class (time without annotation is background).

    Raises
    ------
    ValueError
        If the class of a stretch depends on unknown time, or as :func:`class_intervals` raises.
    """
    about = {"min_overlap": min_overlap, "duration": duration, "name": name}
    chosen, mixed, known = classify_known(annotations, label_map, onset, offset, **about)
    if not known.all():
        first = int(np.argmin(known))
        raise ValueError(
            f"{name}: {int((~known).sum())} of {len(known)} stretches lie in unknown time, the first from "
            f"{np.ravel(onset)[first]:g} s on, so they have no class. Leave them out."
        )
    return chosen, mixed


def classify_known(annotations, label_map, onset, offset, *, min_overlap=0.5, duration=None, name="annotations"):
    """Return :class:`Classes` of stretches of time; arguments are those of :func:`classify`.

    A stretch that no class covers is background, or unknown if a class would cover it with the unknown time in it.
    """
    onset = np.asarray(onset, dtype=float)
    offset = np.minimum(offset, np.inf if duration is None else duration)
    length = offset - onset
    intervals = class_intervals(annotations, label_map, duration=duration, name=name)
    unknown = intervals.pop(None, np.empty((0, 2)))
    keys: list = [key for key in intervals if key != label_map.background]
    keys.sort()
    covered = np.array([coverage(intervals[key], onset, offset) for key in keys]).reshape(len(keys), len(onset))
    heard = [intervals[key] for key in keys]
    open_time = coverage(_union(unknown, *heard), onset, offset) - coverage(_union(*heard), onset, offset)
    length_or_tiny = np.maximum(length, np.finfo(float).tiny)
    share = covered / length_or_tiny
    possible = share.max(axis=0, initial=0) + open_time / length_or_tiny
    # An overlap of exactly min_overlap counts, despite rounding.
    share[share < min_overlap - 1e-9] = 0
    choices = np.array([label_map.background, *keys])
    chosen = choices[np.concatenate([np.full((1, len(onset)), 1e-12), share]).argmax(axis=0)]
    known = (share > 0).any(axis=0) | (possible < min_overlap - 1e-9) | (open_time <= 1e-9)
    rest = length - covered.sum(axis=0) - open_time
    mixed = (np.vstack([covered, rest]) > MIXED_TOLERANCE).sum(axis=0) > 1
    return Classes(chosen, mixed, known)


def _union(*intervals):
    """Merge several arrays of intervals (n_intervals, 2) into one of disjoint intervals."""
    return merge(sorted(itertools.chain.from_iterable(one.tolist() for one in intervals)))


def find_events(
    active: ArrayLike, *, merge_gap: float = 5.0, min_duration: float = 5.0, duration: float | None = None
) -> np.ndarray:
    """Join decisions per second to events.

    First gaps of at most ``merge_gap`` seconds between active seconds are closed, then events shorter than
    ``min_duration`` are dropped. Time before the first and after the last active second is not a gap, and an event at
    the edge of the recording is not extended. If the whole recording is shorter than ``min_duration``, an event that
    fills it is kept.

    Parameters
    ----------
    active : array-like of bool of shape (n_seconds,)
        Whether each second is active.
    merge_gap : float, default=5.0
        Longest gap to close, in seconds (5 s as in Yao et al., 2022).
    min_duration : float, default=5.0
        Shortest event to keep, in seconds. Published code also drops events of exactly 5 s; here they are kept, so
        that a clip of one window can hold an event.
    duration : float or None, default=None
        Length of the recording in seconds, if its last second is not whole.

    Returns
    -------
    ndarray of shape (n_events, 2)
        Onset and offset in seconds.

    Examples
    --------
    >>> from skcry.events import find_events
    >>> find_events([1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1], merge_gap=2, min_duration=3)
    array([[0., 7.]])
    """
    active = np.asarray(active, dtype=bool)
    duration = float(len(active) if duration is None else duration)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    events = merge(np.minimum(edges.reshape(-1, 2), duration), merge_gap)
    return events[events[:, 1] - events[:, 0] >= min(min_duration, duration) - 1e-9]
