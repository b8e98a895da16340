import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from skcry.detector.pooling import (
    best_f1_threshold,
    false_alarm_threshold,
    recording_score,
    second_log_odds,
    second_scores,
    smooth,
)
from skcry.events import find_events
from skcry.metrics import event_metrics, event_truth, threshold_counts


def test_a_second_is_the_mean_of_the_windows_that_cover_it():
    sr, scores = 10, np.arange(4.0)[:, None]
    start = np.arange(4) * 10
    pooled = second_scores(scores, start, 30, 60, sr)
    np.testing.assert_allclose(pooled[:, 0], [0, 0.5, 1, 2, 2.5, 3])


@pytest.mark.parametrize(("n", "hop"), [(250, 37), (100, 100), (30, 490), (120, 600)])
def test_hops_that_are_no_seconds(rng, n, hop):
    sr, length = 100, 1234
    start = np.arange(0, length - n, hop)
    scores = rng.normal(size=(len(start), 2))
    pooled = second_scores(scores, start, n, length, sr)
    assert pooled.shape == (13, 2)
    for second, value in enumerate(pooled):
        covers = (start < (second + 1) * sr) & (start + n > second * sr)
        distance = np.maximum(second * sr - (start + n), start - (second + 1) * sr)
        expected = scores[covers].mean(axis=0) if covers.any() else scores[distance.argmin()]
        np.testing.assert_allclose(value, expected)


def test_recording_score_is_the_highest_threshold_with_an_event(rng):
    for _ in range(50):
        scores = rng.random(rng.integers(1, 60)).round(2)
        settings = {"merge_gap": rng.integers(0, 4), "min_duration": rng.integers(0, 8), "duration": len(scores)}
        best = recording_score(scores, **settings)
        found = [level for level in np.unique(scores) if len(find_events(scores >= level, **settings))]
        assert best == max(found)


def test_best_threshold_has_the_best_f1(rng):
    truth = rng.random(300) < 0.3
    score = np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1)
    best = f1_score(truth, score >= best_f1_threshold(truth, score))
    assert best == pytest.approx(max(f1_score(truth, score >= level) for level in score))


def test_smoothing_averages_neighbours_and_passes_over_gaps():
    scores = np.array([[0.0], [3.0], [6.0], [np.nan], [9.0]])
    np.testing.assert_array_equal(smooth(scores, 1), scores)
    np.testing.assert_allclose(smooth(scores, 3), [[1.5], [3.0], [4.5], [np.nan], [9.0]])


def test_scores_of_the_middle_stay_in_the_middle():
    scores = np.zeros((6, 1))
    scores[2] = 1.0
    # Windows of 5 s, one each second, in 10 s: the middle second of number 2 is second 4.
    pooled = second_log_odds(scores, False, np.arange(6) * 100, 500, 1000, 100, target_duration=1.0)
    assert pooled[:, 0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert second_log_odds(scores, False, np.arange(6) * 100, 500, 1000, 100)[:, 0].nonzero()[0].tolist() == [
        2,
        3,
        4,
        5,
        6,
    ]
    # In a recording shorter than half a window the middle is its end.
    assert second_log_odds(np.ones((1, 1)), False, np.array([0]), 500, 150, 100, target_duration=1.0).tolist() == [
        [1],
        [1],
    ]


RULES = {"merge_gap": 5.0, "min_duration": 5.0}


def _night(rng, n_seconds=1800, n_cries=6):
    """Scores with crying of 20 s and with other sounds that score as variously."""
    score, cries = rng.random(n_seconds) * 0.1 + 0.01, []
    for place in range(2 * n_cries):
        onset = 60 + place * 140
        score[onset : onset + 20] = rng.random() * 0.5 + (0.4 if place % 2 else 0.2)
        if place % 2:
            cries.append((onset, onset + 20))
    return score, cries


@pytest.mark.parametrize("rate", [0, 2, 3.9, 10])
def test_false_alarm_threshold_is_the_lowest_that_keeps_to_the_rate(rng, rate):
    nights = [_night(rng) for _ in range(2)]
    scores, true = [score for score, _ in nights], event_truth([cries for _, cries in nights])
    threshold = false_alarm_threshold(scores, true, [1800.0, 1800.0], rate, **RULES)
    # Every threshold by the metrics' own table; coming from above, the first with too many is one score lower.
    timeline = pd.concat({i: pd.DataFrame({"score": score}) for i, score in enumerate(scores)})
    timeline.index.names = ["recording", "second"]
    levels = np.unique(timeline["score"])
    curve = event_metrics(threshold_counts(true, timeline, n_thresholds=10**5, **RULES), by="threshold")
    rates = curve["false_alarms_per_hour"].sort_index(ascending=False)
    assert len(rates) == len(levels)
    kept = rates.index[np.cumsum(rates.to_numpy() > rate) == 0]
    assert kept.min() >= threshold > levels[np.searchsorted(levels, kept.min()) - 1]
    assert len(kept) < len(rates)


def test_false_alarms_are_not_avoided_by_one_endless_event(rng):
    score, cries = _night(rng)
    true = event_truth([cries])
    threshold = false_alarm_threshold([score], true, [1800.0], 2.0, **RULES)
    everything = find_events(score >= score.min(), **RULES)
    assert len(everything) == 1  # one false alarm in half an hour keeps to two per hour as well
    assert threshold > 0.15


def test_false_alarm_threshold_above_all_scores(rng):
    score, cries = np.full(600, 0.3), [(100, 120)]
    true = event_truth([cries])
    threshold = false_alarm_threshold([score], true, [600.0], 5.9, **RULES)
    assert threshold == np.nextafter(0.3, 1)
    assert 0 < false_alarm_threshold([score], true, [600.0], 6.0, **RULES) < 0.3  # all keep to it


def test_false_alarm_threshold_takes_few_evaluations(rng, monkeypatch):
    from skcry import decoding

    calls, count = [], decoding.event_counts
    monkeypatch.setattr(decoding, "event_counts", lambda *tables: calls.append(1) or count(*tables))
    score, cries = _night(rng, 20000)
    false_alarm_threshold([score], event_truth([cries]), [20000.0], 0.5, **RULES)
    assert 5 < len(calls) <= 40


def test_certain_background_is_no_alarm():
    score = np.r_[np.zeros(100), np.full(20, 0.8)]
    threshold = false_alarm_threshold([score], event_truth([[(100, 120)]]), [120.0], 1000.0, **RULES)
    assert 0 < threshold < 0.8
