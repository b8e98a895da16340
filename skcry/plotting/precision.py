"""Display of precision by threshold, from clips that a person judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._typing import Axes
from .common import BLUE, GREY, PALE, check_matplotlib, legend_below, new_axes


@dataclass(repr=False, eq=False)
class PrecisionDisplay:
    """Display of the precision at each threshold, with its interval.

    It is recommended to use :meth:`from_predictions`, which makes the display and draws it.

    Parameters
    ----------
    table : DataFrame of shape (n_thresholds, n_columns)
        Result of :func:`skcry.review.precision_by_threshold`: indexed by threshold, with columns ``precision``,
        ``low`` and ``high``.
    level : float, default=0.9
        Confidence level of the intervals, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the curve.
    figure_ : matplotlib Figure
        Figure of the axes.
    line_ : matplotlib Line2D
        The precision.
    band_ : matplotlib PolyCollection
        The intervals.
    threshold_line_ : matplotlib Line2D or None
        The threshold of the detector.

    See Also
    --------
    skcry.review.threshold_for_precision : The threshold for a stated precision.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import pandas as pd
    >>> from skcry.plotting import PrecisionDisplay
    >>> review = pd.DataFrame({"recording": "monday.wav", "onset": range(0, 300, 5), "score": [0.2, 0.6, 0.9] * 20})
    >>> review["offset"], review["stratum"], review["probability"] = review["onset"] + 5, 0, 0.1
    >>> review["judgement"] = ["not", "not", "cry", "not", "cry", "cry"] * 10
    >>> display = PrecisionDisplay.from_predictions(review, threshold=0.5)
    >>> display.table.index.tolist()
    [0.2, 0.6, 0.9]
    """

    table: pd.DataFrame
    level: float = 0.9

    @classmethod
    def from_predictions(
        cls,
        review: pd.DataFrame,
        seconds: pd.DataFrame | None = None,
        *,
        thresholds: ArrayLike | None = None,
        level: float = 0.9,
        threshold: float | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the precision that judged clips tell.

        Parameters
        ----------
        review : DataFrame of shape (n_judgements, n_columns)
            Output of :func:`skcry.review.read_review`.
        seconds : DataFrame of shape (n_seconds, n_columns) or None, default=None
            Timeline of all recordings. None means that clips are detected by their mean scores.
        thresholds : array-like of shape (n_thresholds,) or None, default=None
            Thresholds from 0 to 1. None means the scores of the judged clips.
        level : float, default=0.9
            Confidence level of the intervals.
        threshold : float or None, default=None
            Threshold of the detector, to be marked.
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        **kwargs : dict
            Passed to ``plot`` of the axes, for the curve.

        Returns
        -------
        PrecisionDisplay
            The display.

        Raises
        ------
        ValueError
            As :func:`skcry.review.precision_by_threshold`.
        """
        from ..review import precision_by_threshold

        check_matplotlib(f"{cls.__name__}.from_predictions")
        table = precision_by_threshold(review, seconds, thresholds=thresholds, level=level)
        return cls(table, level).plot(ax, threshold=threshold, **kwargs)

    def plot(self, ax: Axes | None = None, *, threshold: float | None = None, **kwargs: Any) -> Self:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        threshold : float or None, default=None
            Threshold of the detector, to be marked.
        **kwargs : dict
            Passed to ``plot`` of the axes, for the curve.

        Returns
        -------
        PrecisionDisplay
            The display itself.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        self.ax_ = new_axes(ax, 6, 4)
        self.figure_ = self.ax_.figure
        # A threshold between two scores lets the same clips through as the upper one.
        style = {"color": BLUE, "drawstyle": "steps-pre", "label": "Precision", **kwargs}
        at = self.table.index.to_numpy()
        (self.line_,) = self.ax_.plot(at, self.table["precision"], **style)
        low, high = (np.asarray(self.table[name], dtype=float) for name in ("low", "high"))
        band = {"step": "pre", "color": PALE, "linewidth": 0, "label": f"{self.level:.0%} interval"}
        self.band_ = self.ax_.fill_between(at, low, high, **band)
        handles = [self.line_, self.band_]
        self.threshold_line_ = None
        if threshold is not None:
            label = f"Threshold {threshold:.2f}"
            self.threshold_line_ = self.ax_.axvline(threshold, color=GREY, linestyle="--", label=label)
            handles.append(self.threshold_line_)
        self.ax_.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Threshold", ylabel="Precision")
        legend_below(self.ax_, handles, len(handles))
        return self
