"""From recordings to seconds and events of crying: one estimator."""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit, softmax
from sklearn.base import ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from .._base import BaseEstimator, library_versions
from .._compat import CallbackSupportMixin, HasMethods, Interval, StrOptions, check_sample_weight, fit_context, task
from .._progress import Progress
from .._typing import Annotations, Labels, RandomState, Recordings, Targets
from .._warnings import warn
from ..events import LabelMap, as_annotations, classify, find_events
from ..io.audio import as_recordings
from ..io.text_files import shorten
from ..metrics import event_truth
from ..pipeline import make_cry_pipeline
from ..signal.gate import EnergyGate
from ..windows import Windower
from .blocks import Recording, score_recordings, usable_seconds, windows_in_open_seconds
from .calibration import annotated_level, background_level, background_quantile
from .card import ModelCard, describe_labels, make_card
from .pooling import (
    EPSILON,
    best_f1_threshold,
    false_alarm_threshold,
    recording_score,
    response_method,
    second_log_odds,
    window_scores,
)
from .roles import assign_roles
from .splits import fit_by_group, grouped_splits


def _holds_labels(y):
    """Whether ``y`` is one label per recording, rather than one table of annotations."""
    if hasattr(y, "__array__"):
        y = np.asarray(y)
        if y.dtype != object:
            return y.ndim < 3
    return not any(hasattr(one, "__len__") and not isinstance(one, (str, bytes)) for one in y)


def _in_open_seconds(windows, is_open):
    """Tell which windows hold a second that the gate leaves open; ``is_open`` holds such seconds per recording."""
    heard = np.ones(len(windows), dtype=bool)
    for number in np.unique(windows.recording) if is_open is not None else ():
        rows = windows.recording == number
        heard[rows] = windows_in_open_seconds(windows.start[rows], windows.n_timepoints, windows.sr, is_open[number])
    return heard


class CryDetector(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Detect crying in recordings.

    Cuts recordings into windows, lets an estimator score them, pools the scores into seconds, and seconds into events.
    Its rows are recordings: ``predict`` says for each whether it contains crying, :meth:`timeline` when, second by
    second, and :meth:`detect` from when to when.

    Parameters
    ----------
    estimator : classifier or None, default=None
        Classifies windows; may itself be a ``GridSearchCV``. None means :func:`make_cry_pipeline`. To reach parameters
        in a search (``estimator__classify__C``), pass it explicitly.
    windower : Windower or None, default=None
        Cuts the recordings. None means ``Windower()``.
    gate : EnergyGate or None, default=None
        First stage: seconds that it closes hold no crying, and windows without an open second never reach the
        estimator, neither in training nor afterwards. None means that every window does.
    positive : str, tuple of str or None, default=("cry",)
        Labels of annotations that count as crying. None keeps every label as a class of its own name;
        :meth:`timeline` then has a column of probabilities per class. Labels of whole recordings are classes as they
        are; of two, this names the one that is crying (``classes_[1]`` where it names neither, with a warning for
        strings), and of more, those that :meth:`detect` reports.
    negative : str, tuple of str or None, default=None
        Labels that do not count as crying. None means whatever is not positive; with names given, a label in neither
        is an error. See :class:`skcry.events.LabelMap`. Of more than two classes, these are never reported as events.
    min_overlap : float, default=0.5
        Share of a window, or of a second, that crying must cover for it to count as crying.
    mixed : {"keep", "drop"}, default="keep"
        Whether windows that hold more than one class are trained on.
    target_duration : "hop", float or None, default="hop"
        Length of the middle of a window, in seconds, that its label and its score speak of; the rest is context. "hop"
        means the step of the windows, so that their middles tile the time: right for the default estimator, which
        tells frames apart. None means all of the window, and a second gets the mean over the windows that cover it:
        better for what describes a window as a whole, such as statistics (average precision 0.65 instead of 0.60 on
        soundscapes left out).
    smooth_duration : int, default=1
        Seconds over which scores are averaged, on the scale of log-odds; odd.
    threshold : float or "cv", default="cv"
        Score from which a second counts as crying. "cv" cross-validates the estimator by group on the training data,
        calibrates the scores to probabilities, and takes the threshold of best F1: over seconds where ``y`` holds
        annotations, over recordings where it holds labels. With a number the estimator is fitted once, and scores are
        its own probabilities, or the logistic function of its ``decision_function``, uncalibrated. More than two
        classes need none.
    max_false_alarms : float or None, default=None
        False alarms per hour that the threshold of ``threshold="cv"`` may lead to on the left-out training recordings,
        as :func:`skcry.metrics.event_metrics` counts them: events found by the rules of ``merge_gap`` and
        ``min_duration`` that annotated crying covers less than half of. The threshold is then the lowest one, coming
        from above, that keeps to it; in less than ``1 / max_false_alarms`` hours of recordings a single one is too
        many. None means the threshold of best F1. Needs annotations and a single class of crying.
    cv : int, cross-validation splitter or iterable of (train, test), default=3
        Splits for ``threshold="cv"``, by group. An int means ``StratifiedGroupKFold`` of so many splits; an iterable
        holds numbers of recordings. Where the estimator cross-validates by itself (a search, a calibration), its ``cv``
        is applied by group as well.
    merge_gap : float, default=5.0
        Gaps of at most so many seconds within crying are closed (Yao et al., 2022).
    min_duration : float, default=5.0
        Events shorter than so many seconds are then dropped. See :func:`skcry.events.find_events` for the edges.
    random_state : int, RandomState instance or None, default=None
        Seed of the default estimator and of the splits.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        0 and 1 for annotations, else the labels as given.
    estimator_ : classifier
        Fitted on all windows.
    windower_ : Windower
        Fitted windower.
    gate_ : EnergyGate or None
        Fitted gate.
    threshold_ : float
        Score from which a second counts as crying.
    calibrator_ : Pipeline or None
        Turns pooled scores into probabilities, by logistic regression.
    level_ : float
        Added to the log-odds of crying: 0.0 after ``fit``, then what :meth:`calibrate` found.
    background_level_ : float or None
        Lower decile of the log-odds of crying in seconds of left-out training recordings, digital silence and what the
        gate closes aside; None where ``threshold`` is a number or there are several classes.
    training_ : dict
        What it was fitted on, as :meth:`card` tells it.
    left_out_ : dict of ndarray, or None
        Scores of training seconds (recordings, where ``y`` held labels) whose group was left out, after calibration:
        ``score`` and ``crying``, with ``recording`` and ``group`` by number. None where ``threshold`` is a number or
        there are several classes.
    positive_index_ : int or None
        Number of the class that is crying; None where there is no one such class.
    n_features_in_ : int
        Number of timepoints, where the recordings came as a 2-D array.

    See Also
    --------
    make_cry_pipeline : The default estimator.
    detect_files : Detects in a folder of files, and keeps what is finished.
    summarize : Turns a timeline into the numbers that are reported.
    skcry.metrics.get_scorer : Scorers for searches over detectors.

    Notes
    -----
    With one class that is crying, the score of a recording is the highest threshold at which :meth:`detect` would still
    find an event in it, so ``predict`` and ``detect`` never disagree.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcry import CryDetector, StatFeatures
    >>> from skcry.datasets import make_cry_recordings
    >>> recordings, annotations, infants = make_cry_recordings(4, duration=30, random_state=0)
    >>> fast = make_pipeline(StatFeatures(), StandardScaler(), LogisticRegression())
    >>> detector = CryDetector(fast, threshold=0.5).fit(recordings, annotations, groups=infants)
    >>> detector.timeline(recordings[:1]).shape
    (30, 3)
    """

    __module__ = "skcry"
    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "windower": [Windower, None],
        "gate": [EnergyGate, None],
        "positive": [str, tuple, list, None],
        "negative": [str, tuple, list, None],
        "min_overlap": [Interval(numbers.Real, 0, 1, closed="right")],
        "mixed": [StrOptions({"keep", "drop"})],
        "target_duration": [Interval(numbers.Real, 0, None, closed="neither"), StrOptions({"hop"}), None],
        "smooth_duration": [Interval(numbers.Integral, 1, None, closed="left")],
        "threshold": [Interval(numbers.Real, 0, 1, closed="both"), StrOptions({"cv"})],
        "max_false_alarms": [Interval(numbers.Real, 0, None, closed="left"), None],
        "cv": [Interval(numbers.Integral, 2, None, closed="left"), HasMethods(["split", "get_n_splits"]), "array-like"],
        "merge_gap": [Interval(numbers.Real, 0, None, closed="left")],
        "min_duration": [Interval(numbers.Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        windower: Windower | None = None,
        gate: EnergyGate | None = None,
        positive: Labels | None = ("cry",),
        negative: Labels | None = None,
        min_overlap: float = 0.5,
        mixed: Literal["keep", "drop"] = "keep",
        target_duration: Literal["hop"] | float | None = "hop",
        smooth_duration: int = 1,
        threshold: Literal["cv"] | float = "cv",
        max_false_alarms: float | None = None,
        cv: int | BaseCrossValidator | BaseShuffleSplit | Sequence = 3,
        merge_gap: float = 5.0,
        min_duration: float = 5.0,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.windower = windower
        self.gate = gate
        self.positive = positive
        self.negative = negative
        self.min_overlap = min_overlap
        self.mixed = mixed
        self.target_duration = target_duration
        self.smooth_duration = smooth_duration
        self.threshold = threshold
        self.max_false_alarms = max_false_alarms
        self.cv = cv
        self.merge_gap = merge_gap
        self.min_duration = min_duration
        self.random_state = random_state

    # Fitting

    def _sk_visual_block_(self):
        """Show the parts in the order of sound: fitted ones where there are, and what None stands for."""
        parts = {name: getattr(self, f"{name}_", getattr(self, name)) for name in ("windower", "gate", "estimator")}
        for name, default in (("windower", Windower), ("estimator", make_cry_pipeline)):
            parts[name] = default() if parts[name] is None else parts[name]
        return Pipeline([part for part in parts.items() if part[1] is not None])._sk_visual_block_()

    # As GroupKFold does: where metadata is routed, groups are wanted.
    __metadata_request__fit = {"groups": True}

    def get_metadata_routing(self) -> MetadataRouter:
        """Tell which metadata go where: ``groups`` and ``sample_weight`` of recordings become those of their windows.

        Returns
        -------
        MetadataRouter
            What the detector asks for itself, and what its estimator does.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        estimator = make_cry_pipeline() if self.estimator is None else self.estimator
        return MetadataRouter(owner=self).add_self_request(self).add(estimator=estimator, method_mapping=mapping)

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Recordings, y: Targets, groups: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit on annotated or labelled recordings.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings, see :class:`Windower`.
        y : list of DataFrame or of list of tuples, or array-like of shape (n_recordings,)
            Annotations of each recording (onset, offset, label; see :func:`skcry.events.as_annotations`), or one label
            per recording, which all of its windows then bear.
        groups : array-like of shape (n_recordings,) or None, default=None
            Who was recorded. Nobody is on both sides of a split: neither for the threshold, nor for early stopping, nor
            in a search within. None means that every recording is a group of its own.
        sample_weight : array-like of shape (n_recordings,) or None, default=None
            How much each recording counts: its windows in training, where the estimator takes weights (a pipeline needs
            metadata routing for that, and a sampler in it, such as SMOTE, has no use for them), and its seconds in
            calibration and threshold. Backgrounds and false alarms are counted without them. None means equal weights.

        Returns
        -------
        CryDetector
            Itself, fitted.

        Raises
        ------
        TypeError
            If there are weights, and the estimator takes none.
        ValueError
            If recordings or annotations are faulty, there is a single class, or there are fewer groups than splits; if
            ``max_false_alarms`` comes with a threshold that is a number, with labels of recordings or with several
            classes.

        Warns
        -----
        UserWarning
            If left-out recordings were not scored in the order of crying, or not even the highest of their scores keeps
            to ``max_false_alarms``: the threshold then lies just above it.
        """
        X = as_recordings(X)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        check_consistent_length(X, y, groups, sample_weight)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        scoring = ("decision_function", "predict_proba")
        if self.estimator is not None and not any(hasattr(self.estimator, name) for name in scoring):
            raise ValueError(
                f"estimator={self.estimator!r} gives no scores: it needs decision_function or predict_proba. Wrap it "
                "in CalibratedClassifierCV, or choose another."
            )
        label_map = LabelMap(self.positive, self.negative)
        self._strong = not _holds_labels(y)
        self._check_operating_point()
        if self._strong:
            y = list(y)
        else:
            if pd.isna(np.asarray(y)).any():
                raise ValueError("y has missing labels. Give every recording a label, or leave it out.")
            y = column_or_1d(y, warn=True)
            check_classification_targets(y)
            if all(str(label).lower().endswith((".csv", ".txt", ".textgrid")) for label in y):
                raise ValueError(
                    f"y holds names of files, such as {str(y[0])!r}. Read the annotations first: "
                    "[skcry.io.read_annotations(path) for path in y]."
                )
            if y.dtype.kind in "OU":
                label_map(y, "y")  # complains of labels in neither list
        if self.smooth_duration % 2 == 0:
            raise ValueError(
                f"smooth_duration={self.smooth_duration} s must be odd, so that a second has as many neighbours before "
                f"it as after it. Use {self.smooth_duration + 1}."
            )
        self.windower_ = clone(self.windower) if self.windower is not None else Windower()
        windows = self.windower_.fit_transform(X, groups=groups)
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(self.windower_, name):
                setattr(self, name, getattr(self.windower_, name))
        self.gate_, is_open = None, None
        if self.gate is not None:
            self.gate_ = self._fit_gate(X)
            is_open = [self.gate_.open_seconds(x, name) for x, name in zip(X, windows.names, strict=True)]
        keep = _in_open_seconds(windows, is_open)
        if self._strong:
            about = {"positive": self.positive, "negative": self.negative, "target_duration": self._target_duration}
            labels = windows.label(y, self.min_overlap, **about)
            if self.mixed == "drop":
                keep &= ~windows.mixed(y, **about)
        else:
            labels = y[windows.recording]
        self.classes_ = np.unique(labels[keep])
        if len(self.classes_) < 2:
            raise ValueError(
                f"Training needs at least 2 classes, but all {keep.sum()} windows"
                f"{'' if self.gate is None else ' that the gate lets pass'} bear the one label "
                f"{self.classes_.tolist()} (1 class). Add recordings of the other class, or check positive="
                f"{self.positive!r} against the labels{'' if self.gate is None else ', or open the gate wider'}."
            )
        self._roles = assign_roles(self.classes_, label_map, annotated=self._strong, gated=self.gate is not None)
        self.positive_index_ = self._roles.positive
        if self.max_false_alarms is not None and self.positive_index_ is None:
            raise ValueError(
                f"max_false_alarms={self.max_false_alarms} needs a single class of crying, but the classes are "
                f"{self.classes_.tolist()}. Name the labels that are crying in positive=(...), or pass "
                "max_false_alarms=None."
            )
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        estimator = make_cry_pipeline(random_state=seed) if self.estimator is None else self.estimator
        truth = self._truth(y, windows, label_map)
        self.training_ = self._describe_training(windows, y, truth, groups is not None)
        self.calibrator_, self.threshold_, self.level_, self.background_level_ = None, 0.5, 0.0, None
        self.left_out_: dict | None = None
        splits = self._splits(windows, labels, seed) if self.threshold == "cv" else []
        tasks = self._init_callback_context(max_subtasks=len(splits) + 1)
        tasks.call_on_fit_task_begin(estimator=self, X=X, y=y)

        def fit_on(rows, name):
            fitted = clone(estimator)
            with task(tasks, self, name, fitted):
                return fit_by_group(fitted, windows[rows], labels[rows], sample_weight)

        if self.threshold == "cv":
            scored = []  # (recording, scores of its seconds)
            for number, (train, test) in enumerate(splits):
                fitted = fit_on(train[keep[train]], f"fit on split {number}")
                scored.extend(self._score_seconds(fitted, windows[test], is_open))
            self._learn_threshold(scored, windows, y, truth, sample_weight)
        else:
            self.threshold_ = float(self.threshold)
        self.estimator_ = fit_on(np.flatnonzero(keep), "fit on all")
        # Kept, since other versions of a library may see that in a loaded estimator otherwise.
        self._method = response_method(self.estimator_)
        tasks.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _check_operating_point(self):
        if self.max_false_alarms is None:
            return
        if self.threshold != "cv":
            raise ValueError(
                f"max_false_alarms={self.max_false_alarms} per hour contradicts threshold={self.threshold}: either "
                'fixes the operating point. Pass threshold="cv", or max_false_alarms=None.'
            )
        if not self._strong:
            raise ValueError(
                f"max_false_alarms={self.max_false_alarms} per hour counts events, but y holds one label per "
                "recording, which does not say when there was crying. Pass annotations (onset, offset, label), or "
                "max_false_alarms=None."
            )

    def _fit_gate(self, X):
        gate = clone(self.gate)
        if gate.sr not in (None, self.windower_.sr):
            raise ValueError(
                f"The gate's sr={gate.sr} Hz contradicts the windower's sr={self.windower_.sr} Hz. Leave sr=None in "
                "the gate."
            )
        channel = self.windower_.channel if gate.channel is None else gate.channel
        return gate.set_params(sr=self.windower_.sr, channel=channel).fit(X)

    def _second_truth(self, annotations, duration, label_map, name):
        onset = np.arange(int(np.ceil(duration)), dtype=float)
        return classify(
            annotations, label_map, onset, onset + 1, min_overlap=self.min_overlap, duration=duration, name=name
        )[0]

    def _truth(self, y, windows, label_map):
        """List the classes of the seconds of each recording."""
        if not self._strong:
            return [np.full(-(-length // windows.sr), label) for label, length in zip(y, windows.lengths, strict=True)]
        return [
            self._second_truth(annotations, length / windows.sr, label_map, f"annotations of {name}")
            for annotations, length, name in zip(y, windows.lengths, windows.names, strict=True)
        ]

    def _score_seconds(self, estimator, windows, is_open):
        """Yield the number of each recording and the scores of its seconds, as :func:`score_recordings` does."""
        heard = _in_open_seconds(windows, is_open)
        numbers = np.unique(windows.recording)
        windows = windows[heard]
        if len(windows):
            scores, probable = window_scores(estimator, windows, response_method(estimator))
        for number in numbers:
            rows, length = windows.recording == number, windows.lengths[number]
            if not rows.any():
                yield number, np.full((-(-length // windows.sr), self._n_scores), np.nan)
                continue
            open_seconds = None if is_open is None else is_open[number]
            place = (windows.start[rows], windows.n_timepoints, length, windows.sr)
            yield number, second_log_odds(scores[rows], probable, *place, open_seconds, **self._pooling)

    @property
    def _target_duration(self):
        if self.target_duration != "hop":
            return self.target_duration
        return min(self.windower_.hop_length_, self.windower_.window_length_) / self.windower_.sr

    @property
    def _pooling(self):
        return {"target_duration": self._target_duration, "smooth_duration": self.smooth_duration}

    @property
    def _n_scores(self):
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def _splits(self, windows, labels, seed):
        """Split the windows; the user's own splits are of recordings."""
        cv = self.cv
        if hasattr(cv, "__iter__"):
            cv, n_recordings = list(cv), len(windows.lengths)
            rows_of_all = np.concatenate([np.ravel(rows) for split in cv for rows in split]) if cv else np.array([])
            if not cv or not np.isin(rows_of_all, np.arange(n_recordings)).all():
                raise ValueError(
                    f"cv={shorten(repr(cv))} must hold pairs (train, test) of numbers of recordings, from 0 to "
                    f"{n_recordings - 1}. Pass list(splitter.split(...)) over the recordings, or an int."
                )
            cv = [tuple(np.flatnonzero(np.isin(windows.recording, rows)) for rows in split) for split in cv]
        return grouped_splits(cv, labels, windows.groups, seed)

    def _learn_threshold(self, scored, windows, y, truth, sample_weight):
        """Learn calibration and threshold from scores of recordings whose group was left out."""
        pooled = np.concatenate([scores for _, scores in scored])
        known = np.concatenate([truth[number] for number, _ in scored])
        heard = np.isin(known, self.classes_) & ~np.isnan(pooled[:, 0])
        missing = np.setdiff1d(self.classes_, known)
        if len(missing):
            raise ValueError(
                f"No second is {missing.tolist()} for at least {self.min_overlap:.0%} of it, though windows are, so "
                "scores of seconds cannot be calibrated. Lower min_overlap, or give threshold=0.5."
            )
        order = np.array([number for number, _ in scored])
        weight = np.ones(len(truth)) if sample_weight is None else sample_weight
        weight_of_seconds = np.repeat(weight[order], [len(scores) for _, scores in scored])
        # Step by step, and arrays throughout, so that nothing here hangs on scikit-learn's configuration.
        scaler = StandardScaler().set_output(transform="default").fit(pooled[heard], None, weight_of_seconds[heard])
        # Mild regularisation keeps the slope finite where classes separate, as Platt's prior does.
        regression = LogisticRegression(C=100.0, max_iter=1000)
        regression.fit(scaler.transform(pooled[heard]), known[heard], weight_of_seconds[heard])
        calibrator = make_pipeline(scaler, regression)
        if self.positive_index_ is None:
            self.calibrator_ = calibrator
            return
        if calibrator[-1].coef_[0, 0] > 0:
            self.calibrator_ = calibrator
        else:
            warn(
                "The estimator did not score crying above the rest on recordings left out of training, so its scores "
                "stay uncalibrated. Pass more recordings, or look at the annotations."
            )
        tracks = [windows._tracks[number][: windows.lengths[number]] for number, _ in scored]
        usable = np.concatenate([usable_seconds(one, windows.sr) for one in tracks])
        counts = usable & ~np.isnan(pooled[:, 0])
        if counts.any():
            self.background_level_ = background_quantile(self._log_odds(pooled[counts]))
        score = [self._probabilities(scores)[:, self.positive_index_] for _, scores in scored]
        durations = [windows.lengths[number] / windows.sr for number, _ in scored]
        if self.max_false_alarms is not None:
            self.threshold_ = self._false_alarm_threshold(score, [y[number] for number, _ in scored], durations)
        if self._strong:
            recording, score, weight = np.repeat(order, list(map(len, score))), np.concatenate(score), weight_of_seconds
        else:
            score = np.array([self._recording_score(*pair) for pair in zip(score, durations, strict=True)])
            recording, known, weight = order, np.array([truth[number][0] for number in order]), weight[order]
        crying = known == self.classes_[self.positive_index_]
        _, group = np.unique(windows.groups, return_inverse=True)
        group_of_recording = dict(zip(windows.recording.tolist(), group.tolist(), strict=True))
        self.left_out_ = {
            "recording": recording.astype(np.int32),
            "group": np.array([group_of_recording[number] for number in recording.tolist()], dtype=np.int32),
            "score": score.astype(np.float32),
            "crying": crying,
        }
        if self.max_false_alarms is None:
            self.threshold_ = best_f1_threshold(crying, score, weight)

    def _describe_training(self, windows, y, truth, grouped):
        """Note what the model card will say."""
        durations, crying = windows.lengths / windows.sr, None
        if self.positive_index_ is not None:
            crying = float(sum((one == self.classes_[self.positive_index_]).sum() for one in truth))
        return {
            "recordings": list(windows.names),
            "n_groups": len(np.unique(windows.groups)),
            "grouped": grouped,
            "seconds": float(durations.sum()),
            "crying_seconds": crying,
            "annotated": self._strong,
            "labels": describe_labels(y, durations, self._strong),
            "date": datetime.date.today().isoformat(),
            "versions": library_versions(),
        }

    def card(self) -> ModelCard:
        """Describe the detector for those who are to use it: the model card.

        Returns
        -------
        ModelCard
            Training data, scores of left-out recordings with 90 % intervals over groups, threshold, limits, parameters
            and versions. ``str(card)`` is markdown, ``card.to_html()`` HTML, and a notebook shows it.

        Raises
        ------
        NotFittedError
            If the detector is not fitted.

        Warns
        -----
        UserWarning
            As :func:`skcry.metrics.bootstrap_interval`, where groups are few.
        """
        check_is_fitted(self, "estimator_")
        return make_card(self)

    def _false_alarm_threshold(self, score, annotations, durations):
        positive = self.positive
        if positive is None:
            positive = str(self.classes_[self.positive_index_])
        true_events = event_truth(annotations, positive=positive, negative=self.negative)
        rules = {"merge_gap": self.merge_gap, "min_duration": self.min_duration}
        threshold = false_alarm_threshold(score, true_events, durations, self.max_false_alarms, **rules)
        highest = max(one.max() for one in score)
        if threshold > highest:
            warn(
                f"Even the highest score on left-out recordings, {highest:.3g}, gives more than max_false_alarms="
                f"{self.max_false_alarms} per hour (in {sum(durations) / 3600:.2f} h), so the threshold lies just "
                "above it and little will be found. Allow more false alarms, raise min_duration, or pass more "
                "recordings."
            )
        return threshold

    # Adapting

    def calibrate(self, X: Recordings, y: Sequence[Annotations] | None = None) -> Self:
        """Adapt to a new home, from a few minutes of its sound.

        Microphone, room and infant shift all scores of a home. One number, ``level_``, is added to the log-odds of
        crying to make up for it; slope and ``threshold_`` stay. The detector itself is changed, nothing is trained
        anew, and a second call starts from the detector as it was fitted. ``fit`` sets the level back to 0.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings of the new home: two minutes or more.
        y : list of DataFrame or of list of tuples, or None, default=None
            Annotations of each recording; an empty list where nothing was heard, crying need not occur. None means that
            nobody listened.

        Returns
        -------
        CryDetector
            Itself.

        Raises
        ------
        NotFittedError
            If the detector is not fitted.
        OSError, ValueError
            If recordings or annotations are faulty or do not belong together, ``y`` holds labels, there are several
            classes, no second holds sound that the gate leaves open, or ``y`` is None and there are no scores of
            left-out recordings to compare with (``threshold`` is a number).

        Warns
        -----
        UserWarning
            If ``y`` holds labels, and none of them is crying; or as :meth:`timeline`.

        Notes
        -----
        With annotations the level is the intercept of a logistic regression, with a normal prior of standard deviation
        0.5 around 0 and three seconds counting as one: a few seconds cannot throw it off. On 8 real soundscapes that
        networks were not trained on (5 runs), two to three minutes of annotations raised the F1 of the remaining
        seconds from 0.72 to 0.74 (oracle threshold per home: 0.81), and half a minute or one left it as it was. A
        threshold learned anew from them lost 0.07 on average.

        Without annotations the lower decile of the log-odds is brought towards that of left-out training recordings,
        half of the way for 100 s and more for longer ones. There this changed F1 by -0.004 to 0.011, which is noise:
        expect it to help only where the whole level is off (with all log-odds moved by 2, up or down, two minutes
        brought F1 from 0.63 and 0.51 back to 0.72 and 0.70). It was the safer choice; estimating the share of crying
        by expectation maximisation [1]_ lost up to 0.09.

        References
        ----------
        .. [1] M. Saerens, P. Latinne and C. Decaestecker (2002). Adjusting the outputs of a classifier to new a priori
           probabilities: a simple procedure. Neural Computation 14(1), 21-41.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from skcry import CryDetector, StatFeatures
        >>> from skcry.datasets import make_cry_recordings
        >>> recordings, annotations, _ = make_cry_recordings(4, duration=30, random_state=0)
        >>> fast = make_pipeline(StatFeatures(["mfcc"]), StandardScaler(), LogisticRegression())
        >>> detector = CryDetector(fast, threshold=0.5).fit(recordings[:3], annotations[:3])
        >>> quiet = [y[:16000] / 100 for y in recordings[3:]]
        >>> detector.calibrate(quiet, [[]]).level_ < 0
        True
        """
        check_is_fitted(self, "estimator_")
        if self.positive_index_ is None:
            raise ValueError(
                f"calibrate shifts the log-odds of crying, but the classes are {self.classes_.tolist()}, none of which "
                "alone is crying. Fit with positive=(...) naming the labels that are."
            )
        if y is None and self.background_level_ is None:
            raise ValueError(
                "Without y, calibrate compares with scores of left-out training recordings, but there are none "
                f'(threshold={self.threshold}). Pass annotations y, or fit with threshold="cv".'
            )
        X = as_recordings(X)
        if y is not None:
            if isinstance(y, (pd.DataFrame, dict)) or any(one is None for one in y):
                raise ValueError(
                    "y must be a list with one table of annotations per recording, [] where nothing was heard: "
                    f"[table] for one recording. Got {type(y).__name__}{' with None' if isinstance(y, list) else ''}."
                )
            check_consistent_length(X, y)
            if _holds_labels(y):
                raise ValueError(
                    "y holds one label per recording, but calibrate needs annotations, which say when there was "
                    "crying. Pass (onset, offset, label) of each recording, [] where nothing was heard, or y=None."
                )
            y = list(y)
            self._warn_of_labels(y)
        log_odds, crying = [], []
        for recording, scores in self._score_recordings(X):
            self._report(recording)
            counts = recording.usable & ~np.isnan(scores[:, 0])
            log_odds.append(self._log_odds(scores[counts]))
            if y is not None:
                crying.append(self._annotated_crying(y[recording.number], recording)[counts])
        log_odds = np.concatenate(log_odds)
        if len(log_odds) == 0:
            raise ValueError(
                f"No second of these {len(X)} recordings can be calibrated on: 0 hold sound"
                f"{'' if self.gate_ is None else ' that the gate leaves open'}. Pass recordings that do."
            )
        if y is None:
            self.level_ = background_level(log_odds, self.background_level_)
        else:
            self.level_ = annotated_level(log_odds, np.concatenate(crying))
        return self

    # Scoring

    @property
    def _crying_class(self):
        """What annotated crying is called where it is one class."""
        return self.classes_[self.positive_index_] if self.positive is None else 1

    def _warn_of_labels(self, y):
        """Warn if there are labels, and none of them is crying: a slip of the pen would silence a home."""
        positive = str(self.classes_[self.positive_index_]) if self.positive is None else self.positive
        positive = {positive} if isinstance(positive, str) else set(positive)
        labels = {label for one in y for label in as_annotations(one)["label"]}
        if labels and not labels & positive:
            warn(
                f"None of the labels {sorted(labels)} is crying (positive={sorted(positive)}), so all of this sound is "
                "taken for background. Check the labels, unless nothing was heard."
            )

    def _annotated_crying(self, annotations, recording):
        label_map, name = LabelMap(self.positive, self.negative), f"annotations of {recording.name}"
        return self._second_truth(annotations, recording.duration, label_map, name) == self._crying_class

    def _log_odds(self, scores):
        """Turn scores of seconds into log-odds of crying, before the level of a home is added."""
        if len(scores) == 0:
            return np.empty(0)
        odds = scores[:, 0] if self.calibrator_ is None else self.calibrator_.decision_function(scores)
        return odds if self.positive_index_ == 1 else -odds

    def _probabilities(self, scores):
        """Turn scores of seconds into probabilities; what the gate closed is background for certain."""
        if len(scores) == 0:  # of a recording that could not be read
            return np.empty((0, len(self.classes_)))
        closed = np.isnan(scores[:, 0])
        scores = np.where(closed[:, None], 0.0, scores)
        if self.positive_index_ is not None:
            odds = self._log_odds(scores) + self.level_
            probabilities = np.empty((len(odds), 2))
            probabilities[:, self.positive_index_] = expit(odds)
            probabilities[:, 1 - self.positive_index_] = expit(-odds)
        elif self.calibrator_ is not None:
            probabilities = self.calibrator_.predict_proba(scores)
        elif scores.shape[1] == 1:
            probabilities = np.hstack([expit(-scores), expit(scores)])
        else:
            probabilities = softmax(scores, axis=1)
        if closed.any():
            probabilities[closed] = np.eye(len(self.classes_))[self._roles.background]
        return probabilities

    def _recording_score(self, probabilities, duration):
        return recording_score(
            probabilities, merge_gap=self.merge_gap, min_duration=self.min_duration, duration=duration
        )

    def _score_recordings(self, X, on_error="raise", progress=None):
        """Iterate over recordings and scores of their seconds, see :func:`score_recordings`."""
        check_is_fitted(self, "estimator_")
        if on_error not in ("raise", "warn"):
            raise ValueError(f"on_error={on_error!r} must be 'raise' or 'warn'.")
        X = as_recordings(X)
        if hasattr(X, "shape"):
            X = validate_data(self.windower_, X, reset=False, dtype="numeric", ensure_all_finite=False)
        options = {"gate": self.gate_, "on_error": "raise" if on_error == "raise" else "skip", "progress": progress}
        return score_recordings(
            self.estimator_,
            self.windower_,
            X,
            method=self._method,
            n_scores=self._n_scores,
            pooling=self._pooling,
            **options,
        )

    def _seconds(self, X, on_error="raise", progress=None):
        """Yield each recording in turn with the probabilities of its seconds, shape (n_seconds, n_classes)."""
        for recording, scores in self._score_recordings(X, on_error, progress):
            yield recording, self._probabilities(scores)

    def _report(self, recording):
        """Warn of what is wrong with a recording; tell whether it could be read."""
        problems = recording.problems
        if recording.error is not None:
            problems = [f"{recording.name} is left out: {recording.error}"]
        for problem in problems:
            warn(problem)
        return recording.error is None

    def timeline(
        self, X: Recordings, *, on_error: Literal["raise", "warn"] = "raise", progress: bool = False
    ) -> pd.DataFrame:
        """Score every second.

        Long recordings go through in blocks, files and arrays alike: memory does not grow with the length of the day.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings.
        on_error : {"raise", "warn"}, default="raise"
            Whether a recording that cannot be read is an error, or is left out with a warning.
        progress : bool, default=False
            Whether to show a bar, in hours of sound.

        Returns
        -------
        DataFrame of shape (n_seconds, 3)
            Indexed by recording (its place in ``X``) and second, with columns ``score`` (from 0 to 1), ``cry`` (bool,
            ``score >= threshold_``) and ``usable`` (bool, False where the second holds one constant value: digital
            silence or a stuck recorder). With more than two classes: a column of probabilities per class, ``label``,
            the most probable one, and ``usable``.

        Raises
        ------
        OSError, ValueError
            If a recording cannot be read. Headers of files are looked at before the work begins.

        Warns
        -----
        UserWarning
            If a file breaks off early, is silent or clipped, or has another fault that :func:`skcry.io.read_audio`
            names.
        """
        check_is_fitted(self, "estimator_")
        X, tables = as_recordings(X), {}
        with Progress(progress, X, self.windower_.sr) as bar:
            for recording, probabilities in self._seconds(X, on_error, bar):
                if self._report(recording):
                    tables[recording.number] = self._second_table(recording, probabilities)
        if not tables:
            raise ValueError("None of the recordings could be read; the warnings above say why.")
        return pd.concat(tables, names=["recording", "second"])

    def _second_table(self, recording, probabilities):
        if self.positive_index_ is not None:
            score = probabilities[:, self.positive_index_]
            columns = {"score": score, "cry": score >= self.threshold_}
        else:
            columns = {str(name): probabilities[:, i] for i, name in enumerate(self.classes_)}
            columns["label"] = self.classes_[probabilities.argmax(axis=1)]
        index = pd.RangeIndex(len(probabilities), name="second")
        return pd.DataFrame({**columns, "usable": recording.usable}, index=index)

    def detect(
        self, X: Recordings, *, on_error: Literal["raise", "warn"] = "raise", progress: bool = False
    ) -> pd.DataFrame:
        """Find the events.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings.
        on_error : {"raise", "warn"}, default="raise"
            Whether a recording that cannot be read is an error, or is left out with a warning.
        progress : bool, default=False
            Whether to show a bar, in hours of sound.

        Returns
        -------
        DataFrame of shape (n_events, 4)
            Columns ``recording`` (its place in ``X``), ``onset`` and ``offset`` in seconds, and ``score``, the mean
            over the event's seconds. With more than two classes also ``label``; background is no event.

        Raises
        ------
        OSError, ValueError
            As :meth:`timeline`.

        Warns
        -----
        UserWarning
            As :meth:`timeline`.
        """
        check_is_fitted(self, "estimator_")
        tables = [self._event_table(Recording(0, "", self.windower_.sr), np.empty((0, len(self.classes_))))]
        X = as_recordings(X)
        with Progress(progress, X, self.windower_.sr) as bar:
            for recording, probabilities in self._seconds(X, on_error, bar):
                if self._report(recording):
                    tables.append(self._event_table(recording, probabilities))
        return pd.concat(tables, ignore_index=True)

    def _event_table(self, recording, probabilities):
        if self.positive_index_ is not None:
            score = probabilities[:, self.positive_index_]
            found = [(None, score, score >= self.threshold_)]
        else:
            winner = probabilities.argmax(axis=1)
            found = [(self.classes_[i], probabilities[:, i], winner == i) for i in self._roles.interesting]
        rows = []
        for name, score, active in found:
            events = find_events(
                active, merge_gap=self.merge_gap, min_duration=self.min_duration, duration=recording.duration
            )
            for onset, offset in events:
                mean = score[int(onset) : int(np.ceil(offset))].mean()
                rows.append((recording.number, onset, offset, mean, name))
        table = pd.DataFrame(rows, columns=["recording", "onset", "offset", "score", "label"])
        table = table.astype({"recording": int, "onset": float, "offset": float, "score": float})
        table = table.sort_values("onset", kind="stable", ignore_index=True)
        return table.drop(columns="label") if self.positive_index_ is not None else table

    def decision_function(self, X: Recordings) -> np.ndarray:
        """Score each recording: log-odds of crying, zero at the threshold.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings.

        Returns
        -------
        ndarray of shape (n_recordings,), or (n_recordings, n_classes) for more than two classes
            Positive where ``classes_[1]`` is predicted; for more classes, logarithms of mean probabilities.
        """
        check_is_fitted(self, "estimator_")
        if self.positive_index_ is None:
            scores = np.log(np.maximum(self.predict_proba(X), EPSILON))
            return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores
        score = np.clip(self.predict_proba(X)[:, self.positive_index_], EPSILON, 1 - EPSILON)
        odds = logit(score) - logit(np.clip(self.threshold_, EPSILON, 1 - EPSILON))
        return odds if self.positive_index_ == 1 else -odds

    def predict_proba(self, X: Recordings) -> np.ndarray:
        """Score each recording in probabilities.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings.

        Returns
        -------
        ndarray of shape (n_recordings, n_classes)
            For crying, the highest threshold at which the recording still holds an event; for more than two classes,
            the mean over its seconds.
        """
        rows = []
        for recording, probabilities in self._seconds(X):
            self._report(recording)
            if self.positive_index_ is None:
                rows.append(probabilities.mean(axis=0))
                continue
            score = self._recording_score(probabilities[:, self.positive_index_], recording.duration)
            rows.append((score, 1 - score) if self.positive_index_ == 0 else (1 - score, score))
        return np.array(rows)

    def predict(self, X: Recordings) -> np.ndarray:
        """Predict the class of each recording: whether it contains crying.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings.

        Returns
        -------
        ndarray of shape (n_recordings,)
            One of ``classes_`` each: 1 for crying where ``fit`` had annotations.
        """
        check_is_fitted(self, "estimator_")
        probabilities = self.predict_proba(X)
        if self.positive_index_ is None:
            return self.classes_[probabilities.argmax(axis=1)]
        crying = probabilities[:, self.positive_index_] >= self.threshold_
        return self.classes_[np.where(crying, self.positive_index_, 1 - self.positive_index_)]

    def score(self, X: Recordings, y: Targets, sample_weight: ArrayLike | None = None) -> float:
        """Compare with the truth.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings.
        y : list of DataFrame or of list of tuples, or array-like of shape (n_recordings,)
            Annotations, or one label per recording.
        sample_weight : array-like of shape (n_recordings,) or None, default=None
            How much each recording, and each of its seconds, counts. None means equal weights.

        Returns
        -------
        float
            Average precision over the seconds for annotations (its mean over the classes where there are more than
            two), accuracy for labels.

        Raises
        ------
        ValueError
            If no second of the annotations is positive: average precision then has no meaning.
        """
        check_is_fitted(self, "estimator_")
        check_consistent_length(X, y, sample_weight)
        weight = check_sample_weight(sample_weight, y, ensure_non_negative=True)
        if _holds_labels(y):
            y = column_or_1d(y)
            unknown = np.setdiff1d(y, self.classes_)
            if len(unknown):
                raise ValueError(
                    f"Labels {unknown.tolist()} are not among classes_={self.classes_.tolist()} that the detector was "
                    "fitted on. Score with the same labels, or with annotations."
                )
            return float(np.average(self.predict(X) == y, weights=weight))
        y, several = list(y), self.positive_index_ is None
        label_map = LabelMap(None if several else self.positive, self.negative)
        truth, scores, weights = [], [], []
        for recording, probabilities in self._seconds(X):
            self._report(recording)
            name = f"annotations of {recording.name}"
            truth.append(self._second_truth(y[recording.number], recording.duration, label_map, name))
            scores.append(probabilities)
            weights.append(np.full(len(probabilities), weight[recording.number]))
        truth, scores, weights = np.concatenate(truth), np.concatenate(scores), np.concatenate(weights)
        wanted = dict(enumerate(self.classes_))
        if not several:
            wanted = {self.positive_index_: self._crying_class}
        present = [i for i, name in wanted.items() if (truth == name).any()]
        if not present:
            raise ValueError(
                f"No second of these {len(y)} recordings is annotated as crying (labels {self.positive!r}), so average "
                "precision is undefined. Score on recordings that hold some."
            )
        return float(
            np.mean([average_precision_score(truth == wanted[i], scores[:, i], sample_weight=weights) for i in present])
        )
