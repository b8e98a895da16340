"""Read recordings, from audio files in blocks or from arrays, as checked mono floats."""

from __future__ import annotations

import contextlib
import io
import numbers
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from .._typing import PathLike
from .._warnings import warn
from .decoders import READ_LENGTH, open_decoder, unreadable
from .file_kinds import missing_content
from .text_files import check_file

DEFAULT_SR = 16000  # Hz, of the usual wearable recorders
PLAUSIBLE_SR = (1000, 1_000_000)  # Hz; with a wrong header, resampling would not end
LOWEST_SR = 8000  # Hz; cries are detected up to 4000 Hz
LOUDEST = 1e12  # of floats, where full scale is 1 or, in some files, 2 ** 31; filters overflow above
CLIPPED_SHARE = 0.01  # of all values; loud cries close to the recorder clip occasionally
FULL_SCALE = 0.999
CD_RATES = (44100, 22050, 11025)  # Hz; their whole seconds are none at the other usual rates
LEAST_MIXED = 0.1  # of the energy that channels of independent noise keep when they are mixed down


class AudioFile(contextlib.AbstractContextManager):
    """Context manager that reads an audio file in blocks, from start to end.

    ``sr`` is the rate in Hz that blocks are resampled to (by soxr, whose result does not depend on the blocks) and
    ``duration`` the length in seconds by the header, None if it does not say; joined files count when they are reached.
    ``problems`` lists faults of a readable file; it is complete when :meth:`read` has reached the end. OSError if the
    file cannot be read, ValueError if it has no such channel.
    """

    def __init__(self, path, sr=DEFAULT_SR, channel=None):
        self.name = Path(path).name
        self.problems = []
        self._file = _open(Path(path))
        try:
            self.channel = channel
            self._check_header(Path(path))
        except Exception:
            self.close()
            raise
        self.sr = sr or self._file.samplerate
        self.duration = None if self._file.frames is None else self._file.frames / self._file.samplerate
        self._resampler = None
        if self.sr != self._file.samplerate:
            import soxr

            self._resampler = soxr.ResampleStream(self._file.samplerate, self.sr, 1, dtype="float32", quality="HQ")
        self._waiting = np.empty(0, dtype=np.float32)
        self._n_read, self._at_end = 0, False
        self._peak, self._n_clipped = np.zeros(self._file.channels), 0
        self._energy, self._mixed_energy = 0.0, 0.0  # of the channels and of their mean

    def _check_header(self, path):
        file, n_bytes = self._file, path.stat().st_size
        if self.channel is not None and not 0 <= self.channel < file.channels:
            raise ValueError(
                f"channel={self.channel} must be from 0 to {file.channels - 1}: {self.name} has {file.channels} "
                f"channel{'' if file.channels == 1 else 's'}. Choose one of them, or None to mix them down."
            )
        if file.frames == 0:
            raise OSError(
                f"{path}: 0 bytes of audio (whole file: {n_bytes}). The file looks truncated; copy it again, or repair "
                "it with the recorder's software."
            )
        if not PLAUSIBLE_SR[0] <= file.samplerate <= PLAUSIBLE_SR[1]:
            raise OSError(
                f"{path} is sampled at {file.samplerate} Hz, but {PLAUSIBLE_SR[0]} to {PLAUSIBLE_SR[1]} Hz are "
                "plausible. Repair its header with the recorder's software, or leave it out."
            )
        if file.samplerate < LOWEST_SR:
            self.problems.append(
                f"{self.name} is sampled at {file.samplerate} Hz, so it has no sound above {file.samplerate // 2} Hz, "
                f"but cries are detected up to {LOWEST_SR // 2} Hz. Record at {LOWEST_SR} Hz or more."
            )

    def read(self, n_timepoints):
        """Read the next block: float32 array of shape (n_timepoints,), shorter only at the end of the file.

        OSError if nothing can be decoded, ValueError for NaN, infinity or values above 1e12.
        """
        parts, total = [self._waiting], len(self._waiting)
        while total < n_timepoints and not self._at_end:
            parts.append(self._decode())
            total += len(parts[-1])
        sound = np.concatenate(parts)
        self._waiting = sound[n_timepoints:].copy()
        return sound[:n_timepoints]

    def _decode(self):
        """Decode, mix down and resample the next frames: float32 array of shape (n,)."""
        try:
            y = self._file.read(READ_LENGTH)
        except OSError as error:
            raise OSError(unreadable(self.name, error)) from None
        self._at_end = len(y) == 0
        level = np.abs(y)
        peak = level.max(axis=0, initial=0)
        if not (peak <= LOUDEST).all():  # or NaN
            first = (self._n_read + int(np.argmin((level <= LOUDEST).all(axis=1)))) / self._file.samplerate
            what = f"values above {LOUDEST:g}, where full scale is 1" if np.isfinite(y).all() else "NaN or infinity"
            raise ValueError(
                f"{self.name} contains {what}, the first at {first:g} s. Repair the file, or leave it out."
            )
        self._n_read += len(y)
        self._peak = np.maximum(self._peak, peak)
        if peak.max() >= FULL_SCALE:
            self._n_clipped += int(np.count_nonzero(level >= FULL_SCALE))
        if self.channel is None and self._file.channels > 1:
            mixed = y.mean(axis=1)
            self._energy += float(np.sum(y**2, dtype=np.float64)) / self._file.channels
            self._mixed_energy += float(np.sum(mixed**2, dtype=np.float64))
        else:
            mixed = np.ascontiguousarray(y[:, self.channel or 0])
        if self._at_end:
            self._find_problems()
        return mixed if self._resampler is None else self._resampler.resample_chunk(mixed, last=self._at_end)

    def _find_problems(self):
        """Add to ``problems`` what is known at the end of the file."""
        file, name = self._file, self.name
        seconds, missing = self._n_read / file.samplerate, file.n_missing / file.samplerate
        self.problems.extend(f"{name} {problem}" for problem in file.problems)
        cut = ""
        if missing:
            cut = f": its header announces {seconds + missing:.1f} s, but only {seconds:.1f} s could be read"
        elif file.has_no_end:
            cut = f" after {seconds:.1f} s, without an end mark"
        if cut:
            self.problems.append(f"{name} breaks off{cut}. This part was used; copy the file again for the rest.")
        if not self._peak.any():
            self.problems.append(f"{name} holds digital silence only. Check the recorder.")
            return
        dead = np.flatnonzero(self._peak == 0)
        if len(dead) and self.channel is None:
            alive = int(np.argmax(self._peak))
            self.problems.append(
                f"{name}: channel {dead[0]} of {file.channels} is silent throughout, and mixing down lowers the level. "
                f"Pass channel={alive}."
            )
        elif self.channel in dead:
            self.problems.append(f"{name}: channel {self.channel} is silent throughout. Choose another.")
        # Channels of independent noise lose their number in energy.
        elif self._mixed_energy * file.channels < LEAST_MIXED * self._energy:
            loss = 10 * np.log10(self._energy / max(self._mixed_energy, 1e-12 * self._energy))
            self.problems.append(
                f"{name}: mixing its {file.channels} channels down loses {loss:.0f} dB, as if one were inverted. Pass "
                "channel=0."
            )
        share = self._n_clipped / (self._n_read * file.channels)
        if share >= CLIPPED_SHARE and file.subtype not in ("FLOAT", "DOUBLE"):
            self.problems.append(
                f"{name} is clipped: {share:.0%} of its values are at full scale. Lower the recorder's gain."
            )

    def close(self):
        """Close the file."""
        self._file.close()

    def __exit__(self, *_):
        self.close()


def _open(path):
    content = missing_content(path)
    if content is not None:
        raise FileNotFoundError(content)
    check_file(path)
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{path}: no permission to read it. Change its permissions.")
    if path.stat().st_size == 0:
        raise OSError(f"{path} is empty: 0 bytes. Copy it again, or leave it out.")
    return open_decoder(path)


def read_audio(path: PathLike, sr: int | None = DEFAULT_SR, channel: int | None = None) -> tuple[np.ndarray, int]:
    """Read an audio file as mono floats at one rate.

    Parameters
    ----------
    path : str or path-like
        WAV, FLAC, OGG, MP3 and other formats of libsndfile; with PyAV (the extra ``phones``) or the program ffmpeg also
        those of phones: M4A, 3GP, AMR, CAF, WebM, WMA and more. The content decides, not the extension. Files that were
        joined are read one after the other.
    sr : int or None, default=16000
        Rate in Hz to resample to (soxr, high quality, as in librosa). None keeps the rate of the file.
    channel : int or None, default=None
        Channel to read, counted from 0. None mixes all of them down.

    Returns
    -------
    y : ndarray of float32 of shape (n_timepoints,)
        Sound in [-1, 1].
    sr : int
        Sampling rate in Hz.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    OSError
        If the file cannot be read as audio; the message says what it is.
    ValueError
        If the file has no such channel, or holds NaN, infinity or values above 1e12.

    Warns
    -----
    UserWarning
        If the file is shorter than its header says (the existing part is returned), damaged (what is lost is silence),
        joined with sound of another rate, holds digital silence only, has a silent or inverted channel, is clipped, or
        is sampled below 8000 Hz.
    """
    with AudioFile(path, sr, channel) as file:
        parts: list = []
        while not parts or len(parts[-1]):
            parts.append(file.read(READ_LENGTH))
        for problem in file.problems:
            warn(problem)
        return np.concatenate(parts), file.sr


def has_rate(item):
    """Tell whether a recording is a pair of rate and sound, in either order, as of scipy.io.wavfile or librosa."""
    if not isinstance(item, tuple) or len(item) != 2:
        return False
    return sum(isinstance(part, numbers.Number) for part in item) == 1


def load_recording(item, sr, name, channel=None):
    """Return a recording as checked floats of shape (n_timepoints,) at the rate ``sr``.

    A recording is a path, a 1-D array at the rate ``sr``, a pair ``(sr, y)`` of its own rate and a 1-D array, a
    dictionary of Hugging Face (``array`` and ``sampling_rate``, or ``bytes`` and ``path``), or an open binary file.
    """
    if isinstance(item, Mapping):
        if item.get("array") is not None and item.get("sampling_rate") is not None:
            item = item["sampling_rate"], item["array"]
        elif item.get("bytes") is not None:
            item = io.BytesIO(item["bytes"])
        elif isinstance(item.get("path"), (str, os.PathLike)):
            item = item["path"]
        else:
            raise ValueError(
                f"{name} is a dictionary with {list(item)}, but 'array' and 'sampling_rate', or 'bytes' or 'path' are "
                "needed. Pass these, a path or a 1-D array."
            )
    if isinstance(item, (str, os.PathLike)):
        y = read_audio(item, sr, channel)[0]
    elif hasattr(item, "read"):
        y = _read_open_file(item, sr, name, channel)
    elif isinstance(item, (bytes, bytearray)):
        raise TypeError(f"{name} is {type(item).__name__}. Pass an open binary file, io.BytesIO(content), or the path.")
    elif has_rate(item):
        rate, y = item if isinstance(item[0], numbers.Number) else item[::-1]
        return _resample(_check_values(as_floating(np.asarray(y)), rate, name), rate, sr, name)
    else:
        y = as_floating(np.asarray(item))
    return _check_values(y, sr, name)


def _read_open_file(file, sr, name, channel):
    """Read an open binary file, from its start: decoders need a file with a name."""
    file.seek(0)
    content = file.read()
    if not isinstance(content, bytes):
        raise TypeError(f"{name} is a file of text. Open it in binary mode, or pass its path.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            return read_audio(path, sr, channel)[0]
        except OSError as error:
            raise OSError(str(error).replace(str(path), name)) from None


def _resample(y, rate, sr, name):
    if not PLAUSIBLE_SR[0] <= rate <= PLAUSIBLE_SR[1]:
        raise ValueError(
            f"{name} has a rate of {rate} Hz, but {PLAUSIBLE_SR[0]} to {PLAUSIBLE_SR[1]} Hz are plausible. Pass "
            "(sr, y), with sr in Hz."
        )
    if rate == sr:
        return y
    import soxr

    return soxr.resample(y.astype(np.float32), rate, sr, quality="HQ")


def _check_values(y, sr, name):
    """Return a recording as 1-D array of floats; ValueError if it is none, empty or holds NaN or infinity."""
    if y.ndim != 1:
        layout = ""
        if y.ndim == 2 and min(y.shape) > 1:
            axis = int(np.argmin(y.shape))
            layout = f" It looks like {y.shape[axis]} channels; mix them down with x.mean(axis={axis})."
        raise ValueError(f"{name} has shape {y.shape}, but a recording is one-dimensional, (n_timepoints,).{layout}")
    if y.dtype.kind not in "fiubO":
        raise ValueError(f"{name} has dtype {y.dtype}, which is no sound. Pass real numbers.")
    if y.dtype.kind != "f":
        try:
            y = y.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} has dtype {y.dtype}, which is no sound: {error}") from None
    if len(y) == 0:
        raise ValueError(f"{name} is empty: 0 timepoints, but at least 1 is needed. Leave it out.")
    faulty = ~np.isfinite(y)
    if faulty.any():
        first = int(np.argmax(faulty))
        raise ValueError(
            f"{name} contains NaN or infinity: {int(faulty.sum())} of {len(y)} values, the first at timepoint {first} "
            f"({first / sr:g} s). Replace them, e.g. with np.nan_to_num, or leave the recording out."
        )
    return y


class ArraySource:
    """A recording in memory with the interface of :class:`AudioFile`."""

    problems = ()

    def __init__(self, y):
        self._y, self._place = y, 0

    def read(self, n_timepoints):
        """Read the next ``n_timepoints``, fewer only at the end."""
        self._place += n_timepoints
        return self._y[self._place - n_timepoints : self._place]


def open_source(item, sr, name, channel=None):
    """Open a recording (path or array) as a context manager with ``read`` and ``problems``."""
    if isinstance(item, (str, os.PathLike)):
        return AudioFile(item, sr, channel)
    return contextlib.nullcontext(ArraySource(load_recording(item, sr, name, channel)))


def as_floating(x):
    """Scale 8-, 16- and 32-bit integers to [-1, 1], in float32; float16 becomes float32, everything else stays.

    64-bit integers have no full scale in audio and are not scaled; a warning says so if they exceed 1.
    """
    if hasattr(x, "columns") and hasattr(x, "dtypes"):
        dtypes = set(x.dtypes)
        if len(dtypes) == 1 and next(iter(dtypes)) in ("int8", "uint8", "int16", "int32"):
            return type(x)(as_floating(x.to_numpy()), columns=x.columns)
        return x
    dtype = getattr(x, "dtype", None)
    if not isinstance(dtype, np.dtype):
        return x
    if dtype.kind in "iu" and dtype.itemsize < 8:
        scale = 2.0 ** (8 * dtype.itemsize - 1)
        return (np.asarray(x, dtype=np.float64) / scale - (dtype.kind == "u")).astype(np.float32)
    if dtype.kind in "iu" and np.size(x) and np.max(x) > 1:
        warn(
            f"Audio in 64-bit integers (here up to {np.max(x)}) has no defined scale and is not scaled. Pass the "
            "16- or 32-bit integers of the recorder, or divide by their full scale, such as 32768."
        )
    return np.asarray(x, dtype=np.float32) if dtype == np.float16 else x


def name_of(item, number):
    """Name a recording in messages: its file, or its place in the list."""
    return Path(item).name if isinstance(item, (str, os.PathLike)) else f"recordings[{number}]"


def warn_of_rate(X, sr):
    """Warn if the lengths of arrays, which do not tell their rate, are whole seconds at 44100 Hz but not at ``sr``."""
    lengths = [len(one) for one in X if isinstance(one, np.ndarray) and one.ndim == 1]
    rates = [rate for rate in CD_RATES if lengths and all(n and n % rate == 0 for n in lengths)]
    if rates and any(n % sr for n in lengths):
        warn(
            f"Arrays do not tell their rate and are taken to have sr={sr} Hz, but their lengths (such as {lengths[0]}) "
            f"are whole seconds at {rates[0]} Hz. Pass the true rate: sr={rates[0]}, or ({rates[0]}, y) to resample."
        )


def file_names(paths, root=None):
    """Name files: their paths relative to ``root``, or to the deepest folder that holds all of them, with ``/``.

    Raises ValueError if a file is listed twice.
    """
    paths = [os.path.abspath(path) for path in paths]
    root = os.path.commonpath([os.path.dirname(path) for path in paths]) if root is None else os.path.abspath(root)
    names = [Path(path).relative_to(root).as_posix() for path in paths]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]} is listed twice. List each file once.")
    return names


def keys_of(X):
    """Return how tables call the recordings: files by name (if all are files), else by their places."""
    if len(X) and not hasattr(X, "shape") and all(isinstance(one, (str, os.PathLike)) for one in X):
        return file_names(X)
    return list(range(len(X)))


def in_order(values, X, name):
    """Return ``values``, one per recording of ``X``; a dict, or a Series indexed by files, is looked up by name.

    Files are called by their names, see :func:`keys_of`, or by their paths as given. Other Series are in the order of
    ``X``, as everywhere in scikit-learn.
    """
    if not isinstance(values, (Mapping, pd.Series)):
        return values
    entries = dict(values.items())
    if len(entries) < len(values):  # drawn with replacement
        return values
    if isinstance(values, pd.Series) and not any(isinstance(one, str) for one in entries):
        return values
    named = keys_of(X)
    paths = named if isinstance(named[0], int) else [os.fspath(path) for path in X]
    for keys in (named, paths):
        if all(key in entries for key in keys):
            return [entries[key] for key in keys]
    if isinstance(values, pd.Series):
        return values
    missing = next(key for key in named if key not in entries)
    raise ValueError(
        f"{name} is a dict, in which there is nothing for recording {missing!r:.80}. Its keys are "
        f"{[*entries][:3]!s:.80}. Name all recordings, or pass a list in their order."
    )


def as_recordings(X):
    """Return ``X`` as a list of recordings or a 2-D array of them; checks everything but the recordings themselves."""
    if isinstance(X, (str, bytes)) or hasattr(X, "__fspath__"):
        raise TypeError(f"X={str(X)!r} is one file, but X must be a list of recordings. Pass [{str(X)!r}].")
    if hasattr(X, "toarray"):
        raise TypeError("Sparse input is not supported: recordings are dense. Use X.toarray().")
    if has_rate(X) or isinstance(X, Mapping) or hasattr(X, "read"):
        raise TypeError(f"X is one recording, {type(X).__name__}, but X must be a list of recordings. Pass [X].")
    if hasattr(X, "__array__") and not hasattr(X, "shape"):
        X = np.asarray(X)
    # The words that scikit-learn's checks expect.
    expected = (
        "Expected 2D array (n_recordings, n_timepoints) or a list of recordings, got {}. Reshape your data: for a "
        "single recording pass a list of one 1-D array, [x]."
    )
    if getattr(X, "shape", None) == ():
        raise ValueError(expected.format("a single number"))
    if not hasattr(X, "__len__"):
        raise TypeError(f"X must be a list of recordings or a 2-D array of them, got {type(X).__name__}.")
    if len(X) == 0:
        raise ValueError("X holds no recording: found array with 0 sample(s), but a minimum of 1 is required.")
    shape = getattr(X, "shape", None)
    if shape is None or (len(shape) == 1 and np.asarray(X).dtype.kind in "OUS"):
        X = list(X)
        if all(isinstance(x, (list, tuple)) and not has_rate(x) for x in X) and len({len(x) for x in X}) == 1:
            return as_recordings(np.asarray(X))
        if all(isinstance(x, numbers.Number) for x in X[:10]):
            raise ValueError(expected.format("a list of numbers"))
        return X
    if len(shape) != 2:
        raise ValueError(expected.format(f"{len(shape)}D array of shape {tuple(shape)}"))
    check_clips(X)
    return X


def check_clips(X):
    """Refuse a 2-D array that looks like one recording with channels, not like clips."""
    shape: tuple = getattr(X, "shape", ())
    # At least half a second at the default rate, and at most 8 channels.
    if len(shape) == 2 and shape[1] <= 8 and shape[0] >= DEFAULT_SR // 2:
        raise ValueError(
            f"X has shape {tuple(shape)}: {shape[0]} clips of {shape[1]} timepoints. It looks like one recording of "
            f"{shape[1]} channels, channels last. Mix it down and pass one row: X.mean(axis=1)[np.newaxis]."
        )
