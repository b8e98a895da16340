"""The command line: what it does, and what it says."""

import logging
import re
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers import make_quick_detector, write_annotated

import skcry
from skcry import detect_files, read_timelines
from skcry.__main__ import main
from skcry._commands import SUFFIXES, in_terms
from skcry._progress import Stages
from skcry.datasets import make_cry_recordings
from skcry.files import read_manifest
from skcry.io import read_annotations


@pytest.fixture(scope="module")
def data():
    return make_cry_recordings(4, duration=30, random_state=0)


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """Folder with ``days``, annotated, a detector, and its results; not to be changed."""
    folder = tmp_path_factory.mktemp("folder")
    (folder / "days").mkdir()
    write_annotated(folder / "days", *data[:2])
    detector = make_quick_detector().fit(*data[:2], groups=data[2])
    skcry.save(detector, folder / "cry.skcry")
    detect_files(detector, folder / "days", folder / "found")
    return folder


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    """Current folder, with absolute names of what ``folder`` holds."""
    monkeypatch.chdir(tmp_path)
    return {name: str(folder / name) for name in ("days", "cry.skcry", "found")}


@pytest.mark.parametrize("suffix", ["skcry", "joblib"])
def test_command_line(data, tmp_path, monkeypatch, capsys, suffix):
    model = f"model/detector.{suffix}"
    monkeypatch.chdir(tmp_path)
    Path("days").mkdir()
    write_annotated(Path("days"), *data[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(["train", "days", "--out", model, "--seed", "1"]) == 0
    captured = capsys.readouterr()
    assert "4 recordings in 4 groups" in captured.out
    assert re.search(r"^  average precision \(1 is best\): 0\.\d\d, from", captured.out, re.M)
    for number in (1, 2, 3):
        assert f"Training without fold {number} of 3" in captured.err
    assert "Training on all recordings" in captured.err
    assert main(["train", "days", "--out", model]) == 2
    assert "exists" in capsys.readouterr().err
    Path("days/broken.wav").write_text("no")
    assert main(["detect", model, "days", "--out", "results"]) == 1
    captured = capsys.readouterr()
    assert "5 recordings" in captured.out
    assert "1 unreadable" in captured.out
    assert captured.err.startswith("Warning: broken.wav is left out")
    assert main(["card", model]) == 0
    card = capsys.readouterr().out
    assert "Files: day0.wav, day1.wav, day2.wav, day3.wav." in card
    assert "mixtures of free sound" in card  # of the network, with the default features
    assert main(["report", "results"]) == 0
    assert "day3.wav" in capsys.readouterr().out
    assert main(["report", "results", "--by", "hour", "--out", "hours.csv"]) == 0
    assert len(pd.read_csv("hours.csv")) == 4
    assert main(["detect", "nothing.joblib", "days"]) == 2
    assert "nothing.joblib: no such file. Train a detector first" in capsys.readouterr().err
    joblib.dump({}, "other.joblib")
    assert main(["detect", "other.joblib", "days"]) == 2
    assert main(["detect", "days/day0.csv", "days"]) == 2
    assert "cannot be opened as a detector" in capsys.readouterr().err
    assert main(["report", "days"]) == 2


def test_module_runs():
    shown = subprocess.run(
        [sys.executable, "-m", "skcry", "--help"], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert shown.returncode == 0
    assert "{train,evaluate,detect,listen,report,export,review,estimate,correct,export-model,card}" in shown.stdout


def test_evaluate(here, data, capsys):
    assert main(["evaluate", here["cry.skcry"], here["days"], "--out", "scores.csv"]) == 0
    captured = capsys.readouterr()
    assert "Evaluating on 4 recordings in 4 groups" in captured.out
    scores = pd.read_csv("scores.csv", index_col="score")
    assert len(scores) == 10
    detector = skcry.load(here["cry.skcry"])
    paths = [Path(here["days"]) / f"day{number}.wav" for number in range(4)]
    assert scores.loc["seconds: average precision", "value"] == pytest.approx(detector.score(paths, data[1]), abs=1e-4)
    timeline = detector.timeline(paths)
    truth = skcry.metrics.second_truth(data[1], timeline)
    for name, value in skcry.metrics.second_metrics(truth, timeline)[["f1", "precision", "recall"]].items():
        assert scores.loc[f"seconds: {name.replace('f1', 'F1')}", "value"] == pytest.approx(value, abs=1e-4)
    assert (scores["low"] <= scores["value"]).all()
    assert (scores["value"] <= scores["high"]).all()
    assert main(["evaluate", here["cry.skcry"], here["days"], "--label", "cry"]) == 2
    assert "--label cry has no meaning" in capsys.readouterr().err


def test_evaluate_on_training_recordings_is_said(here, data, capsys):
    loaded = skcry.datasets.load_annotated(here["days"])
    skcry.save(make_quick_detector().fit(loaded.recordings, loaded.annotations), "same.skcry")
    assert main(["evaluate", "same.skcry", here["days"]]) == 0
    assert "4 of these recordings have the name of a training recording, such as day0.wav" in capsys.readouterr().err


def test_training_on_statistics_without_unknown_time(here, data, capsys):
    Path("partly").mkdir()
    doubtful = [[*one.itertuples(index=False, name=None), (26, 30, "unsure")] for one in data[1]]
    write_annotated(Path("partly"), data[0], doubtful)
    command = ["train", "partly", "--features", "stats", "--gate", "--ignore", "unsure", "--format", "csv"]
    assert main([*command, "--out", "cry.skcry"]) == 0
    assert capsys.readouterr().out.count("Written to cry.skcry; see skcry card cry.skcry") == 1
    detector = skcry.load("cry.skcry")
    assert detector.target_duration is None
    assert list(detector.estimator_.named_steps["features"].named_transformers) == ["stats"]
    assert detector.training_["unknown_seconds"] >= 4
    assert main(["evaluate", "cry.skcry", "partly", "--out", "scores.csv"]) == 0
    scores = pd.read_csv("scores.csv", index_col="score")
    expected = detector.score([Path("partly") / f"day{number}.wav" for number in range(4)], doubtful)
    assert scores.loc["seconds: average precision", "value"] == pytest.approx(expected, abs=1e-4)


def test_one_group_has_no_intervals(here, data, capsys):
    Path("one").mkdir()
    write_annotated(Path("one"), data[0][:1], data[1][:1])
    assert main(["evaluate", here["cry.skcry"], "one", "--out", "scores.csv"]) == 0
    assert pd.read_csv("scores.csv")[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize("format", SUFFIXES)
def test_export(here, format, capsys):
    command = ["export", here["found"], "--format", format, "--out", "out"]
    assert main(command) == 0
    assert "Events of 4 recordings written to out" in capsys.readouterr().out
    for name in read_manifest(here["found"])["file"]:
        written = read_annotations(Path("out", name).with_suffix(SUFFIXES[format]))
        expected = read_annotations(Path(here["found"], f"{name}.events.csv"))
        pd.testing.assert_frame_equal(written, expected)
    assert main(command) == 2
    assert "exists. Give another folder, or pass --overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_export_of_recordings_that_differ_in_their_extension(here, data):
    Path("sounds/home").mkdir(parents=True)
    for name in ("a.wav", "a.flac", "home/a.wav"):
        soundfile.write(Path("sounds", name), data[0][0], 16000)
    Path("sounds/broken.wav").write_text("no sound")
    assert main(["detect", here["cry.skcry"], "sounds"]) == 1
    assert main(["export", "results"]) == 0
    names = sorted(path.as_posix() for path in Path("annotations").rglob("*.txt"))
    assert names == ["annotations/a.flac.txt", "annotations/a.wav.txt", "annotations/home/a.txt"]


def test_several_folders(here, data, capsys):
    for name in ("first", "second"):
        Path(name).mkdir()
        soundfile.write(f"{name}/a.wav", data[0][0], 16000)
    soundfile.write("alone.flac", data[0][1], 16000)
    assert main(["detect", here["cry.skcry"], "first", "second", "alone.flac"]) == 0
    assert read_manifest("results")["file"].tolist() == ["first/a.wav", "second/a.wav", "alone.flac"]
    assert main(["detect", here["cry.skcry"], "first", "nowhere"]) == 2
    assert "nowhere: no such file or folder" in capsys.readouterr().err


def test_swapped_arguments_are_recognised(here, capsys):
    for command in ("detect", "evaluate"):
        for wrong in (here["days"], f"{here['days']}/day0.wav"):
            assert main([command, wrong, here["cry.skcry"]]) == 2
            assert f"The detector comes first: {here['cry.skcry']} {wrong}" in capsys.readouterr().err
    assert main(["evaluate", here["days"], here["days"]]) == 2
    assert "days is a folder. The detector comes first" in capsys.readouterr().err


def results(folder):
    return {path.name: path.read_text() for path in Path(folder).glob("*.events.csv")}


def test_without_a_model_file_the_detector_of_the_package_is_used(here, capsys):
    assert main(["detect", here["days"], "--out", "results"]) == 0
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith(f"The detector is the one that comes with skcry {skcry.__version__}, trained on 2")
    assert captured.out.startswith("4 recordings")
    detect_files(skcry.load_pretrained(), here["days"], "expected")
    assert results("results") == results("expected") != results(here["found"])

    assert main(["detect", f"{here['days']}/day0.wav", f"{here['days']}/day1.wav", "--out", "two"]) == 0
    assert results("two") == {name: text for name, text in results("expected").items() if name[3] in "01"}
    assert main(["detect", f"{here['days']}/day0.wav", "--out", "one"]) == 0
    events = read_annotations("one/day0.wav.events.csv")
    assert events.round(2).to_string(index=False) in capsys.readouterr().out  # of one recording, they are shown
    assert main(["evaluate", here["days"], "--out", "scores.csv"]) == 0
    assert len(pd.read_csv("scores.csv")) == 10
    assert "The detector is the one" in capsys.readouterr().err
    assert main(["card"]) == 0
    assert capsys.readouterr().out == f"{skcry.load_pretrained().card()}\n"

    # Its results and those of another detector are not mixed, in either order.
    for out, command in (("results", [here["cry.skcry"], here["days"]]), (here["found"], [here["days"]])):
        assert main(["detect", *command, "--out", out]) == 2
        assert "holds results of another detector" in capsys.readouterr().err


def test_which_name_is_a_detector(here, data, capsys):
    for command, said in [
        (["cry.skcy", here["days"]], "cry.skcy: no such file or folder. The first name is a detector, such as"),
        (["cry.skcry", here["days"]], "cry.skcry: no such file. Train a detector first"),
        ([here["cry.skcry"]], "cry.skcry is a detector. Name recordings, or a folder of recordings, after it"),
        ([f"{here['days']}/day0.csv", here["days"]], "day0.csv cannot be opened as a detector"),
        (["nowhere"], "nowhere: no such file or folder"),
    ]:
        assert main(["detect", *command, "--out", "none"]) == 2
        assert said in capsys.readouterr().err
    assert not Path("none").exists()
    Path("model").write_bytes(Path(here["cry.skcry"]).read_bytes())  # known by its content
    Path("sound").write_bytes(Path(here["days"], "day0.wav").read_bytes())
    Path("folder.skcry").mkdir()
    soundfile.write("folder.skcry/a.wav", data[0][0], 16000)
    for names, shipped in [(["model", "sound"], False), (["sound", "folder.skcry"], True), (["folder.skcry"], True)]:
        assert main(["detect", *names, "--overwrite"]) == 0
        assert ("The detector is the one that comes with skcry" in capsys.readouterr().err) == shipped


def test_options_may_stand_between_the_names(here, capsys):
    assert main(["detect", here["cry.skcry"], "--out", "one", here["days"]]) == 0
    assert results("one") == results(here["found"])
    assert main(["evaluate", here["cry.skcry"], "--out", "scores.csv", here["days"]]) == 0
    assert "The detector is the one" not in capsys.readouterr().err
    for wrong in (["detect", here["days"], "--jbos", "2"], ["detect", here["days"], "--out", "two", " "]):
        with pytest.raises(SystemExit):
            main(wrong)
        assert "unrecognized arguments: " in capsys.readouterr().err
    for wrong in (["evaluate", "a", "b", "c"], ["card", "a", "b"], ["report", "found", "more"]):
        with pytest.raises(SystemExit):
            main(wrong)
        assert f"unrecognized arguments: {wrong[-1]}" in capsys.readouterr().err


@pytest.mark.parametrize("terminal", [True, False])
def test_stages_of_training(capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    log = logging.getLogger("skcry")
    level = log.level
    with Stages():
        log.info("Training on all")
        log.debug("epoch 1 of 2")
    log.info("not shown")
    err = capsys.readouterr().err
    assert "Training on all (after 0 s)\n" in err
    assert ("Training on all, epoch 1 of 2 [" in err) == terminal
    assert "not shown" not in err
    assert (log.level, log.handlers) == (level, [])


@pytest.mark.parametrize(
    "command", [["train", "days"], ["detect", "cry.skcry", "days"], ["report", "found"], ["export", "found"]]
)
def test_empty_names_are_refused(here, command, capsys):
    before = sorted(Path().iterdir())
    with pytest.raises(SystemExit) as end:
        main([*command, "--out", ""])
    assert end.value.code == 2
    assert "argument --out: the name is empty" in capsys.readouterr().err
    assert sorted(Path().iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pipe of a shell")
def test_a_closed_pipe_is_no_error(here):
    command = f"'{sys.executable}' -m skcry card '{here['cry.skcry']}' | head -c 1 > /dev/null"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_version_and_defaults(capsys):
    for command, shown in [
        (["--version"], f"skcry {skcry.__version__}\n"),
        (["train", "--help"], "(default: detector.skcry)"),
        (["detect", "--help"], "(default: results)"),
        (["report", "--help"], "(default: recording)"),
        (["export", "--help"], "(default: audacity)"),
    ]:
        with pytest.raises(SystemExit) as end:
            main(command)
        assert end.value.code == 0
        assert shown in capsys.readouterr().out


def test_messages_name_options_and_are_one_line(here, data, capsys):
    assert main(["detect", here["cry.skcry"], here["days"], "--out", "results"]) == 0
    other = make_quick_detector(min_duration=1).fit(*data[:2])
    joblib.dump(other, "other.joblib")
    assert main(["detect", "other.joblib", here["days"]]) == 2
    err = capsys.readouterr().err
    assert "or pass --overwrite to compute everything again" in err
    assert "overwrite=True" not in err
    Path("stereo").mkdir()
    soundfile.write("stereo/a.wav", np.stack([0 * data[0][0], data[0][0]], axis=1), 16000)
    assert main(["detect", "other.joblib", "stereo", "--out", "two"]) == 0
    assert re.fullmatch(r"Warning: .* Pass --channel 1\.\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pass overwrite=True to go on", "pass --overwrite to go on"),
        ("try n_jobs=1.", "try --jobs 1."),
        ("check positive=('cry', 'fuss').", "check --positive cry fuss."),
        ("naming positive=(...) it", "naming --positive ... it"),
        ("Name it with label=.", "Name it with --label."),
        ("or label='cry', or", "or --label cry, or"),
        ('on_error="warn"', "--on-error warn"),
        ("pass trusted=['a.B', 'c'].", "pass --trusted a.B c."),
        ("channel=None mixes", "channel=None mixes"),
        ("max_false_alarms=2 per hour", "max_false_alarms=2 per hour"),
    ],
)
def test_parameters_become_options(text, said):
    assert in_terms(text) == said


def test_several_classes(here, data, capsys):
    y = [table.assign(label=["cry", "fuss"][i % 2]) for i, table in enumerate(data[1])]
    Path("days").mkdir()
    write_annotated(Path("days"), data[0], y)
    several = make_quick_detector(positive=None).fit(data[0], y, groups=data[2])
    skcry.save(several, "several.skcry")
    assert main(["detect", "several.skcry", "days"]) == 0
    assert "Events of all classes: " in capsys.readouterr().out
    for command in (["report", "results"], ["evaluate", "several.skcry", "days"]):
        assert main(command) == 2
        assert re.search(r"several classes.* 'background', 'cry', 'fuss'. Choose .* --label", capsys.readouterr().err)
        assert main([*command, "--label", "fuss", "--out", "table.csv"]) == 0
    scores = pd.read_csv("table.csv", index_col="score")["value"]
    assert scores["seconds: average precision"] > 0.5
    assert (read_timelines("results")["label"] == "fuss").any()
    assert scores["events: recall"] > 0


def test_start_times_of_a_report(here, data, capsys):
    Path("days").mkdir()
    soundfile.write("days/20240501_085945.wav", data[0][0], 16000)
    assert main(["detect", here["cry.skcry"], "days"]) == 0
    for start in ("name", "%Y%m%d_%H%M%S"):
        assert main(["report", "results", "--by", "hour", "--start", start, "--out", "hours.csv"]) == 0
        assert pd.read_csv("hours.csv")["hour"].tolist() == ["2024-05-01 08:00:00", "2024-05-01 09:00:00"]
    assert main(["report", "results", "--by", "hour", "--start", "nowhere.csv"]) == 2


def test_interrupted(here, monkeypatch, capsys):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(skcry.CryDetector, "fit", interrupt)
    assert main(["train", here["days"]]) == 130
    assert capsys.readouterr().err.endswith("Interrupted.\n")
    monkeypatch.setattr(skcry.CryDetector, "iter_detections", interrupt)
    assert main(["detect", here["cry.skcry"], here["days"]]) == 130
    assert "the same command goes on with the rest" in capsys.readouterr().err


def test_export_model(here, capsys, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install 'skcry[onnx]'")
    assert main(["export-model"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "Written to detector.onnx, 1.8 MB, float32\n"
    assert captured.err.startswith("The detector is the one that comes with skcry")
    assert onnxruntime.InferenceSession("detector.onnx").get_inputs()[0].name == "sound"
    assert main(["export-model"]) == 2
    assert capsys.readouterr().err == "Error: detector.onnx exists. Give another name, or pass --overwrite.\n"
    assert main(["export-model", here["cry.skcry"], "--out", "other.onnx"]) == 2
    assert "StatFeatures" in capsys.readouterr().err
    assert main(["export-model", "--overwrite", "--dtype", "int8"]) == 0
    assert "1.0 MB, int8" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export-model", "--out", "other.onnx"]) == 2
    assert "pip install 'skcry[onnx]'" in capsys.readouterr().err
    assert not Path("other.onnx").exists()
