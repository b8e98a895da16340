"""Read recordings: audio files by soundfile, arrays as they are, both checked, mono and floating point."""

import numbers
import os
import warnings
from pathlib import Path

import numpy as np

DEFAULT_SR = 16000  # what the field's worn recorders give; resampling up adds nothing


def read_audio(path, sr=DEFAULT_SR):
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
        warnings.warn(
            f"Audio in 64-bit integers (here up to {np.max(x)}) has no defined scale and is taken as it is. Pass the "
            "16- or 32-bit integers of the recorder, or divide by their full scale, such as 32768.",
            stacklevel=2,
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
    shape = getattr(X, "shape", ())
    # Half a second at the default rate is no plausible number of clips of eight timepoints or fewer.
    if len(shape) == 2 and shape[1] <= 8 and shape[0] >= DEFAULT_SR // 2:
        raise ValueError(
            f"X has shape {tuple(shape)}: {shape[0]} clips of {shape[1]} timepoints. It looks like one recording of "
            f"{shape[1]} channels, channels last. Mix it down and pass one row: X.mean(axis=1)[np.newaxis]."
        )
