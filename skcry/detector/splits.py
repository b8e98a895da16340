"""Cross-validation in which nobody is on both sides."""

import numbers

import numpy as np
from sklearn import get_config
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import has_fit_parameter


def grouped_splits(cv, labels, groups, random_state=None):
    """Split rows for cross-validation, whole groups at a time, and check it.

    Parameters
    ----------
    cv : int, splitter or iterable of (train, test)
        As in scikit-learn; an int means ``StratifiedGroupKFold`` of so many splits.
    labels, groups : ndarray of shape (n_windows,)
        Class and group of each row.
    random_state : int or None, default=None
        Shuffles the splits of an int.

    Returns
    -------
    list of (train, test)
        Row numbers.

    Raises
    ------
    ValueError
        If there are fewer groups than splits, a group is on both sides of a split, or a class is missing in training.
    """
    if isinstance(cv, numbers.Integral):
        n_groups = len(np.unique(groups))
        if n_groups < int(cv):
            raise ValueError(
                f"Fewer groups than splits: cv={cv} needs at least {cv} recordings (or infants, where groups are "
                f"given), got {n_groups}. Pass more recordings, lower cv, or do without: threshold=0.5."
            )
        cv = StratifiedGroupKFold(cv, shuffle=random_state is not None, random_state=random_state)
    splits = list(cv.split(labels, labels, groups) if hasattr(cv, "split") else cv)
    for train, test in splits:
        shared = np.intersect1d(groups[train], groups[test])
        if len(shared):
            raise ValueError(
                f"cv={cv} puts group {shared[0]!r} on both sides of a split. Use a splitter that keeps groups "
                "together, such as GroupKFold."
            )
        missing = np.setdiff1d(labels, labels[train])
        if len(missing):
            raise ValueError(
                f"cv={cv}: leaving out {np.unique(groups[test]).tolist()} leaves no {missing.tolist()} to train on. "
                "Lower cv, pass more recordings, or do without: threshold=0.5."
            )
    return splits


def _fit_params(estimator, windows, sample_weight):
    """Choose what ``fit`` gets beside windows and labels: groups and weights, where an estimator asks for them."""
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
    """Fit an estimator. Where it cross-validates by itself, its splits are made by group, and checked.

    Parameters
    ----------
    estimator : classifier
        What to fit.
    windows : Windows of shape (n_windows, n_timepoints)
        What to fit on.
    labels : ndarray of shape (n_windows,)
        Their classes.
    sample_weight : ndarray of shape (n_recordings,) or None, default=None
        How much each recording counts. None means equal weights.

    Returns
    -------
    classifier
    """
    cv = given = getattr(estimator, "cv", "prefit")
    if cv is None:
        cv = min(5, len(np.unique(windows.groups)))  # scikit-learn's default, as far as there are groups
    if not isinstance(cv, (str, float)):
        estimator.set_params(cv=grouped_splits(cv, labels, windows.groups))
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
    return estimator.set_params(cv=given) if hasattr(estimator, "cv") else estimator
