"""Detect crying in many files: results are written as they come, and kept whatever happens next."""

from __future__ import annotations

import csv
import errno
import json
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .._compat import HasMethods, StrOptions, validate_params
from .._progress import Progress
from .._typing import PathLike
from .._warnings import warn
from ..datasets.folders import AUDIO_SUFFIXES, read_columns
from ..detector import CryDetector
from ..io.text_files import MAX_CELLS, atomic_path, read_table, read_text, shorten
from ..summary import start_times, summarize
from .workers import runs_here, spread

# Recordings that libsndfile cannot read: better an error that says so than a file that nobody misses.
UNREADABLE_SUFFIXES = (".m4a", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".webm")
MANIFEST = "manifest.csv"
DETECTOR = "detector.json"
COLUMNS = [
    "file",
    "status",
    "duration",
    "cry_duration",
    "n_bouts",
    "usable",
    "message",
    "n_bytes",
    "modified",
    "source",
]
# Where these go wrong, no other result could be written either.
FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


# What `atomic_path` leaves of results when the process is killed while it writes them.
LEFTOVER = re.compile(r"\..*(\.timeline\.csv|\.events\.csv|manifest\.csv|detector\.json)\.[0-9a-f]{8}\.tmp", re.DOTALL)


def list_recordings(
    recordings: PathLike | Sequence[PathLike], out: PathLike | None = None
) -> tuple[list[Path], list[str]]:
    """List audio files, and how to call them: by their path below the folder that all of them are in.

    Parameters
    ----------
    recordings : str, path-like, or list of these
        A folder, searched with all folders in it (hidden ones and ``out`` excepted), or files.
    out : path-like or None, default=None
        Folder of results.

    Returns
    -------
    paths : list of Path
    names : list of str
        Unique, with ``/`` between folders.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such folder, no recording in it, or a file is listed twice.
    """
    if isinstance(recordings, (str, os.PathLike)):
        root = Path(recordings)
        if not root.exists():
            raise FileNotFoundError(f"{root}: no such file or folder. Check the path.")
        if not root.is_dir():
            return [root], [root.name]
        suffixes = (*AUDIO_SUFFIXES, *UNREADABLE_SUFFIXES)
        paths = sorted(path for path in _walk(root, out) if path.suffix.lower() in suffixes)
        if not paths:
            raise ValueError(f"{root} holds no recording. Looked for {', '.join(suffixes)}.")
    else:
        paths = [Path(path) for path in recordings]
        if not paths:
            raise ValueError("recordings is empty. Pass a folder, or at least one file.")
        root = Path(os.path.commonpath([os.path.abspath(path.parent) for path in paths]))
    names = [Path(os.path.abspath(path)).relative_to(os.path.abspath(root)).as_posix() for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"{twice[0]} is listed twice. List each file once.")
    return paths, names


def _walk(root, out):
    """Yield what lies in a folder and the folders in it, hidden ones and ``out`` excepted."""

    def tell(error):
        warn(f"{error.filename} cannot be searched ({error.strerror}) and is left out.")

    results = None if out is None else os.path.realpath(out)
    for folder, folders, files in os.walk(root, onerror=tell):
        for name in (*folders, *files):
            if not name.startswith("."):
                yield Path(folder, name)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(folder, name)) != results
        ]


def _warn_of_stems(names):
    stems: dict = {}
    for name in names:
        stems.setdefault(os.path.splitext(name)[0], []).append(name)
    for same in stems.values():
        if len(same) > 1:
            warn(
                f"{' and '.join(same)} differ in their endings only. If they are one recording, keep one of them, or "
                "its crying counts twice."
            )


def result_paths(out, name):
    """Paths of a recording's results: seconds and events.

    Parameters
    ----------
    out : path-like
        Folder of results.
    name : str
        Name of the recording in the manifest.

    Returns
    -------
    tuple of Path
        Of the timeline and of the events.

    Raises
    ------
    ValueError
        If they do not lie in the folder.
    """
    place = Path(name)
    if place.is_absolute() or place.drive or ".." in place.parts or "\0" in name:
        raise ValueError(f"{name!r} leads out of the folder {out}. Names of recordings start in that folder.")
    if place.parts and place.parts[0] in (MANIFEST, DETECTOR):
        raise ValueError(f"{name!r} begins with the name of a file that {out} needs. Rename that folder.")
    folder = Path(out, name).parent
    if not folder.resolve().is_relative_to(Path(out).resolve()):
        raise ValueError(f"{folder} is a link that leads out of the folder {out}. Put a folder in its place.")
    return Path(out, f"{name}.timeline.csv"), Path(out, f"{name}.events.csv")


def _describe(detector):
    """Describe what tells one detector's results from another's: settings, and scores of a sound made up here."""
    import sklearn
    import torch

    from .. import __version__

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
        "versions": {
            "skcry": __version__,
            "scikit-learn": sklearn.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def _is_same(one, other):
    same = all(one.get(key) == other.get(key) for key in one if key not in ("probe", "versions"))
    try:
        probe = np.asarray(other.get("probe"), dtype=float)
    except (TypeError, ValueError):
        return False
    # Another machine rounds otherwise.
    return same and np.shape(one["probe"]) == probe.shape and np.allclose(one["probe"], probe, atol=1e-3)


def _read_description(out):
    """Read what is known of the detector that wrote a folder of results; nothing, where it cannot be read."""
    try:
        description = json.loads(read_text(Path(out, DETECTOR), "JSON"))
    except (OSError, ValueError, RecursionError):
        return {}
    return description if isinstance(description, dict) else {}


def _state(path):
    try:
        stat = path.stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def read_manifest(out: PathLike) -> pd.DataFrame:
    """Read the manifest of a folder of results.

    Parameters
    ----------
    out : str or path-like
        Folder that :func:`detect_files` wrote to.

    Returns
    -------
    DataFrame
        See :func:`detect_files`.

    Raises
    ------
    FileNotFoundError
        If the folder has none.
    ValueError
        If it is broken, lists a recording twice, or leads out of the folder.
    """
    path = Path(out, MANIFEST)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file. Pass the folder that results were written to.")
    try:
        table = read_table(
            path,
            errors="surrogateescape",
            dtype={"file": str, "status": str, "message": str, "source": str},
            na_values={"duration": "", "cry_duration": "", "usable": ""},
        )
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise ValueError(f"it has no column {missing[0]!r}")
        table = _as_manifest(table[COLUMNS])
        twice = table["file"][table["file"].duplicated()]
        if len(twice):
            raise ValueError(f"it lists {shorten(twice.iloc[0])!r} twice")
        for name in table["file"][table["status"] != "error"]:
            result_paths(out, name)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(
            f"{path} cannot be read ({shorten(str(error))}). Restore it, or delete it and have everything computed "
            "again."
        ) from None
    return table


def _write_csv(table, path, digits=9):
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        # Names of files hold what they like: quotes keep line breaks in them, escapes what is no UTF-8.
        layout = {"quoting": csv.QUOTE_NONNUMERIC, "errors": "surrogateescape"}
        table.to_csv(temporary, index=False, float_format=f"%.{digits}g", **layout)


def _detect_one(detector, path, name, progress=None):
    """Detect in one file, and return its row of the manifest with the tables of results, or with the error."""
    n_bytes, modified = _state(path)
    (found,) = detector.iter_detections([path], on_error="keep", progress=progress or False)
    source = os.path.abspath(path)
    row = {"file": name, "n_bytes": n_bytes, "modified": modified, "n_bouts": 0, "source": source}
    if found.error is not None:
        return {**row, "status": "error", "message": str(found.error)}, found.error
    events = found.events.drop(columns="recording")
    if "label" not in events:
        events.insert(2, "label", "cry")
    row |= {
        "status": "warning" if found.problems else "ok",
        "duration": found.duration,
        "cry_duration": (events["offset"] - events["onset"]).sum(),
        "n_bouts": len(events),
        "usable": found.usable.mean(),
        "message": " ".join(found.problems),
    }
    return row, (found.timeline.reset_index(), events)


def _write_results(row, found, out):
    """Write what was found in one file; return its row of the manifest, and the error if there is one."""
    if isinstance(found, Exception):
        return row, found
    name = row["file"]
    try:
        for table, target, digits in zip(found, result_paths(out, name), (6, 9), strict=True):
            _write_csv(table, target, digits)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in FATAL:
            raise
        # A name that is too long with its new ending, or already that of a folder: of this file alone.
        message = f"{name}: results cannot be written ({error}). Rename it."
        about = {key: row[key] for key in ("file", "n_bytes", "modified", "source")}
        return {**about, "n_bouts": 0, "status": "error", "message": message}, OSError(
            getattr(error, "errno", None), message
        )
    return row, None


@validate_params(
    {
        "detector": [HasMethods(["timeline", "detect"])],
        "recordings": [str, os.PathLike, "array-like"],
        "out": [str, os.PathLike],
        "n_jobs": [int, None],
        "on_error": [StrOptions({"raise", "warn"})],
        "overwrite": ["boolean"],
        "progress": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def detect_files(
    detector: CryDetector,
    recordings: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    n_jobs: int | None = None,
    on_error: Literal["raise", "warn"] = "warn",
    overwrite: bool = False,
    progress: bool = False,
) -> pd.DataFrame:
    """Detect crying in a folder of recordings, and write the results file by file.

    For ``monday.wav`` the folder ``out`` gets ``monday.wav.timeline.csv`` (second, score, cry, usable),
    ``monday.wav.events.csv`` (onset, offset, label, score; :func:`skcry.io.read_annotations` reads it) and a row in
    ``manifest.csv``. Files appear when they are complete. When the process dies, what is finished is kept; started
    again, it goes on with the rest: with files that have no row yet, could not be read, or have changed since. One
    process at a time may write to ``out``.

    Parameters
    ----------
    detector : CryDetector
        Fitted.
    recordings : str, path-like, or list of these
        A folder, searched with all folders in it, or files.
    out : str or path-like
        Folder for the results; made where it does not exist.
    n_jobs : int or None, default=None
        Number of files to deal with at a time, through joblib. None means 1, unless within a
        ``joblib.parallel_config``, whose number and backend it takes: with ``backend="dask"``, all workers of a
        cluster. They read the recordings by the same paths; this process alone writes. A recording whose worker is
        killed is tried again, and is written down as an error when it kills its worker alone as well.
    on_error : {"raise", "warn"}, default="warn"
        What to do about a file that cannot be read: stop there, or warn, write it down and go on.
    overwrite : bool, default=False
        Whether to begin anew, where ``out`` holds results already.
    progress : bool, default=False
        Whether to show a bar, in hours of sound.

    Returns
    -------
    DataFrame of shape (n_recordings, 10)
        The manifest, in the order of the recordings. ``file``; ``status``: "ok", "warning" or "error"; ``duration`` and
        ``cry_duration`` (inside of bouts) in seconds; ``n_bouts``; ``usable``: share of seconds that hold sound, rather
        than digital silence; ``message``: what was wrong; ``n_bytes``, ``modified`` (nanoseconds since 1970)
        and ``source``: how the file was, and where.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no recording, or ``out`` holds results of another detector.
    OSError
        If results cannot be written, say because the disk is full. What was finished is kept.
    RuntimeError
        If a recording kills every worker, with ``on_error="raise"``.

    Warns
    -----
    UserWarning
        Of each file that could not be read or has a fault that :func:`skcry.io.read_audio` names, and of files that
        differ in their endings only.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import soundfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcry import CryDetector, StatFeatures, detect_files
    >>> from skcry.datasets import make_cry_recordings
    >>> recordings, annotations, infants = make_cry_recordings(4, duration=30, random_state=0)
    >>> detector = CryDetector(make_pipeline(StatFeatures("mfcc"), LogisticRegression(max_iter=1000)), threshold=0.5)
    >>> detector = detector.fit(recordings, annotations, groups=infants)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(Path(folder, "monday.wav"), recordings[0], 16000)
    ...     manifest = detect_files(detector, folder, Path(folder, "results"))
    ...     sorted(path.name for path in Path(folder, "results").iterdir())
    ['detector.json', 'manifest.csv', 'monday.wav.events.csv', 'monday.wav.timeline.csv']
    >>> manifest[["file", "status", "duration", "n_bouts"]]
             file status  duration  n_bouts
    0  monday.wav     ok      30.0        1
    """
    out = Path(out)
    paths, names = list_recordings(recordings, out)
    _warn_of_stems(names)
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"out={str(out)!r} is a file, not a folder. Name a folder for the results.")
    check_is_fitted(detector, "estimator_")
    description = _describe(detector)
    done = {} if overwrite else _finished(out, description)
    names = _keep_names(paths, names, done, out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if overwrite:  # first: what another detector found must never stand under the name of this one
            (out / MANIFEST).unlink(missing_ok=True)
        for leftover in out.rglob(".*.tmp"):
            if LEFTOVER.fullmatch(leftover.name):
                leftover.unlink(missing_ok=True)
        with atomic_path(out / DETECTOR) as temporary:
            temporary.write_text(json.dumps(description, indent=1), encoding="utf-8")
        rows = {name: done[name] for path, name in zip(paths, names, strict=True) if _is_done(done, path, name, out)}
        todo = [(path, name) for path, name in zip(paths, names, strict=True) if name not in rows]
        # Rows of recordings that were dealt with earlier, but are not asked for now, stay in the manifest.
        asked_for = set(names)
        others = {name: row for name, row in done.items() if name not in asked_for}
        with Progress(progress, [path for path, _ in todo]) as bar:
            for row, found in _results(detector, todo, n_jobs, bar):
                # Here alone, not in workers: these outlive a process that is killed, and would write beside the next.
                row, error = _write_results(row, found, out)
                if error is not None and on_error == "raise":
                    raise error
                rows[row["file"]] = row
                in_order = [rows[name] for name in names if name in rows]
                _write_csv(_as_manifest([*others.values(), *in_order]), out / MANIFEST)
                if error is not None:
                    warn(f"{row['file']} is left out: {row['message']}")
                elif row["message"]:
                    warn(row["message"])
    except OSError as error:
        if error.errno in FATAL:
            raise OSError(
                error.errno,
                f"results cannot be written to {out} ({error.strerror}). What was finished is kept; make room or get "
                "permission to write, or give another folder, and start again for the rest",
            ) from None
        raise
    return _as_manifest([rows[name] for name in names])


def _keep_names(paths, names, done, out):
    """Call each recording as it is called in the manifest; refuse to put one in the place of another."""
    known = {row["source"]: name for name, row in done.items()}
    names = [known.get(os.path.abspath(path), name) for path, name in zip(paths, names, strict=True)]
    for path, name in zip(paths, names, strict=True):
        row = done.get(name)
        moved = row is not None and (row["n_bytes"], row["modified"]) == _state(path)
        if row is not None and row["source"] != os.path.abspath(path) and os.path.exists(row["source"]) and not moved:
            raise ValueError(
                f"{out} holds results of another {name!r}, {row['source']}. Give another folder for {path}, or pass "
                "overwrite=True to begin anew."
            )
    return names


def _finished(out, description):
    """Rows of the manifest, by file, after a look at who wrote them."""
    if not (out / MANIFEST).exists():
        return {}
    if not _is_same(description, _read_description(out)):
        raise ValueError(
            f"{out} holds results of another detector, or of another version of it ({DETECTOR} tells). Give another "
            "folder, or pass overwrite=True to begin anew."
        )
    return {row["file"]: row for row in read_manifest(out).to_dict("records")}


def _is_done(done, path, name, out):
    row = done.get(name)
    return (
        row is not None
        and row["status"] != "error"
        and (row["n_bytes"], row["modified"]) == _state(path)
        and all(target.exists() for target in result_paths(out, name))
    )


def _results(detector, todo, n_jobs, bar):
    """Yield rows of the manifest and what was found, as the files are finished."""
    if runs_here(n_jobs):
        for path, name in todo:
            yield _detect_one(detector, path, name, bar)
        return
    # Workers elsewhere start in folders of their own.
    tasks = {name: (Path(path).absolute(), name) for path, name in todo}
    for name, result in spread(_detect_one, detector, tasks, n_jobs):
        row, found = _give_up(*tasks[name]) if result is None else result
        bar(row.get("duration", 0.0))
        yield row, found


def _give_up(path, name):
    """Return the row of a recording that kills whatever process reads it, and the error."""
    message = (
        f"{name}: the worker process was killed again and again, at last with no other recording beside it. Look "
        "whether it ran out of memory, and whether n_jobs=1 gets on with it."
    )
    n_bytes, modified = _state(path)
    row = {"file": name, "n_bytes": n_bytes, "modified": modified, "n_bouts": 0, "source": str(path)}
    return {**row, "status": "error", "message": message}, RuntimeError(message)


def _as_manifest(rows):
    table = pd.DataFrame(rows, columns=COLUMNS).fillna({"message": ""})
    return table.astype({"n_bouts": int, "duration": float, "cry_duration": float, "usable": float})


def read_timelines(out: PathLike, files: Sequence[str] | None = None) -> pd.DataFrame:
    """Read the seconds of recordings back.

    Parameters
    ----------
    out : str or path-like
        Folder that :func:`detect_files` wrote to.
    files : list of str or None, default=None
        Names of recordings as in the manifest. None means all that could be read.

    Returns
    -------
    DataFrame of shape (n_seconds, 3)
        As :meth:`CryDetector.timeline` gives it, with names of files for numbers of recordings.

    Raises
    ------
    OSError, ValueError
        If there are no results, none of such a file, or they are broken.
    """
    return pd.concat(dict(_timelines(out, files)), names=["recording", "second"])


def _timelines(out, files=None):
    for file, path in _readable(out, files):
        yield file, _read_timeline(path)


def _read_timeline(path):
    """Read the seconds of one recording, and check what any timeline holds."""
    try:
        table = read_table(path, dtype=None, max_lines=MAX_CELLS)
        missing = [name for name in ("second", "usable") if name not in table]
        if missing:
            raise ValueError(f"it has no column {missing[0]!r}")
        if len(table) == 0 or not np.array_equal(table["second"], np.arange(len(table))):
            raise ValueError("its seconds do not count 0, 1, 2, ...")
        if any(table[name].dtype != bool for name in ("usable", "cry") if name in table):
            raise ValueError("usable and cry must be True or False")
        scores = table.drop(columns=["second", "usable", "cry", "label"], errors="ignore")
        if not all(dtype.kind in "fi" for dtype in scores.dtypes) or not ((scores >= 0) & (scores <= 1)).all(axis=None):
            raise ValueError("its scores must be numbers from 0 to 1")
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(
            f"{path} cannot be read ({shorten(str(error))}). Delete it, and detect_files writes it again."
        ) from None
    return table.set_index("second").astype(dict.fromkeys(scores, float))


def _readable(out, files=None):
    """List names and timelines of the recordings that could be read, in the order of the manifest."""
    manifest = read_manifest(out).set_index("file")
    readable = manifest.index[manifest["status"] != "error"]
    unknown = [] if files is None else [file for file in files if file not in readable]
    if unknown or len(readable) == 0:
        missing = f"results of {unknown[0]!r}" if unknown else "results"
        raise ValueError(
            f"{out} holds no {missing}. Its {MANIFEST} says what was read: {manifest['status'].to_dict()}."
        )
    return [(file, result_paths(out, file)[0]) for file in (readable if files is None else files)]


@validate_params(
    {
        "out": [str, os.PathLike],
        "by": [StrOptions({"recording", "hour"})],
        "start": [str, os.PathLike, dict, pd.Series, None],
    },
    prefer_skip_nested_validation=True,
)
def report(
    out: PathLike,
    *,
    by: Literal["recording", "hour"] = "recording",
    start: Any = None,
) -> pd.DataFrame:
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
    name = ""
    if isinstance(start, (str, os.PathLike)):
        name = f"{Path(start).name}: "
        table = read_columns(Path(start), ["file", "start"])
        start = table.set_index("file")["start"]
    if by == "recording":
        start = None
    if start is not None:
        files = [file for file, _ in _readable(out)]
        try:
            start_times(start, files)  # complains of what is missing, and of zones that differ
        except ValueError as error:
            raise ValueError(f"{name}{error}") from None
    settings = _read_description(out)
    settings = {name: settings[name] for name in ("merge_gap", "min_duration") if name in settings}
    tables = []
    for file, timeline in _timelines(out):
        timeline = pd.concat({file: timeline}, names=["recording", "second"])
        tables.append(summarize(timeline, by=by, start=None if start is None else [start[file]], **settings))
    return pd.concat(tables)
