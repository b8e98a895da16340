import warnings

import numpy as np
import pytest
from helpers import checked, fast, make_quick_detector
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

import skcry
from skcry import CryDetector, Denoise, EnergyGate, Windower
from skcry.detector.live import EventTracker, RunningPool
from skcry.detector.pooling import SecondScorer
from skcry.events import find_events
from skcry.io import Gap

SR = 16000


def cut(y, *places):
    return np.split(y, sorted(place for place in places if place <= len(y)))


def scores_of(found):
    return np.array([one.score for one in found])


def assert_same(found, timeline, events):
    """Compare what was heard live with a timeline and events of the same recording."""
    assert [one.second for one in found] == list(range(len(timeline)))
    np.testing.assert_allclose(scores_of(found), timeline["score"], atol=1e-5)
    assert [one.cry for one in found] == timeline["cry"].tolist()
    assert [one.usable for one in found] == timeline["usable"].tolist()
    ended = [event for one in found for event in one.events if event.final]
    table = np.array([(event.onset, event.offset, event.score) for event in ended]).reshape(-1, 3)
    np.testing.assert_allclose(table, events[["onset", "offset", "score"]], atol=1e-5)


@checked
@given(st.integers(1, 700_000), st.lists(st.integers(0, 700_000), max_size=30))
def test_scores_are_those_of_the_file_at_any_blocking(quick_detector, recordings, length, places):
    y = np.concatenate(recordings[:2])[:length]
    found = list(quick_detector.listen(cut(y, *places)))
    assert_same(found, quick_detector.timeline([y]), quick_detector.detect([y]))


@pytest.mark.parametrize(
    ("parameters", "windower"),
    [
        ({"smooth_duration": 5, "merge_gap": 0.0, "min_duration": 0.0}, {"window_duration": 3, "hop_duration": 0.5}),
        ({"target_duration": None}, {"window_duration": 2, "hop_duration": 3}),
        ({"target_duration": 1.0, "smooth_duration": 1}, {"window_duration": 2.5, "hop_duration": 1.3, "last": "pad"}),
        ({"merge_gap": 2.5, "min_duration": 3}, {"last": "pad"}),
        ({"target_duration": None, "smooth_duration": 1}, {"window_duration": 0.3, "hop_duration": 2}),
    ],
)
def test_other_windows(recordings, annotations, infants, parameters, windower):
    detector = make_quick_detector(windower=Windower(**windower), **parameters)
    detector.fit(recordings, annotations, groups=infants)
    y = np.concatenate(recordings)[: 100 * SR + 7000]
    for places in (range(0, len(y), 8000), range(1000, len(y), 37_777)):
        assert_same(list(detector.listen(cut(y, *places))), detector.timeline([y]), detector.detect([y]))


def test_a_filter_settles_before_the_windows(recordings, annotations, infants):
    detector = CryDetector(fast(), threshold=0.5).fit(recordings, annotations, groups=infants)
    y = np.concatenate(recordings)  # longer than the context that is kept
    assert_same(list(detector.listen(cut(y, *range(0, len(y), SR)))), detector.timeline([y]), detector.detect([y]))


def test_the_detector_of_the_package(recordings):
    detector, y = skcry.load_pretrained(), recordings[0]
    found = list(detector.listen(cut(y, *range(3000, len(y), 9000)), sr=SR))
    assert_same(found, detector.timeline([y]), detector.detect([y]))


def test_several_classes(recordings, annotations, infants):
    several = [table.replace({"label": {"cry": ["cry", "fuss"][i % 2]}}) for i, table in enumerate(annotations)]
    detector = make_quick_detector(positive=None).fit(recordings, several, groups=infants)
    y = np.concatenate(recordings)
    found, timeline = list(detector.listen(cut(y, *range(0, len(y), SR)))), detector.timeline([y])
    assert [one.label for one in found] == timeline["label"].tolist()
    np.testing.assert_allclose(
        [one.probabilities for one in found], timeline[list(map(str, detector.classes_))], atol=1e-5
    )
    ended = sorted([e.onset, e.offset, e.label] for one in found for e in one.events if e.final)
    assert ended == sorted(detector.detect([y])[["onset", "offset", "label"]].to_numpy().tolist())
    assert all(one.cry is None for one in found)


def test_a_second_is_told_when_its_windows_are_heard(quick_detector, recordings):
    heard = []

    def blocks():
        for place in range(0, 20 * SR, SR // 10):
            heard.append(place + SR // 10)
            yield recordings[0][place : place + SR // 10]

    delays = [heard[-1] / SR - (one.second + 1) for one in quick_detector.listen(blocks())]
    # 2 s of the window after its middle second, and 1 s of smoothing; the first seconds wait for the first window.
    assert delays[2:17] == [3.0] * 15
    assert max(delays) == 4.0


@checked
@given(
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.sampled_from([0, 0.5, 1, 2.5, 5]),
    st.sampled_from([0, 1, 2.5, 5]),
    st.sampled_from([0.25, 1.0]),
)
def test_events_are_those_of_find_events(active, merge_gap, min_duration, last):
    tracker, reports = EventTracker("cry", merge_gap, min_duration), []
    for second, one in enumerate(active):
        reports.append(tracker.push(second, one, 1.0, last if second == len(active) - 1 else 1.0))
    duration = len(active) - 1 + last
    reports = [event for event in (*reports, tracker.finish(duration)) if event is not None]
    expected = find_events(active, merge_gap=merge_gap, min_duration=min_duration, duration=duration)
    assert [(event.onset, event.offset) for event in reports if event.final] == list(map(tuple, expected.tolist()))
    begun = [event.onset for event in reports if not event.final]
    assert set(begun) <= set(expected[:, 0].tolist())  # what was told to begin is never taken back
    assert len(begun) == len(set(begun))


@checked
@given(
    st.integers(1, 50),
    st.integers(1, 80),
    st.sampled_from([None, 0.5, 1.0, 2.0]),
    st.sampled_from([1, 3, 5]),
    st.data(),
)
def test_seconds_are_pooled_as_in_one_piece(n, hop, target, smoothing, data):
    sr = 10
    n = n if target is None else max(n, round(target * sr))
    about = {"n_scores": 1, "window_length": n, "sr": sr, "target_duration": target, "smooth_duration": smoothing}
    scorer = SecondScorer(None, "decision_function", **about)
    length = data.draw(st.integers(n, n + 300))
    start = np.arange(0, length - n + 1, hop)
    scores = np.random.default_rng(n).normal(size=(len(start), 1))
    pool, place, parts = RunningPool(scorer, hop), 0, []
    while place < len(start):
        step = data.draw(st.integers(1, 5))
        parts.append(pool.push(start[place : place + step], scores[place : place + step]))
        place += step
    parts.append(pool.push(start[:0], None, length))
    np.testing.assert_allclose(np.concatenate(parts), scorer.pool(scores, start, length), atol=1e-9)


def test_memory_holds_a_part_of_the_sound_only(quick_detector):
    block = np.zeros(SR * 60, dtype=np.float32)
    block[::7] = 0.01
    generator = quick_detector.listen(block for _ in range(30))
    for _ in generator:
        frame = generator.gi_frame
        if frame is None:
            break
        held = frame.f_locals
    assert len(held["stretch"].sound) < 200 * SR
    assert len(held["waiting"]) < 70
    assert len(held["pool"]._start) < 20


# Sound with faults


def test_blocks_of_any_kind(quick_detector, recordings):
    y = recordings[0]
    expected = quick_detector.timeline([y])["score"]
    integers = (y * 32767).astype(np.int16)
    stereo = np.column_stack([np.zeros_like(y), y])
    for blocks, about in [
        ([y[:0], y, y[:0]], {}),
        ([y.astype(np.float64)], {}),
        (cut(integers, 5000, 300_000), {}),
        (cut(stereo, 7777), {"channel": 1}),
        ([y.tolist()], {}),
    ]:
        np.testing.assert_allclose(scores_of(quick_detector.listen(blocks, **about)), expected, atol=2e-2)


def test_another_rate(quick_detector, recordings):
    y = np.repeat(recordings[0], 3)  # at 48000 Hz
    found = scores_of(quick_detector.listen(cut(y, *range(0, len(y), 4801)), sr=48000))
    np.testing.assert_allclose(found, quick_detector.timeline([(48000, y)])["score"], atol=1e-3)


def test_silence_is_not_usable(quick_detector):
    found = list(quick_detector.listen(np.zeros((90, SR), dtype=np.int16)))
    assert not any(one.usable for one in found)
    assert {one.level for one in found} == {-120.0}
    (problem,) = [problem for one in found for problem in one.problems]
    assert "digital silence" in problem


def test_clipping_is_told_once_an_hour(quick_detector):
    block = np.where(np.arange(SR) % 50 < 2, 1.0, 0.1).astype(np.float32)
    found = quick_detector.listen(block for _ in range(150))
    (problem,) = [problem for one in found for problem in one.problems]
    assert "4% of the values of a minute are at full scale" in problem


def test_integers_that_were_made_floats_are_told(quick_detector, recordings):
    found = quick_detector.listen(np.tile(recordings[0], 2)[np.newaxis] * 32768)
    (problem,) = [problem for one in found for problem in one.problems]
    assert "where full scale is 1. Divide them, such as by 32768." in problem


def test_a_gap_keeps_the_times_and_is_not_usable(quick_detector, recordings):
    y = recordings[0] + np.float32(1e-4) * (np.arange(len(recordings[0])) % 2)  # without digital silence
    blocks = [y[: 10 * SR + 4000], Gap(130.5, "the network was down"), y[10 * SR + 4000 :], Gap(0.0)]
    found = list(quick_detector.listen(blocks))
    assert len(found) == 171
    assert [one.second for one in found if not one.usable] == [*range(10, 141), 170]
    filled = np.concatenate([y[: 10 * SR + 4000], np.zeros(int(130.5 * SR), np.float32), y[10 * SR + 4000 :]])
    np.testing.assert_allclose(scores_of(found), quick_detector.timeline([filled])["score"], atol=1e-5)
    problems = [problem for one in found for problem in one.problems]
    assert problems[0] == "130.5 s are missing at 10.2 s: the network was down."
    assert "an unknown time is missing" in problems[-1]


def test_a_source_that_fails_loses_nothing(quick_detector, recordings):
    def blocks():
        yield recordings[0][: 10 * SR]
        raise OSError("the cable was pulled")

    found = []
    with pytest.raises(OSError, match="the cable was pulled"):
        found.extend(quick_detector.listen(blocks()))
    np.testing.assert_allclose(
        scores_of(found), quick_detector.timeline([recordings[0][: 10 * SR]])["score"], atol=1e-5
    )


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (np.full(100, np.nan), r"NaN, infinity or a value above 1e\+12 at 1.000 s"),
        (b"1234", "For bytes, use skcry.io.read_pipe"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\) at 1.000 s"),
        (np.array(["a"]), "must give arrays of numbers"),
        (np.zeros((100, 2)), "2 channels at 1.000 s, but 1 before"),
        (np.float32(0.5), r"of a single array make a list"),
        (np.ones(100, dtype=bool), "must give arrays of numbers"),
        (Gap(-1.0), r"must last from 0 to 604800 s \(a week\)"),
        (Gap(1e9), "After a longer one, listen anew"),
        (Gap(np.nan), "A gap of nan s must last"),
    ],
)
def test_blocks_that_are_no_sound(quick_detector, rng, block, message):
    found = []
    with pytest.raises((ValueError, TypeError), match=message):
        found.extend(quick_detector.listen([rng.normal(size=SR), block]))
    assert len(found) == 1  # the second before is scored


def test_sources_that_are_none(quick_detector):
    for source in ("day.wav", b"abc", 7):
        with pytest.raises(TypeError, match="must be an iterable of blocks"):
            quick_detector.listen(source)
    with pytest.raises(ValueError, match="ended before it gave any sound"):
        list(quick_detector.listen([]))
    for rate in (0, 10, 16000.5, "16000"):
        with pytest.raises((ValueError, TypeError), match="must be a whole number from 1000"):
            quick_detector.listen([], sr=rate)
    with pytest.raises(ValueError, match=r"block of shape \(2, 16000\) at 0.000 s, .* Transpose it"):
        list(quick_detector.listen([np.ones((2, SR))]))
    with pytest.raises(ValueError, match="channel=1 must be from 0 to 0"):
        list(quick_detector.listen([np.ones(SR)], channel=1))


def test_detectors_that_need_later_sound(recordings, annotations, infants):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gated = make_quick_detector(gate=EnergyGate()).fit(recordings, annotations, groups=infants)
        cleaned = CryDetector(fast(first=[Denoise()]), threshold=0.5).fit(recordings, annotations, groups=infants)
    with pytest.raises(ValueError, match="gate=None to listen"):
        gated.listen([])
    with pytest.raises(ValueError, match="Denoise estimates noise from up to 75 s"):
        cleaned.listen([])
    with pytest.raises(NotFittedError):
        CryDetector().listen([])
