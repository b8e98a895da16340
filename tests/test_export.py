"""Exported models: the scores of Python, in a process without skcry."""

import doctest
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

import skcry
from skcry import (
    CryDetector,
    Denoise,
    EnergyGate,
    FrameCNNClassifier,
    MelSpectrogram,
    PretrainedEmbedding,
    Windower,
    export_onnx,
    make_cry_pipeline,
)
from skcry.datasets import load_annotated, make_cry_recordings
from skcry.metrics import second_truth
from skcry.nn.cry_cnn import SPECTROGRAM

pytest.importorskip("onnx", reason="needs pip install 'skcry[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install 'skcry[onnx]'")

GUIDE = Path(__file__).parents[1] / "examples" / "docs" / "guide" / "devices.rst"
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def pretrained():
    return skcry.load_pretrained()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def session(pretrained, folder):
    export_onnx(pretrained, folder / "pretrained.onnx")
    return open_session(folder / "pretrained.onnx")


@pytest.fixture(scope="module")
def int8_session(pretrained, folder):
    export_onnx(pretrained, folder / "int8.onnx", dtype="int8")
    return open_session(folder / "int8.onnx")


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


def run(session, sound):
    return session.run(None, {"sound": np.asarray(sound, dtype=np.float32)})[0]


def in_python(detector, sound):
    """Scores of Python; all columns of probabilities if there is no single class of crying."""
    (found,) = detector.iter_detections([np.asarray(sound, dtype=np.float32)], on_error="keep")
    index = detector.positive_index_
    return found.probabilities if index is None else found.probabilities[:, index]


def check_equal(detector, session, sounds):
    for sound in sounds:
        expected = in_python(detector, sound)
        score = run(session, sound)
        assert score.shape == expected.shape
        assert score.dtype == np.float32
        np.testing.assert_allclose(score, expected, atol=TOLERANCE)


def metadata(session):
    return session.get_modelmeta().custom_metadata_map


@pytest.fixture(scope="module")
def sound():
    (recording,), _, _ = make_cry_recordings(1, duration=60, cry_fraction=0.5, random_state=3)
    return recording.astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40 * 16000), st.integers(0, 20 * 16000))
def test_scores_equal_those_of_python_at_any_length(pretrained, session, sound, n_timepoints, first):
    check_equal(pretrained, session, [sound[first : first + n_timepoints]])


def test_edges(pretrained, session, sound):
    lengths = [1, 15999, 16000, 16001, 79999, 80000, 80001, 95999, 96000, 96001, 111999]
    check_equal(pretrained, session, [sound[-length:] for length in lengths])


def test_hostile_sound(pretrained, session, rng, sr):
    t = np.arange(12 * sr) / sr
    tone = 0.9 * np.sin(2 * np.pi * 440 * t)
    click = np.zeros(12 * sr)
    click[100_000] = 1.0
    sounds = {
        "silence": np.zeros(12 * sr),
        "constant": np.full(12 * sr, 0.5),
        "clipped": np.clip(20 * tone, -1, 1),
        "hum above a whisper": 0.9 * np.sin(2 * np.pi * 50 * t) + 3e-5 * rng.normal(size=t.size),
        "tone, then nothing": (tone + 3e-5 * rng.normal(size=t.size)) * (t < 6),  # noise of 16 bits
        "click": click,
        "below the floor": 1e-9 * rng.normal(size=t.size),
        "beyond full scale": 5 * rng.normal(size=t.size),
        "noise": 0.1 * rng.normal(size=t.size),
    }
    check_equal(pretrained, session, sounds.values())


def test_tone_that_no_recorder_makes(pretrained, session, sr):
    """Without any noise, rounding in float32 fills the other bands; the model is as exact as Python in float32."""
    tone = 0.9 * np.sin(2 * np.pi * 440 * np.arange(6 * sr) / sr)
    tone = np.concatenate([tone, np.zeros(6 * sr)])
    (exact,) = pretrained.iter_detections([tone], on_error="keep")
    exact = exact.probabilities[:, 1]
    difference = np.abs(run(session, tone) - exact).max()
    assert difference < max(TOLERANCE, np.abs(in_python(pretrained, tone) - exact).max())


def test_same_file_and_scores_each_time(pretrained, session, folder, sound):
    export_onnx(pretrained, folder / "again.onnx")
    assert (folder / "again.onnx").read_bytes() == (folder / "pretrained.onnx").read_bytes()
    np.testing.assert_array_equal(run(session, sound), run(session, sound))


def test_runs_without_torch_and_skcry(pretrained, session, folder, sound):
    """In a process that can import neither; `session` has written the file."""
    np.save(folder / "sound.npy", sound)
    code = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "skcry", "sklearn", "scipy", "librosa", "onnx"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession({str(folder / "pretrained.onnx")!r})
(score,) = session.run(None, {{"sound": np.load({str(folder / "sound.npy")!r})}})
np.save({str(folder / "score.npy")!r}, score)
assert not {{"torch", "skcry", "sklearn", "scipy", "librosa", "onnx"}} & set(sys.modules)
print(session.get_modelmeta().custom_metadata_map["threshold"])
"""
    out = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    score = np.load(folder / "score.npy")
    timeline = pretrained.timeline([sound])
    np.testing.assert_allclose(score, timeline["score"], atol=TOLERANCE)
    assert ((score >= float(out.stdout)) == timeline["cry"]).all()


@pytest.mark.parametrize("n_timepoints", [1, 40_000, 6 * 16000, 7 * 16000, 120_001, 30 * 16000, 470_000])
def test_loop_of_the_guide(pretrained, session, sound, n_timepoints):
    examples = doctest.DocTestParser().get_examples(GUIDE.read_text())
    names = {"np": np}
    exec(next(one.source for one in examples if one.source.startswith("def listen")), names)
    sound = sound[:n_timepoints]
    live = list(names["listen"](session, (sound[first : first + 16000] for first in range(0, len(sound), 16000))))
    np.testing.assert_allclose(live, in_python(pretrained, sound), atol=TOLERANCE)


# Detectors of users


def fit_detector(cry_data, estimator=None, labels=None, **parameters):
    recordings, annotations, infants = cry_data
    if labels is not None:  # a third class, in every other recording
        annotations = [table.replace({"label": {"cry": labels[i % 2]}}) for i, table in enumerate(annotations)]
        infants = None
    detector = CryDetector(estimator, **{"random_state": 0, "threshold": 0.5, **parameters})
    return detector.fit(recordings, annotations, groups=infants)


def pretrained_pipeline(*steps):
    return make_pipeline(PretrainedEmbedding(), *steps)


def frames(init="random"):
    settings = {"max_epochs": 1, "min_steps": 1, "random_state": 0, "init": init}
    if init == "pretrained":
        return [MelSpectrogram(**SPECTROGRAM), FrameCNNClassifier(**settings)]
    return [MelSpectrogram(n_mels=64, fmin=200.0, fmax=4000.0, top_db=50.0), FrameCNNClassifier(width=0.25, **settings)]


CASES = {
    "default": {"threshold": "cv"},
    "calibrated, logistic regression": {"estimator": pretrained_pipeline(LogisticRegression()), "threshold": "cv"},
    "uncalibrated": {},
    "selected features": {"estimator": make_cry_pipeline(select=SelectKBest(k=20), random_state=0)},
    "SVC": {"estimator": pretrained_pipeline(StandardScaler(with_mean=False), SVC(kernel="linear", C=1e-3))},
    "half a second": {"windower": Windower(hop_duration=0.5)},
    "quarter of a second": {"windower": Windower(window_duration=3.0, hop_duration=0.25)},
    "two and a half seconds": {"windower": Windower(window_duration=4.25, hop_duration=2.5)},
    "gaps": {"windower": Windower(window_duration=2.5, hop_duration=4.0), "target_duration": 1.3},
    "dropped tail": {"windower": Windower(hop_duration=2.0, last="drop")},
    "whole windows": {"target_duration": None},
    "short target": {"target_duration": 0.3, "windower": Windower(hop_duration=1.5)},
    "no smoothing": {"smooth_duration": 1},
    "long smoothing": {"smooth_duration": 9},
    "frames": {"estimator": make_pipeline(*frames(), StandardScaler(), SVC(kernel="linear", C=1e-3))},
    "frames, network that classifies": {"estimator": make_pipeline(*frames())},
    "fine-tuned": {"estimator": make_pipeline(*frames("pretrained"))},
    "fine-tuned, embeddings": {"estimator": make_pipeline(*frames("pretrained"), LogisticRegression())},
    "three classes": {"labels": ["cry", "whine"], "positive": None},
    "three classes, probabilities": {
        "labels": ["cry", "whine"],
        "positive": None,
        "estimator": pretrained_pipeline(LogisticRegression(C=0.01)),
        "threshold": "cv",
        "cv": 2,
    },
}
LENGTHS = [30_000, 80_000, 133_333, 160_000, 320_001]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:The estimator did not score")
def test_detectors_of_users(cry_data, tmp_path, sound, case):
    detector = fit_detector(cry_data, **CASES[case])
    detector.operating_point_.level_ = 0.7
    export_onnx(detector, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    check_equal(detector, session, [sound[100_000 : 100_000 + length] for length in LENGTHS])
    # What is needed before and after a second, for blocks at each step of the windows.
    about = metadata(session)
    before, after = int(about["context_before"]), int(about["latency"])
    step = int(np.lcm(detector.windower_.hop_length_, 16000)) // 16000
    whole = run(session, sound)
    for first in range(0, len(whole) - before - after, step):
        block = sound[first * 16000 : (first + before + 1 + after) * 16000]
        np.testing.assert_allclose(run(session, block)[before], whole[first + before], atol=TOLERANCE)


def test_labels_of_recordings(cry_data, tmp_path, sound):
    recordings, _, _ = cry_data
    labels = np.array(["cry", "other"] * 3)  # the class that is crying comes first
    detector = CryDetector(random_state=0, threshold=0.5).fit(recordings, labels)
    assert detector.positive_index_ == 0
    export_onnx(detector, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    assert json.loads(metadata(session)["classes"]) == ["cry", "other"]
    assert metadata(session)["positive"] == "0"
    check_equal(detector, session, [sound])
    detector = CryDetector(random_state=0, threshold="cv", positive=None).fit(recordings, np.array(["a", "b"] * 3))
    export_onnx(detector, tmp_path / "two.onnx")
    check_equal(detector, open_session(tmp_path / "two.onnx"), [sound])


def test_search(cry_data, tmp_path, sound):
    recordings, annotations, _ = cry_data
    search = GridSearchCV(CryDetector(threshold=0.5, random_state=0), {"smooth_duration": [1, 3]}, cv=2)
    search.fit(recordings, annotations)
    export_onnx(search, tmp_path / "model.onnx")
    check_equal(search.best_estimator_, open_session(tmp_path / "model.onnx"), [sound])


UNSUPPORTED = {
    "gate=EnergyGate": {"gate": EnergyGate()},
    "highpass=HighPassFilter": {"estimator": make_cry_pipeline(features="stats")},
    "denoise=Denoise": {"estimator": make_cry_pipeline().set_params(denoise=Denoise())},
    "statfeatures=StatFeatures": {"estimator": make_pipeline(skcry.StatFeatures(["mfcc"]), LogisticRegression(C=1e-3))},
    "minmaxscaler=MinMaxScaler": {"estimator": pretrained_pipeline(MinMaxScaler(), LogisticRegression())},
    "classify=CompactSVC": {"estimator": make_cry_pipeline().set_params(classify__kernel="rbf")},
    "classify=GradientBoosting": {
        "estimator": make_cry_pipeline(GradientBoostingClassifier(n_estimators=2, random_state=0))
    },
    "unites a, b": {
        "estimator": make_pipeline(
            FeatureUnion([("a", PretrainedEmbedding()), ("b", PretrainedEmbedding())]), LogisticRegression()
        )
    },
    "hop_duration=0.9 s": {"windower": Windower(hop_duration=0.9)},
    "window_duration=2.0 s": {"windower": Windower(window_duration=2.0)},
    "the network was trained on": {
        "estimator": make_pipeline(MelSpectrogram(**SPECTROGRAM | {"fmin": 90.0}), frames("pretrained")[1])
    },
    "bfloat16": {"estimator": make_pipeline(*frames()).set_params(framecnnclassifier__precision="bfloat16")},
}


@pytest.mark.parametrize("message", UNSUPPORTED)
def test_what_cannot_be_exported_is_named(cry_data, tmp_path, message):
    detector = fit_detector(cry_data, **UNSUPPORTED[message])
    with pytest.raises(ValueError, match=message) as error:
        export_onnx(detector, tmp_path / "model.onnx")
    assert "Fit " in str(error.value) or "Set " in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_metadata(pretrained, session):
    about = metadata(session)
    assert about["card"] == str(pretrained.card())
    assert float(about["threshold"]) == pretrained.threshold_
    assert float(about["merge_gap"]) == pretrained.merge_gap
    assert float(about["min_duration"]) == pretrained.min_duration
    assert (about["sr"], about["dtype"], about["skcry_version"]) == ("16000", "float32", skcry.__version__)
    assert (float(about["window_duration"]), float(about["hop_duration"])) == (5.0, 1.0)
    assert (about["context_before"], about["latency"]) == ("3", "3")
    assert json.loads(about["classes"]) == [0, 1]
    assert about["positive"] == "1"
    assert "CREDITS.md" in about["credits"]


def test_arguments(pretrained, session, folder, tmp_path, monkeypatch):
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        export_onnx(pretrained, folder / "pretrained.onnx")
    with pytest.raises(TypeError, match="takes a fitted CryDetector, got a Pipeline"):
        export_onnx(make_cry_pipeline(), tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="dtype"):
        export_onnx(pretrained, tmp_path / "model.onnx", dtype="float16")
    with pytest.raises(ValueError, match='for dtype="int8" only'):
        export_onnx(pretrained, tmp_path / "model.onnx", calibration=[np.zeros(16000)])
    with pytest.raises(ValueError, match="no recording"):
        export_onnx(pretrained, tmp_path / "model.onnx", dtype="int8", calibration=[])
    with pytest.raises(FileNotFoundError, match="no such folder"):
        export_onnx(pretrained, tmp_path / "nowhere" / "model.onnx")
    for name, dtype in (("onnx", "float32"), ("onnxruntime", "int8")):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, name, None)
            with pytest.raises(ImportError, match=rf"package {name}. Install it: pip install 'skcry\[onnx\]'"):
                export_onnx(pretrained, tmp_path / "model.onnx", dtype=dtype)
    assert list(tmp_path.iterdir()) == []
    export_onnx(pretrained, folder / "again.onnx", overwrite=True)


# 8 bits


def average_precision(session, recordings, truth):
    return average_precision_score(truth, np.concatenate([run(session, y) for y in recordings]))


def check_int8(detector, session, int8_session, recordings, annotations):
    truth = second_truth(annotations, detector.timeline(recordings)).to_numpy()
    exact, rounded = (average_precision(one, recordings, truth) for one in (session, int8_session))
    assert abs(exact - rounded) < 0.01


def test_int8(pretrained, session, int8_session, folder, sound):
    assert (folder / "int8.onnx").stat().st_size < 0.6 * (folder / "pretrained.onnx").stat().st_size
    assert metadata(int8_session)["dtype"] == "int8"
    assert metadata(int8_session)["card"] == metadata(session)["card"]
    recordings, annotations, _ = make_cry_recordings(6, duration=60, random_state=1)
    check_int8(pretrained, session, int8_session, recordings, annotations)
    np.testing.assert_array_equal(run(int8_session, sound), run(int8_session, sound))


def test_int8_with_calibration(pretrained, int8_session, folder, tmp_path, sound):
    export_onnx(pretrained, tmp_path / "model.onnx", dtype="int8", calibration=[sound, (48000, np.repeat(sound, 3))])
    found = open_session(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() != (folder / "int8.onnx").read_bytes()
    np.testing.assert_allclose(run(found, sound), in_python(pretrained, sound), atol=0.1)


@pytest.mark.real
def test_int8_on_soundscapes(session, int8_session, pretrained, shared):
    data = load_annotated(shared / "data" / "soundscapes")
    recordings = [np.asarray(y, dtype=np.float32) for y in data.recordings]
    check_int8(pretrained, session, int8_session, recordings, data.annotations)
    check_equal(pretrained, session, recordings[:2])
