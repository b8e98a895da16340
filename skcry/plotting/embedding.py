"""Display of embeddings of windows in two dimensions."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from .._typing import Axes
from .._warnings import warn
from ..windows import Windows
from .common import BLUE, GREEN, ORANGE, PURPLE, VERMILLION, check_matplotlib, new_axes

COLORS, MARKERS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, "black"), "o^sDvP"
LEGEND_ROWS = 12


def _style(place):
    """Return colour and marker of a label: six pairs that differ in both, then the other pairs of the two."""
    return COLORS[place % 6], MARKERS[(place + place // 6) % 6]


def _natural(label):
    """Return a key that sorts the numbers in texts by their value: "infant 2" before "infant 10"."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(label))]


@dataclass(repr=False, eq=False)
class EmbeddingDisplay:
    """Display of embeddings of windows as points in two dimensions, with a marker per label.

    It is recommended to use :meth:`from_estimator` or :meth:`from_embeddings`, which make the display and draw it.

    Parameters
    ----------
    points : ndarray of shape (n_windows, 2)
        Projected embeddings.
    y : ndarray of shape (n_windows,)
        Labels.
    axis_names : tuple of str, default=("Dimension 1", "Dimension 2")
        Labels of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure of the axes.
    points_ : dict of object to matplotlib PathCollection
        Points of each label.

    See Also
    --------
    skcry.FrameCNNClassifier : Network whose ``transform`` gives embeddings.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skcry.plotting import EmbeddingDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["cry", "quiet"], 20)
    >>> embeddings = rng.normal(size=(40, 8)) + 4 * (y == "cry")[:, None]
    >>> display = EmbeddingDisplay.from_embeddings(embeddings, y)
    >>> display.points.shape, len(display.points_)
    ((40, 2), 2)
    """

    points: np.ndarray
    y: np.ndarray
    _: KW_ONLY
    axis_names: tuple[str, str] = ("Dimension 1", "Dimension 2")

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: Windows | ArrayLike,
        y: ArrayLike,
        *,
        projection: BaseEstimator | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw embeddings that an estimator computes.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator with ``transform``: a network; a pipeline, of which the steps up to the last transformer
            are used; or a search over either.
        X : Windows or array-like of shape (n_windows, ...)
            Input of the estimator. Use windows that it was not fitted on, because training windows look too separable.
        y : array-like of shape (n_windows,)
            Labels.
        projection : transformer or None, default=None
            Transformer to two dimensions with ``fit_transform``, such as ``TSNE()``. None means the first two principal
            components after scaling.
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        **kwargs : dict
            Passed to ``scatter``.

        Returns
        -------
        EmbeddingDisplay
            The display.

        Raises
        ------
        TypeError
            If the estimator has no ``transform``.
        ValueError
            If lengths differ, or the projection does not give two dimensions.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        return cls.from_embeddings(_transformer(estimator).transform(X), y, projection=projection, ax=ax, **kwargs)

    @classmethod
    def from_embeddings(
        cls,
        embeddings: ArrayLike,
        y: ArrayLike,
        *,
        projection: BaseEstimator | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw embeddings.

        Parameters
        ----------
        embeddings : array-like of shape (n_windows, n_embedding)
            Two values or more for each window.
        y : array-like of shape (n_windows,)
            Labels.
        projection : transformer or None, default=None
            Transformer to two dimensions. None means the first two principal components after scaling.
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        **kwargs : dict
            Passed to ``scatter``.

        Returns
        -------
        EmbeddingDisplay
            The display.

        Raises
        ------
        ValueError
            If lengths differ, there are NaN, or the projection does not give two dimensions.

        Warns
        -----
        UserWarning
            If there are more than 36 labels, which colour and marker cannot tell apart.
        """
        check_matplotlib(f"{cls.__name__}.from_embeddings")
        embeddings = check_array(embeddings, ensure_min_samples=2, ensure_min_features=2)
        y = column_or_1d(y)
        check_consistent_length(embeddings, y)
        projection = PCA(2, random_state=0) if projection is None else clone(projection)
        points = np.asarray(projection.fit_transform(StandardScaler().fit_transform(embeddings)))
        if points.shape != (len(y), 2):
            raise ValueError(
                f"projection={projection!r:.90} gave shape {points.shape}, not {(len(y), 2)}. Use two components."
            )
        axis_names = ("Dimension 1", "Dimension 2")
        if hasattr(projection, "explained_variance_ratio_"):
            share = projection.explained_variance_ratio_
            first, second = (f"Principal component {i + 1} ({share[i]:.0%} of the variance)" for i in range(2))
            axis_names = (first, second)
        return cls(points, y, axis_names=axis_names).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        **kwargs : dict
            Passed to ``scatter``.

        Returns
        -------
        EmbeddingDisplay
            The display itself.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        self.ax_ = new_axes(ax, 6, 5)
        self.figure_ = self.ax_.figure
        labels, counts = np.unique(self.y, return_counts=True)
        if np.asarray(labels).dtype.kind in "OUT":
            order = sorted(range(len(labels)), key=lambda place: _natural(labels[place]))
            labels, counts = labels[order], counts[order]
        n_styles = len(COLORS) * len(MARKERS)
        if len(labels) > n_styles:
            warn(
                f"y holds {len(labels)} labels, but only {n_styles} pairs of colour and marker exist, so some labels "
                "look alike. Draw fewer labels."
            )
        size = float(np.clip(4000 / len(self.y), 6, 36))
        self.points_ = {}
        for place in np.argsort(-counts, kind="stable"):  # rare labels on top
            color, marker = _style(place)
            style = {"s": size, "c": color, "marker": marker, "alpha": 0.6, "linewidths": 0, **kwargs}
            rows = self.y == labels[place]
            label = f"{labels[place]} ({counts[place]})"
            self.points_[labels[place]] = self.ax_.scatter(*self.points[rows].T, label=label, **style)
        self.ax_.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        self.points_ = {label: self.points_[label] for label in labels}
        n_columns = -(-len(labels) // LEGEND_ROWS)
        # A long legend beside the axes, where it hides no points.
        place = {"loc": "best"} if n_columns == 1 else {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        about = {"title": "Label (windows)", "frameon": False, "ncols": n_columns}
        legend = self.ax_.legend(handles=list(self.points_.values()), **about, **place)
        for handle in legend.legend_handles:
            handle.set(alpha=1, sizes=[36])
        return self


def _transformer(estimator):
    """Return the estimator, or its first steps, with ``transform``."""
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    if isinstance(estimator, Pipeline):
        for n_steps in range(len(estimator.steps), 0, -1):
            if hasattr(estimator[:n_steps], "transform"):
                return estimator[:n_steps]
    if hasattr(estimator, "transform"):
        return estimator
    raise TypeError(
        f"{type(estimator).__name__} has no transform, which gives the embeddings. Pass a network or a pipeline of "
        "windows; of a CryDetector, its estimator_ and windows of its windower_."
    )
