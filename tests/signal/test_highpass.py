import numpy as np
import pytest
from scipy import signal

from skcry import HighPassFilter, Windower
from skcry.signal import highpass


def _tone(frequency, sr):
    return np.sin(2 * np.pi * frequency * np.arange(2 * sr) / sr)[np.newaxis]


def _level(estimator, frequency, sr):
    """Level of a filtered tone relative to its level before, in dB."""
    return 20 * np.log10(estimator.fit_transform(_tone(frequency, sr))[:, sr // 2 :].std() * np.sqrt(2))


def test_levels_of_tones_an_octave_below_at_and_an_octave_above_the_cutoff(sr):
    assert _level(HighPassFilter(), 175, sr) < -40
    assert _level(HighPassFilter(500, 4), 500, sr) == pytest.approx(-3.01, abs=0.05)
    assert _level(HighPassFilter(), 700, sr) == pytest.approx(0, abs=0.1)


def test_silence_offset_and_float32(rng, sr):
    highpass = HighPassFilter()
    assert not highpass.fit_transform(np.zeros((1, sr))).any()
    assert abs(highpass.fit_transform(np.full((1, sr), 0.5))).max() < 1e-9
    y = rng.normal(size=(2, sr))
    single = highpass.fit_transform(y.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, highpass.fit_transform(y), atol=1e-5)


def test_windows_are_filtered_as_recordings(rng, sr):
    y = rng.normal(size=8 * sr)
    X = HighPassFilter().fit_transform(Windower().fit_transform([y]))
    whole, alone = (HighPassFilter().fit_transform(part[np.newaxis])[0] for part in (y, y[2 * sr : 7 * sr]))
    np.testing.assert_array_equal(X[2], whole[2 * sr : 7 * sr])
    # After the start-up of the filter, what came before makes no difference.
    np.testing.assert_allclose(X[2][sr // 5 :], alone[sr // 5 :], atol=1e-4)


def test_blocks_make_no_difference(rng, monkeypatch):
    y = rng.normal(size=(2, 1000))
    sos = signal.butter(6, 0.2, "highpass", output="sos")
    whole = highpass.highpass(y, sos)
    monkeypatch.setattr(highpass, "BLOCK_LENGTH", 128)
    np.testing.assert_allclose(highpass.highpass(y, sos), whole, atol=1e-12)


def test_rates_must_agree():
    X = Windower(sr=8000).fit_transform([np.zeros(80000)])
    assert HighPassFilter().fit(X).sr_ == 8000
    with pytest.raises(ValueError, match="sr=16000 Hz contradicts the windows' sr=8000 Hz"):
        HighPassFilter(sr=16000).fit(X)
    fitted = HighPassFilter(sr=16000).fit(np.zeros((1, 40000)))
    with pytest.raises(ValueError, match="fitted at sr=16000 Hz, but these windows have sr=8000 Hz"):
        fitted.transform(X)


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ((), (16000, 2), "one recording of 2 channels"),
        ((350, 300), (1, 16000), "unstable in floating point"),
        ((1e-6, 10), (1, 16000), "unstable in floating point"),
        ((8000.0,), (1, 16000), "cutoff=8000.0 Hz must be below the Nyquist frequency sr / 2 = 8000.0 Hz"),
    ],
)
def test_faulty_settings_and_input(settings, shape, message):
    with pytest.raises(ValueError, match=message):
        HighPassFilter(*settings).fit(np.zeros(shape))


def test_steep_low_and_high_filters_that_work(rng, sr):
    for cutoff, order in ((350, 20), (20, 4), (1000, 30)):
        assert 0.5 < HighPassFilter(cutoff, order).fit_transform(rng.normal(size=(1, sr))).std() < 1.1
    HighPassFilter(8000.0, sr=22050).fit(np.zeros((1, sr)))
