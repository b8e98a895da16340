"""A folder of results: its manifest, the detector that wrote it, and the names of its files."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from .._base import library_versions
from .._locks import is_at, try_lock, unlock
from .._typing import PathLike
from .._warnings import warn
from ..io.text_files import atomic_path, read_table, read_text, shorten

MANIFEST = "manifest.csv"
DETECTOR = "detector.json"
LOCK = ".manifest.lock"  # there while rows are appended, and after a kill
NOT_CLASSES = ("second", "label", "usable")  # columns of the timelines of several classes
TEXTS = ["file", "status", "message", "source"]
COLUMNS = ["file", "status", "duration", "cry_duration", "n_bouts", "usable", "message"]
COLUMNS += ["n_bytes", "modified", "source"]  # of the audio file
# Temporary files of `atomic_path` that remain when the process is killed.
LEFTOVER = re.compile(r"\..*(\.timeline\.csv|\.events\.csv|manifest\.csv|detector\.json)\.[0-9a-f]{8}\.tmp", re.DOTALL)


def read_manifest(out: PathLike) -> pd.DataFrame:
    """Read the manifest of a folder of results.

    Parameters
    ----------
    out : str or path-like
        Folder that :func:`detect_files` wrote to.

    Returns
    -------
    DataFrame of shape (n_recordings, 10)
        See :func:`detect_files`.

    Raises
    ------
    FileNotFoundError
        If the folder has no manifest.
    ValueError
        If the manifest is broken, lists a recording twice, or names a path outside of the folder.
    """
    return _read_manifest(out, appended=Path(out, LOCK).exists())


def _read_manifest(out, appended):
    """Read the manifest; if rows were ``appended``, the last row of a recording counts, and one that breaks off not."""
    path = Path(out, MANIFEST)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file. Pass the folder that results were written to.")
    try:
        missing = dict.fromkeys(["duration", "cry_duration", "usable"], "")
        options: dict = {"dtype": dict.fromkeys(TEXTS, str), "na_values": missing, "errors": "surrogateescape"}
        if appended:
            options["nrows"] = _n_whole_rows(path)
        table = read_table(path, **options)
        check_columns(table, COLUMNS)
        table = as_manifest(table[COLUMNS])
        if appended:
            table = table.drop_duplicates("file", keep="last", ignore_index=True)
        twice = table["file"][table["file"].duplicated()]
        if len(twice):
            raise ValueError(f"it lists {twice.iloc[0]!r} twice")
        for name in table["file"][table["status"] != "error"]:
            result_paths(out, name)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(
            f"{path} cannot be read ({shorten(str(error), 100)}). Restore it, or delete it to compute everything again."
        ) from None
    return table


def _n_whole_rows(path):
    """Count the rows of a CSV file, without one that a process was killed in; names may hold line breaks."""
    *lines, _ = read_text(path, "CSV", "surrogateescape").split("\n")
    n_rows, n_quotes = -1, 0  # the first line names the columns
    for line in lines:
        n_quotes += line.count('"')
        n_rows += n_quotes % 2 == 0
    return max(n_rows, 0)


def as_manifest(rows):
    """Return rows, dicts or a table of texts, as a manifest of shape (n_recordings, 10)."""
    table = pd.DataFrame(rows, columns=COLUMNS).fillna({"message": ""})
    return table.astype({"n_bouts": int, "duration": float, "cry_duration": float, "usable": float})


def check_columns(table, needed):
    """Refuse a table that lacks a column."""
    for name in needed:
        if name not in table:
            raise ValueError(f"it has no column {name!r}")


def write_csv(table, path, digits=9):
    """Write a table in one step, in a folder that is created if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        # File names may contain line breaks, hence the quotes, and bytes that are not UTF-8, hence surrogateescape.
        layout = {"quoting": csv.QUOTE_NONNUMERIC, "errors": "surrogateescape"}
        table.to_csv(temporary, index=False, float_format=f"%.{digits}g", **layout)


def result_paths(out, name):
    """Return the paths of a recording's timeline and events; refuse names that lead out of the folder."""
    place = Path(name)
    if place.is_absolute() or place.drive or ".." in place.parts or "\0" in name:
        raise ValueError(f"{name!r} leads out of the folder {out}. Names of recordings are relative to that folder.")
    if place.parts and place.parts[0] in (MANIFEST, DETECTOR):
        raise ValueError(f"{name!r} begins with the name of a file that {out} needs. Rename that folder.")
    folder = Path(out, name).parent
    if not folder.resolve().is_relative_to(Path(out).resolve()):
        raise ValueError(f"{folder} is a link that leads out of the folder {out}. Replace it by a folder.")
    return Path(out, f"{name}.timeline.csv"), Path(out, f"{name}.events.csv")


def file_state(path):
    """Return size in bytes and time of change in nanoseconds of a file, or -1 and -1 if it cannot be found."""
    try:
        stat = path.stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def is_unchanged(row, path):
    """Tell whether a file is as it was when its row of the manifest was written."""
    return (row["n_bytes"], row["modified"]) == file_state(path)


def is_done(row, path, out):
    """Tell whether a recording has a row in the manifest and results, both up to date."""
    return (
        row is not None
        and row["status"] != "error"
        and is_unchanged(row, path)
        and all(target.exists() for target in result_paths(out, row["file"]))
    )


def start_results(out, description, overwrite):
    """Remove what is stale from the folder of results, and write down which detector it is of."""
    if overwrite:  # first, so that no row of another detector is ever listed under this one
        (out / MANIFEST).unlink(missing_ok=True)
    for leftover in out.rglob(".*.tmp"):
        if LEFTOVER.fullmatch(leftover.name):
            leftover.unlink(missing_ok=True)
    with atomic_path(out / DETECTOR) as temporary:
        temporary.write_text(json.dumps(description, indent=1), encoding="utf-8")


class ManifestWriter(contextlib.AbstractContextManager):
    """Manifest of a folder of results to which no other process writes in this context.

    Rows are appended, because to write the whole manifest for each of 10,000 recordings takes minutes. At the end it is
    written anew with each recording once, in the order of ``rows``: a dict from name to row, or to None if there is no
    row yet.
    """

    def __init__(self, out):
        self.out, self.path, self.rows = out, out / MANIFEST, {}

    def __enter__(self):
        self.out.mkdir(parents=True, exist_ok=True)
        # A process that was killed leaves its lock file, though not its lock.
        self.appended = (self.out / LOCK).exists()
        self._lock = _lock(self.out)
        return self

    def append(self, row):
        """Write down the row of a recording."""
        self.rows[row["file"]] = row
        if not self.path.exists():
            write_csv(as_manifest([row]), self.path)
            return
        self.appended = True
        with self.path.open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
            csv.DictWriter(file, COLUMNS, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(
                {name: "" if pd.isna(row.get(name)) else row[name] for name in COLUMNS}
            )

    def __exit__(self, *_):
        try:
            rows = [row for row in self.rows.values() if row]
            if self.appended and rows:
                write_csv(as_manifest(rows), self.path)
                self.appended = False
            if not self.appended:
                (self.out / LOCK).unlink(missing_ok=True)
        finally:
            if self._lock is not None:
                unlock(self._lock)


def _lock(out):
    """Make the lock file of a folder of results and lock it; return its descriptor, None on Windows."""
    while True:
        lock = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        if sys.platform == "win32":
            os.close(lock)  # or the file could not be removed
            return None
        if not try_lock(lock, exclusive=True):
            os.close(lock)
            raise OSError(f"Another process is writing to {out}. Wait until it has finished, or give another folder.")
        # Another process may have removed the file just before it was locked here.
        if is_at(lock, out / LOCK):
            return lock
        os.close(lock)


def read_rows(out, description, appended=False):
    """Return the rows of the manifest by file, empty if there is none; refuse results of another detector.

    ``appended`` tells whether the process that wrote it was killed.
    """
    if not Path(out, MANIFEST).exists():
        return {}
    if not is_of(out, description):
        raise ValueError(
            f"{out} holds results of another detector, or of another version of it (see {DETECTOR}). Give another "
            "folder, or pass overwrite=True to compute everything again."
        )
    return {row["file"]: row for row in _read_manifest(out, appended).to_dict("records")}


def describe(detector):
    """Describe a detector by what its results depend on: settings, and scores of a synthetic sound."""
    taken = [name for name in map(str, detector.classes_) if name in NOT_CLASSES]
    if taken and detector.positive_index_ is None:
        raise ValueError(
            f"The class {taken[0]!r} has the name of another column of the timelines: {', '.join(NOT_CLASSES)}. Rename "
            "the label in the annotations, and fit the detector again."
        )
    sr = detector.windower_.sr
    t = np.arange(12 * sr) / sr
    rng = np.random.default_rng(0)
    voice = sum(np.sin(2 * np.pi * 450 * k * t) / k for k in range(1, 6)) * (t % 2 < 1)
    probe = (0.1 * voice * np.linspace(0, 1, len(t)) + 0.01 * rng.normal(size=len(t))).astype(np.float32)
    (found,) = detector.iter_detections([probe])
    return {
        "threshold": round(detector.threshold_, 6),
        "merge_gap": detector.merge_gap,
        "min_duration": detector.min_duration,
        "windower": str(detector.windower_.get_params()),
        "gate": None if detector.gate_ is None else str(detector.gate_.get_params()),
        "classes": detector.classes_.tolist(),
        "probe": np.round(found.probabilities, 6).tolist(),
        "versions": library_versions(),
    }


def is_of(out, one):
    """Tell whether a folder of results is of the detector of a description, whatever the versions."""
    other = read_description(out)
    try:
        probe = np.asarray(other.get("probe"), dtype=float)
    except (TypeError, ValueError):
        return False
    same = all(one[key] == other.get(key) for key in one if key not in ("probe", "versions"))
    # Floating-point results differ between machines.
    return same and np.shape(one["probe"]) == probe.shape and np.allclose(one["probe"], probe, atol=1e-3)


def read_description(out):
    """Return the description of the detector that wrote a folder of results; empty if it cannot be read."""
    try:
        description = json.loads(read_text(Path(out, DETECTOR), "JSON"))
    except (OSError, ValueError, RecursionError):
        return {}
    return description if isinstance(description, dict) else {}


def read_rules(out):
    """Return ``merge_gap`` and ``min_duration`` of the detector that wrote a folder of results, as far as known."""
    description = read_description(out)
    rules = {name: description.get(name) for name in ("merge_gap", "min_duration")}
    rules = {name: value for name, value in rules.items() if isinstance(value, (int, float)) and value >= 0}
    if len(rules) < 2:
        warn(
            f"{Path(out, DETECTOR)} does not tell merge_gap and min_duration of the detector, so bouts are found with "
            "the defaults, 5 s. Restore the file, or detect again with overwrite=True."
        )
    return rules
