"""Read the results of many files back, and summarise them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from .._compat import StrOptions, validate_params
from .._typing import PathLike
from ..datasets.folders import read_columns
from ..io.text_files import MAX_CELLS, read_table, shorten
from ..summary import start_times, summarize
from .manifest import MANIFEST, check_columns, read_description, read_manifest, result_paths


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

    Raises
    ------
    OSError, ValueError
        If there are no results, none of such a file, or they are broken.
    """
    timelines = {name: _read_timeline(out, name) for name in _readable(out, files)}
    return pd.concat(timelines, names=["recording", "second"])


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


def _read_timeline(out, name):
    """Read and check the timeline of a recording, DataFrame of shape (n_seconds, 3)."""
    path, _ = result_paths(out, name)
    try:
        table = read_table(path, dtype=None, max_lines=MAX_CELLS)
        check_columns(table, ["second", "usable"])
        if len(table) == 0 or not np.array_equal(table["second"], np.arange(len(table))):
            raise ValueError("its seconds do not count 0, 1, 2, ...")
        if any(table[name].dtype != bool for name in ("usable", "cry") if name in table):
            raise ValueError("usable and cry must be True or False")
        scores = table.drop(columns=["second", "usable", "cry", "label"], errors="ignore")
        if not all(dtype.kind in "fi" for dtype in scores.dtypes) or not ((scores >= 0) & (scores <= 1)).all(axis=None):
            raise ValueError("its scores must be numbers from 0 to 1")
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(
            f"{path} cannot be read ({shorten(str(error), 100)}). Delete it, and detect_files writes it again."
        ) from None
    return table.set_index("second").astype(dict.fromkeys(scores, float))


@validate_params(
    {
        "out": [str, os.PathLike],
        "by": [StrOptions({"recording", "hour"})],
        "start": [str, os.PathLike, dict, pd.Series, None],
    },
    prefer_skip_nested_validation=True,
)
def report(out: PathLike, *, by: Literal["recording", "hour"] = "recording", start: Any = None) -> pd.DataFrame:
    """Summarise a folder of results, file by file.

    Parameters
    ----------
    out : str or path-like
        Folder that :func:`detect_files` wrote to.
    by : {"recording", "hour"}, default="recording"
        One row per recording, or per recording and hour.
    start : str, path-like, dict, Series or None, default=None
        When each recording began: a CSV file with columns ``file`` (as in the manifest) and ``start``, or a mapping.
        Hours are then clock hours.

    Returns
    -------
    DataFrame
        See :func:`summarize`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no results, or a recording has no start.
    """
    prefix = ""
    if isinstance(start, (str, os.PathLike)):
        table, name = read_columns(Path(start), ["file", "start"]), Path(start).name
        start, prefix = table.set_index("file")["start"], f"{name}: "
    files = _readable(out)
    if by == "recording":
        start = None
    elif start is not None:
        try:
            start_times(start, files)  # all of them first: zones may differ
        except ValueError as error:
            raise ValueError(f"{prefix}{error}") from None
    rules = {name: value for name, value in read_description(out).items() if name in ("merge_gap", "min_duration")}
    tables = []
    for file in files:
        timeline = pd.concat({file: _read_timeline(out, file)}, names=["recording", "second"])
        tables.append(summarize(timeline, by=by, start=None if start is None else [start[file]], **rules))
    return pd.concat(tables)
