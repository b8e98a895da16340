"""Cross-validation in which nobody is on both sides."""

import numbers

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold
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


def fit_by_group(estimator, windows, labels):
    """Fit a clone. Where it cross-validates by itself, its splits are made by group, and checked.

    Parameters
    ----------
    estimator : classifier
        Stays as it is.
    windows : Windows of shape (n_windows, n_timepoints)
        What to fit on.
    labels : ndarray of shape (n_windows,)
        Their classes.

    Returns
    -------
    classifier
    """
    fitted, cv = clone(estimator), getattr(estimator, "cv", "prefit")
    if cv is None:
        cv = min(5, len(np.unique(windows.groups)))  # scikit-learn's default, as far as there are groups
    if not isinstance(cv, (str, float)):
        fitted.set_params(cv=grouped_splits(cv, labels, windows.groups))
    asks = has_fit_parameter(estimator, "groups")
    try:
        fitted.fit(windows, labels, **({"groups": windows.groups} if asks else {}))
    except ValueError as error:
        # SMOTE, for one, speaks of neighbours where windows are few.
        counts = dict(zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True))
        error.add_note(
            f"This was a fit on {len(windows)} windows of {len(np.unique(windows.groups))} groups, per class {counts}. "
            "Where a class has too few, pass more recordings, shorten the windower's hop_duration, lower cv, or choose "
            "resample='weight' in make_cry_pipeline."
        )
        raise
    return fitted.set_params(cv=estimator.cv) if hasattr(estimator, "cv") else fitted
