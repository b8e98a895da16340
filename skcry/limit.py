"""Bound on the number of windows that a classifier is fitted to."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from imblearn.base import BaseSampler
from imblearn.utils import check_sampling_strategy, check_target_type
from numpy.typing import ArrayLike
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from ._base import BaseEstimator
from ._compat import Interval, fit_context, safe_indexing
from ._transformer import check_some
from ._warnings import warn
from .windows import Windows

MAX_WINDOWS = 2500


def equal_shares(sizes: ArrayLike, total: int) -> np.ndarray:
    """Share a total among parts: equally, as far as each has so many.

    Parameters
    ----------
    sizes : array-like of int of shape (n_parts,)
        Size of each part.
    total : int
        Number to share.

    Returns
    -------
    ndarray of int of shape (n_parts,)
        Shares, of which none is above its size. They add up to ``total``, or to all if there is less. What small parts
        lack goes to the others.

    Examples
    --------
    >>> from skcry.limit import equal_shares
    >>> equal_shares([2, 100, 50], 20)
    array([2, 9, 9])
    """
    sizes = np.asarray(sizes)
    shares = np.zeros(len(sizes), dtype=int)
    for place, part in enumerate(np.argsort(sizes, kind="stable")):
        shares[part] = min(sizes[part], (total - shares.sum()) // (len(sizes) - place))
    return shares


def select_rows(labels: np.ndarray, max_rows: int) -> np.ndarray:
    """Select rows in equal shares of classes, evenly spaced within a class.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
        Class of each row.
    max_rows : int
        Number of rows to select.

    Returns
    -------
    ndarray of int of shape (min(n_rows, max_rows),)
        Rows, in their order.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry.limit import select_rows
    >>> select_rows(np.array([0, 0, 0, 0, 0, 0, 1, 1]), 4)
    array([1, 4, 6, 7])
    """
    classes, sizes = np.unique(labels, return_counts=True)
    kept = [
        np.flatnonzero(labels == one)[(2 * np.arange(n) + 1) * size // (2 * n)]  # middles of n equal stretches
        for one, size, n in zip(classes, sizes, equal_shares(sizes, max_rows), strict=True)
    ]
    return np.sort(np.concatenate(kept))


class LimitWindows(BaseSampler, BaseEstimator):
    """Bound the number of windows that the steps after it are fitted to.

    Neighbouring windows are alike, and an :class:`~sklearn.svm.SVC` takes four times as long for twice as many. Classes
    get equal shares of ``max_windows`` as far as they have windows, so a rare class keeps all of its own. Within a
    class, windows are evenly spaced, so recordings and infants keep their shares. The selection is the same each time,
    and keeps the order of the windows. Prediction sees all windows.

    Parameters
    ----------
    max_windows : int or None, default=2500
        Largest number of windows. None keeps all.

    Attributes
    ----------
    sampling_strategy_ : dict
        Number of windows kept of each class.
    sample_indices_ : ndarray of int of shape (n_kept,)
        Rows that were kept.
    n_features_in_ : int
        Number of timepoints in a window, or of columns in a table.

    See Also
    --------
    make_cry_pipeline : Has it as step ``limit``.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import LimitWindows, Windower
    >>> X = Windower().fit_transform([np.zeros(16000 * 300), np.zeros(16000 * 40)])
    >>> y = (np.arange(len(X)) % 10 == 0).astype(int)
    >>> X_kept, y_kept = LimitWindows(100).fit_resample(X, y)
    >>> np.bincount(y), np.bincount(y_kept)
    (array([298,  34]), array([66, 34]))
    """

    __module__ = "skcry"
    _sampling_type = "bypass"
    _parameter_constraints: dict = {"max_windows": [Interval(numbers.Integral, 2, None, closed="left"), None]}
    # Weights of windows that were left out would be passed on to the steps after it, so it asks for weights to refuse.
    __metadata_request__fit_resample = {"sample_weight": True}

    def __init__(self, max_windows: int | None = MAX_WINDOWS) -> None:
        self.max_windows = max_windows

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Windows | ArrayLike, y: ArrayLike) -> LimitWindows:
        """Check the windows, and choose those to keep.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_features)
            Windows, or a table of their features.
        y : array-like of shape (n_windows,)
            Labels.

        Returns
        -------
        LimitWindows
            Itself.
        """
        self._fit_resample(X, y)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_resample(
        self, X: Windows | ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Any, Any]:
        """Keep at most ``max_windows`` windows.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_features)
            Windows, or a table of their features.
        y : array-like of shape (n_windows,)
            Labels.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights that later steps get. They cannot be selected, so with weights no window may be left out.

        Returns
        -------
        X_kept : Windows or array-like of shape (n_kept, n_features)
            ``X`` itself if it has no more than ``max_windows`` rows, else some of its rows.
        y_kept : array-like of shape (n_kept,)
            Their labels.

        Raises
        ------
        ValueError
            If ``y`` has one class only, ``max_windows`` is below the number of classes, or windows with weights would
            have to be left out.

        Warns
        -----
        UserWarning
            If windows are left out.
        """
        X_kept, y_kept = self._fit_resample(X, y)
        if X_kept is not X:
            if sample_weight is not None:
                raise ValueError(
                    f"max_windows={self.max_windows} would leave out windows that have a sample_weight. Fit to all of "
                    "them (limit__max_windows=None in make_cry_pipeline), or pass no sample_weight."
                )
            # The text is the same in each fold, so that it can be shown once.
            warn(
                f"max_windows={self.max_windows}: the classifier is fitted to a selection of the training windows, in "
                "equal shares of classes as far as they have windows. Its probabilities take the classes to be as "
                "frequent as in the selection, unless they are calibrated afterwards, as by "
                'CryDetector(threshold="cv"). A larger max_windows, or None for all, includes more; an SVC takes four '
                "times as long for twice as many windows, 20000 some 15 s."
            )
        return X_kept, y_kept

    def _fit_resample(self, X, y):
        check_classification_targets(y)
        labels = column_or_1d(check_target_type(y, indicate_one_vs_all=True)[0])
        if isinstance(X, Windows):
            check_some(self, X)
            check_consistent_length(X, labels)
            validate_data(self, X, reset=True, skip_check_array=True)
        else:
            validate_data(self, X, labels, reset=True, accept_sparse=("csr", "csc"))
        check_sampling_strategy("auto", labels, "bypass")  # raises if there is one class only
        n_classes, n_kept = len(np.unique(labels)), len(labels) if self.max_windows is None else self.max_windows
        if n_kept < n_classes:
            raise ValueError(f"max_windows={n_kept} must be at least the number of classes, {n_classes}.")
        self.sample_indices_ = rows = select_rows(labels, n_kept)
        counts = zip(*(part.tolist() for part in np.unique(labels[rows], return_counts=True)), strict=True)
        self.sampling_strategy_ = dict(counts)
        if len(rows) == len(labels):
            return X, y
        return X[rows] if isinstance(X, Windows) else safe_indexing(X, rows), safe_indexing(y, rows)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.sampler_tags.sample_indices = True
        return tags
