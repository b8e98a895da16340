"""Cross-validation in which no group is on both sides of a split, at any depth of an estimator."""

import numbers

import numpy as np
from sklearn import get_config
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import has_fit_parameter

from ..io.text_files import shorten
from ..limit import LimitWindows, select_rows

# Parameters of estimators that draw rows for those inside: bagging, imbalanced-learn's ensembles, halving searches.
DRAWING = {"bootstrap", "sampling_strategy", "min_resources"}
OFF = np.False_  # stands for early_stopping="auto" during a fit; a user's False is another object


def grouped_splits(cv, labels, groups, random_state=None, name="cv"):
    """Split rows by group, and check that no group is on both sides and that training has every class.

    ``cv`` is an int, a splitter or a list, ``labels`` and ``groups`` have shape (n_windows,); ``name`` is for errors.
    Returns a list of (train, test), arrays of row numbers.
    """
    given = f"{name}={shorten(repr(cv), 60)}"
    instead = "do without: threshold=0.5" if name == "cv" else "shuffle recordings that are sorted by label"
    if isinstance(cv, numbers.Integral):
        n_groups = len(np.unique(groups))
        if n_groups < int(cv):
            raise ValueError(
                f"Fewer groups than splits: {given} needs at least {cv} recordings (or infants, where groups are "
                f"given), got {n_groups}. Pass more recordings, lower {name}, or {instead}."
            )
        cv = StratifiedGroupKFold(cv, shuffle=random_state is not None, random_state=random_state)
    splits = list(cv.split(labels, labels, groups) if hasattr(cv, "split") else cv)
    for train, test in splits:
        shared = np.intersect1d(groups[train], groups[test])
        if len(shared):
            raise ValueError(
                f"{given} puts group {shared.tolist()[0]!r} on both sides of a split. Use a splitter that keeps "
                "groups together, such as GroupKFold."
            )
        missing = np.setdiff1d(labels, labels[train])
        if len(missing):
            raise ValueError(
                f"{given}: leaving out {np.unique(groups[test]).tolist()} leaves no {missing.tolist()} to train "
                f"on. Pass more recordings, lower {name}, or {instead}."
            )
    return splits


class GroupSplits:
    """Splitter that finds the groups of rows by their labels.

    scikit-learn passes a splitter inside a pipeline or a search features and labels, but no groups. All training sets
    that it can get are known before the fit, and the labels, in the order of the rows, tell which one it is. If two
    training sets have equal labels, their groups are merged, so that the splits are right for both.
    ``training_sets`` maps :func:`_key` to (labels, groups); ``cv`` is what the user gave.
    """

    def __init__(self, cv, training_sets, name):
        self.cv, self.name, self.splits = cv, name, {}
        for key, (labels, groups) in training_sets.items():
            # None is 5 in scikit-learn; here, fewer if there are fewer groups.
            given = max(2, min(5, len(np.unique(groups)))) if cv is None else cv
            self.splits[key] = grouped_splits(given, labels, groups, name=name)

    def split(self, X, y=None, groups=None):
        """Iterate over the splits of these rows."""
        if _key(y) not in self.splits:
            raise ValueError(
                f"{self.name}={self.cv} gets rows that an estimator around it has selected, resampled or relabelled, "
                "so their groups are unknown. Cross-validate around that estimator, not inside it."
            )
        return iter(self.splits[_key(y)])

    def get_n_splits(self, X=None, y=None, groups=None):
        """Count the splits of these rows; without labels, those of all training windows."""
        return len(next(iter(self.splits.values())) if y is None else list(self.split(X, y)))

    def __deepcopy__(self, memo):
        return self  # clones share the splits, which never change

    def __repr__(self):
        return f"GroupSplits({self.cv!r})"


def _key(labels):
    """Identify a training set by the labels of its rows, whatever the classes are called."""
    return np.unique(labels, return_inverse=True)[1].astype(np.int32).tobytes()


def _add(training_sets, labels, groups):
    """Add a training set; merge its groups with those of one that has the same labels."""
    key = _key(labels)
    if key in training_sets:
        merged = training_sets[key][1].copy()
        for group in np.unique(groups):
            together = merged[groups == group]
            merged[np.isin(merged, together)] = together[0]
        groups = merged
    training_sets[key] = labels, groups


def _parts(value, path=(), seen=None):
    """Iterate over (path, estimator): an estimator and those in its attributes, lists and candidates.

    A path holds the names of nested parameters; a candidate of a search has the path of what it replaces.
    """
    seen = set() if seen is None else seen
    if hasattr(value, "get_params") or hasattr(value, "predict_proba"):  # parts of CalibratedClassifierCV
        if id(value) in seen or isinstance(value, (type, FrozenEstimator)):
            return
        seen.add(id(value))
        yield path, value
        for name, part in list(vars(value).items()):
            yield from _parts(part, (*path, name), seen)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _parts(part, (*path[:-1], "estimator", *str(name).split("__")), seen)
    elif isinstance(value, (list, tuple)):
        for part in value:
            named = isinstance(part, tuple) and len(part) > 1 and isinstance(part[0], str)
            name, part = part[:2] if named else (path[-1], part)
            yield from _parts(part, (*path[:-1], name), seen)


def _name(path, parameter):
    """Name a parameter as ``CryDetector.set_params`` does."""
    return "__".join(("estimator", *path, parameter))


def _check_settings(path, estimator, params):
    """Refuse parameters with which an estimator splits rows at random."""
    remedies = {}
    if isinstance(params.get("cv"), float):
        remedies["cv"] = f"GroupShuffleSplit(n_splits=1, test_size={params['cv']})"
    if "cv" in params and hasattr(estimator, "fit_resample"):
        remedies["cv"] = "another sampler"
    if params.get("probability") in (True,):  # "deprecated" since scikit-learn 1.9
        remedies["probability"] = "CalibratedClassifierCV(SVC(), ensemble=False)"
    if "validation_fraction" in params and not has_fit_parameter(estimator, "groups"):
        stopping, off = ("early_stopping", False) if "early_stopping" in params else ("n_iter_no_change", None)
        if params[stopping]:
            remedies[stopping] = f"{stopping}={off}"
    if remedies:
        name, remedy = remedies.popitem()
        raise ValueError(
            f"{_name(path, name)}={params[name]!r} splits windows at random, so neighbouring windows of a recording "
            f"are on both sides. Use {remedy}."
        )


def _check_candidates(path, search, parts):
    """Refuse such parameters among the candidates of a search, and candidates for ``cv``."""
    grids = vars(search).get("param_grid", vars(search).get("param_distributions")) or []
    for grid in [grids] if isinstance(grids, dict) else grids:
        for key, values in grid.items():
            *above, name = key.split("__")
            above = (*path, "estimator", *above)
            for owner in [part for where, part in parts if where == above and name in vars(part)]:
                if name == "cv":
                    raise ValueError(f"{_name(above, 'cv')} cannot be searched for. Leave {key!r} out of the search.")
                for value in values if np.iterable(values) else [values]:
                    _check_settings(above, owner, {**vars(owner), name: value})


def _around(path, parts):
    """Iterate over the estimators around the one at this path, each with the steps before it if it is a pipeline."""
    for above, outer in parts:
        below = path[len(above) :]
        if below and path[: len(above)] == above:
            names = [name for name, _ in outer.steps] if isinstance(outer, Pipeline) else []
            before = [(*above, name) for name in names[: names.index(below[0])]] if below[0] in names else []
            yield outer, [step for where, step in parts if where in before]


def _resampler(path, parts):
    """Find an estimator that selects or resamples the rows of the one at this path, or return None."""
    for outer, before in _around(path, parts):
        if DRAWING & vars(outer).keys():
            return outer
        for step in before:
            if hasattr(step, "fit_resample") and not isinstance(step, LimitWindows):
                return step
    return None


def _add_limited(training_sets, steps):
    """Add what :class:`LimitWindows` among these steps of a pipeline keeps of training sets."""
    for step in steps:
        if isinstance(step, LimitWindows) and step.max_windows is not None:
            for labels, groups in list(training_sets.values()):
                if len(labels) > step.max_windows:
                    rows = select_rows(labels, step.max_windows)
                    _add(training_sets, labels[rows], groups[rows])


def _split_by_group(estimator, labels, groups):
    """Replace each ``cv`` in an estimator by :class:`GroupSplits`; refuse what cannot be split by group."""
    parts = sorted(_parts(estimator), key=lambda part: len(part[0]))  # outer before inner
    for path, part in parts:
        if "validation_fraction" in vars(part) and vars(part).get("early_stopping") == "auto":
            part.early_stopping = OFF  # otherwise on with more than 10000 rows
        _check_settings(path, part, vars(part))
        _check_candidates(path, part, parts)
    for path, part in parts:
        cv, name, resampler = vars(part).get("cv", "prefit"), _name(path, "cv"), _resampler(path, parts)
        if isinstance(cv, str):
            continue
        if resampler is not None:
            raise ValueError(
                f"{name}={cv} gets rows that {type(resampler).__name__} has selected or made, so their groups are "
                f"unknown. Put {type(resampler).__name__} inside of {type(part).__name__}."
            )
        training_sets = {_key(labels): (labels, groups)}
        for outer, before in _around(path, parts):
            if isinstance(vars(outer).get("cv"), GroupSplits):
                for key, rows in list(training_sets.items()):
                    for train, _ in outer.cv.splits.get(key, ()):
                        _add(training_sets, *(one[train] for one in rows))
            _add_limited(training_sets, before)
        if len(training_sets) > 1 and hasattr(cv, "__iter__"):
            raise ValueError(f"{name} lists rows, but is used on several training sets. Pass a splitter, or an int.")
        part.cv = GroupSplits(cv, training_sets, name)


def _restore(estimator):
    """Set the user's parameters again, in an estimator and in what it has fitted."""
    for _, part in _parts(estimator):
        for name, value in list(vars(part).items()):
            if isinstance(value, GroupSplits):
                setattr(part, name, value.cv)
        if vars(part).get("early_stopping") is OFF:
            part.early_stopping = "auto"


def _fit_params(estimator, windows, sample_weight):
    """Return the groups and weights of windows that ``fit`` takes."""
    params = {"groups": windows.groups}
    if sample_weight is not None:
        params["sample_weight"] = sample_weight[windows.recording]
    if get_config()["enable_metadata_routing"]:
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner="CryDetector").add(estimator=estimator, method_mapping=mapping)
        return dict(router.route_params(caller="fit", params=params).estimator.fit)
    if sample_weight is not None and not has_fit_parameter(estimator, "sample_weight"):
        raise TypeError(
            f"{type(estimator).__name__}.fit takes no sample_weight. Within a pipeline or a search, switch routing "
            "on by sklearn.set_config(enable_metadata_routing=True), and say which step takes it: "
            "SVC().set_fit_request(sample_weight=True); with other estimators, leave sample_weight out."
        )
    return {name: value for name, value in params.items() if has_fit_parameter(estimator, name)}


def fit_by_group(estimator, windows, labels, sample_weight=None):
    """Fit a classifier on windows. Wherever it cross-validates, no group is on both sides of a split.

    ``labels`` has shape (n_windows,), ``sample_weight`` shape (n_recordings,), None for equal weights. Returns the
    estimator, fitted, with the ``cv`` that the user gave.
    """
    _split_by_group(estimator, labels, windows.groups)
    params = _fit_params(estimator, windows, sample_weight)
    try:
        estimator.fit(windows, labels, **params)
    except ValueError as error:
        # SMOTE, for one, speaks of neighbours where windows are few.
        counts = dict(zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True))
        error.add_note(
            f"This was a fit on {len(windows)} windows of {len(np.unique(windows.groups))} groups, per class {counts}. "
            "Where a class has too few, pass more recordings, shorten the windower's hop_duration, lower cv, or choose "
            "resample='weight' in make_cry_pipeline."
        )
        raise
    _restore(estimator)
    return estimator
