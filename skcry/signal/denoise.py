"""Noise reduction by spectral gating, as noisereduce does it, per recording in bounded memory.

The gate is that of noisereduce 3.0.3 (Sainburg, Thielk and Gentner, 2020), in agreement to rounding, and several times
as fast: it works in the precision of the sound, follows the noise floor in all bins at once, and smooths by running
means where the original convolves in two dimensions.
"""

from __future__ import annotations

import numbers
from functools import partial
from itertools import pairwise
from typing import Self

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike
from scipy.ndimage import uniform_filter1d
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, fit_context
from .._transformer import SoundTransformer, apply
from ..windows import Windows

# noisereduce's own defaults, in timepoints: sound gated at a time, and the context on both sides of it.
CHUNK_SIZE = 600_000
PADDING = 30_000
BLOCK_FRAMES = 128  # frames tapered at a time: half a MiB, which stays in the cache
SLOPE = 10  # of the sigmoid that opens the gate, per multiple of the floor


def hann(n_fft, dtype):
    """Return a periodic Hann window whose sum is 1, shape (n_fft,)."""
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return (taper / taper.sum()).astype(dtype)


def spectra_of(y, n_fft):
    """Return spectra of overlapping frames, the first centred on the first timepoint, (n_frames, 1 + n_fft // 2)."""
    taper = hann(n_fft, y.dtype)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(y, n_fft // 2), n_fft)[:: n_fft // 4]
    out = np.empty((len(frames), 1 + n_fft // 2), dtype=np.result_type(y, np.complex64))
    for i in range(0, len(frames), BLOCK_FRAMES):
        out[i : i + BLOCK_FRAMES] = scipy.fft.rfft(frames[i : i + BLOCK_FRAMES] * taper, axis=1)
    return out


def sound_of(spectra, n_fft):
    """Return the sound (n_timepoints,) whose tapered frames come nearest to these: right from half a frame on."""
    hop_length, taper = n_fft // 4, hann(n_fft, spectra.real.dtype)
    pieces = [slice(i, min(i + hop_length, n_fft)) for i in range(0, n_fft, hop_length)]
    weight = np.zeros(hop_length, dtype=taper.dtype)
    for piece in pieces:
        weight[: piece.stop - piece.start] += taper[piece] ** 2
    taper = taper / np.resize(weight, n_fft)
    sound = np.zeros((len(spectra) + len(pieces) - 1, hop_length), dtype=taper.dtype)
    for first in range(0, len(spectra), BLOCK_FRAMES):
        frames = scipy.fft.irfft(spectra[first : first + BLOCK_FRAMES], n_fft, axis=1) * taper
        for i, piece in enumerate(pieces, first):
            sound[i : i + len(frames), : piece.stop - piece.start] += frames[:, piece]
    return sound.ravel()[n_fft // 2 :]


def floor_of(magnitude, n_frames):
    """Follow the noise floor: a one-pole low-pass of so many frames, forwards and back, (n_frames, n_bins)."""
    b = float((np.sqrt(1 + 4 * n_frames**2) - 1) / (2 * n_frames**2))
    floor, faded = magnitude.copy(), np.empty_like(magnitude[0])
    for rows in (floor, floor[::-1]):
        rows[1:] *= b
        for before, row in pairwise(rows):  # all bins at once: three times as fast as lfilter along each of them
            np.multiply(before, 1 - b, out=faded)
            row += faded
    return floor


def decibels(magnitude):
    """Return the level of magnitudes (n_frames, n_bins), each bin at most 80 dB below its own maximum."""
    level = 20 * np.log10(magnitude + np.finfo(np.float64).eps)
    return np.maximum(level, level.max(axis=0) - 80)


def gate_above(floor, magnitude, threshold):
    """Open a gate where magnitudes (n_frames, n_bins) exceed so many times the floor; return how far, from 0 to 1."""
    gate = np.empty_like(magnitude)
    with np.errstate(over="ignore"):  # the gate is shut
        for i in range(0, len(gate), BLOCK_FRAMES):
            rows = slice(i, i + BLOCK_FRAMES)
            excess = magnitude[rows] / np.maximum(floor[rows], np.finfo(floor.dtype).tiny)
            excess -= 1 + threshold
            excess *= -SLOPE
            np.exp(excess, out=excess)
            excess += 1
            np.divide(1, excess, out=gate[rows])
    return gate


def smooth(gate, n_frames, n_bins):
    """Convolve with triangles over so many frames and bins to each side; these are missing in what is returned."""
    for origin in (0, -(n_bins % 2)):  # a triangle is two running means
        gate = uniform_filter1d(gate, n_bins + 1, 1, mode="constant", origin=origin)
    gate = gate[:, n_bins : gate.shape[1] - n_bins]
    for _ in range(2):
        # Rows lie one after the other in memory: a few sums of rows are faster than running means down the columns.
        length = len(gate) - n_frames
        gate = sum(gate[i : i + length] for i in range(n_frames + 1))
    return gate / (n_frames + 1) ** 2


def reduce_noise(
    y,
    *,
    sr,
    stationary,
    prop_decrease,
    time_constant_s,
    freq_mask_smooth_hz,
    time_mask_smooth_ms,
    thresh_n_mult_nonstationary,
    n_std_thresh_stationary,
    n_fft,
):
    """Gate each clip or recording along the last axis, chunk by chunk.

    Gives what ``noisereduce.reduce_noise`` gives, and silence for digital silence, where the original divides zero by
    zero. Only the stationary noise floor of recordings longer than a chunk is taken chunk by chunk.

    Parameters
    ----------
    y : ndarray of shape (..., n_timepoints)
        Sound.
    sr : int
        Sampling rate in Hz.
    stationary, prop_decrease, time_constant_s, freq_mask_smooth_hz, time_mask_smooth_ms : object
        See :class:`Denoise`.
    thresh_n_mult_nonstationary, n_std_thresh_stationary, n_fft : object
        See :class:`Denoise`.

    Returns
    -------
    ndarray of shape (..., n_timepoints)
        In the dtype of ``y``.
    """
    settings = {name: value for name, value in locals().items() if name != "y"}
    if y.ndim > 1:
        return np.stack([reduce_noise(row, **settings) for row in y])
    hop_length = n_fft // 4
    widths = (
        1 if time_mask_smooth_ms is None else int(time_mask_smooth_ms / (hop_length / sr * 1000)),
        1 if freq_mask_smooth_hz is None else int(freq_mask_smooth_hz / (sr / (n_fft / 2))),
    )
    if widths == (1, 1):  # noisereduce smooths by one frame, or bin, where only the other is smoothed
        widths = (0, 0)
    size = min(CHUNK_SIZE, len(y))
    out = np.empty_like(y)
    for start in range(0, len(y), size):
        stop = min(start + size, len(y))
        first, last = max(0, start - PADDING), min(len(y), start + size + PADDING)
        chunk = np.zeros(size + 2 * PADDING, dtype=y.dtype)
        chunk[first - start + PADDING : last - start + PADDING] = y[first:last]
        spectra = spectra_of(chunk, n_fft)
        magnitude = np.abs(spectra)
        if stationary:
            # Of the chunk itself, where noisereduce takes the first of all: a recorder's first half minute tells little
            # of the day, and here a chunk depends on nothing far away. The last one takes as much as the others.
            noise = y[max(0, stop - size) : stop]
            noise = decibels(np.abs(spectra_of(np.pad(noise, (0, max(0, n_fft - len(noise)))), n_fft)))
            threshold = noise.mean(axis=0) + n_std_thresh_stationary * noise.std(axis=0)
            gate = np.where(decibels(magnitude) > threshold, 1, 1 - prop_decrease).astype(y.dtype)
        else:
            gate = gate_above(
                floor_of(magnitude, time_constant_s * sr / hop_length), magnitude, thresh_n_mult_nonstationary
            )
        padded = np.pad(gate, [(width, width) for width in widths])
        for i in range(0, len(spectra), BLOCK_FRAMES):
            gate = smooth(padded[i : i + BLOCK_FRAMES + 2 * widths[0]], *widths)
            if not stationary:  # as the original: after smoothing, which ends in zeros beyond the first and last bin
                gate = 1 - prop_decrease * (1 - gate)
            spectra[i : i + BLOCK_FRAMES] *= gate
        out[start:stop] = sound_of(spectra, n_fft)[PADDING : PADDING + stop - start]
    return out


class Denoise(OneToOneFeatureMixin, SoundTransformer):
    """Reduce steady noise by spectral gating, once per recording.

    What is not far enough above the noise floor of its frequency is turned down, moment by moment. Fans and rain go; so
    may faint crying, and networks learn to live with noise: see that it helps before you use it.

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
    n_features_in_ : int
        Number of timepoints in a window.

    See Also
    --------
    HighPassFilter : Takes low frequencies away, whatever they are.
    make_cry_pipeline : Has a place for it, the step ``denoise``.

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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Windows | ArrayLike, y: object = None) -> Self:
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
            Itself, fitted.

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

    def transform(self, X: Windows | ArrayLike) -> Windows | np.ndarray:
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
