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
import skops.io
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
from skcry import (
    AlexNetClassifier,
    CryDetector,
    Denoise,
    EnergyGate,
    FrameCNNClassifier,
    HighPassFilter,
    MelSpectrogram,
    StatFeatures,
    Wav2Vec2Embedding,
    Windower,
    make_cry_pipeline,
)
from skcry.datasets import make_cry_recordings
from skcry.sharing import FORMAT, read_about

sharing = importlib.import_module("skcry.sharing")
TINY = {"width": 0.25, "max_epochs": 1, "min_steps": 1}


class Mine(TransformerMixin, BaseEstimator):
    """A type that nobody else has."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


@pytest.fixture(scope="module")
def data():
    return make_cry_recordings(6, duration=20, random_state=0)


@pytest.fixture(scope="module")
def windows(data):
    recordings, annotations, infants = data
    X = Windower(2, 2).fit_transform(recordings, groups=infants)
    return X, X.label(annotations)


def stats(classifier=None, **params):
    pipeline = make_cry_pipeline(classifier, features="stats", resample="under", random_state=0, **params)
    return pipeline.set_params(features__stats__features=["mfcc"])


def frames():
    pipeline = make_cry_pipeline(resample="under", random_state=0)
    return pipeline.set_params(**{f"features__frames__net__{name}": value for name, value in TINY.items()})


@pytest.fixture(scope="module")
def detector(data):
    recordings, annotations, infants = data
    return CryDetector(frames(), gate=EnergyGate(), random_state=0).fit(recordings, annotations, groups=infants)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skcry"


def saved(estimator, path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".* resamples are left out")  # of a card on half a minute of sound
        skcry.save(estimator, path, **options)
        return skcry.load(path)


def outputs(estimator, X):
    methods = ("transform", "predict_proba", "decision_function", "predict", "timeline")
    names = [name for name in methods if hasattr(estimator, name)]
    assert names
    return [np.asarray(getattr(estimator, name)(X)) for name in names]


def assert_same(ours, theirs, X):
    for one, other in zip(outputs(ours, X), outputs(theirs, X), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "estimator",
    [HighPassFilter(cutoff=400), Denoise(), MelSpectrogram(n_mels=32), StatFeatures(["mfcc"])],
    ids=lambda one: type(one).__name__,
)
def test_transformers(estimator, windows, path):
    X = windows[0]
    assert_same(saved(estimator.fit(X), path), estimator, X)
    assert str(saved(clone(estimator), path)) == str(estimator)


@pytest.mark.parametrize("estimator", [Windower(2, 1, last="drop"), EnergyGate()], ids=lambda one: type(one).__name__)
def test_what_takes_recordings(estimator, data, path):
    estimator.fit(data[0])
    assert_same(saved(estimator, path), estimator, data[0])


@pytest.mark.parametrize("weight_dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", [AlexNetClassifier, FrameCNNClassifier])
def test_networks(kind, weight_dtype, windows, path):
    X, y = MelSpectrogram(n_mels=32).fit_transform(windows[0]), np.where(windows[1], "cry", "quiet")
    params = TINY if kind is FrameCNNClassifier else {"width": 1 / 16, "max_epochs": 1, "early_stopping": False}
    net = kind(**params, weight_dtype=weight_dtype, random_state=0).fit(X, y)
    again = saved(net, path)
    assert_same(again, net, X)
    assert np.isin(again.net_.predict(np.zeros((1, 1, 32, X.shape[2]), np.float32)), (0, 1)).all()
    assert_same(saved(again, path), net, X)
    assert_same(pickle.loads(pickle.dumps(again)), net, X)
    assert b"skorch" not in pickle.dumps(net)


def test_a_pretrained_model(windows, path, toy_model):
    embedding = Wav2Vec2Embedding(toy_model, device="cpu").fit(windows[0][:4])
    assert_same(saved(embedding, path), embedding, windows[0][:4])


def test_half_precision(detector, data, tmp_path):
    whole, half = tmp_path / "whole.skcry", tmp_path / "half.skcry"
    saved(detector, whole)
    again = saved(detector, half, weight_dtype="float16")
    net, rounded = (
        one.estimator_.named_steps["features"].transformer_list[0][1][-1].net_.module_ for one in (detector, again)
    )
    for ours, theirs in zip(net.parameters(), rounded.parameters(), strict=True):
        np.testing.assert_array_equal((ours.half().float() if ours.ndim > 1 else ours).detach(), theirs.detach())
    np.testing.assert_allclose(again.timeline(data[0])["score"], detector.timeline(data[0])["score"], atol=0.01)
    parts = [{one.filename: one.file_size for one in zipfile.ZipFile(file).infolist()} for file in (whole, half)]
    assert parts[1]["weights.safetensors"] < 0.6 * parts[0]["weights.safetensors"]
    assert read_about(half)["weight_dtype"] == "float16"


def test_detectors(detector, data, path):
    again = saved(detector, path)
    for method in ("timeline", "detect"):
        assert getattr(again, method)(data[0]).equals(getattr(detector, method)(data[0]))
    assert_same(again, detector, data[0])
    assert again.calibrate(data[0], data[1]).level_ == clone_of(detector).calibrate(data[0], data[1]).level_
    assert str(again.card()).split("## When")[0] == str(detector.card()).split("## When")[0]
    splits = [([0, 1, 2, 3], [4, 5]), ([2, 3, 4, 5], [0, 1])]
    labelled = CryDetector(stats(), positive=None, random_state=0, cv=splits).fit(data[0], ["a", "b"] * 3)
    assert_same(saved(labelled, path), labelled, data[0])


def clone_of(estimator):
    return pickle.loads(pickle.dumps(estimator))


@pytest.mark.parametrize(
    "make",
    [
        lambda: GridSearchCV(stats(), {"classify__C": [0.1, 1.0]}, cv=GroupKFold(3), scoring="average_precision"),
        lambda: GridSearchCV(frames(), {"classify__C": [0.1, 1.0]}, cv=GroupKFold(2)),
        lambda: CalibratedClassifierCV(stats(SVC()), ensemble=False, cv=2),
        lambda: CalibratedClassifierCV(stats(SVC()), method="isotonic", cv=2),
        lambda: TunedThresholdClassifierCV(stats(LogisticRegression()), cv=2),
        lambda: stats(select=SelectKBest(k=5)),
    ],
)
def test_around_pipelines(make, windows, path):
    X, y = windows
    groups = {"groups": X.groups} if isinstance(make(), GridSearchCV) else {}
    estimator = make().fit(X, y, **groups)
    assert_same(saved(estimator, path), estimator, X)


def test_a_searched_detector_brings_its_card(data, path):
    recordings, annotations, infants = data
    search = GridSearchCV(CryDetector(stats(), random_state=0, cv=2), {"merge_gap": [1, 5]}, cv=GroupKFold(2))
    search.fit(recordings, annotations, groups=infants)
    again = saved(search, path)
    assert_same(again, search, recordings)
    assert again.best_params_ == search.best_params_
    assert read_about(path)["card"] == str(search.best_estimator_.card())
    assert read_about(path)["type"] == "GridSearchCV"
    skcry.save(stats(), path)
    assert read_about(path)["card"] is None


def test_detectors_that_are_not_fitted(path):
    assert str(saved(CryDetector(stats(), merge_gap=2), path)) == str(CryDetector(stats(), merge_gap=2))
    assert read_about(path)["card"] is None


def test_callbacks_stay_here(path):
    progress = pytest.importorskip("sklearn.callback").ProgressBar()
    estimator = stats(LogisticRegression()).set_callbacks(progress)
    again = saved(estimator, path)
    assert not hasattr(again, "_skl_callbacks")
    assert estimator._skl_callbacks == [progress]


def test_requests_are_not_kept_but_not_lost(windows, path):
    X, y = windows
    with config_context(enable_metadata_routing=True):
        estimator = stats(LogisticRegression().set_fit_request(sample_weight=True)).set_params(resample="passthrough")
        estimator.named_steps["scale"].set_fit_request(sample_weight=False)
        estimator.fit(X, y, sample_weight=np.ones(len(y)))
        again = saved(estimator, path)
        assert_same(again, estimator, X)
        assert estimator[-1].get_metadata_routing().fit.requests["sample_weight"] is True
        assert again[-1].get_metadata_routing().fit.requests["sample_weight"] is None


def test_types_of_others_are_refused_by_name(windows, path):
    X, y = windows
    mine = make_pipeline(Mine(), stats(LogisticRegression())).fit(X, y)
    name = f"{Mine.__module__}.Mine"
    with pytest.warns(UserWarning, match="Mine.*which skcry.load does not trust"):
        skcry.save(mine, path)
    assert read_about(path)["not trusted"] == [name]
    with pytest.raises(ValueError, match=r"holds \['.*Mine'\], which is not trusted.*pass trusted="):
        skcry.load(path)
    trees = stats(GradientBoostingClassifier(n_estimators=2)).fit(X, y)
    with pytest.warns(UserWarning, match="sklearn.tree._tree.Tree"):
        skcry.save(trees, path)
    with pytest.raises(ValueError, match=r"sklearn\.tree\._tree\.Tree"):
        skcry.load(path)
    assert_same(skcry.load(path, trusted=["sklearn.tree._tree.Tree"]), trees, X)


def test_what_cannot_be_data(path):
    with pytest.raises(TypeError, match="cannot be saved as data.*lambda"):
        skcry.save(FunctionTransformer(lambda X: X), path)
    assert not path.exists()
    with pytest.warns(UserWarning, match="joblib.memory.Memory"):
        skcry.save(stats(memory=joblib.Memory(None)), path)
    with pytest.raises(ValueError, match="joblib.memory.Memory"):
        skcry.load(path)


def forged(parts, format_number=FORMAT, **options):
    """Make a file of any content whose checksum is right."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", **options) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    digest = hashlib.sha256(archive.getvalue()).hexdigest()
    return f"skcry model, format {format_number}\n{digest}\n".encode() + archive.getvalue()


def test_nothing_is_executed(path, tmp_path, monkeypatch):
    witness = tmp_path / "witness"
    built = skops.io.dumps(FunctionTransformer(os.mkdir, kw_args={"path": str(witness)}))
    path.write_bytes(forged({"about.json": b"{}", "estimator.skops": built, "weights.safetensors": b""}))
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
    for place in sorted(places):
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="no skcry model|damaged|newer than format"):
            skcry.load(path)
    for length in (0, 10, 50, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match="no skcry model|damaged"):
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


def test_forgeries(path, detector):
    skcry.save(detector, path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("schema.json", b" " * 10**7)
    deep = io.BytesIO()
    with zipfile.ZipFile(deep, "w") as file:
        file.writestr("schema.json", b'{"content":' * 10**5 + b"1" + b"}" * 10**5)
    for content in (
        forged(parts, compression=zipfile.ZIP_DEFLATED),
        forged({"about.json": parts["about.json"]}),
        forged({**parts, "estimator.skops": bomb.getvalue()}),
        forged({**parts, "estimator.skops": deep.getvalue()}),
        forged({**parts, "estimator.skops": b"nonsense"}),
        forged({**parts, "weights.safetensors": b""}),
        forged({**parts, "weights.safetensors": b"\xff" * 64}),
        forged({**parts, "estimator.skops": skops.io.dumps({"no": "estimator"})}),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="Do not use it"):
            skcry.load(path)
    path.write_bytes(forged({**parts, "about.json": b"[" * 10**5}))
    with pytest.raises(ValueError, match="Do not use it"):
        read_about(path)


def test_parameters_that_another_version_did_not_know(windows, path):
    X, y = windows
    estimator = stats(LogisticRegression(C=2.0)).fit(X, y)
    del estimator[-1].tol
    again = saved(estimator, path)
    assert again[-1].tol == LogisticRegression().tol
    assert again[-1].C == 2.0


def test_a_failed_save_leaves_the_former_file(path):
    skcry.save(stats(), path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="cannot be saved"):
        skcry.save(FunctionTransformer(lambda X: X), path)
    assert path.read_bytes() == before


def test_pickles_know_their_version(detector, monkeypatch):
    data = pickle.dumps(detector)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "_skcry_version" not in vars(pickle.loads(data))
    monkeypatch.setattr("skcry._base.__version__", "99.0")
    with pytest.warns(UserWarning, match="was saved by skcry .* and is loaded by 99.0"):
        pickle.loads(data)


def test_a_file_of_skcry_0_1_still_opens(data):
    """``tests/data/detector-0.1.skcry`` and its timeline were written by skcry 0.1."""
    folder = Path(__file__).parent / "data"
    detector = skcry.load(folder / "detector-0.1.skcry")
    expected = pd.read_csv(folder / "detector-0.1.csv", index_col=["recording", "second"])
    # Networks and BLAS round differently on other processors.
    pd.testing.assert_frame_equal(detector.timeline(data[0][:2]), expected, atol=1e-3)
    assert detector.level_ != 0
