import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

from skcry import AlexNetClassifier, MelSpectrogram, Windower
from skcry.nn import AlexNet
from skcry.nn.base import multiplies_bfloat16
from skcry.nn.training_data import SpectrogramDataset, grouped_split

SEED = np.random.RandomState(0).randint(2**31 - 1)  # of the split, for `random_state=0`


def small(**changes):
    settings = {"width": 1 / 32, "max_epochs": 3, "lr": 0.01, "batch_size": 16, "random_state": 0}
    return AlexNetClassifier(**{**settings, "early_stopping": False, "precision": "float32", **changes})


@pytest.fixture
def y():
    return np.repeat([0, 1], 24)


@pytest.fixture
def X(rng, y):
    X = rng.normal(size=(48, 30, 40)).astype(np.float32)
    X[y == 1, 10:20] += 2
    return X


@pytest.fixture
def spectrograms(chirps, chirp_annotations):
    X = Windower().fit_transform(chirps)
    return MelSpectrogram(n_mels=40).fit_transform(X), X.label(chirp_annotations)


def test_learns_and_predicts_the_same_twice(X, y):
    net = small(max_epochs=10).fit(X, y)
    assert net.score(X, y) > 0.9
    np.testing.assert_array_equal(net.predict_proba(X), net.predict_proba(X))
    assert net.transform(X).shape == (48, len(net.get_feature_names_out()))


def test_random_state_makes_training_repeatable(X, y):
    torch.manual_seed(1)
    net = small().fit(X, y)
    first = net.decision_function(X)
    torch.manual_seed(2)
    in_threads = joblib.Parallel(n_jobs=2, prefer="threads")(joblib.delayed(small().fit)(X, y) for _ in range(3))
    clone(net).set_params(lr=0.5).fit(X, 1 - y)  # does not change the original
    for same in (net, small().fit(X, y), *in_threads):
        np.testing.assert_array_equal(same.decision_function(X), first)
    assert not np.array_equal(small(random_state=1).fit(X, y).decision_function(X), first)


def test_training_leaves_the_callers_random_numbers_alone(X, y):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    small(max_epochs=1).fit(X, y)
    assert torch.equal(torch.rand(3), expected)


def test_windows_and_arrays_give_the_same(spectrograms):
    X, y = spectrograms
    net = small().fit(X, y, groups=np.arange(len(y)))
    other = small().fit(np.asarray(X), y)
    np.testing.assert_array_equal(net.decision_function(X), other.decision_function(np.asarray(X)))
    assert net.transform(X).dtype == np.float32
    assert net.transform(np.asarray(X, dtype=np.float64)).dtype == np.float64


def test_training_reads_batches_out_of_windows(spectrograms, monkeypatch):
    X, y = spectrograms
    largest = 0
    original = type(X).__array__

    def spy(self, *args, **kwargs):
        nonlocal largest
        largest = max(largest, len(self))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(type(X), "__array__", spy)
    monkeypatch.setattr("skcry.nn.base.PREDICT_BATCH", 4)
    small(batch_size=5, max_epochs=1).fit(X, y).predict(X)
    assert 0 < largest <= 5 < len(X)


def test_early_stopping_restores_the_best_weights(X, y):
    y = np.random.default_rng(0).permutation(y)  # nothing to learn: the loss of left-out groups soon rises
    groups = np.repeat(np.arange(12), 4)
    # Several batches of validation, some of one class: their loss is that of all rows at once.
    net = small(early_stopping=True, max_epochs=30, patience=3, batch_size=3).fit(X, y, groups=groups)
    losses = [row["valid_loss"] for row in net.history_]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1 < 29
    _, valid = grouped_split(y, groups, 0.2, SEED)
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


def test_too_few_groups_turn_early_stopping_off(X, y):
    for groups, message in ((np.zeros(48), "1 groups cannot be split"), (y, "")):
        with pytest.warns(UserWarning, match=f"Early stopping is off: {message}"):
            net = small(early_stopping=True).fit(X, y, groups=groups)
        assert len(net.history_) == 3


def test_nothing_is_learned_from_validation_rows(X, y):
    groups = np.repeat(np.arange(12), 4)
    _, valid = grouped_split(y, groups, 0.2, SEED)
    other = X.copy()
    other[valid] = other[valid] * 3 + 100
    nets = [small(early_stopping=True, patience=50).fit(data, y, groups=groups) for data in (X, other)]
    assert nets[0].mean_ == nets[1].mean_
    assert [row["train_loss"] for row in nets[0].history_] == [row["train_loss"] for row in nets[1].history_]


def test_masks_apply_in_training_only(X, y):
    plain = SpectrogramDataset(X, y, 0.0, 1.0)
    np.testing.assert_array_equal(plain.__getitems__([0, 3])[0][:, 0], X[[0, 3]])
    masked = SpectrogramDataset(X, y, 0.0, 1.0, augment=lambda x: 0 * x)
    assert not masked[0][0].any()
    with_masks, without = small(time_mask=0.5).fit(X, y), small(time_mask=0, freq_mask=0).fit(X, y)
    assert not np.array_equal(with_masks.predict_proba(X), without.predict_proba(X))


def test_any_labels_and_more_than_two_classes(X, y):
    names = np.array(["cry", "fuss", "quiet"])[np.arange(48) % 3]
    net = small(early_stopping=True).fit(X, names, groups=np.arange(48) // 6)
    assert net.classes_.tolist() == ["cry", "fuss", "quiet"]
    assert set(net.predict(X)) <= set(names)
    assert net.decision_function(X).shape == net.predict_proba(X).shape == (48, 3)


def test_class_weight(X, y):
    X, y = X[15:], y[15:]  # the last batch would be one window
    weights = ({0: 20, 1: 1}, "balanced", {0: 1, 1: 20})
    nets = [small(class_weight=weight, max_epochs=2).fit(X, y) for weight in weights]
    shares = [net.predict_proba(X)[:, 1].mean() for net in nets]
    assert shares[0] < shares[1] < shares[2]


def test_weight_decay_reaches_the_optimizer(X, y):
    heavy, light = (small(weight_decay=decay, lr=0.01).fit(X, y).net_.module_ for decay in (10.0, 0.0))
    assert heavy.fc2.weight.abs().mean() < 0.5 * light.fc2.weight.abs().mean()


def test_pickle_holds_weights_and_little_else(X, y, tmp_path):
    net = small(early_stopping=True, width=1 / 8).fit(X, y)
    n_bytes = sum(value.numel() * value.element_size() for value in net.net_.module_.state_dict().values())
    path = tmp_path / "net.joblib"
    joblib.dump(net, path)
    assert path.stat().st_size < 1.2 * n_bytes + 50_000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).transform(X), net.transform(X))
    assert {weight.device.type for weight in net.net_.module_.parameters()} == {net.net_.device} == {"cpu"}
    np.save(tmp_path / "X.npy", X)
    code = "import sys, joblib, numpy; print(joblib.load(sys.argv[1]).predict_proba(numpy.load(sys.argv[2])).tolist())"
    command = [sys.executable, "-c", code, path, tmp_path / "X.npy"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    np.testing.assert_allclose(eval(out.stdout), net.predict_proba(X), atol=1e-6)


def test_half_pickles_predict_the_same_before_and_after(X, y):
    plain, half = small(width=1 / 8).fit(X, y), small(width=1 / 8, weight_dtype="float16").fit(X, y)
    data = pickle.dumps(half)
    assert len(data) < 0.6 * len(pickle.dumps(plain))
    again = pickle.loads(data)
    assert {weight.dtype for weight in again.net_.module_.parameters()} == {torch.float32}
    np.testing.assert_array_equal(again.predict_proba(X), half.predict_proba(X))
    np.testing.assert_allclose(half.predict_proba(X), plain.predict_proba(X), atol=5e-3)
    assert not np.array_equal(half.predict_proba(X), plain.predict_proba(X))
    assert {weight.dtype for weight in half.net_.module_.parameters()} == {torch.float32}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bfloat16_predicts_nearly_the_same(X, y, dtype):
    net = small(precision="float32").fit(X, y)
    X = X.astype(dtype)
    expected, dtypes = net.predict_proba(X), [value.dtype for value in net.net_.module_.state_dict().values()]
    found = net.set_params(precision="bfloat16").predict_proba(X)
    assert (found.dtype, net.transform(X).dtype) == (np.float64, dtype)
    assert 0 < np.abs(found - expected).max() < 0.05
    assert [value.dtype for value in net.net_.module_.state_dict().values()] == dtypes
    np.testing.assert_array_equal(net.set_params(precision="float32").predict_proba(X), expected)


@pytest.mark.parametrize(
    ("precision", "able", "mixed"),
    [("auto", True, True), ("auto", False, False), ("float32", True, False), ("bfloat16", False, True)],
)
def test_precision_of_training(X, y, monkeypatch, precision, able, mixed):
    monkeypatch.setattr("skcry.nn.base.multiplies_bfloat16", lambda device: able)
    seen = []

    def embed(self, x):
        seen.append(torch.is_autocast_enabled("cpu"))
        return original(self, x)

    original = AlexNet.embed
    monkeypatch.setattr(AlexNet, "embed", embed)
    net = small(precision=precision, max_epochs=12).fit(X, y)
    assert set(seen) == {mixed}
    assert {weight.dtype for weight in net.net_.module_.parameters()} == {torch.float32}
    assert (net.predict(X) == y).mean() > 0.9
    assert not torch.is_autocast_enabled("cpu")


def test_processors_that_multiply_bfloat16(monkeypatch):
    cpu = torch.device("cpu")
    for able in ({"amx_bf16": True}, {"avx512_bf16": True}, {"avx2": True, "avx512_bf16": False}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        assert multiplies_bfloat16(cpu) == ("avx2" not in able)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not multiplies_bfloat16(cpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    assert multiplies_bfloat16(torch.device("cuda"))
    assert not multiplies_bfloat16(torch.device("mps"))


def test_verbose_prints_and_silence_is_silent(X, y, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(early_stopping=True).fit(X, y)
    assert capsys.readouterr().out == ""
    small(verbose=1).fit(X, y)
    assert "train_loss" in capsys.readouterr().out


def test_faulty_input(X, y):
    for rows, labels, message in (
        (X, np.ones(48, dtype=int), r"at least 2 classes, got 1 class: \[1\]"),
        (X, y[1:], "inconsistent numbers of samples"),
        (X[:, None], y, "Expected rows of shape"),
    ):
        with pytest.raises(ValueError, match=message):
            small().fit(rows, labels)
    with pytest.raises(ValueError, match=r"fitted on rows of shape \(30, 40\), but got \(30, 39\)"):
        small().fit(X, y).predict(X[..., 1:])
    with pytest.raises(ValueError, match="Training diverged"):
        small(lr=1e20, max_epochs=6).fit(X, y)


def test_constant_input_is_no_division_by_zero():
    net = small(max_epochs=1).fit(np.zeros((8, 10, 10)), np.arange(8) % 2)
    assert np.isfinite(net.predict_proba(np.zeros((2, 10, 10)))).all()


def test_groups_of_windows_reach_the_split(spectrograms, monkeypatch):
    X, y = spectrograms
    seen = []

    def spy(y, groups, *args):
        seen.append(groups)
        return grouped_split(y, groups, *args)

    monkeypatch.setattr("skcry.nn.alexnet_classifier.grouped_split", spy)
    small(early_stopping=True, max_epochs=1).fit(X, y)
    np.testing.assert_array_equal(seen[0], X.groups)
    assert len(np.unique(seen[0])) == 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_gpu_predicts_what_the_cpu_does(X, y, precision):
    net = small(device="cuda", precision=precision, max_epochs=12).fit(X, y)
    assert {weight.device.type for weight in net.net_.module_.parameters()} == {"cpu"}
    on_gpu, on_cpu = (net.set_params(device=device).predict_proba(X) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(on_gpu, on_cpu, atol=0.05 if precision == "bfloat16" else 1e-3)


@pytest.mark.parametrize("device", ["nix", "cuda:77"])
def test_a_device_that_is_not_there(X, y, device):
    with pytest.raises(ValueError, match=rf"device='{device}' cannot be used here: .* Choose \"cpu\""):
        small(device=device).fit(X, y)
