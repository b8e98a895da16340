"""One detector in many threads and processes; and nothing that all of a process shares is changed behind its back."""

import locale
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import soundfile
import torch
from helpers import make_quick_detector
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skcry import CryDetector, EnergyGate, FrameCNNClassifier, MelSpectrogram, detect_files, metrics
from skcry.datasets import make_cry_recordings

ROOT = Path(__file__).parents[1]


def network():
    """A detector with a toy network, whose training draws from torch's random numbers."""
    net = FrameCNNClassifier(width=0.25, max_epochs=1, min_steps=1, random_state=0)
    return CryDetector(make_pipeline(MelSpectrogram(n_mels=32), net), threshold=0.5, random_state=0)


def statistics():
    return make_quick_detector(gate=EnergyGate())


@pytest.fixture(scope="module")
def data():
    return make_cry_recordings(6, duration=12, random_state=0)


@pytest.fixture(scope="module", params=[network, statistics])
def unfitted(request):
    return request.param()


@pytest.fixture(scope="module")
def detector(unfitted, data):
    return clone(unfitted).fit(data[0], data[1], groups=data[2])


def results(detector, recordings):
    return detector.timeline(recordings), detector.detect(recordings), detector.predict_proba(recordings)


def assert_same(found, expected):
    pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True)
    pd.testing.assert_frame_equal(found[1], expected[1], check_exact=True)
    np.testing.assert_array_equal(found[2], expected[2])


def at_once(function, n_threads):
    """Call a function in so many threads that set off together."""
    barrier = threading.Barrier(n_threads)

    def call(number):
        barrier.wait()
        return function(number)

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(call, range(n_threads)))


def test_threads_share_a_detector(detector, data):
    recordings = data[0]
    expected = [results(detector, recordings[i:]) for i in range(4)]
    for number, found in enumerate(at_once(lambda i: results(detector, recordings[i % 4 :]), 5)):
        assert_same(found, expected[number % 4])


def test_processes_share_a_detector(detector, data):
    expected = results(detector, data[0])
    tasks = [(detector.timeline, expected[0]), (detector.detect, expected[1]), (detector.timeline, expected[0])]
    found = joblib.Parallel(2)(joblib.delayed(method)(data[0]) for method, _ in tasks)
    for table, (_, other) in zip(found, tasks, strict=True):
        pd.testing.assert_frame_equal(table, other, rtol=1e-6)


def test_clones_are_fitted_in_threads(unfitted, detector, data):
    expected = results(detector, data[0])
    before = snapshot()
    for fitted in at_once(lambda i: clone(unfitted).fit(data[0], data[1], groups=data[2]), 3):
        assert_same(results(fitted, data[0]), expected)
        assert fitted.threshold_ == detector.threshold_
    assert_unchanged(before)


def test_threads_read_one_file(detector, data, tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, data[0][0], 16000)
    expected = results(detector, [path])
    for found in at_once(lambda i: results(detector, [path]), 4):
        assert_same(found, expected)


# What all of a process shares


def snapshot():
    """State that belongs to the user."""
    random_state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return {
        "torch threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch dtype": torch.get_default_dtype(),
        "torch gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "torch deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.enabled,
        ),
        "torch matmul": (torch.get_float32_matmul_precision(), torch.backends.mkldnn.enabled),
        "torch autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "torch random": torch.random.get_rng_state().numpy().tobytes(),
        "numpy random": (random_state["key"].tobytes(), random_state["pos"]),
        "numpy errors": (np.geterr(), np.get_printoptions()),
        "random": random.getstate(),
        "warnings": (list(warnings.filters), warnings.showwarning, warnings.formatwarning),
        "locale": locale.setlocale(locale.LC_ALL),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "hooks": (sys.excepthook, threading.excepthook, sys.getrecursionlimit()),
        "streams": (sys.stdout, sys.stderr),
        "sklearn": sklearn.get_config(),
        "pandas": (pd.get_option("display.max_rows"), pd.get_option("display.precision")),
        "joblib": joblib.parallel.get_active_backend()[0].__class__,
    }


def assert_unchanged(before):
    after = snapshot()
    for name, value in before.items():
        assert after[name] == value, name


def test_nothing_shared_is_changed(unfitted, data, tmp_path):
    recordings, annotations, infants = data
    for number, y in enumerate(recordings):
        soundfile.write(tmp_path / f"{number}.wav", y, 16000)
    paths = sorted(tmp_path.glob("*.wav"))
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    # What a first use loads by itself, such as a pool of workers, is not what is asked about.
    before = snapshot()
    detector = clone(unfitted)
    for step in (
        lambda: detector.fit(recordings, annotations, groups=infants),
        lambda: results(detector, paths),
        lambda: detector.score(recordings, annotations),
        lambda: detector.calibrate(recordings[:2], annotations[:2]),
        lambda: detect_files(detector, paths, tmp_path / "out"),
        lambda: metrics.get_scorer("event_f1")(detector, recordings, annotations),
        lambda: clone(unfitted).set_params(threshold="cv").fit(recordings, annotations, groups=infants),
    ):
        step()
        assert_unchanged(before)


def test_workers_change_nothing_here(detector, data, tmp_path):
    for number, y in enumerate(data[0][:3]):
        soundfile.write(tmp_path / f"{number}.wav", y, 16000)
    joblib.Parallel(2)(joblib.delayed(abs)(number) for number in range(2))  # starts the workers
    before = snapshot()
    detect_files(detector, sorted(tmp_path.glob("*.wav")), tmp_path / "out", n_jobs=2)
    assert_unchanged(before)


def test_importing_changes_nothing():
    script = f"""
import importlib, json, os, pkgutil, random, signal, locale, sys, warnings
import imblearn.pipeline, joblib, librosa, numpy, pandas, scipy.signal, sklearn.svm, skorch, soundfile, soxr, torch
def state():
    return (list(warnings.filters), dict(os.environ), torch.get_num_threads(), locale.setlocale(locale.LC_ALL),
            [signal.getsignal(n) for n in signal.valid_signals()], random.getstate(), sklearn.get_config(),
            numpy.geterr(), torch.random.get_rng_state().tolist(), torch.get_default_dtype())
before = state()
sys.path.insert(0, {str(ROOT)!r})
import skcry
for module in pkgutil.walk_packages(skcry.__path__, "skcry."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
for i, (one, other) in enumerate(zip(before, state())):
    assert one == other, (i, one, other)
assert "matplotlib" not in sys.modules
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
