import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skcry import FrameCNNClassifier, MelSpectrogram, Windower, Windows, load, save
from skcry.nn import CryCNN, FrameCNN, SpectrogramMask, SpectrogramMix
from skcry.nn.cry_cnn import SPECTROGRAM, stretches
from skcry.nn.frame_cnn import DecibelMask, FrameLoss, WeightAverage
from skcry.nn.training_data import FrameDataset, WeightedSampler
from skcry.pretrained import read_weights


def small(**settings):
    return FrameCNNClassifier(**{"width": 0.25, "max_epochs": 4, "min_steps": 1, "random_state": 0, **settings})


@pytest.fixture(scope="module")
def spectrograms():
    """Windows of two recordings of 12 s, a tone in the second half of each, and their labels by the middle second."""
    rng = np.random.default_rng(0)
    t = np.arange(12 * 16000) / 16000
    recordings = [
        (0.01 * rng.normal(size=t.size) + 0.2 * np.sin(2 * np.pi * tone * t) * (t > 6)).astype(np.float32)
        for tone in (500, 600)
    ]
    X = Windower().fit_transform(recordings)
    y = X.label([[(6.0, 12.0)]] * 2, target_duration=1)
    return MelSpectrogram(n_mels=32, fmin=200.0, fmax=4000.0, top_db=50.0).fit_transform(X), y


def mixing(share=0, snr_db=(0, 10), **settings):
    return SpectrogramMix(share, snr_db, **{"frequency_shift": 0, "filter_db": 0, "background": 0, **settings})


def dataset(X, y, **settings):
    return FrameDataset(X, y, 0.0, 1.0, mixing(**settings), SpectrogramMask(0, 0))


def labels_of(data, row):
    return data._stretches(*data._place(np.array([row])))[0]


def test_neighbouring_windows_label_each_others_frames(spectrograms):
    data = dataset(*spectrograms)
    assert data.step == 40
    assert data.middle == pytest.approx(40 / 198)
    # Window 4 of recording 0 spans 4 to 9 s; its neighbours' middles say: nothing until 6 s, then the tone.
    labels = labels_of(data, 4)
    centre = 4 + (np.arange(12) + 0.5) * 198 / 12 * 0.025
    known = labels >= 0
    assert known.sum() >= 11
    assert_array_equal(labels[known], (centre[known] >= 6.02).astype(int))
    # The first two seconds are in the middle of no window.
    assert (labels_of(data, 0)[centre - 4 < 1.9] == -1).all()


@pytest.mark.parametrize(("n_rows", "batch_size"), [(33, 32), (5, 2), (5, 4), (3, 2)])
def test_last_batch_of_one(rng, n_rows, batch_size):
    X, y = rng.normal(size=(n_rows, 48, 31)).astype(np.float32), np.arange(n_rows) % 2
    net = small(max_epochs=2, batch_size=batch_size).fit(X, y)
    assert np.isfinite(net.predict_proba(X)).all()


@pytest.mark.parametrize("n_steps", [1, 2, 9, 10, 11])
def test_any_number_of_steps(rng, n_steps):
    net = small(max_epochs=n_steps, batch_size=8).fit(rng.normal(size=(8, 16, 16)), np.arange(8) % 2)
    assert len(net.history_) == n_steps


def test_folded_network_computes_the_same():
    torch.manual_seed(0)
    net = FrameCNN(width=0.5).train()
    with torch.no_grad():
        for _ in range(3):  # batch norms learn something
            net(3 * torch.randn(8, 1, 64, 198) + 1)
    net.eval()
    before, x = {name: value.clone() for name, value in net.state_dict().items()}, torch.randn(4, 1, 64, 198)
    with torch.inference_mode():
        torch.testing.assert_close(net.folded()(x), net(x), rtol=1e-4, atol=1e-5)
    assert not any("running_mean" in name for name in net.folded().state_dict())
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


def test_all_frames_of_a_row_have_its_label(rng):
    X, y = rng.normal(size=(6, 32, 64)), np.array([0, 1] * 3)
    data = dataset(X, y)
    assert data.middle == 1
    images, labels = data.__getitems__([0, 1])
    assert labels.tolist() == [[0] * 4, [1] * 4]
    assert_allclose(images[:, 0], X[:2], atol=1e-5)


def test_moved_windows_stay_inside_their_recording(spectrograms):
    X, y = spectrograms
    data = dataset(X, y)
    torch.manual_seed(0)
    for _ in range(5):
        images, labels = data._read(np.arange(len(X)))
        assert images.shape == (len(X), 1, *X.shape[1:])
        assert labels.shape == (len(X), 12)
        assert images.isfinite().all()
    assert not np.array_equal(images[3, 0], X[3])


def test_mixing_adds_power_at_the_drawn_level_and_keeps_the_maximum():
    torch.manual_seed(0)
    x = torch.full((64, 1, 8, 16), -50.0)
    x[:, :, 4, 8:] = 0.0
    noise = torch.full_like(x, -50.0)
    noise[:, :, 1] = 0.0
    y = torch.tensor([[0, 0, 1, 1]] * 64)
    every, none, half = (mixing(share, (10.0, 10.0))(x, y, noise)[0] for share in (1.0, 0.0, 0.5))
    # Mean power of the active half: a band of eight at 0 dB; of the noise the same: so it comes in at -10 dB.
    torch.testing.assert_close(every[:, :, 1], torch.full((64, 1, 16), -10.0), atol=0.01, rtol=0)
    torch.testing.assert_close(every.amax(dim=(1, 2, 3)), torch.zeros(64))
    assert every.min() >= -50
    torch.testing.assert_close(none, x)
    assert 16 < (half[:, 0, 1, 0] > -20).sum() < 48


def test_shift_and_filter_move_bands_and_levels():
    torch.manual_seed(0)
    x, y = torch.full((32, 1, 20, 4), -60.0), torch.zeros(32, 1, dtype=int)
    x[:, :, 10] = 0.0
    place = mixing(frequency_shift=3)(x, y)[0][:, 0, :, 0].argmax(dim=1)
    assert place.min() >= 7
    assert place.max() <= 13
    assert len(place.unique()) > 3
    flat = torch.zeros_like(x)
    flat[..., 3] = -100.0  # levels are clipped at the lowest one
    filtered = mixing(filter_db=3)(flat, y)[0][:, 0]
    torch.testing.assert_close(filtered.amax(dim=(1, 2)), torch.zeros(32))
    assert torch.equal(filtered[..., 0], filtered[..., 2])
    assert 1 < filtered[..., 0].std(dim=1).mean() < 5


def test_unknown_frames_do_not_count_in_the_loss():
    logits = torch.randn(2, 3, 4)
    y = torch.tensor([[0, -1, 2, -1], [1, 1, -1, -1]])
    expected = torch.nn.functional.cross_entropy(logits.transpose(1, 2)[y >= 0], y[y >= 0])
    torch.testing.assert_close(FrameLoss()(logits, y), expected)


@pytest.mark.parametrize("shape", [(64, 198), (1, 1), (10, 300), (195, 16)])
def test_any_size_of_spectrogram_works(shape):
    net = FrameCNN(*shape, 3, width=0.25, middle=0.2).eval()
    x = torch.randn(2, 1, *shape)
    logits = net(x)
    assert logits.shape[:2] == (2, 3)
    count = max(1, round(0.2 * logits.shape[-1]))
    first = (logits.shape[-1] - count) // 2
    torch.testing.assert_close(net.classify(net.embed(x)), logits[..., first : first + count].mean(dim=-1))


def test_learns_and_repeats_itself(spectrograms):
    X, y = spectrograms
    net = small(max_epochs=12, batch_size=4, lr=5e-3, mix=0.2, average=0.5).fit(X, y)
    p = net.predict_proba(X)
    assert np.mean(net.predict(X) == y) > 0.8
    assert_array_equal(net.predict_proba(X), p)
    assert_array_equal(clone(net).fit(X, y).predict_proba(X), p)
    assert not np.array_equal(clone(net).set_params(random_state=1).fit(X, y).predict_proba(X), p)
    data = pickle.dumps(net)
    assert len(data) < 2e6
    embedding = net.transform(X)
    assert embedding.dtype == np.float32
    assert_array_equal(pickle.loads(data).transform(X), embedding)


def test_average_of_weights(spectrograms):
    net = SimpleNamespace(module_=torch.nn.BatchNorm1d(3))
    average, weight = WeightAverage(0.3), net.module_.weight
    average.on_train_begin(net)
    expected = weight.detach().clone()
    for step in range(1, 6):
        torch.nn.init.normal_(weight)
        net.module_(torch.randn(8, 3))
        average.on_batch_end(net)
        decay = min(0.3, (1 + step) / (10 + step))  # 0.18, 0.25, 0.3, 0.3, ...
        expected = decay * expected + (1 - decay) * weight.detach()
    average.on_batch_end(net, training=False)
    average.on_train_end(net)
    torch.testing.assert_close(weight.detach(), expected)
    assert net.module_.num_batches_tracked == 5
    nets = [small(max_epochs=3, average=share).fit(*spectrograms) for share in (0.0, 0.99)]
    assert not torch.equal(*(one.net_.module_.decide.weight for one in nets))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"snr_db": (10, -10)}, "the lower one first"),
        ({"snr_db": (10,)}, "must be two levels"),
        ({"background": "dog"}, "background='dog' is not among the classes"),
        ({"mix": 2}, "mix"),
        ({"average": 1}, "average"),
        ({"max_steps": 0}, "max_steps"),
        ({"max_steps": 5, "min_steps": 6}, "max_steps=5 must be at least min_steps=6"),
    ],
)
def test_faulty_parameters(spectrograms, settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings).fit(*spectrograms)


@pytest.mark.parametrize(("background", "expected"), [(None, 1), (0, 0), (1, 1)])
def test_background_is_the_most_frequent_class_unless_named(spectrograms, monkeypatch, background, expected):
    X, y = spectrograms
    seen = []
    monkeypatch.setattr("skcry.nn.frame_cnn.FrameDataset", lambda *args: seen.append(args) or FrameDataset(*args))
    small(background=background, max_epochs=1).fit(X[1:], y[1:])  # 7 windows of class 0, 8 of class 1
    mix = seen[0][4]
    assert mix.background == expected
    assert set(y[dataset(X, y, background=expected).quiet]) == {expected}


def test_few_windows_are_passed_over_more_often(spectrograms):
    X, y = spectrograms
    assert len(small(max_epochs=2).fit(X, y).history_) == 2
    assert len(small(max_epochs=2, min_steps=5, batch_size=8).fit(X, y).history_) == 3


@pytest.mark.parametrize(
    ("max_steps", "n_epochs", "n_steps"),
    [(None, 4, 20), (20, 4, 20), (19, 4, 16), (10, 4, 8), (3, 3, 3), (1, 1, 1)],
)
def test_many_windows_take_no_more_than_the_budget_of_steps(rng, monkeypatch, max_steps, n_epochs, n_steps):
    read, rates = [], []
    original = FrameDataset.__getitems__

    def reading(self, rows):
        read.append(rows)
        return original(self, rows)

    def stepping(self, net, **kwargs):
        rates.append(net.optimizer_.param_groups[0]["lr"])

    monkeypatch.setattr(FrameDataset, "__getitems__", reading)
    monkeypatch.setattr(WeightAverage, "on_batch_begin", stepping)
    X, y = rng.normal(size=(41, 16, 16)), np.arange(41) % 2  # 5 batches, and one window that is left out
    net = small(batch_size=8, max_steps=max_steps, average=0.0).fit(X, y)
    assert [row["epoch"] for row in net.history_] == list(range(1, n_epochs + 1))
    assert [len(rows) for rows in read] == n_steps * [8]
    assert len({tuple(rows) for rows in read}) == n_steps
    if n_steps > 1:  # the rate rises, and falls to nothing in the last step
        assert max(rates) > 100 * rates[-1]


def test_a_budget_that_suffices_changes_nothing(spectrograms):
    nets = [small(max_steps=steps).fit(*spectrograms) for steps in (None, 4, 4000)]
    for net in nets[1:]:
        assert_array_equal(net.predict_proba(spectrograms[0]), nets[0].predict_proba(spectrograms[0]))


@pytest.mark.parametrize("weight", [[1, 1, 1, 1, 1], [0.1, 5, 0, 2, 0], [1e-9, 0, 1, 1e9, 3]])
def test_rows_are_drawn_by_weight_as_torch_does(weight):
    weight = torch.tensor(weight, dtype=torch.float64)
    draws = []
    for sampler in (WeightedSampler, torch.utils.data.WeightedRandomSampler):
        torch.manual_seed(0)
        draws.append(list(sampler(weight, 1000)))
    assert draws[0] == draws[1]


@pytest.mark.parametrize("n_classes", [2, 200])
def test_a_second_of_sound_takes_few_bytes(n_classes):
    seconds, track = 7200, np.broadcast_to(np.float32(0), (32, 40 * 7200))  # itself of 4 bytes
    start = np.arange(0, track.shape[1] - 198, 40)
    X = Windows([track, track], np.repeat([0, 1], len(start)), np.tile(start, 2), 198, sr=40)
    data = dataset(X, np.arange(len(X)) % n_classes)
    n_bytes = sum(value.nbytes for name, value in vars(data).items() if isinstance(value, np.ndarray) and name != "y")
    assert n_bytes < (50 if n_classes == 2 else 90) * 2 * seconds


def test_weights_for_another_number_of_bands_are_refused():
    weights = FrameCNN(64, 198, width=0.25).state_dict()
    assert FrameCNN(64, 400, width=0.25).load_state_dict(weights).missing_keys == []
    with pytest.raises(ValueError, match="for images of 64 bands and 198 frames, but the network is for 48 and 198"):
        FrameCNN(48, 198, width=0.25).load_state_dict(weights)


# Training that continues from the weights in the package


def fine(**settings):
    return FrameCNNClassifier(**{"init": "pretrained", "max_epochs": 1, "min_steps": 1, "random_state": 0, **settings})


@pytest.fixture(scope="module")
def decibels():
    """Windows of 3 s as the shipped network takes them: two recordings of 8 s, a tone in the second half of each."""
    rng = np.random.default_rng(0)
    t = np.arange(8 * 16000) / 16000
    recordings = [
        (0.01 * rng.normal(size=t.size) + 0.2 * np.sin(2 * np.pi * tone * t) * (t > 4)).astype(np.float32)
        for tone in (500, 600)
    ]
    X = Windower(window_duration=3).fit_transform(recordings)
    return MelSpectrogram(**SPECTROGRAM).fit_transform(X), X.label([[(4.0, 8.0)]] * 2, target_duration=1)


def test_training_continues_from_the_weights_in_the_package(decibels):
    X, y = decibels
    net = fine(lr=1e-12, weight_decay=0.0, average=0.0).fit(X, y)
    assert (net.mean_, net.scale_) == (0, 1)
    state, weights = net.net_.module_.state_dict(), read_weights()
    changed = {name for name, value in weights.items() if not torch.allclose(state[name], value, atol=1e-6)}
    # Batch norms go on to average what they see, and the last layer is new.
    assert all("running" in name or "tracked" in name or name.startswith("decide.") for name in changed)
    assert "decide.weight" in changed
    assert net.transform(X).shape == (len(X), net.net_.module_.n_embedding)


def test_labels_belong_to_the_middle_frame_of_outputs(decibels):
    X, y = decibels
    centres = stretches(X.shape[2])
    data = FrameDataset(X, y, 0.0, 1.0, mixing(), SpectrogramMask(0, 0), centres)
    images, labels = data.__getitems__([0, 3])
    assert CryCNN().eval()(images).shape[2] == labels.shape[1] == len(centres) == 1 + (X.shape[2] - 77) // 8
    # Window 3 of recording 0 spans 3 to 6 s, and the tone begins at 4 s; the middles of windows tell 1 to 7 s.
    second = 3 + centres / 32
    assert_array_equal(labels_of(data, 3), (second >= 3.99).astype(int))


def test_pretrained_training_repeats_itself_and_is_stored(decibels, tmp_path):
    X, y = decibels
    before = {name: value.clone() for name, value in read_weights().items()}
    net = fine(max_epochs=6, batch_size=4, lr=2e-3, average=0.5).fit(X, y)
    assert np.mean(net.predict(X) == y) > 0.8
    assert all(torch.equal(value, before[name]) for name, value in read_weights().items())
    p = net.predict_proba(X)
    assert_array_equal(clone(net).fit(X, y).predict_proba(X), p)
    save(net.set_params(init="random"), tmp_path / "net.skcry")
    for again in (pickle.loads(pickle.dumps(net)), load(tmp_path / "net.skcry")):
        assert_allclose(again.predict_proba(X), p, atol=1e-6)
        assert isinstance(again.net_.module_, CryCNN)
    assert isinstance(net.set_params(width=0.25).fit(X, y).net_.module_, FrameCNN)


def test_masks_of_decibels_are_at_their_mean():
    torch.manual_seed(0)
    x = 5 * torch.randn(4, 1, 64, 20) - 60
    masked = DecibelMask(0.0, 0.5)(x)
    changed = (masked != x).any(dim=-1)
    assert 0 < changed.float().mean() < 0.5
    assert_allclose(
        masked[changed], x.mean(dim=(1, 2, 3))[torch.nonzero(changed)[:, 0], None].expand(-1, 20), rtol=1e-4
    )


def test_networks_saved_before_there_was_another_start(spectrograms):
    net = FrameCNNClassifier(width=0.25, max_epochs=1, min_steps=1, random_state=0).fit(*spectrograms)
    state = {name: value for name, value in net.__getstate__().items() if name not in ("init", "max_steps")}
    old = FrameCNNClassifier.__new__(FrameCNNClassifier)
    old.__setstate__(state)
    assert clone(old).init == "random"
    assert old.get_params() == net.get_params()
    np.testing.assert_array_equal(old.predict(spectrograms[0]), net.predict(spectrograms[0]))


def test_pretrained_weights_do_not_fit_everything(decibels, spectrograms):
    with pytest.raises(ValueError, match=r"the maximum of each spectrogram is 0 dB, .* Use ref=1.0"):
        fine().fit(decibels[0] - np.max(decibels[0], axis=(1, 2), keepdims=True), decibels[1])
    with pytest.raises(ValueError, match=r"width=0.5 must be 1 with init='pretrained'"):
        fine(width=0.5).fit(*decibels)
    with pytest.raises(
        ValueError, match=r"64 bands, but got rows of shape \(32, 198\). Use MelSpectrogram\(n_fft=1024"
    ):
        fine().fit(*spectrograms)
    with pytest.raises(ValueError, match="init"):
        fine(init="imagenet").fit(*decibels)
