"""Load folders of annotated recordings, and tables of labelled clips."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .._compat import Interval, validate_params
from .._typing import PathLike
from ..events import as_annotations
from ..io import read_annotations
from ..io.annotations import SUFFIXES
from ..io.audio import load_recording
from ..io.text_files import list_names, read_table, shorten

# Formats of recorders, phones and video that are read by libsndfile or, with PyAV or ffmpeg, by skcry.io.read_audio.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".w64", ".caf", ".au", ".opus")
AUDIO_SUFFIXES += (".m4a", ".mp4", ".aac", ".3gp", ".3ga", ".3g2", ".amr", ".awb", ".mov", ".m4v", ".m4b", ".qta")
AUDIO_SUFFIXES += (".wma", ".wmv", ".asf", ".webm", ".mka", ".mkv", ".avi", ".wv", ".tta", ".ape", ".ac3", ".mp2")
AUDIO_SUFFIXES += (".oga", ".spx", ".aifc", ".wave", ".rf64", ".bw64", ".bwf", ".snd", ".voc", ".sph", ".nist")
GROUPS_FILE = "groups.csv"
N_SHOWN = 30  # faults that one message lists
TABLES_OF_THE_FOLDER = (GROUPS_FILE, "excerpts.csv")  # excerpts.csv is the index of draw_excerpts
NOTES_SUFFIX = ".txt"  # of files that may be notes if no recording has their name
_SR = [Interval(Integral, 1, None, closed="left")]


def _raise_all(faults, what):
    """Raise one ValueError that lists the faults, if any."""
    if faults:
        n = f"{len(faults)} fault{'' if len(faults) == 1 else 's'}"
        more = [f"and {len(faults) - N_SHOWN} more."] if len(faults) > N_SHOWN else []
        faults = [*(shorten(fault, 800) for fault in faults[:N_SHOWN]), *more]
        raise ValueError("\n- ".join([f"{what} cannot be loaded, {n}:", *faults]))


def _by_stem(paths):
    """Group paths by their name without extension: dict of lists."""
    stems: dict = {}
    for path in sorted(paths):
        stems.setdefault(path.stem, []).append(path)
    return stems


def read_columns(path, needed):
    """Read a CSV file with the ``needed`` columns as DataFrame of str; empty fields are NaN."""
    table = read_table(path, na_values=[""], skipinitialspace=True)
    _check_columns(table, needed, path.name)
    return table


def _check_columns(table, needed, name):
    missing = [column for column in needed if column not in table]
    if missing:
        raise ValueError(
            f"{name} has no column {', '.join(map(repr, missing))}; its columns are [{list_names(table.columns)}]. "
            "Rename them, or pass the names of those to use."
        )


def _load_groups(path, names, faults):
    """Return the group of each recording in ``names`` from a table; append what is wrong to ``faults``."""
    try:
        table = read_columns(path, ["file", "group"])
    except ValueError as error:
        faults.append(str(error))
        return None
    for file in table["file"][table["file"].duplicated()].dropna().unique():
        faults.append(f"{path.name} lists {file!r} more than once. Keep one row.")
    for file in sorted(set(table["file"].dropna()) - set(names)):
        faults.append(f"{path.name} lists {file!r}, which is no recording in the folder. Correct it or drop the row.")
    groups = table.dropna().drop_duplicates("file").set_index("file")["group"]
    for name in names:
        if name not in groups:
            faults.append(f"{path.name} has no group for {name!r}. Add a row file,group, or delete {path.name}.")
    return np.array(groups.reindex(names).tolist())


def _as_array(column):
    """Return a column as array, of int if all its texts are integers."""
    values = np.array(column.tolist())
    if values.dtype.kind == "U" and all(value.removeprefix("-").isdecimal() for value in values):
        return values.astype(int)
    return values


@validate_params(
    {
        "folder": [str, os.PathLike],
        "sr": _SR,
        "tier": [str, None],
        "channel": [Interval(Integral, 0, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def load_annotated(folder: PathLike, sr: int = 16000, *, tier: str | None = None, channel: int | None = None) -> Bunch:
    r"""Load a folder of recordings, each with its annotations in a file of the same name.

    ``day1.wav`` needs one of ``day1.csv``, ``day1.TextGrid`` (Praat), ``day1.eaf`` (ELAN), ``day1.txt`` (Audacity or
    Raven), ``day1.rttm`` or ``day1.its`` (LENA). Subfolders, hidden files, files of other kinds, and texts (.txt) with
    the name of no recording are ignored.

    Parameters
    ----------
    folder : str or path-like
        Folder with audio files (wav, flac, ogg, opus, mp3, aif, aiff, w64, caf, au) and an annotation file for each,
        see :func:`skcry.io.read_annotations`, such as CSV with ``start,end,label``, in seconds. An empty CSV file means
        that nothing was heard. An optional file ``groups.csv`` with columns ``file,group`` names the infant in each
        recording.
    sr : int, default=16000
        Rate in Hz to resample to.
    tier : str or None, default=None
        Tier to read from annotation files with tiers. None means the only one.
    channel : int or None, default=None
        Channel of the audio files to read, counted from 0. None mixes all of them down.

    Returns
    -------
    data : Bunch
        With these attributes.

        recordings : list of ndarray of float32 of shape (n_timepoints,)
            Sound at ``sr``, sorted by file name.
        annotations : list of DataFrame of shape (n_annotations, 3)
            Columns ``onset, offset`` (seconds) and ``label``.
        names : list of str
            File names of the recordings.
        groups : ndarray of shape (n_recordings,)
            From ``groups.csv`` (str), else 0, 1, 2, ...: each recording is a group of its own.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the folder does not exist.
    ValueError
        If there are files without partner, two audio files or two annotation files of one name, unreadable audio,
        malformed lines, or annotations that end before they start or after the recording. The message lists all faults.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import soundfile
    >>> from skcry.datasets import load_annotated
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(Path(folder, "day1.wav"), np.zeros(16000 * 10), 16000)
    ...     _ = Path(folder, "day1.csv").write_text("start,end,label\n2.0,4.5,cry\n")
    ...     data = load_annotated(folder)
    >>> data.names, data.recordings[0].shape
    (['day1.wav'], (160000,))
    >>> data.annotations[0]
       onset  offset label
    0    2.0     4.5   cry
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder. Check the path.")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, not a folder. Pass the folder that it is in.")
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    audio = _by_stem(path for path in files if path.suffix.lower() in AUDIO_SUFFIXES)
    suffixes = [suffix.lower() for suffix in SUFFIXES]
    tables = _by_stem(
        path
        for path in files
        if path.suffix.lower() in suffixes
        and path.name not in TABLES_OF_THE_FOLDER
        and (path.suffix.lower() != NOTES_SUFFIX or path.stem in audio)
    )
    if not audio and not tables:
        raise ValueError(f"{folder} holds no audio file. Looked for {', '.join(AUDIO_SUFFIXES)}.")

    faults, recordings, annotations, names = [], [], [], []
    for stem in sorted({*audio, *tables}):
        sounds, texts = audio.get(stem, []), tables.get(stem, [])
        duration = None
        for same in (sounds, texts):
            if len(same) > 1:
                both = ", ".join(path.name for path in same)
                faults.append(f"{both}: {len(same)} files of one name. Keep one, or rename the others.")
        if not texts:
            faults.append(
                f"{sounds[0].name} has no {stem}.csv. Add one, an empty one where nothing was heard, "
                f"or annotations in another format ({', '.join(SUFFIXES)})."
            )
        if not sounds:
            faults.append(
                f"{texts[0].name} has no audio file {stem}.wav (or .flac, ...). Add it, or move {texts[0].name} away."
            )
        if len(sounds) == 1:
            names.append(sounds[0].name)
            try:
                recordings.append(load_recording(sounds[0], sr, sounds[0].name, channel))
                duration = len(recordings[-1]) / sr
            except (OSError, ValueError) as error:
                faults.append(str(error))
        for path in texts:
            try:
                annotations.append(as_annotations(read_annotations(path, tier=tier), duration=duration, name=path.name))
            except (OSError, ValueError) as error:
                faults.append(str(error))
    groups = np.arange(len(names))
    if (folder / GROUPS_FILE).exists():
        groups = _load_groups(folder / GROUPS_FILE, names, faults)
    _raise_all(faults, folder)
    return Bunch(recordings=recordings, annotations=annotations, names=names, groups=groups)


@validate_params(
    {
        "table": [str, os.PathLike, pd.DataFrame],
        "sr": _SR,
        "file": [str],
        "label": [str],
        "group": [str, None],
        "folder": [str, os.PathLike, None],
    },
    prefer_skip_nested_validation=True,
)
def load_clips(
    table: PathLike | pd.DataFrame,
    sr: int = 16000,
    *,
    file: str = "file",
    label: str = "label",
    group: str | None = "group",
    folder: PathLike | None = None,
) -> Bunch:
    """Load short clips, each with one label, from a table of files.

    Parameters
    ----------
    table : str, path-like or DataFrame
        CSV file or DataFrame, with one row per clip.
    sr : int, default=16000
        Rate in Hz to resample to.
    file, label : str, default="file" and "label"
        Columns of the audio files and of their labels.
    group : str or None, default="group"
        Column of the infant, or of the recording that a clip was cut from; clips of one group must not be on both sides
        of a split. With None each clip is a group of its own.
    folder : str, path-like or None, default=None
        Folder that file names are relative to. None means the folder of the CSV file or, for a DataFrame, the current
        folder.

    Returns
    -------
    data : Bunch
        With these attributes.

        recordings : list of ndarray of float32 of shape (n_timepoints,)
            Sound at ``sr``, in the order of the table.
        labels : ndarray of shape (n_clips,)
            Integers if all labels are integers, else as in the table.
        groups : ndarray of shape (n_clips,)
            As in the table; 0, 1, 2, ... with ``group=None``.
        names : list of str
            Files as in the table.

    Raises
    ------
    FileNotFoundError
        If the CSV file does not exist.
    ValueError
        If a column is missing, or clips are missing or unreadable. The message lists all faults.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import pandas as pd
    >>> import soundfile
    >>> from skcry.datasets import load_clips
    >>> table = pd.DataFrame({"file": ["a.wav", "b.wav"], "label": [1, 0], "infant": ["Ada", "Ben"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in table["file"]:
    ...         soundfile.write(Path(folder, name), np.zeros(16000), 16000)
    ...     data = load_clips(table, group="infant", folder=folder)
    >>> data.labels, data.groups
    (array([1, 0]), array(['Ada', 'Ben'], dtype='<U3'))
    """
    name, needed = "The table", [column for column in (file, label, group) if column is not None]
    if isinstance(table, pd.DataFrame):
        _check_columns(table, needed, name)
    else:
        name, folder = Path(table).name, Path(table).parent if folder is None else folder
        table = read_columns(Path(table), needed)
    if len(table) == 0:
        raise ValueError(f"{name} has no rows. Add one per clip.")
    faults, recordings = [], []
    for row, path in enumerate(table[file]):
        place = f"{name}, row {row + 1}"
        for column in needed:
            if pd.isna(table[column].iloc[row]):
                faults.append(f"{place}: no {column!r}. Fill it in or drop the row.")
        if not pd.isna(path):
            try:
                recordings.append(load_recording(Path(folder or ".", path), sr, str(path)))
            except (OSError, ValueError) as error:
                faults.append(f"{place}: {error}")
    _raise_all(faults, name)
    return Bunch(
        recordings=recordings,
        labels=_as_array(table[label]),
        groups=np.arange(len(table)) if group is None else np.array(table[group].tolist()),
        names=[str(path) for path in table[file]],
    )
