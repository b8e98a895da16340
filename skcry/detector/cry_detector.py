"""From recordings to seconds and events of crying: one estimator."""

from __future__ import annotations

import logging
import numbers
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logit
from sklearn.base import ClassifierMixin, clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted, validate_data

from .._base import BaseEstimator
from .._compat import (
    CallbackSupportMixin,
    ChainDisplayMixin,
    HasMethods,
    Interval,
    StrOptions,
    check_sample_weight,
    fit_callbacks,
    fit_context,
    task,
)
from .._progress import Progress
from .._typing import Annotations, Labels, RandomState, Recordings, Targets
from .._warnings import once, warn
from ..events import UNKNOWN, LabelMap
from ..io.audio import PLAUSIBLE_SR, as_recordings, in_order, keys_of, warn_of_rate
from ..io.live import Gap
from ..pipeline import make_cry_pipeline
from ..signal.gate import EnergyGate
from ..windows import Windower
from .blocks import Recording, score_recordings
from .card import ModelCard, make_card
from .detection import Detection
from .live import LiveSecond, check_live, listen
from .pooling import EPSILON, SecondScorer, response_method
from .targets import holds_labels, second_classes, warn_of_labels
from .threshold import OperatingPoint
from .training import check_rules, label_map_of, prepare, target_duration

LOG = logging.getLogger("skcry")
LEARNED = ("calibrator_", "threshold_", "level_", "background_level_", "left_out_")


class _Learned:
    """A fitted attribute of the detector that its operating point holds."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, detector, owner=None):
        return self if detector is None else getattr(detector.operating_point_, self.name)

    def __set__(self, detector, value):
        setattr(detector.operating_point_, self.name, value)


class _LearnedThreshold(_Learned):
    """The threshold: the parameter if it is a number, so that ``set_params`` acts at once, else the learned one."""

    def __get__(self, detector, owner=None):
        if detector is None or not isinstance(detector.threshold, numbers.Real):
            return super().__get__(detector, owner)
        check_is_fitted(detector, "estimator_")
        return float(detector.threshold)

    def __set__(self, detector, value):
        super().__set__(detector, value)
        if isinstance(detector.threshold, numbers.Real):
            detector.threshold = value


class CryDetector(ChainDisplayMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Detect crying in recordings.

    Cuts recordings into windows, scores the windows by a classifier, pools the scores into seconds, and joins seconds
    to events. Rows are recordings: ``predict`` tells whether a recording contains crying, :meth:`timeline` gives a
    score per second, :meth:`detect` gives events.

    Parameters
    ----------
    estimator : classifier or None, default=None
        Classifies windows; may be a ``GridSearchCV``. None means :func:`make_cry_pipeline`. Pass it explicitly to
        reach its parameters in a search (``estimator__classify__C``).
    windower : Windower or None, default=None
        Cuts the recordings. None means ``Windower()``.
    gate : EnergyGate or None, default=None
        First stage: seconds that it closes are background, and windows without an open second are not passed to the
        estimator, neither in ``fit`` nor afterwards. None passes all windows.
    positive : str, tuple of str or None, default=("cry",)
        Labels of annotations that count as crying. None keeps every label as a class of its own;
        :meth:`timeline` then has a column of probabilities per class. Labels of whole recordings are classes as they
        are: of two, this names the one that is crying (``classes_[1]`` if it names neither, with a warning for
        strings), and of more, those that :meth:`detect` reports.
    negative : str, tuple of str or None, default=None
        Labels that do not count as crying. None means all that are not positive; if names are given, a label in
        neither is an error. See :class:`skcry.events.LabelMap`. Of more than two classes, these are not reported as
        events.
    ignore : str or tuple of str, default=("unknown",)
        Labels of annotations that mark unknown time, such as "unsure"; "unknown" always does. It counts neither in
        training, threshold and calibration nor in scores. Time without any annotation is background;
        :func:`skcry.events.mark_unknown` marks what lies outside the annotated ranges.
    overlap : {"union", "raise"}, default="union"
        Whether annotations of other labels may overlap those of crying: it is crying then ("union"), or an error. See
        :class:`skcry.events.LabelMap`.
    min_overlap : float, default=0.5
        Share of a window, or of a second, that crying must cover for it to count as crying.
    mixed : {"keep", "drop"}, default="keep"
        Whether windows that hold more than one class are trained on.
    target_duration : "hop", float or None, default="hop"
        Length in seconds of the middle of a window that its label and its score describe; the rest is context. "hop"
        means the step of the windows, so that their middles cover the time without overlap: right for the default
        estimator, which tells frames apart. None means all of the window, and a second gets the mean over the windows
        that cover it: better for features of whole windows, such as statistics (average precision 0.65 instead of 0.60
        on soundscapes left out).
    smooth_duration : int, default=3
        Odd number of seconds over which log-odds are averaged. Three seconds raised the average precision on
        soundscapes that a detector was not trained on by 0.01 to 0.03; 1 averages nothing.
    threshold : float or "cv", default="cv"
        Score from which a second counts as crying. "cv" cross-validates the estimator by group on the training data,
        calibrates the scores to probabilities, and takes the threshold of best F1: over seconds if ``y`` holds
        annotations, over recordings if it holds labels. With a number the estimator is fitted once, and scores are
        its own probabilities, or the logistic function of its ``decision_function``, uncalibrated. Not used with more
        than two classes.
    max_false_alarms : float or None, default=None
        False alarms per hour (see :func:`skcry.metrics.event_metrics`) that the threshold may lead to on left-out
        training recordings; it is the lowest one, coming from above, that keeps to it. In less than
        ``1 / max_false_alarms`` hours of recordings a single false alarm is too many. None means the threshold of best
        F1. Needs ``threshold="cv"``, annotations and a single class of crying.
    cv : int, cross-validation splitter or iterable of (train, test), default=3
        Splits for ``threshold="cv"``, by group. An int means ``StratifiedGroupKFold`` with that number of splits; an
        iterable holds numbers of recordings. Cross-validation inside the estimator (searches, calibration) is split by
        group as well.
    merge_gap : float, default=5.0
        Gaps of at most this many seconds within crying are closed (Yao et al., 2022).
    min_duration : float, default=5.0
        Events shorter than this many seconds are then dropped. See :func:`skcry.events.find_events` for the edges.
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
    operating_point_ : OperatingPoint
        Turns scores into probabilities; holds the next five attributes.
    threshold_ : float
        Score from which a second counts as crying.
    calibrator_ : Pipeline or None
        Logistic regression that calibrates scores; None if ``threshold`` is a number.
    level_ : float
        Number that is added to the log-odds of crying: 0.0 after ``fit``, then set by :meth:`calibrate`.
    background_level_ : float or None
        Lower decile of the log-odds of crying in left-out training seconds, without digital silence and closed
        seconds; None if ``threshold`` is a number or there are several classes.
    left_out_ : dict of ndarray, or None
        Calibrated scores of training seconds (of recordings, if ``y`` held labels) whose group was left out: ``score``
        and ``crying``, with ``recording`` and ``group`` by number. None if ``threshold`` is a number or there are
        several classes.
    training_ : dict
        Facts about the training data that :meth:`card` shows.
    positive_index_ : int or None
        Number of the class that is crying; None if there is no single one.
    crying_labels_ : str or tuple of str
        Labels of annotations that count as crying.
    n_features_in_ : int
        Number of timepoints, if the recordings were passed as a 2-D array.

    See Also
    --------
    make_cry_pipeline : The default estimator.
    detect_files : Detects in a folder of files, and writes the results file by file.
    summarize : Computes cry minutes, bouts and gaps from a timeline.
    skcry.metrics.get_scorer : Scorers for searches over detectors.

    Notes
    -----
    Parameters act at the next ``fit``, except those that turn scores into events: ``smooth_duration``, ``merge_gap``,
    ``min_duration`` and a number as ``threshold`` act at once. ``score`` and ``calibrate`` read annotations by the
    present ``positive``, ``negative``, ``ignore``, ``overlap`` and ``min_overlap``.

    With one class of crying, the score of a recording is the highest threshold at which :meth:`detect` still finds an
    event in it, so ``predict`` and ``detect`` always agree.

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
        "ignore": [str, tuple, list],
        "overlap": [StrOptions({"union", "raise"})],
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
        ignore: Labels = (UNKNOWN,),
        overlap: Literal["union", "raise"] = "union",
        min_overlap: float = 0.5,
        mixed: Literal["keep", "drop"] = "keep",
        target_duration: Literal["hop"] | float | None = "hop",
        smooth_duration: int = 3,
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
        self.ignore = ignore
        self.overlap = overlap
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

    calibrator_ = _Learned()
    threshold_ = _LearnedThreshold()
    level_ = _Learned()
    background_level_ = _Learned()
    left_out_ = _Learned()

    # Fitting

    def _parts(self):
        """Show the parts in the order of sound: fitted ones where there are, and what None stands for."""
        parts = {name: getattr(self, f"{name}_", getattr(self, name)) for name in ("windower", "gate", "estimator")}
        for name, default in (("windower", Windower), ("estimator", make_cry_pipeline)):
            parts[name] = default() if parts[name] is None else parts[name]
        return [part for part in parts.items() if part[1] is not None]

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
            Recordings, see :class:`Windower`. More than two hours of sound in files stay there, so that memory does not
            grow with the hours; the files must not change meanwhile.
        y : list of DataFrame or of list of tuples, or array-like of shape (n_recordings,)
            Annotations of each recording (onset, offset, label; see :func:`skcry.events.as_annotations`), or one label
            per recording, for all of its windows. A dict, or a Series indexed by names of files, is looked up by name.
        groups : array-like of shape (n_recordings,), dict or None, default=None
            Infant or home of each recording. No group is on both sides of any split: of the threshold, of early
            stopping, or of a search inside the estimator. A dict, or a Series indexed by names of files, is looked up
            by name. None means that every recording is a group of its own.
        sample_weight : array-like of shape (n_recordings,) or None, default=None
            Weight of each recording: of its windows in training, if the estimator takes weights (a pipeline needs
            metadata routing for that; samplers such as SMOTE ignore them), and of its seconds in calibration and
            threshold. Background level and false alarms are unweighted. None means equal weights.

        Returns
        -------
        CryDetector
            Itself, fitted.

        Raises
        ------
        TypeError
            If there are weights and the estimator takes none.
        ValueError
            If recordings or annotations are faulty, there is a single class, or there are fewer groups than splits; if
            ``max_false_alarms`` comes with a threshold that is a number, with labels of recordings or with several
            classes.

        Warns
        -----
        UserWarning
            If scores of left-out recordings do not rise with crying, or even the highest of them gives more than
            ``max_false_alarms``: the threshold is then just above it.
        """
        data = prepare(self, X, y, groups, sample_weight)
        self.windower_, self.gate_ = data.windower, data.gate
        self.classes_, self.positive_index_ = data.classes, data.roles.positive
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(self.windower_, name):
                setattr(self, name, getattr(self.windower_, name))
        self._target_duration = target_duration(self.target_duration, self.windower_)
        self.training_ = data.describe()
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        estimator = make_cry_pipeline(random_state=seed) if self.estimator is None else self.estimator
        splits = data.split(self.cv, seed) if self.threshold == "cv" else []
        with fit_callbacks(self, X, y, len(splits) + 1) as context, once():

            def fit_on(rows, name):
                fitted = clone(estimator)
                with task(context, self, name, fitted):
                    return data.fit(fitted, rows)

            left_out = []
            for number, (train, test) in enumerate(splits):
                LOG.info(
                    "Training without fold %d of %d, to measure and to choose the threshold", number + 1, len(splits)
                )
                fitted = fit_on(train, f"fit on split {number}")
                left_out += data.left_out(self._scorer(fitted, response_method(fitted)), test)
            about = {name: getattr(self, name) for name in ("max_false_alarms", "merge_gap", "min_duration")}
            point = OperatingPoint(self.classes_, data.roles, **about)
            self.operating_point_ = point.fit(left_out) if splits else point.fix(self.threshold)
            LOG.info("Training on all recordings")
            self.estimator_ = fit_on(np.arange(len(data.labels)), "fit on all")
            # Stored, since another version of a library may offer another method for a loaded estimator.
            self._method = response_method(self.estimator_)
        return self

    def _scorer(self, estimator, method):
        return SecondScorer(
            estimator,
            method,
            n_scores=1 if len(self.classes_) == 2 else len(self.classes_),
            window_length=self.windower_.window_length_,
            sr=self.windower_.sr,
            target_duration=self._target_duration,
            smooth_duration=self.smooth_duration,
        )

    def __setstate__(self, state):
        if "_roles" in state:  # saved by skcry 0.1
            point = OperatingPoint(state["classes_"], state.pop("_roles"))
            point.__dict__.update({name: state.pop(name) for name in LEARNED})
            state = {**state, "operating_point_": point}
        if "ignore" not in state:  # saved by skcry 0.2 or earlier
            state = {**state, "ignore": (UNKNOWN,), "overlap": "union"}
            if "windower_" in state:
                state["_target_duration"] = target_duration(state["target_duration"], state["windower_"])
        super().__setstate__(state)

    def card(self) -> ModelCard:
        """Describe the detector for its users: the model card.

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

    # Adapting

    def calibrate(self, X: Recordings, y: Sequence[Annotations] | None = None) -> Self:
        """Adapt to a new home, from a few minutes of its sound.

        Microphone, room and infant shift all scores of a home. To compensate, one number, ``level_``, is added to the
        log-odds of crying. A second call starts from the detector as it was fitted; ``fit`` resets the level to 0.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings of the new home: two minutes or more.
        y : list of DataFrame or of list of tuples, or None, default=None
            Annotations of each recording, an empty list if nothing was heard; crying need not occur. None means that
            there are no annotations.

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
            If ``y`` holds labels and none of them is crying; or as :meth:`timeline`.

        Notes
        -----
        With annotations the level is the intercept of a logistic regression, with a normal prior of standard deviation
        0.5 around 0; three seconds count as one. On 8 real soundscapes (5 runs), two to three minutes of annotations
        raised the F1 of the remaining seconds from 0.72 to 0.74 (oracle threshold per home: 0.81); half a minute made
        no difference, and a threshold learned anew lost 0.07. For a detector like the one that ships, which had heard
        none of this sound, 50 clips of 5 s from all of them raised F1 from 0.73 to 0.77
        (``benchmarks/bench_review.py``).

        Without annotations the lower decile of the log-odds is moved towards that of left-out training recordings, half
        of the way for 100 s. There this changed F1 by -0.004 to 0.011, which is noise; it helps if the whole level is
        off (with log-odds moved by 2, F1 rose from 0.63 and 0.51 to 0.72 and 0.70).

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
            if holds_labels(y):
                raise ValueError(
                    "y holds one label per recording, but calibrate needs annotations, which say when there was "
                    "crying. Pass (onset, offset, label) of each recording, [] where nothing was heard, or y=None."
                )
            y = list(y)
            warn_of_labels(y, self.crying_labels_, self.ignore)
        label_map = label_map_of(self)
        heard, crying = [], []
        for recording, scores in self._score_recordings(X):
            for problem in recording.problems:
                warn(problem)
            counts = recording.usable & ~np.isnan(scores[:, 0])
            if y is not None:
                about = {"min_overlap": self.min_overlap, "name": recording.name}
                truth, known = second_classes(y[recording.number], label_map, recording.duration, **about)
                counts &= known
                crying.append(truth[counts] == self._crying_class)
            heard.append(scores[counts])
        scores = np.concatenate(heard)
        if len(scores) == 0:
            raise ValueError(
                f"No second of these {len(X)} recordings can be calibrated on: 0 hold sound"
                f"{'' if self.gate_ is None else ' that the gate leaves open'}. Pass recordings that do, with time "
                "that is not annotated as unknown."
            )
        self.operating_point_.adapt(scores, None if y is None else np.concatenate(crying))
        return self

    # Scoring

    @property
    def _crying_class(self):
        """Class of annotated crying; for several labels of crying, 1."""
        return self.classes_[self.positive_index_] if self.positive is None else 1

    @property
    def crying_labels_(self) -> Labels:
        """Labels of annotations that count as crying, str or tuple of str."""
        return str(self.classes_[self.positive_index_]) if self.positive is None else self.positive

    def _score_recordings(self, X, on_error="raise", progress=None):
        """Return an iterator over recordings and scores of their seconds, see :func:`score_recordings`."""
        X = as_recordings(X)
        if hasattr(X, "shape"):
            X = validate_data(self.windower_, X, reset=False, dtype="numeric", ensure_all_finite=False)
        options = {"gate": self.gate_, "on_error": "raise" if on_error == "raise" else "skip", "progress": progress}
        return score_recordings(self._scorer(self.estimator_, self._method), self.windower_, X, **options)

    def _detection(self, recording, probabilities):
        return Detection(
            recording=recording.number,
            name=recording.name,
            probabilities=probabilities,
            classes=self.classes_,
            positive_index=self.positive_index_,
            event_classes=self.operating_point_.roles.interesting,
            threshold=self.threshold_,
            merge_gap=self.merge_gap,
            min_duration=self.min_duration,
            duration=recording.duration,
            usable=recording.usable,
            problems=recording.problems,
            error=recording.error,
        )

    def iter_detections(
        self,
        X: Recordings,
        *,
        on_error: Literal["raise", "warn", "keep"] = "raise",
        progress: bool | Callable[[float], object] = False,
    ) -> Iterator[Detection]:
        """Score the recordings one after the other.

        Each recording is scored once; timeline, events and score of it are properties of what is yielded. Long
        recordings are read in blocks, files and arrays alike: memory does not grow with the length of a recording.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings.
        on_error : {"raise", "warn", "keep"}, default="raise"
            What to do about a recording that cannot be read: raise the error, leave it out with a warning, or yield a
            detection with its ``error`` set. "keep" also issues no warnings: see ``problems`` of the detections.
        progress : bool or callable, default=False
            Whether to show a bar, in hours of sound; or a function that is called with the seconds of sound read since
            its last call.

        Returns
        -------
        iterator of Detection
            In the order of the recordings.

        Raises
        ------
        OSError, ValueError
            If a recording cannot be read. Headers of files are checked before the work begins.

        Warns
        -----
        UserWarning
            If a file breaks off early, is silent or clipped, or has another fault that :func:`skcry.io.read_audio`
            names.
        """
        check_is_fitted(self, "estimator_")
        if on_error not in ("raise", "warn", "keep"):
            raise ValueError(f"on_error={on_error!r} must be 'raise', 'warn' or 'keep'.")
        check_rules(self)
        X = as_recordings(X)
        if on_error != "keep":
            warn_of_rate(X, self.windower_.sr)
        return self._iter_detections(X, on_error, progress)

    def _iter_detections(self, X, on_error, progress):
        with Progress(progress is True, X, self.windower_.sr) as bar:
            told = progress if callable(progress) else bar
            for recording, scores in self._score_recordings(X, on_error, told):
                if on_error != "keep":
                    for problem in recording.problems:
                        warn(problem)
                    if recording.error is not None:
                        warn(f"{recording.name} is left out: {recording.error}")
                        continue
                yield self._detection(recording, self.operating_point_.predict_proba(scores))

    def timeline(
        self, X: Recordings, *, on_error: Literal["raise", "warn"] = "raise", progress: bool = False
    ) -> pd.DataFrame:
        """Score every second. Errors and warnings are those of :meth:`iter_detections`.

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
            Indexed by recording and second, with columns ``score`` (from 0 to 1), ``cry`` (bool,
            ``score >= threshold_``) and ``usable`` (bool, False where the second holds one constant value: digital
            silence or a stuck recorder). Recordings are called by file name if all are files (relative to the deepest
            folder that holds them, as in :func:`skcry.detect_files`), else by their place in ``X``. With more than two
            classes: a column of probabilities per class, ``label``, the most probable one, and ``usable``. ``attrs``
            holds ``merge_gap`` and ``min_duration``, by which :func:`skcry.summarize` finds bouts.
        """
        X = as_recordings(X)
        keys = keys_of(X)
        found = self.iter_detections(X, on_error=on_error, progress=progress)
        tables = {keys[one.recording]: one.timeline for one in found}
        if not tables:
            raise ValueError("None of the recordings could be read; the warnings above say why.")
        timeline = pd.concat(tables, names=["recording", "second"])
        timeline.attrs.update(merge_gap=self.merge_gap, min_duration=self.min_duration)  # for summarize
        return timeline

    def detect(
        self, X: Recordings, *, on_error: Literal["raise", "warn"] = "raise", progress: bool = False
    ) -> pd.DataFrame:
        """Find the events. Errors and warnings are those of :meth:`iter_detections`.

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
            Columns ``recording`` (as in :meth:`timeline`), ``onset`` and ``offset`` in seconds, and ``score``, the
            mean over the event's seconds. With more than two classes also ``label``; background is no event.
        """
        X = as_recordings(X)
        keys = keys_of(X)
        found = self.iter_detections(X, on_error=on_error, progress=progress)
        none = self._detection(Recording(0, "", self.windower_.sr), np.empty((0, len(self.classes_)))).events
        tables = [one.events.assign(recording=keys[one.recording]) for one in found]
        tables = [table for table in tables if len(table)]
        return pd.concat(tables, ignore_index=True) if tables else none

    def listen(
        self, source: Iterable[ArrayLike | Gap], *, sr: int | None = None, channel: int | None = None
    ) -> Iterator[LiveSecond]:
        """Score sound while it is recorded: each second as soon as no later sound can change its score.

        Scores are those that :meth:`timeline` gives for the same sound, up to rounding, whatever the blocks. Memory
        does not grow with time, and times are counted in samples, so that no clock matters.

        Parameters
        ----------
        source : iterable of ndarray of shape (n_timepoints,) or (n_timepoints, n_channels)
            Blocks of sound of any sizes, also none. Integers are scaled. :func:`skcry.io.read_pipe`,
            :func:`skcry.io.follow_wav` and :func:`skcry.io.microphone` return such, and any generator will do. A
            :class:`skcry.io.Gap` among them stands for lost sound.
        sr : int or None, default=None
            Rate of the blocks in Hz. None means what the source says (``source.sr``) or, if it does not, the rate of
            the detector. Other rates are resampled.
        channel : int or None, default=None
            Channel to listen to, from 0. None means that of the windower; if this is None too, channels are mixed
            down.

        Returns
        -------
        iterator of LiveSecond
            Second, score, cry, usable, level, and the events that begin or have ended with it.

        Raises
        ------
        NotFittedError
            If the detector is not fitted.
        TypeError, ValueError
            At once, if the detector has a gate or :class:`Denoise`, which need sound from long after a second. Later,
            if a block is no sound; what came before it is scored first.
        Exception
            That of the source, after what came before it is scored.

        See Also
        --------
        iter_detections : Scores recordings that have ended.

        Notes
        -----
        A second is scored once the window around it and the seconds with which it is averaged have been heard: 3 s of
        sound after its end with the default windows, of which 1 s is ``smooth_duration=3``. Events are told when they
        are long enough to be kept, and again when the gap after them is too long to be closed: see
        :class:`skcry.LiveEvent`.

        Examples
        --------
        >>> import skcry
        >>> from skcry.datasets import make_cry_recordings
        >>> recordings, _, _ = make_cry_recordings(1, duration=60, random_state=0)
        >>> blocks = (recordings[0][i : i + 4000] for i in range(0, 960000, 4000))
        >>> for second in skcry.load_pretrained().listen(blocks, sr=16000):
        ...     for event in second.events:
        ...         print(second.second, event.onset, event.offset, "ended" if event.final else "began")
        4 0.0 5.0 began
        17 0.0 12.0 ended
        27 23.0 28.0 began
        56 23.0 51.0 ended
        """
        check_is_fitted(self, "estimator_")
        check_rules(self)
        check_live(self)
        if isinstance(source, (str, bytes, os.PathLike)) or not hasattr(source, "__iter__"):
            raise TypeError(
                f"source={source!r:.100} must be an iterable of blocks of sound. For a file that is being recorded, "
                "pass skcry.io.follow_wav(path); for a pipe, skcry.io.read_pipe(file)."
            )
        own = getattr(source, "sr", None)
        if None not in (sr, own) and sr != own:
            raise ValueError(f"sr={sr} Hz contradicts the rate of the source, {own} Hz. Leave sr out.")
        rate = next(one for one in (sr, own, self.windower_.sr) if one is not None)
        if not isinstance(rate, numbers.Integral) or not PLAUSIBLE_SR[0] <= int(rate) <= PLAUSIBLE_SR[1]:
            raise ValueError(f"sr={rate!r} Hz must be a whole number from {PLAUSIBLE_SR[0]} to {PLAUSIBLE_SR[1]}.")
        return listen(self, source, rate, self.windower_.channel if channel is None else channel)

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
        scores = np.array([one.score for one in self.iter_detections(X)])
        if self.positive_index_ is None:
            return scores
        return np.column_stack([scores, 1 - scores] if self.positive_index_ == 0 else [1 - scores, scores])

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
            If annotations are faulty, or labels are not those that the detector was fitted on.

        Warns
        -----
        UndefinedMetricWarning
            If no known second is annotated as crying: average precision is then 0.0, as in scikit-learn, so that a
            search can rank its settings although one split holds no crying.
        """
        check_is_fitted(self, "estimator_")
        X = as_recordings(X)
        y = in_order(y, X, "y")
        check_consistent_length(X, y, sample_weight)
        weight = check_sample_weight(sample_weight, y, ensure_non_negative=True)
        if holds_labels(y):
            y = column_or_1d(y)
            unknown = np.setdiff1d(y, self.classes_)
            if len(unknown):
                raise ValueError(
                    f"Labels {unknown.tolist()} are not among classes_={self.classes_.tolist()} that the detector was "
                    "fitted on. Score with the same labels, or with annotations."
                )
            return float(np.average(self.predict(X) == y, weights=weight))
        y, several = list(y), self.positive_index_ is None
        label_map = LabelMap(None if several else self.positive, self.negative, self.ignore, self.overlap)
        truth, scores, weights = [], [], []
        for one in self.iter_detections(X):
            about = {"min_overlap": self.min_overlap, "name": one.name}
            classes, known = second_classes(y[one.recording], label_map, one.duration, **about)
            truth.append(classes[known])
            scores.append(one.probabilities[known])
            weights.append(np.full(int(known.sum()), weight[one.recording]))
        truth, scores, weights = np.concatenate(truth), np.concatenate(scores), np.concatenate(weights)
        wanted = dict(enumerate(self.classes_))
        if not several:
            wanted = {self.positive_index_: self._crying_class}
        present = [i for i, name in wanted.items() if (truth == name).any()]
        if not present:
            warn(
                f"No second of these {len(y)} recordings is annotated as crying (labels {self.positive!r}), so average "
                "precision is undefined, and set to 0.0. Use splits that hold some, or leave this one out of means.",
                UndefinedMetricWarning,
            )
            return 0.0
        return float(
            np.mean([average_precision_score(truth == wanted[i], scores[:, i], sample_weight=weights) for i in present])
        )
