import errno
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcry import CryDetector, StatFeatures, Windower, detect_files, read_timelines, summarize
from skcry.__main__ import main
from skcry.datasets import make_cry_recordings
from skcry.files import detect as batch_module
from skcry.files.detect import report
from skcry.io import read_annotations

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data():
    return make_cry_recordings(4, duration=30, random_state=0)


@pytest.fixture(scope="module")
def detector(data):
    recordings, annotations, infants = data
    pipeline = make_pipeline(StatFeatures("mfcc", deltas=False), LogisticRegression(max_iter=2000))
    return CryDetector(pipeline, threshold=0.5).fit(recordings, annotations, groups=infants)


@pytest.fixture
def days(tmp_path, data):
    """A folder of four recordings, in two folders."""
    folder = tmp_path / "days"
    (folder / "zweites Kind ä").mkdir(parents=True)
    names = ["a.wav", "b with space.flac", "zweites Kind ä/a.wav", "zweites Kind ä/ü.ogg"]
    for name, y in zip(names, data[0], strict=True):
        soundfile.write(folder / name, y, 16000)
    return folder


def test_results_are_those_of_the_detector(detector, days, tmp_path):
    out = tmp_path / "results"
    manifest = detect_files(detector, days, out)
    paths = [days / name for name in manifest["file"]]
    assert manifest["file"].tolist() == ["a.wav", "b with space.flac", "zweites Kind ä/a.wav", "zweites Kind ä/ü.ogg"]
    assert manifest["status"].tolist() == ["ok"] * 4
    assert manifest["duration"].tolist() == pytest.approx([30] * 4)
    expected = detector.timeline(paths)
    found = read_timelines(out)
    assert found.index.unique("recording").tolist() == manifest["file"].tolist()
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5)
    np.testing.assert_array_equal(found[["cry", "usable"]], expected[["cry", "usable"]])
    events = detector.detect(paths)
    for number, row in enumerate(manifest.itertuples()):
        written = read_annotations(out / f"{row.file}.events.csv")
        mine = events[events["recording"] == number]
        np.testing.assert_allclose(written[["onset", "offset"]], mine[["onset", "offset"]])
        assert row.n_bouts == len(mine)
        assert row.cry_duration == pytest.approx((mine["offset"] - mine["onset"]).sum())
    pd.testing.assert_frame_equal(batch_module.read_manifest(out), manifest)
    assert manifest["n_bouts"].sum() > 0


def test_workers_give_the_same(detector, days, tmp_path):
    here = detect_files(detector, days, tmp_path / "here")
    there = detect_files(detector, days, tmp_path / "there", n_jobs=2)
    pd.testing.assert_frame_equal(here, there)
    pd.testing.assert_frame_equal(read_timelines(tmp_path / "here"), read_timelines(tmp_path / "there"))


def test_goes_on_where_it_stopped(detector, days, tmp_path, monkeypatch):
    out, calls = tmp_path / "results", []
    original = batch_module._detect_one

    def dies_at_the_third(detector, path, name, *rest):
        calls.append(name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(detector, path, name, *rest)

    monkeypatch.setattr(batch_module, "_detect_one", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        detect_files(detector, days, out)
    assert len(batch_module.read_manifest(out)) == 2
    assert not list(out.rglob("*.tmp*"))
    manifest = detect_files(detector, days, out)
    assert len(manifest) == 4
    assert calls == ["a.wav", "b with space.flac", *["zweites Kind ä/a.wav"] * 2, "zweites Kind ä/ü.ogg"]
    detect_files(detector, days, out)
    assert len(calls) == 5
    # What has changed or lost its results is done again, and so is what could not be read.
    soundfile.write(days / "a.wav", np.zeros(16000 * 10), 16000)
    (out / "b with space.flac.events.csv").unlink()
    with pytest.warns(UserWarning, match=r"a\.wav holds digital silence only"):
        again = detect_files(detector, days, out)
    assert calls[5:] == ["a.wav", "b with space.flac"]
    assert again["status"].tolist() == ["warning", "ok", "ok", "ok"]
    assert again["usable"].tolist() == pytest.approx([0, *manifest["usable"].tolist()[1:]])
    detect_files(detector, [days / "a.wav"], out)
    assert len(batch_module.read_manifest(out)) == 4
    assert len(calls) == 7
    detect_files(detector, days, out, overwrite=True)
    assert len(calls) == 11


def test_a_killed_process_loses_nothing(detector, data, tmp_path):
    (tmp_path / "days").mkdir()
    for number in range(40):
        soundfile.write(tmp_path / "days" / f"{number:02d}.wav", data[0][number % 4], 16000)
    joblib.dump(detector, tmp_path / "detector.joblib")
    command = [sys.executable, "-m", "skcry", "detect", "detector.joblib", "days"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    manifest = tmp_path / "results" / "manifest.csv"
    while not manifest.exists() or len(pd.read_csv(manifest)) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    finished = batch_module.read_manifest(tmp_path / "results")
    assert 3 <= len(finished) <= 40
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").glob("*.csv")}
    (tmp_path / "results" / ".05.wav.events.csv.12345678.tmp").write_text("half a tab")
    again = detect_files(detector, tmp_path / "days", tmp_path / "results")
    assert again["status"].tolist() == ["ok"] * 40
    for name in finished["file"]:
        for path in batch_module.result_paths(tmp_path / "results", name):
            assert path.stat().st_mtime_ns == written[path]
    assert len(list((tmp_path / "results").iterdir())) == 82
    detect_files(detector, tmp_path / "days", tmp_path / "whole")
    pd.testing.assert_frame_equal(read_timelines(tmp_path / "results"), read_timelines(tmp_path / "whole"))


def test_other_detectors_do_not_mix(detector, data, days, tmp_path):
    out = tmp_path / "results"
    detect_files(detector, days, out)
    joblib.dump(detector, tmp_path / "detector.joblib")
    detect_files(joblib.load(tmp_path / "detector.joblib"), days, out)
    other = joblib.load(tmp_path / "detector.joblib")
    other.threshold_ = 0.7
    for wrong in (other, CryDetector(detector.estimator, threshold=0.5).fit(data[0][:3], data[1][:3])):
        with pytest.raises(ValueError, match=r"holds results of another detector"):
            detect_files(wrong, days, out)
    assert len(detect_files(other, days, out, overwrite=True)) == 4


def break_days(folder, data, sr=16000):
    """Add one recording of every kind of trouble; return what its row of the manifest should say."""
    y = data[0][0]
    wav = (folder / "a.wav").read_bytes()
    (folder / "lies.wav").write_bytes(wav[:40] + (10**9).to_bytes(4, "little") + wav[44:])
    (folder / "too little.wav").write_bytes(wav[:40] + (32000).to_bytes(4, "little") + wav[44:])
    (folder / "1 Hz.wav").write_bytes(wav[:24] + (1).to_bytes(4, "little") + wav[28:])
    (folder / "cut.wav").write_bytes(wav[: len(wav) // 2 + 1])
    flac = (folder / "b with space.flac").read_bytes()
    (folder / "cut.flac").write_bytes(flac[: 2 * len(flac) // 3])
    (folder / "header only.wav").write_bytes(wav[:44])
    (folder / "empty.wav").touch()
    soundfile.write(folder / "zeros.wav", np.zeros(sr * 8), sr)
    soundfile.write(folder / "clipped.wav", np.clip(20 * y, -1, 1), sr)
    soundfile.write(folder / "dead channel.wav", np.stack([0 * y, y], axis=1), sr)
    soundfile.write(folder / "4k.wav", y[::4], 4000)
    soundfile.write(folder / "192k.wav", np.repeat(y[: 8 * sr], 12), 192000)
    (folder / "folder.wav").mkdir()
    (folder / "text.wav").write_text("This is no sound.")
    (folder / "phone.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    soundfile.write(folder / "a.flac", y, sr)
    return {
        "lies.wav": ("warning", "breaks off: its header announces 31250.0 s, but only 30.0 s"),
        "too little.wav": ("warning", "announces sound in 32000 of them only (1.0 s)"),
        "1 Hz.wav": ("error", "sampled at 1 Hz, but 1000 to"),
        "cut.wav": ("warning", "breaks off: its header announces 30.0 s, but only 15.0 s"),
        "cut.flac": ("warning", "breaks off: its header announces 30.0 s"),
        "header only.wav": ("error", "0 bytes of audio"),
        "empty.wav": ("error", "0 bytes"),
        "zeros.wav": ("warning", "digital silence only"),
        "clipped.wav": ("warning", "is clipped"),
        "dead channel.wav": ("warning", "channel 0 of 2 is silent throughout"),
        "4k.wav": ("warning", "sampled at 4000 Hz"),
        "192k.wav": ("ok", ""),
        "folder.wav": ("error", "is a folder"),
        "text.wav": ("error", "cannot be read as audio"),
        "phone.m4a": ("error", "cannot be read as audio"),
        "a.flac": ("ok", ""),
    }


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_trouble_stays_where_it_is(detector, data, days, tmp_path, n_jobs):
    good = detect_files(detector, days, tmp_path / "good").set_index("file")
    expected = break_days(days, data)
    with pytest.warns(UserWarning, match="breaks off") as caught:
        manifest = detect_files(detector, days, tmp_path / "all", n_jobs=n_jobs).set_index("file")
    assert set(manifest.index) == set(expected) | set(good.index)
    for name, (status, message) in expected.items():
        assert manifest.loc[name, "status"] == status, name
        assert message in manifest.loc[name, "message"], name
        if message:
            assert any(message in str(one.message) and name.split("/")[-1] in str(one.message) for one in caught), name
    pd.testing.assert_frame_equal(manifest.loc[good.index], good)
    assert any("a.flac and a.wav differ in their endings only" in str(one.message) for one in caught)
    seconds = read_timelines(tmp_path / "all", ["cut.wav", "192k.wav"])
    assert seconds.groupby("recording").size().to_dict() == {"cut.wav": 15, "192k.wav": 8}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(OSError, match=r"empty\.wav is empty"):
            detect_files(detector, [days / "a.wav", days / "empty.wav"], tmp_path / "stop", on_error="raise")
    assert batch_module.read_manifest(tmp_path / "stop")["file"].tolist() == ["a.wav"]


def test_a_file_that_vanishes_and_one_that_appears(detector, days, tmp_path, monkeypatch):
    original = batch_module.list_recordings

    def vanish(*args):
        found = original(*args)
        (days / "b with space.flac").unlink()
        return found

    monkeypatch.setattr(batch_module, "list_recordings", vanish)
    with pytest.warns(UserWarning, match=r"b with space\.flac is left out: .*no such file"):
        manifest = detect_files(detector, days, tmp_path / "results")
    assert manifest["status"].tolist() == ["ok", "error", "ok", "ok"]


def test_full_disk_keeps_what_is_finished(detector, days, tmp_path, monkeypatch):
    out, original = tmp_path / "results", pd.DataFrame.to_csv

    def full(table, path, **options):
        if "zweites" in str(path):
            original(table.iloc[:3], path, **options)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(table, path, **options)

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match=r"cannot be written to .*results \(No space left.*start again") as caught:
        detect_files(detector, days, out)
    assert caught.value.errno == errno.ENOSPC
    assert batch_module.read_manifest(out)["file"].tolist() == ["a.wav", "b with space.flac"]
    assert list((out / "zweites Kind ä").iterdir()) == []
    monkeypatch.undo()
    assert detect_files(detector, days, out)["status"].tolist() == ["ok"] * 4


def test_overwriting_begins_anew_even_when_it_is_killed(detector, days, tmp_path, monkeypatch):
    out = tmp_path / "results"
    detect_files(detector, days, out)
    joblib.dump(detector, tmp_path / "detector.joblib")
    other = joblib.load(tmp_path / "detector.joblib").set_params(min_duration=100)

    def dies(*args):
        raise KeyboardInterrupt

    original = batch_module._detect_one
    monkeypatch.setattr(batch_module, "_detect_one", dies)
    with pytest.raises(KeyboardInterrupt):
        detect_files(other, days, out, overwrite=True)
    monkeypatch.setattr(batch_module, "_detect_one", original)
    again = detect_files(other, days, out)
    pd.testing.assert_frame_equal(again, detect_files(other, days, tmp_path / "fresh"))
    assert again["n_bouts"].sum() == 0


def test_a_recording_keeps_its_name_and_its_place(detector, days, tmp_path):
    out, inner = tmp_path / "results", days / "zweites Kind ä" / "a.wav"
    detect_files(detector, [inner, days / "a.wav"], out)
    assert detect_files(detector, [inner], out)["file"].tolist() == ["zweites Kind ä/a.wav"]
    assert len(batch_module.read_manifest(out)) == 2
    assert "zweites Kind ä/a.wav" in detect_files(detector, inner.parent, out)["file"].tolist()
    (tmp_path / "other").mkdir()
    soundfile.write(tmp_path / "other" / "a.wav", np.zeros(16000 * 9), 16000)
    with pytest.raises(ValueError, match=r"holds results of another 'a\.wav'"):
        detect_files(detector, tmp_path / "other", out)
    (days / "001.wav").write_bytes((days / "a.wav").read_bytes())
    (days / "001.wav").rename(days / "001")
    assert detect_files(detector, [days / "001"], tmp_path / "digits")["file"].tolist() == ["001"]
    assert read_timelines(tmp_path / "digits").index.unique("recording").tolist() == ["001"]


def test_odd_names_stay_a_matter_of_one_file(detector, days, tmp_path):
    sound = (days / "a.wav").read_bytes()
    (days / "x\ry\n.wav").write_bytes(sound)
    (days / f"{'l' * 250}.wav").write_bytes(sound)
    (days / "loop.wav").symlink_to(days / "loop.wav")
    Path(os.fsdecode(os.fsencode(days) + b"/b\xff.wav")).write_bytes(sound)
    (tmp_path / "results" / "a.wav.timeline.csv").mkdir(parents=True)
    (tmp_path / "results" / ".precious.tmp").touch()
    for _ in range(2):
        with pytest.warns(UserWarning, match="left out"):
            manifest = detect_files(detector, days, tmp_path / "results").set_index("file")
        assert manifest.loc["x\ry\n.wav", "status"] == "ok"
        assert manifest.loc["loop.wav", "status"] == "error"
        assert "results cannot be written" in manifest.loc["a.wav", "message"]
        assert manifest.loc[f"{'l' * 250}.wav", "status"] == "error"
        assert (manifest["status"] == "ok").sum() >= 4
    assert "x\ry\n.wav" in read_timelines(tmp_path / "results").index.unique("recording")
    assert (tmp_path / "results" / ".precious.tmp").exists()


def test_a_broken_manifest_is_named(detector, days, tmp_path):
    out = tmp_path / "results"
    detect_files(detector, days, out)
    whole = (out / "manifest.csv").read_text()
    for broken in ("", whole[: len(whole) // 2], "a,b\n1,2\n"):
        (out / "manifest.csv").write_text(broken)
        with pytest.raises(ValueError, match=r"manifest\.csv cannot be read .* delete it"):
            detect_files(detector, days, out)
    with pytest.raises(NotFittedError):
        detect_files(CryDetector(), days, tmp_path / "other")


def test_what_is_listed(days, tmp_path):
    out = days / "results"
    out.mkdir()
    soundfile.write(out / "excerpt.wav", np.zeros(100), 16000)
    (days / ".hidden").mkdir()
    soundfile.write(days / ".hidden" / "x.wav", np.zeros(100), 16000)
    paths, names = batch_module.list_recordings(days, out)
    assert len(paths) == 4
    assert all(path == days / name for path, name in zip(paths, names, strict=True))
    assert batch_module.list_recordings(days / "a.wav")[1] == ["a.wav"]
    same = [days / "a.wav", days / "zweites Kind ä" / "a.wav"]
    assert batch_module.list_recordings(same)[1] == ["a.wav", "zweites Kind ä/a.wav"]
    for wrong, error, message in [
        (days / "nowhere", FileNotFoundError, "no such file or folder"),
        (tmp_path / "days" / "zweites Kind ä" / "..", None, ""),
        ([], ValueError, "recordings is empty"),
        ([same[0], same[0]], ValueError, "listed twice"),
    ]:
        if error is not None:
            with pytest.raises(error, match=message):
                batch_module.list_recordings(wrong)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="holds no recording"):
        batch_module.list_recordings(tmp_path / "nothing")


def test_results_never_leave_their_folder(detector, days, tmp_path):
    out = tmp_path / "results"
    (days / "zweites Kind ä" / "deep").mkdir()
    manifest = detect_files(detector, [days / "zweites Kind ä" / "deep" / ".." / "a.wav", days / "a.wav"], out)
    assert all(path.resolve().is_relative_to(out) for path in out.rglob("*"))
    assert manifest["file"].tolist() == ["zweites Kind ä/a.wav", "a.wav"]


def test_bad_arguments(detector, days, tmp_path):
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        detect_files(detector, days, days / "a.wav")
    with pytest.raises(FileNotFoundError, match=r"manifest\.csv"):
        read_timelines(tmp_path)
    detect_files(detector, days / "a.wav", tmp_path / "one")
    with pytest.raises(ValueError, match=r"no results of 'b\.wav'"):
        read_timelines(tmp_path / "one", ["b.wav"])


def test_progress_is_silent_unless_wanted(detector, days, tmp_path, capfd):
    detect_files(detector, days, tmp_path / "1")
    assert capfd.readouterr() == ("", "")
    detect_files(detector, days, tmp_path / "2", progress=True)
    assert "Detecting" in capfd.readouterr().err


def test_report(detector, days, tmp_path):
    out = tmp_path / "results"
    manifest = detect_files(detector, days, out)
    whole = report(out)
    pd.testing.assert_frame_equal(whole, summarize(read_timelines(out)), check_index_type=False)
    assert whole["n_bouts"].tolist() == manifest["n_bouts"].tolist()
    start = tmp_path / "start.csv"
    start.write_text("file,start\n" + "".join(f"{file},2024-05-01 23:59:45\n" for file in manifest["file"]))
    hours = report(out, by="hour", start=start)
    assert len(hours) == 8
    assert hours.index.get_level_values("hour").unique().tolist() == [
        pd.Timestamp("2024-05-01 23:00"),
        pd.Timestamp("2024-05-02 00:00"),
    ]
    start.write_text("file,start\na.wav,2024-05-01 23:59:45\n")
    with pytest.raises(ValueError, match=r"no time for recording 'b with space\.flac'"):
        report(out, by="hour", start=start)
    zones = dict.fromkeys(manifest["file"], "2024-01-01 10:00+01:00") | {"a.wav": "2024-07-01 10:00+02:00"}
    with pytest.raises(ValueError, match="different zones"):
        report(out, by="hour", start=zones)
    assert len(report(out, start={})) == 4


@pytest.mark.parametrize("suffix", ["skcry", "joblib"])
def test_command_line(data, tmp_path, monkeypatch, capsys, suffix):
    model = f"model/detector.{suffix}"
    import functools

    from skcry import pipeline

    small = functools.partial(pipeline.FrameCNNClassifier, max_epochs=1, min_steps=1, width=0.25)
    monkeypatch.setattr(pipeline, "FrameCNNClassifier", small)
    monkeypatch.chdir(tmp_path)
    for number, (y, table) in enumerate(zip(data[0], data[1], strict=True)):
        Path("days").mkdir(exist_ok=True)
        soundfile.write(f"days/{number}.wav", y, 16000)
        table.to_csv(f"days/{number}.csv", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(["train", "days", "--out", model, "--seed", "1"]) == 0
    assert "4 recordings in 4 groups" in capsys.readouterr().out
    assert main(["train", "days", "--out", model]) == 2
    assert "exists" in capsys.readouterr().err
    Path("days/broken.wav").write_text("no")
    assert main(["detect", model, "days", "--out", "results"]) == 1
    captured = capsys.readouterr()
    assert "5 recordings" in captured.out
    assert "1 unreadable" in captured.out
    assert captured.err.startswith("Warning: broken.wav is left out")
    assert main(["report", "results"]) == 0
    assert "3.wav" in capsys.readouterr().out
    assert main(["report", "results", "--by", "hour", "--out", "hours.csv"]) == 0
    assert len(pd.read_csv("hours.csv")) == 4
    assert main(["detect", "nothing.joblib", "days"]) == 2
    assert "no such file. Train a detector first" in capsys.readouterr().err
    joblib.dump({}, "other.joblib")
    assert main(["detect", "other.joblib", "days"]) == 2
    assert main(["detect", "days/0.csv", "days"]) == 2
    assert "cannot be opened as a detector" in capsys.readouterr().err
    assert main(["report", "days"]) == 2


def test_module_runs():
    shown = subprocess.run([sys.executable, "-m", "skcry", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert shown.returncode == 0
    assert "{train,detect,report}" in shown.stdout
    assert Windower  # the package itself stays importable beside its command line
