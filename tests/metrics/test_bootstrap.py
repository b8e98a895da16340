import numpy as np
import pandas as pd
import pytest
from helpers import make_timeline

from skcry.metrics import bootstrap_interval, second_metrics


def mean(values):
    return float(np.mean(values))


def test_whole_groups_are_drawn():
    seen = set()

    def metric(values, table):
        np.testing.assert_array_equal(values, table["value"])
        numbers, counts = np.unique(values, return_counts=True)
        # Each group comes with all of its rows, as often as it was drawn.
        assert all(count % (number + 1) == 0 for number, count in zip(numbers, counts, strict=True))
        seen.add(tuple(numbers))
        return mean(values)

    values = np.array([2, 0, 1, 2, 1, 2])
    groups = np.array(["cem", "ada", "ben", "cem", "ben", "cem"])
    bootstrap_interval(metric, values, pd.DataFrame({"value": values}), groups=groups, random_state=0)
    assert len(seen) == 7


def test_intervals_cover_what_they_promise():
    rng = np.random.default_rng(0)
    n_groups, n_rows, n_trials = 20, 30, 200
    groups = np.repeat(np.arange(n_groups), n_rows)
    covered, by_row = [], []
    for _ in range(n_trials):
        values = np.repeat(rng.normal(size=n_groups), n_rows) + 0.3 * rng.normal(size=n_groups * n_rows)
        low, high = bootstrap_interval(mean, values, groups=groups, n_resamples=150, random_state=rng.integers(1000))
        covered.append(low <= 0 <= high)
        spread = 1.645 * values.std() / np.sqrt(len(values))  # what a bootstrap over rows gives
        by_row.append(abs(values.mean()) <= spread)
    assert 0.8 <= np.mean(covered) <= 0.95
    assert np.mean(by_row) < 0.4


def test_a_level_is_a_level_and_a_seed_a_seed(rng):
    values = rng.normal(size=60)
    groups = np.arange(60) // 3
    wide = bootstrap_interval(mean, values, groups=groups, level=0.99, random_state=0)
    narrow = bootstrap_interval(mean, values, groups=groups, level=0.5, random_state=0)
    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]
    assert narrow == bootstrap_interval(mean, values.tolist(), groups=list(groups), level=0.5, random_state=0)


def test_undefined_resamples_are_left_out_and_counted():
    timeline = make_timeline({"a": [0.9, 0.2], "b": [0.6, 0.1], "c": [0.2, 0.1]})
    recording = timeline.index.get_level_values("recording")

    def recall(truth, timeline):
        return second_metrics(truth, timeline)["recall"]

    truth = pd.Series([True, False, False, False, False, False], index=timeline.index)
    with pytest.warns(UserWarning, match=r"\d+ of 200 resamples are left out") as caught:
        interval = bootstrap_interval(recall, truth, timeline, groups=recording, n_resamples=200, random_state=0)
    assert interval == (1.0, 1.0)
    left_out = int(str(caught[0].message).split()[0])
    assert left_out == pytest.approx(200 * (2 / 3) ** 3, rel=0.4)
    with pytest.warns(UserWarning, match="20 of 20"):
        assert np.isnan(bootstrap_interval(recall, truth & False, timeline, groups=recording, n_resamples=20)).all()


def test_faulty_groups_are_errors():
    with pytest.raises(ValueError, match="at least 2 recordings or infants"):
        bootstrap_interval(mean, [1, 2], groups=["a", "a"])
    with pytest.raises(ValueError, match="1 rows have none"):
        bootstrap_interval(mean, [1, 2], groups=["a", None])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        bootstrap_interval(mean, [1, 2, 3], groups=["a", "b"])


def test_groups_are_looked_up_by_name():
    recall = pd.Series([0.0, 1.0, 2.0, 5.6], index=pd.Index(["d", "c", "b", "a"], name="recording"))
    infants = {"a": "Ada", "b": "Ben", "c": "Ben", "d": "Cem"}
    expected = bootstrap_interval(np.mean, recall, groups=["Cem", "Ben", "Ben", "Ada"], random_state=0)
    for groups in (infants, pd.Series(infants), pd.Series(infants)[::-1]):
        assert bootstrap_interval(np.mean, recall, groups=groups, random_state=0) == expected
    by_second = pd.concat({name: pd.Series([value] * 3) for name, value in recall.items()}, names=["recording", "s"])
    assert bootstrap_interval(np.mean, by_second, groups=infants, random_state=0) == pytest.approx(expected)
    for groups, arrays, message in (
        ({"a": "Ada"}, recall, r"nothing for 'd' \(3 of 4 rows\)"),
        (infants, recall.to_numpy(), "no array has an index"),
    ):
        with pytest.raises(ValueError, match=message):
            bootstrap_interval(np.mean, arrays, groups=groups)
