import numpy as np
import pytest
from scipy import signal

from skcry import HighPassFilter, Windower
from skcry.signal import highpass


def _tone(frequency, sr):
    return np.sin(2 * np.pi * frequency * np.arange(2 * sr) / sr)[np.newaxis]


def _level(y, sr):
    return 20 * np.log10(y[:, sr // 2 :].std() * np.sqrt(2))


def test_an_octave_under_the_cutoff_loses_40_db(sr):
    assert _level(HighPassFilter().fit_transform(_tone(175, sr)), sr) < -40


def test_an_octave_above_keeps_its_level(sr):
    assert abs(_level(HighPassFilter().fit_transform(_tone(700, sr)), sr)) < 0.1


def test_three_db_at_the_cutoff(sr):
    assert _level(HighPassFilter(500, 4).fit_transform(_tone(500, sr)), sr) == pytest.approx(-3.01, abs=0.05)


def test_silence_and_offset(sr):
    assert not HighPassFilter().fit_transform(np.zeros((1, sr))).any()
    assert abs(HighPassFilter().fit_transform(np.full((1, sr), 0.5))).max() < 1e-9


def test_dtype_stays_and_float32_is_accurate(rng, sr):
    y = rng.normal(size=(2, sr))
    single = HighPassFilter().fit_transform(y.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, HighPassFilter().fit_transform(y), atol=1e-5)


def test_windows_are_filtered_as_recordings(rng, sr):
    y = rng.normal(size=8 * sr)
    X = HighPassFilter().fit_transform(Windower().fit_transform([y]))
    whole = HighPassFilter().fit_transform(y[np.newaxis])[0]
    np.testing.assert_array_equal(X[2], whole[2 * sr : 7 * sr])
    alone = HighPassFilter().fit_transform(y[np.newaxis, 2 * sr : 7 * sr])[0]
    # Past its start-up the filter has forgotten what was before.
    np.testing.assert_allclose(X[2][sr // 5 :], alone[sr // 5 :], atol=1e-4)


def test_blocks_make_no_difference(rng, monkeypatch):
    y = rng.normal(size=(2, 1000))
    sos = signal.butter(6, 0.2, "highpass", output="sos")
    whole = highpass.highpass(y, sos)
    monkeypatch.setattr(highpass, "BLOCK_LENGTH", 128)
    np.testing.assert_allclose(highpass.highpass(y, sos), whole, atol=1e-12)


def test_cutoff_must_lie_below_nyquist(sr):
    with pytest.raises(ValueError, match=r"cutoff=8000.0 Hz must be below the Nyquist frequency sr / 2 = 8000.0 Hz"):
        HighPassFilter(8000.0).fit(np.zeros((1, sr)))
    HighPassFilter(8000.0, sr=22050).fit(np.zeros((1, sr)))


def test_rates_must_agree():
    X = Windower(sr=8000).fit_transform([np.zeros(80000)])
    assert HighPassFilter().fit(X).sr_ == 8000
    with pytest.raises(ValueError, match="sr=16000 Hz contradicts the windows' sr=8000 Hz"):
        HighPassFilter(sr=16000).fit(X)
    fitted = HighPassFilter(sr=16000).fit(np.zeros((1, 40000)))
    with pytest.raises(ValueError, match="fitted at sr=16000 Hz, but these windows have sr=8000 Hz"):
        fitted.transform(X)


def test_stereo_is_not_many_clips(sr):
    with pytest.raises(ValueError, match="one recording of 2 channels"):
        HighPassFilter().fit(np.zeros((sr, 2)))


@pytest.mark.parametrize(("cutoff", "order"), [(350, 300), (1e-6, 10)])
def test_filters_that_are_unstable_in_floating_point(cutoff, order, sr):
    with pytest.raises(ValueError, match="unstable in floating point"):
        HighPassFilter(cutoff, order).fit(np.zeros((1, sr)))


def test_steep_and_low_filters_that_work(rng, sr):
    for cutoff, order in ((350, 20), (20, 4), (1000, 30)):
        y = HighPassFilter(cutoff, order).fit_transform(rng.normal(size=(1, sr)))
        assert 0.5 < y.std() < 1.1
