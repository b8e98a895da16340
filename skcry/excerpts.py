"""Random excerpts of long recordings for annotators: sound files, and annotation files with the detections."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from ._compat import Interval, validate_params
from ._similar import similar
from ._typing import PathLike, RandomState
from ._warnings import warn
from .events import as_annotations
from .io.annotations import write_annotations
from .io.audio import AudioFile, as_recordings, file_names
from .io.decoders import open_decoder, unreadable
from .io.text_files import atomic_path, list_names, shorten
from .signal.lowpass import lowpass as remove_above

INDEX_FILE = "excerpts.csv"
COLUMNS = ["file", "annotation", "source", "onset", "offset", "n_events", "group"]
BLOCK_LENGTH = 2**16  # frames copied at a time
MIN_INSIDE = 0.01  # seconds of an event within an excerpt; less is inaudible, and annotation files round to 1 ms
LOSSLESS = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
MAX_FLAC_CHANNELS = 8


class _Header(NamedTuple):
    """Facts about a recording, as in soundfile."""

    samplerate: int
    channels: int
    frames: int
    format: str
    subtype: str


def _header(path):
    """Read the header of an audio file, and count its frames; OSError if it cannot be read."""
    AudioFile(path, sr=None).close()
    with open_decoder(Path(path)) as sound:
        try:
            n_frames = sound.count_frames()
        except OSError as error:
            raise OSError(unreadable(path, error)) from None
        return _Header(sound.samplerate, sound.channels, n_frames, sound.format, sound.subtype)


def _written_format(header):
    """Return format (WAV for WAV, else FLAC) and subtype (that of the recording unless lossy) of an excerpt."""
    subtype = header.subtype if header.subtype in LOSSLESS else "PCM_16"
    fits_flac = subtype in ("PCM_S8", "PCM_16", "PCM_24") and header.channels <= MAX_FLAC_CHANNELS
    return "FLAC" if fits_flac and header.format not in ("WAV", "WAVEX", "RF64") else "WAV", subtype


def _check_groups(groups, recordings):
    """Return the list of the group of each recording."""
    names = [os.fspath(path) for path in recordings]
    if groups is None:
        return names
    if isinstance(groups, dict):
        groups = pd.Series(groups)
    if isinstance(groups, pd.Series) and any(isinstance(key, str) for key in groups.index):
        missing = [name for name in names if name not in groups.index]
        if missing and set(short := file_names(recordings)) <= set(groups.index):
            names, missing = short, []
        if missing:
            raise ValueError(f"groups names no group for {list_names(missing)}. Use the paths as in recordings.")
        groups = [groups[name] for name in names]
    groups = list(groups)
    if len(groups) != len(names):
        raise ValueError(
            f"groups has {len(groups)} values for {len(names)} recordings. Pass one per recording, in their order."
        )
    for same in similar(groups):
        raise ValueError(f"groups {list_names(same)} look the same, but count as different. Write them one way.")
    return groups


def _events_by_recording(events, recordings, headers):
    """Check the detections and return the annotations of each recording."""
    missing = [name for name in ("recording", "onset", "offset") if name not in events]
    if missing:
        raise ValueError(
            f"events has columns {list(events.columns)}, but no {missing[0]!r}. Pass the output of CryDetector.detect."
        )
    # By name, as detect calls files, or by place in the list.
    named = events["recording"].map(lambda one: isinstance(one, str)).any()
    keys = file_names(recordings) if named else range(len(recordings))
    faulty = ~events["recording"].isin(keys)
    if faulty.any():
        held = shorten(str(keys), 80) if named else f"numbers 0 to {len(recordings) - 1}: places in the list"
        raise ValueError(
            f"events name recording {events['recording'][faulty].tolist()[0]!r} ({int(faulty.sum())} of {len(events)} "
            f"events), but recordings holds {held}. Pass all recordings in which the events were detected, in the same "
            "order."
        )
    columns = [name for name in ("onset", "offset", "label") if name in events]
    return [
        as_annotations(
            events.loc[events["recording"] == key, columns],
            duration=header.frames / header.samplerate,
            name=f"events of {Path(path).name}",
        )
        for key, path, header in zip(keys, recordings, headers, strict=True)
    ]


def _events_inside(annotations, begin, end):
    """Return the annotations that overlap the time from ``begin`` to ``end``, cut there, in seconds from ``begin``."""
    inside = annotations[
        (annotations["onset"] < end - MIN_INSIDE) & (annotations["offset"] > begin + MIN_INSIDE)
    ].copy()
    inside[["onset", "offset"]] = inside[["onset", "offset"]].clip(begin, end) - begin
    return inside


def _draw_starts(n_frames, length, sr, annotations, n_excerpts, min_events, max_tries, rng):
    """Draw the first frames of stretches that do not overlap, each with at least ``min_events``; may find fewer."""
    onset, offset = np.sort(annotations["onset"]), np.sort(annotations["offset"])
    starts: list = []
    while len(starts) < n_excerpts:
        tries = rng.randint(0, n_frames - length + 1, size=max_tries, dtype=np.int64)
        # As in _events_inside: events that begin before the end of the stretch, less those that end before it.
        n_begun = np.searchsorted(onset, (tries + length) / sr - MIN_INSIDE)
        n_events = n_begun - np.searchsorted(offset, tries / sr + MIN_INSIDE, side="right")
        good = n_events >= min_events
        for other in starts:
            good &= np.abs(tries - other) >= length
        if not good.any():
            break
        starts.append(int(tries[np.argmax(good)]))
    return sorted(starts)


def _read_blocks(sound, length, dtype):
    """Yield the next ``length`` frames of a sound, or as many as there are."""
    while length and len(block := sound.read(min(BLOCK_LENGTH, length), dtype)):
        yield block
        length -= len(block)


def _copy_stretch(source, start, length, target, header, cutoff):
    """Copy ``length`` frames of an audio file from ``start`` on, without reading the others; up to ``cutoff`` Hz."""
    import soundfile

    (file_format, subtype), n_left = _written_format(header), length
    # int32 keeps integer samples bit for bit; float and lossy samples are copied as floats.
    whole = header.subtype.startswith("PCM") or header.subtype.endswith("LAW")
    dtype = "int32" if whole and cutoff is None else "float64"
    try:
        with (
            open_decoder(Path(source)) as sound,
            soundfile.SoundFile(
                target, "w", header.samplerate, header.channels, subtype, format=file_format
            ) as excerpt,
        ):
            sound.seek(start, dtype)
            blocks = _read_blocks(sound, length, dtype)
            for block in blocks if cutoff is None else remove_above(blocks, cutoff, header.samplerate):
                excerpt.write(block)
                n_left -= len(block)
        if n_left:
            raise soundfile.SoundFileRuntimeError(f"its last {n_left / header.samplerate:.1f} s are missing")
    except (OSError, soundfile.SoundFileError, AssertionError) as error:  # AssertionError: not all frames were written
        raise OSError(
            f"{source}: the stretch from {start / header.samplerate:.1f} s, {length / header.samplerate:g} s long, "
            f"cannot be copied ({error or 'it cannot be written'}). Copy the recording again, or convert it to WAV or "
            "FLAC."
        ) from None


@validate_params(
    {
        "events": [pd.DataFrame],
        "out": [str, os.PathLike],
        "groups": ["array-like", dict, None],
        "duration": [Interval(Real, 0, None, closed="neither")],
        "n_excerpts": [Interval(Integral, 1, None, closed="left")],
        "min_events": [Interval(Integral, 0, None, closed="left")],
        "prefill": ["boolean"],
        "suffix": [str],
        "lowpass": [Interval(Real, 100, None, closed="left"), None],
        "max_tries": [Interval(Integral, 1, None, closed="left")],
        "overwrite": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def draw_excerpts(
    recordings: Sequence[PathLike],
    events: pd.DataFrame,
    out: PathLike,
    *,
    groups: Sequence | dict | None = None,
    duration: float = 600.0,
    n_excerpts: int = 1,
    min_events: int = 1,
    prefill: bool = True,
    suffix: str = ".csv",
    lowpass: float | None = None,
    max_tries: int = 10_000,
    overwrite: bool = False,
    random_state: RandomState = None,
) -> pd.DataFrame:
    """Draw random excerpts of long recordings, for people to annotate.

    Each excerpt is a sound file with an annotation file of the same name. Excerpts of one recording do not overlap, and
    are drawn uniformly among the stretches with enough events. Only these stretches are read. Samples are those of the
    recording, unless ``lowpass`` changes them: same rate, channels and resolution. WAV files give WAV, others FLAC
    (lossy formats in 16 bits; WAV for samples that FLAC cannot hold).

    Parameters
    ----------
    recordings : list of str or path-like
        Audio files.
    events : DataFrame of shape (n_events, n_columns)
        Output of :meth:`skcry.CryDetector.detect` for these recordings: columns ``recording`` (name, as
        ``detect`` calls files, or place in ``recordings``), ``onset`` and ``offset`` in seconds, and optionally
        ``label``; without it all are labelled "cry".
    out : str or path-like
        Folder to write to; created if it does not exist.
    groups : array-like of shape (n_recordings,), dict or None, default=None
        Infant in each recording; a dict, or a Series indexed by paths or names, is looked up by these.
        :func:`skcry.datasets.load_annotated` returns it as the group of the excerpts, so that excerpts of one infant
        stay together in cross-validation. None means one group per recording.
    duration : float, default=600.0
        Length of an excerpt in seconds. A shorter recording is taken whole.
    n_excerpts : int, default=1
        Largest number of excerpts per recording.
    min_events : int, default=1
        Least number of events in an excerpt, counting those partly inside.
    prefill : bool, default=True
        Whether annotation files hold the detections, in seconds from the start of the excerpt and cut at its ends.
        With False they are empty, so that annotators are not influenced.
    suffix : str, default=".csv"
        Extension of the annotation files, which chooses their format: see :func:`skcry.io.write_annotations`.
    lowpass : float or None, default=None
        Frequency in Hz, from 100 on, above which the sound is removed, so that speech is harder to understand. It does
        not hide who speaks: see the Notes of :func:`skcry.review.write_review`.
    max_tries : int, default=10000
        Stretches that are tried for each excerpt. Increase it if events are rare.
    overwrite : bool, default=False
        Whether existing files in ``out`` are replaced, including corrected annotations.
    random_state : int, RandomState instance or None, default=None
        Seed of the random draw. Pass an int for the same excerpts every time.

    Returns
    -------
    DataFrame of shape (n_drawn, 7)
        One row per excerpt, also written to ``excerpts.csv`` in ``out``: ``file`` and ``annotation`` (names in
        ``out``: number of the recording, its name, number of the excerpt), ``source`` (path as given), ``onset`` and
        ``offset`` (seconds in the source), ``n_events`` and ``group`` (as in ``groups``, else the source).

    Raises
    ------
    OSError
        If a recording cannot be read. All headers are checked before anything is written.
    FileExistsError
        If one of the files exists and ``overwrite`` is False.
    ValueError
        If events or groups do not fit the recordings, groups differ only in case, accents or blanks, or ``lowpass`` is
        not below half the sampling rate of a recording.

    Warns
    -----
    UserWarning
        If fewer than ``n_excerpts`` were found in a recording.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import pandas as pd
    >>> import soundfile
    >>> from skcry.excerpts import draw_excerpts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     day = Path(folder, "day.wav")
    ...     soundfile.write(day, np.zeros(60 * 16000), 16000)
    ...     events = pd.DataFrame({"recording": [0], "onset": [20.0], "offset": [26.0]})
    ...     table = draw_excerpts([day], events, Path(folder, "out"), duration=30, random_state=0)
    ...     sorted(path.name for path in Path(folder, "out").iterdir())
    ['0_day_1.csv', '0_day_1.wav', 'excerpts.csv']
    >>> table[["file", "annotation", "n_events"]]
              file   annotation  n_events
    0  0_day_1.wav  0_day_1.csv         1
    """
    recordings, out = as_recordings(recordings), Path(out)
    for number, path in enumerate(recordings):
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(
                f"recordings[{number}] is {type(path).__name__}, but excerpts are cut from files. Pass their paths."
            )
    if not suffix.startswith(".") or {"/", "\\", "\0"} & set(suffix):
        raise ValueError(f"suffix={suffix!r} must be the ending of a file name, such as '.csv' or '.TextGrid'.")
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file, not a folder. Name a folder to write to.")
    groups = _check_groups(groups, recordings)
    headers = [_header(path) for path in recordings]
    for path, header in zip(recordings, headers, strict=True):
        if lowpass is not None and lowpass >= header.samplerate / 2:
            raise ValueError(
                f"lowpass={lowpass:g} Hz must be below {header.samplerate / 2:g} Hz, half the sampling rate of {path}. "
                "Lower it, or leave it out."
            )
    found = _events_by_recording(events, recordings, headers)
    rng = check_random_state(random_state)

    rows, stretches = [], []
    for number, (path, header, ours) in enumerate(zip(recordings, headers, found, strict=True)):
        sr = header.samplerate
        length = min(max(1, round(duration * sr)), header.frames)
        starts = _draw_starts(header.frames, length, sr, ours, n_excerpts, min_events, max_tries, rng)
        if len(starts) < n_excerpts:
            remedy = "" if len(ours) < min_events else ", duration or n_excerpts, or raise max_tries"
            warn(
                f"{path}: {len(starts)} of {n_excerpts} excerpts found in max_tries={max_tries} tries each. The "
                f"recording lasts {header.frames / sr:g} s and holds {len(ours)} events; an excerpt needs "
                f"{length / sr:g} s of its own and {min_events} events. Lower min_events{remedy}."
            )
        for place, start in enumerate(starts, 1):
            # Recordings in different folders may have the same name: their number keeps the files apart.
            name = f"{number:0{len(str(len(recordings) - 1))}d}_{Path(path).stem}_{place:0{len(str(n_excerpts))}d}"
            onset, offset = start / sr, (start + length) / sr
            inside = _events_inside(ours, onset, offset)
            file = f"{name}.{_written_format(header)[0].lower()}"
            rows.append((file, name + suffix, os.fspath(path), onset, offset, len(inside), groups[number]))
            stretches.append((path, start, length, header, inside if prefill else inside.iloc[:0]))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table = table.astype({"onset": float, "offset": float, "n_events": int})

    targets = [out / name for name in (*table["file"], *table["annotation"], INDEX_FILE)]
    sources = {Path(path).resolve() for path in recordings}
    for target in targets:
        if target.resolve() in sources:
            raise ValueError(f"{target} is one of the recordings and would be replaced. Write to another folder.")
        if target.exists() and not overwrite:
            raise FileExistsError(f"{target} exists. Write to another folder, or pass overwrite=True to replace it.")
    out.mkdir(parents=True, exist_ok=True)
    for row, (path, start, length, header, inside) in zip(table.itertuples(), stretches, strict=True):
        # Annotations first, so that an unknown suffix is refused before any sound is copied.
        write_annotations(inside, out / row.annotation, duration=length / header.samplerate)
        with atomic_path(out / row.file) as target:
            _copy_stretch(path, start, length, target, header, lowpass)
    with atomic_path(out / INDEX_FILE) as target:
        table.to_csv(target, index=False, encoding="utf-8")
    return table
