import tracemalloc

import noisereduce
import numpy as np
import pytest

from skcry import Denoise, MelSpectrogram, Windower
from skcry.signal import denoise


@pytest.mark.parametrize("stationary", [True, False])
@pytest.mark.parametrize("n", [50_000, 130_000])
def test_chunks_equal_those_of_noisereduce(rng, sr, stationary, n, monkeypatch):
    size = 60_000
    monkeypatch.setattr(denoise, "CHUNK_SIZE", size)
    y = 0.1 * rng.normal(size=n) + 0.2 * np.sin(2 * np.pi * 500 * np.arange(n) / sr)
    expected = noisereduce.reduce_noise(y, sr, stationary=stationary, chunk_size=size)
    if stationary:  # each chunk by its own noise; the last one is short, so its noise begins earlier
        for start in range(size, n, size):
            noise = y[min(start, n - size) : start + size]
            gated = noisereduce.reduce_noise(y, sr, y_noise=noise, stationary=True, chunk_size=size)
            expected[start : start + size] = gated[start : start + size]
    np.testing.assert_allclose(Denoise(stationary).fit_transform(y[np.newaxis])[0], expected, atol=1e-12)


STATIONARY = {"stationary": True, "prop_decrease": 0.7, "n_std_thresh_stationary": 1}
FINE = {"n_fft": 2048, "time_mask_smooth_ms": 100, "freq_mask_smooth_hz": 200, "time_constant_s": 0.1}
NO_TIME, NO_FREQ = {"time_mask_smooth_ms": None}, {"freq_mask_smooth_hz": None}
STEEP, CLOSED = {"n_fft": 513, "thresh_n_mult_nonstationary": 1}, {"thresh_n_mult_nonstationary": 1000}
SETTINGS = [{}, {"stationary": True}, {"prop_decrease": 0.7}, STATIONARY, FINE, NO_TIME, NO_FREQ, NO_TIME | NO_FREQ]


@pytest.mark.parametrize("settings", [*SETTINGS, STEEP, CLOSED], ids=str)
@pytest.mark.parametrize(("dtype", "atol"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_settings_equal_those_of_noisereduce(rng, sr, settings, dtype, atol):
    y = (0.1 * rng.normal(size=3 * sr) * np.repeat([1, 5, 1], sr)).astype(dtype)
    found = Denoise(**settings).fit_transform(y[np.newaxis])[0]
    assert found.dtype == dtype
    with np.errstate(over="ignore"):
        expected = noisereduce.reduce_noise(y.astype(np.float64), sr, **settings)
    np.testing.assert_allclose(found, expected, atol=atol)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("stationary", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_digital_silence_stays_silent(rng, sr, stationary, dtype):
    y = np.stack([np.zeros(sr * 40), 0.1 * rng.normal(size=sr * 40), np.ones(sr * 40)]).astype(dtype)
    y[1, sr * 5 :] = 0
    X = Denoise(stationary).fit_transform(y)
    assert np.isfinite(X).all()
    assert max(abs(X[0]).max(), abs(X[1, sr * 6 :]).max()) < 1e-7


def test_noise_is_reduced_more_than_a_voice(rng, sr):
    t = np.arange(4 * sr) / sr
    voice = np.sin(2 * np.pi * 600 * t) * (np.abs(t - 2) < 0.3)
    noise = 0.05 * rng.normal(size=t.size)
    y = Denoise().fit_transform((voice + noise)[np.newaxis])[0]
    kept, cut = y[voice != 0].std() / voice[voice != 0].std(), y[:sr].std() / noise[:sr].std()
    assert cut < min(0.5, kept / 2)


def test_windows_share_their_recording(rng, sr):
    y = (0.1 * rng.normal(size=8 * sr)).astype(np.float32)
    X = Denoise().fit_transform(Windower().fit_transform([y]))
    assert X.dtype == np.float32
    np.testing.assert_array_equal(X[1], Denoise().fit_transform(y[np.newaxis])[0, sr : 6 * sr])


@pytest.mark.parametrize("stationary", [True, False])
def test_memory_grows_by_the_result_only(rng, stationary, monkeypatch):
    monkeypatch.setattr(denoise, "CHUNK_SIZE", 60_000)
    peaks = []
    for n in (180_000, 600_000):
        X = Windower(last="drop").fit_transform([rng.normal(size=n).astype(np.float32)])
        gate = Denoise(stationary).fit(X)
        gate.transform(X)
        tracemalloc.start()
        gate.transform(X)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1.1 * 4 * 420_000


def test_faulty_parameters_and_input(sr):
    X = np.zeros((1, sr))
    spectrograms = MelSpectrogram().fit_transform(Windower().fit_transform(X))
    for estimator, rows, message in (
        (Denoise(n_fft=4096), X, "time_mask_smooth_ms=50 must be at least 64"),
        (Denoise(n_fft=32), X, "freq_mask_smooth_hz=500 must be at least 1000"),
        (Denoise(), spectrograms, "takes windows of sound"),
    ):
        with pytest.raises(ValueError, match=message):
            estimator.fit(rows)
    Denoise(n_fft=4096, time_mask_smooth_ms=None).fit_transform(np.zeros((1, 100)))
