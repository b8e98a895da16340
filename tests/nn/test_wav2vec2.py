"""Wav2Vec2Embedding: the numbers of transformers itself, windows that stay themselves, and pickles that need nobody."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skcry import Wav2Vec2Embedding, Windower

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="needs pip install 'skcry[transformers]'")

from helpers import save_toy_model  # noqa: E402

from skcry.nn.wav2vec2 import load_pretrained, prepare, receptive_field  # noqa: E402


@pytest.fixture
def clips(rng, sr):
    return rng.normal(size=(3, sr // 10))


@pytest.fixture
def windows(rng, sr):
    recordings = [rng.standard_normal(length).astype(np.float32) for length in (3 * sr // 10, sr // 10, sr // 4)]
    return Windower(window_duration=0.1, hop_duration=0.03).fit_transform(recordings)


def settings_of(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("model_type", ["wav2vec2", "hubert", "wavlm"])
@pytest.mark.parametrize("large", [False, True])  # large models place their normalisations differently
def test_hidden_states_are_those_of_transformers(clips, tmp_path, model_type, large):
    norm = {"do_stable_layer_norm": large, "feat_extract_norm": "layer" if large else "group"}
    save_toy_model(tmp_path, model_type, do_normalize=large, num_hidden_layers=3, **norm)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    model = transformers.AutoModel.from_pretrained(tmp_path)
    sound = extractor(list(clips), sampling_rate=16000, return_tensors="pt").input_values
    with torch.inference_mode():
        out = model(sound, output_hidden_states=True)
    X = clips.astype(np.float32)
    for layer, hidden in enumerate([*out.hidden_states[:3], out.last_hidden_state]):
        for number in (layer, layer - 4):
            embedding = Wav2Vec2Embedding(tmp_path, layer=number).fit(X)
            assert_allclose(embedding.transform(X), hidden.mean(dim=1).numpy(), atol=1e-5)
    assert Wav2Vec2Embedding().layer == -1
    again = pickle.loads(pickle.dumps(Wav2Vec2Embedding(tmp_path, layer=1).fit(X)))
    assert_allclose(again.transform(X), out.hidden_states[1].mean(dim=1).numpy(), atol=1e-5)


def test_pooling_tells_of_the_frames(clips, toy_model):
    both = Wav2Vec2Embedding(toy_model, pooling=("mean", "std")).fit(clips)
    hidden = both.model_.double()(torch.as_tensor(prepare(clips, normalize=True, min_length=1))).last_hidden_state
    out = both.transform(clips)
    assert out.shape == (3, 16)
    assert_allclose(out[:, ::2], hidden.mean(dim=1).detach().numpy(), atol=1e-12)
    assert_allclose(out[:, 1::2], hidden.std(dim=1, correction=0).detach().numpy(), atol=1e-12)
    table = both.set_output(transform="pandas").transform(clips)
    assert table.columns.tolist() == both.get_feature_names_out().tolist()
    assert table.columns[:3].tolist() == ["wav2vec2_0__mean", "wav2vec2_0__std", "wav2vec2_1__mean"]
    assert_array_equal(Wav2Vec2Embedding(toy_model, pooling="std").fit_transform(clips), out[:, 1::2])


def test_adapter_is_left_out(clips, tmp_path):
    embedding = Wav2Vec2Embedding(save_toy_model(tmp_path, add_adapter=True, output_hidden_size=8)).fit(clips)
    assert not any("adapter" in name for name in embedding.model_.state_dict())
    assert embedding.transform(clips).shape == (3, 8)


def test_windows_are_normalised_as_the_model_wants_it(clips, tmp_path):
    large = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}  # small models normalise within as well
    save_toy_model(tmp_path / "yes", do_normalize=True, **large)
    save_toy_model(tmp_path / "no", do_normalize=False, **large)
    yes, no = (Wav2Vec2Embedding(tmp_path / name).fit(clips) for name in ("yes", "no"))
    assert_allclose(yes.transform(0.1 * clips + 0.5), yes.transform(clips), atol=1e-5)  # gain and offset are gone
    assert np.abs(no.transform(clips + 0.5) - no.transform(clips)).max() > 1e-3
    assert_allclose(no.transform(prepare(clips, normalize=True, min_length=1)), yes.transform(clips), atol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_clicks_and_extremes_stay_finite(toy_model, dtype):
    X = np.zeros((5, 800), dtype=dtype)
    X[1], X[2, 400], X[3], X[4] = 0.3, 1, 1e30 * np.sign(np.sin(np.arange(800))), 1e-30
    out = Wav2Vec2Embedding(toy_model, pooling=["mean", "std"]).fit_transform(X)
    assert out.dtype == dtype
    assert np.isfinite(out).all()


def test_windows_shorter_than_a_frame_are_padded(clips, toy_model):
    # Kernels and strides of all published models.
    assert receptive_field((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)) == 400
    short = Wav2Vec2Embedding(toy_model).fit(clips[:, :7])
    assert short.min_length_ == receptive_field((32, 16), (20, 16)) == 332
    padded = prepare(clips[:, :7], normalize=True, min_length=332)
    assert not padded[:, 7:].any()
    hidden = short.model_.double()(torch.as_tensor(padded)).last_hidden_state
    assert hidden.shape == (3, 1, 8)
    assert_allclose(short.transform(clips[:, :7]), hidden[:, 0].detach().numpy(), atol=1e-12)


def test_window_is_the_same_alone_in_a_batch_and_in_its_recording(windows, toy_model):
    for dtype, atol in ((np.float32, 1e-5), (np.float64, 1e-12)):
        X = np.asarray(windows, dtype=dtype)
        embedding = Wav2Vec2Embedding(toy_model, batch_size=4).fit(X)
        inside = embedding.transform(X)
        assert inside.dtype == dtype
        assert_array_equal(embedding.transform(X), inside)
        assert_allclose(np.vstack([embedding.transform(row[np.newaxis]) for row in X]), inside, atol=atol)
    embedding = Wav2Vec2Embedding(toy_model, batch_size=1).fit(windows)
    assert_allclose(embedding.transform(windows), inside, atol=1e-5)
    assert_array_equal(embedding.transform(windows[::-1]), embedding.transform(windows)[::-1])


@pytest.mark.slow
def test_pickle_needs_neither_folder_nor_network(clips, tmp_path):
    embedding = Wav2Vec2Embedding(save_toy_model(tmp_path / "model")).fit(clips)
    expected = embedding.transform(clips)
    joblib.dump((embedding, clips, expected), tmp_path / "embedding.joblib")
    shutil.rmtree(tmp_path / "model")
    assert_array_equal(embedding.transform(clips), expected)
    code = (
        "import sys, joblib, numpy as np\n"
        "for mmap_mode in (None, 'r'):\n"
        "    embedding, clips, expected = joblib.load(sys.argv[1], mmap_mode=mmap_mode)\n"
        "    np.testing.assert_allclose(embedding.transform(clips), expected, atol=1e-12)\n"
    )
    # The process inherits HF_HUB_OFFLINE.
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code, tmp_path / "embedding.joblib"], check=True)
    with pytest.raises(OSError, match="no such folder"):
        clone(embedding).fit(clips)


def test_lower_layers_pickle_smaller(clips, toy_model):
    fitted = [Wav2Vec2Embedding(toy_model, layer=layer).fit(clips) for layer in (0, 1, 2)]
    sizes = [len(pickle.dumps(embedding)) for embedding in fitted]
    assert sizes == sorted(sizes)
    assert len(fitted[1].model_.encoder.layers) == 1


def test_fits_share_nothing(clips, toy_model):
    one = Wav2Vec2Embedding(toy_model).fit(clips)
    other = clone(one).fit(clips)
    expected = other.transform(clips)
    with torch.no_grad():
        for value in one.model_.parameters():
            value.add_(0.1)
    assert_array_equal(other.transform(clips), expected)
    assert np.abs(one.transform(clips) - expected).max() > 1e-3
    assert_array_equal(one.fit(clips).transform(clips), expected)


def test_random_numbers_and_logging_stay_and_nothing_is_printed(clips, toy_model, capfd):
    logging = transformers.utils.logging
    before = torch.random.get_rng_state(), logging.get_verbosity(), logging.is_progress_bar_enabled()
    pickle.loads(pickle.dumps(Wav2Vec2Embedding(toy_model).fit(clips))).transform(clips)
    assert_array_equal(torch.random.get_rng_state(), before[0])
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before[1:]
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_agree(clips, toy_model):
    gpu, cpu = (Wav2Vec2Embedding(toy_model, device=device).fit(clips) for device in ("cuda", "cpu"))
    assert_allclose(gpu.transform(clips), cpu.transform(clips), atol=1e-9)
    assert gpu.model_.device.type == "cpu"


@pytest.mark.parametrize("kind", ["Wav2Vec2ForCTC", "Wav2Vec2ForPreTraining"])
def test_models_with_a_head_are_taken(clips, tmp_path, kind):
    save_toy_model(tmp_path, num_codevectors_per_group=4, codevector_dim=8, proj_codevector_dim=8, vocab_size=5)
    whole = getattr(transformers, kind)(transformers.AutoConfig.from_pretrained(tmp_path))
    whole.save_pretrained(tmp_path)
    weights = Wav2Vec2Embedding(tmp_path).fit(clips).model_.state_dict()
    for name, value in whole.wav2vec2.state_dict().items():
        assert_array_equal(weights[name], value)


def test_half_precision_is_widened(clips, tmp_path):
    X = clips.astype(np.float32)
    transformers.AutoModel.from_pretrained(save_toy_model(tmp_path)).half().save_pretrained(tmp_path)
    config, weights, extractor = load_pretrained(tmp_path)
    assert (config.num_hidden_layers, extractor.sampling_rate) == (2, 16000)
    assert all(value.dtype == torch.float32 and not value.requires_grad for value in weights.values())
    embedding = Wav2Vec2Embedding(tmp_path).fit(X)
    assert {value.dtype for value in embedding.model_.parameters()} == {torch.float32}
    assert embedding.transform(X).dtype == np.float32


def test_weights_of_old_are_read(clips, tmp_path):
    """Files of torch instead of safetensors, with the names of weight normalisation that torch had before 2.0."""
    expected = Wav2Vec2Embedding(save_toy_model(tmp_path)).fit_transform(clips)
    weights = transformers.AutoModel.from_pretrained(tmp_path).state_dict()
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        weights = {key.replace(f"parametrizations.weight.{new}", old): value for key, value in weights.items()}
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    assert_allclose(Wav2Vec2Embedding(tmp_path).fit_transform(clips), expected, atol=1e-12)


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["SKCRY_EVIL"],)


def test_no_code_in_a_folder_is_run(clips, tmp_path, monkeypatch):
    monkeypatch.setenv("SKCRY_EVIL", str(tmp_path / "evil"))
    model = save_toy_model(tmp_path / "model")
    (model / "own.py").write_text(f"import os; os.mkdir({str(tmp_path / 'evil')!r})")
    settings_of(model, auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"})
    Wav2Vec2Embedding(model).fit(clips)
    (model / "model.safetensors").unlink()
    torch.save({"masked_spec_embed": Evil()}, model / "pytorch_model.bin")
    with pytest.raises(OSError, match="could not be loaded"):
        Wav2Vec2Embedding(model).fit(clips)
    assert not (tmp_path / "evil").exists()


def test_without_transformers(clips, toy_model, monkeypatch):
    pickled = pickle.dumps(Wav2Vec2Embedding(toy_model).fit(clips))
    monkeypatch.setitem(sys.modules, "transformers", None)
    for action in (lambda: Wav2Vec2Embedding(toy_model).fit(clips), lambda: pickle.loads(pickled)):
        with pytest.raises(ImportError, match=r"pip install 'skcry\[transformers\]'"):
            action()


FOLDER = r"nowhere|/no/where.*no such folder.*model.safetensors"
NAMES = ["facebook/no-such-model", "no-such-model", "not a name", "a/b/c"]


@pytest.mark.parametrize("model", ["./nowhere", "/no/where", "~/nowhere", Path("nowhere"), *NAMES])
def test_no_such_folder_or_name(clips, model):
    name = rf"model='{model}' could not be loaded: .+huggingface.co"
    with pytest.raises(OSError, match=name if model in NAMES else FOLDER):
        Wav2Vec2Embedding(model).fit(clips)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_incomplete_or_broken_folder(clips, tmp_path, file):
    path = save_toy_model(tmp_path) / file
    for damage in (lambda: path.write_bytes(b"nonsense"), path.unlink):
        damage()
        with pytest.raises(OSError, match="could not be loaded"):
            Wav2Vec2Embedding(tmp_path).fit(clips)


def test_other_models_are_refused(clips, tmp_path):
    tiny = {"vocab_size": 5, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    transformers.BertModel(transformers.BertConfig(**tiny)).save_pretrained(tmp_path)
    with pytest.raises(OSError, match="it is a 'bert' model"):
        Wav2Vec2Embedding(tmp_path).fit(clips)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 3}, r"lacks 16 weights, such as encoder\.layers\.2\."),
        ({"hidden_size": 16}, "could not be loaded"),
    ],
)
def test_missing_weights_are_not_made_up(clips, tmp_path, changes, message):
    settings_of(save_toy_model(tmp_path), **changes)
    with pytest.raises(OSError, match=message):
        Wav2Vec2Embedding(tmp_path).fit(clips)


def test_rate_must_be_that_of_the_model(clips, toy_model, tmp_path):
    with pytest.raises(ValueError, match=r"sr=22050 Hz is not the rate of model=.*16000 Hz. Resample"):
        Wav2Vec2Embedding(toy_model, sr=22050).fit(clips)
    X = Windower(sr=8000).fit_transform([np.zeros(48000)])
    with pytest.raises(ValueError, match="sr=8000 Hz is not the rate"):
        Wav2Vec2Embedding(toy_model).fit(X)
    assert Wav2Vec2Embedding(save_toy_model(tmp_path, sr=8000)).fit(X).transform(X).shape == (2, 8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": 3}, "layer=3 must be from 0 to 2, or from -3 to -1"),
        ({"layer": -4}, "layer=-4 must be"),
        ({"layer": 1.5}, "'layer' parameter"),
        ({"pooling": "max-mean"}, r"unknown names \['max-mean'\]"),
        ({"pooling": []}, "is empty"),
        ({"batch_size": 0}, "'batch_size' parameter"),
    ],
)
def test_wrong_settings(clips, toy_model, settings, message):
    with pytest.raises(ValueError, match=message):
        Wav2Vec2Embedding(toy_model, **settings).fit(clips)
