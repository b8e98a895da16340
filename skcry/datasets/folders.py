"""Load folders of annotated recordings, and tables of labelled clips."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .._compat import Interval, StrOptions, validate_params
from .._similar import similar
from .._typing import PathLike
from .._warnings import warn
from ..events import as_annotations, mark_unknown
from ..io import read_annotations
from ..io.annotations import FORMATS, SUFFIXES
from ..io.audio import DEFAULT_SR, load_recording
from ..io.columns import find_separator
from ..io.text_files import SeveralError, list_names, read_lines, read_named_table, shorten, walk
from ..windows.file_windows import checked, try_files
from ..windows.windower import stays_in_files

# Formats of recorders, phones and video that are read by libsndfile or, with PyAV or ffmpeg, by skcry.io.read_audio.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".w64", ".caf", ".au", ".opus")
AUDIO_SUFFIXES += (".m4a", ".mp4", ".aac", ".3gp", ".3ga", ".3g2", ".amr", ".awb", ".mov", ".m4v", ".m4b", ".qta")
AUDIO_SUFFIXES += (".wma", ".wmv", ".asf", ".webm", ".mka", ".mkv", ".avi", ".wv", ".tta", ".ape", ".ac3", ".mp2")
AUDIO_SUFFIXES += (".oga", ".spx", ".aifc", ".wave", ".rf64", ".bw64", ".bwf", ".snd", ".voc", ".sph", ".nist")
# Further types of recordings. They are not loaded, and named where nothing else with their name is.
OTHER_RECORDINGS = (".ogv", ".dss", ".ds2")
GROUPS_FILE = "groups.csv"
RANGES_FILE = "ranges.csv"
EXCERPTS_FILE = "excerpts.csv"  # the index of draw_excerpts
READ_BY_WINDOWER = "A Windower reads them: pass"
N_SHOWN = 30  # faults that one message lists
NOTES_SUFFIX = ".txt"  # of files that may be notes if no recording has their name
_SR = [Interval(Integral, 1, None, closed="left")]


def _raise_all(faults, what):
    """Raise one ValueError that lists the faults, if any."""
    if faults:
        n = f"{len(faults)} fault{'' if len(faults) == 1 else 's'}"
        more = [f"and {len(faults) - N_SHOWN} more."] if len(faults) > N_SHOWN else []
        faults = [*(shorten(fault, 800) for fault in faults[:N_SHOWN]), *more]
        raise ValueError("\n- ".join([f"{what} cannot be loaded, {n}:", *faults]))


def _by_stem(names):
    """Group names of files by their name without extension: dict of lists."""
    stems: dict = {}
    for name in sorted(names):
        stems.setdefault(os.path.splitext(name)[0], []).append(name)
    return stems


def _suffix(name):
    return os.path.splitext(name)[1].lower()


def read_columns(path, needed):
    """Read a CSV file with the ``needed`` columns as DataFrame of str, one row per line; empty fields are NaN."""
    sep = find_separator(list(read_lines(path, "CSV").values()), lambda fields: set(needed) <= set(fields))
    table = read_named_table(path, sep=sep, skipinitialspace=True).reset_index(drop=True)
    _check_columns(table, needed, path.name)
    return table.mask(table == "")


def _check_columns(table, needed, name):
    missing = [column for column in needed if column not in table]
    if missing:
        raise ValueError(
            f"{name} has no column {', '.join(map(repr, missing))}; its columns are [{list_names(table.columns)}]. "
            "Rename them, or pass the names of those to use."
        )


def _add_similar(groups, name, faults):
    """Append groups that differ only in case, accents or blanks to ``faults``."""
    for same in similar(groups):
        faults.append(f"{name}: the groups {list_names(same)} look the same, but count as different. Write one way.")


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
    groups = table.dropna(subset=["file", "group"]).drop_duplicates("file").set_index("file")["group"]
    for name in names:
        if name not in groups:
            faults.append(f"{path.name} has no group for {name!r}. Add a row file,group, or delete {path.name}.")
    _add_similar(groups, path.name, faults)
    return np.array(groups.reindex(names).tolist())


def _load_ranges(path, faults):
    """Return a dict from recording to its annotated ranges in seconds; append what is wrong to ``faults``."""
    try:
        table = read_columns(path, ["file", "onset", "offset"])
        times = table[["onset", "offset"]].astype(float)
    except ValueError as error:
        faults.append(f"{path.name}: {error} Columns are file, onset and offset, in seconds.")
        return {}
    if table["file"].isna().any() or times.isna().any(axis=None):
        faults.append(f"{path.name} has rows without file, onset or offset. Fill them in or drop them.")
    return {file: times.loc[rows.index].to_numpy() for file, rows in table.groupby("file")}


def _groups_of_excerpts(folder, indices, names, faults):
    """Return the group of each recording in ``names`` from the indices of excerpts; append faults to ``faults``."""
    groups, n_before = {}, len(faults)
    for index in indices:
        try:
            table = read_columns(folder / index, ["file", "source"])
        except ValueError as error:
            faults.append(str(error))
            continue
        for file, group in zip(table["file"], table.get("group", table["source"]), strict=True):
            if pd.isna(file) or pd.isna(group):
                faults.append(f"{index} has a row without file or group. Fill it in or drop it.")
            groups[(Path(index).parent / str(file)).as_posix()] = group
    missing = [name for name in names if name not in groups]
    if missing and len(faults) == n_before:
        faults.append(
            f"{', '.join(indices)} has no group for {list_names(missing)}. Add {GROUPS_FILE} with columns file,group."
        )
    return np.array([groups.get(name) for name in names])


def _as_array(column):
    """Return a column as array, of int if all its texts are integers as they are usually written."""
    values = np.array(column.tolist())
    if values.dtype.kind == "U" and all(value.removeprefix("-").isdecimal() for value in values):
        # "01" and "1" are two labels.
        numbers = [int(value) for value in values]
        return np.array(numbers) if list(map(str, numbers)) == values.tolist() else values
    return values


@validate_params(
    {
        "folder": [str, os.PathLike],
        "sr": _SR,
        "format": [StrOptions(set(FORMATS)), None],
        "tier": [str, None],
        "recording": [str, None],
        "channel": [Interval(Integral, 0, None, closed="left"), None],
        "lazy": ["boolean", None],
    },
    prefer_skip_nested_validation=True,
)
def load_annotated(
    folder: PathLike,
    sr: int = 16000,
    *,
    format: str | None = None,
    tier: str | None = None,
    recording: str | None = None,
    channel: int | None = None,
    lazy: bool | None = None,
) -> Bunch:
    r"""Load a folder of recordings, each with its annotations in a file of the same name.

    ``day1.wav`` needs one of ``day1.csv``, ``day1.TextGrid`` (Praat), ``day1.eaf`` (ELAN), ``day1.txt`` (Audacity,
    Raven, or ELAN's export), ``day1.its`` (LENA), ``day1.cha`` (CHAT), ``day1.rttm`` or ``day1.tsv``. Subfolders are
    searched as well, except hidden ones and links, which a warning names. Hidden files, files of other kinds, and texts
    (.txt) with the name of no recording are ignored.

    Parameters
    ----------
    folder : str or path-like
        Folder with audio files (wav, flac, ogg, opus, mp3, aif, aiff, w64, caf, au) and an annotation file for each,
        see :func:`skcry.io.read_annotations`, such as CSV with ``start,end,label``, in seconds. An empty CSV file means
        that nothing was heard. An optional file ``groups.csv`` with columns ``file,group`` names the infant in each
        recording, by the name of its file, or its path in the folder, as in ``home1/day1.wav``. Without it, excerpts
        that :func:`skcry.draw_excerpts` wrote get the groups in its index ``excerpts.csv``. An optional file
        ``ranges.csv`` with columns ``file,onset,offset`` (seconds) lists the annotated ranges of recordings that were
        annotated in part; the rest of these gets the label "unknown", see :func:`skcry.events.mark_unknown`.
    sr : int, default=16000
        Rate in Hz to resample to.
    format : str or None, default=None
        Format of all annotation files, such as "seconds"; then only files with its extensions are annotation files.
        None means the one of each file's extension and content.
    tier : str or None, default=None
        Tier to read from annotation files with tiers. None means the only one.
    recording : str or None, default=None
        Recording to read from annotation files with several. None means the only one or, of several, the one with the
        name of the audio file, with or without folder and extension.
    channel : int or None, default=None
        Channel of the audio files to read, counted from 0. None mixes all of them down.
    lazy : bool or None, default=None
        Whether ``recordings`` are the paths of the files, so that their sound is read when it is needed, stretch by
        stretch. They are read to the end here in any case, to find faults. None means for more than two hours of sound.
        Pass ``sr`` and ``channel`` also to the :class:`skcry.Windower`, which reads them then.

    Returns
    -------
    data : Bunch
        With these attributes.

        recordings : list of ndarray of float32 of shape (n_timepoints,), or of Path
            Sound at ``sr``, or the files, sorted by file name.
        annotations : list of DataFrame of shape (n_annotations, 3)
            Columns ``onset, offset`` (seconds) and ``label``.
        names : list of str
            Files of the recordings: paths in the folder, with ``/``.
        durations : ndarray of shape (n_recordings,)
            Lengths in seconds.
        groups : ndarray of shape (n_recordings,)
            From ``groups.csv`` or ``excerpts.csv`` (str), else 0, 1, 2, ...: each recording is a group of its own.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the folder does not exist.
    ValueError
        If there are files without partner, recordings of a type that is not loaded, two audio files or two annotation
        files of one name, unreadable audio, malformed lines, annotations that end before they start or after the
        recording, or groups that differ only in case, accents or blanks. The message lists all faults.

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
    found = {path.relative_to(folder).as_posix(): path for path in walk(folder)}
    files = [name for name, path in found.items() if path.is_file()]
    links = sorted(name for name, path in found.items() if path.is_symlink() and path.is_dir())
    if links:
        warn(f"{folder}: links to folders are not searched: {list_names(links)}. Put the folders themselves there.")
    audio = _by_stem(name for name in files if _suffix(name) in AUDIO_SUFFIXES)
    suffixes = SUFFIXES if format is None else FORMATS[format].suffixes
    usual = ".csv" if ".csv" in suffixes else suffixes[0]
    of_folder = [name for name in files if Path(name).name in (GROUPS_FILE, RANGES_FILE, EXCERPTS_FILE)]
    tables = _by_stem(
        name
        for name in files
        if _suffix(name) in [suffix.lower() for suffix in suffixes]
        and name not in of_folder
        and (_suffix(name) != NOTES_SUFFIX or os.path.splitext(name)[0] in audio)
    )
    others = [name for name in files if _suffix(name) in OTHER_RECORDINGS]
    others = [name for name in others if os.path.splitext(name)[0] not in audio]
    if not audio and not tables and not others:
        raise ValueError(f"{folder} holds no audio file. Looked for {', '.join(AUDIO_SUFFIXES)}.")

    faults = [f"{name} is a recording of a type that is not loaded. Convert it to WAV or FLAC." for name in others]
    recordings, annotations, names = [], [], []
    ranges = _load_ranges(folder / RANGES_FILE, faults) if RANGES_FILE in of_folder else {}
    paths = [folder / sounds[0] for sounds in audio.values() if len(sounds) == 1]
    lazy = stays_in_files(paths) if lazy is None else lazy
    files = dict(zip(paths, try_files(paths, sr, channel), strict=True)) if lazy else {}
    if lazy and (sr != DEFAULT_SR or channel is not None):
        warn(f"The recordings stay in their files. {READ_BY_WINDOWER} sr={sr} and channel={channel} to it.")
    durations = []
    for stem in sorted({*audio, *tables}):
        sounds, texts = audio.get(stem, []), tables.get(stem, [])
        duration = None
        for same in (sounds, texts):
            if len(same) > 1:
                faults.append(f"{', '.join(same)}: {len(same)} files of one name. Keep one, or rename the others.")
        if not texts:
            faults.append(
                f"{sounds[0]} has no {stem}{usual}. Add one, an empty one where nothing was heard, "
                f"or annotations in another format ({', '.join(suffixes)})."
            )
        if not sounds and stem not in [os.path.splitext(name)[0] for name in others]:
            faults.append(f"{texts[0]} has no audio file {stem}.wav (or .flac, ...). Add it, or move {texts[0]} away.")
        if len(sounds) == 1:
            names.append(sounds[0])
            try:
                path = folder / sounds[0]
                if lazy:
                    recordings.append(path)
                    duration = checked(files[path]).n_timepoints / sr
                else:
                    recordings.append(load_recording(path, sr, sounds[0], channel))
                    duration = len(recordings[-1]) / sr
                durations.append(duration)
            except (OSError, ValueError) as error:
                faults.append(str(error))
        for name in texts:
            try:
                table = _read_one(folder / name, sounds, format=format, tier=tier, recording=recording)
                if sounds and sounds[0] in ranges:
                    table = mark_unknown(table, ranges.pop(sounds[0]))
                annotations.append(as_annotations(table, duration=duration, name=name))
            except (OSError, ValueError) as error:
                faults.append(str(error) if str(error).startswith(name) else f"{name}: {error}")
    groups = np.arange(len(names))
    indices = [name for name in of_folder if Path(name).name == EXCERPTS_FILE]
    if GROUPS_FILE in of_folder:
        groups = _load_groups(folder / GROUPS_FILE, names, faults)
    elif indices:
        groups = _groups_of_excerpts(folder, indices, names, faults)
    for name in of_folder:
        usual_place = Path(name).name
        if usual_place != EXCERPTS_FILE and name != usual_place:
            faults.append(f"{name} is not read. List its recordings in {usual_place} of the folder, with their paths.")
    for name in ranges:
        faults.append(f"{RANGES_FILE} lists {name!r}, which is no recording in the folder. Correct it or drop the row.")
    _raise_all(faults, folder)
    for table, name in zip(annotations, names, strict=True):
        table.attrs["recording"] = name  # for the model card
    about = {"names": names, "groups": groups, "durations": np.array(durations)}
    return Bunch(recordings=recordings, annotations=annotations, **about)


def _read_one(path, sounds, recording, **options):
    """Read an annotation file; of several recordings in it, the one with the name of the audio file."""
    try:
        return read_annotations(path, recording=recording, **options)
    except SeveralError as error:
        if error.option != "recording" or not sounds:
            raise
    return read_annotations(path, recording=Path(sounds[0]).name, **options)


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
            Integers if all labels are integers (without leading zeros), else as in the table.
        groups : ndarray of shape (n_clips,)
            As in the table; 0, 1, 2, ... with ``group=None``.
        names : list of str
            Files as in the table.
        durations : ndarray of shape (n_clips,)
            Lengths in seconds.

    Raises
    ------
    FileNotFoundError
        If the CSV file does not exist.
    ValueError
        If a column is missing, clips are missing or unreadable, a column mixes numbers and texts, or groups differ only
        in case, accents or blanks. The message lists all faults.

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
    for column in needed[1:]:
        if len({isinstance(value, str) for value in table[column].dropna()}) > 1:
            faults.append(f"{name}: {column!r} mixes numbers and texts, so that 1 and '1' would be one. Write one way.")
    if group is not None:
        _add_similar(table[group].dropna(), name, faults)
    _raise_all(faults, name)
    return Bunch(
        recordings=recordings,
        labels=_as_array(table[label]),
        groups=np.arange(len(table)) if group is None else np.array(table[group].tolist()),
        names=[str(path) for path in table[file]],
        durations=np.array([len(y) / sr for y in recordings]),
    )
