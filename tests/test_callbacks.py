"""Callbacks of scikit-learn are called for folds and epochs; fits without callbacks, or before 1.9, give the same."""

import importlib
import pickle
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from skcry import AlexNetClassifier, CryDetector, FrameCNNClassifier, MelSpectrogram, Windower, make_cry_pipeline
from skcry import _compat as ours
from skcry.datasets import make_cry_recordings


class Listener:
    """Records its calls; passed on to sub-estimators; stops a network after ``n_epochs``."""

    max_propagation_depth = None

    def __init__(self, n_epochs=None):
        self.n_epochs = n_epochs
        self.began, self.ended, self.open = [], [], 0

    def setup(self, estimator, context):
        self.open += 1

    def teardown(self, estimator, context):
        self.open -= 1

    def on_fit_task_begin(self, estimator, context):
        self.began.append(f"{context.estimator_name}: {context.task_name}")

    def on_fit_task_end(self, estimator, context):
        self.ended.append(f"{context.estimator_name}: {context.task_name}")
        return context.task_name == f"epoch {self.n_epochs}"


@pytest.fixture(scope="module")
def data():
    return make_cry_recordings(4, duration=20, random_state=0)


@pytest.fixture
def images(rng):
    y = np.repeat(["cry", "quiet"], 8)
    return rng.normal(size=(16, 24, 24)).astype(np.float32) + 3 * (y == "cry")[:, None, None], y


@pytest.fixture
def heard():
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    return Listener()


NETS = {
    "alexnet": AlexNetClassifier(width=1 / 16, max_epochs=3, early_stopping=False, random_state=0),
    "frames": FrameCNNClassifier(width=0.25, max_epochs=3, min_steps=1, random_state=0),
}


def pipeline(features="stats"):
    return make_cry_pipeline(LogisticRegression(), features=features, resample="under", random_state=0)


def copied(net):
    return pickle.loads(pickle.dumps(net))


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_epochs(net, images, heard):
    told = copied(net).set_callbacks(heard).fit(*images)
    fit, *epochs = (f"{type(net).__name__}: {task}" for task in ("fit", "epoch 1", "epoch 2", "epoch 3"))
    assert heard.began == [fit, *epochs]
    assert heard.ended == [*epochs, fit]
    assert heard.open == 0
    np.testing.assert_array_equal(told.predict_proba(images[0]), net.fit(*images).predict_proba(images[0]))
    pickle.dumps(told.set_callbacks())
    stopped = copied(net).set_callbacks(Listener(n_epochs=2)).fit(*images)
    assert [row["epoch"] for row in stopped.history_] == [1, 2]
    assert np.isfinite(stopped.predict_proba(images[0])).all()


def test_scores_after_each_epoch(images):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    monitor = callback.ScoringMonitor(scoring="accuracy")
    net = copied(NETS["alexnet"]).set_params(lr=1e-3).set_callbacks(monitor).fit(*images)
    log = monitor.get_logs(select="most_recent").data
    accuracy = [row["accuracy"] for row in log if row["task_name"].startswith("epoch")]
    assert len(accuracy) == 3
    assert accuracy[-1] == net.score(*images)


@pytest.mark.filterwarnings("ignore:The estimator MelSpectrogram does not support")
def test_epochs_of_a_family_of_features_in_a_search(data, heard):
    recordings, annotations, infants = data
    X = Windower(2, 2).fit_transform(recordings, groups=infants)
    made = pipeline("frames").set_params(features__frames__net=NETS["frames"])
    made.get_params()["features__frames"].set_callbacks(heard)
    search = GridSearchCV(made, {"classify__C": [0.1, 1.0]}, cv=GroupKFold(2), error_score="raise")
    search.fit(X, X.label(annotations), groups=X.groups)
    assert heard.began.count("FrameCNNClassifier: epoch 1") == heard.ended.count("FrameCNNClassifier: epoch 2") == 5
    assert sorted(heard.began) == sorted(heard.ended)
    assert heard.open == 0


def test_fits_of_a_detector(data, heard):
    recordings, annotations, infants = data
    told, silent = (CryDetector(pipeline(), cv=2, random_state=0) for _ in range(2))
    for detector in (told.set_callbacks(heard), silent):
        detector.fit(recordings, annotations, groups=infants)
    tasks = [f"CryDetector: fit on {part}" for part in ("split 0", "split 1", "all")]
    assert heard.began == ["CryDetector: fit", *tasks]
    assert heard.ended == [*tasks, "CryDetector: fit"]
    assert silent.threshold_ == told.threshold_


@pytest.mark.filterwarnings("ignore:The estimator MelSpectrogram does not support")
def test_a_detector_passes_callbacks_on(data, heard):
    simple = make_pipeline(MelSpectrogram(n_mels=24), NETS["frames"])
    CryDetector(simple, threshold=0.5).set_callbacks(heard).fit(*data[:2])
    assert heard.ended.count("FrameCNNClassifier: epoch 3") == 1


def test_an_error_leaves_nothing_open(data, heard):
    detector = CryDetector(pipeline().set_params(classify__C=-1), threshold=0.5).set_callbacks(heard)
    with pytest.raises(ValueError, match="'C' parameter"):
        detector.fit(*data[:2])
    assert heard.open == 0
    detector.set_params(estimator__classify__C=1).fit(*data[:2])
    assert heard.open == 0


def test_before_scikit_learn_had_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    old = importlib.reload(ours)
    try:
        net = old.CallbackSupportMixin()
        with old.fit_callbacks(net, None, None, 1) as context, old.task(context, net, "fit", MelSpectrogram()):
            assert not context.subcontext(task_name="epoch 1").call_on_fit_task_end(estimator=net)
        assert not hasattr(old.CallbackSupportMixin, "set_callbacks")
    finally:
        monkeypatch.undo()
        importlib.reload(ours)
