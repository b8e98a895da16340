"""Read recordings: audio files in blocks by soundfile, arrays as they are, both checked, mono and floating point."""

from __future__ import annotations

import contextlib
import numbers
import os
import re
from pathlib import Path

import numpy as np

from .._typing import PathLike
from .._warnings import warn

DEFAULT_SR = 16000  # what the field's worn recorders give; resampling up adds nothing
READ_LENGTH = 2**14  # frames decoded at a time; what a FLAC file loses at most where it breaks off
PLAUSIBLE_SR = (1000, 1_000_000)  # Hz; beyond that a header is wrong, and resampling would never end
SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
UNREAD_SHARE = 0.5  # of a file of plain samples; markers and notes of recorders are short
LOWEST_SR = 8000  # keeps the 4000 Hz up to which cries are looked for
LOUDEST = 1e12  # of floats, where full scale is 1 or, in some files, 2 ** 31; more, and filters overflow
CLIPPED_SHARE = 0.01  # of all values; loud cries close to the recorder clip now and then
FULL_SCALE = 0.999


class AudioFile:
    """An audio file, read from start to end in blocks of mono floats at one rate.

    Parameters
    ----------
    path : str or path-like
        Any format that libsndfile reads.
    sr : int or None, default=16000
        Rate in Hz to resample to, block by block (soxr, whose result does not depend on the blocks). None keeps the
        file's own.
    channel : int or None, default=None
        Channel to read, counted from 0. None mixes all of them down.

    Attributes
    ----------
    sr : int
        Rate in Hz of what :meth:`read` gives.
    duration : float
        Length in seconds that the file announces.
    problems : list of str
        What is wrong with the file, though it can be read: complete when :meth:`read` has reached the end.

    Raises
    ------
    OSError
        If the file is missing, a folder, no audio, or without any sound.
    ValueError
        If there is no such channel.
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
        self.duration = self._file.frames / self._file.samplerate
        self._resampler = None
        if self.sr != self._file.samplerate:
            import soxr

            self._resampler = soxr.ResampleStream(self._file.samplerate, self.sr, 1, dtype="float32", quality="HQ")
        self._waiting = np.empty(0, dtype=np.float32)
        self._n_read, self._at_end = 0, False
        self._peak, self._n_clipped = np.zeros(self._file.channels), 0

    def _check_header(self, path):
        file, n_bytes = self._file, path.stat().st_size
        if self.channel is not None and not 0 <= self.channel < file.channels:
            raise ValueError(
                f"channel={self.channel} must be from 0 to {file.channels - 1}: {self.name} has {file.channels} "
                f"channel{'' if file.channels == 1 else 's'}. Choose one of them, or None to mix them down."
            )
        self._announced = _announced_bytes(file.extra_info)
        if file.frames == 0:
            announced = f"its header announces {self._announced[0]}" if self._announced else "its header announces 0"
            raise OSError(
                f"{path}: 0 bytes of audio ({announced}, the file has {n_bytes} in all). The file looks truncated, or "
                "its header was never finished; copy it again, or repair it with the recorder's software."
            )
        if not PLAUSIBLE_SR[0] <= file.samplerate <= PLAUSIBLE_SR[1]:
            raise OSError(
                f"{path}: the header says that it is sampled at {file.samplerate} Hz, but {PLAUSIBLE_SR[0]} to "
                f"{PLAUSIBLE_SR[1]} Hz are plausible. Repair it with the recorder's software, or leave it out."
            )
        n_read = file.frames * file.channels * SAMPLE_BYTES.get(file.subtype, np.inf)
        if n_bytes - n_read > max(UNREAD_SHARE * n_bytes, 2**16):
            self.problems.append(
                f"{self.name} holds {n_bytes} bytes, but its header announces sound in {n_read} of them only "
                f"({file.frames / file.samplerate:.1f} s), and no more is read. Repair the header, if that is wrong."
            )
        if file.samplerate < LOWEST_SR:
            self.problems.append(
                f"{self.name} is sampled at {file.samplerate} Hz, so nothing above {file.samplerate // 2} Hz is left of"
                f" its sound, while cries are looked for up to {LOWEST_SR // 2} Hz. Record at {LOWEST_SR} Hz or more."
            )

    def read(self, n_timepoints):
        """Read on.

        Parameters
        ----------
        n_timepoints : int
            How much to read, at the rate ``sr``.

        Returns
        -------
        ndarray of float32 of shape (n_timepoints,)
            In [-1, 1]; shorter only at the end of the file.

        Raises
        ------
        OSError
            If the file cannot be decoded from its very start.
        ValueError
            If it holds NaN or infinity, or values above 1e12.
        """
        parts, total = [self._waiting], len(self._waiting)
        while total < n_timepoints and not self._at_end:
            parts.append(self._decode())
            total += len(parts[-1])
        sound = np.concatenate(parts)
        self._waiting = sound[n_timepoints:].copy()
        return sound[:n_timepoints]

    def _decode(self):
        """Decode the next frames, mix them down and resample them."""
        import soundfile

        try:
            y = self._file.read(READ_LENGTH, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            if self._n_read == 0:
                raise OSError(_unreadable(self._file.name, error)) from None
            y = np.empty((0, self._file.channels), dtype=np.float32)
        self._at_end = len(y) == 0
        fine = np.abs(y) <= LOUDEST
        if not fine.all():
            first = (self._n_read + int(np.argmin(fine.all(axis=1)))) / self._file.samplerate
            what = f"values above {LOUDEST:g}, where full scale is 1" if np.isfinite(y).all() else "NaN or infinity"
            raise ValueError(
                f"{self.name} contains {what}, the first at {first:g} s. Repair the file, or leave it out."
            )
        self._n_read += len(y)
        if self._at_end:
            self._look_back()
        else:
            loud = np.abs(y)
            self._peak = np.maximum(self._peak, loud.max(axis=0))
            self._n_clipped += int(np.count_nonzero(loud >= FULL_SCALE))
        y = y.mean(axis=1) if self.channel is None else np.ascontiguousarray(y[:, self.channel])
        return y if self._resampler is None else self._resampler.resample_chunk(y, last=self._at_end)

    def _look_back(self):
        """Say what was wrong, now that everything has been read."""
        file, name = self._file, self.name
        seconds, announced = self._n_read / file.samplerate, file.frames / file.samplerate
        if self._announced:
            announced *= self._announced[0] / max(1, self._announced[1])
        if self._n_read < file.frames or self._announced:
            self.problems.append(
                f"{name} breaks off: its header announces {announced:.1f} s, but only {seconds:.1f} s could be read. "
                "What there is was used; copy the file again for the rest."
            )
        elif "lacks an end-of-stream" in file.extra_info:
            self.problems.append(
                f"{name} breaks off after {seconds:.1f} s, without an end mark. What there is was used; copy the file "
                "again for the rest."
            )
        if not self._peak.any():
            self.problems.append(f"{name} holds digital silence only. Check the recorder.")
            return
        dead = np.flatnonzero(self._peak == 0)
        if len(dead) and self.channel is None:
            alive = int(np.argmax(self._peak))
            self.problems.append(
                f"{name}: channel {dead[0]} of {file.channels} is silent throughout, and mixing down lowers the level. "
                f"Pass channel={alive} to read the other alone."
            )
        elif self.channel in dead:
            self.problems.append(f"{name}: channel {self.channel} is silent throughout. Choose another.")
        share = self._n_clipped / (self._n_read * file.channels)
        if share >= CLIPPED_SHARE and file.subtype not in ("FLOAT", "DOUBLE"):
            self.problems.append(
                f"{name} is clipped: {share:.0%} of its values are at full scale. Lower the recorder's gain."
            )

    def close(self):
        """Close the file."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _unreadable(path, error):
    return f"{path} cannot be read as audio ({error}). Copy it again, or convert it to WAV or FLAC."


def _open(path):
    import soundfile

    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file. Check the path.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not an audio file. List the files in it.")
    if not path.is_file():
        raise OSError(f"{path} is a pipe or a device, not a file. Record it to a file first.")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{path}: no permission to read it. Change that, or run as a user who has it.")
    if path.stat().st_size == 0:
        raise OSError(f"{path} is empty: 0 bytes. Copy it again, or leave it out.")
    try:
        return soundfile.SoundFile(path)
    except (soundfile.SoundFileError, TypeError) as error:  # it asks for the rate of what is called .raw
        raise OSError(_unreadable(path, error)) from None


def _announced_bytes(log):
    """Find in libsndfile's log how many bytes of audio the header announces and how many there are, if they differ.

    The log says, for one: ``data : 320000 (should be 159979)``. Writers that cannot know the length yet announce the
    largest number there is; that is no lie.
    """
    found = re.search(r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", log, re.M)
    if found is None:
        found = re.search(r"^riff : (\d+) \(should be (\d+)\)", log, re.M)  # Wave64 tells it of the whole file only
    if found is None:
        frames = re.search(r"frame count (\d+) does not match value from 'ds64' chunk of (\d+)", log)
        return (int(frames[2]), int(frames[1])) if frames else None
    announced, there = int(found[1]), int(found[2])
    return (announced, there) if there < announced < 2**32 - 2**16 or announced > 2**32 else None


def read_audio(path: PathLike, sr: int | None = DEFAULT_SR, channel: int | None = None) -> tuple[np.ndarray, int]:
    """Read an audio file as mono floats at one rate.

    Parameters
    ----------
    path : str or path-like
        Any format that libsndfile reads: WAV, FLAC, OGG, MP3 and more.
    sr : int or None, default=16000
        Rate in Hz to resample to (soxr, high quality, as in librosa). None keeps the file's own.
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
        If there is no such file.
    OSError
        If the file cannot be read as audio.
    ValueError
        If there is no such channel, or the file holds NaN or infinity, or values above 1e12.

    Warns
    -----
    UserWarning
        If the file breaks off before its announced end (what there is, is returned), holds digital silence only, has a
        silent channel, is clipped, or is sampled below 8000 Hz.
    """
    with AudioFile(path, sr, channel) as file:
        parts: list = []
        while not parts or len(parts[-1]):
            parts.append(file.read(READ_LENGTH))
        for problem in file.problems:
            warn(problem)
        return np.concatenate(parts), file.sr


def load_recording(item, sr, name, channel=None):
    """Bring one recording (path or 1-D array) into checked floats at the rate ``sr``."""
    y = read_audio(item, sr, channel)[0] if isinstance(item, (str, os.PathLike)) else as_floating(np.asarray(item))
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
            f"({first / sr:g} s). Repair them, say with np.nan_to_num, or leave the recording out."
        )
    return y


class ArraySource:
    """Read a recording in memory as :class:`AudioFile` reads one on disk."""

    problems = ()

    def __init__(self, y):
        self._y, self._place = y, 0

    def read(self, n_timepoints):
        """Read on; less than asked for only at the end."""
        self._place += n_timepoints
        return self._y[self._place - n_timepoints : self._place]


def open_source(item, sr, name, channel=None):
    """Open a recording, path or array, as a context manager whose result has ``read`` and ``problems``."""
    if isinstance(item, (str, os.PathLike)):
        return AudioFile(item, sr, channel)
    return contextlib.nullcontext(ArraySource(load_recording(item, sr, name)))


def as_floating(x):
    """Scale integer PCM to [-1, 1], in float32; leave everything else as it is.

    8-, 16- and 32-bit integers are what audio files and recorders give. 64-bit integers have no scale that audio
    defines and pass as plain numbers, with a warning where they are loud.
    """
    if hasattr(x, "columns") and hasattr(x, "dtypes"):
        dtypes = set(x.dtypes)
        if len(dtypes) == 1 and next(iter(dtypes)) in ("int8", "uint8", "int16", "int32"):
            return type(x)(as_floating(x.to_numpy()), columns=x.columns)
        return x
    dtype = getattr(x, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "iu" and dtype.itemsize == 8 and np.size(x) and np.max(x) > 1:
        warn(
            f"Audio in 64-bit integers (here up to {np.max(x)}) has no defined scale and is taken as it is. Pass the "
            "16- or 32-bit integers of the recorder, or divide by their full scale, such as 32768."
        )
    if isinstance(dtype, np.dtype) and dtype.kind in "iu" and dtype.itemsize < 8:
        scale = 2.0 ** (8 * dtype.itemsize - 1)
        return (np.asarray(x, dtype=np.float64) / scale - (dtype.kind == "u")).astype(np.float32)
    if isinstance(dtype, np.dtype) and dtype == np.float16:
        return np.asarray(x, dtype=np.float32)
    return x


def name_of(item, number):
    """Name a recording for messages: by its file, or by its place in the list."""
    return Path(item).name if isinstance(item, (str, os.PathLike)) else f"recordings[{number}]"


def as_recordings(X):
    """Return ``X`` as a list of recordings or a 2-D table of them, checked as far as that goes without reading any."""
    if isinstance(X, (str, bytes)) or hasattr(X, "__fspath__"):
        raise TypeError(f"X={str(X)!r} is one file. Recordings come as a list: pass [{str(X)!r}].")
    if hasattr(X, "toarray"):
        raise TypeError("Sparse input is not supported: recordings are dense. Use X.toarray().")
    if hasattr(X, "__array__") and not hasattr(X, "shape"):
        X = np.asarray(X)
    if getattr(X, "shape", None) == ():
        raise ValueError("Expected 2D array or a list of recordings, got a single number. Reshape your data.")
    if not hasattr(X, "__len__"):
        raise TypeError(f"X must be a list of recordings or a 2-D array of them, got {type(X).__name__}.")
    if len(X) == 0:
        raise ValueError("X holds no recording: found array with 0 sample(s), but a minimum of 1 is required.")
    shape = getattr(X, "shape", None)
    if shape is None or (len(shape) == 1 and np.asarray(X).dtype.kind in "OUS"):
        X = list(X)
        if all(isinstance(x, (list, tuple)) for x in X) and len({len(x) for x in X}) == 1:
            return as_recordings(np.asarray(X))
        if all(isinstance(x, numbers.Number) for x in X[:10]):
            raise ValueError(
                "Expected 2D array or a list of recordings, got a list of numbers. Reshape your data: for a single "
                "recording pass a list of one 1-D array, [x]."
            )
        return X
    if len(shape) != 2:
        raise ValueError(
            f"Expected 2D array of shape (n_recordings, n_timepoints), got {len(shape)}D array of shape "
            f"{tuple(shape)}. Reshape your data: for a single recording pass a list of one 1-D array, [x]."
        )
    check_clips(X)
    return X


def check_clips(X):
    """Refuse a 2-D array that is one stereo recording rather than many clips."""
    shape: tuple = getattr(X, "shape", ())
    # Half a second at the default rate is no plausible number of clips of eight timepoints or fewer.
    if len(shape) == 2 and shape[1] <= 8 and shape[0] >= DEFAULT_SR // 2:
        raise ValueError(
            f"X has shape {tuple(shape)}: {shape[0]} clips of {shape[1]} timepoints. It looks like one recording of "
            f"{shape[1]} channels, channels last. Mix it down and pass one row: X.mean(axis=1)[np.newaxis]."
        )
