import numpy as np
import pytest

from skcry.detector.pooling import SecondScorer, recording_score, second_scores, smooth
from skcry.events import find_events


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


def test_smoothing_averages_neighbours_and_passes_over_gaps():
    scores = np.array([[0.0], [3.0], [6.0], [np.nan], [9.0]])
    np.testing.assert_array_equal(smooth(scores, 1), scores)
    np.testing.assert_allclose(smooth(scores, 3), [[1.5], [3.0], [4.5], [np.nan], [9.0]])


def test_scores_of_the_middle_stay_in_the_middle():
    def pool(scores, start, length, target_duration=None):
        about = {"n_scores": 1, "window_length": 500, "sr": 100, "smooth_duration": 1}
        scorer = SecondScorer(None, "decision_function", target_duration=target_duration, **about)
        return scorer.pool(scores, start, length)[:, 0].tolist()

    scores = np.zeros((6, 1))
    scores[2] = 1.0
    # Windows of 5 s, one each second, in 10 s: the middle second of number 2 is second 4.
    assert pool(scores, np.arange(6) * 100, 1000, 1.0) == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert np.flatnonzero(pool(scores, np.arange(6) * 100, 1000)).tolist() == [2, 3, 4, 5, 6]
    # In a recording shorter than half a window the middle is its end.
    assert pool(np.ones((1, 1)), np.array([0]), 150, 1.0) == [1, 1]
