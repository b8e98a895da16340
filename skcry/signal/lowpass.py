"""Low-pass filter that makes speech harder to understand."""

import numpy as np
from scipy.signal import firwin, oaconvolve

# The filter falls by 80 dB within 42 Hz: speech can be understood through shallow edges.
TAPS_DURATION = 0.125  # seconds
KAISER_BETA = 8.0


def lowpass(blocks, cutoff, sr):
    """Remove what is above ``cutoff`` (Hz) from sound, without delay.

    ``blocks`` follow each other, each of shape (n_timepoints,) or (n_timepoints, n_channels). Yields blocks of other
    lengths, but as many timepoints in all. What is before and after them counts as silence.
    """
    half = round(TAPS_DURATION * sr / 2)
    taps = firwin(2 * half + 1, cutoff, window=("kaiser", KAISER_BETA), fs=sr)
    before, n_ahead = None, half
    for block in blocks:
        block = np.asarray(block)
        if before is None:
            before = np.zeros_like(block, shape=(2 * half, *block.shape[1:]))
            taps = taps.reshape(-1, *[1] * (block.ndim - 1))
        y, before, n_ahead = _filtered(before, block, taps, n_ahead)
        yield y
    if before is not None:
        yield _filtered(before, np.zeros_like(before[:half]), taps, n_ahead)[0]


def _filtered(before, block, taps, n_ahead):
    """Filter a block; return it without ``n_ahead`` timepoints, and ``before`` and ``n_ahead`` of the next block."""
    y = np.concatenate([before, block])
    out = oaconvolve(y, taps, mode="valid", axes=0)
    return out[n_ahead:], y[len(y) - len(before) :], max(0, n_ahead - len(out))
