"""Random excerpts of long recordings for annotators: sound to listen to, and detections to correct."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from ._compat import Interval, validate_params
from ._typing import PathLike, RandomState
from ._warnings import warn
from .events import as_annotations
from .io.annotations import write_annotations
from .io.audio import AudioFile, as_recordings
from .io.text_files import atomic_path

INDEX_FILE = "excerpts.csv"
COLUMNS = ["file", "annotation", "source", "onset", "offset", "n_events"]
BLOCK_LENGTH = 2**16  # frames copied at a time
MIN_INSIDE = (
    0.01  # seconds of an event at the edge of an excerpt; nobody hears less, and annotation files round to 1 ms
)
LOSSLESS = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
MAX_FLAC_CHANNELS = 8


def _header(path):
    """Read rate, length and format of an audio file, or say what is wrong with it."""
    import soundfile

    AudioFile(path, sr=None).close()
    header = soundfile.info(path)
    if header.frames > 2**48:  # libsndfile's way to say that a stream does not tell
        raise OSError(f"{path} does not tell its length. Convert it to WAV or FLAC.")
    return header


def _written_format(header):
    """Format and subtype of an excerpt: WAV of WAV, else FLAC, in the file's own subtype unless that is lossy."""
    subtype = header.subtype if header.subtype in LOSSLESS else "PCM_16"
    fits_flac = subtype in ("PCM_S8", "PCM_16", "PCM_24") and header.channels <= MAX_FLAC_CHANNELS
    return "FLAC" if fits_flac and header.format not in ("WAV", "WAVEX", "RF64") else "WAV", subtype


def _events_by_recording(events, recordings, headers):
    """Check the detections and divide them: annotations of each recording."""
    missing = [name for name in ("recording", "onset", "offset") if name not in events]
    if missing:
        raise ValueError(
            f"events has columns {list(events.columns)}, but no {missing[0]!r}. Pass what CryDetector.detect gives."
        )
    numbers = events["recording"]
    faulty = ~numbers.isin(range(len(recordings)))
    if faulty.any():
        raise ValueError(
            f"events name recording {numbers[faulty].tolist()[0]!r} ({int(faulty.sum())} of {len(events)} events), but "
            f"recordings holds numbers 0 to {len(recordings) - 1}: places in the list. Pass the recordings in which "
            "these events were detected, all of them and in the same order."
        )
    columns = [name for name in ("onset", "offset", "label") if name in events]
    return [
        as_annotations(
            events.loc[numbers == number, columns],
            duration=header.frames / header.samplerate,
            name=f"events of {Path(path).name}",
        )
        for number, (path, header) in enumerate(zip(recordings, headers, strict=True))
    ]


def _events_inside(annotations, begin, end):
    """Events that lie between two times at least in part, cut there, in seconds from the first."""
    inside = annotations[
        (annotations["onset"] < end - MIN_INSIDE) & (annotations["offset"] > begin + MIN_INSIDE)
    ].copy()
    inside[["onset", "offset"]] = inside[["onset", "offset"]].clip(begin, end) - begin
    return inside


def _draw_starts(n_frames, length, sr, annotations, n_excerpts, min_events, max_tries, rng):
    """Draw the first frames of stretches that do not overlap, each with enough events, as many as are found."""
    onset, offset = np.sort(annotations["onset"]), np.sort(annotations["offset"])
    starts: list = []
    while len(starts) < n_excerpts:
        tries = rng.randint(0, n_frames - length + 1, size=max_tries, dtype=np.int64)
        # As in _events_inside: what has begun by the end of the stretch, less what was over before it.
        n_begun = np.searchsorted(onset, (tries + length) / sr - MIN_INSIDE)
        n_events = n_begun - np.searchsorted(offset, tries / sr + MIN_INSIDE, side="right")
        good = n_events >= min_events
        for other in starts:
            good &= np.abs(tries - other) >= length
        if not good.any():
            break
        starts.append(int(tries[np.argmax(good)]))
    return sorted(starts)


def _copy_stretch(source, start, length, target, header):
    """Write part of an audio file to another, and read nothing else."""
    import soundfile

    (file_format, subtype), n_left = _written_format(header), length
    # Integers keep integer samples to the bit; only floats and what was lossy go through floats.
    dtype = "int32" if header.subtype.startswith("PCM") or header.subtype.endswith("LAW") else "float64"
    try:
        with (
            soundfile.SoundFile(source) as sound,
            soundfile.SoundFile(
                target, "w", header.samplerate, header.channels, subtype, format=file_format
            ) as excerpt,
        ):
            sound.seek(start)
            for block in sound.blocks(BLOCK_LENGTH, frames=length, dtype=dtype, always_2d=True):
                if len(block) == 0:
                    break
                excerpt.write(block)
                n_left -= len(block)
        if n_left:
            raise soundfile.SoundFileRuntimeError(f"its last {n_left / header.samplerate:.1f} s are missing")
    except (soundfile.SoundFileError, AssertionError) as error:  # the latter where fewer frames are written than given
        raise OSError(
            f"{source}: the stretch from {start / header.samplerate:.1f} s, {length / header.samplerate:g} s long, "
            f"cannot be copied ({error or 'it cannot be written'}). Copy the recording again, or convert what there is "
            "to WAV or FLAC."
        ) from None


@validate_params(
    {
        "events": [pd.DataFrame],
        "out": [str, os.PathLike],
        "duration": [Interval(Real, 0, None, closed="neither")],
        "n_excerpts": [Interval(Integral, 1, None, closed="left")],
        "min_events": [Interval(Integral, 0, None, closed="left")],
        "prefill": ["boolean"],
        "suffix": [str],
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
    duration: float = 600.0,
    n_excerpts: int = 1,
    min_events: int = 1,
    prefill: bool = True,
    suffix: str = ".csv",
    max_tries: int = 10_000,
    overwrite: bool = False,
    random_state: RandomState = None,
) -> pd.DataFrame:
    """Draw random excerpts of long recordings, for people to annotate.

    Each is a stretch of sound in a file of its own, with an annotation file of the same name beside it. Stretches of
    one recording never overlap, and are drawn uniformly among those that hold enough events. Only they are read. The
    sound is as it is in the recording, sample for sample: same rate, channels and resolution; WAV where that is WAV,
    else FLAC (what was compressed with loss, in 16 bits; what FLAC cannot hold, in WAV).

    Parameters
    ----------
    recordings : list of str or path-like
        Audio files.
    events : DataFrame of shape (n_events, n_columns)
        What :meth:`skcry.CryDetector.detect` found in these recordings: columns ``recording`` (place in
        ``recordings``), ``onset`` and ``offset`` in seconds, and ``label`` where there are several; without it all are
        labelled "cry".
    out : str or path-like
        Folder to write to; made where it does not exist.
    duration : float, default=600.0
        Length of an excerpt in seconds. A shorter recording is taken whole.
    n_excerpts : int, default=1
        Excerpts per recording, at most.
    min_events : int, default=1
        Events that an excerpt must hold, those counted that lie in it at least in part.
    prefill : bool, default=True
        Whether annotation files hold the detections, in seconds from the start of the excerpt and cut at its ends.
        False leaves them empty, so that annotators are not led.
    suffix : str, default=".csv"
        Ending of the annotation files, which picks their format: see :func:`skcry.io.write_annotations`.
    max_tries : int, default=10000
        Stretches that are tried for each excerpt. Where events are rare, try more.
    overwrite : bool, default=False
        Whether files in ``out`` may be replaced, corrected annotations too.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw. The same one draws the same excerpts.

    Returns
    -------
    DataFrame of shape (n_drawn, 6)
        One row per excerpt, also written to ``excerpts.csv`` in ``out``: ``file`` and ``annotation`` (names in
        ``out``: number of the recording, its name, number of the excerpt), ``source`` (path as given), ``onset`` and
        ``offset`` (seconds in the source) and ``n_events``.

    Raises
    ------
    OSError
        If a recording cannot be read. All headers are looked at before anything is written.
    FileExistsError
        If one of the files exists and ``overwrite`` is False.
    ValueError
        If events do not fit the recordings.

    Warns
    -----
    UserWarning
        If fewer excerpts than asked for were found in a recording.

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
    headers = [_header(path) for path in recordings]
    found = _events_by_recording(events, recordings, headers)
    rng = check_random_state(random_state)

    rows, stretches = [], []
    for number, (path, header, ours) in enumerate(zip(recordings, headers, found, strict=True)):
        sr = header.samplerate
        length = min(max(1, round(duration * sr)), header.frames)
        starts = _draw_starts(header.frames, length, sr, ours, n_excerpts, min_events, max_tries, rng)
        if len(starts) < n_excerpts:
            warn(
                f"{path}: {len(starts)} of {n_excerpts} excerpts found in max_tries={max_tries} tries each. The "
                f"recording lasts {header.frames / sr:g} s and holds {len(ours)} events; an excerpt must have "
                f"{length / sr:g} s to itself and hold {min_events}. "
                + ("Lower min_events." if len(ours) < min_events else "Raise max_tries, or lower min_events, ")
                + ("" if len(ours) < min_events else "duration or n_excerpts.")
            )
        for place, start in enumerate(starts, 1):
            # The numbers keep files apart whose recordings share a name.
            name = f"{number:0{len(str(len(recordings) - 1))}d}_{Path(path).stem}_{place:0{len(str(n_excerpts))}d}"
            onset, offset = start / sr, (start + length) / sr
            inside = _events_inside(ours, onset, offset)
            file = f"{name}.{_written_format(header)[0].lower()}"
            rows.append((file, name + suffix, os.fspath(path), onset, offset, len(inside)))
            stretches.append((path, start, length, header, inside if prefill else inside.iloc[:0]))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table = table.astype({"onset": float, "offset": float, "n_events": int})

    targets = [out / name for name in (*table["file"], *table["annotation"], INDEX_FILE)]
    sources = {Path(path).resolve() for path in recordings}
    for target in targets:
        if target.resolve() in sources:
            raise ValueError(f"{target} is one of the recordings, and would be replaced. Write to another folder.")
        if target.exists() and not overwrite:
            raise FileExistsError(f"{target} exists. Write to another folder, or pass overwrite=True to replace it.")
    out.mkdir(parents=True, exist_ok=True)
    for row, (path, start, length, header, inside) in zip(table.itertuples(), stretches, strict=True):
        # Annotations first: an ending that no format has is refused before any sound is copied.
        write_annotations(inside, out / row.annotation, duration=length / header.samplerate)
        with atomic_path(out / row.file) as target:
            _copy_stretch(path, start, length, target, header)
    with atomic_path(out / INDEX_FILE) as target:
        table.to_csv(target, index=False, encoding="utf-8")
    return table
