"""Saved models: the same numbers, nothing executed, nothing accepted that is damaged, forged or unknown."""

import hashlib
import importlib
import io
import os
import pickle
import warnings
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import skops.io
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

import skcry
from skcry import CryDetector, EnergyGate, MelSpectrogram, Windower, make_cry_pipeline
from skcry.datasets import make_cry_recordings
from skcry.sharing import FORMAT, MOVED, REVIEWED, read_about

FRAME_CNN = {"width": 0.25, "max_epochs": 1, "min_steps": 1}
NETS = [
    skcry.AlexNetClassifier(width=1 / 16, max_epochs=1, early_stopping=False),
    skcry.FrameCNNClassifier(**FRAME_CNN),
]


class Mine(FunctionTransformer):
    """A type that is not of these libraries."""


def stats(classifier=None, **params):
    pipeline = make_cry_pipeline(classifier, features="stats", resample="under", random_state=0, **params)
    return pipeline.set_params(features__stats__features=["mfcc"])


def frames():
    pipeline = make_cry_pipeline(features="frames", resample="under", random_state=0)
    return pipeline.set_params(**{f"features__frames__net__{name}": value for name, value in FRAME_CNN.items()})


@pytest.fixture(scope="module")
def data():
    return make_cry_recordings(6, duration=20, random_state=0)


@pytest.fixture(scope="module")
def windows(data):
    recordings, annotations, infants = data
    X = Windower(2, 2).fit_transform(recordings, groups=infants)
    return X, X.label(annotations)


@pytest.fixture(scope="module")
def linear(windows):
    return stats(LogisticRegression(C=2.0)).fit(*windows)


@pytest.fixture(scope="module")
def detector(data):
    recordings, annotations, infants = data
    return CryDetector(frames(), gate=EnergyGate(), random_state=0).fit(recordings, annotations, groups=infants)


@pytest.fixture(scope="module")
def detector_file(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "detector.skcry"
    saved(detector, path)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skcry"


def saved(estimator, path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".* resamples are left out")  # of a card on half a minute of sound
        skcry.save(estimator, path, **options)
        return skcry.load(path)


def copied(estimator):
    return pickle.loads(pickle.dumps(estimator))


def assert_same(ours, theirs, X):
    names = ("transform", "predict_proba", "decision_function", "predict", "timeline")
    pairs = [(getattr(ours, name)(X), getattr(theirs, name)(X)) for name in names if hasattr(theirs, name)]
    assert pairs
    for one, other in pairs:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other), strict=True)  # the same dtype too


def test_reviewed_types_exist_and_every_estimator_is_among_them():
    for module, names in REVIEWED.items():
        for name in names.split():
            assert getattr(importlib.import_module(module), name)
    public = [getattr(skcry, name) for name in skcry.__all__]
    estimators = {one.__name__ for one in public if isinstance(one, type) and issubclass(one, BaseEstimator)}
    assert set(REVIEWED["skcry"].split()) == estimators | {"AlexNet", "CryCNN", "FrameCNN"}
    assert all(name in REVIEWED[module].split() for module, name in MOVED.values())


SOUND = [skcry.HighPassFilter(cutoff=400), skcry.Denoise(), MelSpectrogram(n_mels=32), skcry.StatFeatures(["mfcc"])]
OF_RECORDINGS = [Windower(2, 1, last="drop"), EnergyGate()]


@pytest.mark.parametrize("estimator", [*SOUND, *OF_RECORDINGS], ids=lambda one: type(one).__name__)
def test_transformers(estimator, data, windows, path):
    X = data[0] if estimator in OF_RECORDINGS else windows[0]
    assert_same(saved(estimator.fit(X), path), estimator, X)
    assert str(saved(clone(estimator), path)) == str(estimator)


@pytest.mark.parametrize("weight_dtype", ["float32", "float16"])
@pytest.mark.parametrize("net", NETS, ids=lambda one: type(one).__name__)
def test_networks(net, weight_dtype, windows, path):
    X, y = MelSpectrogram(n_mels=32).fit_transform(windows[0][::3]), np.where(windows[1][::3], "cry", "quiet")
    net = clone(net).set_params(weight_dtype=weight_dtype, random_state=0).fit(X, y)
    again = saved(net, path)
    for same in (again, saved(again, path), copied(again)):
        assert_same(same, net, X)
    assert np.isin(again.net_.predict(np.zeros((1, 1, 32, X.shape[2]), np.float32)), (0, 1)).all()
    assert b"skorch" not in pickle.dumps(net)


def test_a_pretrained_model(windows, path, toy_model):
    embedding = skcry.Wav2Vec2Embedding(Path(toy_model), device="cpu").fit(windows[0][:4])
    assert_same(saved(embedding, path), embedding, windows[0][:4])


def test_half_precision(detector, detector_file, data, path):
    again = saved(detector, path, weight_dtype="float16")
    rounded = copied(detector)
    for weight in rounded.estimator_.named_steps["features"].transformer_list[0][1][-1].net_.module_.parameters():
        if weight.ndim > 1:
            weight.data = weight.data.half().float()
    assert again.timeline(data[0]).equals(rounded.timeline(data[0]))
    assert not again.timeline(data[0]).equals(detector.timeline(data[0]))
    sizes = [zipfile.ZipFile(file).getinfo("weights.safetensors").file_size for file in (detector_file, path)]
    assert sizes[1] < 0.6 * sizes[0]
    assert read_about(path)["weight_dtype"] == "float16"
    places = {name.partition(".")[0] for name in safetensors.numpy.load(content(path)["weights.safetensors"])}
    assert places == {"network0"}  # once


def test_detectors(detector, detector_file, data, path):
    again = skcry.load(detector_file)
    assert again.detect(data[0]).equals(detector.detect(data[0]))
    assert again.timeline(data[0]).equals(detector.timeline(data[0]))
    assert_same(again, detector, data[0])
    assert read_about(detector_file)["card"] == str(again.card())
    assert again.calibrate(data[0], data[1]).level_ == copied(detector).calibrate(data[0], data[1]).level_


@pytest.mark.filterwarnings("ignore:positive=None names neither", "ignore:The estimator did not score crying above")
def test_a_detector_of_labels(data, path):
    cv = [([0, 1, 2, 3], [4, 5]), ([2, 3, 4, 5], [0, 1])]
    labelled = CryDetector(stats(), positive=None, random_state=0, cv=cv).fit(data[0], ["a", "b"] * 3)
    assert_same(saved(labelled, path), labelled, data[0])


C = {"classify__C": [0.1, 1.0]}
AROUND = {
    "search": GridSearchCV(stats(), C, cv=GroupKFold(3), scoring="average_precision"),
    "search-network": GridSearchCV(frames(), C, cv=GroupKFold(2)),
    "sigmoid": CalibratedClassifierCV(stats(SVC()), ensemble=False, cv=2),
    "isotonic": CalibratedClassifierCV(stats(SVC()), method="isotonic", cv=2),
    "threshold": TunedThresholdClassifierCV(stats(LogisticRegression()), cv=2),
    "select": stats(select=SelectKBest(k=5)),
}


@pytest.mark.parametrize("estimator", AROUND.values(), ids=AROUND)
def test_around_pipelines(estimator, windows, path):
    X, y = windows
    estimator.fit(X, y, **({"groups": X.groups} if isinstance(estimator, GridSearchCV) else {}))
    assert_same(saved(estimator, path), estimator, X)


def test_a_searched_detector_keeps_its_card(data, path):
    recordings, annotations, infants = data
    search = GridSearchCV(CryDetector(stats(), random_state=0, cv=2), {"merge_gap": [1, 5]}, cv=GroupKFold(2))
    search.fit(recordings, annotations, groups=infants)
    again = saved(search, path)
    assert_same(again, search, recordings)
    assert again.best_params_ == search.best_params_
    assert read_about(path)["card"] == str(search.best_estimator_.card())
    assert read_about(path)["type"] == "GridSearchCV"


@pytest.mark.parametrize("estimator", [stats(), CryDetector(stats(), merge_gap=2)], ids=["pipeline", "detector"])
def test_estimators_that_are_not_fitted_have_no_card(estimator, path):
    assert str(saved(estimator, path)) == str(estimator)
    assert read_about(path)["card"] is None


def test_callbacks_are_not_saved(path):
    progress = pytest.importorskip("sklearn.callback").ProgressBar()
    estimator = stats(LogisticRegression()).set_callbacks(progress)
    assert not hasattr(saved(estimator, path), "_skl_callbacks")
    assert estimator._skl_callbacks == [progress]


def test_metadata_requests_are_not_saved(windows, path):
    X, y = windows
    with config_context(enable_metadata_routing=True):
        estimator = stats(LogisticRegression().set_fit_request(sample_weight=True)).set_params(resample="passthrough")
        estimator.named_steps["scale"].set_fit_request(sample_weight=False)
        estimator.fit(X, y, sample_weight=np.ones(len(y)))
        again = saved(estimator, path)
        assert_same(again, estimator, X)
        assert estimator[-1].get_metadata_routing().fit.requests["sample_weight"] is True
        assert again[-1].get_metadata_routing().fit.requests["sample_weight"] is None


def refused(estimator, path, name):
    """Save an estimator with a type that is not trusted, and try to load it."""
    with pytest.warns(UserWarning, match=f"{name}.*which skcry.load does not trust"):
        skcry.save(estimator, path)
    with pytest.raises(ValueError, match=rf"holds \[.*{name}'.*\], which is not trusted.*pass trusted="):
        skcry.load(path)


def test_other_types_are_refused_by_name(windows, linear, path):
    refused(make_pipeline(Mine(), linear), path, "Mine")
    assert read_about(path)["not trusted"] == [f"{Mine.__module__}.Mine"]
    refused(stats(memory=joblib.Memory(None)), path, "joblib.memory.Memory")
    trees = stats(GradientBoostingClassifier(n_estimators=2)).fit(*windows)
    refused(trees, path, "sklearn.tree._tree.Tree")
    assert_same(skcry.load(path, trusted=["sklearn.tree._tree.Tree"]), trees, windows[0])


class Embedding(TransformerMixin, BaseEstimator):
    """A transformer of one's own around a network with given weights."""

    def __init__(self, network=skcry.AlexNet):
        self.network = network

    def fit(self, X, y=None):
        torch.manual_seed(0)
        self.net_ = self.network(*X.shape[1:], width=1 / 32).eval()
        return self

    def transform(self, X):
        with torch.inference_mode():
            return self.net_.embed(torch.as_tensor(np.asarray(X[:], dtype=np.float32))[:, None]).numpy()


@pytest.mark.parametrize("network", [skcry.AlexNet, skcry.FrameCNN])
def test_networks_in_a_transformer_of_ones_own(network, windows, path):
    X, y = windows
    chain = make_pipeline(MelSpectrogram(n_mels=32), Embedding(network), LogisticRegression()).fit(X, y)
    with pytest.warns(UserWarning, match="Embedding.*which skcry.load does not trust"):
        skcry.save(chain, path, weight_dtype="float16")
    assert len(content(path)["weights.safetensors"]) > 1000
    for dtype in ("float16", None):
        with pytest.warns(UserWarning, match=r"Embedding'\]"):
            skcry.save(chain, path, weight_dtype=dtype)
        again = skcry.load(path, trusted=[f"{__name__}.Embedding"])
        same = np.array_equal(again[:-1].transform(X), chain[:-1].transform(X))
        assert same == (dtype is None)
        assert not again[1].net_.training
    assert_same(copied(chain), chain, X)
    folded = copied(chain)
    folded[1].net_ = folded[1].net_.folded()
    with pytest.raises(TypeError, match=f"holds a folded {network.__name__}, which only predicts"):
        skcry.save(folded, path)
    folded[1].net_ = torch.nn.Linear(2, 2)
    with pytest.raises(TypeError, match="holds tensors or networks of torch, other than AlexNet and FrameCNN"):
        skcry.save(folded, path)


def test_what_is_not_data_is_not_saved(path):
    skcry.save(stats(), path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="cannot be saved as data.*lambda"):
        skcry.save(FunctionTransformer(lambda X: X), path)
    assert path.read_bytes() == before


def content(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def archive(parts, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return buffer.getvalue()


def forged(parts, format_number=FORMAT, **options):
    """Make a file of any content whose checksum is right."""
    data = archive(parts, **options)
    return f"skcry model, format {format_number}\n{hashlib.sha256(data).hexdigest()}\n".encode() + data


def test_nothing_is_executed(path, tmp_path, monkeypatch):
    witness = tmp_path / "witness"
    built = skops.io.dumps(FunctionTransformer(os.mkdir, kw_args={"path": str(witness)}))
    other = {"about.json": b"{}", "weights.safetensors": b""}
    for parts, number in ((content(io.BytesIO(built)), FORMAT), ({"estimator.skops": built}, 1)):
        path.write_bytes(forged(parts | other, number))
        with pytest.raises(ValueError, match=r"holds \['(posix|nt)\.mkdir'\]"):
            skcry.load(path)
    monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("unpickled"))
    path.write_bytes(b"skcry model, format 1\n" + pickle.dumps(Mine()))
    with pytest.raises(ValueError, match="damaged"):
        skcry.load(path)
    assert not witness.exists()


def test_every_flipped_bit_is_an_error(path, rng):
    skcry.save(stats(), path)
    data = path.read_bytes()
    places = {*range(120), len(data) - 1, *rng.integers(len(data), size=200).tolist()}
    damaged = [data[:length] for length in (0, 10, 50, 100, len(data) // 2, len(data) - 1)]
    for place in sorted(places):
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.integers(8)
        damaged.append(flipped)
    for one in damaged:
        path.write_bytes(one)
        with pytest.raises(ValueError, match="no skcry model|damaged|newer than format"):
            skcry.load(path)


def test_formats(path, tmp_path):
    path.write_bytes(forged({}, format_number=FORMAT + 1))
    with pytest.raises(ValueError, match=f"format {FORMAT + 1}, newer than format {FORMAT} of skcry .* Update skcry"):
        skcry.load(path)
    joblib.dump(stats(), path)
    with pytest.raises(ValueError, match="no skcry model"):
        skcry.load(path)
    with pytest.raises(OSError, match="missing"):
        skcry.load(tmp_path / "missing.skcry")


def test_skops_opens_the_file(detector_file):
    untrusted = skops.io.get_untrusted_types(file=detector_file)
    assert {"skcry.CryDetector", "skcry.FrameCNNClassifier", "imblearn.pipeline.Pipeline"} <= set(untrusted)
    with pytest.raises(ValueError, match=r"Use skcry\.load"):
        skops.io.load(detector_file, trusted=untrusted)


def test_forgeries(path, detector_file):
    parts = content(detector_file)
    about = {"about.json": parts["about.json"]}
    bomb = archive({"schema.json": b" " * 10**7}, compression=zipfile.ZIP_DEFLATED)
    for data in (
        forged(parts, compression=zipfile.ZIP_DEFLATED),
        *(forged({**parts, "estimator.skops": built}, format_number=1) for built in (bomb, b"nonsense")),
        *(forged(about, number) for number in (FORMAT, 1)),
        *(
            forged({**parts, "schema.json": text})
            for text in (b'{"content":' * 10**5 + b"1" + b"}" * 10**5, b"nonsense")
        ),
        *(forged({**parts, "weights.safetensors": weights}) for weights in (b"", b"\xff" * 64)),
        forged({**parts, **content(io.BytesIO(skops.io.dumps({"no": "estimator"})))}),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="Do not use it"):
            skcry.load(path)
    path.write_bytes(forged({**parts, "about.json": b"[" * 10**5}))
    with pytest.raises(ValueError, match="Do not use it"):
        read_about(path)


def test_parameters_that_another_version_did_not_have(linear, path):
    estimator = copied(linear)
    del estimator[-1].tol
    again = saved(estimator, path)
    assert again[-1].tol == LogisticRegression().tol
    assert again[-1].C == 2.0


def test_types_are_found_where_another_version_defined_them(linear, windows, path):
    skcry.save(linear, path)
    parts = content(path)
    for here, elsewhere in {
        "imblearn.pipeline": "imblearn.pipeline._new",
        "imblearn.under_sampling": "imblearn.under_sampling._old",
        "skcry": "skcry.features.older",
    }.items():
        old = parts["schema.json"]
        parts["schema.json"] = old.replace(f'"{here}"'.encode(), f'"{elsewhere}"'.encode())
        assert parts["schema.json"] != old
    path.write_bytes(forged(parts))
    assert_same(skcry.load(path), linear, windows[0])


def test_pickles_know_their_version(detector, monkeypatch):
    data = pickle.dumps(detector)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "_skcry_version" not in vars(pickle.loads(data))
    monkeypatch.setattr("skcry._base.__version__", "99.0")
    with pytest.warns(UserWarning, match="was saved by skcry .* and is loaded by 99.0"):
        pickle.loads(data)


def test_a_file_of_skcry_0_1_opens(data):
    """``tests/data/detector-0.1.skcry``, in format 1, and its timeline were written by skcry 0.1."""
    folder = Path(__file__).parent / "data"
    with pytest.warns(UserWarning, match=r"was saved by skcry 0\.1\.0"):
        detector = skcry.load(folder / "detector-0.1.skcry")
    expected = pd.read_csv(folder / "detector-0.1.csv", index_col=["recording", "second"])
    # Rounding errors in float32 (1e-7) differ between processors; scaled embeddings and log-odds enlarge them.
    pd.testing.assert_frame_equal(detector.timeline(data[0][:2]), expected, atol=1e-3)
    assert detector.level_ != 0


def test_notes_are_told_in_the_card(detector, linear, path):
    notes = {"Recorder": "Worn on the chest.", "Limits": ["No twins.", {"infants under 3 months": 0}]}
    loaded = saved(detector, path, notes=notes)
    assert "notes" not in detector.training_
    told = dict(loaded.card().sections)
    assert told["Recorder"] == ["Worn on the chest."]
    assert told["Limits"] == [*dict(detector.card().sections)["Limits"], *notes["Limits"]]
    assert read_about(path)["card"] == str(loaded.card())
    assert list(told)[-2:] == ["Parameters", "Versions"]
    assert str(saved(loaded, path).card()) == str(loaded.card())
    assert "Recorder" not in str(saved(loaded, path, notes={}).card())
    with pytest.raises(ValueError, match=r"notes=\['Recorder', 'Limits'\] are .*, but this Pipeline has none"):
        skcry.save(linear, path, notes=notes)
    with pytest.raises(ValueError, match="notes hold 3, a int. Pass a text"):
        skcry.save(detector, path, notes={"Infants": [3]})


def test_notes_of_a_search(data, path):
    recordings, annotations, infants = data
    search = GridSearchCV(CryDetector(stats(), threshold=0.5), {"merge_gap": [2.0]}, cv=GroupKFold(2))
    skcry.save(search.fit(recordings, annotations, groups=infants), path, notes={"Recorder": "A phone."})
    assert "## Recorder\n\nA phone." in read_about(path)["card"]
    assert "A phone." in str(skcry.load(path).best_estimator_.card())


def test_the_detector_that_comes_with_the_package(data):
    recordings, annotations, infants = data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shipped = skcry.load_pretrained()
    other = skcry.load_pretrained()
    assert other is not shipped
    assert_same(shipped, other, recordings)
    assert shipped.positive_index_ == 1
    assert shipped.left_out_ is not None
    assert shipped.training_["notes"]

    before = shipped.timeline(recordings)["score"]
    shipped.calibrate(recordings[:2], annotations[:2])
    assert shipped.level_ != 0
    assert ((shipped.timeline(recordings)["score"] > before) == (shipped.level_ > 0)).mean() > 0.9
    shipped.calibrate(recordings[:2])  # without annotations
    assert shipped.training_["notes"]  # it was not trained anew

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # little sound
        shipped.fit(recordings, annotations, groups=infants)
    assert shipped.get_params(deep=False).keys() == other.get_params(deep=False).keys()
    assert str(clone(shipped)) == str(clone(other))
    assert shipped.level_ == 0
    assert shipped.training_["seconds"] == 120
    assert "notes" not in shipped.training_
    assert shipped.score(recordings, annotations) > 0.5
    assert_same(skcry.load_pretrained(), other, recordings)  # the file is as it was


@pytest.mark.parametrize("changed", ["skcry._base.__version__", "sklearn.base.__version__"])
def test_the_detector_that_comes_with_the_package_warns_of_no_version(monkeypatch, changed):
    monkeypatch.setattr(changed, "99.0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        skcry.load_pretrained()


def test_a_missing_detector_of_the_package_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr("skcry.sharing.PRETRAINED", tmp_path / "detector.skcry")
    with pytest.raises(FileNotFoundError, match="detector.skcry: no such file.*Install skcry again: pip install"):
        skcry.load_pretrained()
