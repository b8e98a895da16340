"""Estimates from judged clips: right on average, with intervals that hold, and errors for samples of something else."""

import itertools

import numpy as np
import pandas as pd
import pytest
from judged import judge, make_seconds
from scipy.stats import binomtest

from skcry.review import estimate_crying, read_review, select_clips
from skcry.review.estimates import part_of
from skcry.review.sample import total, wilson


def test_wilson_is_that_of_scipy():
    for n, k in ((5, 0), (12, 12), (50, 7)):
        low, high = wilson(k / n, n, 1.6448536269514722)
        assert (low, high) == pytest.approx(tuple(binomtest(k, n).proportion_ci(0.9, method="wilson")), abs=1e-12)
    assert wilson(0.3, np.inf, 1.6) == pytest.approx((0.3, 0.3))


def test_ratio_of_two_estimates():
    value, low, high = part_of((90.0, 80.0, 100.0), (10.0, 5.0, 20.0))
    assert value == pytest.approx(0.9)
    assert 0.8 < low < value < high < 0.96
    mirrored = part_of((10.0, 5.0, 20.0), (90.0, 80.0, 100.0))
    assert mirrored == pytest.approx((1 - value, 1 - high, 1 - low))
    assert part_of((10.0, 8.0, 12.0), (0.0, 0.0, 2.0))[::2] == (1.0, 1.0)
    assert np.isnan(part_of((0.0, 0.0, 1.0), (0.0, 0.0, 1.0))).all()


def test_everything_judged_is_known(seconds):
    """With all clips judged, values are those of the truth of clips, and intervals have no width."""
    clips = judge(select_clips(seconds, 2880, "stratified", random_state=0), seconds)
    found = estimate_crying(seconds, clips)
    clip_cry = (clips["judgement"] == "cry").to_numpy()
    cry, detected = np.repeat(clip_cry, 5), seconds["cry"].to_numpy().reshape(-1, 5).mean(axis=1) >= 0.5
    expected = {
        "cry_minutes": cry.sum() / 60,
        "cry_minutes_per_hour": cry.mean() * 60,
        "cry_minutes_per_day": cry.mean() * 1440,
        "precision": clip_cry[detected].mean(),
        "recall": detected[clip_cry].mean(),
    }
    for name, value in expected.items():
        assert found.loc[name, "value"] == pytest.approx(value)
        assert found.loc[name, ["low", "high"]].to_numpy() == pytest.approx(value, rel=1e-3)


@pytest.mark.filterwarnings("ignore:review. . detected clips")
@pytest.mark.parametrize("strategy", ["random", "stratified"])
def test_is_right_on_average(seconds, strategy):
    found = []
    for seed in range(50):
        found.append(
            estimate_crying(seconds, judge(select_clips(seconds, 60, strategy, random_state=seed), seconds))["value"]
        )
    mean = pd.concat(found, axis=1).mean(axis=1)
    truth, cry = (seconds[name].to_numpy().reshape(-1, 5).mean(axis=1) >= 0.5 for name in ("truth", "cry"))
    assert mean["cry_minutes"] == pytest.approx(seconds["truth"].sum() / 60, rel=0.1)
    assert mean["precision"] == pytest.approx(truth[cry].mean(), abs=0.04)
    assert mean["recall"] == pytest.approx(cry[truth].mean(), abs=0.05)


@pytest.mark.filterwarnings("ignore:review. . detected clips")
@pytest.mark.parametrize("strategy", ["random", "stratified"])
def test_intervals_hold_as_often_as_they_say(strategy):
    """The larger simulation is in benchmarks/bench_review.py; of 120 samples the share is off by 0.05 by chance."""
    rng, held = np.random.default_rng(1), []
    for (share, quality), _ in itertools.product(((0.05, 3.0), (0.1, 2.0), (0.25, 3.0)), range(8)):
        seconds = make_seconds(rng, share, quality)
        truth, cry = (seconds[name].to_numpy().reshape(-1, 5).mean(axis=1) >= 0.5 for name in ("truth", "cry"))
        right = np.array([seconds["truth"].sum() / 60, truth[cry].mean(), cry[truth].mean()])
        for seed in range(5):
            clips = judge(select_clips(seconds, 60, strategy, random_state=seed), seconds)
            found = estimate_crying(seconds, clips).loc[["cry_minutes", "precision", "recall"]]
            low, high = found["low"].to_numpy(), found["high"].to_numpy()
            held.append(np.where(np.isnan(low), np.nan, (low <= right) & (right <= high)))
    assert (np.nanmean(held, axis=0) >= 0.85).all()


def test_unsure_clips_are_left_out_and_bounded(seconds, review):
    review.loc[review.index[::7], "judgement"] = "unsure"
    found = estimate_crying(seconds, review)
    assert found.attrs["n_unsure"] == 9
    assert found.attrs["n_clips"] == 51
    assert found.loc["cry_minutes", "unsure_not"] < found.loc["cry_minutes", "unsure_cry"]
    for answer in ("not", "cry"):
        filled = review.assign(judgement=review["judgement"].replace("unsure", answer))
        expected = estimate_crying(seconds, filled)["value"]
        pd.testing.assert_series_equal(found[f"unsure_{answer}"], expected, check_names=False)


def test_listeners_who_disagree_are_unsure(seconds, review):
    second = review.head(10).assign(judgement="unsure")
    second.iloc[5:, second.columns.get_loc("judgement")] = review["judgement"].iloc[5:10]
    both = estimate_crying(seconds, pd.concat([review, second]))
    assert both.attrs["n_unsure"] == 5
    alone = review.assign(judgement=["unsure"] * 5 + review["judgement"].tolist()[5:])
    pd.testing.assert_frame_equal(both, estimate_crying(seconds, alone))


def test_groups(seconds, review):
    found = estimate_crying(seconds, review, groups={"ada.wav": "ada", "ben.wav": "ben"})
    assert found.index.unique("group").tolist() == ["all", "ada", "ben"]
    pd.testing.assert_frame_equal(found.loc["all"], estimate_crying(seconds, review), check_like=True)
    together = found.loc["ada"].loc["cry_minutes", "value"] + found.loc["ben"].loc["cry_minutes", "value"]
    assert together == pytest.approx(found.loc["all"].loc["cry_minutes", "value"], rel=0.3)
    with pytest.raises(ValueError, match=r"nothing for recording 'ben.wav'"):
        estimate_crying(seconds, review, groups={"ada.wav": "ada"})
    with pytest.raises(ValueError, match=r"nothing for recording 'ben.wav'"):
        estimate_crying(seconds, review, groups={"ada.wav": "ada", "ben.wav": None})
    with pytest.raises(ValueError, match=r"recording 'ada.wav' is there twice"):
        estimate_crying(seconds, review, groups=pd.Series(["ada", "ada", "ben"], ["ada.wav", "ada.wav", "ben.wav"]))


def test_survives_files(seconds, review, tmp_path):
    review.assign(reviewer="", at="").to_csv(tmp_path / "review.csv", index=False)
    expected = estimate_crying(seconds, review)
    pd.testing.assert_frame_equal(estimate_crying(seconds, read_review(tmp_path / "review.csv")), expected)


def test_probabilities_that_a_spreadsheet_rounded_change_nothing(seconds, review):
    rounded = review.assign(probability=review["probability"].round(2))
    pd.testing.assert_frame_equal(estimate_crying(seconds, rounded), estimate_crying(seconds, review))


def test_one_of_several_classes(seconds, review):
    several = seconds.rename(columns={"score": "cry", "cry": "found"})
    several["fuss"] = (1 - several["cry"]) / 4
    several["other"] = (1 - several["cry"]) / 2
    several["laugh"] = (1 - several["cry"]) / 4
    several["label"] = np.where(several.pop("found"), "cry", "fuss")
    several = several.drop(columns="truth")
    clips = select_clips(several, 60, "stratified", random_state=0, label="cry")
    pd.testing.assert_frame_equal(clips, review.drop(columns="judgement"))
    assert clips.attrs["label"] == "cry"
    for label in ("cry", ["cry"]):
        found = estimate_crying(several, review, label=label)
        pd.testing.assert_frame_equal(found, estimate_crying(seconds, review))
    one = several.assign(score=several["cry"], cry=several["label"] == "cry")  # chosen by hand
    pd.testing.assert_frame_equal(estimate_crying(one, review), estimate_crying(seconds, review))
    for function in (select_clips, lambda table: estimate_crying(table, review)):
        with pytest.raises(ValueError, match=r"several classes, 'cry', 'fuss', 'other', 'laugh'\. Choose .* label="):
            function(several)
    with pytest.raises(ValueError, match=r"the classes of the timeline are .*'fuss'"):
        select_clips(several, label="fuzz")
    both = select_clips(several, 60, label=["fuss", "other"], random_state=0)
    assert both["score"].max() <= 1
    assert both.attrs["label"] == ["fuss", "other"]
    with pytest.raises(ValueError, match="not that of another detector"):
        estimate_crying(several, review, label="fuss")


def test_only_usable_seconds_count(seconds):
    seconds["usable"] = seconds.index.get_level_values("recording") == "ada.wav"
    clips = judge(select_clips(seconds, 60, "stratified", random_state=0), seconds)
    found = estimate_crying(seconds, clips)["value"]
    assert found["cry_minutes"] == pytest.approx(found["cry_minutes_per_hour"] * 2)


def test_bouts_follow_minutes(seconds, review):
    found = estimate_crying(seconds, review, merge_gap=0, min_duration=0)["value"]
    cry = seconds["cry"].to_numpy().reshape(2, -1)
    n_bouts = (np.diff(cry.astype(int), axis=1, prepend=0) == 1).sum()
    assert found["n_bouts"] == pytest.approx(n_bouts * found["cry_minutes"] * 60 / cry.sum())


def test_nothing_detected(seconds):
    clips = judge(select_clips(seconds, 60, "random", random_state=0), seconds)
    found = estimate_crying(seconds.assign(cry=False), clips)["value"]
    assert found[["precision", "recall", "n_bouts"]].isna().tolist() == [True, True, True]
    assert found["cry_minutes"] > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda review: review.assign(probability=np.nan), "no probability"),
        (lambda review: review.assign(recording="cem.wav"), "not clips of these seconds, such as recording 'cem.wav'"),
        (lambda review: review.assign(onset=review["onset"] + 1, offset=review["offset"] + 1), "not clips of these"),
        (lambda review: review.assign(score=(review["score"] + 0.5) % 1), "not that of another detector"),
        (lambda review: review.assign(judgement="unsure"), "all 60 clips are unsure"),
        (lambda review: review.assign(judgement="perhaps"), "judgement 'perhaps'"),
        (lambda review: review.drop(columns="stratum"), "no 'stratum'"),
        (lambda review: review.iloc[:0], "no judgement"),
        (
            lambda review: review.assign(
                stratum_size=review["stratum_size"] * 2, probability=review["probability"] / 2
            ),
            "were drawn from 5760",
        ),
        (lambda review: review.assign(probability=0.5), "not stratum_drawn / stratum_size, such as 0.5 instead of 0.0"),
        (lambda review: review.assign(stratum=np.nan), "60 of 60 clips have no stratum"),
        (lambda review: review.assign(score="high"), "score 'high' is no number"),
        (lambda review: review.assign(stratum_size="many"), "stratum_size 'many' is no number"),
        (lambda review: review.assign(recording=7), "recording 7 from .* The seconds are of 'ada.wav', 'ben.wav'"),
        (lambda review: pd.concat([review, review[["score"]]], axis=1), "two columns 'score'"),
        (lambda review: review.assign(stratum_drawn=1), "more judged clips than were drawn"),
        (lambda review: review.assign(probability=np.linspace(0.1, 0.9, 60)), "differ in 'probability'"),
        (lambda review: review[review["score"] > 0.5], "no clip below the threshold"),
        (lambda review: review.assign(offset=review["offset"] + 5 * (review.index % 2)), "the same length"),
    ],
)
def test_refuses_other_samples(seconds, review, change, message):
    with pytest.raises(ValueError, match=message):
        estimate_crying(seconds, change(review))


def test_few_detected_clips_give_no_interval(seconds, review):
    low = review["score"] < seconds["score"][seconds["cry"]].min()
    few = review.assign(judgement=review["judgement"].where(low | review.index.isin(review.index[~low][:3]), "unsure"))
    with pytest.warns(UserWarning, match="detected clips are judged"):
        found = estimate_crying(seconds, few)
    assert found.loc[["precision", "recall"], ["low", "high"]].isna().all(axis=None)
    assert found.loc[["precision", "recall"], "value"].notna().all()


def test_warns_of_few_clips_and_strata_without(seconds, review):
    with pytest.warns(UserWarning, match="fewer than 20 clips of all recordings"):
        estimate_crying(seconds, judge(select_clips(seconds, 12, "stratified", random_state=0), seconds))
    with pytest.warns(UserWarning, match="whole strata, none is judged"):
        estimate_crying(seconds, review[review["stratum"] != review["stratum"].iloc[0]])


def test_band_without_judged_clips_is_uncertain():
    value, low, high = total(np.array([0.0, 1.0]), np.ones(2), np.array([0, 0]), np.array([100.0, 50.0]), 1.645)
    assert value == pytest.approx(75)
    assert low < 40
    assert high > 100
