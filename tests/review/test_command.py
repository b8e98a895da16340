"""The commands ``review``, ``estimate`` and ``correct``: page, numbers, detector; what they refuse."""

import re
import shutil
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers import make_quick_detector, make_timeline
from scipy.special import logit

from skcry import detect_files, load, metrics, read_timelines, save
from skcry.__main__ import main
from skcry.review import estimate_crying, precision_by_threshold, read_review, select_clips
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


@pytest.fixture
def judge(found, parts_of, capsys):
    """Function that writes a page of clips and judges them: by score, or as ``change`` makes of it."""

    def judge(*options, results="found", name="ada", change=lambda judgement: judgement):
        assert main(["review", results, "--n", "20", "--overwrite", *options]) == 0
        about, _ = parts_of(found / "review.html")
        clips = pd.DataFrame(about["clips"])
        clips["judgement"] = change(np.where(clips["score"].astype(float) >= 0.4, "cry", "not"))
        clips["reviewer"], clips["at"] = name, "2024-05-31T08:05:00.000Z"
        clips[about["columns"]].to_csv(f"{name}.csv", index=False)
        capsys.readouterr()
        return f"{name}.csv"

    return judge


def test_crying_is_estimated_from_judged_clips(found, judge, capsys):
    options = ["--strategy", "stratified"]
    judge(*options)
    assert main(["estimate", "found", "ada.csv"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("20 clips judged as cry or not, 0 unsure; from low to high: 90 % intervals\n")
    assert "cry_minutes_per_hour" in out
    assert "agree" not in out + err
    assert main(["estimate", "found", "ada.csv", "--out", "table.csv"]) == 0
    expected = estimate_crying(read_timelines("found"), read_review("ada.csv"))
    written = pd.read_csv("table.csv", index_col="quantity")
    pd.testing.assert_frame_equal(written, expected, rtol=1e-5, check_dtype=False)

    Path("infants.csv").write_text("file;group\nhome 0/a.wav;ada\nhome 1/a.wav;ada\nhome 2/a.wav;ben\n")
    assert main(["estimate", "found", "ada.csv", "--groups", "infants.csv", "--out", "table.csv"]) == 0
    assert "fewer than 20 clips of" in capsys.readouterr().err
    assert pd.read_csv("table.csv")["group"].unique().tolist() == ["all", "ada", "ben"]
    Path("infants.csv").write_text("file,group\nhome 0/a.wav,ada\n")
    assert main(["estimate", "found", "ada.csv", "--groups", "infants.csv"]) == 2
    assert "nothing for recording 'home 1/a.wav'" in capsys.readouterr().err


def test_precision_by_threshold_is_shown(found, judge, capsys):
    judge("--strategy", "stratified")
    assert main(["estimate", "found", "ada.csv", "--thresholds", "0.3", "0.6", "--out", "table.csv"]) == 0
    expected = precision_by_threshold(read_review("ada.csv"), read_timelines("found"), thresholds=[0.3, 0.6])
    pd.testing.assert_frame_equal(
        pd.read_csv("table.csv", index_col="threshold"), expected, rtol=1e-5, check_dtype=False
    )
    assert main(["estimate", "found", "ada.csv", "--thresholds"]) == 0
    assert re.search(r"^0\.9 ", capsys.readouterr().out, re.M)
    assert main(["estimate", "found", "ada.csv", "--thresholds", "3"]) == 2
    assert "must be numbers from 0 to 1" in capsys.readouterr().err
    assert main(["estimate", "found", "ada.csv", "--thresholds", "--groups", "infants.csv"]) == 2


def test_two_listeners_are_compared(found, judge, capsys):
    judge("--strategy", "stratified")

    def change(judgement):
        judgement = judgement.astype(object)
        judgement[:2] = "unsure"
        judgement[2] = "not" if judgement[2] == "cry" else "cry"
        return judgement

    judge("--strategy", "stratified", name="ben", change=change)
    assert main(["estimate", "found", "ada.csv", "ben.csv"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("17 clips judged as cry or not, 3 unsure")
    assert re.search(
        r"^ada and ben agree in 94 % of 18 clips that both judged as cry or not: kappa 0\.\d\d, AC1 0", out, re.M
    )
    for name, rows in (("ada", slice(0, 10)), ("ben", slice(10, None))):
        table = pd.read_csv(f"{name}.csv", dtype=str)
        table.iloc[np.r_[range(20)][rows], table.columns.get_loc("judgement")] = ""
        table.to_csv(f"{name}.csv", index=False)
    assert main(["estimate", "found", "ada.csv", "ben.csv"]) == 0
    assert "ada and ben judged no clip in common as cry or not" in capsys.readouterr().out


def test_judgements_of_something_else_are_explained(found, judge, capsys):
    judge("--strategy", "uncertain")
    assert main(["estimate", "found", "ada.csv"]) == 2
    assert "have no probability" in capsys.readouterr().err
    Path("other.csv").write_text("recording,onset,offset,judgement,stratum,probability\nzed.wav,0,5,cry,0,0.1\n")
    assert main(["estimate", "found", "other.csv"]) == 2
    assert "not clips of these seconds, such as recording 'zed.wav'" in capsys.readouterr().err
    assert main(["estimate", "found", "nowhere.csv"]) == 2
    assert "nowhere.csv: no such file" in capsys.readouterr().err
    assert main(["estimate", "nowhere", "ada.csv"]) == 2
    with pytest.raises(SystemExit):
        main(["estimate", "found"])


def test_strata_by_clock_hours_from_a_file(found, capsys):
    names = [f"home {number}/a.wav" for number in range(3)]
    Path("start.csv").write_text("file,start\n" + "".join(f"{name},2024-05-06 07:59:30\n" for name in names))
    command = ["review", "found", "--n", "16", "--strategy", "stratified", "--start"]
    assert main([*command, "start.csv"]) == 0
    Path("start.csv").write_text(f"file,start\n{names[0]},2024-05-06 07:59:30\n")
    assert main([*command, "start.csv", "--overwrite"]) == 2
    assert "no time for recording 'home 1/a.wav'" in capsys.readouterr().err
    assert main([*command, "nowhere.csv", "--overwrite"]) == 2
    assert "nowhere.csv: no such file" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:review. . detected clips")
def test_one_of_several_classes_is_listened_for(found, cry_data, judge, capsys):
    recordings, annotations, infants = cry_data
    annotations = [table.assign(label=["cry", "fuss"][i % 2]) for i, table in enumerate(annotations)]
    detector = make_quick_detector(positive=None).fit(recordings, annotations, groups=infants)
    detect_files(detector, "days", "several")
    for command in (["review", "several"], ["estimate", "several", judge("--seed", "1", name="one")]):
        assert main([*command, *(["--overwrite"] if command[0] == "review" else [])]) == 2
        assert re.search(r"several classes, .*'fuss'.* with --label\.", capsys.readouterr().err)
    judge("--label", "fuss", results="several", change=lambda judgement: np.r_[["cry", "not"], judgement[2:]])
    page = Path("review.html").read_text(encoding="utf-8")
    assert "<strong>you hear “fuss” for at least half of the marked part</strong>" in page
    assert "Do you hear “fuss” for at least half" in page
    assert "not fuss" in page
    assert main(["estimate", "several", "ada.csv", "--label", "fuss", "--out", "table.csv"]) == 0
    expected = estimate_crying(read_timelines("several"), read_review("ada.csv"), label="fuss")
    pd.testing.assert_frame_equal(
        pd.read_csv("table.csv", index_col="quantity"), expected, rtol=1e-5, check_dtype=False
    )
    assert main(["estimate", "several", "ada.csv", "--label", "cry"]) == 2
    assert "not that of another detector" in capsys.readouterr().err
    assert main(["review", "several", "--label", "fuzz", "--overwrite"]) == 2
    assert "Choose among them" in capsys.readouterr().err


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
