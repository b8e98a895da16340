"""The score of adult speech, and the plane in the package that gives it."""

import numpy as np
import pandas as pd
import pytest

from skcry import PretrainedEmbedding, pretrained
from skcry.io import read_audio
from skcry.review.speech import embed, speech_score, windows_of

USUAL = 0.5  # the score above which the documentation proposes to leave clips out


def test_windows_cover_the_sound(sr):
    y = np.arange(9 * sr)
    assert windows_of(y)[:, 0].tolist() == [second * sr for second in range(7)]
    assert windows_of(y[:-100])[-1, -1] == 9 * sr - 101
    assert windows_of(y[: 3 * sr]).shape == (1, 3 * sr)
    assert windows_of(y[:10]).tolist() == [[*range(10), *[0] * (3 * sr - 10)]]


def test_score_is_that_of_the_window_most_like_speech(rng, sr):
    y = rng.normal(size=9 * sr).astype(np.float32)
    y[5 * sr :] *= np.linspace(0, 1, 4 * sr, dtype=np.float32)
    weights, bias = pretrained.read_speech_plane()
    alone = [1 / (1 + np.exp(-(embed(window[None])[0] @ weights + bias))) for window in windows_of(y)]
    assert speech_score(y) == pytest.approx(max(alone), abs=1e-5)
    np.testing.assert_array_equal(embed(windows_of(y)), PretrainedEmbedding().fit_transform(windows_of(y)))


@pytest.mark.parametrize("n", [0, 1, 100_000])
def test_silence_is_no_speech(n):
    assert speech_score(np.zeros(n)) < USUAL


def test_plane_of_another_network_is_refused(tmp_path, monkeypatch):
    weights, bias = pretrained.read_speech_plane()
    assert weights.shape == (192,)
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    read = pretrained.read_speech_plane.__wrapped__
    with pytest.raises(OSError, match=r"speech\.safetensors: cannot be read .* Install skcry again"):
        read()
    pretrained.write_speech_plane(weights, bias, tmp_path)
    np.testing.assert_array_equal(read()[0], weights)
    assert read()[1] == bias
    monkeypatch.setattr(pretrained, "SHA256", "another")
    with pytest.raises(OSError, match="belongs to another network"):
        read()
    (tmp_path / pretrained.SPEECH).write_bytes(b"no tensors")
    with pytest.raises(OSError, match="cannot be read"):
        read()


@pytest.mark.real
def test_rooms_and_most_crying_are_not_taken_for_speech(shared):
    clips = pd.read_csv(shared / "data" / "clips.csv")
    for category, most in {"silence": 0.05, "cry": 0.3}.items():
        files = clips["file"][clips["category"] == category][::3]
        scores = [speech_score(read_audio(shared / "data" / file, 16000)[0]) for file in files]
        assert np.mean(np.greater(scores, USUAL)) <= most


@pytest.mark.real
def test_most_speech_is_found(shared):
    table = pd.read_csv(shared / "pretraining" / "files.csv").query("kind == 'speech'")
    for file in table["file"].groupby(table["group"]).first():  # one of each voice
        y, _ = read_audio(shared / "pretraining" / file, 16000)
        assert speech_score(y[: 9 * 16000]) > USUAL
