"""Two sides of a comparison, such as the files of two annotators: read in any form, and lined up second by second."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..events import UNKNOWN, find_events
from ..io.annotations import read_annotations
from ..summary import blocks, flags, quote
from .bootstrap import _look_up
from .truth import _of_recordings, as_items, known_and_true, second_truth

ROUNDING = 1e-9  # tolerance in seconds


class _Side(NamedTuple):
    """What one of two sides says."""

    annotations: dict  # of each recording
    extent: dict | None  # first second and number of seconds of each recording; only of a timeline
    complete: bool  # whether a recording that is not there is missing, or was without crying
    in_order: bool  # whether recordings are numbered by their places in a list


def _read_side(values, name, label):
    """Read one side in any form; ``label`` stands for crying in tables without labels."""
    if isinstance(values, (pd.DataFrame, pd.Series)) and "second" in values.index.names:
        return _read_seconds(values, name, label)
    if isinstance(values, pd.DataFrame) and {"recording", "onset", "offset"} <= set(values.columns):
        table = values if "label" in values else values.assign(label=label)
        if "known" in table:
            table = table.assign(label=table["label"].where(table["known"].astype(bool), UNKNOWN))
        tables = dict(iter(table.groupby("recording", sort=False)))
        listed = values.attrs.get("recordings")
        return _Side({one: tables.get(one, []) for one in listed or tables}, None, listed is not None, False)
    items = as_items(values, name)
    for recording, one in items.items():
        if isinstance(one, (str, os.PathLike)):
            items[recording] = read_annotations(one)
    return _Side(items, None, True, not isinstance(values, (Mapping, pd.Series)))


def _read_seconds(values, name, label):
    """Read a timeline, or a truth per second, as a side."""
    if isinstance(values, pd.Series):
        if not pd.api.types.is_bool_dtype(values):
            raise TypeError(
                f"{name} is a Series of dtype {values.dtype}, but seconds must be True or False. Pass the result of "
                "second_truth, or a timeline."
            )
        known, cry = known_and_true(values)
    elif "cry" in values:
        cry = flags(values, "cry")
        known = flags(values, "usable") if "usable" in values else np.ones(len(values), dtype=bool)
    else:
        raise ValueError(
            f"{name} is a timeline with columns {list(values.columns)!s:.60}, but 'cry' (bool) is needed. With more "
            "than two classes choose one: timeline.assign(cry=timeline['label'] == 'cry')."
        )
    recordings, first, second = blocks(values)
    annotations, extent = {}, {}
    for recording, begin, end in zip(recordings, first, [*first[1:], len(values)], strict=False):
        runs = [
            pd.DataFrame(find_events(one[begin:end], merge_gap=0, min_duration=0), columns=["onset", "offset"])
            for one in (cry & known, ~known)
        ]
        table = pd.concat([run.assign(label=of) for run, of in zip(runs, (label, UNKNOWN), strict=True)])
        annotations[recording] = table.assign(
            onset=table["onset"] + second[begin], offset=table["offset"] + second[begin]
        )
        extent[recording] = int(second[begin]), int(end - begin)
    return _Side(annotations, extent, True, False)


def _match_names(a, b):
    """Return both sides with the same names; a list that is compared with a timeline is in its order."""
    if a.in_order == b.in_order or not a.annotations or not b.annotations:
        return a, b
    listed, named = (a, b) if a.in_order else (b, a)
    if not any(isinstance(one, str) for one in named.annotations):
        return a, b
    one, other = ("a", "b") if a.in_order else ("b", "a")
    if named.extent is None or len(named.annotations) != len(listed.annotations):
        raise ValueError(
            f"{one} is a list of {len(listed.annotations)} recordings, but {other} names them: "
            f"{[*named.annotations][:2]!s:.80} ({len(named.annotations)} recordings). Pass {one} as a dict from "
            "recording to annotations, with the same names."
        )
    renamed = dict(zip(named.annotations, listed.annotations.values(), strict=True))
    listed = listed._replace(annotations=renamed, in_order=False)
    return (listed, named) if a.in_order else (named, listed)


def _check_recordings(recordings, source, sides):
    """Refuse sides of other recordings than those of ``source``."""
    for name, side in sides:
        extra = [one for one in side.annotations if one not in recordings]
        missing = [one for one in recordings if side.complete and one not in side.annotations]
        for where, lacking, other in ((source, extra, name), (name, missing, source)):
            if lacking:
                raise ValueError(
                    f"{where}: nothing for recording {quote(lacking[0])} ({len(lacking)} recordings), which {other} "
                    "holds. Add an entry (an empty list if nothing was heard), or leave the recording out."
                )


def _extents(recordings, sides, durations):
    """Return first second, number of seconds and duration in seconds or None of each recording."""
    known: dict = {}
    if durations is not None:
        for recording, duration in zip(recordings, _of_recordings(durations, recordings, "durations"), strict=True):
            try:
                exact = float(duration)
            except (TypeError, ValueError):
                exact = np.nan
            if not 0 < exact < np.inf:
                raise ValueError(
                    f"durations: {duration!r:.60} for recording {quote(recording)} is not a duration in seconds, which "
                    "is a number above 0. Correct it."
                )
            known[recording] = "durations", 0, math.ceil(exact - ROUNDING), exact
    for name, side in sides:
        for recording, (first, n_seconds) in (side.extent or {}).items():
            other, *_, duration = found = known.get(recording, (name, first, n_seconds, None))
            same = found[1] + found[2] == first + n_seconds and (other == "durations" or found[1] == first)
            if not same:
                raise ValueError(
                    f"Recording {quote(recording)} is of seconds {first} to {first + n_seconds} in {name}, but of "
                    f"{found[1]} to {found[1] + found[2]} in {other}. Compare the same recording, or pass annotations "
                    "with unknown time where one side ends earlier."
                )
            known[recording] = name, first, n_seconds, duration
    if not known:
        raise ValueError(
            "durations are needed, because annotations do not tell where a recording ends, and seconds without crying "
            "count as agreement. Pass the durations of the recordings in seconds, or the timeline of a detector as a "
            "or b."
        )
    return [known[recording][1:] for recording in recordings]


class Seconds(NamedTuple):
    """What both sides say of each second; ``recordings`` and ``groups`` (n_recordings,), the others (n_seconds,)."""

    recordings: pd.Index
    groups: pd.Index
    code: np.ndarray  # place of the recording
    second: np.ndarray
    a: np.ndarray
    b: np.ndarray
    known: np.ndarray


def read_both(a, b, durations, groups, labels, merge_gap):
    """Read both sides and return their seconds."""
    positive = labels["positive"]
    label = positive if isinstance(positive, str) else positive[0] if len(positive) else "cry"
    a, b = _match_names(_read_side(a, "a", label), _read_side(b, "b", label))
    sides = [("a", a), ("b", b)]
    # A table of events does not list recordings without events.
    listed = [pair for pair in sides if pair[1].extent is not None] or [pair for pair in sides if pair[1].complete]
    source, names = "durations", list(as_items({} if durations is None else durations, "durations"))
    if listed or not names:
        source, names = listed[0][0] if listed else "a", list((listed[0][1] if listed else a).annotations)
    if not names:
        raise ValueError("a and b hold no recordings. Pass annotations of at least one.")
    _check_recordings(names, source, sides)
    recordings = pd.Index(names)
    extents = _extents(recordings, sides, durations)
    code = np.repeat(np.arange(len(names)), [n_seconds for _, n_seconds, _ in extents])
    second = np.concatenate([np.arange(first, first + n_seconds) for first, n_seconds, _ in extents])
    index = pd.MultiIndex(
        levels=[recordings, pd.RangeIndex(second.max() + 1)], codes=[code, second], names=["recording", "second"]
    )
    lengths = {
        one: first + n if exact is None else exact for one, (first, n, exact) in zip(names, extents, strict=True)
    }
    decided = []
    for name, side in sides:
        entries = {one: side.annotations.get(one, []) for one in names}
        about = {**labels, "merge_gap": merge_gap, "durations": lengths}
        try:
            truth = second_truth(entries, pd.DataFrame(index=index), **about)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from error
        decided.append(known_and_true(truth))
    (known_a, cry_a), (known_b, cry_b) = decided
    known = known_a & known_b
    if not known.any():
        raise ValueError(
            f"a and b have no known second in common: {int(known_a.sum())} of {len(known)} seconds are known in a, "
            f"{int(known_b.sum())} in b. Compare annotations of the same stretches."
        )
    return Seconds(recordings, _groups(groups, recordings), code, second, cry_a & known, cry_b & known, known)


def _groups(groups, recordings):
    """Return the group of each recording (n_recordings,), which is the recording itself for None."""
    if groups is None:
        return recordings
    if isinstance(groups, (Mapping, pd.Series)):
        groups = _look_up(groups, [pd.DataFrame(index=recordings.rename("recording"))])
    if len(groups) != len(recordings):
        raise ValueError(
            f"groups holds {len(groups)} entries for {len(recordings)} recordings. Pass one for each, in the order of "
            "a, or a dict from recording to group."
        )
    if pd.isna(pd.Index(groups)).any():
        raise ValueError(f"groups: {int(pd.isna(pd.Index(groups)).sum())} recordings have none. Fill them in.")
    return pd.Index(groups)
