import contextlib
import hashlib
import io
import pickle
import warnings
from unittest import SkipTest

import joblib
import numpy as np
import pytest
from imblearn.pipeline import Pipeline
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.feature_selection import SelectFromModel, SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import estimator_checks_generator

import skcry
import skcry.pipeline as pipeline_module
import skcry.sharing as sharing_module
from skcry import AlexNetClassifier, CryDetector, Denoise, HighPassFilter, StatFeatures, Windower, make_cry_pipeline
from skcry.pipeline import CompactSVC, NotedSMOTE

SMALL = {
    "features__embedding__mel__n_mels": 24,
    "features__embedding__net__width": 1 / 32,
    "features__embedding__net__max_epochs": 2,
    "features__embedding__net__early_stopping": False,
    "features__stats__features": ["mfcc", "zcr"],
}


PUBLISHED = ("embedding", "stats")


def small(**settings):
    return make_cry_pipeline(features=PUBLISHED, random_state=0, **settings).set_params(**SMALL)


@pytest.fixture
def windows(chirps, chirp_annotations):
    X = Windower(hop_duration=0.5).fit_transform(chirps)
    return X, X.label(chirp_annotations)


@pytest.mark.parametrize("resample", ["smote", "under", "weight", None])
def test_fits_and_predicts_windows_and_clips_alike(windows, resample):
    X, y = windows
    pipeline = small(resample=resample).fit(X, y)
    assert pipeline.score(X, y) > 0.8
    assert isinstance(pipeline, Pipeline)
    assert isinstance(pipeline[-1], SVC)
    np.testing.assert_array_equal(pipeline.decision_function(X), pipeline.decision_function(X))
    np.testing.assert_allclose(pipeline.decision_function(X[3:5]), pipeline.decision_function(X)[3:5], atol=1e-4)
    dense = pipeline.decision_function(np.asarray(X[X.start == 0]))
    np.testing.assert_allclose(dense, pipeline.decision_function(X[X.start == 0]), atol=1e-4)


def test_resampling_sees_features_of_training_rows_only(windows):
    X, y = windows
    balanced = small(classifier=KNeighborsClassifier(1)).fit(X, y)
    counts = np.bincount(balanced[-1]._y)
    assert counts[0] == counts[1] == np.bincount(y).max()
    assert make_cry_pipeline(resample="weight")[-1].class_weight == "balanced"
    assert make_cry_pipeline(resample=None).named_steps["resample"] == "passthrough"


def test_every_step_is_reachable_and_replaceable(windows):
    X, y = windows
    pipeline = small()
    for name in (
        "highpass__cutoff",
        "features__embedding__mel__n_fft",
        "features__embedding__net__lr",
        "features__stats__deltas",
        "resample__k_neighbors",
        "classify__gamma",
    ):
        assert name in pipeline.get_params()
    pipeline.set_params(
        denoise=Denoise(), features__stats="drop", highpass="passthrough", classify=LogisticRegression()
    )
    assert pipeline.fit(X, y).predict_proba(X).shape == (len(X), 2)
    names = small().fit(X, y)[:-2].get_feature_names_out()
    assert names[0] == "embedding__alexnetclassifier0"
    assert "stats__mfcc_1__median" in names


def test_the_given_classifier_is_left_as_it_is():
    given = SVC()
    make_cry_pipeline(given, resample="weight")
    assert given.class_weight is None


def test_grid_search_on_windows_in_two_processes(windows, tmp_path):
    X, y = windows
    grid = {"classify__C": [0.1, 1], "highpass__cutoff": [300]}
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        warnings.simplefilter("error", FutureWarning)
        search = GridSearchCV(
            small(), grid, cv=StratifiedGroupKFold(2), scoring="average_precision", n_jobs=2, error_score="raise"
        ).fit(X, y, groups=X.groups)
    assert search.best_score_ > 0.9
    joblib.dump(search.best_estimator_, tmp_path / "best.joblib")
    again = joblib.load(tmp_path / "best.joblib")
    np.testing.assert_array_equal(again.decision_function(X), search.decision_function(X))


def test_memory_fits_the_network_once_per_split(windows, tmp_path, monkeypatch):
    X, y = windows
    fits = []
    original = AlexNetClassifier.fit

    def counting(self, *args, **kwargs):
        fits.append(1)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(AlexNetClassifier, "fit", counting)
    search = GridSearchCV(
        small(memory=str(tmp_path)), {"classify__C": [0.1, 1, 10]}, cv=StratifiedGroupKFold(2), error_score="raise"
    )
    search.fit(X, y, groups=X.groups)
    assert len(fits) == 3  # two splits and the final one
    plain = small().set_params(**search.best_params_).fit(X, y)
    np.testing.assert_allclose(search.decision_function(X), plain.decision_function(X), atol=1e-6)


def test_memory_holds_no_sound(windows, tmp_path):
    X, y = windows
    pipeline = make_cry_pipeline(features="stats", memory=str(tmp_path)).fit(X, y)
    assert pipeline.steps[1][0] == "highpass"
    stored = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert 0 < stored < X._tracks[0].nbytes
    # Another filter gives other features, not those in the cache.
    other = make_cry_pipeline(features="stats", memory=str(tmp_path)).set_params(highpass__cutoff=1000.0).fit(X, y)
    assert not np.allclose(other[:-2].transform(X), pipeline[:-2].transform(X))


def test_too_few_windows_of_a_class_say_what_to_do(windows):
    X, y = windows
    few = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:4]]
    with pytest.raises(ValueError, match="n_neighbors") as error:
        make_cry_pipeline(features="stats").fit(X[few], y[few])
    assert "SMOTE needs k_neighbors + 1 windows of each class (k_neighbors=5)" in error.value.__notes__[0]


def test_tables_asked_for_globally_leave_sound_alone(windows):
    X, y = windows
    with config_context(transform_output="pandas"):
        pipeline = small(resample=None).fit(X, y)
        table = pipeline[:-1].transform(X)
    assert "stats__mfcc_1__median" in table.columns
    np.testing.assert_allclose(small(resample=None).fit(X, y)[:-1].transform(X), table, atol=1e-5)
    assert small(resample=None).set_output(transform="pandas").fit(X, y)[:-1].transform(X).shape == table.shape


def test_search_where_metadata_is_routed(windows):
    X, y = windows
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(small(), {"classify__C": [1]}, cv=StratifiedGroupKFold(2), error_score="raise")
        search.fit(X, y, groups=X.groups)
    assert search.best_score_ > 0.8


# Families of features, and a choice among them


def trees(classifier=None, k=20):
    classifier = classifier or GradientBoostingClassifier(n_estimators=10, random_state=0)
    pipeline = make_cry_pipeline(classifier, features="stats", select=SelectKBest(k=k), random_state=0)
    return pipeline.set_params(features__stats__features=["mfcc", "chroma", "spectral_contrast"])


@pytest.mark.parametrize(
    "features", ["embedding", "stats", ["stats", "embedding"], ("wav2vec2",), ("stats", "wav2vec2"), "pretrained"]
)
def test_families_of_features(features):
    pipeline = make_cry_pipeline(features=features)
    families = [features] if isinstance(features, str) else list(features)
    assert [name for name, _ in pipeline["features"].transformer_list] == families
    steps = ["highpass", "denoise", "features", "scale", "select", "resample", "classify"]
    steps.insert(3 if "embedding" in families else 0, "limit")  # a network is trained on all windows
    assert list(pipeline.named_steps) == steps
    # Pretrained models want sound as it was recorded.
    assert (pipeline["highpass"] == "passthrough") == bool({"wav2vec2", "pretrained"} & set(families))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"features": "mfcc"},
            r"features='mfcc' has unknown names \['mfcc'\]. Use one or more of \['pretrained', 'frames', 'embedding'",
        ),
        ({"features": ("stats", "net")}, r"unknown names \['net'\]"),
        ({"features": [StatFeatures()]}, "unknown names"),
        ({"features": ()}, "is empty"),
        ({"features": ("stats", "stats")}, "names a family twice"),
        ({"features": None}, "'features' parameter"),
        ({"select": "best"}, "'select' parameter"),
        ({"resample": "over"}, "'resample' parameter"),
        ({"resample": "weight", "classifier": KNeighborsClassifier()}, "KNeighborsClassifier has none"),
    ],
)
def test_faulty_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_cry_pipeline(**parameters)


@pytest.mark.parametrize("classifier", [None, HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=5)])
def test_boosted_trees_on_selected_statistics(windows, classifier):
    X, y = windows
    pipeline = trees(classifier).fit(X, y)
    assert pipeline.score(X, y) > 0.8
    assert pipeline["select"].get_support().sum() == 20
    assert len(pipeline[:-2].get_feature_names_out()) == 20
    assert all(
        "mfcc" in name or "chroma" in name or "contrast" in name for name in pipeline[:-2].get_feature_names_out()
    )
    np.testing.assert_array_equal(trees(classifier).fit(X, y).predict_proba(X), pipeline.predict_proba(X))


def test_selection_sees_training_rows_before_they_are_resampled(windows, monkeypatch):
    X, y = windows
    seen = []
    original = SelectKBest.fit
    monkeypatch.setattr(SelectKBest, "fit", lambda self, X, y: seen.append(len(y)) or original(self, X, y))
    X, y = X[6:], y[6:]
    assert np.ptp(np.bincount(y)) > 0
    assert len(trees().fit(X, y)[:-2].transform(X)) == len(y)
    assert seen == [len(y)]


def test_grid_search_over_families_and_selection(windows):
    X, y = windows
    grid = {
        "features__stats__features": [["mfcc"], ["mfcc", "chroma", "spectral_contrast"]],
        "features__stats__statistics": [["mean", "std"]],
        "select__k": [5, 10],
        "classify__max_depth": [2],
    }
    search = GridSearchCV(trees(), grid, cv=StratifiedGroupKFold(2), scoring="average_precision", error_score="raise")
    search.fit(X, y, groups=X.groups)
    assert search.best_score_ > 0.9
    assert search.best_estimator_["select"].get_support().sum() == search.best_params_["select__k"]
    grid = {"select": ["passthrough", SelectFromModel(LogisticRegression())]}
    search = GridSearchCV(trees(), grid, cv=StratifiedGroupKFold(2), error_score="raise").fit(X, y, groups=X.groups)
    assert search.best_score_ > 0.8


@pytest.mark.parametrize("family", ["trees", "wav2vec2", "both"])
def test_detector_of_each_family(chirps, chirp_annotations, toy_model, tmp_path, family):
    if family == "trees":
        pipeline = trees()
    else:
        features = "wav2vec2" if family == "wav2vec2" else ("stats", "wav2vec2")
        pipeline = make_cry_pipeline(features=features, random_state=0)
        pipeline.set_params(features__wav2vec2__model=toy_model, features__wav2vec2__pooling=["mean", "std"])
    detector = CryDetector(pipeline, windower=Windower(hop_duration=0.5), cv=2, random_state=0)
    detector.fit(chirps, chirp_annotations)
    assert detector.score(chirps, chirp_annotations) > 0.9
    joblib.dump(detector, tmp_path / "detector.joblib")
    again = joblib.load(tmp_path / "detector.joblib")
    np.testing.assert_array_equal(again.timeline(chirps)["score"], detector.timeline(chirps)["score"])


def test_search_over_a_pretrained_model(windows, toy_model, tmp_path):
    X, y = windows
    pipeline = make_cry_pipeline(features=("stats", "wav2vec2"), memory=str(tmp_path), random_state=0)
    pipeline.set_params(features__wav2vec2__model=toy_model, features__stats__features=["mfcc"])
    grid = {
        "features__wav2vec2__layer": [0, -1],
        "features__stats": ["drop", StatFeatures("zcr")],
        "highpass": ["passthrough", HighPassFilter()],
    }
    search = GridSearchCV(pipeline, grid, cv=StratifiedGroupKFold(2), error_score="raise", n_jobs=2)
    search.fit(X, y, groups=X.groups)
    assert search.best_score_ > 0.8
    names = search.best_estimator_[:-2].get_feature_names_out()
    assert "wav2vec2__wav2vec2_0__mean" in names
    with config_context(transform_output="pandas"):
        table = search.best_estimator_.set_params(memory=None)[:-2].fit_transform(X, y)
    assert table.columns.tolist() == names.tolist()


def test_default_is_a_regularised_linear_svc_on_a_pretrained_network():
    pipeline = make_cry_pipeline()
    assert pipeline.named_steps["highpass"] == "passthrough"
    assert [name for name, _ in pipeline.named_steps["features"].transformer_list] == ["pretrained"]
    for one in (pipeline, make_cry_pipeline(features="frames"), make_cry_pipeline(features=["frames"])):
        assert isinstance(one[-1], SVC)
        assert (one[-1].kernel, one[-1].C) == ("linear", 3e-4)
    assert make_cry_pipeline(features=("pretrained", "stats"))[-1].kernel == "rbf"
    assert isinstance(make_cry_pipeline(features="stats").named_steps["highpass"], HighPassFilter)


# The SVC


def blobs(rng, n_rows=60, n_classes=2):
    y = np.arange(n_rows) % n_classes
    return rng.normal(size=(n_rows, 5)) + y[:, None], y


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize(("kernel", "n_classes"), [("linear", 2), ("linear", 3), ("rbf", 2)])
def test_predictions_are_those_of_svc(rng, kernel, n_classes, class_weight):
    X, y = blobs(rng, n_classes=n_classes)
    names = np.array(["a", "b", "c"])[y]
    compact, plain = (
        one(kernel=kernel, C=0.1, class_weight=class_weight).fit(X, names, sample_weight=1.0 + y)
        for one in (CompactSVC, SVC)
    )
    for one in (compact, joblib_copy(compact), clone(compact).fit(X, names, 1.0 + y), compact.fit(X, names, 1.0 + y)):
        np.testing.assert_allclose(one.decision_function(X), plain.decision_function(X), rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(one.predict(X), plain.predict(X))
        np.testing.assert_allclose(one.intercept_, plain.intercept_)
        if kernel == "linear":
            np.testing.assert_allclose(one.coef_, plain.coef_, rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match="NaN"):
        compact.decision_function(X * np.nan)
    with pytest.raises(ValueError, match="5 features"):
        compact.decision_function(X[:, :2])


def renamed(content):
    """Return the content of a file of :func:`skcry.save` with a PrimalSVC in place of the SVC."""
    first, _, archive = content.split(b"\n", 2)
    parts = sharing_module._parts(archive)
    parts["schema.json"] = parts["schema.json"].replace(b'"SVC"', b'"PrimalSVC"')
    parts["schema.json"] = parts["schema.json"].replace(b"sklearn.svm._classes", b"skcry.pipeline")
    archive = sharing_module._archive(parts)
    return b"\n".join([first, hashlib.sha256(archive).hexdigest().encode(), archive])


def joblib_copy(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def test_a_plane_is_all_that_is_kept(rng):
    sizes = []
    for n_rows in (300, 3000):
        svc = CompactSVC(kernel="linear", C=0.1).fit(*blobs(rng, n_rows))
        sizes.append(len(pickle.dumps(svc)))
    assert sizes[0] == sizes[1]
    np.testing.assert_array_equal(svc.support_vectors_, svc.coef_)
    assert svc.support_vectors_.shape == (1, 5)
    assert svc.dual_coef_.tolist() == [[1.0]]
    assert (svc.support_.tolist(), svc.n_support_.tolist()) == ([0], [0, 1])
    assert svc.fit_status_ == 0


def test_support_vectors_of_sparse_rows_stay(rng):
    X, y = blobs(rng)
    rows = sparse.csr_array(X)
    compact, plain = (one(kernel="linear").fit(rows, y) for one in (CompactSVC, SVC))
    np.testing.assert_allclose(compact.decision_function(rows), plain.decision_function(rows), rtol=1e-6, atol=1e-9)
    assert compact.support_vectors_.shape[0] > 1


@pytest.mark.filterwarnings("ignore:The `probability`:FutureWarning", "ignore:.*prob[AB]_:FutureWarning")
def test_probabilities_are_those_of_svc(rng):
    X, y = blobs(rng)
    compact, plain = (one(kernel="linear", probability=True, random_state=0).fit(X, y) for one in (CompactSVC, SVC))
    np.testing.assert_allclose(compact.predict_proba(X), plain.predict_proba(X), rtol=1e-6)


def test_models_saved_with_support_vectors_predict_as_before(rng, tmp_path):
    """A pickle and a file of a version whose class was called PrimalSVC and kept them."""
    X, y = blobs(rng)
    plain = SVC(kernel="linear", C=0.1).fit(X, y)
    path = tmp_path / "old.skcry"
    skcry.save(plain, path)
    path.write_bytes(renamed(path.read_bytes()))
    state = pickle.dumps(plain, protocol=0).replace(b"csklearn.svm._classes\nSVC", b"cskcry.pipeline\nPrimalSVC")
    for one in (pickle.loads(state), skcry.load(path)):
        assert isinstance(one, CompactSVC)
        np.testing.assert_allclose(one.decision_function(X), plain.decision_function(X), rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(one.predict(X), plain.predict(X))
        assert len(one.support_vectors_) == 1


def test_what_many_support_vectors_cost_is_told(rng, monkeypatch):
    monkeypatch.setattr(pipeline_module, "MANY_ROWS", 50)
    told = {}
    for n_rows in (60, 80):
        with pytest.warns(UserWarning, match="more than 50 rows") as found:
            CompactSVC().fit(*blobs(rng, n_rows))
        told[str(found[0].message)] = found[0].filename
    assert list(told.values()) == [__file__]  # the same text for each fold
    assert "an hour of sound" in next(iter(told))
    assert "smaller max_windows" in next(iter(told))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CompactSVC().fit(*blobs(rng, 50))
        CompactSVC(kernel="linear").fit(*blobs(rng, 60))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_checks_of_estimators(kernel):
    for svc, check in estimator_checks_generator(CompactSVC(kernel=kernel)):
        if "sample_weight_equivalence" not in str(check):  # libsvm's weights fail it in SVC as well
            with contextlib.suppress(SkipTest):
                check(svc)


# The bound on windows


@pytest.mark.filterwarnings("ignore:max_windows")
@pytest.mark.parametrize("resample", ["smote", None])
def test_the_classifier_sees_a_bounded_number_of_windows(windows, resample):
    X, y = windows
    classifier = KNeighborsClassifier(1)
    pipeline = make_cry_pipeline(classifier, features="stats", resample=resample, max_windows=20)
    pipeline.set_params(features__stats__features=["mfcc"]).fit(X, y)
    assert len(pipeline[-1]._y) == 20
    assert pipeline["scale"].n_samples_seen_ == 20
    assert len(pipeline.predict(X)) == len(X)
    assert make_cry_pipeline(max_windows=None).named_steps["limit"] == "passthrough"
    assert make_cry_pipeline().set_params(limit__max_windows=7).named_steps["limit"].max_windows == 7
    with pytest.raises(ValueError, match="'max_windows' parameter"):
        make_cry_pipeline(max_windows=1)


@pytest.mark.filterwarnings("ignore:max_windows")
def test_a_network_is_trained_on_all_windows(windows):
    X, y = windows
    pipeline = small(max_windows=20).fit(X, y)
    assert list(pipeline.named_steps)[2:5] == ["features", "limit", "scale"]
    assert pipeline["limit"].sample_indices_.max() < len(X)
    assert pipeline["features"].transform(X).shape[0] == len(X)
    assert (pipeline["scale"].n_samples_seen_, len(y)) == (20, len(X))


@pytest.mark.filterwarnings("ignore:max_windows")
def test_bounded_windows_in_a_search(windows, tmp_path):
    X, y = windows
    pipeline = make_cry_pipeline(features="stats", memory=str(tmp_path), max_windows=20, random_state=0)
    pipeline.set_params(features__stats__features=["mfcc"])
    search = GridSearchCV(
        pipeline, {"limit__max_windows": [16, 20], "classify__C": [1, 10]}, cv=StratifiedGroupKFold(2)
    )
    with config_context(enable_metadata_routing=True):
        search.fit(X, y, groups=X.groups)
    assert search.best_score_ > 0.8
    stored = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert 0 < stored < X._tracks[0].nbytes  # no sound of what the bound kept


@pytest.mark.filterwarnings("ignore:max_windows")
def test_weights_of_windows_that_are_left_out(windows):
    X, y = windows
    with config_context(enable_metadata_routing=True):
        pipeline = make_cry_pipeline(
            LogisticRegression().set_fit_request(sample_weight=True), features="stats", resample=None, max_windows=20
        )
        pipeline.set_params(
            features__stats__features=["mfcc"], scale=StandardScaler().set_fit_request(sample_weight=True)
        )
        with pytest.raises(ValueError, match="max_windows=20 would leave out windows that have a sample_weight"):
            pipeline.fit(X, y, sample_weight=np.ones(len(y)))
        pipeline.set_params(limit__max_windows=len(y)).fit(X, y, sample_weight=np.ones(len(y)))
    assert pipeline.score(X, y) > 0.8


# Pipelines of each kind


def test_default_pipeline_learns_chirps_and_predicts_clips_alike(windows, tmp_path):
    X, y = windows
    pipeline = make_cry_pipeline(random_state=0).fit(X, y)
    assert pipeline.score(X, y) > 0.9
    assert pipeline[:-2].get_feature_names_out()[0] == "pretrained__pretrainedembedding0"
    np.testing.assert_allclose(pipeline.decision_function(np.asarray(X)), pipeline.decision_function(X), atol=1e-3)
    grid = {"classify__C": [1e-3, 1e-2], "resample": ["passthrough", NotedSMOTE()]}
    search = GridSearchCV(
        make_cry_pipeline(memory=str(tmp_path), random_state=0), grid, cv=StratifiedGroupKFold(2), error_score="raise"
    )
    assert search.fit(X, y, groups=X.groups).best_score_ > 0.8


def test_pipeline_of_a_trained_network_learns_chirps(windows):
    X, y = windows
    settings = {"features__frames__net__width": 0.25, "features__frames__net__min_steps": 60}
    pipeline = make_cry_pipeline(features="frames", random_state=0)
    pipeline.set_params(**settings, features__frames__net__batch_size=16)
    assert pipeline.fit(X, y).score(X, y) > 0.8
    assert pipeline[:-2].get_feature_names_out()[0] == "frames__framecnnclassifier0"
