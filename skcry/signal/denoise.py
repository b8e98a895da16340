"""Noise reduction by the spectral gate of noisereduce, chunk by chunk, in bounded memory."""

from __future__ import annotations

import numbers

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval
from .._transformer import SoundTransformer, apply
from ..windows import Windows

# noisereduce's own defaults, in timepoints: length of a chunk, and context on both sides of it.
CHUNK_SIZE = 600_000
PADDING = 30_000


class Denoise(OneToOneFeatureMixin, SoundTransformer):
    """Reduce steady noise by spectral gating, once per recording.

    Attenuates time-frequency bins that do not exceed the estimated noise floor, with the spectral gate of noisereduce
    [1]_. This removes fans and rain, and may remove faint crying too; networks can learn to ignore noise. Check that
    it improves your results before you use it.

    Parameters
    ----------
    stationary : bool, default=False
        Whether the noise floor is constant within each chunk of 600000 timepoints (37.5 s at 16 kHz), or follows the
        recording.
    prop_decrease : float, default=1.0
        Share of the noise to remove, from 0 to 1.
    time_constant_s : float, default=2.0
        Time constant in seconds of the noise floor, if not stationary.
    freq_mask_smooth_hz : float or None, default=500
        Width in Hz over which the gate is smoothed. None does not smooth along frequency.
    time_mask_smooth_ms : float or None, default=50
        Time in milliseconds over which the gate is smoothed. None does not smooth along time.
    thresh_n_mult_nonstationary : float, default=2
        The gate opens at this multiple of the noise floor above it, if not stationary.
    n_std_thresh_stationary : float, default=1.5
        The gate opens at this number of standard deviations above the noise floor, if stationary.
    n_fft : int, default=1024
        Length of a frame in timepoints.
    sr : int or None, default=None
        Sampling rate in Hz. None takes the rate of the windows, and 16000 for bare arrays.

    Attributes
    ----------
    sr_ : int
        Sampling rate in Hz.
    n_features_in_ : int
        Number of timepoints in a window.

    See Also
    --------
    HighPassFilter : Removes low frequencies only.
    make_cry_pipeline : Has a step ``denoise`` for it.

    Notes
    -----
    The result equals that of ``noisereduce.reduce_noise`` with the same parameters, with three exceptions. Digital
    silence stays silence, where noisereduce returns NaN. float32 input is computed in float32. The stationary noise
    floor is that of each chunk, because the first 37 s do not represent a daylong recording.

    The gate depends on the surrounding sound, so a window alone differs from the same window in its recording.

    References
    ----------
    .. [1] T. Sainburg, M. Thielk and T. Q. Gentner (2020). Finding, visualizing, and quantifying latent structure
       across diverse animal vocal repertoires. PLoS Computational Biology 16(10): e1008228.
       https://doi.org/10.1371/journal.pcbi.1008228

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import Denoise
    >>> X = np.random.default_rng(0).normal(size=(1, 32000))
    >>> bool(Denoise().fit_transform(X).std() < 0.5 * X.std())
    True
    """

    __module__ = "skcry"
    _parameter_constraints = {
        "stationary": ["boolean"],
        "prop_decrease": [Interval(numbers.Real, 0, 1, closed="both")],
        "time_constant_s": [Interval(numbers.Real, 0, None, closed="neither")],
        "freq_mask_smooth_hz": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "time_mask_smooth_ms": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "thresh_n_mult_nonstationary": [Interval(numbers.Real, 0, None, closed="neither")],
        "n_std_thresh_stationary": [Interval(numbers.Real, None, None, closed="neither")],
        "n_fft": [Interval(numbers.Integral, 16, 2 * PADDING, closed="both")],
        "sr": [Interval(numbers.Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        stationary: bool = False,
        prop_decrease: float = 1.0,
        *,
        time_constant_s: float = 2.0,
        freq_mask_smooth_hz: float | None = 500,
        time_mask_smooth_ms: float | None = 50,
        thresh_n_mult_nonstationary: float = 2,
        n_std_thresh_stationary: float = 1.5,
        n_fft: int = 1024,
        sr: int | None = None,
    ) -> None:
        self.stationary = stationary
        self.prop_decrease = prop_decrease
        self.time_constant_s = time_constant_s
        self.freq_mask_smooth_hz = freq_mask_smooth_hz
        self.time_mask_smooth_ms = time_mask_smooth_ms
        self.thresh_n_mult_nonstationary = thresh_n_mult_nonstationary
        self.n_std_thresh_stationary = n_std_thresh_stationary
        self.n_fft = n_fft
        self.sr = sr

    def _set_up(self, X):
        # noisereduce takes a quarter of a frame as hop, and counts the bins of half a frame.
        for name, least in (
            ("freq_mask_smooth_hz", 2 * self.sr_ / self.n_fft),
            ("time_mask_smooth_ms", 1000 * (self.n_fft // 4) / self.sr_),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(
                    f"{name}={value} must be at least {least:g} for n_fft={self.n_fft} at sr={self.sr_} Hz. Raise it, "
                    "change n_fft, or pass None for no smoothing."
                )

    def transform(self, X: Windows | ArrayLike) -> Windows | np.ndarray:
        """Gate each recording.

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
        return apply(self._validate_sound(X, reset=False), self._reduce_noise)

    def _reduce_noise(self, y):
        """Gate a recording (n_timepoints,), or each row of (n_windows, n_timepoints), chunk by chunk."""
        from noisereduce.spectralgate import SpectralGateStationary  # here, because noisereduce imports torch

        from .spectral_gate import FastSpectralGate

        if y.ndim > 1:
            return np.stack([self._reduce_noise(row) for row in y])
        names = ("prop_decrease", "n_fft", "time_constant_s", "freq_mask_smooth_hz", "time_mask_smooth_ms")
        settings = {name: getattr(self, name) for name in names} | {"sr": self.sr_, "padding": PADDING}
        settings |= {"chunk_size": None, "win_length": None, "hop_length": None}
        settings |= {"tmp_folder": None, "use_tqdm": False, "n_jobs": 1}  # not used for a single chunk
        size = min(CHUNK_SIZE, len(y))
        out = np.empty_like(y)
        for start in range(0, len(y), size):
            stop = min(start + size, len(y))
            first = max(0, start - PADDING)
            settings["y"] = y[first : start + size + PADDING]
            if self.stationary:
                noise = y[max(0, stop - size) : stop]  # the last chunk takes as much as the others
                gate = SpectralGateStationary(
                    **settings,
                    y_noise=np.pad(noise, (0, max(0, self.n_fft - len(noise)))),
                    clip_noise_stationary=False,
                    n_std_thresh_stationary=self.n_std_thresh_stationary,
                )
            else:
                gate = FastSpectralGate(
                    **settings,
                    thresh_n_mult_nonstationary=self.thresh_n_mult_nonstationary,
                    sigmoid_slope_nonstationary=10,  # noisereduce's default
                )
            out[start:stop] = gate.filter_chunk(start - first, start - first + size)[0, : stop - start]
        return out
