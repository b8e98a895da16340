import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers import covered, fast
from scipy.special import logit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from skcry import CryDetector, EnergyGate, Windower
from skcry.detector import threshold
from skcry.detector.targets import Roles
from skcry.detector.threshold import (
    LeftOut,
    OperatingPoint,
    annotated_level,
    background_level,
    background_quantile,
    best_f1_threshold,
    false_alarm_threshold,
)
from skcry.events import find_events
from skcry.metrics import event_metrics, event_truth, threshold_counts


def soft():
    """No score saturates, so shifts can be read off."""
    return fast(LogisticRegression(C=1e-3))


def odds(detector, recordings):
    return logit(np.clip(detector.timeline(recordings)["score"].to_numpy(), 1e-12, 1 - 1e-12))


@pytest.fixture(scope="module")
def pickled(recordings, annotations, infants):
    return pickle.dumps(CryDetector(soft(), random_state=0).fit(recordings, annotations, groups=infants))


@pytest.fixture
def fitted(pickled):
    return pickle.loads(pickled)


def test_annotated_level_is_the_mode_of_the_posterior(rng):
    scores, crying = rng.normal(size=90), rng.random(90) < 0.3

    def loss(level):
        return np.logaddexp(0, -np.where(crying, 1, -1) * (scores + level)).sum() / 3 + level**2 / (2 * 0.5**2)

    level = annotated_level(scores, crying)
    assert loss(level) < min(loss(level - 1e-3), loss(level + 1e-3))


def test_a_few_seconds_move_little_and_more_move_further(rng):
    scores = rng.normal(size=600)
    crying = rng.random(600) < 1 / (1 + np.exp(-scores - 2))  # crying more likely than the scores say
    levels = [annotated_level(scores[:n], crying[:n]) for n in (3, 30, 600)]
    assert abs(levels[0]) < 0.3
    assert levels[0] < levels[1] < levels[2]
    assert levels[2] == pytest.approx(2, abs=0.4)


@pytest.mark.parametrize("n", [1, 100, 10**5])
def test_a_single_class_gives_a_level_of_its_sign(n):
    up, down = (annotated_level(np.zeros(n), np.full(n, crying)) for crying in (True, False))
    assert 0 < up < 8
    assert down == pytest.approx(-up)
    assert abs(annotated_level(np.full(n, 40.0), np.ones(n, dtype=bool))) < 1e-6  # nothing to be learned


def test_background_level_believes_in_proportion_to_time(rng):
    scores = rng.normal(size=10**5)
    expected = background_quantile(scores)
    assert background_level(scores + 3, expected) == pytest.approx(-3, abs=0.01)
    assert background_level(scores[:100] + 3, background_quantile(scores[:100])) == pytest.approx(-1.5)
    mixed = np.where(rng.random(10**5) < 0.3, scores + 6, scores)  # crying raises the mean by 1.8
    assert abs(background_level(mixed, expected)) < 0.3


def test_level_shifts_the_log_odds_of_every_second(fitted, recordings, annotations):
    before, threshold, slope = odds(fitted, recordings), fitted.threshold_, fitted.calibrator_[-1].coef_.copy()
    assert fitted.level_ == 0.0
    assert fitted.calibrate(recordings[:2], [[], []]) is fitted
    assert fitted.level_ < -0.1
    np.testing.assert_allclose(odds(fitted, recordings), before + fitted.level_, rtol=1e-6)
    assert fitted.threshold_ == threshold
    np.testing.assert_array_equal(fitted.calibrator_[-1].coef_, slope)
    events = fitted.detect(recordings)
    assert set(np.flatnonzero(fitted.predict(recordings))) == set(events["recording"])
    fitted.fit(recordings, annotations)
    assert fitted.level_ == 0.0


def test_level_is_that_of_the_annotated_seconds(fitted, recordings, annotations):
    before, usable = odds(fitted, recordings[:2]), fitted.timeline(recordings[:2])["usable"].to_numpy()
    crying = covered(annotations[:2], np.arange(40), 1) >= 0.5
    fitted.calibrate(recordings[:2], annotations[:2])
    assert fitted.level_ == pytest.approx(annotated_level(before[usable], crying.ravel()[usable]), abs=1e-6)


def test_calibrating_again_starts_from_the_original(pickled, recordings, annotations):
    once, again = pickle.loads(pickled), pickle.loads(pickled)
    for arguments in [(recordings[2:4],), (recordings[2:4], annotations[2:4])]:
        once.level_ = 0.0
        level = once.calibrate(*arguments).level_
        again.calibrate(recordings[:1], [[]]).calibrate(recordings[:1])
        assert again.calibrate(*arguments).level_ == level != 0.0


def test_without_annotations_the_background_comes_back(fitted, recordings):
    assert fitted.background_level_ < logit(fitted.threshold_)
    fitted.background_level_ -= 2.0  # as if all scores of this home were higher by 2
    usable = fitted.timeline(recordings)["usable"].to_numpy()
    before, n = np.quantile(odds(fitted, recordings)[usable], 0.1), usable.sum()
    level = fitted.calibrate(recordings).level_
    assert level == pytest.approx((fitted.background_level_ - before) * n / (n + 100), abs=1e-6)
    assert level < 0


def test_clone_and_pickle(fitted, recordings):
    fitted.calibrate(recordings[:1], [[]])
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy.level_ == fitted.level_ != 0.0
    pd.testing.assert_frame_equal(copy.timeline(recordings), fitted.timeline(recordings))
    with pytest.raises(NotFittedError):
        clone(fitted).calibrate(recordings)


@pytest.mark.parametrize("classifier", [LogisticRegression(C=1e-3), SVC(C=0.01)])
def test_uncalibrated_scores_shift_too(recordings, annotations, classifier):
    detector = CryDetector(fast(classifier), threshold=0.4).fit(recordings, annotations)
    before = odds(detector, recordings)
    with pytest.raises(ValueError, match=r"there are none \(threshold=0.4\). Pass annotations y"):
        detector.calibrate(recordings)
    assert detector.calibrate(recordings[:1], [[(0, 40)]]).level_ > 0.1
    np.testing.assert_allclose(odds(detector, recordings), before + detector.level_, rtol=1e-6)


def test_crying_may_be_the_first_class(recordings, annotations):
    named = CryDetector(fast(), positive=None, negative="quiet", random_state=0).fit(recordings, annotations)
    plain = CryDetector(fast(), random_state=0).fit(recordings, annotations)
    assert named.positive_index_ == 0
    assert named.background_level_ == pytest.approx(plain.background_level_, abs=0.01)
    for y in (None, [[(0, 40)]], annotations[:1]):
        level = plain.calibrate(recordings[:1], y).level_
        assert named.calibrate(recordings[:1], y).level_ == pytest.approx(level, abs=0.01)
    pd.testing.assert_frame_equal(named.timeline(recordings), plain.timeline(recordings), atol=0.01)


def test_what_the_gate_closes_stays_background_and_does_not_count(recordings, annotations, sr):
    detector = CryDetector(soft(), gate=EnergyGate(), random_state=0).fit(recordings, annotations)
    quiet = np.concatenate([recordings[0], 1e-6 * np.random.default_rng(0).normal(size=40 * sr)])
    before = detector.timeline([quiet])["score"].to_numpy()
    closed, usable = before == 0, detector.timeline([quiet])["usable"].to_numpy()
    assert closed[45:].all()
    assert not closed.all()
    for y in (None, [[(0, 80)]]):
        level = detector.calibrate([quiet], y).level_
        after = detector.timeline([quiet])["score"].to_numpy()
        assert (after[closed] == 0).all()
        np.testing.assert_allclose(logit(after[~closed]), logit(before[~closed]) + level, rtol=1e-6)
    counts = usable & ~closed
    assert level == pytest.approx(annotated_level(logit(before[counts]), np.ones(counts.sum(), dtype=bool)))
    with pytest.raises(ValueError, match="0 hold sound that the gate leaves open"):
        detector.calibrate([quiet[-20 * sr :]])


def test_silent_seconds_do_not_count(fitted, recordings, sr):
    tone = recordings[0][: 20 * sr]
    level = fitted.calibrate([tone, np.zeros(30 * sr)], [[], [(0, 30)]]).level_
    alone = fitted.calibrate([tone], [[]]).level_
    assert alone == pytest.approx(level, abs=1e-6)
    with pytest.raises(ValueError, match="0 hold sound. Pass recordings that do"):
        fitted.calibrate([np.zeros(5 * sr)], [[]])
    assert fitted.level_ == alone


def test_files_and_blocks_make_no_difference(fitted, recordings, annotations, tmp_path, sr, monkeypatch):
    three, tables = recordings[:3], annotations[:3]
    level = pytest.approx(fitted.calibrate(three, tables).level_, abs=1e-6)
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", recordings[number], sr, subtype="FLOAT")
    assert fitted.calibrate(sorted(tmp_path.glob("*.wav")), tables).level_ == level
    monkeypatch.setattr("skcry.windows.stretches.STRETCH_DURATION", 50.0)
    assert fitted.calibrate(three, tables).level_ == level
    assert fitted.calibrate(np.stack(three), tables).level_ == level


def test_after_labels_of_recordings_annotations_calibrate(recordings):
    weak = CryDetector(soft(), threshold=0.5).fit(recordings, ["cry", "other"] * 3)
    before = weak.decision_function(recordings)
    level = weak.calibrate(recordings[:1], [[(0, 40)]]).level_
    np.testing.assert_allclose(weak.decision_function(recordings), before - level, atol=1e-6)  # classes_[1] is other
    assert level > 0.1


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([], None, "X holds no recording"),
        ([np.full(32000, np.nan)], None, "NaN"),
        ([np.ones(0)], [[]], "is empty"),
        (None, [[]], "inconsistent numbers of samples"),
        (None, ["cry"] * 6, "one label per recording, but calibrate needs annotations"),
        (None, [[(0, 50)]] * 6, "lasts 40 s"),
        (None, [[(np.nan, 5)]] * 6, "missing or infinite"),
        (None, pd.DataFrame({"onset": [0.0], "offset": [1.0]}), "y must be a list with one table of annotations"),
        (None, {0: []}, "y must be a list with one table of annotations per recording"),
        (None, [None] * 6, "y must be a list with one table of annotations per recording"),
    ],
)
def test_faulty_input_leaves_the_detector_as_it_was(fitted, recordings, X, y, message):
    level = fitted.calibrate(recordings[:1], [[]]).level_
    with pytest.raises(ValueError, match=message):
        fitted.calibrate(recordings if X is None else X, y)
    assert fitted.level_ == level


def test_several_classes_are_refused(recordings, annotations):
    detector = CryDetector(fast(), threshold=0.5).fit(recordings, ["cry", "talk", "other"] * 2)
    assert detector.level_ == 0.0
    with pytest.raises(ValueError, match=r"classes are \['cry', 'other', 'talk'\], none of which"):
        detector.calibrate(recordings, annotations)


def test_a_louder_home_is_made_up_for(sr):
    """Scores by loudness: with twice the gain, false alarms are many until the level is moved."""
    loudness = FunctionTransformer(lambda X: np.log(np.asarray(X).std(axis=1, keepdims=True) + 1e-9))
    rng = np.random.default_rng(0)

    def home(gain, n_seconds):
        crying = np.arange(n_seconds) % 60 < 12
        amplitude = np.where(crying, 0.3, 0.1) * np.exp(rng.normal(0, 0.4, n_seconds)) * gain
        return (amplitude[:, None] * rng.normal(size=(n_seconds, sr))).ravel(), crying

    def annotate(crying):
        return [(start, start + 12) for start in range(0, len(crying), 60)]

    homes = [home(1, 120) for _ in range(4)]
    detector = CryDetector(make_pipeline(loudness, LogisticRegression()), windower=Windower(1, 1), random_state=0)
    detector.fit([y for y, _ in homes], [annotate(crying) for _, crying in homes])
    sound, crying = home(2, 300)
    wrong = (detector.timeline([sound])["cry"].to_numpy() != crying).mean()
    assert wrong > 0.25
    for y in (None, [annotate(crying[:180])]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            detector.calibrate([sound[: 180 * sr]], y)
        found = detector.timeline([sound])["cry"].to_numpy()
        assert (found != crying)[180:].mean() < 0.6 * wrong


def test_digital_silence_in_training_is_no_background(recordings, annotations, sr):
    padded = [np.concatenate([y[: 20 * sr], np.zeros(10 * sr)]) for y in recordings]
    early = [[(a, min(b, 20), "cry") for a, b in t[["onset", "offset"]].to_numpy() if a < 20] for t in annotations]
    silent = CryDetector(soft(), windower=Windower(1, 1), random_state=0).fit(padded, early)
    timeline = silent.timeline(padded)
    expected = np.quantile(logit(timeline["score"][timeline["usable"]]), 0.1)
    quantile = np.quantile(logit(timeline["score"]), 0.1)
    # Scores that were left out differ from these a little; the silence would make far more of a difference.
    assert abs(silent.background_level_ - expected) < 0.5 * abs(quantile - expected)


def test_labels_none_of_which_is_crying_are_told(fitted, recordings, annotations):
    with pytest.warns(UserWarning, match=r"None of the labels \['scream'\] is crying \(positive=\['cry'\]\)"):
        fitted.calibrate(recordings, [one.assign(label="scream") for one in annotations])
    with pytest.raises(ValueError, match="'Cry' differs from 'cry' only by case, blanks or accents"):
        fitted.calibrate(recordings, [one.assign(label="Cry") for one in annotations])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.calibrate(recordings, annotations).calibrate(recordings, [[]] * len(recordings))


def test_best_threshold_has_the_best_f1(rng):
    truth = rng.random(300) < 0.3
    score = np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1)
    best = f1_score(truth, score >= best_f1_threshold(truth, score))
    assert best == pytest.approx(max(f1_score(truth, score >= level) for level in score))


RULES = {"merge_gap": 5.0, "min_duration": 5.0}


def _night(rng, n_seconds=1800, n_cries=6):
    """Scores with crying of 20 s and with other sounds that score as variously."""
    score, cries = rng.random(n_seconds) * 0.1 + 0.01, []
    for place in range(2 * n_cries):
        onset = 60 + place * 140
        score[onset : onset + 20] = rng.random() * 0.5 + (0.4 if place % 2 else 0.2)
        if place % 2:
            cries.append((onset, onset + 20))
    return score, cries


@pytest.mark.parametrize("rate", [0, 2, 3.9, 10])
def test_false_alarm_threshold_is_the_lowest_that_keeps_to_the_rate(rng, rate):
    nights = [_night(rng) for _ in range(2)]
    scores, true = [score for score, _ in nights], event_truth([cries for _, cries in nights])
    level = false_alarm_threshold(scores, true, [1800.0, 1800.0], rate, **RULES)
    # Every threshold by the metrics' own table; coming from above, the first with too many is one score lower.
    timeline = pd.concat({i: pd.DataFrame({"score": score}) for i, score in enumerate(scores)})
    timeline.index.names = ["recording", "second"]
    levels = np.unique(timeline["score"])
    curve = event_metrics(threshold_counts(true, timeline, n_thresholds=10**5, **RULES), by="threshold")
    rates = curve["false_alarms_per_hour"].sort_index(ascending=False)
    assert len(rates) == len(levels)
    kept = rates.index[np.cumsum(rates.to_numpy() > rate) == 0]
    assert kept.min() >= level > levels[np.searchsorted(levels, kept.min()) - 1]
    assert len(kept) < len(rates)


def test_false_alarms_are_not_avoided_by_one_endless_event(rng):
    score, cries = _night(rng)
    level = false_alarm_threshold([score], event_truth([cries]), [1800.0], 2.0, **RULES)
    assert len(find_events(score >= score.min(), **RULES)) == 1  # one false alarm in half an hour
    assert level > 0.15


def test_false_alarm_threshold_above_all_scores():
    true = event_truth([[(100, 120)]])
    above, below = (false_alarm_threshold([np.full(600, 0.3)], true, [600.0], rate, **RULES) for rate in (5.9, 6.0))
    assert above == np.nextafter(0.3, 1)
    assert 0 < below < 0.3  # all keep to it


def test_false_alarm_threshold_takes_few_evaluations(rng, monkeypatch):
    calls, count = [], threshold.event_counts
    monkeypatch.setattr(threshold, "event_counts", lambda *tables: calls.append(1) or count(*tables))
    score, cries = _night(rng, 20000)
    false_alarm_threshold([score], event_truth([cries]), [20000.0], 0.5, **RULES)
    assert 5 < len(calls) <= 40


def test_certain_background_is_no_alarm():
    score = np.r_[np.zeros(100), np.full(20, 0.8)]
    level = false_alarm_threshold([score], event_truth([[(100, 120)]]), [120.0], 1000.0, **RULES)
    assert 0 < level < 0.8


def _left_out(rng, n_recordings=4, slope=2.0, **about):
    """Recordings of 60 s, scored by an estimator whose scores are `slope` higher in crying."""
    for number in range(n_recordings):
        truth = (np.arange(60) % 20 < 6).astype(int)
        scores, usable = rng.normal(slope * truth, 1.0)[:, None], np.ones(60, dtype=bool)
        cries = event_truth([[(start, start + 6, "cry") for start in range(0, 60, 20)]])
        known = np.ones(60, dtype=bool)
        yield LeftOut(number, number, scores, truth, known, usable, 60.0, **{"true_events": cries, **about})


CRYING = Roles(interesting=[1], positive=1, background=0)


def test_operating_point_learns_calibration_threshold_and_background(rng):
    left_out = list(_left_out(rng))
    left_out[1].scores[:10] = np.nan  # closed by a gate
    left_out[2].usable[:10] = False
    point = OperatingPoint(np.array([0, 1]), CRYING).fit(left_out)
    scores, truth = (np.concatenate([getattr(one, name) for one in left_out]) for name in ("scores", "truth"))
    probability = point.predict_proba(scores)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (probability[60:70] == [1, 0]).all()
    heard = ~np.isnan(scores[:, 0])
    assert probability[heard, 1].mean() == pytest.approx(truth[heard].mean(), abs=0.01)
    assert point.threshold_ == best_f1_threshold(truth == 1, probability[:, 1])
    counts = heard & np.concatenate([one.usable for one in left_out])
    assert point.background_level_ == background_quantile(point.log_odds(scores[counts]))
    assert point.left_out_["recording"].tolist() == np.repeat(np.arange(4), 60).tolist()
    scores, crying = scores[counts], truth[counts] == 1
    assert point.adapt(scores, crying).level_ == annotated_level(point.log_odds(scores), crying)


def test_operating_point_of_recordings_with_labels(rng):
    left_out = list(_left_out(rng, true_events=None))
    for one in left_out[::2]:
        one.truth[:], one.scores[:] = 0, rng.normal(size=(60, 1))
    point = OperatingPoint(np.array([0, 1]), CRYING, min_duration=2.0).fit(left_out)
    assert point.left_out_["score"].shape == (4,)
    assert point.left_out_["crying"].tolist() == [False, True, False, True]


def test_scores_that_fall_with_crying_stay_uncalibrated(rng):
    with pytest.warns(UserWarning, match="did not score crying above the rest"):
        point = OperatingPoint(np.array([0, 1]), CRYING).fit(list(_left_out(rng, slope=-2.0)))
    assert point.calibrator_ is None
    np.testing.assert_array_equal(point.log_odds(np.array([[1.5]])), [1.5])


def test_a_class_without_a_second_cannot_be_calibrated(rng):
    left_out = list(_left_out(rng))
    for one in left_out:
        one.truth[:] = 0
    with pytest.raises(ValueError, match=r"No second is \[1\]"):
        OperatingPoint(np.array([0, 1]), CRYING).fit(left_out)


def test_a_given_threshold(rng):
    point = OperatingPoint(np.array(["cry", "no"]), Roles([0], 0, 1)).fix(0.3)
    assert (point.threshold_, point.calibrator_, point.left_out_) == (0.3, None, None)
    np.testing.assert_allclose(point.predict_proba(np.array([[np.log(3)]])), [[0.25, 0.75]])
