"""Wav2Vec2Embedding: the numbers of transformers itself, windows that stay themselves, and pickles that need nobody."""

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

from helpers import save_toy_model  # noqa: E402

from skcry.nn.wav2vec2 import load_pretrained, prepare, receptive_field  # noqa: E402

BASE = ((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))  # kernels and strides of all published models


@pytest.fixture
def clips(rng, sr):
    return rng.normal(size=(3, sr // 10))


@pytest.fixture
def windows(rng, sr):
    recordings = [rng.standard_normal(length).astype(np.float32) for length in (3 * sr // 10, sr // 10, sr // 4)]
    return Windower(window_duration=0.1, hop_duration=0.03).fit_transform(recordings)


def settings_of(folder, file, **changes):
    path = Path(folder) / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# The numbers of transformers


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
    for layer in (0, 1, 2):
        expected = out.hidden_states[layer].mean(dim=1).numpy()
        assert_allclose(Wav2Vec2Embedding(tmp_path, layer=layer).fit_transform(X), expected, atol=1e-5)
        assert_allclose(Wav2Vec2Embedding(tmp_path, layer=layer - 4).fit_transform(X), expected, atol=1e-5)
    expected = out.last_hidden_state.mean(dim=1).numpy()
    assert_allclose(Wav2Vec2Embedding(tmp_path).fit_transform(X), expected, atol=1e-5)
    assert_allclose(Wav2Vec2Embedding(tmp_path, layer=3).fit_transform(X), expected, atol=1e-5)
    again = pickle.loads(pickle.dumps(Wav2Vec2Embedding(tmp_path, layer=1).fit(X)))
    assert_allclose(again.transform(X), out.hidden_states[1].mean(dim=1).numpy(), atol=1e-5)


def test_pooling_tells_of_the_frames(clips, toy_model):
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


# Facts about sound


def test_windows_are_normalised_as_the_model_wants_it(clips, tmp_path):
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


def test_windows_shorter_than_a_frame_are_padded(clips, toy_model):
    assert receptive_field(*BASE) == 400
    embedding = Wav2Vec2Embedding(toy_model).fit(clips)
    assert embedding.min_length_ == receptive_field((32, 16), (20, 16)) == 332
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


# Whose it is


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
    with pytest.raises(OSError, match="there is no such folder"):
        clone(embedding).fit(clips)


def test_lower_layers_pickle_smaller(clips, toy_model):
    sizes = [len(pickle.dumps(Wav2Vec2Embedding(toy_model, layer=layer).fit(clips))) for layer in (0, 1, 2)]
    assert sizes == sorted(sizes)
    assert len(Wav2Vec2Embedding(toy_model, layer=1).fit(clips).model_.encoder.layers) == 1


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


def test_state_of_random_numbers_and_of_logging_stay(clips, toy_model):
    logging = transformers.utils.logging
    before = torch.random.get_rng_state(), logging.get_verbosity(), logging.is_progress_bar_enabled()
    pickle.loads(pickle.dumps(Wav2Vec2Embedding(toy_model).fit(clips)))
    assert_array_equal(torch.random.get_rng_state(), before[0])
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before[1:]


def test_fit_prints_nothing(clips, toy_model, capfd):
    Wav2Vec2Embedding(toy_model).fit_transform(clips)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_agree(clips, toy_model):
    gpu, cpu = (Wav2Vec2Embedding(toy_model, device=device).fit(clips) for device in ("cuda", "cpu"))
    assert_allclose(gpu.transform(clips), cpu.transform(clips), atol=1e-9)
    assert gpu.model_.device.type == "cpu"


# Files of many kinds


@pytest.mark.parametrize("kind", ["Wav2Vec2ForCTC", "Wav2Vec2ForPreTraining"])
def test_models_with_a_head_are_taken(clips, tmp_path, kind):
    save_toy_model(tmp_path, num_codevectors_per_group=4, codevector_dim=8, proj_codevector_dim=8, vocab_size=5)
    whole = getattr(transformers, kind)(transformers.AutoConfig.from_pretrained(tmp_path))
    whole.save_pretrained(tmp_path)
    embedding = Wav2Vec2Embedding(tmp_path).fit(clips)
    for name, value in whole.wav2vec2.state_dict().items():
        assert_array_equal(embedding.model_.state_dict()[name], value)


def test_half_precision_is_widened(clips, tmp_path):
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


def test_weights_of_old_are_read(clips, tmp_path):
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
    settings_of(tmp_path / "model", "config.json", auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"})
    Wav2Vec2Embedding(tmp_path / "model").fit(clips)
    assert not (tmp_path / "evil").exists()


# Errors


def test_without_transformers(clips, toy_model, monkeypatch):
    pickled = pickle.dumps(Wav2Vec2Embedding(toy_model).fit(clips))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'skcry\[transformers\]'"):
        Wav2Vec2Embedding(toy_model).fit(clips)
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


def test_missing_weights_are_not_made_up(clips, tmp_path):
    save_toy_model(tmp_path)
    settings_of(tmp_path, "config.json", num_hidden_layers=3)
    with pytest.raises(OSError, match=r"lacks 16 weights, such as encoder\.layers\.2\."):
        Wav2Vec2Embedding(tmp_path).fit(clips)
    settings_of(tmp_path, "config.json", num_hidden_layers=2, hidden_size=16)
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


def test_load_pretrained_gives_weights_of_its_own(toy_model):
    config, weights, extractor = load_pretrained(toy_model)
    assert (config.num_hidden_layers, extractor.sampling_rate) == (2, 16000)
    assert all(value.dtype == torch.float32 and not value.requires_grad for value in weights.values())
