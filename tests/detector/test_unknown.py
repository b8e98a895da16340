"""Time that nobody annotated is neither crying nor background: not in training, threshold, calibration or scores."""

import copy

import numpy as np
import pandas as pd
import pytest
from helpers import make_quick_detector, make_timeline
from sklearn.metrics import average_precision_score

from skcry import Windower
from skcry.events import mark_unknown
from skcry.metrics import (
    cry_minutes,
    event_counts,
    event_metrics,
    event_truth,
    get_scorer,
    match_events,
    second_metrics,
    second_truth,
)

RANGE = (0, 20)  # of recordings of 40 s


@pytest.fixture(scope="module")
def partly(annotations):
    """Annotations of the first half only."""
    halves = [one.assign(offset=one["offset"].clip(upper=RANGE[1]))[one["onset"] < RANGE[1]] for one in annotations]
    return [mark_unknown(one, [RANGE]) for one in halves]


@pytest.mark.parametrize("settings", [{}, {"threshold": "cv"}, {"threshold": "cv", "max_false_alarms": 100.0}])
def test_unknown_sound_is_not_learned_from(recordings, partly, infants, settings):
    fitted = make_quick_detector(**settings).fit(recordings, partly, groups=infants)
    other = []
    for y in recordings:
        y = y.copy()
        y[24 * 16000 :] = y[24 * 16000 :][::-1]  # windows of known time reach 2 s further
        other.append(y)
    same = make_quick_detector(**settings).fit(other, partly, groups=infants)
    np.testing.assert_array_equal(fitted.estimator_[-1].coef_, same.estimator_[-1].coef_)
    if "max_false_alarms" not in settings:
        assert fitted.threshold_ == same.threshold_
    assert fitted.training_["unknown_seconds"] == 6 * 20
    if settings:
        assert len(fitted.left_out_["score"]) == 6 * 20


def test_unknown_crying_is_not_background(recordings, annotations, partly, infants):
    quiet = [one[one["label"] != "unknown"] for one in partly]
    timelines = [make_quick_detector().fit(recordings, y, groups=infants).timeline(recordings) for y in (partly, quiet)]
    crying = second_truth(annotations, timelines[0])
    assert timelines[0]["score"][crying].mean() > timelines[1]["score"][crying].mean() + 0.05


def test_windows_in_unknown_time_have_no_label(recordings, partly):
    X = Windower().fit_transform(recordings)
    with pytest.raises(ValueError, match="windows lie in unknown time"):
        X.label(partly)
    X = X[X.known(partly)]
    assert X.times["start"].max() < RANGE[1]
    assert set(X.label(partly)) == {0, 1}


def test_scores_leave_unknown_time_out(quick_detector, recordings, partly):
    timeline = quick_detector.timeline(recordings)
    truth = second_truth(partly, timeline)
    assert truth.isna().sum() == 6 * 20
    known = truth.notna()
    expected = average_precision_score(truth[known].astype(bool), timeline["score"][known])
    assert quick_detector.score(recordings, partly) == pytest.approx(expected)
    assert get_scorer("second_average_precision")(quick_detector, recordings, partly) == pytest.approx(expected)
    assert second_metrics(truth, timeline)["average_precision"] == pytest.approx(expected)
    assert get_scorer("event_f1")(quick_detector, recordings, partly) > 0


def test_calibration_leaves_unknown_time_out(quick_detector, recordings, partly):
    cut = [y[: RANGE[1] * 16000] for y in recordings]
    levels = [
        copy.deepcopy(quick_detector).calibrate(X, y).level_
        for X, y in ((recordings, partly), (cut, [one[one["label"] != "unknown"] for one in partly]))
    ]
    assert levels[0] == pytest.approx(levels[1], abs=0.1)  # windows at the end of the range hear other sound
    with pytest.raises(ValueError, match="that is not annotated as unknown"):
        quick_detector.calibrate(recordings[:1], [[(0, np.inf, "unknown")]])


def test_other_labels_may_mean_unknown(recordings, annotations, infants):
    doubtful = [[*one.itertuples(index=False, name=None), (30.0, 36.0, "unsure")] for one in annotations]
    detector = make_quick_detector(ignore=("unsure", "POS")).fit(recordings, doubtful, groups=infants)
    assert detector.training_["unknown_seconds"] > 0
    with pytest.raises(ValueError, match=r"stand in positive and in ignore"):
        make_quick_detector(ignore=("cry",)).fit(recordings, doubtful)
    with pytest.raises(ValueError, match="labels recordings as unknown"):
        make_quick_detector().fit(recordings, ["cry", "unknown"] * 3)


def test_false_alarms_in_unknown_time_do_not_count():
    truth = [mark_unknown([(10, 20, "cry")], [(0, 60)])]
    events = event_truth(truth)
    found = pd.DataFrame({"recording": 0, "onset": [11, 40, 55, 100], "offset": [20, 45, 70, 120]})
    counts = event_counts(events, found, [3660.0])
    assert counts.loc[0].to_dict() == {"n_true": 1, "n_found": 3, "n_recalled": 1, "n_correct": 1, "hours": 60 / 3600}
    assert event_metrics(counts)["false_alarms_per_hour"] == pytest.approx(2 * 60)
    true, kept = match_events(events, found)
    assert true["recalled"].tolist() == [True]
    assert kept[["onset", "offset"]].to_numpy().tolist() == [[11, 20], [40, 45], [55, 60]]


def test_minutes_are_of_known_time():
    timeline = make_timeline({"a": np.r_[np.ones(600), np.zeros(3000)]})
    truth = second_truth({"a": mark_unknown([(0, 300, "cry")], [(0, 1800)])}, timeline)
    minutes = cry_minutes(truth, timeline)
    assert minutes.loc["a"].tolist() == pytest.approx([10.0, 20.0])  # 5 and 10 minutes of half an hour


def test_truth_of_other_recordings_is_an_error():
    truth = event_truth({"a.wav": [(0, 9)], "b.wav": []})
    found = pd.DataFrame({"recording": ["b.wav", "c.wav"], "onset": [0.0, 0.0], "offset": [9.0, 9.0]})
    assert event_counts(truth, found[:1])["n_correct"].sum() == 0
    with pytest.raises(ValueError, match=r"nothing for recording 'c.wav' \(1 recordings\)"):
        event_counts(truth, found)
    with pytest.raises(ValueError, match="nothing for recording 'c.wav'"):
        event_counts(truth, found[:1], {"a.wav": 60, "b.wav": 60, "c.wav": 60})
