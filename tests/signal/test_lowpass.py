"""The low-pass filter: in blocks as in one piece, without delay, and steep."""

import numpy as np
import pytest
from scipy.signal import fftconvolve, firwin

from skcry.signal.lowpass import lowpass


@pytest.mark.parametrize("cuts", [[], [5, 700], [20000], [300, 600, 900, 1200], [29990]])
def test_blocks_make_no_difference(rng, sr, cuts):
    y = rng.normal(size=(30000, 2))
    taps = firwin(2001, 600, window=("kaiser", 8.0), fs=sr)
    expected = fftconvolve(y, taps[:, None])[1000:-1000]
    found = np.concatenate(list(lowpass(np.split(y, cuts), 600, sr)))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    alone = np.concatenate(list(lowpass(np.split(y[:, 0], cuts), 600, sr)))
    np.testing.assert_allclose(alone, expected[:, 0], atol=1e-12)


@pytest.mark.parametrize("n", [1, 100, 1500])
def test_sound_shorter_than_the_filter_keeps_its_length(rng, sr, n):
    assert np.concatenate(list(lowpass([rng.normal(size=n)], 600, sr))).shape == (n,)
    assert list(lowpass([], 600, sr)) == []


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_loss_does_not_depend_on_the_rate(rate):
    t = np.arange(2 * rate) / rate
    for hertz, least, most in ((555, 0.99, 1.01), (650, 0, 1e-3)):
        whole = np.concatenate(list(lowpass([np.sin(2 * np.pi * hertz * t)], 600, rate)))
        level = np.std(whole[rate // 2 : -rate // 2]) / np.sqrt(0.5)
        assert least <= level <= most
