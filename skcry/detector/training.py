"""Training data of a detector: windows, their classes, and the truth of the seconds."""

import datetime
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_consistent_length

from .._base import library_versions
from .._compat import check_sample_weight, groups_of_caller
from .._warnings import warn
from ..events import LabelMap, as_annotations
from ..io.audio import as_recordings, in_order
from ..io.text_files import shorten
from ..metrics import event_truth
from ..signal.gate import EnergyGate
from ..windows import Windower, Windows
from .blocks import windows_in_open_seconds
from .card import describe_labels, name_recordings
from .splits import fit_by_group, grouped_splits
from .targets import Roles, assign_roles, check_labels, crying_labels, holds_labels, second_classes
from .threshold import LeftOut

BATCH = 20_000  # windows of left-out recordings that are scored at a time, about


@dataclass
class TrainingData:
    """Windows to train on, with all that is known of them."""

    windower: Windower
    gate: EnergyGate | None
    windows: Windows  # of shape (n_windows, n_timepoints)
    labels: np.ndarray  # (n_windows,) classes
    keep: np.ndarray  # (n_windows,) bool, False for windows that are not trained on
    is_open: list | None  # per recording, the seconds that the gate leaves open, bool (n_seconds,)
    truth: list  # per recording, the classes of its seconds (n_seconds,)
    known: list  # per recording, the seconds that are in no unknown time, bool (n_seconds,)
    true_events: list | None  # per recording, annotated crying by `event_truth`; None if it is not needed
    y: Any  # annotations of each recording, or one label for each
    annotated: bool  # which of both
    grouped: bool  # whether groups were given
    weight: np.ndarray | None  # (n_recordings,)
    classes: np.ndarray
    roles: Roles

    def split(self, cv, seed):
        """Split the windows by group; the user's own splits are of recordings. Returns a list of (train, test) rows."""
        if hasattr(cv, "__iter__"):
            cv, n_recordings = list(cv), len(self.windows.lengths)
            rows_of_all = np.concatenate([np.ravel(rows) for split in cv for rows in split]) if cv else np.array([])
            if not cv or not np.isin(rows_of_all, np.arange(n_recordings)).all():
                raise ValueError(
                    f"cv={shorten(repr(cv), 60)} must hold pairs (train, test) of numbers of recordings, from 0 to "
                    f"{n_recordings - 1}. Pass list(splitter.split(...)) over the recordings, or an int."
                )
            cv = [tuple(np.flatnonzero(np.isin(self.windows.recording, rows)) for rows in split) for split in cv]
        return grouped_splits(cv, self.labels, self.windows.groups, seed)

    def fit(self, estimator, rows):
        """Fit an estimator on those of these rows that are kept."""
        rows = rows[self.keep[rows]]
        return fit_by_group(estimator, self.windows[rows], self.labels[rows], self.weight)

    def left_out(self, scorer, rows):
        """Score the recordings of these rows by an estimator that was not trained on them: a list of LeftOut."""
        groups, found = self._group_numbers(), []
        numbers, counts = np.unique(self.windows.recording[rows], return_counts=True)
        for batch in np.unique(last := np.cumsum(counts) // BATCH):  # so that memory does not grow with the hours
            chosen = numbers[last == batch]
            found += self._score(scorer, rows[np.isin(self.windows.recording[rows], chosen)], chosen, groups)
        return found

    def _score(self, scorer, rows, numbers, groups):
        """Score these rows, all of these recordings: a list of LeftOut."""
        windows = self.windows[rows]
        windows = windows[_in_open_seconds(windows, self.is_open)]
        scores = scorer.score_windows(windows) if len(windows) else np.empty((0, 1))
        found = []
        for number in numbers:
            chosen, length = windows.recording == number, windows.lengths[number]
            is_open = None if self.is_open is None else self.is_open[number]
            found.append(
                LeftOut(
                    recording=number,
                    group=groups[number],
                    scores=scorer.pool(scores[chosen], windows.start[chosen], length, is_open),
                    truth=self.truth[number],
                    known=self.known[number],
                    usable=windows._usable(number),
                    duration=length / windows.sr,
                    weight=1.0 if self.weight is None else self.weight[number],
                    true_events=None if self.true_events is None else self.true_events[number],
                )
            )
        return found

    def _group_numbers(self):
        _, group = np.unique(self.windows.groups, return_inverse=True)
        return dict(zip(self.windows.recording.tolist(), group.tolist(), strict=True))

    def describe(self):
        """Note what the model card tells of the training data: a dict."""
        durations, crying = self.windows.lengths / self.windows.sr, None
        if self.roles.positive is not None:
            crying = float(sum((one == self.classes[self.roles.positive]).sum() for one in self.truth))
        return {
            "recordings": name_recordings(self.windows.names, self.y),
            "unknown_seconds": float(sum((~one).sum() for one in self.known)),
            "n_groups": len(np.unique(self.windows.groups)),
            "grouped": self.grouped,
            "seconds": float(durations.sum()),
            "crying_seconds": crying,
            "annotated": self.annotated,
            "labels": describe_labels(self.y, durations, self.annotated),
            "date": datetime.date.today().isoformat(),
            "versions": library_versions(),
        }


def prepare(detector, X, y, groups, sample_weight):
    """Check everything that ``CryDetector.fit`` is given, cut the recordings, and label windows and seconds."""
    X = as_recordings(X)
    if y is None:
        raise ValueError(f"{type(detector).__name__} requires y to be passed, but the target y is None.")
    y, groups = in_order(y, X, "y"), in_order(groups, X, "groups")
    check_consistent_length(X, y, groups, sample_weight)
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
    if groups is None and detector.threshold == "cv" and groups_of_caller():
        warn(
            "groups reach the outer splits only, so that the splits inside this fit, of threshold and early stopping, "
            "ignore the infants. Call sklearn.set_config(enable_metadata_routing=True), and pass groups in params of "
            "cross_validate, or to fit of a search."
        )
    label_map = label_map_of(detector)
    annotated = not holds_labels(y)
    _check_settings(detector, annotated)
    y = list(y) if annotated else check_labels(y, label_map)
    windower = Windower() if detector.windower is None else clone(detector.windower)
    windows = windower.fit_transform(X, groups=groups)
    gate, is_open = None, None
    if detector.gate is not None:
        gate = _fit_gate(detector.gate, windower, X)
        is_open = [gate.open_seconds(x, name) for x, name in zip(X, windows.names, strict=True)]
    keep = _in_open_seconds(windows, is_open)
    if annotated:
        duration = target_duration(detector.target_duration, windower)
        labels, mixed, known = windows._classify(y, detector.min_overlap, label_map, duration)
        keep &= known
        if detector.mixed == "drop":
            keep &= ~mixed
    else:
        labels = y[windows.recording]
    classes = np.unique(labels[keep])
    if len(classes) < 2:
        through, gates = ("", "") if gate is None else (" that pass the gate", " and the gate")
        if annotated and not known.all():
            through += " in known time"
        raise ValueError(
            f"Training needs at least 2 classes, but all {keep.sum()} windows{through} have the label "
            f"{classes.tolist()} (1 class). Add recordings of another class, or check positive={detector.positive!r}"
            f"{gates}."
        )
    roles = assign_roles(classes, label_map, annotated=annotated, gated=gate is not None)
    if detector.max_false_alarms is not None and roles.positive is None:
        raise ValueError(
            f"max_false_alarms={detector.max_false_alarms} needs a single class of crying, but the classes are "
            f"{classes.tolist()}. Name the labels that are crying in positive=(...), or pass max_false_alarms=None."
        )
    durations = windows.lengths / windows.sr
    if annotated:
        named = zip(y, durations, windows.names, strict=True)
        seconds = [second_classes(a, label_map, d, min_overlap=detector.min_overlap, name=name) for a, d, name in named]
        truth, known = (list(part) for part in zip(*seconds, strict=True))
        _warn_of_lost_labels(y, label_map, classes)
    else:
        truth = [np.full(-(-length // windows.sr), label) for label, length in zip(y, windows.lengths, strict=True)]
        known = [np.ones(len(one), dtype=bool) for one in truth]
    true_events = None
    if annotated and roles.positive is not None:
        negative = None if label_map.positive is None else label_map.negative
        about = {"positive": crying_labels(label_map, classes, roles), "negative": negative, "ignore": label_map.ignore}
        true_events = [event_truth([one], **about) for one in y]
    return TrainingData(
        windower,
        gate,
        windows,
        labels,
        keep,
        is_open,
        truth,
        known,
        true_events,
        y=y,
        annotated=annotated,
        grouped=groups is not None,
        weight=sample_weight,
        classes=classes,
        roles=roles,
    )


def label_map_of(detector):
    """Return the LabelMap of a detector's parameters."""
    return LabelMap(detector.positive, detector.negative, detector.ignore, detector.overlap)


def _warn_of_lost_labels(y, label_map, classes):
    """Warn of classes of annotations that no window bears, because all their annotations are short."""
    labels = {label for one in y for label in as_annotations(one)["label"]}
    found = {str(key) for key in label_map(labels) if key is not None}
    lost = sorted(found - set(map(str, classes)) - {str(label_map.background)})
    if lost:
        warn(
            f"No window has the label {', '.join(lost)}: its annotations are too short to cover min_overlap of one, so "
            "it is not learned. Shorten target_duration or the windows, or lower min_overlap."
        )


def _check_settings(detector, annotated):
    """Refuse settings of a detector that contradict each other or the kind of its targets."""
    estimator, rate = detector.estimator, detector.max_false_alarms
    if estimator is not None and not any(hasattr(estimator, name) for name in ("decision_function", "predict_proba")):
        raise ValueError(
            f"estimator={shorten(repr(estimator), 80)} gives no scores: it needs decision_function or predict_proba. "
            "Wrap it in CalibratedClassifierCV, or choose another."
        )
    if rate is not None and detector.threshold != "cv":
        raise ValueError(
            f"max_false_alarms={rate} per hour contradicts threshold={detector.threshold}: both fix the operating "
            'point. Pass threshold="cv", or max_false_alarms=None.'
        )
    if rate is not None and not annotated:
        raise ValueError(
            f"max_false_alarms={rate} per hour counts events, but y holds one label per recording. Pass annotations "
            "(onset, offset, label), or max_false_alarms=None."
        )
    _check_smoothing(detector)


def check_rules(detector):
    """Refuse settings that act at once if they were set to a value out of their bounds after ``fit``."""
    for name, highest in (("threshold", 1), ("merge_gap", np.inf), ("min_duration", np.inf)):
        value = getattr(detector, name)
        if isinstance(value, Real) and not 0 <= float(value) <= highest:
            bounds = "at least 0" if highest == np.inf else f"from 0 to {highest}"
            raise ValueError(f"{name}={value} must be {bounds}. Correct it by set_params.")
    _check_smoothing(detector)


def _check_smoothing(detector):
    n_seconds = detector.smooth_duration
    if not isinstance(n_seconds, Integral) or n_seconds < 1:
        raise ValueError(f"smooth_duration={n_seconds!r} must be an odd whole number of seconds; 1 means no smoothing.")
    if n_seconds % 2 == 0:
        raise ValueError(
            f"smooth_duration={n_seconds} s must be odd, so that a second has as many neighbours before it as after "
            f"it. Use {n_seconds + 1}."
        )


def _fit_gate(gate, windower, X):
    gate = clone(gate)
    if gate.sr not in (None, windower.sr):
        raise ValueError(
            f"The gate's sr={gate.sr} Hz contradicts the windower's sr={windower.sr} Hz. Leave sr=None in the gate."
        )
    channel = windower.channel if gate.channel is None else gate.channel
    return gate.set_params(sr=windower.sr, channel=channel).fit(X)


def _in_open_seconds(windows, is_open):
    """Tell which windows (n_windows,) hold a second that the gate leaves open."""
    heard = np.ones(len(windows), dtype=bool)
    for number in np.unique(windows.recording) if is_open is not None else ():
        rows = windows.recording == number
        heard[rows] = windows_in_open_seconds(windows.start[rows], windows.n_timepoints, windows.sr, is_open[number])
    return heard


def target_duration(duration, windower):
    """Length in seconds of the middle of a window that its label and score describe; None for all of it."""
    if duration != "hop":
        return duration
    return min(windower.hop_length_, windower.window_length_) / windower.sr
