"""Mel spectrograms in decibels, computed once per recording and scaled per window."""

from __future__ import annotations

import numbers
from functools import partial
from typing import Literal

import numpy as np
import scipy.fft
import scipy.signal
import scipy.sparse
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, StrOptions
from .._transformer import SoundTransformer, apply
from ..windows import Windows

BLOCK_FRAMES = 256  # frames transformed at a time: 3 MiB by default, which fit the cache
AMIN = 1e-18  # smallest power; the 1e-10 of librosa would clip quiet parts of quiet recordings


def mel_decibels(y, *, mel_basis, n_fft, hop_length, ref_db=0.0):
    """Return mel power in dB of whole frames, (..., n_mels, n_frames), 0 at ``ref_db`` dB re 1.

    Short sound is padded with zeros.
    """
    missing = max(0, n_fft - y.shape[-1])
    if missing:
        y = np.pad(y, [(0, 0)] * (y.ndim - 1) + [(0, missing)])
    frames = np.lib.stride_tricks.sliding_window_view(y, n_fft, axis=-1)[..., ::hop_length, :]
    n_frames = frames.shape[-2]
    taper = scipy.signal.get_window("hann", n_fft).astype(y.dtype)
    bank = scipy.sparse.csr_array(mel_basis)  # a bin lies in at most two bands
    out = np.empty((*y.shape[:-1], len(mel_basis), n_frames), dtype=y.dtype)
    for place in np.ndindex(y.shape[:-1]):
        for first in range(0, n_frames, BLOCK_FRAMES):
            block = np.s_[first : first + BLOCK_FRAMES]
            spectrum = scipy.fft.rfft(frames[place][block] * taper, axis=1)
            power = bank @ (spectrum.real**2 + spectrum.imag**2).T
            np.maximum(power, AMIN, out=power)
            np.log10(power, out=power)
            np.multiply(power, 10, out=out[(*place, slice(None), block)])
    if ref_db:
        out -= y.dtype.type(ref_db)
    return out


def scale_decibels(X, *, relative, top_db):
    """Set 0 dB of windows (n_windows, n_mels, n_frames) to their maximum, if relative, and clip them, in place."""
    flat = X.reshape(len(X), -1)  # numpy is faster on long rows
    if relative:
        flat -= flat.max(axis=1, keepdims=True)
    if top_db is not None:
        least = -X.dtype.type(top_db)
        np.maximum(flat, least if relative else flat.max(axis=1, keepdims=True) + least, out=flat)
    return X


class MelSpectrogram(ClassNamePrefixFeaturesOutMixin, SoundTransformer):
    """Turn each window into a mel-scaled spectrogram in decibels.

    Mel bands are narrow at low and wide at high frequencies, as in hearing. The networks of this package take the
    result as an image. For overlapping :class:`Windows` each frame is computed once per recording.

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
        Power of 0 dB. "window" is the maximum of each window, so that values do not depend on the gain of the recorder
        or on other windows. With a number and ``top_db=None``, values do not depend on the window, and overlapping
        windows also share the convolutions of :class:`AlexNetClassifier`.
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
    FrameCNNClassifier : Classifies spectrograms by a network that learns frame by frame.
    AlexNetClassifier : Classifies spectrograms by the published network.
    StatFeatures : Computes statistics instead of a spectrogram.

    Notes
    -----
    Frames lie inside their window (``center=False`` in librosa), so a window has the same spectrogram alone and in its
    recording. The published shape comes from ``Windower(sr=22050)`` with ``MelSpectrogram(n_fft=980, hop_length=490)``:
    225 bands x 224 frames, for which :class:`AlexNet` has as many hidden values as for 225 x 225.

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

    def _set_up(self, X):
        import librosa

        fmax = self.sr_ / 2 if self.fmax is None else self.fmax
        if not self.fmin < fmax <= self.sr_ / 2:
            raise ValueError(
                f"fmin={self.fmin} Hz < fmax={fmax} Hz <= sr / 2 = {self.sr_ / 2} Hz must hold. Change fmin or fmax, "
                "or pass the true sr."
            )
        self.mel_basis_ = librosa.filters.mel(
            sr=self.sr_, n_fft=self.n_fft, n_mels=self.n_mels, fmin=self.fmin, fmax=fmax
        )
        self._n_features_out = self.n_mels
        self.n_frames_ = 1 + max(0, X.shape[1] - self.n_fft) // self.hop_length

    def transform(self, X: Windows | ArrayLike) -> Windows | np.ndarray:
        """Compute the spectrogram of each recording, or clip by clip.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_timepoints)
            Sound.

        Returns
        -------
        Windows or ndarray of shape (n_windows, n_mels, n_frames)
            Decibels, in the dtype of ``X``. ``Windows`` give ``Windows``, which share frames without copies.
        """
        check_is_fitted(self)
        X = self._validate_sound(X, reset=False)
        relative = self.ref == "window"
        function = partial(
            mel_decibels,
            mel_basis=self.mel_basis_.astype(X.dtype),
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            ref_db=0.0 if relative else 10 * np.log10(self.ref),
        )
        spectrogram = apply(X, function, frame_length=self.n_fft, hop_length=self.hop_length)
        if not relative and self.top_db is None:
            return spectrogram  # without a function for each window, so that networks can share convolutions
        scale = partial(scale_decibels, relative=relative, top_db=self.top_db)
        return spectrogram.each(scale) if isinstance(X, Windows) else scale(spectrogram)
