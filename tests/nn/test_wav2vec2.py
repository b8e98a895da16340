"""Wav2Vec2Embedding against transformers; its windows, pickles, files and errors."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skcry import Wav2Vec2Embedding, Windower

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="needs pip install 'skcry[transformers]'")

from toy_model import save_toy_model  # noqa: E402

from skcry.nn.wav2vec2 import load_pretrained, prepare, receptive_field  # noqa: E402

BASE = ((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))  # kernels and strides of all published models


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).normal(size=(3, 1600))


@pytest.fixture(scope="module")
def fitted(clips, toy_model):
    """Not to be changed."""
    return Wav2Vec2Embedding(toy_model).fit(clips)


@pytest.fixture
def windows(rng, sr):
    recordings = [rng.standard_normal(length).astype(np.float32) for length in (3 * sr // 10, sr // 10, sr // 4)]
    return Windower(window_duration=0.1, hop_duration=0.03).fit_transform(recordings)


def change_settings(folder, file, **changes):
    path = Path(folder) / file
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
        expected = hidden.mean(dim=1).numpy()
        embedding = Wav2Vec2Embedding(tmp_path, layer=layer).fit(X)
        assert_allclose(embedding.transform(X), expected, atol=1e-5)
        assert_allclose(Wav2Vec2Embedding(tmp_path, layer=layer - 4).fit_transform(X), expected, atol=1e-5)
        assert_allclose(pickle.loads(pickle.dumps(embedding)).transform(X), expected, atol=1e-5)


def test_pooling_over_frames(clips, toy_model):
    both = Wav2Vec2Embedding(toy_model, pooling=("mean", "std")).fit(clips)
    hidden = both.model_.double()(torch.as_tensor(prepare(clips, normalize=True, min_length=1))).last_hidden_state
    out = both.transform(clips)
    assert out.shape == (3, 16)
    assert_allclose(out[:, ::2], hidden.mean(dim=1).detach().numpy(), atol=1e-12)
    assert_allclose(out[:, 1::2], hidden.std(dim=1, correction=0).detach().numpy(), atol=1e-12)
    names = both.get_feature_names_out()
    assert names[:3].tolist() == ["wav2vec2_0__mean", "wav2vec2_0__std", "wav2vec2_1__mean"]
    table = both.set_output(transform="pandas").transform(clips)
    assert table.columns.tolist() == names.tolist()
    assert_array_equal(Wav2Vec2Embedding(toy_model, pooling="std").fit_transform(clips), out[:, 1::2])


def test_adapter_is_left_out(clips, tmp_path):
    save_toy_model(tmp_path / "with", add_adapter=True, output_hidden_size=8)
    embedding = Wav2Vec2Embedding(tmp_path / "with").fit(clips)
    assert not any("adapter" in name for name in embedding.model_.state_dict())
    assert embedding.transform(clips).shape == (3, 8)


def test_windows_are_normalised_as_the_model_expects(clips, tmp_path):
    large = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}  # small models normalise within as well
    save_toy_model(tmp_path / "yes", do_normalize=True, **large)
    save_toy_model(tmp_path / "no", do_normalize=False, **large)
    yes, no = (Wav2Vec2Embedding(tmp_path / name).fit(clips) for name in ("yes", "no"))
    assert_allclose(yes.transform(0.1 * clips + 0.5), yes.transform(clips), atol=1e-5)  # gain and offset are gone
    assert np.abs(no.transform(clips + 0.5) - no.transform(clips)).max() > 1e-3
    assert_allclose(no.transform(prepare(clips, normalize=True, min_length=1)), yes.transform(clips), atol=1e-12)


def test_silence_clicks_and_extremes_stay_finite(toy_model):
    X = np.zeros((5, 800))
    X[1] = 0.3
    X[2, 400] = 1
    X[3] = 1e30 * np.sign(np.sin(np.arange(800)))
    X[4] = 1e-30
    for dtype in (np.float32, np.float64):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            out = Wav2Vec2Embedding(toy_model, pooling=["mean", "std"]).fit_transform(X.astype(dtype))
        assert out.dtype == dtype
        assert np.isfinite(out).all()


def test_windows_shorter_than_a_frame_are_padded(clips, fitted, toy_model):
    assert receptive_field(*BASE) == 400
    assert fitted.min_length_ == receptive_field((32, 16), (20, 16)) == 332
    short = Wav2Vec2Embedding(toy_model).fit(clips[:, :7])
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
        for row in range(len(X)):
            assert_allclose(embedding.transform(X[row : row + 1])[0], inside[row], atol=atol)
    embedding = Wav2Vec2Embedding(toy_model, batch_size=1).fit(windows)
    assert_allclose(embedding.transform(windows), inside, atol=1e-5)
    assert_array_equal(embedding.transform(windows[::-1]), embedding.transform(windows)[::-1])


def test_pickle_needs_neither_folder_nor_network(clips, tmp_path):
    save_toy_model(tmp_path / "model")
    embedding = Wav2Vec2Embedding(tmp_path / "model").fit(clips)
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
    command = [sys.executable, "-W", "error::UserWarning", "-c", code, tmp_path / "embedding.joblib"]
    subprocess.run(command, check=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    with pytest.raises(OSError, match="no such folder"):
        clone(embedding).fit(clips)


def test_lower_layers_pickle_smaller(clips, toy_model):
    sizes = [len(pickle.dumps(Wav2Vec2Embedding(toy_model, layer=layer).fit(clips))) for layer in (0, 1, 2)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert len(Wav2Vec2Embedding(toy_model, layer=1).fit(clips).model_.encoder.layers) == 1


def test_fits_share_nothing(clips, fitted):
    one, expected = clone(fitted).fit(clips), fitted.transform(clips)
    with torch.no_grad():
        for value in one.model_.parameters():
            value.add_(0.1)
    assert_array_equal(fitted.transform(clips), expected)
    assert np.abs(one.transform(clips) - expected).max() > 1e-3
    assert_array_equal(one.fit(clips).transform(clips), expected)


def test_random_state_and_logging_do_not_change(clips, toy_model, capfd):
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
def test_models_with_a_head(clips, tmp_path, kind):
    save_toy_model(tmp_path, num_codevectors_per_group=4, codevector_dim=8, proj_codevector_dim=8, vocab_size=5)
    whole = getattr(transformers, kind)(transformers.AutoConfig.from_pretrained(tmp_path))
    whole.save_pretrained(tmp_path)
    embedding = Wav2Vec2Embedding(tmp_path).fit(clips)
    for name, value in whole.wav2vec2.state_dict().items():
        assert_array_equal(embedding.model_.state_dict()[name], value)


def test_half_precision_is_loaded_as_float32(clips, tmp_path):
    save_toy_model(tmp_path)
    transformers.AutoModel.from_pretrained(tmp_path).half().save_pretrained(tmp_path)
    embedding = Wav2Vec2Embedding(tmp_path).fit(clips.astype(np.float32))
    assert {value.dtype for value in embedding.model_.parameters()} == {torch.float32}
    assert embedding.transform(clips.astype(np.float32)).dtype == np.float32


def as_old_file(folder):
    """Replace safetensors by what torch saves, with the names of weight normalisation that torch had before 2.0."""
    weights = transformers.AutoModel.from_pretrained(folder).state_dict()
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for new, name in old.items():
        weights = {key.replace(new, name): value for key, value in weights.items()}
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")


def test_old_files_of_weights(clips, tmp_path):
    save_toy_model(tmp_path)
    expected = Wav2Vec2Embedding(tmp_path).fit_transform(clips)
    as_old_file(tmp_path)
    assert_allclose(Wav2Vec2Embedding(tmp_path).fit_transform(clips), expected, atol=1e-12)


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["SKCRY_EVIL"],)


def test_nothing_in_a_file_of_weights_is_run(clips, tmp_path, monkeypatch):
    monkeypatch.setenv("SKCRY_EVIL", str(tmp_path / "evil"))
    save_toy_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({"masked_spec_embed": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="could not be loaded"):
        Wav2Vec2Embedding(tmp_path).fit(clips)
    assert not (tmp_path / "evil").exists()


def test_code_beside_a_model_is_not_run(clips, tmp_path):
    save_toy_model(tmp_path / "model")
    (tmp_path / "model" / "own.py").write_text(f"import os; os.mkdir({str(tmp_path / 'evil')!r})")
    change_settings(tmp_path / "model", "config.json", auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"})
    Wav2Vec2Embedding(tmp_path / "model").fit(clips)
    assert not (tmp_path / "evil").exists()


def test_without_transformers(clips, fitted, monkeypatch):
    pickled = pickle.dumps(fitted)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'skcry\[transformers\]'"):
        clone(fitted).fit(clips)
    with pytest.raises(ImportError, match=r"pip install 'skcry\[transformers\]'"):
        pickle.loads(pickled)


@pytest.mark.parametrize("model", ["./nowhere", "/no/where", "~/nowhere", Path("nowhere")])
def test_no_such_folder(clips, model):
    with pytest.raises(OSError, match=r"nowhere|/no/where.*no such folder.*model.safetensors"):
        Wav2Vec2Embedding(model).fit(clips)


@pytest.mark.parametrize("model", ["facebook/no-such-model", "no-such-model", "not a name", "a/b/c"])
def test_name_without_network(clips, model):
    with pytest.raises(OSError, match=rf"model='{model}' could not be loaded: .+huggingface.co"):
        Wav2Vec2Embedding(model).fit(clips)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_incomplete_or_broken_folder(clips, tmp_path, file):
    save_toy_model(tmp_path)
    (tmp_path / file).write_bytes(b"nonsense")
    with pytest.raises(OSError, match="could not be loaded"):
        Wav2Vec2Embedding(tmp_path).fit(clips)
    (tmp_path / file).unlink()
    with pytest.raises(OSError, match="could not be loaded"):
        Wav2Vec2Embedding(tmp_path).fit(clips)


def test_other_models_are_refused(clips, tmp_path):
    transformers.BertModel(
        transformers.BertConfig(
            vocab_size=5, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
        )
    ).save_pretrained(tmp_path)
    with pytest.raises(OSError, match="it is a 'bert' model"):
        Wav2Vec2Embedding(tmp_path).fit(clips)


def test_missing_weights_are_an_error(clips, tmp_path):
    save_toy_model(tmp_path)
    change_settings(tmp_path, "config.json", num_hidden_layers=3)
    with pytest.raises(OSError, match=r"lacks 16 weights, such as encoder\.layers\.2\."):
        Wav2Vec2Embedding(tmp_path).fit(clips)
    change_settings(tmp_path, "config.json", num_hidden_layers=2, hidden_size=16)
    with pytest.raises(OSError, match="could not be loaded"):
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


def test_load_pretrained_returns_float32_without_gradients(toy_model):
    config, weights, extractor = load_pretrained(toy_model)
    assert (config.num_hidden_layers, extractor.sampling_rate) == (2, 16000)
    assert all(value.dtype == torch.float32 and not value.requires_grad for value in weights.values())
