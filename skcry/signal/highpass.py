"""High-pass filter that removes sound below the voice of an infant."""

from __future__ import annotations

import numbers
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy import signal
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval
from .._transformer import SoundTransformer, apply
from ..windows import Windows

BLOCK_LENGTH = 2**22  # timepoints filtered at a time: 32 MiB in float64


def highpass(y, sos):
    """Filter sound (..., n_timepoints) in blocks; an offset at the start makes no click."""
    out = np.empty_like(y)
    sos = np.array(sos)  # scipy needs a writable array; memory maps of joblib are read-only
    state = signal.sosfilt_zi(sos)
    state = state.reshape(len(sos), *[1] * (y.ndim - 1), 2) * y[..., :1].astype(np.float64)[np.newaxis]
    for start in range(0, y.shape[-1], BLOCK_LENGTH):
        block = np.s_[..., start : start + BLOCK_LENGTH]
        # In float64: ten poles close to the unit circle are inaccurate in float32.
        out[block], state = signal.sosfilt(sos, y[block].astype(np.float64), zi=state)
    return out


class HighPassFilter(OneToOneFeatureMixin, SoundTransformer):
    """Remove low frequencies by a Butterworth filter, once per recording.

    Sound below the voice of an infant, such as traffic, steps and the hum of machines, is often louder than a cry.

    Parameters
    ----------
    cutoff : float, default=350.0
        Frequency in Hz with an attenuation of 3 dB. The mean fundamental of infant cries is above 400 Hz (Yao et al.,
        2022), so 350 Hz keeps cries and attenuates traffic, steps and most of adult voices.
    order : int, default=10
        Order of the filter. The slope is ``6 * order`` dB per octave.
    sr : int or None, default=None
        Sampling rate in Hz. None takes the rate of the windows, and 16000 for bare arrays.

    Attributes
    ----------
    sos_ : ndarray of shape (n_sections, 6)
        Second-order sections of the filter.
    sr_ : int
        Sampling rate in Hz.
    n_features_in_ : int
        Number of timepoints in a window.

    See Also
    --------
    Denoise : Reduces steady noise at all frequencies.
    MelSpectrogram : Leaves out low frequencies by its ``fmin``.

    Notes
    -----
    The filter is causal. A window in a recording differs from the same sound as a clip during the transient of the
    filter, 20 ms by default.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import HighPassFilter
    >>> t = np.arange(16000) / 16000
    >>> X = np.sin(2 * np.pi * np.array([[175.0], [700.0]]) * t)
    >>> HighPassFilter().fit_transform(X)[:, 4000:].std(axis=1).round(3)
    array([0.001, 0.707])
    """

    __module__ = "skcry"
    _parameter_constraints = {
        "cutoff": [Interval(numbers.Real, 0, None, closed="neither")],
        "order": [Interval(numbers.Integral, 1, None, closed="left")],
        "sr": [Interval(numbers.Integral, 1, None, closed="left"), None],
    }

    def __init__(self, cutoff: float = 350.0, order: int = 10, *, sr: int | None = None) -> None:
        self.cutoff = cutoff
        self.order = order
        self.sr = sr

    def _set_up(self, X):
        if self.cutoff >= self.sr_ / 2:
            raise ValueError(
                f"cutoff={self.cutoff} Hz must be below the Nyquist frequency sr / 2 = {self.sr_ / 2} Hz. Lower cutoff "
                "or pass the true sr."
            )
        self.sos_ = signal.butter(self.order, self.cutoff, btype="highpass", fs=self.sr_, output="sos")
        try:
            peak = np.abs(highpass(np.eye(1, self.sr_, 1), self.sos_)).max()
        except np.linalg.LinAlgError:
            peak = np.inf
        if not peak < 2:  # a stable filter keeps a click below 1
            raise ValueError(
                f"A filter with order={self.order} and cutoff={self.cutoff} Hz at sr={self.sr_} Hz is unstable in "
                "floating point. Lower the order or raise the cutoff."
            )

    def transform(self, X: Windows | ArrayLike) -> Windows | np.ndarray:
        """Filter each recording.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_timepoints)
            Sound.

        Returns
        -------
        Windows or ndarray of shape (n_windows, n_timepoints)
            Of the type and dtype of ``X``.
        """
        check_is_fitted(self)
        X = self._validate_sound(X, reset=False)
        return apply(X, partial(highpass, sos=self.sos_))
