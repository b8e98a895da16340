"""Mel spectrograms in decibels, computed once per recording and scaled per window."""

from __future__ import annotations

import numbers
from functools import partial
from typing import Literal, Self

import numpy as np
import scipy.fft
import scipy.signal
import scipy.sparse
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, StrOptions, fit_context
from .._transformer import SoundTransformer, apply
from ..windows import Windows

BLOCK_FRAMES = 256  # frames transformed at a time: some 3 MiB at the default setting, near the processor
# Least power. librosa's 1e-10 would cut the quiet parts of quiet recordings before their level is known.
AMIN = 1e-18


def mel_decibels(y, *, mel_basis, n_fft, hop_length):
    """Mel power in dB re 1 of frames that lie wholly inside the sound.

    Parameters
    ----------
    y : ndarray of shape (..., n_timepoints)
        Sound; shorter than a frame, it is completed with zeros.
    mel_basis : ndarray of shape (n_mels, 1 + n_fft // 2)
        Mel weights.
    n_fft, hop_length : int
        Length of a frame and step between frames, in timepoints.

    Returns
    -------
    ndarray of shape (..., n_mels, n_frames)
        ``n_frames = max(1, 1 + (n_timepoints - n_fft) // hop_length)``.
    """
    missing = max(0, n_fft - y.shape[-1])
    if missing:
        y = np.pad(y, [(0, 0)] * (y.ndim - 1) + [(0, missing)])
    frames = np.lib.stride_tricks.sliding_window_view(y, n_fft, axis=-1)[..., ::hop_length, :]
    n_frames = frames.shape[-2]
    taper = scipy.signal.get_window("hann", n_fft).astype(y.dtype)
    bank = scipy.sparse.csr_array(mel_basis)  # a bin lies in two bands at most
    out = np.empty((*y.shape[:-1], len(mel_basis), n_frames), dtype=y.dtype)
    for place in np.ndindex(y.shape[:-1]):
        for first in range(0, n_frames, BLOCK_FRAMES):
            block = np.s_[first : first + BLOCK_FRAMES]
            spectrum = scipy.fft.rfft(frames[place][block] * taper, axis=1)
            power = bank @ (spectrum.real**2 + spectrum.imag**2).T
            np.maximum(power, AMIN, out=power)
            np.log10(power, out=power)
            np.multiply(power, 10, out=out[(*place, slice(None), block)])
    return out


def scale_decibels(X, *, ref_db, top_db):
    """Refer windows (n_windows, n_mels, n_frames), in place, to a level or each to its maximum; clip their range.

    Parameters
    ----------
    X : ndarray of shape (n_windows, n_mels, n_frames)
        Decibels, contiguous in memory.
    ref_db : float or None
        Level that becomes 0 dB. None means the maximum of each window.
    top_db : float or None
        Each window is clipped so far below its maximum. None clips nothing.

    Returns
    -------
    ndarray of shape (n_windows, n_mels, n_frames)
        ``X``.
    """
    flat = X.reshape(len(X), -1)  # long rows: numpy works through them at once
    flat -= flat.max(axis=1, keepdims=True) if ref_db is None else X.dtype.type(ref_db)
    if top_db is not None:
        least = -X.dtype.type(top_db)
        np.maximum(flat, least if ref_db is None else flat.max(axis=1, keepdims=True) + least, out=flat)
    return X


class MelSpectrogram(ClassNamePrefixFeaturesOutMixin, SoundTransformer):
    """Turn each window into a mel-scaled spectrogram in decibels.

    Bands are narrow where the ear is fine and wide above, and decibels grow with the logarithm of power: what the
    networks here take as an image. From :class:`Windows`, whose frames overlap, each frame is computed once.

    Parameters
    ----------
    n_fft : int, default=1024
        Length of a frame in timepoints (64 ms at 16 kHz).
    hop_length : int, default=400
        Step between frames in timepoints (25 ms at 16 kHz).
    n_mels : int, default=225
        Number of mel bands, as published for this task (Yao et al., 2022).
    fmin : float, default=0.0
        Lower edge of the mel bank in Hz.
    fmax : float or None, default=None
        Upper edge of the mel bank in Hz. None means ``sr / 2``.
    top_db : float or None, default=80.0
        Values further than this below the maximum of their window are clipped. None clips nothing.
    ref : "window" or float, default="window"
        Power that becomes 0 dB: the maximum of each window, so that a value depends neither on the recorder's gain nor
        on the rest of the day; or a fixed power.
    sr : int or None, default=None
        Sampling rate in Hz. None takes the rate of the windows, and 16000 for bare arrays.

    Attributes
    ----------
    mel_basis_ : ndarray of shape (n_mels, 1 + n_fft // 2)
        Mel weights built in ``fit``.
    n_frames_ : int
        Number of frames of a window.
    sr_ : int
        Sampling rate in Hz.
    n_features_in_ : int
        Number of timepoints in a window.

    See Also
    --------
    FrameCNNClassifier : Classifies spectrograms, having learned frame by frame.
    AlexNetClassifier : Classifies spectrograms with the published network.
    StatFeatures : Describes a window in numbers instead.

    Notes
    -----
    Frames lie wholly inside their window (``center=False`` in librosa's words), so a window has the same spectrogram
    alone and inside its recording. The published geometry is ``Windower(sr=22050)`` with ``MelSpectrogram(n_fft=980,
    hop_length=490)``: 225 bands x 224 frames, from which :class:`AlexNet` makes the same 256 values as from 225 x 225.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import MelSpectrogram
    >>> X = np.random.default_rng(0).normal(size=(2, 5 * 16000))
    >>> MelSpectrogram().fit_transform(X).shape
    (2, 225, 198)
    """

    __module__ = "skcry"
    _parameter_constraints = {
        "n_fft": [Interval(numbers.Integral, 1, None, closed="left")],
        "hop_length": [Interval(numbers.Integral, 1, None, closed="left")],
        "n_mels": [Interval(numbers.Integral, 1, None, closed="left")],
        "fmin": [Interval(numbers.Real, 0, None, closed="left")],
        "fmax": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "top_db": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "ref": [Interval(numbers.Real, 0, None, closed="neither"), StrOptions({"window"})],
        "sr": [Interval(numbers.Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        n_fft: int = 1024,
        hop_length: int = 400,
        n_mels: int = 225,
        *,
        fmin: float = 0.0,
        fmax: float | None = None,
        top_db: float | None = 80.0,
        ref: Literal["window"] | float = "window",
        sr: int | None = None,
    ) -> None:
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
        self.ref = ref
        self.sr = sr

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Windows | ArrayLike, y: object = None) -> Self:
        """Build the mel bank for the rate of ``X``.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_timepoints)
            Sound.
        y : None
            Ignored.

        Returns
        -------
        MelSpectrogram
            Itself, fitted.

        Raises
        ------
        ValueError
            If the band edges do not fit the rate.
        """
        import librosa

        X = self._validate_sound(X, reset=True)
        fmax = self.sr_ / 2 if self.fmax is None else self.fmax
        if not self.fmin < fmax <= self.sr_ / 2:
            raise ValueError(
                f"fmin={self.fmin} Hz < fmax={fmax} Hz <= sr / 2 = {self.sr_ / 2} Hz must hold. Move the band edges or "
                "pass the true sr."
            )
        self.mel_basis_ = librosa.filters.mel(
            sr=self.sr_, n_fft=self.n_fft, n_mels=self.n_mels, fmin=self.fmin, fmax=fmax
        )
        self._n_features_out = self.n_mels
        self.n_frames_ = 1 + max(0, X.shape[1] - self.n_fft) // self.hop_length
        return self

    def transform(self, X: Windows | ArrayLike) -> Windows | np.ndarray:
        """Compute the spectrogram of each recording, or clip by clip.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_timepoints)
            Sound.

        Returns
        -------
        Windows or ndarray of shape (n_windows, n_mels, n_frames)
            Decibels, in the dtype of ``X``. From ``Windows`` come ``Windows``, which share their frames and hold no
            copy per window.
        """
        check_is_fitted(self)
        X = self._validate_sound(X, reset=False)
        function = partial(
            mel_decibels, mel_basis=self.mel_basis_.astype(X.dtype), n_fft=self.n_fft, hop_length=self.hop_length
        )
        spectrogram = apply(X, function, frame_length=self.n_fft, hop_length=self.hop_length)
        ref_db = None if self.ref == "window" else 10 * np.log10(self.ref)
        scale = partial(scale_decibels, ref_db=ref_db, top_db=self.top_db)
        return spectrogram.each(scale) if isinstance(X, Windows) else scale(spectrogram)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
