"""What a type checker knows of the public names: checked by mypy alone, never run."""

from pathlib import Path
from typing import assert_type

import numpy as np

import skcry
from skcry import CryDetector, Denoise, EnergyGate, FrameCNNClassifier, StatFeatures, Windower, Windows
from skcry.datasets import make_cry_recordings
from skcry.metrics import bootstrap_interval, get_scorer, get_scorer_names


def _check_estimators(days: list[Path]) -> None:
    recordings, annotations, infants = make_cry_recordings(4, random_state=0)
    assert_type(recordings, list[np.ndarray])
    X = Windower(last="drop").fit_transform(recordings, groups=infants)
    assert_type(X, Windows)
    assert_type(X.label(annotations), np.ndarray)
    # `fit` gives the estimator itself, though decorators and bases come from a library without types.
    assert_type(StatFeatures("mfcc").fit(X), StatFeatures)
    assert_type(StatFeatures("mfcc").fit(X).transform(X), np.ndarray)
    assert_type(Denoise().fit(X).transform(np.zeros((2, 8))), Windows | np.ndarray)
    assert_type(FrameCNNClassifier(precision="float32").fit(X, X.label(annotations)).predict(X), np.ndarray)
    detector = CryDetector(gate=EnergyGate(), threshold=0.5, positive="cry").fit(recordings, annotations)
    assert_type(detector, CryDetector)
    assert_type(detector.fit(np.zeros((2, 8)), [0, 1]).fit(days, np.array(["cry", "quiet"])), CryDetector)
    assert_type(detector.calibrate(days[:1], [[(0.5, 2.5, "cry")]]), CryDetector)
    assert_type(detector.score(days, annotations), float)
    assert_type(skcry.load_pretrained(), CryDetector)
    skcry.detect_files(detector, days, "results", on_error="warn", n_jobs=2)


def _check_functions() -> None:
    assert_type(get_scorer_names(), list[str])
    assert_type(bootstrap_interval(np.mean, [1.0, 2.0], groups=[0, 1]), tuple[float, float])
    assert_type(skcry.__version__, str)
    get_scorer(["second_f1", "event_f1"], matching="iou")


def _check_mistakes() -> None:
    # Each of these is an error; mypy complains of a comment that hides none (warn_unused_ignores).
    Windower(last="pat")  # type: ignore[arg-type]
    Windower(5.0, 1.0, 16000)  # type: ignore[call-arg]
    CryDetector(treshold=0.5)  # type: ignore[call-arg]
    get_scorer("second_f1", matching="near")  # type: ignore[arg-type]
    skcry.CryDetectr()  # type: ignore[attr-defined]
