import librosa
import numpy as np
import pytest

from skcry import MelSpectrogram, Windower


def test_gives_what_librosa_gives(rng, sr):
    y = rng.normal(size=(3, 5 * sr))
    power = librosa.feature.melspectrogram(y=y, sr=sr, n_fft=1024, hop_length=400, n_mels=225, center=False)
    expected = np.stack([librosa.power_to_db(one, ref=np.max, top_db=80) for one in power])
    np.testing.assert_allclose(MelSpectrogram().fit_transform(y), expected, atol=1e-4)


@pytest.mark.parametrize("hop_length", [400, 490])
@pytest.mark.parametrize("ref", ["window", 1.0])
def test_a_window_alone_in_a_batch_and_inside_its_recording(rng, sr, hop_length, ref):
    y = (rng.normal(size=9 * sr) * np.linspace(0, 1, 9 * sr)).astype(np.float32)
    X = Windower().fit_transform([y])
    transformer = MelSpectrogram(hop_length=hop_length, n_mels=40, ref=ref).fit(X)
    inside, batch = transformer.transform(X), transformer.transform(np.asarray(X))
    assert inside.dtype == batch.dtype == np.float32
    assert inside.shape == batch.shape
    np.testing.assert_allclose(np.asarray(inside), batch, atol=1e-4)
    np.testing.assert_allclose(transformer.transform(np.asarray(X[[3]]))[0], batch[3], atol=1e-4)


def test_a_tone_lies_in_its_band(sr):
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(5 * sr) / sr)
    loudest = MelSpectrogram(n_mels=64).fit_transform(tone[np.newaxis])[0].mean(axis=1).argmax()
    assert abs(librosa.mel_frequencies(66, fmax=sr / 2)[loudest + 1] - 1000) < 50


def test_level_is_relative_to_the_window_or_absolute(rng, sr):
    y = 0.1 * rng.normal(size=(1, sr))
    settings = {}, {"ref": 1.0, "top_db": None}, {"ref": 0.01, "top_db": None}
    relative, absolute, referred = (MelSpectrogram(**one).fit(y).transform for one in settings)
    for gain in (1e-2, 1e-4):  # down to -100 dBFS
        np.testing.assert_allclose(relative(gain * y), relative(y), atol=1e-3)
    np.testing.assert_allclose(absolute(y) - absolute(0.01 * y), 40, atol=1e-3)
    np.testing.assert_allclose(referred(y) - absolute(y), 20, atol=1e-3)


def test_windows_of_absolute_level_have_no_function_of_their_own(rng, sr):
    X = Windower().fit_transform([rng.normal(size=8 * sr)])
    absolute = MelSpectrogram(n_mels=20, ref=0.01, top_db=None).fit(X)
    np.testing.assert_allclose(np.asarray(absolute.transform(X)), absolute.transform(np.asarray(X)), atol=1e-9)
    lower = absolute.transform(X).map(lambda track: track - 3)
    assert len(lower._tracks) == 1  # frames are still shared
    np.testing.assert_allclose(np.asarray(lower), np.asarray(absolute.transform(X)) - 3)


def test_range_is_clipped(rng, sr):
    y = rng.normal(size=(1, sr)) * np.repeat([1, 1e-6], sr // 2)
    assert MelSpectrogram(top_db=30).fit_transform(y).min() == -30
    assert np.ptp(MelSpectrogram(top_db=30, ref=1.0).fit_transform(y)) == pytest.approx(30)
    assert MelSpectrogram(top_db=None).fit_transform(y).min() < -90


def test_silence_clicks_and_clips_shorter_than_a_frame(sr):
    assert np.isfinite(MelSpectrogram().fit_transform(np.vstack([np.zeros(sr), np.eye(1, sr, 3000)]))).all()
    assert MelSpectrogram(n_mels=10).fit_transform(np.ones((2, 100))).shape == (2, 10, 1)


def test_long_recordings_go_in_blocks(rng, sr, monkeypatch):
    y = rng.normal(size=(2, sr))
    whole = MelSpectrogram().fit_transform(y)
    monkeypatch.setattr("skcry.features.mel.BLOCK_FRAMES", 7)
    np.testing.assert_allclose(MelSpectrogram().fit_transform(y), whole, atol=1e-6)


def test_published_geometry():
    X = Windower(sr=22050).fit_transform([np.zeros(22050 * 6)])
    spectrogram = MelSpectrogram(n_fft=980, hop_length=490).fit_transform(X)
    assert spectrogram.shape == (2, 225, 224)
    assert len(spectrogram._tracks) == 1  # frames are shared by both windows


def test_band_edges(sr):
    with pytest.raises(ValueError, match=r"fmax=9000 Hz <= sr / 2 = 8000.0 Hz must hold"):
        MelSpectrogram(fmax=9000).fit(np.zeros((1, sr)))
    with pytest.raises(ValueError, match="fmin=500 Hz < fmax=400 Hz"):
        MelSpectrogram(fmin=500, fmax=400).fit(np.zeros((1, sr)))
