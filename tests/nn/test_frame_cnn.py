import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skcry import FrameCNNClassifier, MelSpectrogram, Windower
from skcry.nn import FrameCNN, SpectrogramMask, SpectrogramMix
from skcry.nn.frame_cnn import FrameLoss, WeightAverage
from skcry.nn.training_data import FrameDataset


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


def make_mix(share=0, snr_db=(0, 10), **settings):
    return SpectrogramMix(share, snr_db, **{"frequency_shift": 0, "filter_db": 0, "background": 0, **settings})


def dataset(X, y, **settings):
    return FrameDataset(X, y, 0.0, 1.0, make_mix(**settings), SpectrogramMask(0, 0))


def test_neighbouring_windows_label_each_others_frames(spectrograms):
    X, y = spectrograms
    data = dataset(X, y)
    assert data.step == 40
    assert data.middle == pytest.approx(40 / 198)
    # Window 4 of recording 0 spans 4 to 9 s; its neighbours' middles say: nothing until 6 s, then the tone.
    labels = data._stretches(data.first[[4]])[0]
    centre = 4 + (np.arange(12) + 0.5) * 198 / 12 * 0.025
    known = labels >= 0
    assert known.sum() >= 11
    np.testing.assert_array_equal(labels[known], (centre[known] >= 6.02).astype(int))
    # The first two seconds are nobody's middle.
    assert (data._stretches(data.first[[0]])[0][centre - 4 < 1.9] == -1).all()


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "n_epochs"),
    [(33, 32, 2), (5, 2, 2), (5, 4, 2), (3, 2, 2), *((8, 8, n_epochs) for n_epochs in (1, 2, 9, 10, 11))],
)
def test_last_batch_of_one_and_any_number_of_steps(rng, n_rows, batch_size, n_epochs):
    X, y = rng.normal(size=(n_rows, 48, 31)).astype(np.float32), np.arange(n_rows) % 2
    net = small(max_epochs=n_epochs, batch_size=batch_size).fit(X, y)
    assert len(net.history_) == n_epochs
    assert np.isfinite(net.predict_proba(X)).all()


def test_rows_of_arrays_bear_their_label_throughout(rng):
    X, y = rng.normal(size=(6, 32, 64)), np.array([0, 1] * 3)
    data = dataset(X, y)
    assert data.middle == 1
    images, labels = data.__getitems__([0, 1])
    assert labels.tolist() == [[0] * 4, [1] * 4]
    np.testing.assert_allclose(images[:, 0], X[:2], atol=1e-5)


def test_moved_windows_stay_inside_their_recording(spectrograms):
    X, y = spectrograms
    data = dataset(X, y)
    torch.manual_seed(0)
    for _ in range(5):
        images, labels = data._read(np.arange(len(X)))
        assert images.shape == (len(X), 1, *X.shape[1:])
        assert labels.shape == (len(X), 12)
    assert np.isfinite(images.numpy()).all()
    assert not np.array_equal(images[3, 0], X[3])


def test_mixing_adds_power_at_the_drawn_level_and_keeps_the_maximum():
    torch.manual_seed(0)
    x = torch.full((64, 1, 8, 16), -50.0)
    noise = x.clone()
    x[:, :, 4, 8:] = noise[:, :, 1] = 0.0
    y = torch.tensor([[0, 0, 1, 1]] * 64)
    mixed, unmixed, half = (make_mix(share, (10.0, 10.0))(x, y, noise)[0] for share in (1.0, 0.0, 0.5))
    # The active half of the window and the noise have the same power, one band at 0 dB: the noise is added at -10 dB.
    torch.testing.assert_close(mixed[:, :, 1], torch.full((64, 1, 16), -10.0), atol=0.01, rtol=0)
    torch.testing.assert_close(mixed.amax(dim=(1, 2, 3)), torch.zeros(64))
    assert mixed.min() >= -50
    torch.testing.assert_close(unmixed, x)
    assert 16 < (half[:, 0, 1, 0] > -20).sum() < 48


def test_shift_and_filter_move_bands_and_levels():
    torch.manual_seed(0)
    x, y = torch.full((32, 1, 20, 4), -60.0), torch.zeros(32, 1, dtype=int)
    x[:, :, 10] = 0.0
    place = make_mix(frequency_shift=3)(x, y)[0][:, 0, :, 0].argmax(dim=1)
    assert 7 <= place.min() <= place.max() <= 13
    assert len(place.unique()) > 3
    x = torch.linspace(-60, 0, 20)[:, None].expand(32, 1, 20, 4)
    tilted = make_mix(filter_db=3)(x, y)[0]
    assert tilted.max() == 0
    assert not torch.isclose(tilted, x).all(dim=3).all(dim=2).any()


def test_unknown_frames_count_for_nothing():
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
    start = (logits.shape[-1] - count) // 2
    torch.testing.assert_close(net.classify(net.embed(x)), logits[..., start : start + count].mean(dim=-1))


def test_learns_when_it_sounds_and_repeats_itself(spectrograms):
    X, y = spectrograms
    settings = {"max_epochs": 60, "batch_size": 8, "mix": 0.2, "average": 0.9}
    net = small(**settings).fit(X, y)
    assert np.mean(net.predict(X) == y) > 0.8
    for same in (net, clone(net).fit(X, y)):
        np.testing.assert_array_equal(net.predict_proba(X), same.predict_proba(X))
    assert not np.array_equal(net.predict_proba(X), small(**settings, random_state=1).fit(X, y).predict_proba(X))
    data = pickle.dumps(net)
    np.testing.assert_array_equal(net.transform(X), pickle.loads(data).transform(X))
    assert net.transform(X).dtype == np.float32
    assert len(data) < 2e6


def test_average_and_number_of_steps(spectrograms):
    nets = [small(max_epochs=3, average=average).fit(*spectrograms) for average in (0.0, 0.99)]
    assert not torch.equal(*(net.net_.module_.decide.weight for net in nets))
    assert not hasattr(WeightAverage(0.9), "average_")
    for settings, n_epochs in (({}, 2), ({"min_steps": 5, "batch_size": 8}, 3)):  # few windows need more epochs
        assert len(small(max_epochs=2, **settings).fit(*spectrograms).history_) == n_epochs


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"snr_db": (10, -10)}, "the lower one first"),
        ({"snr_db": (10,)}, "must be two levels"),
        ({"background": "dog"}, "background='dog' is not among the classes"),
        ({"mix": 2}, "mix"),
        ({"average": 1}, "average"),
    ],
)
def test_faulty_parameters(spectrograms, settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings).fit(*spectrograms)


def test_background_is_the_most_frequent_class_unless_named(spectrograms):
    X, y = spectrograms
    small(background=1, max_epochs=1).fit(X, y)
    assert set(y[dataset(X, y, background=1).quiet]) == {1}
    assert set(y[dataset(X, y).quiet]) == {0}
