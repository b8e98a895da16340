import copy
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers import covered, fast, make_quick_detector
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from skcry import CryDetector, HighPassFilter, StatFeatures, Windower, make_cry_pipeline
from skcry.detector.splits import grouped_splits
from skcry.detector.threshold import false_alarm_threshold
from skcry.metrics import event_truth, get_scorer


@pytest.fixture(scope="module")
def fitted(recordings, annotations, infants):
    return CryDetector(fast(), random_state=0).fit(recordings, annotations, groups=infants)


@pytest.fixture(scope="module")
def plain(recordings, annotations):
    return CryDetector(fast(), threshold=0.5).fit(recordings, annotations)


def test_timeline_has_every_second_of_every_recording(fitted, recordings, sr):
    timeline = fitted.timeline([recordings[0], recordings[1][: int(7.3 * sr)], recordings[2][: 2 * sr]])
    assert timeline.index.names == ["recording", "second"]
    assert timeline.groupby("recording").size().tolist() == [40, 8, 2]
    assert timeline["score"].between(0, 1).all()
    np.testing.assert_array_equal(timeline["cry"], timeline["score"] >= fitted.threshold_)


def test_score_is_the_average_precision_over_seconds(fitted, recordings, annotations):
    truth = (covered(annotations, np.arange(40), 1) >= 0.5).ravel()
    expected = average_precision_score(truth, fitted.timeline(recordings)["score"])
    assert fitted.score(recordings, annotations) == pytest.approx(expected)
    assert expected > truth.mean() + 0.2


def test_predict_and_detect_never_disagree(fitted, recordings):
    recordings = [y[start : start + 16000 * 12] for y in recordings for start in (0, 160000, 320000)]
    events = fitted.detect(recordings)
    assert set(np.flatnonzero(fitted.predict(recordings))) == set(events["recording"])
    assert 0 < events["recording"].nunique() < len(recordings)
    assert (events["offset"] > events["onset"]).all()
    np.testing.assert_array_equal(fitted.decision_function(recordings) >= 0, fitted.predict(recordings) == 1)
    np.testing.assert_allclose(fitted.predict_proba(recordings).sum(axis=1), 1)


def test_events_follow_the_timeline(fitted, recordings):
    events = fitted.detect(recordings[:1])
    cry = fitted.timeline(recordings[:1])["cry"].to_numpy()
    inside = np.zeros(40, dtype=bool)
    for row in events.itertuples():
        inside[int(row.onset) : int(row.offset)] = True
        assert row.offset - row.onset >= fitted.min_duration
        assert cry[int(row.onset)]
        assert cry[int(row.offset) - 1]
    outside = np.flatnonzero(cry & ~inside)
    assert all(len(run) < fitted.min_duration for run in np.split(outside, np.flatnonzero(np.diff(outside) > 1) + 1))


def test_batches_of_recordings_make_no_difference(fitted, recordings, monkeypatch):
    together = fitted.timeline(recordings)
    monkeypatch.setattr("skcry.windows.stretches.STRETCH_DURATION", 50.0)
    pd.testing.assert_frame_equal(fitted.timeline(recordings), together)
    alone = pd.concat([fitted.timeline([y]) for y in recordings])
    np.testing.assert_allclose(alone["score"], together["score"])
    pd.testing.assert_frame_equal(fitted.timeline(np.stack(recordings)), together)
    pd.testing.assert_frame_equal(fitted.timeline(tuple(recordings)), together)


def test_files_give_what_arrays_give(fitted, recordings, tmp_path, sr):
    for number, y in enumerate(recordings[:2]):
        soundfile.write(tmp_path / f"{number}.wav", y, sr, subtype="FLOAT")
    paths = sorted(tmp_path.glob("*.wav"))
    from_files = fitted.timeline(paths).rename(index={"0.wav": 0, "1.wav": 1}, level="recording")
    pd.testing.assert_frame_equal(from_files, fitted.timeline(recordings[:2]))


def test_silence_short_and_stuck_recordings_get_an_answer(fitted, sr):
    click = np.zeros(sr * 10)
    click[50000] = 1
    stuck = np.full(sr * 10, 0.7)
    recordings = [np.zeros(sr * 10), click, stuck, np.zeros(1), np.ones(sr // 3)]
    timeline = fitted.timeline(recordings)
    assert np.isfinite(timeline["score"]).all()
    assert timeline.groupby("recording").size().tolist() == [10, 10, 10, 1, 1]
    assert list(fitted.detect([np.zeros(sr * 10)]).columns) == ["recording", "onset", "offset", "score"]
    assert fitted.predict(recordings).shape == (5,)


def test_threshold_is_learned_without_the_scored_group(recordings, annotations, infants):

    class Spy(LogisticRegression):
        def fit(self, X, y):
            seen.append(len(y))
            return super().fit(X, y)

    seen = []
    CryDetector(fast(Spy()), random_state=0).fit(recordings, annotations, groups=infants)
    assert sorted(seen) == [4 * 36] * 3 + [6 * 36]  # one infant of two recordings left out each time
    seen.clear()
    detector = CryDetector(fast(Spy()), threshold=0.5).fit(recordings, annotations)
    assert seen == [6 * 36]
    assert detector.threshold_ == 0.5
    assert detector.calibrator_ is None


def test_given_threshold_keeps_the_estimators_probabilities(recordings, annotations, sr):
    detector = CryDetector(fast(), windower=Windower(1, 1), smooth_duration=1, threshold=0.4)
    detector.fit(recordings, annotations)
    windows = Windower(1, 1).fit_transform(recordings[:1])
    np.testing.assert_allclose(
        detector.timeline(recordings[:1])["score"], detector.estimator_.predict_proba(windows)[:, 1], atol=1e-9
    )


def test_weak_labels(recordings, annotations, infants, sr):
    crying = covered(annotations, np.arange(0, 40, 8), 8)
    clear = [(i, j) for i, j in np.ndindex(crying.shape) if crying[i, j] < 0.1 or crying[i, j] > 5]
    clips = [recordings[i][8 * sr * j : 8 * sr * (j + 1)] for i, j in clear]
    labels, groups = ["cry" if crying[one] > 5 else "other" for one in clear], [infants[i] for i, _ in clear]
    detector = CryDetector(fast(), random_state=0).fit(clips, labels, groups=groups)
    assert detector.classes_.tolist() == ["cry", "other"]
    assert detector.score(clips, labels) > 0.7
    predicted = detector.predict(clips)
    np.testing.assert_array_equal(predicted == "other", detector.decision_function(clips) > 0)
    assert set(np.flatnonzero(predicted == "cry")) == set(detector.detect(clips)["recording"])
    numbers = CryDetector(fast(), random_state=0).fit(clips, np.array(labels) == "cry", groups=groups)
    np.testing.assert_array_equal(numbers.predict(clips), predicted == "cry")


@pytest.mark.parametrize("scoring", ["f1", "average_precision", "accuracy", None])
def test_string_scorers_on_recordings(recordings, annotations, infants, sr, scoring):
    halves = [y[start : start + 20 * sr] for y in recordings for start in (0, 20 * sr)]
    labels = (covered(annotations, np.array([0, 20]), 20) > 4).astype(int).ravel()
    assert 0 < sum(labels) < len(labels)
    detector, apart = CryDetector(fast(), threshold=0.5), {"groups": np.repeat(infants, 2), "cv": GroupKFold(2)}
    scores = cross_val_score(detector, halves, labels, scoring=scoring, error_score="raise", **apart)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_several_classes_pass_by_name(recordings, annotations, infants):
    alternate = [[["cry", "fuss"][(number + i) % 2] for i in range(len(t))] for number, t in enumerate(annotations)]
    named = [table.assign(label=labels) for table, labels in zip(annotations, alternate, strict=True)]
    detector = CryDetector(fast(), positive=None, negative="quiet", cv=2, random_state=0)
    detector.fit(recordings, named, groups=infants)
    assert detector.classes_.tolist() == ["cry", "fuss", "quiet"]
    timeline = detector.timeline(recordings[:2])
    assert timeline.columns.tolist() == ["cry", "fuss", "quiet", "label", "usable"]
    np.testing.assert_allclose(timeline[["cry", "fuss", "quiet"]].sum(axis=1), 1)
    assert set(detector.detect(recordings)["label"]) <= {"cry", "fuss"}
    assert set(detector.predict(recordings)) <= {"cry", "fuss", "quiet"}
    assert detector.decision_function(recordings).shape == (6, 3)
    assert 0 < detector.score(recordings, named) <= 1


@pytest.mark.slow
def test_grid_search_over_recordings_with_nested_parameters(recordings, annotations, infants, tmp_path):
    pipeline = make_cry_pipeline(features=("embedding", "stats"), random_state=0).set_params(
        features__embedding__mel__n_mels=24,
        features__embedding__net__width=1 / 32,
        features__embedding__net__max_epochs=1,
        features__embedding__net__early_stopping=False,
        features__stats__features=["mfcc"],
    )
    grid = {
        "windower__hop_duration": [1.0, 2.0],
        "estimator__highpass__cutoff": [300],
        "estimator__features__embedding__mel__n_fft": [512],
        "estimator__features__embedding__net__lr": [1e-2],
        "estimator__classify__C": [0.5],
        "merge_gap": [2.0],
    }
    detector = CryDetector(pipeline, windower=Windower(), threshold=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        search = GridSearchCV(detector, grid, cv=GroupKFold(2), error_score="raise", n_jobs=2)
        search.fit(recordings, annotations, groups=infants)
    best = search.best_estimator_
    assert best.estimator_[0].cutoff == 300
    assert best.windower_.hop_duration in (1.0, 2.0)
    joblib.dump((best, recordings[0]), tmp_path / "best.joblib")
    load = f"import joblib; d, y = joblib.load({str(tmp_path / 'best.joblib')!r}); "
    code = [sys.executable, "-c", load + "print(d.timeline([y])['score'].tolist())"]
    out = subprocess.run(code, capture_output=True, text=True, check=True)
    np.testing.assert_allclose(eval(out.stdout), best.timeline(recordings[:1])["score"], atol=1e-6)


def test_mixed_windows_can_be_dropped(recordings, annotations):
    class_counts = {}
    for mixed in ("keep", "drop"):
        counts = class_counts[mixed] = []

        class Spy(LogisticRegression):
            def fit(self, X, y, counts=counts):
                counts.append(len(y))
                return super().fit(X, y)

        CryDetector(fast(Spy()), mixed=mixed, random_state=0).fit(recordings, annotations)
    assert len(class_counts["keep"]) == 4
    assert all(np.array(class_counts["drop"]) < class_counts["keep"])  # in cross-validation too


def test_weird_labels_and_names(plain, recordings, annotations):
    renamed = [table.assign(label="Schrei ä") for table in annotations]
    detector = CryDetector(fast(), positive=("Schrei ä", "fuss"), threshold=0.5).fit(recordings, renamed)
    assert detector.score(recordings, renamed) == plain.score(recordings, annotations)


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"y": [[]] * 6}, {}, "at least 2 classes, but all 216 windows have the label"),
        ({"y": None}, {}, "requires y"),
        ({"groups": [0, 0, 0, 1, 1, 1]}, {}, "Fewer groups than splits: cv=3 needs at least 3"),
        ({"y": [[(0, 5, "fuss")]] * 6}, {"negative": ("notcry",)}, "label 'fuss' is neither in positive"),
        ({"y": [[(0, 50, "cry")]] * 6}, {}, "lasts 40 s"),
        ({}, {"cv": KFold(3, shuffle=True)}, "on both sides of a split"),
        ({}, {"estimator": LinearSVC, "threshold": 2}, "'threshold' parameter"),
        ({"y": [1, 0, 1]}, {}, "inconsistent numbers of samples"),
        ({"y": ["cry", None, "other"] * 2}, {}, "missing labels"),
        ({"y": [f"{i}.csv" for i in range(6)]}, {}, "Read the annotations first"),
        ({"y": [None, *[[]] * 5]}, {}, "DataFrame with columns onset"),
        ({"y": [[{"onset": 1, "offset": 2}], *[[]] * 5]}, {}, "not an .onset, offset"),
        ({"y": ["cry", "silence"] * 3}, {"negative": ("quiet",)}, "label 'silence' is neither"),
        ({"y": ["cry", "fuss"] * 3}, {"positive": ("cry", "fuss")}, "so there is a single class"),
        ({}, {"smooth_duration": 2}, "smooth_duration=2 s must be odd"),
        ({}, {"estimator": KMeans()}, "gives no scores"),
        ({"y": [[(20, 25, "cry")], *[[]] * 5]}, {}, r"leaving out \[.*\] leaves no \[1\] to train on"),
    ],
)
def test_faulty_input(recordings, annotations, changes, settings, message):
    arguments = {"X": recordings, "y": annotations, **changes}
    with pytest.raises((ValueError, TypeError), match=message):
        CryDetector(**{"estimator": fast(), **settings}).fit(**arguments)


def test_score_without_crying_is_zero_and_warns(fitted, recordings):
    with pytest.warns(UndefinedMetricWarning, match="average precision is undefined, and set to 0.0"):
        assert fitted.score(recordings[:1], [[]]) == 0.0


@pytest.mark.parametrize("scoring", [None, "second_average_precision", "second_f1"])
def test_a_search_survives_a_split_without_crying(recordings, annotations, scoring):
    quiet = [*annotations[:4], [], []]
    search = GridSearchCV(
        make_quick_detector(),
        {"estimator__logisticregression__C": [1e-6, 1.0]},
        scoring=None if scoring is None else get_scorer(scoring),
        cv=GroupKFold(3),
    )
    with pytest.warns(UndefinedMetricWarning, match="is undefined"):
        search.fit(recordings, quiet, groups=[0, 0, 1, 1, 2, 2])
    means = search.cv_results_["mean_test_score"]
    assert np.isfinite(means).all()
    assert search.best_index_ == np.argmax(means)


def test_parameters_of_decisions_act_at_once(quick_detector, recordings):
    detector = copy.deepcopy(quick_detector)
    score = detector.timeline(recordings)["score"]
    detector.set_params(threshold=0.9)
    assert detector.threshold_ == 0.9
    np.testing.assert_array_equal(detector.timeline(recordings)["cry"], score >= 0.9)
    assert detector.set_params(threshold=0.5, min_duration=1000.0).detect(recordings).empty
    detector.set_params(target_duration=None, positive=("whine",), threshold="cv")  # at the next fit
    assert detector.timeline(recordings)["score"].equals(score)
    assert detector.threshold_ == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 1.5}, "threshold=1.5 must be from 0 to 1"),
        ({"merge_gap": -1}, "merge_gap=-1 must be at least 0"),
        ({"min_duration": np.nan}, "min_duration=nan must be at least 0"),
        ({"smooth_duration": 4}, "smooth_duration=4 s must be odd"),
        ({"smooth_duration": 1.5}, "smooth_duration=1.5 must be an odd whole number of seconds"),
        ({"smooth_duration": None}, "smooth_duration=None must be an odd whole number of seconds"),
        ({"smooth_duration": -1}, "smooth_duration=-1 must be an odd whole number of seconds"),
    ],
)
def test_parameters_of_decisions_are_checked_after_fit(quick_detector, recordings, changes, message):
    with pytest.raises(ValueError, match=message):
        copy.deepcopy(quick_detector).set_params(**changes).detect(recordings)


def test_targets_and_groups_by_name(plain, recordings, annotations, infants, tmp_path, sr):
    paths = [tmp_path / f"day{number}.wav" for number in range(len(recordings))]
    for path, y in zip(paths, recordings, strict=True):
        soundfile.write(path, y, sr, subtype="FLOAT")
    names = [path.name for path in paths]
    by_name = dict(zip(names[::-1], annotations[::-1], strict=True))
    groups = pd.Series(infants, index=names)[::-1]
    detector = CryDetector(fast(), threshold=0.5).fit(paths, by_name, groups=groups)
    np.testing.assert_array_equal(detector.timeline(paths)["score"], plain.timeline(paths)["score"])
    assert detector.training_["n_groups"] == 3
    assert detector.score(paths, pd.Series(by_name)) == plain.score(paths, annotations)
    with pytest.raises(ValueError, match=r"y is a dict, in which there is nothing for recording 'day1.wav'"):
        detector.score(paths, {"day0.wav": []})


@pytest.mark.real
def test_real_soundscapes(shared):
    from skcry.datasets import load_annotated

    data = load_annotated(shared / "data" / "soundscapes")
    pipeline = make_pipeline(HighPassFilter(), StatFeatures(), StandardScaler(), SVC(C=0.3))
    detector = CryDetector(pipeline, random_state=0).fit(data.recordings[:6], data.annotations[:6])
    held_out = data.recordings[6:], data.annotations[6:]
    crying = [table[table.label == "cry"].eval("offset - onset").sum() for table in held_out[1]]
    assert detector.score(*held_out) > np.mean(crying) / 300 + 0.15


@pytest.mark.parametrize("routing", [False, True])
def test_infants_reach_the_inner_splits(recordings, annotations, infants, routing):
    seen = []

    class Spy(GroupKFold):
        def split(self, X, y=None, groups=None):
            seen.append(set(groups))
            return super().split(X, y, groups)

    detector = CryDetector(fast(), cv=Spy(2))
    with config_context(enable_metadata_routing=routing):
        outer = {"params": {"groups": infants}} if routing else {"groups": infants, "params": {"groups": infants}}
        cross_validate(detector, recordings, annotations, cv=GroupKFold(3), error_score="raise", **outer)
    assert sorted(map(sorted, seen)) == [[0, 1], [0, 2], [1, 2]]


def test_too_few_windows_for_smote_are_explained(recordings):
    tiny = make_cry_pipeline(features="stats").set_params(features__stats__features=["mfcc"])
    detector = CryDetector(tiny, windower=Windower(hop_duration=20), threshold=0.5)
    with pytest.raises(ValueError, match="n_neighbors") as caught:
        detector.fit(recordings, [[(20, 25, "cry")], *[[]] * 5])
    assert "per class {0: 11, 1: 1}" in caught.value.__notes__[0]


def test_which_of_two_classes_is_crying(plain, recordings, annotations):
    numbered = [table.assign(label="0") for table in annotations]
    zero = CryDetector(fast(), positive="0", threshold=0.5).fit(recordings, numbered)
    named = CryDetector(fast(), positive=None, negative="quiet", threshold=0.5).fit(recordings, annotations)
    for detector in (zero, named):
        pd.testing.assert_frame_equal(detector.timeline(recordings), plain.timeline(recordings), atol=1e-6)
    assert named.classes_.tolist() == ["cry", "quiet"]


def test_scores_are_calibrated_and_the_threshold_is_learned(recordings, annotations, infants):
    plain = CryDetector(fast(SVC(C=0.01)), smooth_duration=1, random_state=0)
    detector = clone(plain).fit(recordings, annotations, groups=infants)
    raw = plain.set_params(threshold=0.5).fit(recordings, annotations, groups=infants)
    seconds = Windower(1, 1).fit_transform(recordings)
    truth = seconds.label(annotations)
    calibrated, plain = (d.timeline(recordings)["score"].to_numpy() for d in (detector, raw))
    assert log_loss(truth, calibrated) < log_loss(truth, plain)
    assert np.argsort(calibrated).tolist() == np.argsort(plain).tolist()
    # Left-out scores once more, by hand: no other threshold does better on them.
    X = Windower().fit_transform(recordings, groups=infants)
    y = X.label(annotations)
    seed = np.random.RandomState(0).randint(2**31 - 1)
    known, scores = [], []
    for train, test in grouped_splits(3, y, X.groups, seed):
        scorer = detector._scorer(fast(SVC(C=0.01)).fit(X[train], y[train]), "decision_function")
        for number in np.unique(X.recording[test]):
            windows = X[test][X.recording[test] == number]
            odds = scorer.pool(scorer.score_windows(windows), windows.start, X.lengths[number])
            known.append(truth[seconds.recording == number])
            scores.append(detector.calibrator_.predict_proba(odds)[:, 1])
    known, scores = np.concatenate(known), np.concatenate(scores)
    best = max(f1_score(known, scores >= level) for level in scores)
    assert f1_score(known, scores >= detector.threshold_) == pytest.approx(best)
    assert detector.threshold_ != 0.5


def test_one_certain_window_does_not_drown_the_others(sr):
    class Sure(LogisticRegression):
        def predict_proba(self, X):
            p = np.where(np.arange(len(X)) == 2, 1.0, 0.3)
            return np.column_stack([1 - p, p])

    rng = np.random.default_rng(0)
    recordings = [rng.normal(size=9 * sr) for _ in range(2)]
    detector = CryDetector(fast(Sure()), threshold=0.5, target_duration=None, smooth_duration=1)
    detector.fit(recordings, [[(0, 9)], []])
    assert detector.timeline(recordings[:1])["score"].iloc[4] == pytest.approx((4 * 0.3 + 1) / 5)


def test_annotations_in_a_series_are_read_by_place(plain, recordings, annotations):
    series = pd.Series(annotations, index=[5, 3, 1, 0, 2, 4])
    detector = CryDetector(fast(), threshold=0.5).fit(recordings, series)
    pd.testing.assert_frame_equal(detector.timeline(recordings), plain.timeline(recordings))
    assert detector.score(recordings, series) == plain.score(recordings, annotations)


def test_scoring_with_labels_of_another_kind(fitted, recordings, annotations, sr):
    with pytest.raises(ValueError, match=r"Labels \['cry', 'other'\] are not among classes_=\[0, 1\]"):
        fitted.score(recordings, ["cry", "other"] * 3)
    halves = [y[: 20 * sr] for y in recordings]
    weak = CryDetector(fast(), threshold=0.5).fit(halves, ["cry", "other"] * 3)
    assert 0 < weak.score(recordings, annotations) <= 1


def test_strings_that_do_not_say_which_is_crying(recordings):
    for labels in (["crying", "silence"], ["Crying", "x"], ["crying", "not_crying"], ["baby", "noise"]):
        with pytest.raises(ValueError, match=r"names neither of the labels .* Pass positive=\(\.\.\.\)"):
            CryDetector(fast(), threshold=0.5).fit(recordings, labels * 3)
    with pytest.raises(ValueError, match="'Cry' differs from 'cry' only by case"):
        CryDetector(fast(), threshold=0.5).fit(recordings, ["Cry", "other"] * 3)
    with pytest.warns(UserWarning, match=r"names neither .* 'two' is taken for crying"):
        CryDetector(fast(), threshold=0.5).fit(recordings, ["one", "two"] * 3)


def test_events_of_several_weak_labels_are_those_asked_for(recordings):
    detector = CryDetector(fast(), threshold=0.5).fit(recordings, ["cry", "talk", "other"] * 2)
    assert set(detector.detect(recordings)["label"]) <= {"cry"}


def test_a_class_that_no_window_bears_is_told(recordings):
    named = [[(0, 20, "cry"), (20, 40, "talk"), *([(30.2, 30.5, "fuss")] if i else [])] for i in range(len(recordings))]
    named = [[row for row in table if row[1] < 30.2 or row[2] == "fuss"] for table in named]
    with pytest.warns(UserWarning, match="No window has the label fuss"):
        make_quick_detector(positive=None).fit(recordings, named)


def test_two_interesting_classes(recordings):
    named = [[(0, 40, "fuss")] if number % 2 else [(0, 40, "cry")] for number in range(len(recordings))]
    detector = CryDetector(fast(), positive=None, threshold=0.5).fit(recordings, named)
    assert detector.timeline(recordings).columns.tolist() == ["cry", "fuss", "label", "usable"]
    np.testing.assert_array_equal(detector.predict(recordings) == "fuss", detector.decision_function(recordings) > 0)


def test_a_class_too_short_for_any_second(sr):
    rng = np.random.default_rng(0)
    recordings = [rng.normal(size=6 * sr) for _ in range(4)]
    short = [[(0, 3, "cry"), (4.1, 4.3, "alarm")]] * 4
    detector = CryDetector(fast(), windower=Windower(0.2, 0.2), positive=None, cv=2)
    with pytest.raises(ValueError, match=r"No second is \['alarm'\]"):
        detector.fit(recordings, short)


def test_refit_forgets_the_shape_of_tables(recordings, annotations, sr):
    detector = CryDetector(fast(), threshold=0.5).fit(np.stack(recordings), annotations)
    assert detector.n_features_in_ == 40 * sr
    detector.fit(recordings, annotations)
    assert not hasattr(detector, "n_features_in_")
    detector.predict(np.stack(recordings)[:, : 10 * sr])


def test_middle_and_smoothing_reach_scores_and_labels(recordings, annotations, infants):
    plain = CryDetector(fast(), target_duration=1.0, smooth_duration=1, threshold=0.5).fit(recordings, annotations)
    windows = Windower().fit_transform(recordings)
    odds = plain.estimator_.decision_function(windows[windows.recording == 0])
    timeline = plain.timeline(recordings[:1])["score"].to_numpy()
    np.testing.assert_allclose(timeline[2:38], 1 / (1 + np.exp(-odds)), rtol=1e-6)
    np.testing.assert_allclose(timeline[[0, 1, 38, 39]], timeline[[2, 2, 37, 37]])
    smoothed = plain.set_params(smooth_duration=3).timeline(recordings[:1])["score"].to_numpy()
    logit = np.log(timeline / (1 - timeline))
    np.testing.assert_allclose(np.log(smoothed / (1 - smoothed))[5], logit[4:7].mean(), rtol=1e-6)
    calibrated = CryDetector(fast(), target_duration=1.0, smooth_duration=3, random_state=0)
    assert calibrated.fit(recordings, annotations, groups=infants).score(recordings, annotations) > 0.5


def test_operating_point_is_learned_from_left_out_recordings(recordings, annotations, infants, monkeypatch):
    seen = {}

    def spy(score, true_events, durations, rate, **rules):
        seen.update(score=score, durations=durations, rules=rules)
        seen["true"] = true_events.merge(pd.Series(range(len(score)), name="recording"))
        return false_alarm_threshold(score, true_events, durations, rate, **rules)

    monkeypatch.setattr("skcry.detector.threshold.false_alarm_threshold", spy)
    settings = {"random_state": 0, "min_duration": 2.0, "windower": Windower(hop_duration=2.0)}
    best = CryDetector(fast(), **settings).fit(recordings, annotations, groups=infants)
    assert not seen
    detector = CryDetector(fast(), max_false_alarms=1000.0, **settings).fit(recordings, annotations, groups=infants)
    strict = CryDetector(fast(), max_false_alarms=0, **settings).fit(recordings, annotations, groups=infants)
    assert detector.threshold_ < strict.threshold_
    assert best.threshold_ not in (detector.threshold_, strict.threshold_)
    assert seen["durations"] == [40.0] * 6
    assert seen["rules"] == {"merge_gap": 5.0, "min_duration": 2.0}
    # Scores and truth are of the same recordings: crying scores above the rest.
    crying = np.zeros((6, 40), dtype=bool)
    for row in seen["true"].itertuples():
        crying[row.recording, int(row.onset) : int(row.offset)] = True
    assert average_precision_score(crying.ravel(), np.ravel(seen["score"])) > crying.mean() + 0.2
    assert len(seen["true"]) == sum(len(event_truth([table])) for table in annotations)


def test_operating_point_that_cannot_be_kept_warns(recordings, annotations, infants):

    class Flat(LogisticRegression):
        def decision_function(self, X):
            return np.round(super().decision_function(X) > -1e9) * 0.0

        def predict_proba(self, X):
            return np.full((len(X), 2), 0.5)

    settings = {"max_false_alarms": 0.5, "random_state": 0}
    with pytest.warns(UserWarning, match=r"more than max_false_alarms=0.5 per hour \(in 0.07 h\)") as caught:
        detector = CryDetector(fast(Flat()), **settings).fit(recordings, annotations, groups=infants)
    assert all(warning.filename == __file__ for warning in caught)
    assert len(detector.detect(recordings)) == 0


@pytest.mark.parametrize(
    ("y", "settings", "message"),
    [
        (None, {"threshold": 0.5}, "per hour contradicts threshold=0.5.*Pass threshold=.cv."),
        ([0, 1] * 3, {}, "y holds one label per recording.*Pass annotations"),
        (None, {"positive": None}, r"classes are \['background', 'cry', 'fuss'\].*Name the labels"),
        (None, {"max_false_alarms": -1.0}, "'max_false_alarms' parameter"),
        (None, {"max_false_alarms": "few"}, "'max_false_alarms' parameter"),
    ],
)
def test_operating_point_that_has_no_meaning(recordings, annotations, y, settings, message):
    if y is None:
        y = [table.assign(label="fuss" if number % 2 else "cry") for number, table in enumerate(annotations)]
    with pytest.raises(ValueError, match=message):
        CryDetector(**{"estimator": fast(), "max_false_alarms": 1.0, **settings}).fit(recordings, y)


def test_scores_come_from_the_method_that_was_there_in_fit(recordings, annotations):
    """Another version of a library may show probabilities that were not learned, as SVC's."""

    class Fickle(LinearSVC):
        @property
        def predict_proba(self):
            if not getattr(self, "shown", False):
                raise AttributeError
            raise NotImplementedError

    detector = CryDetector(fast(Fickle()), threshold=0.5).fit(recordings, annotations)
    before = detector.timeline(recordings)
    detector.estimator_[-1].shown = True
    pd.testing.assert_frame_equal(detector.timeline(recordings), before)


@pytest.mark.parametrize("method", ["timeline", "detect"])
def test_a_bar_when_asked_for(fitted, recordings, capfd, tmp_path, method):
    soundfile.write(tmp_path / "a.wav", recordings[0], 16000, subtype="FLOAT")
    recordings = [tmp_path / "a.wav", recordings[1]]
    plain = getattr(fitted, method)(recordings)
    assert capfd.readouterr().err == ""
    pd.testing.assert_frame_equal(getattr(fitted, method)(recordings, progress=True), plain)
    assert "100%" in capfd.readouterr().err
