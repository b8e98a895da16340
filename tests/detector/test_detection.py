"""Detections: one per recording, each recording scored once."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers import fast
from sklearn.exceptions import NotFittedError

from skcry import CryDetector, summarize
from skcry.datasets import make_cry_recordings
from skcry.metrics import cry_minutes


@pytest.fixture(scope="module")
def data():
    return make_cry_recordings(4, duration=30, random_state=0)


@pytest.fixture(scope="module")
def detector(data):
    recordings, annotations, infants = data
    return CryDetector(fast(), cv=2, random_state=0).fit(recordings, annotations, groups=infants)


def test_detections_are_what_tables_and_scores_are_made_of(detector, data):
    found = list(detector.iter_detections(data[0]))
    assert [one.recording for one in found] == [0, 1, 2, 3]
    assert [one.duration for one in found] == [30.0] * 4
    timeline = pd.concat({one.recording: one.timeline for one in found}, names=["recording", "second"])
    pd.testing.assert_frame_equal(timeline, detector.timeline(data[0]))
    pd.testing.assert_frame_equal(pd.concat([one.events for one in found], ignore_index=True), detector.detect(data[0]))
    np.testing.assert_array_equal([one.score for one in found], detector.predict_proba(data[0])[:, 1])
    assert len(detector.detect(data[0])) > 0


def test_several_classes(data):
    detector = CryDetector(fast(), positive=None, threshold=0.5).fit(data[0], ["cry", "talk", "other", "cry"])
    (one,) = detector.iter_detections(data[0][:1])
    np.testing.assert_array_equal(one.score, one.probabilities.mean(axis=0))
    assert one.timeline.columns.tolist() == ["cry", "other", "talk", "label", "usable"]
    assert one.events["label"].isin(["cry", "other", "talk"]).all()
    assert len(one.events) > 0


def test_arguments_are_checked_before_the_first_recording(detector, data):
    with pytest.raises(ValueError, match="on_error='skip' must be 'raise', 'warn' or 'keep'"):
        detector.iter_detections(data[0], on_error="skip")
    with pytest.raises(NotFittedError):
        CryDetector().iter_detections(data[0])


def test_faulty_recordings(detector, data, tmp_path, sr):
    soundfile.write(tmp_path / "silent.wav", np.zeros(5 * sr), sr)
    paths = [tmp_path / "gone.wav", tmp_path / "silent.wav"]
    with pytest.raises(OSError, match=r"gone\.wav"):
        list(detector.iter_detections(paths))
    with pytest.warns(UserWarning, match=r"gone\.wav is left out") as caught:
        assert [one.name for one in detector.iter_detections(paths, on_error="warn")] == ["silent.wav"]
    assert {one.filename for one in caught} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gone, silent = detector.iter_detections(paths, on_error="keep")
    assert isinstance(gone.error, OSError)
    assert len(gone.timeline) == len(gone.events) == 0
    assert silent.error is None
    assert len(silent.problems) == 1
    assert not silent.usable.any()


def test_progress_may_be_a_function(detector, data):
    heard = []
    list(detector.iter_detections(data[0], progress=heard.append))
    assert sum(heard) == pytest.approx(120)


def test_a_timeline_knows_the_rules_of_its_detector(quick_detector, cry_data):
    detector = copy.deepcopy(quick_detector).set_params(merge_gap=0.0, min_duration=0.0, smooth_duration=1)
    timeline, events = detector.timeline(cry_data[0]), detector.detect(cry_data[0])
    assert len(events) > len(quick_detector.detect(cry_data[0]))
    assert summarize(timeline)["n_bouts"].sum() == len(events)
    truth = timeline["cry"].rename("truth")
    found = cry_minutes(truth, timeline)
    assert found["found"].tolist() == pytest.approx(summarize(timeline)["cry_minutes_per_hour"].tolist())


def test_arrays_at_another_rate_are_told(quick_detector):
    with pytest.warns(UserWarning, match="whole seconds at 44100 Hz"):
        quick_detector.timeline([np.zeros(44100 * 10)])


def test_the_channel_of_open_files_is_that_of_files(quick_detector, cry_data, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.column_stack([np.zeros_like(cry_data[0][0]), cry_data[0][0]]), 16000)
    detector = copy.deepcopy(quick_detector)
    detector.windower_.set_params(channel=1)
    with path.open("rb") as file:
        pd.testing.assert_series_equal(
            detector.timeline([file])["score"], detector.timeline([path])["score"], check_index=False
        )


def test_tables_call_files_by_their_names(quick_detector, cry_data, tmp_path):
    (tmp_path / "two").mkdir()
    for name, y in zip(("a.wav", "two/a.wav"), cry_data[0], strict=False):
        soundfile.write(tmp_path / name, y, 16000)
    paths = [tmp_path / "a.wav", tmp_path / "two" / "a.wav"]
    names = ["a.wav", "two/a.wav"]  # as detect_files calls them
    assert quick_detector.timeline(paths).index.unique("recording").tolist() == names
    assert set(quick_detector.detect(paths)["recording"]) == set(names)
    assert quick_detector.timeline([paths[0], cry_data[0][1]]).index.unique("recording").tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"a.wav is listed twice"):
        quick_detector.timeline([paths[0], paths[0]])
