"""The commands ``skcry review`` and ``skcry correct``: to a page, to a detector, and what they say if they cannot."""

import re
import shutil

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers import make_timeline
from scipy.special import logit

from skcry import detect_files, load, metrics, save
from skcry.__main__ import main
from skcry.files import read_timelines
from skcry.review import select_clips
from skcry.review.correction import agreed_clips, compare_found


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


@pytest.fixture
def judged(found, quick_detector, cry_data):
    """The folder of ``found`` with ``own.skcry``, and judgements of all of its clips by the truth in ``review.csv``."""
    save(quick_detector, found / "own.skcry")
    seconds = read_timelines("found")
    names = seconds.index.unique("recording")
    truth = metrics.second_truth(
        dict(zip(names, cry_data[1], strict=False)),
        seconds,
        durations=dict.fromkeys(names, len(cry_data[0][0]) / 16000),
    )
    clips = select_clips(seconds, 12, random_state=0)
    cry = [truth.loc[clip.recording].iloc[clip.onset : clip.offset].mean() >= 0.5 for clip in clips.itertuples()]
    clips.assign(judgement=np.where(cry, "cry", "not"), reviewer="a").to_csv(found / "review.csv", index=False)
    return found


CORRECT = ["correct", "found", "review.csv", "--detector", "own.skcry"]


def test_a_detector_is_corrected(judged, quick_detector, capsys):
    assert main([*CORRECT, "--out", "home.skcry"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^12 clips, \d+ of them crying$", out, re.M)
    assert re.search(r"^before +\d+ +\d+ +\d+ +\d\.\d+$", out, re.M)
    assert "next: skcry detect home.skcry RECORDINGS --out corrected" in out
    home = load("home.skcry")
    assert f"The level is {home.level_:+.2f}" in out
    assert home.level_ != 0 == quick_detector.level_
    assert f"{home.level_:+.2f} on the log-odds" in str(home.card())
    before, after = (logit(one.timeline(["days/home 0/a.wav"])["score"]) for one in (quick_detector, home))
    np.testing.assert_allclose(after - before, home.level_, atol=1e-6)

    assert main([*CORRECT, "--out", "home.skcry"]) == 2
    assert "home.skcry exists. Give another name, or pass --overwrite." in capsys.readouterr().err
    assert main([*CORRECT, "--out", "home.joblib"]) == 0
    assert joblib.load("home.joblib").level_ == home.level_

    # A corrected detector is corrected from where it was fitted, not from where it was.
    assert main(["detect", "home.skcry", "days", "--out", "again"]) == 0
    again = ["correct", "again", "review.csv", "--detector", "home.skcry", "--out", "second.skcry"]
    assert main(again) == 0
    assert load("second.skcry").level_ == pytest.approx(home.level_)


def test_labels_of_the_detector_and_several_listeners(judged, cry_data, quick_detector, capsys):
    recordings, annotations, infants = cry_data
    other = [[(*row[:2], {"cry": "wail"}.get(row[2], "rest")) for row in np.array(one, object)] for one in annotations]
    named = type(quick_detector)(**quick_detector.get_params(deep=False)).set_params(positive="wail", negative="rest")
    save(named.fit(recordings, other, groups=infants), "named.skcry")
    table = pd.read_csv("review.csv")
    table.assign(reviewer="b", judgement=["unsure", *table["judgement"][1:]]).to_csv("b.csv", index=False)
    arguments = ["correct", "found", "review.csv", "b.csv", "--detector", "named.skcry"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "Warning" not in err
    assert re.search(r"^11 clips, \d+ of them crying; left out, because unsure or judged differently: 1$", out, re.M)


def test_moved_recordings_are_corrected_by_their_folder(judged, capsys):
    (judged / "days").rename(judged / "elsewhere")
    assert main(CORRECT) == 2
    assert "Name their folder with --recordings." in capsys.readouterr().err
    assert main([*CORRECT, "--recordings", "elsewhere"]) == 0


def test_what_cannot_be_corrected_is_explained(judged, capsys):
    table = pd.read_csv("review.csv")
    table.assign(judgement="unsure").to_csv("unsure.csv", index=False)
    table[:1].assign(recording="other.wav").to_csv("other.csv", index=False)
    for arguments, message in [
        (CORRECT[:3], "found holds results of another detector than the one of skcry. Name the one that found them"),
        ([*CORRECT, "--channel", "0"], "and the channel that it read with --channel"),
        (["correct", "found", "unsure.csv"], "Nothing can be learned from these 12 clips"),
        (["correct", "found", "other.csv"], "judgements name 1 recordings"),
        (["correct", "found", "none.csv"], "none.csv"),
        (["correct", "nowhere", "review.csv"], "Pass the folder that results were written to"),
    ]:
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    assert not (judged / "home.skcry").exists()


def test_no_clip_judges_itself():
    """With a single clip, nothing is learned from it: before and corrected are the same."""
    seconds = make_timeline({"a": [0.52] * 10 + [0.2] * 10})
    review = pd.DataFrame(
        [("a", 0, 5, "not"), ("a", 5, 10, "not"), ("a", 10, 15, "not")],
        columns=["recording", "onset", "offset", "judgement"],
    )
    alone = compare_found(seconds, agreed_clips(review[:1]), 0.5)
    assert alone["false alarms"].tolist() == [1, 1]
    others = compare_found(seconds, agreed_clips(review), 0.5)
    assert others["false alarms"].tolist() == [2, 0]
    assert others.dtypes.tolist() == [int, int, int, float]
    louder = compare_found(seconds, agreed_clips(review), 0.5, level=1.0)  # told as with the level that it has
    assert louder.loc["before"].equals(others.loc["before"])
