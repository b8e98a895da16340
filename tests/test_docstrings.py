"""The docstrings of everything public, by the rules of scikit-learn: they are user interface."""

import ast
import doctest
import inspect
import sys
from typing import get_type_hints

import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils._testing import assert_docstring_consistency

import skcry

# Left out by scikit-learn: names of what is returned (RT02), and where the summary and a blank line stand (GL01, GL02).
LEFT_OUT = {"RT02", "GL01", "GL02"}
# Wanted of classes only: an extended summary, See Also, examples.
OF_CLASSES = {"ES01", "SA01", "EX01"}


def _public():
    """Path of each public object, and the object: what ``__all__`` lists, here and in the submodules."""
    for name in skcry.__all__:
        one = getattr(skcry, name)
        listed = [getattr(one, part) for part in one.__all__] if inspect.ismodule(one) else [one]
        for item in (item for item in listed if hasattr(item, "__qualname__")):  # not constants
            yield f"{item.__module__}.{item.__qualname__}", item


def _methods(cls):
    """Public methods and properties that a class has from here, rather than from scikit-learn or torch."""
    for name in dir(cls):
        owner = next(base for base in cls.__mro__ if name in vars(base))
        member = getattr(cls, name)
        if name.startswith("_") or owner.__module__.partition(".")[0] != "skcry":
            continue
        # scikit-learn puts methods of its own into classes, such as `set_fit_request`.
        if isinstance(member, property) or (inspect.isfunction(member) and member.__module__.startswith("skcry.")):
            yield name, member


PUBLIC = dict(_public())
CLASSES = {path: item for path, item in PUBLIC.items() if inspect.isclass(item)}
METHODS = {f"{path}.{name}": member for path, item in CLASSES.items() for name, member in _methods(item)}
CALLABLES = {**PUBLIC, **{path: item for path, item in METHODS.items() if not isinstance(item, property)}}


@pytest.mark.parametrize("path", [*PUBLIC, *METHODS])
def test_docstring_is_valid(path):
    left_out = LEFT_OUT if path in CLASSES else LEFT_OUT | OF_CLASSES
    errors = [f"{code}: {message}" for code, message in validate(path)["errors"] if code not in left_out]
    assert errors == []


@pytest.mark.parametrize("path", list(CALLABLES))
def test_defaults_are_documented_as_they_are(path):
    item = CALLABLES[path]
    documented = {}
    for row in (ClassDoc if inspect.isclass(item) else FunctionDoc)(item)["Parameters"]:
        names = row.name.split(", ")
        if "default=" in row.type:
            text = row.type.split("default=")[1].replace(" and ", ", ")
            value = ast.literal_eval(text)
            several = len(names) > 1 and isinstance(value, tuple)
            documented.update(zip(names, value if several else [value] * len(names), strict=True))
    signature = inspect.signature(item).parameters.values()
    optional = {one.name: one.default for one in signature if one.default is not one.empty}
    # `y=None` that is ignored is documented as ``y : None``.
    assert documented == {name: value for name, value in optional.items() if name != "y" or name in documented}


@pytest.mark.parametrize("path", list(CALLABLES))
def test_everything_is_annotated(path):
    item = CALLABLES[path].__init__ if path in CLASSES else CALLABLES[path]
    signature = inspect.signature(item)
    annotations = [one.annotation for one in signature.parameters.values() if one.name != "self"]
    assert inspect.Signature.empty not in [*annotations, signature.return_annotation]
    assert get_type_hints(item)  # that the names in them exist


@pytest.mark.parametrize("path", list(CLASSES))
def test_every_class_has_an_example_that_pytest_runs(path):
    """pytest looks where ``__module__`` says: for ``skcry`` in its ``__init__.py``, all names of which it loads."""
    tests = doctest.DocTestFinder().find(sys.modules[CLASSES[path].__module__])
    # By docstring, since a network may be found as an attribute of its estimator.
    assert CLASSES[path].__doc__ in [test.docstring for test in tests if test.examples]


def test_parameters_that_several_have_are_documented_alike():
    networks = [skcry.AlexNetClassifier, skcry.FrameCNNClassifier]
    assert_docstring_consistency(networks, include_params=["precision", "weight_dtype", "device", "verbose"])
    sound = [skcry.HighPassFilter, skcry.Denoise, skcry.MelSpectrogram]
    assert_docstring_consistency(sound, include_params=["sr"])
    detector = skcry.CryDetector
    assert_docstring_consistency([detector.timeline, detector.detect], include_params=["X", "on_error"])


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    sound, images, y = rng.normal(size=(8, 16000)), rng.normal(size=(8, 20, 20)), np.repeat([0, 1], 4)
    short = {"width": 1 / 16, "max_epochs": 1, "random_state": 0}
    fast = make_pipeline(skcry.StatFeatures("zcr"), LogisticRegression())
    of_sound = [skcry.HighPassFilter(), skcry.Denoise(), skcry.EnergyGate(), skcry.Windower(), skcry.MelSpectrogram()]
    return [
        *(estimator.fit(sound) for estimator in [*of_sound, skcry.StatFeatures(), skcry.PretrainedEmbedding()]),
        skcry.AlexNetClassifier(early_stopping=False, **short).fit(images, y),
        skcry.FrameCNNClassifier(min_steps=1, **short).fit(images, y),
        skcry.LimitWindows().fit(sound, y),
        skcry.CryDetector(fast, threshold=0.5).fit(sound, y),
    ]


def test_attributes_are_documented(fitted):
    for estimator in fitted:
        rows = ClassDoc(type(estimator))["Attributes"]
        documented = {name for row in rows for name in row.name.split(", ")}
        found = {name for name in dir(estimator) if name.endswith("_") and not name.startswith("_")}
        assert documented == found, type(estimator).__name__


def test_every_estimator_is_among_the_public(fitted):
    estimators = {type(estimator) for estimator in fitted} | {skcry.Wav2Vec2Embedding}
    assert estimators == {item for item in CLASSES.values() if issubclass(item, BaseEstimator)}
