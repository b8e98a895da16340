"""Noise reduction by spectral gating: noisereduce, applied per recording in bounded memory."""

import numbers
from functools import partial

import numpy as np
from sklearn.base import OneToOneFeatureMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from ..sound import SoundTransformer, apply

# noisereduce's own defaults, in timepoints: sound gated at a time, and the context on both sides of it.
CHUNK_SIZE = 600_000
PADDING = 30_000
# Noise at -180 dB re full scale. In exact silence noisereduce divides zero by zero and smears the NaN over the chunk.
DITHER = 1e-9


def reduce_noise(y, *, sr, **settings):
    """Gate each clip or recording along the last axis, chunk by chunk.

    Gives what ``noisereduce.reduce_noise`` gives, without its temporary files and whole-day copies, and an answer in
    digital silence. Only the stationary noise floor of recordings longer than a chunk is taken chunk by chunk.

    Parameters
    ----------
    y : ndarray of shape (..., n_timepoints)
        Sound.
    sr : int
        Sampling rate in Hz.
    **settings : object
        Passed to ``noisereduce.reduce_noise``.

    Returns
    -------
    ndarray of shape (..., n_timepoints)
        In the dtype of ``y``.
    """
    if y.ndim > 1:
        # One by one: noisereduce would take rows for channels and share their noise estimate.
        return np.stack([reduce_noise(row, sr=sr, **settings) for row in y])
    import noisereduce

    noise = None
    size = min(CHUNK_SIZE, len(y))
    dither = np.random.default_rng(0).normal(scale=DITHER, size=size + 2 * PADDING)
    out = np.empty_like(y)
    for start in range(0, len(y), size):
        first, last = max(0, start - PADDING), min(len(y), start + size + PADDING)
        chunk = dither.copy()
        chunk[first - start + PADDING : last - start + PADDING] += y[first:last]
        stop = min(start + size, len(y))
        if settings["stationary"]:
            # Of the chunk itself, where noisereduce takes the first of all: a recorder's first half minute tells little
            # of the day, and here a chunk depends on nothing far away. The last one takes as much as the others.
            noise = y[max(0, stop - size) : stop]
            noise = np.pad(noise, (0, max(0, settings["n_fft"] - len(noise))))
        gated = noisereduce.reduce_noise(chunk, sr, y_noise=noise, chunk_size=None, padding=0, **settings)
        out[start:stop] = gated[PADDING : PADDING + stop - start]
    return out


class Denoise(OneToOneFeatureMixin, SoundTransformer):
    """Reduce steady noise by spectral gating, once per recording.

    Parameters
    ----------
    stationary : bool, default=False
        Whether there is one noise floor for each stretch of 600000 timepoints (37.5 s at 16 kHz), or one that follows
        the recording.
    prop_decrease : float, default=1.0
        Share of the noise to take away, from 0 to 1.
    time_constant_s : float, default=2.0
        Time in seconds over which the floor follows the recording, when not stationary.
    freq_mask_smooth_hz : float, default=500
        Width in Hz over which the gate is smoothed.
    time_mask_smooth_ms : float, default=50
        Time in milliseconds over which the gate is smoothed.
    thresh_n_mult_nonstationary : float, default=2
        How many times above the floor the gate opens, when not stationary.
    n_std_thresh_stationary : float, default=1.5
        How many standard deviations above the floor the gate opens, when stationary.
    n_fft : int, default=1024
        Length of a frame in timepoints.
    sr : int or None, default=None
        Sampling rate in Hz. None takes the rate of the windows, and 16000 for bare arrays.

    Attributes
    ----------
    sr_ : int
        Sampling rate in Hz.

    Notes
    -----
    All defaults are those of noisereduce (Sainburg, Thielk and Gentner, 2020). The gate listens to what surrounds a
    moment, by its nature: a window differs alone and inside its recording.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import Denoise
    >>> X = np.random.default_rng(0).normal(size=(1, 32000))
    >>> bool(Denoise().fit_transform(X).std() < 0.5 * X.std())
    True
    """

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
        stationary=False,
        prop_decrease=1.0,
        *,
        time_constant_s=2.0,
        freq_mask_smooth_hz=500,
        time_mask_smooth_ms=50,
        thresh_n_mult_nonstationary=2,
        n_std_thresh_stationary=1.5,
        n_fft=1024,
        sr=None,
    ):
        self.stationary = stationary
        self.prop_decrease = prop_decrease
        self.time_constant_s = time_constant_s
        self.freq_mask_smooth_hz = freq_mask_smooth_hz
        self.time_mask_smooth_ms = time_mask_smooth_ms
        self.thresh_n_mult_nonstationary = thresh_n_mult_nonstationary
        self.n_std_thresh_stationary = n_std_thresh_stationary
        self.n_fft = n_fft
        self.sr = sr

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters against the rate of ``X``; nothing is learned.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_timepoints)
            Sound.
        y : None
            Ignored.

        Returns
        -------
        Denoise

        Raises
        ------
        ValueError
            If the smoothing is finer than the frames resolve.
        """
        self._validate_sound(X, reset=True)
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
        return self

    def transform(self, X):
        """Gate each recording.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_timepoints)
            Sound.

        Returns
        -------
        Windows or ndarray of shape (n_windows, n_timepoints)
            Of the kind and dtype of ``X``.
        """
        check_is_fitted(self)
        X = self._validate_sound(X, reset=False)
        settings = {name: value for name, value in self.get_params(deep=False).items() if name != "sr"}
        return apply(X, partial(reduce_noise, sr=self.sr_, **settings))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
