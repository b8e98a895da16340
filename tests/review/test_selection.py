"""Clips to listen to: which are offered, which are chosen, and with which probability."""

import numpy as np
import pandas as pd
import pytest
from helpers import make_timeline

from skcry.review import select_clips
from skcry.review.selection import _allocate

STRATEGIES = ["random", "uncertain", "stratified"]


def make_day(rng, n_seconds=7200, rate=0.05):
    """Scores of a recording in which some minutes are crying."""
    crying = np.repeat(rng.random(n_seconds // 60) < rate, 60)
    return np.clip(np.where(crying, 0.8, 0.03) + rng.normal(0, 0.1, n_seconds), 0.001, 0.999)


@pytest.fixture
def seconds(rng):
    scores = {"a.wav": make_day(rng), "b.wav": make_day(rng, 3600, 0.3), "c.wav": make_day(rng, 600)[:593]}
    usable = {name: np.ones(len(score), dtype=bool) for name, score in scores.items()}
    usable["a.wav"][100:400] = False
    usable["b.wav"][7] = False
    return make_timeline(scores, usable)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("n", "duration"), [(1, 5), (3, 5), (7, 5), (50, 5), (50, 10), (200, 7)])
def test_no_moment_is_offered_twice_and_none_that_is_unusable(seconds, strategy, n, duration):
    clips = select_clips(seconds, n, strategy, duration=duration, random_state=0)
    assert len(clips) == n
    assert list(clips)[:6] == ["recording", "onset", "offset", "score", "stratum", "probability"]
    assert not clips.duplicated(["recording", "onset"]).any()
    assert (clips["onset"] % duration == 0).all()
    assert (clips["offset"] - clips["onset"] == duration).all()
    for clip in clips.itertuples():
        own = seconds.loc[clip.recording].loc[clip.onset : clip.offset - 1]
        assert len(own) == duration
        assert own["usable"].all()
        assert clip.score == pytest.approx(own["score"].mean())
    assert clips.sort_values(["recording", "onset"]).index.tolist() == list(range(n))
    assert clips.attrs["strategy"] == strategy
    assert clips.attrs["threshold"] == seconds["score"][seconds["cry"]].min()
    pd.testing.assert_frame_equal(clips, select_clips(seconds, n, strategy, duration=duration, random_state=0))
    if strategy != "uncertain" and n > 1:
        assert not clips.equals(select_clips(seconds, n, strategy, duration=duration, random_state=1))


@pytest.mark.parametrize(("strategy", "n"), [("random", 7), ("stratified", 5), ("stratified", 23)])
def test_probabilities_are_those_of_the_draw(rng, strategy, n):
    score = np.concatenate([make_day(rng, 600, 0.3), rng.random(200)])
    seconds = make_timeline({"a.wav": score, "b.wav": rng.random(100)})
    n_times, n_draws = {}, 200
    totals = []
    state = np.random.RandomState(0)
    for _ in range(n_draws):
        clips = select_clips(seconds, n, strategy, random_state=state)
        for clip in clips.itertuples():
            told, times = n_times.get((clip.recording, clip.onset), (clip.probability, 0))
            assert told == clip.probability
            n_times[clip.recording, clip.onset] = told, times + 1
        np.testing.assert_allclose(clips["probability"], clips["stratum_drawn"] / clips["stratum_size"])
        totals.append((clips["score"] / clips["probability"]).sum())
    assert len(n_times) == clips.attrs["n_candidates"] == 180
    told, times = np.array(list(n_times.values())).T
    assert told.sum() == pytest.approx(n)
    deviation = np.sqrt(n_draws * told * (1 - told))
    assert (np.abs(times - n_draws * told) <= 5 * deviation + 1e-9).all()
    # The weighted sum of a sample is on average that of all clips.
    whole = seconds["score"].sum() / 5
    assert np.mean(totals) == pytest.approx(whole, abs=5 * np.std(totals) / np.sqrt(n_draws))


def test_strata_have_two_clips_and_know_their_sizes(seconds):
    for n in (4, 8, 9, 50, 333):
        clips = select_clips(seconds, n, "stratified", random_state=0)
        rows = clips.groupby("stratum")
        assert (rows.size() == rows["stratum_drawn"].first()).all()
        assert (rows.size() >= 2).all()
        assert (clips["stratum_size"] >= clips["stratum_drawn"]).all()
        half = (clips["score"] >= clips.attrs["threshold"]).mean()
        assert n > 100 or 0.4 <= half <= 0.6  # of 5 % of all seconds
    everything = select_clips(seconds, 1, "random", random_state=0).attrs["n_candidates"]
    sizes = clips.drop_duplicates("stratum")["stratum_size"]
    assert sizes.sum() == everything


def test_strata_are_clock_hours_if_the_start_is_known():
    low = np.full(3 * 3600, 0.1)
    seconds = make_timeline({"20240501_103000.wav": low, "20240502_113000.wav": low})
    clips = select_clips(seconds, 60, "stratified", random_state=0, start="name")
    began = np.where(clips["recording"] == "20240501_103000.wav", 10.5, 11.5)
    clips["hour"] = (began + (clips["onset"] + 2.5) / 3600).astype(int)
    sizes = {hour: rows["stratum_size"].iloc[0] for hour, rows in clips.groupby("hour")}
    assert sizes == {10: 360, 11: 1080, 12: 1440, 13: 1080, 14: 360}
    assert clips.drop_duplicates(["stratum", "hour"])["stratum"].is_unique
    plain = select_clips(seconds, 60, "stratified", random_state=0)
    plain["hour"] = plain["onset"] // 3600
    assert plain.drop_duplicates(["stratum", "hour"])["stratum"].is_unique
    zoned = {name: f"2024-05-01T{hour}:30:00+02:00" for name, hour in zip(sizes_of(seconds), (10, 11), strict=True)}
    assert select_clips(seconds, 60, "stratified", random_state=0, start=zoned).equals(clips.drop(columns="hour"))
    with pytest.raises(ValueError, match="no time for recording"):
        select_clips(seconds, 60, "stratified", start={"20240501_103000.wav": "2024-05-01 10:30"})


def sizes_of(seconds):
    return seconds.index.unique("recording")


def test_allocation_is_even_and_within_bounds():
    assert _allocate(12, np.ones(4), np.array([100, 100, 100, 1])).tolist() == [4, 4, 3, 1]
    assert _allocate(10, np.array([90, 10]), np.array([90, 10])).tolist() == [8, 2]
    assert _allocate(3, np.ones(2), np.array([1, 2])).tolist() == [1, 2]


def test_uncertain_clips_are_those_nearest_to_the_threshold():
    seconds = make_timeline({"a.wav": np.repeat([0.01, 0.45, 0.55, 0.9, 0.2], 5)})
    clips = select_clips(seconds, 2, "uncertain")
    assert clips["score"].tolist() == pytest.approx([0.45, 0.55])
    assert clips["probability"].isna().all()


class Told:
    """Stands for a detector with a threshold."""

    threshold_ = 0.05

    def iter_detections(self):
        raise AssertionError


def test_the_threshold_may_be_told_by_a_detector(quick_detector, cry_data):
    seconds = make_timeline({"a.wav": np.repeat([0.01, 0.06, 0.3, 0.4], 5)})
    assert select_clips(seconds, 1, "uncertain").attrs["threshold"] == 0.4  # nothing counts as crying
    clips = select_clips(seconds, 1, "uncertain", detector=Told())
    assert clips["onset"].tolist() == [5]
    with pytest.raises(ValueError, match="no 'cry'"):
        select_clips(seconds.drop(columns="cry"))
    assert len(select_clips(seconds.drop(columns="cry"), 2, detector=Told())) == 2

    recordings = cry_data[0]
    clips = select_clips(list(quick_detector.iter_detections(recordings)), 10, "stratified", random_state=0)
    assert clips.attrs["threshold"] == quick_detector.threshold_
    same = select_clips(quick_detector.timeline(recordings), 10, "stratified", random_state=0, detector=quick_detector)
    pd.testing.assert_frame_equal(clips, same)
    assert clips["recording"].dtype.kind == "i"


def test_diverse_clips_are_of_different_sounds(rng, sr):
    t = np.arange(60 * sr) / sr
    tone = 0.2 * sum(np.sin(2 * np.pi * 450 * k * t) for k in (1, 2, 3)) * (np.sin(2 * np.pi * t) > 0)
    sounds = [0.02 * rng.normal(size=60 * sr), np.concatenate([0.02 * rng.normal(size=55 * sr), tone[: 5 * sr]])]
    seconds = make_timeline({0: np.full(60, 0.1), 1: np.full(60, 0.1)})
    clips = select_clips(seconds, 2, "diverse", recordings=sounds, random_state=0)
    assert len(clips) == 2
    assert (1, 55) in list(zip(clips["recording"], clips["onset"], strict=True))
    assert clips.equals(select_clips(seconds, 2, "diverse", recordings=sounds, random_state=0))
    with pytest.raises(ValueError, match="Pass their folder"):
        select_clips(seconds, 2, "diverse")
    with pytest.raises(ValueError, match="not among recordings"):
        select_clips(seconds, 2, "diverse", recordings=sounds[:1])
    with pytest.raises(ValueError, match="shorter than its seconds"):
        select_clips(seconds, 2, "diverse", recordings=[sounds[0], sounds[1][: 50 * sr]])
    silent = select_clips(seconds, 5, "diverse", recordings=[np.zeros(60 * sr)] * 2, random_state=0)  # all alike
    assert len(silent) == 5


def test_all_clips_are_taken_if_there_are_fewer(seconds):
    few = seconds.loc[["c.wav"]]
    for strategy in STRATEGIES:
        with pytest.warns(UserWarning, match="there are 118 of 5 s"):
            clips = select_clips(few, 500, strategy)
        assert len(clips) == 118  # the last three of 593 s are no clip
        if strategy != "uncertain":
            assert (clips["probability"] == 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.assign(score=table["score"] - 2), "must be from 0 to 1"),
        (lambda table: table.assign(score=np.nan), "must be from 0 to 1"),
        (lambda table: table.drop(columns="score"), "no 'score'"),
        (lambda table: table.reset_index(), "is indexed by"),
        (lambda table: table.iloc[::-1], "seconds must be sorted"),
        (lambda table: table.iloc[:4], "none of 1 recordings holds a clip"),
        (lambda table: table.iloc[:0], "none of 0 recordings holds a clip"),
        (lambda table: table.assign(usable=False), "none of 3 recordings holds a clip"),
        (lambda table: [1, 2], "list of int"),
        (lambda table: [], "list of no recording"),
    ],
)
def test_bad_seconds_are_refused(seconds, change, message):
    with pytest.raises(ValueError, match=message):
        select_clips(change(seconds))


def test_bad_parameters_are_refused(seconds):
    for name, value in {"n": 0, "strategy": "best", "duration": 2.5, "context": -1}.items():
        with pytest.raises(ValueError, match=name):
            select_clips(seconds, **{name: value})


def test_unusable_seconds_may_have_any_score(seconds):
    seconds.loc[~seconds["usable"], "score"] = np.nan
    assert select_clips(seconds, 30, "stratified", random_state=0)["score"].notna().all()
