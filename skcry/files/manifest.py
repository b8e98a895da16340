"""A folder of results: its manifest, the detector that wrote it, and the names of its files."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from .._base import library_versions
from .._typing import PathLike
from ..io.text_files import atomic_path, read_table, read_text, shorten

MANIFEST = "manifest.csv"
DETECTOR = "detector.json"
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
    path = Path(out, MANIFEST)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file. Pass the folder that results were written to.")
    try:
        missing = dict.fromkeys(["duration", "cry_duration", "usable"], "")
        table = read_table(path, errors="surrogateescape", dtype=dict.fromkeys(TEXTS, str), na_values=missing)
        check_columns(table, COLUMNS)
        table = as_manifest(table[COLUMNS])
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
    """Create the folder of results, remove what is stale, and write down which detector it is of."""
    out.mkdir(parents=True, exist_ok=True)
    if overwrite:  # first, so that no row of another detector is ever listed under this one
        (out / MANIFEST).unlink(missing_ok=True)
    for leftover in out.rglob(".*.tmp"):
        if LEFTOVER.fullmatch(leftover.name):
            leftover.unlink(missing_ok=True)
    with atomic_path(out / DETECTOR) as temporary:
        temporary.write_text(json.dumps(description, indent=1), encoding="utf-8")


def read_rows(out, description):
    """Return the rows of the manifest by file, empty if there is none; refuse results of another detector."""
    if not Path(out, MANIFEST).exists():
        return {}
    if not _is_same(description, read_description(out)):
        raise ValueError(
            f"{out} holds results of another detector, or of another version of it (see {DETECTOR}). Give another "
            "folder, or pass overwrite=True to compute everything again."
        )
    return {row["file"]: row for row in read_manifest(out).to_dict("records")}


def describe(detector):
    """Describe a detector by what its results depend on: settings, and scores of a synthetic sound."""
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


def _is_same(one, other):
    """Tell whether two descriptions are of the same detector, whatever the versions."""
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
