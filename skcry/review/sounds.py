"""Find the recordings that clips are of, and read stretches of their sound."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._typing import PathLike, Recordings
from ..events import merge
from ..files.recordings import list_recordings
from ..io.audio import DEFAULT_SR, AudioFile, as_recordings, keys_of, load_recording, name_of
from ..io.decoders import READ_LENGTH, open_decoder, unreadable
from ..io.text_files import list_names

Sources = PathLike | Recordings | Mapping[Any, Any]  # a folder, recordings, or recordings by name


def find_recordings(recordings, names, what):
    """Return a dict from each of the ``names`` to its recording.

    ``recordings`` is a folder, a list of recordings, or a mapping from names. A file is found by its name as
    :func:`keys_of` gives it, or by the end of its path. ``what`` stands for the names in messages.
    """
    if isinstance(recordings, (str, os.PathLike)):
        paths, keys = list_recordings(recordings)
        known = dict(zip(keys, paths, strict=True))
    elif isinstance(recordings, (Mapping, pd.Series)):
        known = dict(recordings.items())
    else:
        items = as_recordings(recordings)
        known = dict(zip(keys_of(items), items, strict=True))
    found, missing = {}, []
    for name in names:
        if name in known:
            found[name] = known[name]
            continue
        ends = [
            item
            for item in known.values()
            if isinstance(item, (str, os.PathLike)) and f"/{Path(item).as_posix()}".endswith(f"/{name}")
        ]
        if len(ends) == 1:
            found[name] = ends[0]
        else:
            missing.append(name)
    if missing:
        raise ValueError(
            f"{what} name {len(missing)} recordings that are not among recordings= (or are there twice), such as "
            f"{missing[0]!r:.100}; it holds {list_names(known) or 'none'}. Pass the folder or the list in which crying "
            "was detected."
        )
    return found


def read_spans(item, name, spans, channel=None):
    """Read spans (n_spans, 2), in seconds and sorted, of a recording at 16 kHz: list of float32 arrays.

    What lies beyond the recording is left out. Only these spans are read, if the format allows to jump to them.
    """
    whole = merge(spans)
    if isinstance(item, (str, os.PathLike)):
        stretches = _read_file(item, whole, channel)
    else:
        y = load_recording(item, DEFAULT_SR, name if isinstance(name, str) else name_of(item, name), channel)
        stretches = [y[round(onset * DEFAULT_SR) : round(offset * DEFAULT_SR)] for onset, offset in whole]
    place = np.searchsorted(whole[:, 0], np.asarray(spans)[:, 0], side="right") - 1
    parts = []
    for which, (onset, offset) in zip(place, spans, strict=True):
        first = whole[which, 0]
        part = stretches[which][round((onset - first) * DEFAULT_SR) : round((offset - first) * DEFAULT_SR)]
        parts.append(np.asarray(part, dtype=np.float32))
    return parts


def _read_file(path, spans, channel):
    """Read disjoint, sorted spans of a file."""
    import soxr

    AudioFile(path, channel=channel).close()  # its errors say what is wrong
    stretches, place = [], 0
    try:
        with open_decoder(Path(path)) as sound:
            for onset, offset in spans:
                first, last = (round(time * sound.samplerate) for time in (onset, offset))
                if sound.jumps:
                    sound.seek(first)
                else:
                    while place < first and (n := len(sound.read(min(first - place, READ_LENGTH)))):
                        place += n
                y = sound.read(last - first)
                place = last
                y = y.mean(axis=1) if channel is None else y[:, channel]
                stretches.append(soxr.resample(y, sound.samplerate, DEFAULT_SR, quality="HQ") if len(y) else y)
    except OSError as error:
        raise OSError(unreadable(path, error)) from None
    return stretches
