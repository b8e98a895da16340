"""Read the results of many files back, and summarise them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from .._clock import holds_tables, is_pattern, read_clocks, start_entries
from .._compat import StrOptions, validate_params
from .._typing import Labels, PathLike
from ..datasets.folders import read_columns
from ..io.text_files import MAX_CELLS, read_table, shorten
from ..summary import summarize
from .manifest import MANIFEST, check_columns, read_description, read_manifest, read_rules, result_paths


def read_timelines(out: PathLike, files: Sequence[str] | None = None) -> pd.DataFrame:
    """Read the scores of the seconds of recordings.

    Parameters
    ----------
    out : str or path-like
        Folder that :func:`detect_files` wrote to.
    files : list of str or None, default=None
        Names of recordings as in the manifest. None means all that could be read.

    Returns
    -------
    DataFrame of shape (n_seconds, 3)
        As :meth:`CryDetector.timeline`, indexed by the names of the files instead of the numbers of the recordings.
        ``attrs`` holds ``merge_gap`` and ``min_duration`` of the detector, for :func:`summarize`.

    Raises
    ------
    OSError, ValueError
        If there are no results, none of such a file, or they are broken.

    Warns
    -----
    UserWarning
        If ``detector.json`` in the folder does not tell the rules of the detector.
    """
    classes = _classes(out)
    timelines = {name: _read_timeline(out, name, classes) for name in _readable(out, files)}
    table = pd.concat(timelines, names=["recording", "second"])
    table.attrs.update(read_rules(out))
    return table


def _classes(out):
    """Return the classes of the detector that wrote the results, by the texts that stand for them in the files."""
    classes = read_description(out).get("classes")
    return {str(name): name for name in classes} if isinstance(classes, list) else {}


def _readable(out, files=None):
    """Return the names of the recordings that could be read, in the order of the manifest, or check ``files``."""
    manifest = read_manifest(out)
    readable = manifest["file"][manifest["status"] != "error"].tolist()
    unknown = [] if files is None else [file for file in files if file not in readable]
    if unknown or not readable:
        missing = f"results of {shorten(unknown[0], 100)!r}" if unknown else "results"
        raise ValueError(
            f"{out} holds no {missing}. {MANIFEST} lists {len(manifest)} recordings, of which {len(readable)} could be "
            "read; check the name there."
        )
    return readable if files is None else files


def _read_timeline(out, name, classes):
    """Read and check the timeline of a recording, DataFrame of shape (n_seconds, 3)."""
    path, _ = result_paths(out, name)
    try:
        table = read_table(path, dtype={"label": str}, max_lines=MAX_CELLS)
        check_columns(table, ["second", "usable"])
        if len(table) == 0 or not np.array_equal(table["second"], np.arange(len(table))):
            raise ValueError("its seconds do not count 0, 1, 2, ...")
        several = "label" in table  # then "cry" may be a class
        if any(table[name].dtype != bool for name in ("usable", *(() if several else ("cry",))) if name in table):
            raise ValueError("usable and cry must be True or False")
        scores = table.drop(columns=["second", "usable", "label" if several else "cry"], errors="ignore")
        if not all(dtype.kind in "fi" for dtype in scores.dtypes) or not ((scores >= 0) & (scores <= 1)).all(axis=None):
            raise ValueError("its scores must be numbers from 0 to 1")
        if several and not table["label"].isin(scores.columns).all():
            raise ValueError("it has a label without a column of its scores")
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(
            f"{path} cannot be read ({shorten(str(error), 100)}). Delete it, and detect_files writes it again."
        ) from None
    if several:
        table["label"] = [classes.get(label, label) for label in table["label"]]
    return table.set_index("second").astype(dict.fromkeys(scores, float))


def read_start(path):
    """Read start times from a CSV file: a Series from file to time or, with a column ``onset``, a dict to stretches."""
    table = read_columns(path, ["file", "start"])
    if "onset" not in table:
        return table.set_index("file")["start"]
    table["onset"] = table["onset"].fillna("0")
    return {file: rows.drop(columns="file") for file, rows in table.groupby("file")}


@validate_params(
    {
        "out": [str, os.PathLike],
        "by": [StrOptions({"recording", "hour"})],
        "label": [str, tuple, list, None],
        "start": [str, os.PathLike, dict, pd.Series, None],
    },
    prefer_skip_nested_validation=True,
)
def report(
    out: PathLike,
    *,
    by: Literal["recording", "hour"] = "recording",
    label: Labels | None = None,
    start: Any = None,
) -> pd.DataFrame:
    """Summarise a folder of results, file by file.

    Parameters
    ----------
    out : str or path-like
        Folder that :func:`detect_files` wrote to.
    by : {"recording", "hour"}, default="recording"
        One row per recording, or per recording and hour.
    label : str, tuple of str or None, default=None
        For a detector of more than two classes: the class to count, or several to count together.
    start : str, path-like, dict, Series or None, default=None
        When each recording began: a CSV file with columns ``file`` (as in the manifest) and ``start``, a mapping, or a
        pattern for the names of files, see :func:`summarize`. Hours are then clock hours. With a column ``onset`` in
        seconds, the file has a row for each stretch between pauses of the recorder.

    Returns
    -------
    DataFrame
        See :func:`summarize`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no results, a recording has no start, or several classes are there and no ``label`` is chosen.

    Warns
    -----
    UserWarning
        As :func:`read_timelines`.
    """
    prefix = ""
    if isinstance(start, (str, os.PathLike)) and not is_pattern(start):
        start, prefix = read_start(Path(start)), f"{Path(start).name}: "
    files, classes, rules = _readable(out), _classes(out), read_rules(out)
    starts = None
    if start is not None and (by == "hour" or holds_tables(start)):
        try:
            read_clocks(start, files)  # all of them first: zones may differ
            starts = dict(zip(files, start_entries(start, files), strict=True))
        except ValueError as error:
            raise ValueError(f"{prefix}{error}") from None
    tables = []
    for file in files:
        timeline = pd.concat({file: _read_timeline(out, file, classes)}, names=["recording", "second"])
        if label is None and "label" in timeline:
            raise ValueError(
                f"{out} holds results of several classes, {', '.join(map(repr, classes.values()))}. Choose the one to "
                "count, or several together, with label=."
            )
        entry = None if starts is None else [starts[file]]
        tables.append(summarize(timeline, by=by, label=label, start=entry, **rules))
    return pd.concat(tables)
