"""Every public estimator against every one of scikit-learn's estimator checks."""

import inspect

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import estimator_checks_generator

import skcry
from skcry import (
    AlexNetClassifier,
    CryDetector,
    Denoise,
    EnergyGate,
    FrameCNNClassifier,
    HighPassFilter,
    LimitWindows,
    MelSpectrogram,
    PretrainedEmbedding,
    StatFeatures,
    Wav2Vec2Embedding,
    Windower,
)

# The checks pass clips of 1 to 10 timepoints: one window each, which a plain classifier takes as features. AlexNet pads
# them to 195 x 195, so most of its time goes into padding: few channels and epochs, each of many small batches.
ALEXNET = AlexNetClassifier(
    width=1 / 32,
    max_epochs=3,
    batch_size=16,
    lr=1e-2,
    dropout=0.1,
    time_mask=0.1,
    freq_mask=0.1,
    early_stopping=False,
    random_state=0,
)
FRAME_CNN = FrameCNNClassifier(
    width=0.25,
    min_steps=1,
    max_epochs=8,
    batch_size=8,
    lr=1e-2,
    dropout=0.0,
    mix=0.0,
    frequency_shift=0.0,
    filter_db=0.0,
    freq_mask=0.0,
    average=0.9,
    random_state=0,
)
DETECTOR = CryDetector(
    LogisticRegression(), windower=Windower(window_duration=10 / 16000, hop_duration=1 / 16000), threshold=0.5
)
# Estimator and the least number of checks, so that none vanishes behind a tag.
INSTANCES = [
    (HighPassFilter(), 46),
    (Denoise(), 46),
    (MelSpectrogram(n_mels=8), 46),
    (StatFeatures(), 46),
    (Windower(), 46),
    (EnergyGate(), 40),
    (LimitWindows(), 40),
    (ALEXNET, 61),
    (FRAME_CNN, 61),
    (PretrainedEmbedding(), 46),
    (Wav2Vec2Embedding(device="cpu"), 46),
    (DETECTOR, 61),
]
each_estimator = pytest.mark.parametrize("estimator", [one for one, _ in INSTANCES], ids=lambda one: type(one).__name__)


def _checks():
    for estimator, _ in INSTANCES:
        for instance, check in estimator_checks_generator(estimator):
            name = check.func.__name__ if hasattr(check, "func") else check.__name__
            if name != "check_array_api_input":  # skipped by scikit-learn itself unless array API is switched on
                yield pytest.param(instance, check, id=f"{type(estimator).__name__}-{name}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), list(_checks()))
def test_estimator_check(estimator, check, request):
    if isinstance(estimator, Wav2Vec2Embedding):
        estimator = clone(estimator).set_params(model=request.getfixturevalue("toy_model"))
    check(estimator)


@pytest.mark.parametrize(("estimator", "n_checks"), INSTANCES, ids=lambda value: type(value).__name__)
def test_number_of_checks(estimator, n_checks):
    names = [str(check) for _, check in estimator_checks_generator(estimator)]
    assert len(names) - sum("array_api" in name for name in names) >= n_checks


def test_table_is_complete():
    public = {getattr(skcry, name) for name in skcry.__all__}
    estimators = {one for one in public if inspect.isclass(one) and issubclass(one, BaseEstimator)}
    assert estimators == {type(estimator) for estimator, _ in INSTANCES}


@each_estimator
def test_init_only_stores_and_every_parameter_is_validated(estimator):
    assert set(estimator.get_params(deep=False)) == set(estimator._parameter_constraints)
    params = type(estimator)().get_params(deep=False)
    defaults = {name: parameter.default for name, parameter in inspect.signature(type(estimator)).parameters.items()}
    assert params == defaults
