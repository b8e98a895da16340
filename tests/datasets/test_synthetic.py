"""Synthetic recordings: reproducible, annotated truly, and hard for a threshold on the energy."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from skcry.datasets import make_cry_recordings
from skcry.events import as_annotations, coverage


def crying_seconds(table, duration):
    onset = np.arange(int(duration))
    return coverage(table[["onset", "offset"]].to_numpy(), onset, onset + 1) >= 0.5


@pytest.fixture(scope="module")
def default_set():
    return make_cry_recordings(random_state=0)


def test_default_set(default_set):
    recordings, annotations, groups = default_set
    assert groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    for y, table in zip(recordings, annotations, strict=True):
        assert y.shape == (960000,)
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        assert 0.01 < np.abs(y).max() <= 1
        as_annotations(table, duration=60)
        assert set(table["label"]) == {"cry"}
        assert (table["onset"].to_numpy()[1:] > table["offset"].to_numpy()[:-1]).all()
    share = np.mean([crying_seconds(table, 60) for table in annotations])
    assert 0.2 < share < 0.3


def test_energy_does_not_find_the_cries_but_their_spectrum_does(default_set, sr):
    recordings, annotations, groups = default_set
    edges = np.geomspace(100, 8000, 21)
    frequency = np.fft.rfftfreq(1024, 1 / sr)
    band = np.searchsorted(edges, frequency)
    X, total, high, y, groups_of_seconds = [], [], [], [], []
    for recording, table, group in zip(recordings, annotations, groups, strict=True):
        frames = recording[: 60 * sr].reshape(60, sr)[:, : 31 * 512].reshape(60, 31, 512)
        power = np.abs(np.fft.rfft(frames * np.hanning(512), n=1024)) ** 2
        total.append(power.sum(axis=(1, 2)))
        high.append(power[..., frequency > 350].sum(axis=(1, 2)))
        decibels = np.log10(np.stack([power[..., band == i].sum(axis=-1) for i in range(1, 21)], axis=-1) + 1e-7)
        shape = decibels - decibels.mean(axis=-1, keepdims=True)
        X.append(np.hstack([shape.mean(axis=1), decibels.std(axis=1), np.abs(np.diff(decibels, axis=1)).mean(axis=1)]))
        y.append(crying_seconds(table, 60))
        groups_of_seconds.append(np.full(60, group))
    X, total, high, y, groups = map(np.concatenate, (X, total, high, y, groups_of_seconds))
    forest = RandomForestClassifier(100, min_samples_leaf=2, random_state=0)
    score = cross_val_predict(forest, X, y, groups=groups, cv=GroupKFold(3), method="predict_proba")[:, 1]
    assert average_precision_score(y, total) < 0.5
    assert average_precision_score(y, high) < 0.5
    assert 0.6 < average_precision_score(y, score) < 0.95  # clearly better, with something left to learn


def test_same_seed_same_recordings_however_many():
    some = make_cry_recordings(3, 5, random_state=7)
    more = make_cry_recordings(5, 5, random_state=7)
    other = make_cry_recordings(3, 5, random_state=8)
    for i in range(3):
        assert_array_equal(some[0][i], more[0][i])
        assert some[1][i].equals(more[1][i])
        assert not np.array_equal(some[0][i], other[0][i])


def test_random_state_instance_moves_on():
    random_state = np.random.RandomState(0)
    first, second = (make_cry_recordings(1, 2, random_state=random_state)[0][0] for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("cry_fraction", [0.01, 0.25, 0.6, 0.99])
def test_long_recordings_hold_both(cry_fraction):
    _, annotations, _ = make_cry_recordings(4, 20, cry_fraction=cry_fraction, sr=8000, random_state=0)
    for table in annotations:
        crying = (table["offset"] - table["onset"]).sum()
        assert 1.99 < crying < 18.01


def test_short_recordings_keep_the_proportion():
    recordings, annotations, _ = make_cry_recordings(24, 3, sr=8000, random_state=0)
    assert {len(y) for y in recordings} == {24000}
    assert len(annotations[0]) == 1
    crying = sum((table["offset"] - table["onset"]).sum() for table in annotations)
    assert crying / (24 * 3) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("duration", [3, 20])
def test_no_crying(duration):
    recordings, annotations, _ = make_cry_recordings(2, duration, cry_fraction=0, random_state=0)
    assert [len(table) for table in annotations] == [0, 0]
    assert all(list(table.columns) == ["onset", "offset", "label"] for table in annotations)
    assert all(np.abs(y).max() > 0 for y in recordings)


def test_short_recordings_at_another_rate_of_infants_who_take_turns():
    recordings, _, groups = make_cry_recordings(5, 1.5, n_infants=2, sr=22050, random_state=0)
    assert {y.shape for y in recordings} == {(33075,)}
    assert groups.tolist() == [0, 1, 0, 1, 0]
    assert make_cry_recordings(1, 1, sr=8000, random_state=0)[2].tolist() == [0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_recordings": 0}, "'n_recordings' parameter"),
        ({"duration": 0.5}, "'duration' parameter"),
        ({"sr": 4000}, "'sr' parameter"),
        ({"cry_fraction": 1.0}, "'cry_fraction' parameter"),
        ({"random_state": "seed"}, "'random_state' parameter"),
        ({"n_recordings": 2, "n_infants": 3}, "n_infants=3 must be at most n_recordings=2"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_cry_recordings(**parameters)
