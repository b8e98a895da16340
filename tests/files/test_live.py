import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers import make_quick_detector

import skcry
from skcry import detect_files, read_timelines
from skcry.__main__ import main
from skcry.files import read_manifest, report
from skcry.files.live import JOURNAL, LiveResults

SR = 16000


@pytest.fixture(scope="module")
def sound(cry_data):
    return (np.concatenate(cry_data[0][:3]) * 32767).astype(np.int16)  # 120 s


@pytest.fixture(scope="module")
def model(quick_detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "quick.skcry"
    skcry.save(quick_detector, path)
    return path


@pytest.fixture(scope="module")
def expected(quick_detector, sound, tmp_path_factory):
    """Folder of results of the same sound as a finished file."""
    folder = tmp_path_factory.mktemp("expected")
    soundfile.write(folder / "day.wav", sound, SR)
    detect_files(quick_detector, folder / "day.wav", folder / "found")
    return folder / "found"


def run(*arguments, **options):
    command = [sys.executable, "-m", "skcry", "listen", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True, timeout=300, **options)


def blocks(sound, n=7000):
    return [sound[i : i + n] for i in range(0, len(sound), n)]


def local(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def assert_same(folder, name, expected):
    """Compare results with those of the recording day.wav, up to rounding."""
    for kind in ("timeline", "events"):
        tables = (
            pd.read_csv(Path(*place)) for place in ((folder, f"{name}.{kind}.csv"), (expected, f"day.wav.{kind}.csv"))
        )
        pd.testing.assert_frame_equal(*tables, rtol=0, atol=1e-5)


def test_a_pipe_a_growing_file_and_blocks_give_the_table_of_the_file(
    quick_detector, model, sound, expected, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    about = ["--start", "2024-05-06T07:30", "--out"]
    run(model, "-", "--sr", SR, *about, "pipe", input=sound.tobytes())

    def write():
        with soundfile.SoundFile("now.wav", "w", SR, 1) as file:
            for block in blocks(sound):
                file.write(block)
                file.flush()
                time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    run(model, "now.wav", "--timeout", 3, *about, "file")
    writer.join()
    with LiveResults(quick_detector, "blocks", local("2024-05-06T07:30")) as results:
        for second in quick_detector.listen(blocks(sound, 4321)):
            results.push(second)
    for folder in ("pipe", "file", "blocks"):
        assert_same(folder, "20240506_073000", expected)
        assert sorted(os.listdir(folder)) == [
            "20240506_073000.events.csv",
            "20240506_073000.timeline.csv",
            "detector.json",
            "manifest.csv",
        ]
        row, (other,) = read_manifest(folder).iloc[0], read_manifest(expected).to_dict("records")
        assert row[["duration", "cry_duration", "n_bouts", "usable"]].to_dict() == {
            name: other[name] for name in ("duration", "cry_duration", "n_bouts", "usable")
        }
    table = report("pipe", by="hour", start="name")
    assert table.index.get_level_values("hour")[0] == datetime.datetime(2024, 5, 6, 7)


def test_a_day_ends_at_midnight(quick_detector, sound, tmp_path):
    with LiveResults(quick_detector, tmp_path, local("2024-05-06T23:59:30")) as results:
        for second in quick_detector.listen(blocks(sound)):
            results.push(second)
    manifest = read_manifest(tmp_path)
    assert manifest["file"].tolist() == ["20240506_235930", "20240507_000000"]
    assert manifest["duration"].tolist() == [30, 90]
    scores = read_timelines(tmp_path)["score"].to_numpy()
    np.testing.assert_allclose(scores, quick_detector.timeline([sound])["score"], atol=1e-5)


def test_results_are_there_while_it_listens(quick_detector, sound, tmp_path, monkeypatch):
    monkeypatch.setattr("skcry.files.live.WRITE_DURATION", 20)
    with LiveResults(quick_detector, tmp_path, 0.0) as results:
        for second in quick_detector.listen(blocks(sound)):
            results.push(second)
            if second.second >= 20:
                (duration,) = read_manifest(tmp_path)["duration"]
                assert duration == (second.second + 1) // 20 * 20
                assert len(read_timelines(tmp_path)) == duration
        with pytest.raises(OSError, match="Another process is writing"), LiveResults(quick_detector, tmp_path, 0.0):
            pass
    assert len(read_timelines(tmp_path)) == 120


def test_a_killed_process_loses_nothing_that_it_heard(quick_detector, model, sound, tmp_path):
    out = tmp_path / "found"
    command = [sys.executable, "-m", "skcry", "listen", model, "-", "--sr", str(SR), "--jsonl", "--out", out]
    command += ["--start", "2024-05-06T07:30"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(list(map(str, command)), **pipes) as process:
        process.stdin.write(sound[: 60 * SR].tobytes())
        process.stdin.flush()
        while json.loads(process.stdout.readline()).get("second") != 56:
            pass
        process.send_signal(signal.SIGKILL)
    (journal,) = out.glob(JOURNAL.format("*"))
    with journal.open("a") as file:
        file.write("[[0.3, 0.")  # a line that was cut
    with LiveResults(quick_detector, out, local("2024-05-06T07:30")) as results:
        for second in quick_detector.listen(blocks(sound[: 5 * SR])):
            results.push(second)
    assert read_manifest(out)["file"].tolist() == ["20240506_073000", "20240506_073000_2"]
    scores = read_timelines(out).loc["20240506_073000", "score"]
    np.testing.assert_allclose(scores, quick_detector.timeline([sound])["score"][:57], atol=1e-5)
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(model, sound, tmp_path, number):
    command = [sys.executable, "-m", "skcry", "listen", model, "-", "--sr", SR, "--jsonl", "--out", tmp_path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(list(map(str, command)), **pipes) as process:
        process.stdin.write(sound[: 30 * SR].tobytes())
        process.stdin.flush()
        while json.loads(process.stdout.readline()).get("second") != 26:
            pass
        process.send_signal(number)
        printed, errors = process.communicate()
    assert process.returncode == 0
    assert json.loads(printed.splitlines()[-1]).get("second", 29) == 29
    assert b"Stopped. What was heard is scored to its end." in errors
    assert read_manifest(tmp_path)["duration"].tolist() == [30]


def test_a_folder_of_another_detector(quick_detector, cry_data, tmp_path):
    other = make_quick_detector(threshold=0.7).fit(*cry_data[:2])
    with LiveResults(other, tmp_path, 0.0) as results:
        for second in other.listen([cry_data[0][0]]):
            results.push(second)
    with pytest.raises(ValueError, match="results of another detector"):
        LiveResults(quick_detector, tmp_path, 0.0).__enter__()
    with LiveResults(quick_detector, tmp_path, 86400.0, overwrite=True) as results:
        for second in quick_detector.listen([cry_data[0][0]]):
            results.push(second)
    assert len(read_manifest(tmp_path)) == 1
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        LiveResults(quick_detector, file, 0.0).__enter__()


# The command


def test_events_are_printed(model, sound, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    soundfile.write("day.wav", sound, SR)
    assert main(["listen", str(model), "day.wav", "--timeout", "0", "--start", "2024-05-06T07:30"]) == 0
    captured = capsys.readouterr()
    found = detect_files(skcry.load(model), "day.wav", "found")
    lines = captured.out.splitlines()
    assert sum("ended at 07:3" in line for line in lines) == found["n_bouts"][0]
    assert all(line.startswith("2024-05-06 07:3") for line in lines)
    assert "Listening to day.wav at 16000 Hz, from 2024-05-06 07:30:00 on" in captured.err


def test_sound_that_was_not_kept_cannot_be_judged(quick_detector, sound, tmp_path, capsys):
    with LiveResults(quick_detector, tmp_path / "found", 0.0) as results:
        for second in quick_detector.listen([sound]):
            results.push(second)
    assert main(["review", str(tmp_path / "found"), "--out", str(tmp_path / "review.html")]) == 2
    assert "1 of 1 recordings were heard live, and their sound was not kept" in capsys.readouterr().err


def test_lines_of_json(model, sound, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    soundfile.write("day.wav", sound, SR)
    assert main(["listen", str(model), "day.wav", "--timeout", "0", "--jsonl"]) == 0
    lines = list(map(json.loads, capsys.readouterr().out.splitlines()))
    seconds, events = ([line for line in lines if name in line] for name in ("second", "event"))
    assert [line["second"] for line in seconds] == list(range(120))
    assert {line["event"] for line in events} == {"began", "ended"}
    assert set(seconds[0]) == {"time", "second", "score", "cry", "usable", "level", "problems"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.wav", "--timeout", "0"], "no such file with sound"),
        (["day.wav", "--sr", "16000"], "--sr: the header of day.wav tells this. Leave it out."),
        (["microphone", "--dtype", "int16"], "--dtype has no meaning for a microphone"),
        (["day.wav", "--channel", "3", "--timeout", "0"], "--channel 3 must be from 0 to 0"),
    ],
)
def test_what_cannot_be_heard(model, sound, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    soundfile.write("day.wav", sound, SR)
    assert main(["listen", str(model), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_microphone_without_sounddevice(model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["listen", str(model), "microphone"]) == 2
    assert "pip install 'skcry[live]'" in capsys.readouterr().err


def test_a_time_that_is_none(model, capsys):
    with pytest.raises(SystemExit):
        main(["listen", str(model), "-", "--start", "tomorrow"])
    assert "Write 2024-05-06T07:30:00" in capsys.readouterr().err
