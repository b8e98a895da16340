import copy
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skcry import AlexNetClassifier, FrameCNNClassifier, MelSpectrogram, Windower, Windows
from skcry.nn import AlexNet
from skcry.nn.base import multiplies_bfloat16
from skcry.nn.training_data import SpectrogramDataset, grouped_split, spread

SMALL = {
    "width": 1 / 32,
    "max_epochs": 3,
    "lr": 0.01,
    "batch_size": 16,
    "random_state": 0,
    "early_stopping": False,
    "precision": "float32",
}
SEED = np.random.RandomState(0).randint(2**31 - 1)  # that `random_state=0` draws for the split
GROUPS = np.repeat(np.arange(12), 4)


def small(**changes):
    return AlexNetClassifier(**{**SMALL, **changes})


def dtypes(net):
    return {weight.dtype for weight in net.net_.module_.parameters()}


@pytest.fixture(scope="module")
def images():
    y = np.repeat([0, 1], 24)
    X = np.random.default_rng(0).normal(size=(48, 30, 40)).astype(np.float32)
    X[y == 1, 10:20] += 2
    return X, y


@pytest.fixture(scope="module")
def fitted(images):
    """A network that learned the images; not to be changed."""
    return small(max_epochs=6).fit(*images)


@pytest.fixture
def spectrograms(chirps, chirp_annotations):
    X = Windower().fit_transform(chirps)
    return MelSpectrogram(n_mels=40).fit_transform(X), X.label(chirp_annotations)


def test_learns_and_predicts_the_same_twice(images, fitted):
    X, y = images
    assert fitted.score(X, y) > 0.9
    p = fitted.predict_proba(X)
    assert_array_equal(fitted.predict_proba(X), p)
    assert_allclose(p.sum(axis=1), 1)
    assert_array_equal(fitted.predict(X), (fitted.decision_function(X) > 0).astype(int))
    assert fitted.transform(X).shape == (48, len(fitted.get_feature_names_out()))


def test_random_state_makes_training_repeatable(images, fitted):
    X, y = images
    torch.manual_seed(1)  # another state than at the first fit
    expected = fitted.decision_function(X)
    assert_array_equal(clone(fitted).fit(X, y).decision_function(X), expected)
    assert not np.array_equal(clone(fitted).set_params(random_state=1).fit(X, y).decision_function(X), expected)


def test_training_does_not_change_torchs_random_state(images):
    before = torch.random.get_rng_state()
    small(max_epochs=1).fit(*images)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_predictions_do_not_depend_on_neighbours_or_order(images, fitted):
    X, _ = images
    whole = fitted.decision_function(X)
    assert_allclose(fitted.decision_function(X[5:6]), whole[5:6], atol=1e-5)
    assert_allclose(fitted.decision_function(X[::-1]), whole[::-1], atol=1e-5)
    assert_allclose(fitted.transform(X[3:9]), fitted.transform(X)[3:9], atol=1e-5)


def test_windows_and_arrays_give_the_same(spectrograms):
    X, y = spectrograms
    net = small().fit(X, y, groups=np.arange(len(y)))
    other = small().fit(np.asarray(X), y)
    assert_array_equal(net.decision_function(X), other.decision_function(np.asarray(X)))
    assert net.transform(X).dtype == np.float32
    assert net.transform(np.asarray(X, dtype=np.float64)).dtype == np.float64


def test_training_reads_batches_of_windows(spectrograms, monkeypatch):
    X, y = spectrograms
    sizes = []
    original = type(X).__array__

    def spy(self, *args, **kwargs):
        sizes.append(len(self))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(type(X), "__array__", spy)
    monkeypatch.setattr("skcry.nn.base.PREDICT_BATCH", 4)
    small(batch_size=5, max_epochs=1).fit(X, y).predict(X)
    assert 0 < max(sizes) <= 5 < len(X)


class Stored:
    """A track that is no array, and can only be read a stretch at a time."""

    def __init__(self, track):
        self.track, self.shape, self.dtype = track, track.shape, track.dtype

    def __getitem__(self, key):
        assert key[0] is Ellipsis
        assert key[1].stop - key[1].start <= 198
        return np.array(self.track[key])


@pytest.mark.parametrize(
    "net", [small(early_stopping=True), FrameCNNClassifier(width=0.25, max_epochs=1, min_steps=1, random_state=0)]
)
@pytest.mark.parametrize("settings", [{}, {"ref": 1.0, "top_db": None}])
def test_training_reads_stored_tracks_at_random_and_predictions_go_by_blocks(
    chirps, chirp_annotations, monkeypatch, net, settings
):
    X = Windower().fit_transform(chirps)
    y = X.label(chirp_annotations)
    X, calls = MelSpectrogram(n_mels=40, **settings).fit_transform(X), []
    expected = [clone(net).fit(X, y, groups=np.arange(len(y)))]
    expected += [expected[0].transform(X), expected[0].predict_proba(X)]

    def stored(self):
        calls.append("stored")
        return self._replace(_tracks=tuple(map(Stored, self._tracks)))

    def by_blocks(X, function, *, remember):
        calls.append(remember)
        return np.concatenate([function(X[first : first + 5]) for first in range(0, len(X), 5)])

    monkeypatch.setattr(Windows, "stored", stored)
    monkeypatch.setattr("skcry.nn.base.tabulate", by_blocks)
    found = clone(net).fit(X, y, groups=np.arange(len(y)))
    assert (found.mean_, found.history_) == (expected[0].mean_, expected[0].history_)
    assert_allclose(found.transform(X), expected[1], atol=1e-5)
    assert_allclose(found.predict_proba(X), expected[2], atol=1e-5)
    assert calls == ["stored", False, False]


def test_level_of_many_windows_comes_from_some_of_them(images, monkeypatch):
    X, y = images
    monkeypatch.setattr("skcry.nn.base.STANDARDISED", 10)
    net = small(max_epochs=1).fit(X, y)
    some = X[[0, 5, 10, 15, 20, 26, 31, 36, 41, 47]]
    assert (net.mean_, net.scale_) == pytest.approx((some.mean(dtype=float), some.std(dtype=float)), rel=1e-6)


@pytest.mark.parametrize(("max_steps", "n_epochs", "n_drawn"), [(12, 4, 12), (10, 4, 8), (3, 3, 4)])
def test_epochs_at_the_budget_of_steps(images, monkeypatch, max_steps, n_epochs, n_drawn):
    X, y = images
    rows = {True: [], False: []}  # in training, and in validation
    original = SpectrogramDataset.__getitems__

    def spy(self, places):
        rows[self.augment is not None].extend(self.rows[places].tolist())
        return original(self, places)

    monkeypatch.setattr(SpectrogramDataset, "__getitems__", spy)
    settings = {"early_stopping": True, "batch_size": 4, "max_epochs": 4, "patience": 10}
    net = small(max_steps=max_steps, **settings).fit(X, y, groups=GROUPS)
    assert len(net.history_) == n_epochs
    assert all("valid_loss" in row for row in net.history_)
    train, valid = grouped_split(y, GROUPS, 0.2, SEED)
    drawn = np.reshape(rows[True], (n_epochs, n_drawn))
    assert {len(set(epoch)) for epoch in drawn.tolist()} == {n_drawn}  # no window twice in an epoch
    assert len({frozenset(epoch) for epoch in drawn.tolist()}) == n_epochs
    assert set(drawn.ravel()) <= set(train)
    validated = np.reshape(rows[False], (n_epochs, min(n_drawn, len(valid))))
    assert (validated == validated[0]).all()
    assert set(validated[0]) <= set(valid)
    if n_drawn < len(valid):
        assert set(y[validated[0]]) == set(y)
        assert set(GROUPS[validated[0]]) == set(GROUPS[valid])


def test_a_budget_that_suffices_changes_nothing(images, fitted):
    X, y = images
    for max_steps in (None, 18):
        net = clone(fitted).set_params(max_steps=max_steps).fit(X, y)
        assert_array_equal(net.predict_proba(X), fitted.predict_proba(X))


def test_rows_are_spread_evenly():
    rows = np.arange(100, 200)
    assert_array_equal(spread(rows, 100), rows)
    assert_array_equal(spread(rows, 4), [100, 133, 166, 199])


def test_networks_saved_before_there_was_a_budget(images, fitted):
    state = {name: value for name, value in fitted.__getstate__().items() if name != "max_steps"}
    old = AlexNetClassifier.__new__(AlexNetClassifier)
    old.__setstate__(state)
    assert old.get_params() == fitted.get_params()
    assert_array_equal(old.predict(images[0]), fitted.predict(images[0]))


def test_early_stopping_restores_the_best_weights(images):
    X, y = images
    y = np.random.default_rng(0).permutation(y)  # nothing to learn: the loss of left-out groups soon rises
    # Several batches of validation, some of one class: their loss is that of all rows at once.
    net = small(early_stopping=True, max_epochs=30, patience=3, batch_size=3).fit(X, y, groups=GROUPS)
    losses = [row["valid_loss"] for row in net.history_]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    assert len(losses) < 30
    _, valid = grouped_split(y, GROUPS, 0.2, SEED)
    p = net.predict_proba(X[valid])[np.arange(len(valid)), y[valid]]
    counts = np.bincount(np.delete(y, valid))
    weight = (counts.sum() / (2 * counts))[y[valid]]
    assert np.mean(weight * -np.log(p)) == pytest.approx(losses[best], rel=1e-4)


def test_groups_are_never_split(rng):
    for _ in range(20):
        groups = rng.integers(0, 8, size=100)
        y = rng.integers(0, 3, size=100)
        train, valid = grouped_split(y, groups, 0.2, int(rng.integers(100)))
        assert not set(groups[train]) & set(groups[valid])
        assert set(y[train]) == set(y[valid]) == {0, 1, 2}


def test_warning_if_groups_are_too_few_for_early_stopping(images):
    X, y = images
    with pytest.warns(UserWarning, match="Early stopping is off: 1 groups cannot be split"):
        net = small(early_stopping=True).fit(X, y, groups=np.zeros(48))
    assert len(net.history_) == 3
    with pytest.warns(UserWarning, match="Early stopping is off"):
        small(early_stopping=True, max_epochs=1).fit(X, y, groups=y)


def test_validation_rows_do_not_change_training(images):
    X, y = images
    _, valid = grouped_split(y, GROUPS, 0.2, SEED)
    other = X.copy()
    other[valid] = other[valid] * 3 + 100
    nets = [small(early_stopping=True, patience=50).fit(data, y, groups=GROUPS) for data in (X, other)]
    assert nets[0].mean_ == nets[1].mean_
    assert [row["train_loss"] for row in nets[0].history_] == [row["train_loss"] for row in nets[1].history_]


def test_masks_apply_in_training_only(images):
    X, y = images
    plain = SpectrogramDataset(X, y, np.arange(5, 48), 0.0, 1.0)
    assert_array_equal(plain.__getitems__([0, 3])[0][:, 0], X[[5, 8]])
    masked = SpectrogramDataset(X, y, np.arange(48), 0.0, 1.0, augment=lambda x: 0 * x)
    assert not masked[0][0].any()
    with_masks, without = (small(max_epochs=1, time_mask=t, freq_mask=t).fit(X, y) for t in (0.5, 0))
    assert not np.array_equal(with_masks.predict_proba(X), without.predict_proba(X))


def test_any_labels_and_more_than_two_classes(images):
    X, _ = images
    names = np.array(["cry", "fuss", "quiet"])[np.arange(48) % 3]
    net = small(early_stopping=True).fit(X, names, groups=np.arange(48) // 6)
    assert net.classes_.tolist() == ["cry", "fuss", "quiet"]
    assert set(net.predict(X)) <= set(names)
    assert net.decision_function(X).shape == net.predict_proba(X).shape == (48, 3)


def test_class_weight(images):
    X, y = images[0][12:], images[1][12:]
    weights = ({0: 20, 1: 1}, "balanced", {0: 1, 1: 20})
    nets = [small(class_weight=weight, max_epochs=2).fit(X, y) for weight in weights]
    shares = [net.predict_proba(X)[:, 1].mean() for net in nets]
    assert shares[0] < shares[1] < shares[2]


def test_weight_decay_reaches_the_optimizer(images):
    heavy, light = (small(weight_decay=decay, lr=0.01).fit(*images).net_.module_ for decay in (10.0, 0.0))
    assert heavy.fc2.weight.abs().mean() < 0.5 * light.fc2.weight.abs().mean()


def test_pickles_hold_weights_and_little_else_and_load_in_a_new_process(images, tmp_path):
    X, y = images
    net = small(early_stopping=True, width=1 / 8, max_epochs=2).fit(X, y)
    expected = net.predict_proba(X)
    n_bytes = sum(value.numel() * value.element_size() for value in net.net_.module_.state_dict().values())
    path = tmp_path / "net.joblib"
    joblib.dump(net, path)
    assert path.stat().st_size < 1.2 * n_bytes + 50_000
    assert_array_equal(joblib.load(path).predict_proba(X), expected)
    assert_array_equal(pickle.loads(pickle.dumps(net)).transform(X), net.transform(X))
    assert {weight.device.type for weight in net.net_.module_.parameters()} == {"cpu"}
    assert net.net_.device == "cpu"
    np.save(tmp_path / "X.npy", X)
    code = "import sys, joblib, numpy; print(joblib.load(sys.argv[1]).predict_proba(numpy.load(sys.argv[2])).tolist())"
    command = [sys.executable, "-c", code, path, tmp_path / "X.npy"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert_allclose(eval(out.stdout), expected, atol=1e-6)


def test_half_pickles_predict_the_same_before_and_after(images):
    X, y = images
    plain, half = (small(width=1 / 8, weight_dtype=name).fit(X, y) for name in ("float32", "float16"))
    data = pickle.dumps(half)
    assert len(data) < 0.6 * len(pickle.dumps(plain))
    again = pickle.loads(data)
    assert dtypes(half) == dtypes(again) == {torch.float32}
    expected = half.predict_proba(X)
    assert_array_equal(again.predict_proba(X), expected)
    assert_allclose(expected, plain.predict_proba(X), atol=5e-3)
    assert not np.array_equal(expected, plain.predict_proba(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bfloat16_predicts_nearly_the_same(images, fitted, dtype):
    net, X = copy.deepcopy(fitted), images[0].astype(dtype)
    expected, weights = net.predict_proba(X), copy.deepcopy(net.net_.module_.state_dict())
    found = net.set_params(precision="bfloat16").predict_proba(X)
    assert found.dtype == np.float64
    assert net.transform(X).dtype == dtype
    assert 0 < np.abs(found - expected).max() < 0.05
    for name, value in net.net_.module_.state_dict().items():
        assert value.dtype == weights[name].dtype
    assert_array_equal(net.set_params(precision="float32").predict_proba(X), expected)


@pytest.mark.parametrize(
    ("precision", "able", "mixed"),
    [("auto", True, True), ("auto", False, False), ("float32", True, False), ("bfloat16", False, True)],
)
def test_precision_of_training(images, monkeypatch, precision, able, mixed):
    monkeypatch.setattr("skcry.nn.base.multiplies_bfloat16", lambda device: able)
    seen = []

    def embed(self, x):
        seen.append(torch.is_autocast_enabled("cpu"))
        return original(self, x)

    original = AlexNet.embed
    monkeypatch.setattr(AlexNet, "embed", embed)
    X, y = images
    learns = precision == "bfloat16"  # `fitted` learns in float32
    net = small(precision=precision, max_epochs=12 if learns else 1).fit(X, y)
    assert set(seen) == {mixed}
    assert dtypes(net) == {torch.float32}
    assert not torch.is_autocast_enabled("cpu")
    if learns:
        assert net.score(X, y) > 0.9


def test_support_of_bfloat16_is_detected(monkeypatch):
    cpu = torch.device("cpu")
    for capabilities, able in (
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": True}, True),
        ({"avx2": True, "avx512_bf16": False}, False),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=capabilities: known)
        assert multiplies_bfloat16(cpu) == able
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not multiplies_bfloat16(cpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    assert multiplies_bfloat16(torch.device("cuda"))
    assert not multiplies_bfloat16(torch.device("mps"))


def test_clones_share_nothing(images, fitted):
    X, y = images
    before = fitted.predict_proba(X)
    clone(fitted).set_params(lr=0.5, max_epochs=1).fit(X, 1 - y)
    assert_array_equal(fitted.predict_proba(X), before)


def test_last_batch_of_one(images):
    X, y = images
    net = small(batch_size=16, max_epochs=1).fit(X[7:40], y[7:40])
    assert np.isfinite(net.predict_proba(X)).all()


def test_verbose_prints_and_zero_prints_nothing(images, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(early_stopping=True, max_epochs=1).fit(*images)
    assert capsys.readouterr().out == ""
    small(verbose=1, max_epochs=1).fit(*images)
    assert "train_loss" in capsys.readouterr().out


def test_faulty_input(images, fitted):
    X, y = images
    with pytest.raises(ValueError, match=r"at least 2 classes, got 1 class: \[1\]"):
        small().fit(X, np.ones(48, dtype=int))
    with pytest.raises(ValueError, match="NaN"):
        small().fit(np.where(X > 2, np.nan, X), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small().fit(X, y[1:])
    with pytest.raises(ValueError, match="Expected rows of shape"):
        small().fit(X[:, None], y)
    with pytest.raises(ValueError, match=r"fitted on rows of shape \(30, 40\), but got \(30, 39\)"):
        fitted.predict(X[..., 1:])


def test_divergence_is_an_error(images):
    with pytest.raises(ValueError, match="Training diverged"):
        small(lr=1e20, max_epochs=6).fit(*images)


def test_constant_input_is_no_division_by_zero():
    net = small(max_epochs=1).fit(np.zeros((8, 10, 10)), np.arange(8) % 2)
    assert np.isfinite(net.predict_proba(np.zeros((2, 10, 10)))).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_gpu_predicts_what_the_cpu_does(images, precision):
    X, y = images
    net = small(device="cuda", precision=precision, max_epochs=12).fit(X, y)
    assert {weight.device.type for weight in net.net_.module_.parameters()} == {"cpu"}
    on_gpu, on_cpu = (net.set_params(device=device).predict_proba(X) for device in ("cuda", "cpu"))
    assert_allclose(on_gpu, on_cpu, atol=0.05 if precision == "bfloat16" else 1e-3)


@pytest.mark.parametrize("device", ["nix", "cuda:77"])
def test_unknown_device(images, device):
    with pytest.raises(ValueError, match=rf"device='{device}' cannot be used here: .* Choose \"cpu\""):
        small(device=device).fit(*images)
