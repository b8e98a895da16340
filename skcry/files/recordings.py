"""List the recordings to detect in."""

import os
from pathlib import Path

from .._warnings import warn
from ..datasets.folders import AUDIO_SUFFIXES
from ..io.annotations import SUFFIXES
from ..io.audio import file_names
from ..io.file_kinds import HEAD_LENGTH, is_text, no_sound, sound_kind
from ..io.text_files import list_names, walk

# Of annotations, documents, pictures and models, which lie beside recordings; text and most pictures need none.
OTHER_SUFFIXES = (*SUFFIXES, ".pdf", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".ods", ".tif", ".tiff", ".bmp")
OTHER_SUFFIXES += (".skcry", ".joblib", ".pkl", ".pickle", ".npy", ".npz", ".pt", ".pth", ".safetensors", ".db")
OTHER_SUFFIXES = tuple(suffix.lower() for suffix in OTHER_SUFFIXES)


def list_recordings(recordings, out=None):
    """Return the paths of a folder's recordings, or of a list of files, and their names.

    Recordings of a folder are files with the extension of a sound format, or whose content is one. A warning names all
    other files but ``OTHER_SUFFIXES``, text and pictures. Names are unique: paths relative to the folder, or
    to the deepest folder that holds all files, with ``/``. Hidden files and folders, the folder of results ``out`` and
    links to folders are not searched; a warning names the links.
    """
    if isinstance(recordings, (str, os.PathLike)):
        root = Path(recordings)
        if not root.exists():
            raise FileNotFoundError(f"{root}: no such file or folder. Check the path.")
        if not root.is_dir():
            return [root], [root.name]
        paths: list = []
        others: list = []
        links: list = []
        for path in sorted(walk(root, out)):
            if path.suffix.lower() in AUDIO_SUFFIXES:
                paths.append(path)
            elif path.is_dir():
                links += [path] if path.is_symlink() else []
            elif path.suffix.lower() not in OTHER_SUFFIXES:
                kind = _is_sound(path)
                if kind is not None:
                    (paths if kind else others).append(path)
        _warn_of_others(root, others, links)
        if not paths:
            raise ValueError(f"{root} holds no recording, such as a .wav, .flac, .mp3 or .m4a file. Check the path.")
    else:
        paths = [Path(path) for path in recordings]
        if not paths:
            raise ValueError("recordings is empty. Pass a folder, or at least one file.")
        root = None
    names = file_names(paths, root)
    _warn_of_stems(names)
    return paths, names


def _is_sound(path):
    """Tell by its content whether a file is sound; None for empty files, text and pictures, which are not reported."""
    try:
        if not path.is_file():
            return False  # a link to nothing, or a device
        with open(path, "rb") as file:
            head = file.read(HEAD_LENGTH)
        if not head or is_text(head):
            return None
        what = no_sound(path)
    except OSError:
        return False
    if what is not None:
        return None if what[0] == "a picture" else False
    return sound_kind(path) is not None


def _warn_of_others(root, others, links):
    if others:
        names = list_names(path.relative_to(root).as_posix() for path in others)
        warn(f"{len(others)} files in {root} are no sound that is known, and are left out: {names}.")
    if links:
        names = list_names(path.relative_to(root).as_posix() for path in links)
        warn(f"{root} holds links to folders, which are not searched: {names}. List their files, or copy them.")


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
