"""The command ``skcry review``: from a folder of results to a page, and what it says if it cannot."""

import re
import shutil

import pytest
import soundfile

from skcry import detect_files
from skcry.__main__ import main


@pytest.fixture
def found(quick_detector, cry_data, tmp_path, monkeypatch):
    """Current folder with ``days``, and their results in ``found``."""
    monkeypatch.chdir(tmp_path)
    for number, y in enumerate(cry_data[0][:3]):
        (tmp_path / "days" / f"home {number}").mkdir(parents=True)
        soundfile.write(tmp_path / "days" / f"home {number}" / "a.wav", y, 16000)
    detect_files(quick_detector, "days", "found")
    return tmp_path


def test_a_page_is_written_from_results(found, capsys, parts_of):
    assert main(["review", "found", "--n", "6"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^6 clips of \d recordings, 0\.9 min to listen to$", out, re.M)
    assert "Written to review.html, 0." in out
    assert "It holds sound" in out
    about, sounds = parts_of(found / "review.html")
    assert len(sounds) == 6
    assert not about["showScore"]
    assert {clip["recording"] for clip in about["clips"]} <= {f"home {number}/a.wav" for number in range(3)}
    assert all(clip["score"] and clip["probability"] for clip in about["clips"])

    assert main(["review", "found"]) == 2
    assert "Error: review.html exists. Give another name, or pass --overwrite." in capsys.readouterr().err
    options = ["--strategy", "uncertain", "--n", "3", "--duration", "4", "--context", "0.5", "--seed", "1"]
    assert main(["review", "found", "--overwrite", "--show-score", "--lowpass", "500", *options]) == 0
    about, sounds = parts_of(found / "review.html")
    assert about["showScore"]
    assert about["top"] == 1000
    assert {clip["offset"] - clip["onset"] for clip in about["clips"]} == {4}
    assert all(4.5 <= len(y) / 16000 <= 5 for y in sounds)


def test_clips_with_speech_are_left_out(found, capsys, parts_of, monkeypatch):
    scores = iter([0.6, 0.5, 0.4, 0.6])
    monkeypatch.setattr("skcry.review.page.speech_score", lambda y: next(scores))
    assert main(["review", "found", "--n", "4", "--max-speech", "0.5"]) == 0
    out, err = capsys.readouterr()
    assert "0.6 min to listen to" in out
    assert "at most" in out
    assert "2 of 4 clips score above --max-speech 0.5 and are left out" in err
    about, sounds = parts_of(found / "review.html")
    assert len(sounds) == len(about["leftOut"]) == 2


def test_recordings_that_were_moved_are_named(found, capsys):
    (found / "days").rename(found / "elsewhere")
    assert main(["review", "found", "--n", "4"]) == 2
    assert "is no longer there (3 of 3 recordings). Name their folder with --recordings." in capsys.readouterr().err
    assert main(["review", "found", "--n", "4", "--recordings", "elsewhere"]) == 0
    shutil.rmtree(found / "elsewhere" / "home 0")
    assert main(["review", "found", "--n", "400", "--recordings", "elsewhere", "--overwrite"]) == 2
    err = capsys.readouterr().err
    assert "Warning: --n 400 clips were asked for" in err
    assert "clips name 1 recordings that are not among --recordings" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n", "0"], "'n' parameter"),
        (["--lowpass", "20"], "'lowpass' parameter"),
        (["--max-speech", "1.5"], "'max_speech' parameter"),
        (["--duration", "90"], "'duration' parameter"),
        (["--strategy", "stratified", "--start", "name"], "holds no such time"),
        (["--channel", "2"], "--channel 2 must be from 0 to 0"),
        (["--out", "none/review.html"], "no such folder to write"),
    ],
)
def test_bad_options_are_explained(found, capsys, options, message):
    assert main(["review", "found", *options]) == 2
    assert message in capsys.readouterr().err
    assert not (found / "review.html").exists()


def test_results_must_be_there(found, capsys):
    assert main(["review", "nowhere"]) == 2
    assert "Pass the folder that results were written to" in capsys.readouterr().err
    shutil.copytree(found / "found", found / "broken")
    (found / "broken" / "home 0" / "a.wav.timeline.csv").write_text("second,score,cry,usable\n0,2,True,True\n")
    assert main(["review", "broken"]) == 2
    assert "cannot be read" in capsys.readouterr().err
