"""Splits by group: of the detector, and of whatever cross-validates inside its estimator."""

import importlib
import pickle

import numpy as np
import pytest
from helpers import fast
from imblearn.ensemble import BalancedBaggingClassifier
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_imbalanced
from imblearn.under_sampling import InstanceHardnessThreshold, RandomUnderSampler
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LassoCV, LogisticRegression, SGDClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import skcry
from skcry import AlexNetClassifier, CryDetector, LimitWindows
from skcry.detector.splits import GroupSplits, fit_by_group
from skcry.windows import Windows

# Windows of each recording, and the group of each recording.
SIZES = [8, 6, 6, 10, 9, 7, 7, 10, 11, 9, 5, 5, 12, 7, 8]
GROUPS = np.array([0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 10, 11])
COUNTS = np.bincount(np.repeat(GROUPS, SIZES))


def make_windows(sizes, groups, rng):
    """Windows of four timepoints; the first is the number of the group, the others are noise."""
    tracks = [np.column_stack([np.full(n, float(g)), rng.random((n, 3))]) for n, g in zip(sizes, groups, strict=True)]
    recording, start = np.repeat(np.arange(len(sizes)), sizes), np.concatenate([4 * np.arange(n) for n in sizes])
    return Windows([track.ravel() for track in tracks], recording, start, 4, sr=16000, groups=groups)


@pytest.fixture
def windows(rng):
    return make_windows(SIZES, GROUPS, rng)


@pytest.fixture
def labels(rng, windows):
    return (rng.random(len(windows)) < 0.4).astype(int)


class Spy(ClassifierMixin, BaseEstimator):
    """Fails where it is trained on part of a group, or scores a group that it was trained on. Counts groups."""

    counts, seen = COUNTS, []

    def __init__(self, shift=0.0):
        self.shift = shift

    def _groups(self, X):
        group = np.asarray(X)[:, 0]
        return group[group == group.astype(int)].astype(int)  # SMOTE makes rows between groups

    def fit(self, X, y):
        counts = np.bincount(self._groups(X), minlength=len(self.counts))
        if ((counts > 0) & (counts < self.counts)).any():
            raise RuntimeError("trained on a part of a group")
        self.classes_, self.trained_ = np.unique(y), np.flatnonzero(counts)
        self.coef_ = np.arange(X.shape[1], 0, -1)[None] + 1.0  # feature selection keeps the group
        self.seen.append(len(self.trained_))
        return self

    def decision_function(self, X):
        if np.isin(self._groups(X), self.trained_).any():
            raise RuntimeError("scores a group that it was trained on")
        return np.cos(100 * np.asarray(X)[:, -1] + self.shift)

    def predict(self, X):
        return self.classes_[(self.decision_function(X) > 0).astype(int)]


@pytest.fixture(autouse=True)
def no_fits_yet(monkeypatch):
    monkeypatch.setattr(Spy, "seen", [])


def piped(*steps):
    return make_pipeline(FunctionTransformer(np.asarray), *steps)


def imbalanced(*steps):
    return make_imbalanced(FunctionTransformer(np.asarray), *steps)


def search(estimator=None, grid=None, cv=None):
    return GridSearchCV(Spy() if estimator is None else estimator, grid or {}, cv=cv, error_score="raise")


def calibrated(**params):
    return CalibratedClassifierCV(Spy(), **params)


def stacked(*estimators, **params):
    return StackingClassifier([(str(i), one) for i, one in enumerate(estimators)], LogisticRegression(), **params)


def halving(estimator):
    importlib.import_module("sklearn.experimental.enable_halving_search_cv")
    from sklearn.model_selection import HalvingGridSearchCV

    return HalvingGridSearchCV(estimator, {}, min_resources=60, return_train_score=False, error_score="raise")


LINEAR, TREE = LogisticRegression(), DecisionTreeClassifier()
FROZEN = FrozenEstimator(clone(LINEAR).fit(np.eye(4), [0, 1, 0, 1]))
SEQUENTIAL = SequentialFeatureSelector(LINEAR, n_features_to_select=3, cv=3)
LASSO = SelectFromModel(LassoCV(), threshold=-1.0)
SHUFFLED, STRATIFIED = ShuffleSplit(2, random_state=0), StratifiedGroupKFold(3, shuffle=True, random_state=0)
LISTED = [(np.arange(60), np.arange(60, 120))]
CANDIDATES = [
    {"stackingclassifier__0": [Spy(), calibrated(cv=2), piped(search(cv=2))]},
    {"stackingclassifier": [calibrated(cv=2)], "passthrough": [RFECV(Spy(), cv=2)]},
]

# Each with the least and the greatest number of groups that a spy in it is trained on, of 12; None without a spy.
SPLIT = {
    "search": (search(), 9, 12),
    "search in a pipeline": (piped(search(cv=4)), 9, 12),
    "randomized search": (piped(RandomizedSearchCV(Spy(), {"shift": [0, 1]}, n_iter=2, error_score="raise")), 9, 12),
    "halving search": (piped(halving(LINEAR)), None, None),
    "search in a pipeline in a search": (search(piped(search(cv=3)), cv=3), 5, 12),
    "search in a search in a search": (search(search(search(cv=2), cv=3), cv=3), 2, 12),
    "calibrated": (piped(calibrated()), 9, 10),
    "calibrated without ensemble": (piped(calibrated(ensemble=False)), 9, 12),
    "calibrated twice": (CalibratedClassifierCV(piped(calibrated(cv=3)), cv=3), 5, 6),
    "calibrated frozen": (piped(CalibratedClassifierCV(FROZEN)), None, None),
    "tuned": (piped(TunedThresholdClassifierCV(Spy())), 9, 12),
    "tuned on one split": (piped(TunedThresholdClassifierCV(Spy(), cv=GroupShuffleSplit(1), refit=False)), 9, 9),
    "tuned around a search": (TunedThresholdClassifierCV(piped(search(cv=3)), cv=3), 5, 12),
    "fixed threshold": (piped(FixedThresholdClassifier(search())), 9, 12),
    "stacked": (piped(stacked(Spy(), Spy(1.0))), 9, 12),
    "searches in a stack": (stacked(search(cv=3), piped(search(cv=3)), cv=3), 5, 12),
    "search over a stack of calibrated": (search(piped(stacked(calibrated(cv=2), cv=2)), cv=3), 2, 6),
    "voting": (VotingClassifier([("a", search()), ("b", piped(search()))]), 9, 12),
    "bagging in a search": (search(BaggingClassifier(LINEAR, 2)), None, None),
    "boosted": (piped(AdaBoostClassifier(CalibratedClassifierCV(TREE), n_estimators=2)), None, None),
    "feature selection": (piped(RFECV(Spy()), search()), 9, 12),
    "sequential feature selection": (search(piped(SEQUENTIAL, LINEAR), cv=3), None, None),
    "feature selection in a search": (search(piped(RFECV(Spy(), cv=3), calibrated(cv=3)), cv=3), 5, 12),
    "union": (make_pipeline(make_union(RFECV(Spy()), LASSO), LINEAR), 9, 12),
    "columns": (piped(make_column_transformer((RFECV(Spy()), [0, 1, 2])), LINEAR), 9, 12),
    "sampler in a search": (search(imbalanced(RFECV(Spy(), cv=3), SMOTE(random_state=0), Spy()), cv=3), 5, 12),
    "candidates": (search(imbalanced("passthrough", stacked(Spy(), cv=2)), CANDIDATES, cv=3), 2, 12),
    "splitters that keep groups together": (search(piped(calibrated(cv=LeaveOneGroupOut())), cv=STRATIFIED), 7, 11),
}


@pytest.fixture
def asked(monkeypatch):
    """Numbers of rows that were split, each time; checks their groups, which the first column holds."""
    numbers, split = [], GroupSplits.split

    def checked(self, X, y=None, groups=None):
        group = np.asarray(X)[:, 0]
        numbers.append(len(group))
        for train, test in split(self, X, y, groups):
            assert not np.isin(group[train], group[test]).any()
            yield train, test

    monkeypatch.setattr(GroupSplits, "split", checked)
    return numbers


@pytest.mark.parametrize("name", SPLIT)
def test_no_group_is_on_both_sides(windows, labels, asked, name):
    estimator, least, most = SPLIT[name]
    fit_by_group(clone(estimator), windows, labels)
    assert asked
    assert (min(Spy.seen, default=None), max(Spy.seen, default=None)) == (least, most)


@pytest.mark.parametrize("name", ["search in a pipeline in a search", "calibrated twice", "union", "stacked"])
def test_routing_of_metadata_changes_nothing(windows, labels, asked, name):
    with config_context(enable_metadata_routing=True):
        test_no_group_is_on_both_sides(windows, labels, asked, name)


def test_splits_are_those_of_scikit_learn(windows, labels):
    X = np.asarray(windows)
    splits = list(StratifiedGroupKFold(5).split(X, labels, windows.groups))
    fitted = fit_by_group(clone(piped(LASSO, LINEAR)), windows, labels)[1].estimator_
    np.testing.assert_array_equal(fitted.mse_path_, LassoCV(cv=splits).fit(X, labels).mse_path_)
    outer = search(piped(LINEAR), {"logisticregression__C": [0.1, 1.0]})
    by_hand = clone(outer).set_params(cv=splits).fit(windows, labels)
    fit_by_group(outer, windows, labels)
    np.testing.assert_array_equal(outer.cv_results_["mean_test_score"], by_hand.cv_results_["mean_test_score"])


def test_two_processes_give_what_one_gives(windows, labels):
    grid = {"gridsearchcv__estimator__C": [0.1, 1.0]}
    outer = search(piped(search(LINEAR, {"tol": [1e-4, 1e-2]}, cv=3)), grid, cv=3)
    one, two = (
        fit_by_group(clone(outer).set_params(n_jobs=n_jobs), windows, labels).cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_training_sets_with_equal_labels(rng, monkeypatch):
    """Without the second and third recording, or without the fifth and sixth, labels are the same."""
    groups = [0, 1, 1, 2, 3, 3, 4, 4, 5]
    windows = make_windows([2] * 9, groups, rng)
    monkeypatch.setattr(Spy, "counts", 2 * np.bincount(groups))
    splits = [(np.flatnonzero(windows.groups != one), np.flatnonzero(windows.groups == one)) for one in (1, 3)]
    fit_by_group(search(piped(search(cv=LeaveOneGroupOut())), cv=splits), windows, np.tile([0, 1], 9))
    # Of the groups 0, 2, 3, 4 and 5, the second and third are left out together, since 1 is at their place without 3.
    assert min(Spy.seen) == 3


def test_parameters_are_as_before(windows, labels):
    candidates = {"clf": [HistGradientBoostingClassifier(max_iter=2), calibrated(cv=2)]}
    union = make_union(RFECV(Spy()), FunctionTransformer(np.asarray))
    estimator = search(Pipeline([("union", union), ("clf", calibrated())]), candidates, cv=GroupKFold(2))
    before = repr(estimator.get_params())
    assert fit_by_group(estimator, windows, labels) is estimator
    assert repr(estimator.get_params()) == before
    assert repr(estimator.best_estimator_.get_params()["union"]) == repr(union)
    assert b"GroupSplits" not in pickle.dumps(vars(estimator))
    assert [repr(one["clf"]) for one in estimator.cv_results_["params"]] == [repr(one) for one in candidates["clf"]]
    boosting = fit_by_group(search(HistGradientBoostingClassifier(max_iter=2)), windows, labels).best_estimator_
    assert boosting.early_stopping == "auto"


def test_automatic_early_stopping_is_off(rng):
    windows = make_windows([3500, 3500, 3500], [0, 1, 2], rng)
    labels = rng.random(len(windows)) < 0.5
    fitted = fit_by_group(piped(HistGradientBoostingClassifier(max_iter=1)), windows, labels)[-1]
    assert not fitted.do_early_stopping_
    assert HistGradientBoostingClassifier(max_iter=1).fit(windows, labels).do_early_stopping_


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (search(cv=KFold(3)), r"estimator__cv=KFold\(.*puts group 4 on both sides of a split"),
        (search(piped(calibrated(cv=SHUFFLED)), cv=3), r"calibratedclassifiercv__cv=ShuffleSplit\(.* on both sides"),
        (search(search(), cv=LISTED), "estimator__cv=.* puts group 5 on both sides"),
        (search(search(cv=LISTED), cv=3), "estimator__estimator__cv lists rows, but is used on several"),
        (search(search(cv=9), cv=3), "Fewer groups than splits: estimator__estimator__cv=9 needs at least 9"),
        (piped(TunedThresholdClassifierCV(Spy(), cv=0.25)), r"cv=0.25 splits windows at random.*GroupShuffleSplit\("),
        (imbalanced(SMOTE(), search()), "gridsearchcv__cv=None gets rows that SMOTE has selected or made.*Put SMOTE"),
        (
            search(imbalanced("passthrough", calibrated()), {"passthrough": [RandomUnderSampler()]}),
            "estimator__estimator__calibratedclassifiercv__cv=None gets rows that RandomUnderSampler",
        ),
        (search(imbalanced(SMOTE(), Spy()), {"spy": [Spy(), calibrated()]}), "spy__cv=None gets rows that SMOTE"),
        (imbalanced(InstanceHardnessThreshold(), Spy()), "threshold__cv=5 splits windows at random"),
        (BaggingClassifier(search()), "estimator__estimator__cv=None gets rows that BaggingClassifier"),
        (BalancedBaggingClassifier(search()), "rows that BalancedBaggingClassifier has selected"),
        (halving(calibrated()), "estimator__estimator__cv=None gets rows that HalvingGridSearchCV"),
        (search(calibrated(), {"cv": [2, 3]}), "estimator__estimator__cv cannot be searched for.*Leave 'cv' out"),
        (SGDClassifier(early_stopping=True), "estimator__early_stopping=True splits windows at random"),
        (piped(MLPClassifier(early_stopping=True)), "estimator__mlpclassifier__early_stopping=True"),
        (HistGradientBoostingClassifier(early_stopping=True), "Use early_stopping=False"),
        (GradientBoostingClassifier(n_iter_no_change=3), "n_iter_no_change=3 .*Use n_iter_no_change=None"),
        (search(SGDClassifier(), {"early_stopping": [False, True]}), "estimator__estimator__early_stopping=True"),
        (SVC(probability=True), r"estimator__probability=True .*CalibratedClassifierCV\(SVC\(\), ensemble=False"),
    ],
)
def test_what_cannot_be_split_by_group(windows, labels, estimator, message):
    with pytest.raises(ValueError, match=message) as caught:
        fit_by_group(clone(estimator), windows, labels)
    assert len(str(caught.value)) <= 250


def test_rows_that_are_not_recognised(windows, labels):
    with pytest.raises(ValueError, match="estimator__estimator__cv=None gets rows that an estimator around it has"):
        fit_by_group(OneVsRestClassifier(calibrated()), windows, labels + (windows.groups % 2))


def test_estimators_that_do_not_split_rows_at_random(windows, labels):
    class Net(AlexNetClassifier):
        def fit(self, X, y, groups=None):
            self.groups_ = groups
            return self

    net = fit_by_group(Net(early_stopping=True), windows, labels)
    np.testing.assert_array_equal(net.groups_, windows.groups)
    grid = {"early_stopping": [False], "n_iter_no_change": [3, 5]}
    assert fit_by_group(search(SGDClassifier(random_state=0), grid), windows, labels).n_splits_ == 5
    given = MLPClassifier(early_stopping=True, max_iter=20).fit(np.asarray(windows), labels)
    assert fit_by_group(FrozenEstimator(given), windows, labels).early_stopping is True


@pytest.mark.parametrize("cv", [None, 2, StratifiedGroupKFold(2)])
def test_estimator_of_a_detector_may_be_a_search(recordings, annotations, infants, cv):
    pipeline = search(fast(SVC()), {"svc__C": [0.1, 1]}, cv=cv)
    detector = CryDetector(pipeline, threshold=0.5).fit(recordings, annotations, groups=infants)
    assert detector.estimator_.best_params_["svc__C"] in (0.1, 1)
    assert repr(detector.estimator_.cv) == repr(cv)


@pytest.mark.parametrize(
    "make",
    [
        lambda spy: GridSearchCV(fast(spy), {}),
        lambda spy: CalibratedClassifierCV(fast(spy)),
        lambda spy: TunedThresholdClassifierCV(fast(spy)),
        lambda spy: fast(GridSearchCV(spy, {})),
    ],
)
def test_a_detector_keeps_infants_apart(recordings, annotations, infants, make):
    fits = []

    class Counter(LogisticRegression):
        def fit(self, X, y):
            fits.append(len(y))
            return super().fit(X, y)

    CryDetector(make(Counter()), threshold=0.5).fit(recordings, annotations, groups=infants)
    assert sorted(fits)[:3] == [4 * 36] * 3  # whole infants, two recordings of 36 windows each, are left out


def test_a_detector_around_a_search_can_be_shared(recordings, annotations, infants, tmp_path):
    detector = CryDetector(fast(search(SVC(), {"C": [0.1, 1]}, cv=2)), threshold=0.5)
    detector.fit(recordings, annotations, groups=infants)
    skcry.save(detector, tmp_path / "detector.skcry")
    again = skcry.load(tmp_path / "detector.skcry")
    np.testing.assert_array_equal(again.timeline(recordings)["score"], detector.timeline(recordings)["score"])


class Watch(LogisticRegression):
    """Keeps the groups of the rows that it is fitted to."""

    seen = []

    def fit(self, X, y):
        self.seen.append(np.bincount(X[:, 0].astype(int), minlength=len(COUNTS)))
        return super().fit(X, y)


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("outer", [False, True])
def test_groups_of_limited_windows_are_known(windows, labels, table, outer):
    Watch.seen = []
    steps = [LimitWindows(50), FunctionTransformer(np.asarray)]
    model = make_imbalanced(*steps[:: -1 if table else 1], search(Watch(), cv=2))
    with pytest.warns(UserWarning, match="max_windows=50"):
        fit_by_group(search(model, cv=2) if outer else model, windows, labels)
    for *parts, kept in np.reshape(Watch.seen, (-1, 3, len(COUNTS))):  # two folds, and the fit to both
        assert kept.sum() == 50
        assert (sum(parts) == kept).all()
        assert all(((part == 0) | (part == kept)).all() for part in parts)
