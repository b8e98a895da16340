"""List the recordings to detect in."""

import os
from collections import Counter
from pathlib import Path

from .._warnings import warn
from ..datasets.folders import AUDIO_SUFFIXES

# libsndfile cannot read these. They are listed all the same, so that the manifest reports them as errors.
UNREADABLE_SUFFIXES = (".m4a", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".webm")


def list_recordings(recordings, out=None):
    """Return the paths of a folder's audio files, or of a list of files, and their names.

    Names are unique: paths relative to the folder, or to the deepest folder that holds all files, with ``/``. Hidden
    folders and the folder of results ``out`` are not searched.
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
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]} is listed twice. List each file once.")
    _warn_of_stems(names)
    return paths, names


def _walk(root, out):
    """Yield files and folders below ``root``, except hidden ones and ``out``."""

    def report(error):
        warn(f"{error.filename} cannot be searched ({error.strerror}) and is left out.")

    results = None if out is None else os.path.realpath(out)
    for folder, folders, files in os.walk(root, onerror=report):
        folders[:] = [name for name in folders if name[0] != "." and os.path.realpath(Path(folder, name)) != results]
        yield from (Path(folder, name) for name in (*folders, *files) if name[0] != ".")


def _warn_of_stems(names):
    """Warn of names that differ only in their extension."""
    stems: dict = {}
    for name in names:
        stems.setdefault(os.path.splitext(name)[0], []).append(name)
    for same in stems.values():
        if len(same) > 1:
            warn(
                f"{' and '.join(same)} differ only in their extension. If they are the same recording, keep one of "
                "them; otherwise its crying counts twice."
            )
