"""Detect crying in many files, and write the results of each file when it is finished."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .._compat import HasMethods, StrOptions, validate_params
from .._progress import Progress
from .._typing import PathLike
from .._warnings import warn
from ..detector import CryDetector
from . import manifest
from .manifest import MANIFEST, write_csv
from .recordings import list_recordings
from .workers import runs_here, spread

# After one of these errors, no other result could be written either.
FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
N_SHOWN = 3  # recordings with the same fault that a warning lists
KILLED = (
    "its worker process was killed, also when no other recording was running. Check the memory of the workers, or try "
    "n_jobs=1."
)


@validate_params(
    {
        "detector": [HasMethods(["iter_detections"])],
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
    ``manifest.csv``. Each file is written in one step. If the process is killed, finished results are kept, and the
    next call goes on with the rest: files that have no row yet, could not be read, or have changed since. Only one
    process at a time may write to ``out``; a second one is refused, where the file system can lock files.

    Parameters
    ----------
    detector : CryDetector
        Fitted.
    recordings : str, path-like, or list of these
        A folder, searched with all folders in it, or files. Recordings are known by extension or content.
    out : str or path-like
        Folder for the results; created if it does not exist.
    n_jobs : int or None, default=None
        Number of files to process at a time, through joblib. None means 1, or number and backend of the surrounding
        ``joblib.parallel_config``: with ``backend="dask"``, all workers of a cluster. Workers read the recordings by
        the same paths; only this process writes. If a worker is killed, its recording is tried again alone, and is
        reported as an error if it kills its worker again.
    on_error : {"raise", "warn"}, default="warn"
        What to do about a file that cannot be read: raise the error, or warn, note it in the manifest and go on.
    overwrite : bool, default=False
        Whether to compute everything again if ``out`` holds results.
    progress : bool, default=False
        Whether to show a bar, in hours of sound.

    Returns
    -------
    DataFrame of shape (n_recordings, 10)
        The manifest, in the order of the recordings. ``file``; ``status``: "ok", "warning" or "error"; ``duration`` and
        ``cry_duration`` (sum of the events, with several classes of all that are reported) in seconds; ``n_bouts``;
        ``usable``: share of seconds that hold sound, not digital silence; ``message``: what was wrong; ``n_bytes``,
        ``modified`` (nanoseconds since 1970) and ``source``: size, time and path of the file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no recording, ``out`` holds results of another detector, or one of several classes is called
        "second", "label" or "usable", as other columns of its timeline are.
    OSError
        If results cannot be written, for example because the disk is full, or another process is writing to ``out``.
        Finished results are kept.
    RuntimeError
        If a recording kills its worker, with ``on_error="raise"``.

    Warns
    -----
    UserWarning
        At the end, once for each kind of fault: files that could not be read or have a fault that
        :func:`skcry.io.read_audio` names. And for files that differ only in their extension, and for files and links
        to folders that are left out.

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
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"out={str(out)!r} is a file, not a folder. Name a folder for the results.")
    check_is_fitted(detector, "estimator_")
    description = manifest.describe(detector)
    faults = Faults()
    try:
        with manifest.ManifestWriter(out) as writer, faults:
            known = {} if overwrite else manifest.read_rows(out, description, writer.appended)
            names = _known_names(paths, names, known, out)
            manifest.start_results(out, description, overwrite)
            named = dict(zip(names, paths, strict=True))
            todo = {name: path for name, path in named.items() if not manifest.is_done(known.get(name), path, out)}
            # Rows of recordings that are not asked for now stay in the manifest, before the others.
            rows = {name: row for name, row in known.items() if name not in named}
            writer.rows = rows | {name: None if name in todo else known[name] for name in named}
            with Progress(progress, todo.values()) as bar:
                for name, state, found in _detect_all(detector, todo, n_jobs, bar):
                    # Only here: a worker may outlive this process, and would write beside the next one.
                    about = {"n_bytes": state[0], "modified": state[1], "source": os.path.abspath(named[name])}
                    row, error = write_results(out, name, about, found)
                    if error is not None and on_error == "raise":
                        raise error
                    writer.append(row)
                    if error is not None:
                        faults.add(name, f"{name} is left out: {error}")
                    elif found.problems:
                        faults.add(name, " ".join(found.problems))
    except OSError as error:
        if error.errno in FATAL:
            raise OSError(
                error.errno,
                f"results cannot be written to {out} ({error.strerror}). Finished results are kept. Free some space, "
                "get permission to write, or give another folder, and start again for the rest",
            ) from None
        raise
    return manifest.as_manifest([writer.rows[name] for name in names])


class Faults(contextlib.AbstractContextManager):
    """What is wrong with recordings: at the end, one warning for each kind of fault."""

    def __init__(self):
        self._kinds = {}

    def add(self, name, message):
        """Note what is wrong with a recording."""
        kind = message
        for part in (name, Path(name).name):
            kind = kind.replace(part, "")
        self._kinds.setdefault(re.sub(r"[\d.,%]+", "", kind), []).append(message)

    def __exit__(self, *_):
        for messages in self._kinds.values():
            if len(messages) == 1:
                warn(messages[0])
            else:
                more = f" And {len(messages) - N_SHOWN} more." if len(messages) > N_SHOWN else ""
                shown = " ".join(messages[:N_SHOWN])
                warn(f"{len(messages)} recordings have the same fault (see {MANIFEST}): {shown}{more}")


def _known_names(paths, names, known, out):
    """Return names of recordings, those of the manifest if it has them; refuse a name of another recording there."""
    name_of, result = {row["source"]: name for name, row in known.items()}, []
    for path, name in zip(paths, names, strict=True):
        source, row = os.path.abspath(path), known.get(name)
        # A moved file is the same recording.
        if source not in name_of and row and os.path.exists(row["source"]) and not manifest.is_unchanged(row, path):
            raise ValueError(
                f"{out} holds results of another {name!r}, {row['source']}. Give another folder for {path}, or pass "
                "overwrite=True to compute everything again."
            )
        result.append(name_of.get(source, name))
    return result


def _detect_all(detector, todo, n_jobs, bar):
    """Yield name, state and :class:`Detection` of each recording; None for one that kills its worker."""
    if runs_here(n_jobs):
        for name, path in todo.items():
            yield name, *_detect_one(detector, path, bar)
        return
    names = {path.absolute(): name for name, path in todo.items()}  # workers have another current folder
    for path, result in spread(_detect_one, detector, names, n_jobs):
        state, found = result or (manifest.file_state(path), None)
        bar(found.duration if found else 0.0)
        yield names[path], state, found


def _detect_one(detector, path, progress=False):
    """Return the state of a file before it is read, and its :class:`Detection`."""
    state = manifest.file_state(path)
    (found,) = detector.iter_detections([path], on_error="keep", progress=progress)
    return state, found


def write_results(out, name, about, found):
    """Write timeline and events of a recording; return its row of the manifest, and the error if there is one.

    ``about`` holds the columns ``n_bytes``, ``modified`` and ``source`` of the row.
    """
    about = {"file": name, **about}
    error = found.error if found else RuntimeError(f"{name}: {KILLED}")
    if error is None:
        events = found.events.drop(columns="recording")
        if "label" not in events:
            events.insert(2, "label", "cry")
        try:
            timeline_path, events_path = manifest.result_paths(out, name)
            write_csv(found.timeline.reset_index(), timeline_path, digits=6)
            write_csv(events, events_path)
        except (OSError, ValueError) as failure:
            if getattr(failure, "errno", None) in FATAL:
                raise
            # Of this recording alone, such as a name that is too long with its ending.
            error = OSError(f"{name}: results cannot be written ({failure}). Rename it.")
    if error is not None:
        return {**about, "status": "error", "n_bouts": 0, "message": str(error)}, error
    return {
        **about,
        "status": "warning" if found.problems else "ok",
        "duration": found.duration,
        "cry_duration": (events["offset"] - events["onset"]).sum(),
        "n_bouts": len(events),
        "usable": found.usable.mean(),
        "message": " ".join(found.problems),
    }, None
