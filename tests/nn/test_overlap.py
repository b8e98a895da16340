"""Networks compute once what overlapping windows share, with the results of each window alone."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skcry import AlexNetClassifier, FrameCNNClassifier, MelSpectrogram, Windower
from skcry.nn import AlexNet
from skcry.nn.overlap import Stretches

HOPS = [0.2, 0.5, 1.0, 2.0, 0.25, 5.0]
ABSOLUTE = {"n_mels": 40, "ref": 1.0, "top_db": None}


def spectrograms(durations, hop=1.0, **settings):
    """Windows of noise whose level changes, one recording of each duration in seconds."""
    rng = np.random.default_rng(0)
    sound = [rng.normal(size=int(16000 * d)) * rng.uniform(0.01, 1, int(16000 * d)) ** 4 for d in durations]
    sound = [(y * np.linspace(0.01, 1, len(y))).astype(np.float32) for y in sound]
    return MelSpectrogram(**{**ABSOLUTE, **settings}).fit_transform(Windower(hop_duration=hop).fit_transform(sound))


@pytest.fixture(scope="module")
def net():
    """Fitted to any hop; not to be changed."""
    X = spectrograms([20])
    net = AlexNetClassifier(width=1 / 16, max_epochs=3, early_stopping=False, precision="float32", random_state=0)
    return net.fit(X, np.arange(len(X)) % 2)


@pytest.fixture
def heard(monkeypatch):
    """Shapes of what the first layer of AlexNet computes."""
    shapes, original = [], AlexNet._convolve

    def spy(self, x, first=0, last=None, step=0):
        if first == 0:
            shapes.append(tuple(x.shape))
        return original(self, x, first, last, step)

    monkeypatch.setattr(AlexNet, "_convolve", spy)
    return shapes


def assert_same(found, expected, rtol=1e-4):
    assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("hop", HOPS)
def test_overlapping_windows_give_what_each_gives_alone(net, hop):
    X = spectrograms([13, 5, 3, 9.3], hop)
    alone = net.transform(np.asarray(X))
    assert alone.std(axis=0).max() > 1e-3
    assert_same(net.transform(X), alone)
    assert_same(net.predict_proba(X), net.predict_proba(np.asarray(X)))
    assert_array_equal(net.transform(X), net.transform(X))
    assert_same(np.concatenate([net.transform(X[[row]]) for row in range(0, len(X), 5)]), alone[::5])


@pytest.mark.parametrize("hop", [0.2, 1.0])
def test_any_rows_in_any_order(net, hop):
    X = spectrograms([16, 7, 12], hop)
    alone = net.decision_function(np.asarray(X))
    rng = np.random.default_rng(1)
    gap = np.flatnonzero((X.times["start"] < 2) | (X.times["start"] > 6))
    for rows in (rng.permutation(len(X)), rng.choice(len(X), 9), gap, np.arange(len(X))[::-1], [2, 2, 3], [0]):
        assert_same(net.decision_function(X[rows]), alone[rows])


def test_float64_and_bfloat16(net):
    X = spectrograms([12])
    wide = X.map(lambda track: track.astype(np.float64))
    assert net.transform(wide).dtype == np.float64
    assert_same(net.transform(wide), net.transform(np.asarray(wide)), 1e-12)
    expected = net.predict_proba(X)
    try:
        assert_allclose(net.set_params(precision="bfloat16").predict_proba(X), expected, atol=0.05)
    finally:
        net.set_params(precision="float32")


def test_each_frame_is_heard_once(net, heard):
    X = spectrograms([30, 9])
    net.predict(X)
    assert heard == [(1, 1, 195, 25 * 40 + 200 + 4 * 40 + 198)]  # 26 and 5 windows, on one axis
    heard.clear()
    net.predict(np.asarray(X))
    assert heard == [(len(X), 1, 195, 195)]


def test_long_recordings_go_in_stretches_of_bounded_size(net, heard, monkeypatch):
    X = spectrograms([60, 8, 8, 40])
    expected = net.transform(X)
    assert max(shape[3] for shape in heard) > 500
    heard.clear()
    monkeypatch.setattr("skcry.nn.overlap.STRETCH_FRAMES", 500)
    assert_same(net.transform(X), expected)
    assert max(shape[3] for shape in heard) <= 500
    assert len(heard) > 5
    heard.clear()
    monkeypatch.setattr("skcry.nn.overlap.STRETCH_FRAMES", 1)
    assert_same(net.transform(X), expected)
    assert max(shape[3] for shape in heard) == 198


@pytest.mark.parametrize("settings", [{"ref": "window"}, {"top_db": 80.0}])
def test_windows_with_a_level_of_their_own_are_computed_one_by_one(net, heard, settings):
    X = spectrograms([12], **settings)
    assert_array_equal(net.transform(X), net.transform(np.asarray(X)))
    assert heard == 2 * [(len(X), 1, 195, 195)]


def test_windows_that_do_not_overlap_and_short_ones_are_computed_one_by_one(net, heard, rng):
    X = spectrograms([20, 5, 3], hop=5.0)
    assert_array_equal(net.transform(X), net.transform(np.asarray(X)))
    assert heard == 2 * [(len(X), 1, 195, 195)]
    short = MelSpectrogram(**ABSOLUTE).fit_transform(Windower(2.0).fit_transform([rng.normal(size=16000 * 5)]))
    net = AlexNetClassifier(width=1 / 32, max_epochs=1, early_stopping=False).fit(short, np.arange(len(short)) % 2)
    assert_array_equal(net.transform(short), net.transform(np.asarray(short)))


def test_a_network_without_shared_layers():
    X = spectrograms([12])
    net = FrameCNNClassifier(width=0.25, min_steps=2, max_epochs=1, random_state=0).fit(X, np.arange(len(X)) % 2)
    assert_array_equal(net.transform(X), net.transform(np.asarray(X)))


def test_stretches_hold_the_windows():
    X = spectrograms([13, 5, 7], 0.5)
    X = X[np.random.default_rng(0).permutation(len(X))]
    stretches = Stretches(X)
    assert stretches.step == 20
    seen = []
    for rows, frames, place in stretches:
        assert not (place % 20).any()
        for row, first in zip(rows, place, strict=True):
            assert_array_equal(frames[:, first : first + 198], X[row])
        seen.extend(rows)
    assert sorted(seen) == list(range(len(X)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_overlapping_windows_on_a_gpu(net):
    X = spectrograms([13, 9])
    expected = net.transform(X)
    try:
        assert_allclose(net.set_params(device="cuda").transform(X), expected, rtol=1e-2, atol=1e-3)
    finally:
        net.set_params(device="auto")
