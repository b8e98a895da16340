import copy
import errno
import os
import shutil
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
from helpers import make_quick_detector
from sklearn.exceptions import NotFittedError

from skcry import CryDetector, detect_files, read_timelines, summarize
from skcry.files import detect, manifest, read_manifest, report
from skcry.files.manifest import LOCK, ManifestWriter, result_paths
from skcry.files.recordings import list_recordings
from skcry.io import read_annotations

ROOT = Path(__file__).parents[2]
NAMES = ["a.wav", "b with space.flac", "zweites Kind ä/a.wav", "zweites Kind ä/ü.ogg"]


def test_results_are_those_of_the_detector(detector, originals, results):
    manifest = read_manifest(results)
    assert manifest["file"].tolist() == ["a.wav", "b with space.flac", "zweites Kind ä/a.wav", "zweites Kind ä/ü.ogg"]
    assert manifest["status"].tolist() == ["ok"] * 4
    assert manifest["duration"].tolist() == pytest.approx([30] * 4)
    paths = [originals / name for name in manifest["file"]]
    expected = detector.timeline(paths)
    found = read_timelines(results)
    assert found.index.unique("recording").tolist() == manifest["file"].tolist()
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5)
    np.testing.assert_array_equal(found[["cry", "usable"]], expected[["cry", "usable"]])
    events = detector.detect(paths)
    for row in manifest.itertuples():
        written = read_annotations(results / f"{row.file}.events.csv")
        mine = events[events["recording"] == row.file]
        np.testing.assert_allclose(written[["onset", "offset"]], mine[["onset", "offset"]])
        assert row.n_bouts == len(mine)
        assert row.cry_duration == pytest.approx((mine["offset"] - mine["onset"]).sum())
    assert manifest["n_bouts"].sum() > 0


def test_goes_on_where_it_stopped(detector, days, tmp_path, monkeypatch):
    out, calls = tmp_path / "results", []
    original = detect._detect_one

    def dies_at_the_third(detector, path, *rest):
        calls.append(path.relative_to(days).as_posix())
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(detector, path, *rest)

    monkeypatch.setattr(detect, "_detect_one", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        detect_files(detector, days, out)
    assert len(read_manifest(out)) == 2
    assert not list(out.rglob("*.tmp*"))
    manifest = detect_files(detector, days, out)
    assert len(manifest) == 4
    assert calls == ["a.wav", "b with space.flac", *["zweites Kind ä/a.wav"] * 2, "zweites Kind ä/ü.ogg"]
    (out / ".a.wav.events.csv.12345678.tmp").write_text("half a tab")  # as after a kill
    detect_files(detector, days, out)
    assert len(calls) == 5
    assert not list(out.rglob("*.tmp*"))
    # Recordings that have changed or lost their results are done again.
    soundfile.write(days / "a.wav", np.zeros(16000 * 10), 16000)
    (out / "b with space.flac.events.csv").unlink()
    with pytest.warns(UserWarning, match=r"a\.wav holds digital silence only"):
        again = detect_files(detector, days, out)
    assert calls[5:] == ["a.wav", "b with space.flac"]
    pd.testing.assert_frame_equal(read_manifest(out), again)
    assert again["status"].tolist() == ["warning", "ok", "ok", "ok"]
    assert again["usable"].tolist() == pytest.approx([0, *manifest["usable"].tolist()[1:]])
    detect_files(detector, [days / "a.wav"], out)
    assert len(read_manifest(out)) == 4
    assert len(calls) == 7
    detect_files(detector, days, out, overwrite=True)
    assert len(calls) == 11


@pytest.mark.slow
def test_a_killed_process_loses_nothing(detector, data, tmp_path):
    days, out, n_files = tmp_path / "days", tmp_path / "results", 16
    days.mkdir()
    for number in range(n_files):
        soundfile.write(days / f"{number:02d}.wav", data[0][number % 4], 16000)
    joblib.dump(detector, tmp_path / "detector.joblib")
    command = [sys.executable, "-m", "skcry", "detect", "detector.joblib", "days"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    while not (out / "manifest.csv").exists() or len(pd.read_csv(out / "manifest.csv")) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    finished = read_manifest(out)["file"]
    written = {path: path.stat().st_mtime_ns for path in out.glob("*.csv")}
    again = detect_files(detector, days, out)
    assert again["status"].tolist() == ["ok"] * n_files
    assert all(path.stat().st_mtime_ns == written[path] for name in finished for path in result_paths(out, name))
    assert len(list(out.iterdir())) == 2 * n_files + 2
    detect_files(detector, days, tmp_path / "whole")
    pd.testing.assert_frame_equal(read_timelines(out), read_timelines(tmp_path / "whole"))


@pytest.mark.parametrize("tail", ["", '"zweites', '"zweites Kind ä/ü\n.ogg","ok",3', '"b with space.flac","error"'])
def test_rows_that_a_killed_process_appended(detector, days, results, tmp_path, tail):
    """The last row may break off, and a recording that was done twice has two rows."""
    out = shutil.copytree(results, tmp_path / "results")
    whole = (out / "manifest.csv").read_text()
    header, *rows = whole.splitlines(keepends=True)
    older = rows[0].replace('"ok"', '"warning"')
    (out / "manifest.csv").write_text("".join([header, older, *rows[:3], tail]))
    shutil.copytree(days, tmp_path / "other")
    (out / LOCK).touch()
    found = read_manifest(out)
    assert found["file"].tolist() == NAMES[:3]
    assert found["status"].tolist() == ["ok"] * 3
    assert len(report(out)) == 3
    detect_files(detector, tmp_path / "other", out)
    assert read_manifest(out)["file"].tolist() == NAMES
    assert (out / "manifest.csv").read_text().count("\n") == 5
    assert not (out / LOCK).exists()


def test_only_one_process_writes(detector, days, tmp_path):
    out = tmp_path / "results"
    with ManifestWriter(out), pytest.raises(OSError, match=r"Another process is writing to .*results\. Wait"):
        detect_files(detector, days, out)
    assert sorted(out.iterdir()) == []
    assert len(detect_files(detector, days, out)) == 4


def test_the_manifest_is_not_written_anew_for_each_recording(detector, days, tmp_path, monkeypatch):
    written, original = [], manifest.write_csv
    monkeypatch.setattr(manifest, "write_csv", lambda table, path: written.append(len(table)) or original(table, path))
    detect_files(detector, days, tmp_path / "results")
    assert written == [1, 4]
    detect_files(detector, days, tmp_path / "results")
    assert written == [1, 4]


def test_faults_of_one_kind_are_one_warning(detector, data, days, tmp_path):
    for number in range(5):
        soundfile.write(days / f"{number}.wav", np.zeros(16000 * (8 + number)), 16000)
    (days / "broken.wav").write_text("no sound")
    with pytest.warns(UserWarning, match="same fault") as caught:
        detect_files(detector, days, tmp_path / "results")
    texts = sorted(str(one.message) for one in caught)
    assert len(texts) == 2
    assert texts[0].startswith("5 recordings have the same fault (see manifest.csv): 0.wav holds digital silence only")
    assert texts[0].endswith("And 2 more.")
    assert texts[1].startswith("broken.wav is left out")


def test_several_classes(data, days, tmp_path):
    recordings, annotations, infants = data
    y = [table.assign(label=["cry", "fuss"][i % 2]) for i, table in enumerate(annotations)]
    several = make_quick_detector(positive=None).fit(recordings, y, groups=infants)
    detect_files(several, days, tmp_path / "results")
    found = read_timelines(tmp_path / "results")
    expected = several.timeline([days / name for name in NAMES])
    assert found.columns.tolist() == ["background", "cry", "fuss", "label", "usable"]
    np.testing.assert_allclose(found.iloc[:, :3], expected.iloc[:, :3], rtol=1e-5)
    assert found["label"].tolist() == expected["label"].tolist()
    events = several.detect([days / name for name in NAMES])
    for label in ("cry", "fuss"):
        table = report(tmp_path / "results", label=label)
        assert table["n_bouts"].sum() == (events["label"] == label).sum() > 0
        pd.testing.assert_frame_equal(table, summarize(found, label=label), check_index_type=False)
    with pytest.raises(ValueError, match="several classes, 'background', 'cry', 'fuss'. Choose"):
        report(tmp_path / "results")


def test_classes_that_are_numbers_stay_numbers(data, days, tmp_path):
    several = make_quick_detector(positive=None).fit(data[0], [0, 1, 2, 1])
    detect_files(several, days, tmp_path / "results")
    found = read_timelines(tmp_path / "results")
    assert found["label"].tolist() == several.timeline([days / name for name in NAMES])["label"].tolist()
    assert report(tmp_path / "results", label="1")["hours"].sum() == pytest.approx(120 / 3600)


def test_classes_with_names_of_columns_are_refused_before_any_work(data, days, tmp_path):
    y = [table.assign(label=["cry", "label"][i % 2]) for i, table in enumerate(data[1])]
    several = make_quick_detector(positive=None).fit(data[0], y)
    with pytest.raises(ValueError, match="class 'label' has the name of another column"):
        detect_files(several, days, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_rules_are_those_of_the_detector_everywhere(detector, data, days, tmp_path):
    strict = copy.deepcopy(detector).set_params(merge_gap=0, min_duration=0)
    found = detect_files(strict, days, tmp_path / "results")
    default = detect_files(detector, days, tmp_path / "default")
    assert found["n_bouts"].tolist() != default["n_bouts"].tolist()
    for table in (report(tmp_path / "results"), summarize(read_timelines(tmp_path / "results"))):
        assert table["n_bouts"].tolist() == found["n_bouts"].tolist()
    for content in ("{", '{"merge_gap": 0, "min_duration": -1}', '{"merge_gap": "0", "min_duration": 0}'):
        (tmp_path / "results" / "detector.json").write_text(content)
        for read in (report, read_timelines):
            with pytest.warns(UserWarning, match=r"detector\.json does not tell merge_gap and min_duration"):
                read(tmp_path / "results")


def test_other_detectors_do_not_mix(detector, data, days, tmp_path):
    out = tmp_path / "results"
    detect_files(detector, days, out)
    other = copy.deepcopy(detector)
    detect_files(other, days, out)
    other.threshold_ = 0.7
    for wrong in (other, CryDetector(detector.estimator, threshold=0.5).fit(data[0][:3], data[1][:3])):
        with pytest.raises(ValueError, match=r"holds results of another detector"):
            detect_files(wrong, days, out)
    assert len(detect_files(other, days, out, overwrite=True)) == 4


def add_faulty_recordings(folder, data, sr=16000):
    """Add a recording with each kind of fault; return status and message that the manifest should have."""
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
        "too little.wav": ("ok", ""),  # is read to its end
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
def test_faulty_recordings_do_not_affect_others(detector, data, days, tmp_path, n_jobs):
    good = detect_files(detector, days, tmp_path / "good").set_index("file")
    expected = add_faulty_recordings(days, data)
    with pytest.warns(UserWarning, match="breaks off") as caught:
        manifest = detect_files(detector, days, tmp_path / "all", n_jobs=n_jobs).set_index("file")
    assert set(manifest.index) == set(expected) | set(good.index)
    for name, (status, message) in expected.items():
        assert manifest.loc[name, "status"] == status, name
        assert message in manifest.loc[name, "message"], name
        if message:
            assert any(message in str(one.message) and name.split("/")[-1] in str(one.message) for one in caught), name
    pd.testing.assert_frame_equal(manifest.loc[good.index], good)
    assert any("a.flac and a.wav differ only in their extension" in str(one.message) for one in caught)
    seconds = read_timelines(tmp_path / "all", ["cut.wav", "192k.wav"])
    assert seconds.groupby("recording").size().to_dict() == {"cut.wav": 15, "192k.wav": 8}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(OSError, match=r"empty\.wav is empty"):
            detect_files(detector, [days / "a.wav", days / "empty.wav"], tmp_path / "stop", on_error="raise")
    assert read_manifest(tmp_path / "stop")["file"].tolist() == ["a.wav"]


def test_a_file_that_vanishes(detector, days, tmp_path, monkeypatch):
    original = detect.list_recordings

    def vanish(*args):
        found = original(*args)
        (days / "b with space.flac").unlink()
        return found

    monkeypatch.setattr(detect, "list_recordings", vanish)
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
    assert read_manifest(out)["file"].tolist() == ["a.wav", "b with space.flac"]
    assert list((out / "zweites Kind ä").iterdir()) == []
    monkeypatch.undo()
    assert detect_files(detector, days, out)["status"].tolist() == ["ok"] * 4


def test_a_killed_overwrite_leaves_no_old_results(detector, days, tmp_path, monkeypatch):
    out = tmp_path / "results"
    detect_files(detector, days, out)
    other = copy.deepcopy(detector).set_params(min_duration=100)

    def dies(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(detect, "_detect_one", dies)
        with pytest.raises(KeyboardInterrupt):
            detect_files(other, days, out, overwrite=True)
    again = detect_files(other, days, out)
    pd.testing.assert_frame_equal(again, detect_files(other, days, tmp_path / "fresh"))
    assert again["n_bouts"].sum() == 0


def test_a_recording_keeps_its_name_and_its_place(detector, days, tmp_path):
    out, inner = tmp_path / "results", days / "zweites Kind ä" / "a.wav"
    detect_files(detector, [inner, days / "a.wav"], out)
    assert detect_files(detector, [inner], out)["file"].tolist() == ["zweites Kind ä/a.wav"]
    assert len(read_manifest(out)) == 2
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


@pytest.mark.parametrize("kept", [lambda whole: "", lambda whole: whole[: len(whole) // 2], lambda whole: "a,b\n1,2\n"])
def test_a_broken_manifest_is_named(detector, originals, results, tmp_path, kept):
    out = shutil.copytree(results, tmp_path / "results")
    (out / "manifest.csv").write_text(kept((out / "manifest.csv").read_text()))
    with pytest.raises(ValueError, match=r"manifest\.csv cannot be read .* delete it"):
        detect_files(detector, originals, out)


def test_what_is_listed(days, tmp_path):
    out = days / "results"
    out.mkdir()
    soundfile.write(out / "excerpt.wav", np.zeros(100), 16000)
    (days / ".hidden").mkdir()
    soundfile.write(days / ".hidden" / "x.wav", np.zeros(100), 16000)
    (tmp_path / "nothing").mkdir()
    paths, names = list_recordings(days, out)
    assert len(paths) == 4
    assert paths == [days / name for name in names]
    assert list_recordings(days / "a.wav")[1] == ["a.wav"]
    same = [days / "a.wav", days / "zweites Kind ä" / "a.wav"]
    assert list_recordings(same)[1] == ["a.wav", "zweites Kind ä/a.wav"]
    for wrong, error, message in [
        (days / "nowhere", FileNotFoundError, "no such file or folder"),
        (tmp_path / "nothing", ValueError, "holds no recording"),
        ([], ValueError, "recordings is empty"),
        ([same[0], same[0]], ValueError, "listed twice"),
    ]:
        with pytest.raises(error, match=message):
            list_recordings(wrong)


def test_bad_arguments(detector, originals, results, tmp_path):
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        detect_files(detector, originals, originals / "a.wav")
    with pytest.raises(NotFittedError):
        detect_files(CryDetector(), originals, tmp_path / "other")
    with pytest.raises(FileNotFoundError, match=r"manifest\.csv"):
        read_timelines(tmp_path)
    with pytest.raises(ValueError, match=r"no results of 'b\.wav'"):
        read_timelines(results, ["b.wav"])


def test_progress_is_silent_unless_wanted(detector, originals, tmp_path, capfd):
    detect_files(detector, originals, tmp_path / "1")
    assert capfd.readouterr() == ("", "")
    detect_files(detector, originals, tmp_path / "2", progress=True)
    assert "Detecting" in capfd.readouterr().err


def test_report(results, tmp_path):
    manifest, whole = read_manifest(results), report(results)
    pd.testing.assert_frame_equal(whole, summarize(read_timelines(results)), check_index_type=False)
    assert whole["n_bouts"].tolist() == manifest["n_bouts"].tolist()
    start = tmp_path / "start.csv"
    start.write_text("file,start\n" + "".join(f"{file},2024-05-01 23:59:45\n" for file in manifest["file"]))
    hours = report(results, by="hour", start=start)
    assert len(hours) == 8
    assert hours.index.unique("hour").tolist() == [pd.Timestamp("2024-05-01 23:00"), pd.Timestamp("2024-05-02 00:00")]
    start.write_text("file,start\na.wav,2024-05-01 23:59:45\n")
    with pytest.raises(ValueError, match=r"start\.csv: .*no time for recording 'b with space\.flac'"):
        report(results, by="hour", start=start)
    zones = dict.fromkeys(manifest["file"], "2024-01-01 10:00+01:00") | {"a.wav": "2024-07-01 10:00+02:00"}
    with pytest.raises(ValueError, match="different zones"):
        report(results, by="hour", start=zones)
    assert len(report(results, start={})) == 4
    # Two stretches with a pause of an hour in each recording.
    rows = [f"{file},{start}\n" for file in manifest["file"] for start in ("2024-05-01 08:00,", "2024-05-01 09:00,20")]
    start.write_text("file,start,onset\n" + "".join(rows))
    hours = report(results, by="hour", start=start)
    np.testing.assert_allclose(hours["hours"] * 3600, [20, 10] * 4)
    assert report(results, start=start)["n_bouts"].sum() == hours["n_bouts"].sum()
    with pytest.raises(ValueError, match=r"the name 'a\.wav' holds no such time"):
        report(results, by="hour", start="name")
