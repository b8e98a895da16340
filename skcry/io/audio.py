"""Read recordings: audio files by soundfile, arrays as they are, both checked, mono and floating point."""

import os
from pathlib import Path

import numpy as np


def read_audio(path, sr=16000):
    """Read an audio file as mono floats at one rate.

    Parameters
    ----------
    path : str or path-like
        Any format that libsndfile reads: WAV, FLAC, OGG, MP3 and more.
    sr : int or None, default=16000
        Rate in Hz to resample to (``soxr_hq``, as in librosa). None keeps the file's own.

    Returns
    -------
    y : ndarray of float32 of shape (n_timepoints,)
        Mean over the channels, in [-1, 1].
    sr : int
        Sampling rate in Hz.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If the file cannot be read as audio.
    """
    import soundfile

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file. Check the path.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not an audio file. List the files in it.")
    try:
        y, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise OSError(
            f"{path} cannot be read as audio ({error}). Copy it again, or convert it to WAV or FLAC."
        ) from None
    y = y.mean(axis=1)
    if sr is not None and rate != sr and len(y):
        import librosa

        y = librosa.resample(y, orig_sr=rate, target_sr=sr, res_type="soxr_hq")
    return y, sr or rate


def load_recording(item, sr, name):
    """Bring one recording (path or 1-D array) into checked floats at the rate ``sr``."""
    y = read_audio(item, sr)[0] if isinstance(item, (str, os.PathLike)) else as_floating(np.asarray(item))
    if y.ndim != 1:
        layout = ""
        if y.ndim == 2:
            axis = int(np.argmin(y.shape))
            layout = f" It looks like {y.shape[axis]} channels; mix them down with x.mean(axis={axis})."
        raise ValueError(f"{name} has shape {y.shape}, but a recording is one-dimensional, (n_timepoints,).{layout}")
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


def as_floating(x):
    """Scale integer PCM to [-1, 1], in float32; leave everything else as it is.

    8-, 16- and 32-bit integers are what audio files and recorders give. 64-bit integers have no scale that audio
    defines and pass as plain numbers.
    """
    dtype = getattr(x, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "iu" and dtype.itemsize < 8:
        scale = 2.0 ** (8 * dtype.itemsize - 1)
        return (np.asarray(x, dtype=np.float64) / scale - (dtype.kind == "u")).astype(np.float32)
    if isinstance(dtype, np.dtype) and dtype == np.float16:
        return np.asarray(x, dtype=np.float32)
    return x


def name_of(item, number):
    """Name a recording for messages: by its file, or by its place in the list."""
    return Path(item).name if isinstance(item, (str, os.PathLike)) else f"recordings[{number}]"
