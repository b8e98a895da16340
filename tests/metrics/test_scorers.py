import pickle
import warnings

import numpy as np
import pytest
from helpers import make_quick_detector
from sklearn import config_context
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate

from skcry import StatFeatures, summarize
from skcry.metrics import (
    cry_minutes,
    cry_minutes_metrics,
    event_counts,
    event_metrics,
    event_truth,
    get_scorer,
    get_scorer_names,
    recall_at_false_alarms,
    second_metrics,
    second_truth,
    threshold_counts,
)


def test_every_name_gives_what_the_functions_give(quick_detector, cry_data):
    recordings, annotations, _ = cry_data
    scores = get_scorer(get_scorer_names())(quick_detector, recordings, annotations)
    timeline, events = quick_detector.timeline(recordings), event_truth(annotations)
    truth = second_truth(annotations, timeline)
    expected = second_metrics(truth, timeline).add_prefix("second_").to_dict()
    rates = event_metrics(event_counts(events, quick_detector.detect(recordings), [40] * 6))
    expected |= {f"event_{name}": rates[name] for name in ("f1", "precision", "recall")}
    minutes = cry_minutes_metrics(cry_minutes(second_truth(annotations, timeline, merge_gap=5), timeline))
    expected |= {
        "neg_false_alarms_per_hour": -rates["false_alarms_per_hour"],
        "recall_at_false_alarms": recall_at_false_alarms(threshold_counts(events, timeline)),
        "neg_cry_minutes_error": -minutes["mean_absolute_error"],
        "cry_minutes_correlation": minutes["correlation"],
    }
    assert scores == pytest.approx(expected)
    assert all(isinstance(score, float) for score in scores.values())
    assert get_scorer("event_f1")(quick_detector, recordings, annotations) == scores["event_f1"]
    assert 0.3 < scores["second_f1"] < 1


def test_average_precision_is_the_score_of_the_detector(quick_detector, cry_data, sr):
    recordings, annotations = [cry_data[0][0][: int(20.3 * sr)], cry_data[0][1]], [[(12, 20.3)], cry_data[1][1]]
    score = get_scorer("second_average_precision")(quick_detector, recordings, annotations)
    assert score == pytest.approx(quick_detector.score(recordings, annotations))


def test_options_reach_the_matching(quick_detector, cry_data):
    recordings, annotations, _ = cry_data
    scores = [
        get_scorer("event_f1", **options)(quick_detector, recordings, annotations)
        for options in ({}, {"matching": "iou"}, {"matching": "collar", "onset_collar": 0.01, "offset_collar": 0.01})
    ]
    assert scores[0] >= scores[1] > scores[2]
    sharp, lax = (
        get_scorer("recall_at_false_alarms", rate=rate)(quick_detector, recordings, annotations) for rate in (0, 1e6)
    )
    assert sharp <= lax
    assert lax > 0


@pytest.mark.parametrize("routing", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_search_over_recordings_in_two_processes(cry_data, routing):
    recordings, annotations, infants = cry_data
    with config_context(enable_metadata_routing=routing):
        search = GridSearchCV(
            make_quick_detector(),
            {"merge_gap": [0, 5], "threshold": [0.3, 0.99], "target_duration": [None]},
            scoring=get_scorer(["event_f1", "second_f1", "neg_cry_minutes_error"]),
            refit="second_f1",
            cv=GroupKFold(2),
            n_jobs=2,
            error_score="raise",
        ).fit(recordings, annotations, groups=infants)
    results = search.cv_results_
    assert np.isfinite(results["mean_test_event_f1"]).all()
    assert (results["mean_test_neg_cry_minutes_error"] < 0).all()
    assert search.best_params_["threshold"] == 0.3
    # The truth stays the same, whatever gaps the detector closes.
    assert len(set(results["mean_test_second_f1"].round(9))) == 2
    # A search is a detector, too.
    assert get_scorer("second_f1")(search, recordings, annotations) > 0.3


def test_one_name_or_a_dict_of_them(cry_data):
    recordings, annotations, infants = cry_data
    options = {"groups": infants, "cv": GroupKFold(2), "error_score": "raise"}
    single = cross_val_score(
        make_quick_detector(), recordings, annotations, scoring=get_scorer("second_roc_auc"), **options
    )
    scoring = {"auc": get_scorer("second_roc_auc"), "recall_at_60": get_scorer("recall_at_false_alarms", rate=60)}
    several = cross_validate(make_quick_detector(), recordings, annotations, scoring=scoring, **options)
    np.testing.assert_array_equal(several["test_auc"], single)
    assert several["test_recall_at_60"].shape == (2,)


def test_scorers_can_be_pickled(quick_detector, cry_data):
    scorer = pickle.loads(pickle.dumps(get_scorer(("second_f1", "event_f1"), merge_gap=2)))
    assert scorer == get_scorer(("second_f1", "event_f1"), merge_gap=2)
    assert scorer(quick_detector, cry_data[0], cry_data[1]).keys() == {"second_f1", "event_f1"}


def test_recordings_are_scored_once(quick_detector, cry_data, monkeypatch):
    n_windows, transform = [], StatFeatures.transform
    monkeypatch.setattr(StatFeatures, "transform", lambda self, X: n_windows.append(len(X)) or transform(self, X))
    quick_detector.timeline(cry_data[0])
    expected = sum(n_windows)
    n_windows.clear()
    get_scorer(get_scorer_names())(quick_detector, cry_data[0], cry_data[1])
    assert sum(n_windows) == expected > 0


def test_what_is_undefined_is_a_number_and_says_why(quick_detector, cry_data):
    with pytest.warns(UndefinedMetricWarning, match=r"second_recall is undefined .* 0 are annotated as \('cry',\)"):
        assert get_scorer("second_recall")(quick_detector, cry_data[0][:1], [[]]) == 0.0
    with pytest.warns(UndefinedMetricWarning, match=r"second_roc_auc is undefined .* and set to 0.5"):
        assert get_scorer("second_roc_auc")(quick_detector, cry_data[0][:1], [[]]) == 0.5
    found = summarize(quick_detector.timeline(cry_data[0][:1]), merge_gap=0, min_duration=0)["cry_minutes_per_hour"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert get_scorer("neg_cry_minutes_error")(quick_detector, cry_data[0][:1], [[]]) == pytest.approx(-found[0])
    assert found[0] > 0


def test_labels_that_the_detector_keeps_apart(cry_data):
    recordings, annotations, _ = cry_data
    named = [table.assign(label="scream") for table in annotations]
    named[0] = named[0].assign(label="fuss")
    detector = make_quick_detector(positive=None, negative="silence").fit(recordings[1:], named[1:])
    assert detector.classes_.tolist() == ["scream", "silence"]
    score = get_scorer("second_average_precision")(detector, recordings, named)
    assert score == pytest.approx(detector.score(recordings, named))
    several = make_quick_detector(positive=None).fit(recordings, named)
    with pytest.raises(ValueError, match=r"has the classes \['background', 'fuss', 'scream'\]"):
        get_scorer("second_f1")(several, recordings, named)
    timeline = several.timeline(recordings)
    truth = second_truth(named, timeline, positive="scream")
    expected = average_precision_score(truth, timeline["scream"])
    scorer = get_scorer(["second_average_precision", "second_f1", "event_f1"], label="scream")
    found = scorer(several, recordings, named)
    assert found["second_average_precision"] == pytest.approx(expected)
    assert found["second_f1"] == pytest.approx(f1_score(truth, timeline["label"] == "scream"))
    assert 0 < found["event_f1"] <= 1
    for other in (several, detector):
        with pytest.raises(ValueError, match="label='whine' must be one of several classes"):
            get_scorer("second_f1", label="whine")(other, recordings, named)


def test_misuse_is_told(quick_detector, cry_data):
    recordings, annotations, _ = cry_data
    for labels in ([0, 1] * 3, np.array(["cry", "other"] * 3)):
        with pytest.raises(TypeError, match="annotations are a DataFrame") as caught:
            get_scorer("second_f1")(quick_detector, recordings, labels)
        assert "scoring='f1'" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="has no timeline .* Pass a CryDetector"):
        get_scorer("second_f1")(LogisticRegression(), recordings, annotations)
    with pytest.raises(NotFittedError):
        get_scorer("second_f1")(make_quick_detector(), recordings, annotations)
    with pytest.raises(ValueError, match="ends after the recording"):
        get_scorer("event_f1")(quick_detector, recordings[:1], [[(30, 50)]])
    with pytest.raises(ValueError, match="'f1' is not the name of a scorer.*'event_f1'"):
        get_scorer("f1")
    with pytest.raises(ValueError, match="not the name of a scorer"):
        get_scorer([])
    with pytest.raises(ValueError, match="'matching' parameter"):
        get_scorer("event_f1", matching="best")
