"""PretrainedEmbedding: the same numbers in any windows, each second once, and files without weights."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import skcry
from skcry import HighPassFilter, MelSpectrogram, PretrainedEmbedding, Windower
from skcry.nn import pretrained_embedding
from skcry.nn.cry_cnn import SPECTROGRAM, CryCNN, pretrained_net
from skcry.nn.pretrained_embedding import BLOCK_OUTPUTS, HOP, SPAN

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture
def one_thread(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)


@pytest.fixture
def heard(monkeypatch, one_thread):
    """Numbers of frames that the trunk gets, filled while an embedding transforms."""
    heard, share = [], CryCNN.share
    monkeypatch.setattr(CryCNN, "share", lambda self, x: heard.append(len(x) * x.shape[-1]) or share(self, x))
    return heard


def test_embedding_is_that_of_the_module_on_its_spectrogram(chirps):
    X = Windower().fit_transform(chirps)
    embedding = PretrainedEmbedding().fit(X)
    assert embedding.middle_ == 0.2
    net = CryCNN(middle=0.2)
    net.load_state_dict(skcry.pretrained.read_weights())
    images = torch.as_tensor(np.asarray(MelSpectrogram(**SPECTROGRAM).fit_transform(X)))
    with torch.inference_mode():
        expected = net.eval().embed(images[:, None]).numpy()
    out = embedding.transform(X)
    assert_allclose(out, expected, rtol=1e-3, atol=1e-4)
    assert out.std(axis=0).max() > 0.01


@pytest.mark.parametrize("hop_duration", [1, 0.25, 0.5, 0.3])
def test_window_is_the_same_alone_in_a_batch_and_in_its_recording(chirps, hop_duration):
    X = Windower(hop_duration=hop_duration).fit_transform(chirps)
    embedding = PretrainedEmbedding().fit(X)
    inside = embedding.transform(X)
    assert inside.dtype == np.float32
    assert_array_equal(embedding.transform(X), inside)
    assert_allclose(embedding.transform(np.asarray(X)), inside, **CLOSE)
    assert_allclose(embedding.transform(X[::-3]), inside[::-3], **CLOSE)
    assert_allclose(embedding.transform(X[[4]]), inside[[4]], **CLOSE)
    assert_allclose(embedding.transform(np.asarray(X[[4]])), inside[[4]], **CLOSE)


@pytest.mark.parametrize("hop_duration", [1, 0.25])
def test_each_second_is_computed_once(rng, sr, heard, hop_duration):
    y = rng.normal(size=150 * sr).astype(np.float32)
    X = Windower(hop_duration=hop_duration).fit_transform([y])
    embedding = PretrainedEmbedding().fit(X)
    embedding.transform(X)
    blocks = -(-(1 + (len(y) - SPAN) // HOP) // BLOCK_OUTPUTS)
    assert len(heard) == blocks == 3
    overlap = 77 - 8  # frames that two blocks share
    assert sum(heard) <= 150 * 32 + blocks * overlap
    heard.clear()
    embedding.transform(X[20:23])  # what lies around a few windows is not computed
    assert sum(heard) <= 32 * (5 + 2 * hop_duration)


@pytest.mark.usefixtures("one_thread")
def test_blocks_give_what_one_stretch_gives(rng, sr, monkeypatch):
    X = Windower().fit_transform([rng.normal(size=12 * sr).astype(np.float32)])
    embedding = PretrainedEmbedding().fit(X)
    expected = embedding.transform(X)
    for block in (1, 7, 40):
        monkeypatch.setattr(pretrained_embedding, "BLOCK_OUTPUTS", block)
        assert_allclose(embedding.transform(X), expected, **CLOSE)
        assert_allclose(embedding.transform(np.asarray(X)), expected, **CLOSE)


def test_middle_is_the_step_between_windows(chirps):
    clips = np.stack([y[: 5 * 16000] for y in chirps])
    for X, middle in [
        (Windower(hop_duration=2).fit_transform(chirps), 0.4),
        (Windower(hop_duration=5, last="drop").fit_transform(chirps), 1.0),
        (clips, 1.0),
    ]:
        assert PretrainedEmbedding().fit(X).middle_ == middle
    X = Windower().fit_transform(chirps)
    context, whole = (PretrainedEmbedding().fit(one).transform(clips) for one in (X, clips))
    assert np.abs(context - whole).max() > 1e-3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_timepoints", [1, 800, 16000, SPAN, SPAN + 1])
def test_short_windows_silence_and_clicks_stay_finite(dtype, n_timepoints):
    X = np.zeros((4, n_timepoints), dtype=dtype)
    X[1], X[2, n_timepoints // 2], X[3] = 0.3, 1, 1e-30
    out = PretrainedEmbedding().fit_transform(X)
    assert out.dtype == dtype
    assert out.shape == (4, pretrained_net().n_embedding)
    assert np.isfinite(out).all()


def test_float64_agrees_with_float32(chirps):
    X = np.stack([y[: 4 * 16000] for y in chirps])
    embedding = PretrainedEmbedding().fit(X)
    assert_allclose(embedding.transform(X.astype(np.float64)), embedding.transform(X), rtol=1e-3, atol=1e-4)
    assert pretrained_net().decide.weight.dtype == torch.float32


def test_gain_changes_nothing(rng, sr):
    X = 0.01 * rng.normal(size=(3, 5 * sr))
    embedding = PretrainedEmbedding().fit(X)
    assert_allclose(embedding.transform(10 * X), embedding.transform(X), **CLOSE)


def test_pickles_and_files_hold_a_checksum_instead_of_weights(chirps, tmp_path, monkeypatch):
    X = Windower().fit_transform(chirps)
    embedding = PretrainedEmbedding().fit(X)
    expected = embedding.transform(X)
    data = pickle.dumps(embedding)
    assert len(data) < 1000
    skcry.save(embedding, tmp_path / "embedding.skcry")
    for again in (pickle.loads(data), skcry.load(tmp_path / "embedding.skcry"), clone(embedding).fit(X)):
        assert_array_equal(again.transform(X), expected)
    monkeypatch.setattr(pretrained_embedding, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"fitted with other weights .*fit it again"):
        pickle.loads(data)
    with pytest.raises(ValueError, match="fitted with other weights"):
        skcry.load(tmp_path / "embedding.skcry")


def test_threads_and_processes_give_the_same(chirps, monkeypatch):
    X = Windower(hop_duration=0.25).fit_transform(chirps)
    embedding = PretrainedEmbedding().fit(X)
    expected = embedding.transform(X)
    with ThreadPoolExecutor(3) as pool:
        for out in pool.map(embedding.transform, [X] * 3):
            assert_allclose(out, expected, **CLOSE)
    for out in Parallel(n_jobs=2)(delayed(embedding.transform)(X) for _ in range(2)):
        assert_allclose(out, expected, **CLOSE)
    before = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert_allclose(embedding.transform(X), expected, **CLOSE)
    monkeypatch.undo()
    assert torch.get_num_threads() == before


def test_failures_in_threads_are_raised(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        pretrained_embedding.in_threads(lambda item: 1 // item, [2, 0, 1])


def test_names_and_tables(chirps):
    X = Windower().fit_transform(chirps)
    embedding = PretrainedEmbedding().fit(X)
    table = embedding.set_output(transform="pandas").transform(X)
    assert table.columns.tolist() == embedding.get_feature_names_out().tolist()
    assert table.columns[0] == "pretrainedembedding0"
    assert table.shape == (len(X), pretrained_net().n_embedding)


def test_follows_a_filter(chirps):
    X = Windower().fit_transform(chirps)
    filtered = HighPassFilter().fit_transform(X)
    embedding = PretrainedEmbedding().fit(filtered)
    assert_allclose(embedding.transform(filtered), embedding.transform(np.asarray(filtered)), **CLOSE)


def test_other_rates_are_refused(rng):
    X = rng.normal(size=(2, 22050))
    recordings = [(22050, y) for y in X]
    with pytest.raises(ValueError, match=r"sr=22050 Hz is not the rate .* 16000 Hz.*Windower\(sr=16000\)"):
        PretrainedEmbedding(sr=22050).fit(X)
    windows = Windower(sr=8000).fit_transform(recordings)
    with pytest.raises(ValueError, match="sr=8000 Hz is not the rate"):
        PretrainedEmbedding().fit(windows)
    with pytest.raises(ValueError, match="NaN"):
        PretrainedEmbedding().fit(np.full((2, 100), np.nan))
