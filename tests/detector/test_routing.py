"""Groups and weights on their way through detector, pipeline and search, with metadata routing and without."""

import warnings

import numpy as np
import pytest
from helpers import fast, make_quick_detector
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, cross_validate
from sklearn.pipeline import make_pipeline

from skcry import AlexNetClassifier, CryDetector, MelSpectrogram, Windower, make_cry_pipeline

ROUTING = pytest.mark.parametrize("routing", [False, True])
WEIGHT = np.array([1.0, 0.0, 2.0, 1.0, 3.0, 1.0])


class Spy(ClassifierMixin, BaseEstimator):
    """Keeps what its fit was given."""

    seen = []

    def fit(self, X, y, groups=None, sample_weight=None):
        self.classes_ = np.unique(y)
        self.seen.append((X.recording, groups, sample_weight))
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture
def spy():
    Spy.seen = []
    return Spy()


@ROUTING
def test_windows_bear_groups_and_weights_of_their_recordings(recordings, annotations, infants, spy, routing):
    with config_context(enable_metadata_routing=routing):
        if routing:
            spy.set_fit_request(groups=True, sample_weight=True)
        detector = CryDetector(spy, threshold=0.5)
        detector.fit(recordings, annotations, groups=infants, sample_weight=WEIGHT)
        detector.fit(recordings, annotations)
    (recording, groups, weight), (_, alone, none) = spy.seen
    assert (groups == infants[recording]).all()
    assert (weight == WEIGHT[recording]).all()
    assert (alone == recording).all()
    assert none is None


def test_what_is_not_asked_for_is_not_given(recordings, annotations, infants, spy):
    with config_context(enable_metadata_routing=True):
        spy.set_fit_request(groups=False, sample_weight=False)
        CryDetector(spy, threshold=0.5).fit(recordings, annotations, groups=infants, sample_weight=WEIGHT)
        assert spy.seen[0][1:] == (None, None)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            CryDetector(Spy().set_fit_request(groups=False), threshold=0.5).fit(
                recordings, annotations, sample_weight=WEIGHT
            )


def test_weights_that_nobody_takes(recordings, annotations):
    with pytest.raises(TypeError, match="Pipeline.fit takes no sample_weight.*enable_metadata_routing"):
        CryDetector(fast(), threshold=0.5).fit(recordings, annotations, sample_weight=WEIGHT)
    with pytest.raises(ValueError, match="[Nn]egative"):
        CryDetector(fast(), threshold=0.5).fit(recordings, annotations, sample_weight=-WEIGHT)


def weighted(**params):
    pipeline = make_cry_pipeline(LogisticRegression(max_iter=1000), features="stats", resample=None)
    pipeline.set_params(features__stats__features=["mfcc"])
    with config_context(enable_metadata_routing=True):
        for step in ("scale", "classify"):
            pipeline.named_steps[step].set_fit_request(sample_weight=True)
    return CryDetector(pipeline, **params)


@pytest.mark.parametrize("threshold", [0.5, "cv"])
def test_no_weight_is_like_no_recording(recordings, annotations, threshold):
    """In training, calibration and threshold."""
    keep = np.flatnonzero(WEIGHT)
    # Recording 1, which counts for nothing, keeps recording 0 company in both.
    splits = [(np.arange(6)[~part], np.flatnonzero(part)) for part in np.eye(3, dtype=bool).repeat(2, axis=1)]
    fewer = [tuple(np.searchsorted(keep, np.intersect1d(rows, keep)) for rows in split) for split in splits]
    with config_context(enable_metadata_routing=True):
        light = weighted(threshold=threshold, cv=splits).fit(recordings, annotations, sample_weight=WEIGHT)
        short = weighted(threshold=threshold, cv=fewer).fit(
            [recordings[i] for i in keep], [annotations[i] for i in keep], sample_weight=WEIGHT[keep]
        )
        equal = weighted(threshold=threshold, cv=splits).fit(recordings, annotations)
    np.testing.assert_allclose(light.timeline(recordings)["score"], short.timeline(recordings)["score"], atol=1e-4)
    assert np.abs(light.timeline(recordings)["score"] - equal.timeline(recordings)["score"]).max() > 1e-2
    assert light.threshold_ == pytest.approx(short.threshold_, abs=1e-4)


def test_splits_of_ones_own_are_of_recordings(recordings, annotations, infants):
    splits = list(LeaveOneGroupOut().split(recordings, groups=infants))
    own = CryDetector(fast(), cv=splits).fit(recordings, annotations, groups=infants)
    same = CryDetector(fast(), cv=LeaveOneGroupOut()).fit(recordings, annotations, groups=infants)
    assert own.threshold_ == same.threshold_
    for wrong in ([], [([0, 1, 2], [99])], [([0, 1, 2], [-1])]):
        with pytest.raises(ValueError, match="numbers of recordings, from 0 to 5"):
            CryDetector(fast(), cv=wrong).fit(recordings, annotations)
    with pytest.raises(ValueError, match="on both sides"):
        CryDetector(fast(), cv=[([0, 1, 2], [3])]).fit(recordings, annotations, groups=infants)


def test_a_search_hands_weights_on(recordings, annotations, infants):
    with config_context(enable_metadata_routing=True):
        detector = weighted(threshold=0.5).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(detector, {"estimator__classify__C": [0.1, 1.0]}, cv=GroupKFold(2), error_score="raise")
        search.fit(recordings, annotations, groups=infants, sample_weight=WEIGHT)
        by_hand = []
        for train, test in GroupKFold(2).split(recordings, groups=infants):
            fitted = weighted(threshold=0.5).set_params(**search.best_params_)
            fitted.fit([recordings[i] for i in train], [annotations[i] for i in train], sample_weight=WEIGHT[train])
            held_out = [recordings[i] for i in test], [annotations[i] for i in test]
            by_hand.append(fitted.score(*held_out, sample_weight=WEIGHT[test]))
            assert by_hand[-1] != fitted.score(*held_out)
    assert search.best_score_ == pytest.approx(np.mean(by_hand))


def test_weights_in_the_score_of_labels(recordings, annotations):
    detector = CryDetector(fast(), threshold=0.5).fit(recordings, annotations)
    predicted = detector.predict(recordings)
    labels = predicted.copy()
    labels[1] = 1 - labels[1]
    assert detector.score(recordings, labels) == pytest.approx(5 / 6)
    assert detector.score(recordings, labels, sample_weight=WEIGHT) == 1


@pytest.mark.parametrize("family", ["embedding", "network"])
def test_groups_of_an_array_reach_early_stopping(recordings, annotations, infants, monkeypatch, family):
    """Windows bring their groups along; with plain arrays they are asked for."""
    from skcry.nn import alexnet_classifier as classifier

    seen = []

    def spied(y, groups, *others):
        seen.append(groups)
        return grouped_split(y, groups, *others)

    grouped_split = classifier.grouped_split
    monkeypatch.setattr(classifier, "grouped_split", spied)
    X = Windower(2, 2).fit_transform(recordings, groups=infants)
    y, clips = X.label(annotations), np.asarray(X)
    net = AlexNetClassifier(width=1 / 16, max_epochs=1, random_state=0)
    with config_context(enable_metadata_routing=True):
        net.set_fit_request(groups=True)
        if family == "embedding":
            model = make_cry_pipeline(LogisticRegression(), features="embedding", random_state=0)
            model.set_params(features__embedding__net=net)
        else:
            model = make_pipeline(MelSpectrogram(n_mels=16), net)
        model.fit(clips, y, groups=X.groups)
    assert (seen[0] == X.groups).all()


@ROUTING
def test_windows_in_a_pipeline_need_no_routing(recordings, annotations, infants, monkeypatch, routing):
    from skcry.nn import alexnet_classifier as classifier

    seen = []
    monkeypatch.setattr(classifier, "grouped_split", lambda y, groups, *others: seen.append(groups))
    X = Windower(2, 2).fit_transform(recordings, groups=infants)
    net = AlexNetClassifier(width=1 / 16, max_epochs=1, random_state=0)
    with config_context(enable_metadata_routing=routing), pytest.warns(UserWarning, match="Early stopping is off"):
        make_pipeline(MelSpectrogram(n_mels=16), net).fit(X, X.label(annotations))
    assert (seen[0] == X.groups).all()


def test_the_router_shows_who_asks():
    with config_context(enable_metadata_routing=True):
        routing = weighted().get_metadata_routing()
        assert routing.consumes("fit", ["groups", "sample_weight", "other"]) == {"groups", "sample_weight"}
        assert CryDetector().get_metadata_routing().consumes("fit", ["groups"]) == {"groups"}


def test_tables_of_polars_and_pandas(recordings, annotations):
    X = Windower(2, 2).fit_transform(recordings)
    for container in ("pandas", "polars"):
        module = pytest.importorskip(container)
        pipeline = weighted().estimator.set_output(transform=container)
        table = pipeline.fit(X, X.label(annotations))[:-1].transform(X)
        assert isinstance(table, module.DataFrame)
        names = list(table.columns)
        assert "stats__mfcc_1__median" in names
        assert names == list(pipeline[:-1].get_feature_names_out())


def test_groups_that_reach_the_outer_splits_only_are_told(recordings, annotations, infants):
    detector = make_quick_detector(threshold="cv", cv=2)
    with pytest.warns(UserWarning, match="groups reach the outer splits only"):
        cross_validate(detector, recordings, annotations, groups=infants, cv=GroupKFold(2))
    with pytest.warns(UserWarning, match="groups reach the outer splits only"):
        GridSearchCV(detector, {"min_duration": [5.0]}, cv=GroupKFold(2)).fit(recordings, annotations, groups=infants)
    with warnings.catch_warnings(), config_context(enable_metadata_routing=True):
        warnings.filterwarnings("error", message="groups reach")
        cross_validate(detector, recordings, annotations, params={"groups": infants}, cv=GroupKFold(2))
        cross_validate(detector, recordings, annotations, cv=2)
