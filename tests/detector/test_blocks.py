import shutil
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers import fast

from skcry import CryDetector, Denoise, HighPassFilter, Windower
from skcry.datasets import make_cry_recordings
from skcry.detector.blocks import stream, windows_in_open_seconds
from skcry.io import read_audio


@pytest.fixture
def short_blocks(monkeypatch):
    """Blocks of 20 s with a context of 10 s on both sides, which `Denoise` works in as well."""
    monkeypatch.setattr("skcry.windows.stretches.STRETCH_DURATION", 20.0)
    monkeypatch.setattr("skcry.windows.stretches.CONTEXT_DURATION", 10.0)
    monkeypatch.setattr("skcry.signal.denoise.CHUNK_SIZE", 160_000)


@pytest.fixture(scope="module")
def day():
    """Two minutes of it."""
    return make_cry_recordings(2, duration=113.3, random_state=0)[0][0]


@cache
def detector(*first, channel=None):
    """A fitted detector, not to be changed; ``first`` are classes of steps before the features."""
    recordings, annotations, _ = make_cry_recordings(4, duration=30, random_state=1)
    pipeline = fast(first=[step() for step in first])
    return CryDetector(pipeline, threshold=0.5, windower=Windower(channel=channel)).fit(recordings, annotations)


@pytest.mark.parametrize("windower", [Windower(), Windower(3, 0.5), Windower(5, 2.5, last="drop"), Windower(1, 2)])
def test_every_window_comes_once_with_its_sound(day, windower, short_blocks, sr):
    windower.fit([day])
    whole = windower.transform([day])
    blocks = list(stream(windower, [day]))
    assert len(blocks) > 4
    np.testing.assert_array_equal(np.concatenate([block.start for block in blocks]), whole.start)
    np.testing.assert_array_equal(
        np.concatenate([np.asarray(block.windows) for block in blocks if block.windows is not None]), np.asarray(whole)
    )
    (recording,) = [recording for block in blocks for recording in block.finished]
    assert recording.n_timepoints == len(day)
    assert len(recording.usable) == 114


def test_recordings_of_all_lengths_keep_their_order(rng, sr, short_blocks):
    lengths = [1, 3, 40, 5.5, 100, 0.1, 35, 30, 2, 12]
    recordings = [rng.normal(size=max(1, int(length * sr))) for length in lengths]
    windower = Windower().fit(recordings)
    blocks = list(stream(windower, recordings))
    finished = [recording.number for block in blocks for recording in block.finished]
    assert finished == list(range(len(lengths)))
    number = np.concatenate([block.recording for block in blocks])
    whole = windower.transform(recordings)
    np.testing.assert_array_equal(number, whole.recording)
    np.testing.assert_array_equal(
        np.concatenate([np.asarray(block.windows) for block in blocks if block.windows is not None]), np.asarray(whole)
    )


@pytest.mark.parametrize("length", [20, 34, 35, 36, 54, 55, 74, 75])  # around the edges of the blocks
def test_edges_of_blocks(day, sr, short_blocks, length):
    for beyond in (-1, 0, 1):
        y = day[: length * sr + beyond]
        windower = Windower().fit([y])
        blocks = list(stream(windower, [y]))
        np.testing.assert_array_equal(np.concatenate([block.start for block in blocks]), windower.transform([y]).start)


@pytest.mark.parametrize("first", [(HighPassFilter,), (HighPassFilter, Denoise), (partial(Denoise, True),)])
def test_blocks_make_no_difference_to_the_scores(day, first, short_blocks, monkeypatch):
    fitted = detector(*first)
    in_blocks = fitted.timeline([day])
    monkeypatch.setattr("skcry.windows.stretches.STRETCH_DURATION", 1000.0)
    whole = fitted.timeline([day])
    np.testing.assert_allclose(in_blocks["score"], whole["score"], atol=1e-6)
    assert whole["score"].std() > 0.1
    windows = Windower().fit_transform([day])
    scorer = fitted._scorer(fitted.estimator_, "predict_proba")
    scores = scorer.pool(scorer.score_windows(windows), windows.start, len(day))
    np.testing.assert_allclose(fitted.operating_point_.predict_proba(scores)[:, 1], whole["score"], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("wav", one) for one in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "PCM_U8")]
    + [(one, None) for one in ("flac", "ogg", "mp3")],
)
@pytest.mark.parametrize("rate", [16000, 44100])
def test_files_give_what_their_samples_give(day, name, subtype, rate, tmp_path, short_blocks):
    path = tmp_path / f"day.{name}"
    stereo = np.stack([0.5 * day, 0.3 * day], axis=1)[: rate * 70]
    soundfile.write(path, stereo, rate, subtype=subtype)
    fitted = detector(HighPassFilter)
    from_file = fitted.timeline([path])
    y, _ = read_audio(path)
    pd.testing.assert_frame_equal(from_file.loc[path.name], fitted.timeline([y]).loc[0])
    assert len(from_file) == -(-len(y) // 16000)
    assert not np.array_equal(from_file["score"], detector(channel=1).timeline([path])["score"])


def test_usable_seconds(sr, rng, short_blocks):
    y = 0.1 * rng.normal(size=60 * sr + 100)
    y[3 * sr : 5 * sr] = 0
    y[40 * sr : 41 * sr + 1] = 0.7
    y[-100:] = 0
    timeline = detector().timeline([y])
    assert np.flatnonzero(~timeline["usable"]).tolist() == [3, 4, 40, 60]
    assert timeline["score"].notna().all()


def test_windows_in_open_seconds(sr):
    is_open = np.array([0, 0, 1, 0, 0, 0], dtype=bool)
    start = np.array([0, 1, 2, 3, 4]) * sr
    assert windows_in_open_seconds(start, 2 * sr, sr, is_open).tolist() == [False, True, True, False, False]
    assert windows_in_open_seconds(start, 2 * sr + 1, sr, is_open).tolist() == [True, True, True, False, False]


def test_unreadable_files_are_found_before_the_work_begins(tmp_path, day, sr):
    soundfile.write(tmp_path / "good.wav", day, sr)
    (tmp_path / "bad.wav").write_text("no sound")
    paths = [tmp_path / "good.wav", tmp_path / "bad.wav"]
    fitted = detector()
    seen = []
    with pytest.raises(OSError, match=r"bad\.wav cannot be read as audio"):
        list(stream(fitted.windower_, paths, progress=seen.append))
    assert seen == []
    with pytest.raises(ValueError, match="on_error='ignore' must be"):
        fitted.timeline(paths, on_error="ignore")


def test_on_error_warn_leaves_out_what_cannot_be_read(tmp_path, day, sr, short_blocks):
    soundfile.write(tmp_path / "good.wav", day, sr, subtype="FLOAT")
    broken = day.copy()
    broken[90 * sr] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, sr, subtype="FLOAT")
    shutil.copy(tmp_path / "good.wav", tmp_path / "same.wav")
    paths = [tmp_path / name for name in ("gone.wav", "good.wav", "nan.wav", "same.wav")]
    fitted = detector()
    with pytest.warns(UserWarning, match="left out") as caught:
        timeline = fitted.timeline(paths, on_error="warn")
    messages = [str(one.message) for one in caught]
    assert "gone.wav is left out" in messages[0]
    assert "nan.wav is left out: nan.wav contains NaN or infinity, the first at 90 s" in messages[1]
    assert timeline.index.unique("recording").tolist() == ["good.wav", "same.wav"]
    np.testing.assert_array_equal(timeline.loc["good.wav"], timeline.loc["same.wav"])
    pd.testing.assert_frame_equal(timeline.loc["good.wav"], fitted.timeline([day] * 2).loc[1])
    with pytest.warns(UserWarning, match="left out"):
        assert set(fitted.detect(paths, on_error="warn")["recording"]) <= {"good.wav", "same.wav"}
    with (
        pytest.warns(UserWarning, match="gone"),
        pytest.raises(ValueError, match="None of the recordings could be read"),
    ):
        fitted.timeline(paths[:1], on_error="warn")
    with pytest.raises(ValueError, match="NaN"):
        fitted.detect(paths[2:])
    recordings, annotations, _ = make_cry_recordings(4, duration=30, random_state=1)
    calibrated = CryDetector(fitted.estimator, cv=2, random_state=0).fit(recordings, annotations)
    with pytest.warns(UserWarning, match="left out"):
        assert calibrated.timeline(paths, on_error="warn").index.equals(timeline.index)
