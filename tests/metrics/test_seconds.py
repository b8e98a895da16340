import numpy as np
import pandas as pd
import pytest
from helpers import make_timeline
from sklearn import metrics as reference

from skcry.metrics import cry_minutes, cry_minutes_metrics, event_truth, second_metrics, second_truth


def scores(n_seconds, *stretches):
    score = np.full(n_seconds, 0.1)
    for onset, offset in stretches:
        score[onset:offset] = 0.9
    return score


def test_truth_of_seconds_counted_by_hand():
    timeline = make_timeline({"a": np.zeros(5), "b": np.zeros(3)})
    annotations = {"b": [(0.2, 0.9), (1.6, 2.0)], "a": [(1.5, 2.5), (4.0, 4.3), (3, 4, "fuss")]}
    truth = second_truth(annotations, timeline)
    assert truth["a"].tolist() == [False, True, True, False, False]
    assert truth["b"].tolist() == [True, False, False]
    both = second_truth(annotations, timeline, positive=("cry", "fuss"))
    assert both["a"].tolist() == [False, True, True, True, False]
    assert second_truth(annotations, timeline, min_overlap=0.3)["b"].tolist() == [True, True, False]
    assert second_truth(annotations, timeline, merge_gap=0.75)["b"].tolist() == [True, True, False]
    # Of a last second of 0.4 s, 0.3 s are crying.
    exact = second_truth(annotations, timeline, durations={"a": 4.4, "b": 3})
    assert exact["a"].tolist() == [False, True, True, False, True]


def test_lists_go_by_place():
    timeline = make_timeline({0: np.zeros(3), 2: np.zeros(2)})  # recording 1 could not be read
    assert second_truth([[(0, 1)], [(0, 9)], [(1, 2)]], timeline).tolist() == [True, False, False, False, True]
    named = make_timeline({"a": np.zeros(3), "b": np.zeros(2)})
    assert second_truth([[(0, 1)], [(1, 2)]], named).tolist() == [True, False, False, False, True]


def test_faulty_annotations_are_errors():
    timeline = make_timeline({"a": np.zeros(3), "b": np.zeros(2)})
    with pytest.raises(ValueError, match="nothing for recording 'b'"):
        second_truth({"a": []}, timeline)
    with pytest.raises(ValueError, match="3 entries, but the timeline 2 recordings"):
        second_truth([[], [], []], timeline)
    with pytest.raises(ValueError, match="recording 'b'.* ends after the recording"):
        second_truth([[], [(1, 5)]], timeline)
    with pytest.raises(ValueError, match=r"neither in positive=\('cry',\)"):
        second_truth([[(0, 1, "cri")], []], timeline, negative="fuss")
    with pytest.raises(ValueError, match="nothing for recording 2"):
        second_truth([[], []], make_timeline({0: np.zeros(3), 2: np.zeros(2)}))
    with pytest.raises(TypeError, match=r"pass \[annotations\]"):
        event_truth(pd.DataFrame({"onset": [0.0], "offset": [1.0]}))


def test_the_numbers_are_those_of_scikit_learn(rng):
    truth = rng.random(300) < 0.3
    timeline = make_timeline({0: np.round(np.clip(0.25 * truth + 0.8 * rng.random(300), 0, 1), 2)})
    found = second_metrics(truth, timeline)
    cry, score = timeline["cry"], timeline["score"]
    expected = {
        "f1": reference.f1_score(truth, cry),
        "precision": reference.precision_score(truth, cry),
        "recall": reference.recall_score(truth, cry),
        "average_precision": reference.average_precision_score(truth, score),
        "roc_auc": reference.roc_auc_score(truth, score),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, cry),
        "cohen_kappa": reference.cohen_kappa_score(truth, cry),
    }
    assert found.to_dict() == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
def test_undefined_values_are_nan_without_a_warning():
    timeline = make_timeline({0: [0.9, 0.1, 0.1]})
    assert second_metrics([], timeline[:0]).isna().all()
    none = second_metrics(np.zeros(3, dtype=bool), timeline)
    assert none.index[none.isna()].tolist() == ["recall", "average_precision", "roc_auc", "balanced_accuracy"]
    assert none["f1"] == 0
    assert none["cohen_kappa"] == 0
    everything = second_metrics(np.ones(3, dtype=bool), timeline)
    assert everything.index[everything.isna()].tolist() == ["roc_auc", "balanced_accuracy"]
    quiet = second_metrics([True, False, False], timeline.assign(cry=False))
    assert quiet.index[quiet.isna()].tolist() == ["precision"]
    assert second_metrics(np.zeros(3, dtype=bool), timeline.assign(cry=False)).notna().sum() == 0
    unscored = second_metrics([True, False, False], timeline[["cry"]])
    assert unscored.index[unscored.isna()].tolist() == ["average_precision", "roc_auc"]
    assert unscored["f1"] == 1


def test_truth_of_other_seconds_is_an_error():
    timeline = make_timeline({0: np.zeros(3), 1: np.zeros(2)})
    truth = second_truth([[], []], timeline)
    with pytest.raises(ValueError, match="not of the same seconds"):
        second_metrics(truth, timeline[::-1])
    with pytest.raises(ValueError, match="not of the same seconds"):
        second_metrics(truth[:3], timeline)
    several = pd.DataFrame({"cry": [0.2, 0.3], "fuss": [0.8, 0.7], "label": ["fuss", "fuss"]})
    with pytest.raises(ValueError, match="more than two classes"):
        second_metrics([True, False], several)


@pytest.mark.parametrize("seed", range(5))
def test_seconds_agree_with_sed_eval(sed_eval, seed):
    rng = np.random.default_rng(seed)
    evaluation = sed_eval.sound_event.SegmentBasedMetrics(["cry"], time_resolution=1.0)
    annotations, score = {}, {}
    for name in ("a", "b"):
        edges = np.sort(rng.uniform(0, 100, size=12)).reshape(-1, 2)
        found = np.sort(rng.choice(100, size=10, replace=False)).reshape(-1, 2)
        annotations[name], score[name] = [tuple(pair) for pair in edges], scores(100, *found)
        lists = [
            [{"event_label": "cry", "event_onset": on, "event_offset": off, "file": name} for on, off in pairs]
            for pairs in (edges, found)
        ]
        evaluation.evaluate(*lists, evaluated_length_seconds=100)
    timeline = make_timeline(score)
    # sed_eval counts a segment that is touched at all.
    found = second_metrics(second_truth(annotations, timeline, min_overlap=1e-9), timeline)
    results = evaluation.results_overall_metrics()
    assert found["f1"] == pytest.approx(results["f_measure"]["f_measure"])
    assert found["precision"] == pytest.approx(results["f_measure"]["precision"])
    assert found["recall"] == pytest.approx(results["f_measure"]["recall"])
    assert found["balanced_accuracy"] == pytest.approx(results["accuracy"]["balanced_accuracy"])


def test_cry_minutes_counted_by_hand():
    timeline = make_timeline({"a": scores(3600, (0, 60), (64, 120), (300, 303)), "b": scores(1800)})
    truth = second_truth({"a": [(0, 100), (104, 164)], "b": [(10, 40)]}, timeline)
    minutes = cry_minutes(truth, timeline)
    # Of "b" there is half an hour; gaps of 4 s are closed on both sides, and what is found loses 3 s.
    assert minutes["true"].tolist() == pytest.approx([164 / 60, 1.0])
    assert minutes["found"].tolist() == pytest.approx([2.0, 0.0])
    plain = cry_minutes(truth, timeline, merge_gap=0, min_duration=0)
    assert plain["true"].tolist() == pytest.approx([160 / 60, 1.0])
    perfect = cry_minutes(truth, timeline.assign(cry=truth))
    assert perfect["true"].tolist() == perfect["found"].tolist()
    error = cry_minutes_metrics(minutes)
    assert error["bias"] == pytest.approx((-44 / 60 - 1) / 2)
    assert error["mean_absolute_error"] == pytest.approx(-error["bias"])
    assert error["correlation"] == pytest.approx(1)


def test_cry_minutes_by_clock_hour_leave_out_silence():
    timeline = make_timeline({"a": scores(7200, (1790, 1830))}).assign(usable=np.arange(7200) < 3600)
    truth = second_truth([[(1700, 1820)]], timeline)
    minutes = cry_minutes(truth, timeline, by="hour", start="2024-05-01 07:30")
    assert minutes.index.get_level_values("hour").hour.tolist() == [7, 8]  # none is usable from 9:00 on
    assert minutes["true"].tolist() == pytest.approx([2 * 100 / 60, 2 * 20 / 60])
    assert minutes["found"].tolist() == pytest.approx([2 * 10 / 60, 2 * 30 / 60])
    with pytest.raises(ValueError, match="not of the same seconds"):
        cry_minutes(truth[:-1], timeline)


def test_correlation_needs_two_rows_that_differ():
    assert np.isnan(cry_minutes_metrics(pd.DataFrame({"true": [1.0], "found": [2.0]}))["correlation"])
    flat = cry_minutes_metrics(pd.DataFrame({"true": [1.0, 1.0], "found": [2.0, 3.0]}))
    assert np.isnan(flat["correlation"])
    assert flat["bias"] == 1.5
    assert cry_minutes_metrics(pd.DataFrame({"true": [], "found": []})).isna().all()
