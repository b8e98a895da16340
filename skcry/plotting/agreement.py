"""Display of agreement: differences between two sides against their means, after Bland and Altman."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Self

import pandas as pd

from .._typing import Axes
from ..metrics.annotators import UNITS, Sides, compare
from .common import BLUE, GREY, ORANGE, check_matplotlib, legend_below, new_axes

LINES = {"upper_limit": "+1.96 SD", "mean_difference": "mean", "lower_limit": "-1.96 SD"}


@dataclass(repr=False, eq=False)
class AgreementDisplay:
    """Bland-Altman display of minutes of crying per hour: difference of two sides against their mean, a dot per unit.

    A line shows the mean difference, broken lines the 95 % limits of agreement, and bands their intervals by infant. A
    second pair, such as two annotators, can be drawn behind them as the ceiling: how well people agree.

    It is recommended to use :meth:`from_predictions`, which makes the display and draws it.

    Parameters
    ----------
    minutes : DataFrame of shape (n_units, n_columns)
        Columns ``a`` and ``b``: minutes of crying per hour in each unit, on both sides.
    measures : DataFrame of shape (n_measures, n_columns)
        Result of :func:`skcry.metrics.agreement` for a unit longer than a second.
    names : tuple of str, default=("a", "b")
        Names of the sides.
    ceiling : AgreementDisplay or None, default=None
        Display of the second pair, of which only the data are used.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the differences.
    figure_ : matplotlib Figure
        Figure of the axes.
    points_ : matplotlib PathCollection
        A dot for each unit.
    lines_ : dict of str to matplotlib Line2D
        Lines at "mean_difference", "lower_limit" and "upper_limit".
    bands_ : dict of str to matplotlib Rectangle
        Intervals of these; those that are NaN are left out.
    ceiling_points_ : matplotlib PathCollection or None
        The units of the second pair.

    See Also
    --------
    skcry.metrics.agreement : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skcry.plotting import AgreementDisplay
    >>> ada = {"mon.wav": [(60, 180), (400, 460)], "tue.wav": [(30, 90)], "wed.wav": [(300, 420)]}
    >>> ben = {"mon.wav": [(70, 180), (400, 450)], "tue.wav": [(30, 100)], "wed.wav": [(310, 400)]}
    >>> settings = {"durations": dict.fromkeys(ada, 600), "n_resamples": 100, "random_state": 0}
    >>> display = AgreementDisplay.from_predictions(ada, ben, unit="5 min", names=("Ada", "Ben"), **settings)
    >>> display.minutes[["a", "b"]].round(1)
                       a     b
    recording unit
    mon.wav   0     24.0  22.0
              1     12.0  10.0
    tue.wav   0     12.0  14.0
              1      0.0   0.0
    wed.wav   0      0.0   0.0
              1     24.0  18.0
    """

    minutes: pd.DataFrame
    measures: pd.DataFrame
    _: KW_ONLY
    names: tuple[str, str] = ("a", "b")
    ceiling: AgreementDisplay | None = None

    @classmethod
    def from_predictions(
        cls,
        a: Sides,
        b: Sides,
        *,
        unit: Literal["5 min", "hour", "day"] = "hour",
        names: tuple[str, str] = ("a", "b"),
        ceiling: tuple[Sides, Sides] | None = None,
        ceiling_names: tuple[str, str] = ("annotator 1", "annotator 2"),
        ax: Axes | None = None,
        **settings: Any,
    ) -> Self:
        """Draw the agreement of two annotators, or of an annotator and a detector.

        Parameters
        ----------
        a, b : list, dict, DataFrame or Series
            The two sides, in any form that :func:`skcry.metrics.agreement` accepts.
        unit : {"5 min", "hour", "day"}, default="hour"
            What a dot is.
        names : tuple of str, default=("a", "b")
            Names of the sides.
        ceiling : tuple of two sides or None, default=None
            A second pair, such as two annotators of the same recordings or of some of them. The settings are those of
            the first pair; pass ``durations`` and ``groups`` by recording if the recordings differ.
        ceiling_names : tuple of str, default=("annotator 1", "annotator 2")
            Names of the second pair.
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        **settings : dict
            ``durations``, ``groups``, ``start``, ``random_state``, ... of :func:`skcry.metrics.agreement`.

        Returns
        -------
        AgreementDisplay
            The display.

        Raises
        ------
        OSError, TypeError, ValueError
            As :func:`skcry.metrics.agreement`, or if ``unit`` is a second.
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        if unit not in UNITS:
            raise ValueError(
                f"unit={unit!r} must be one of {[*UNITS]}: seconds are crying or not, and have no minutes to compare."
            )
        second = None
        if ceiling is not None:
            if not isinstance(ceiling, (tuple, list)) or len(ceiling) != 2:
                raise TypeError(f"ceiling must be a pair of sides, got {type(ceiling).__name__}. Pass (first, second).")
            second = cls._of(compare(*ceiling, unit=unit, **settings), names=ceiling_names)
        return cls._of(compare(a, b, unit=unit, **settings), names=names, ceiling=second).plot(ax)

    @classmethod
    def _of(cls, compared, **about):
        """Make the display of a comparison."""
        return cls(compared.minutes, compared.measures, **about)

    def _points(self):
        """Return means and differences of the units."""
        return (self.minutes["a"] + self.minutes["b"]) / 2, self.minutes["b"] - self.minutes["a"]

    def _label(self):
        n, unit = len(self.minutes), self.measures.attrs.get("unit")
        return f"{self._difference()} ({n} {'units' if n > 1 else 'unit'}{f' of {unit}' if unit else ''})"

    def _difference(self):
        return f"{self.names[1]} - {self.names[0]}"

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the differences.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw on. None makes a new figure.
        **kwargs : dict
            Passed to ``scatter``, which draws the dots of the first pair.

        Returns
        -------
        AgreementDisplay
            The display itself.
        """
        check_matplotlib(f"{type(self).__name__}.plot")
        self.ax_ = new_axes(ax, 7, 5)
        self.figure_ = self.ax_.figure
        self.ax_.axhline(0, color="silver", lw=0.8, zorder=1)
        self.lines_, self.bands_, handles = {}, {}, []
        for name, text in LINES.items():
            value, low, high = self.measures.loc[name, ["value", "low", "high"]].astype(float)
            if pd.isna(value):
                continue
            dashes = "-" if name == "mean_difference" else "--"
            self.lines_[name] = self.ax_.axhline(value, color=BLUE, ls=dashes, lw=1.4, zorder=2)
            if not pd.isna(low):
                self.bands_[name] = self.ax_.axhspan(low, high, color=BLUE, alpha=0.12, lw=0, zorder=0)
            # Beside the axes, where they hide no dots.
            place = {"xy": (1, value), "xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            about = {"va": "center", "fontsize": "small", "color": GREY}
            self.ax_.annotate(f"{text}\n{value:.1f}", xytext=(4, 0), **place, **about)
        self.ceiling_points_ = None
        if self.ceiling is not None:
            hollow = {"facecolors": "none", "edgecolors": ORANGE, "marker": "D", "s": 30, "zorder": 3}
            self.ceiling_points_ = self.ax_.scatter(*self.ceiling._points(), label=self.ceiling._label(), **hollow)
            limits = self.ceiling.measures.loc[["lower_limit", "upper_limit"], "value"].dropna()
            style = {"color": ORANGE, "ls": ":", "lw": 1.8, "label": f"limits of {self.ceiling._difference()}"}
            lines = [self.ax_.axhline(value, zorder=2, **style) for value in limits]
            handles = [self.ceiling_points_, *lines[:1]]
        dots = {"color": BLUE, "s": 24, "alpha": 0.7, "zorder": 4, "label": self._label(), **kwargs}
        self.points_ = self.ax_.scatter(*self._points(), **dots)
        self.ax_.set(
            xlabel=f"Mean of {self.names[0]} and {self.names[1]} (minutes of crying per hour)",
            ylabel=f"{self._difference()} (minutes per hour)",
            title=self._title(),
        )
        legend_below(self.ax_, [self.points_, *handles], 3)
        return self

    def _title(self):
        value, low, high = self.measures.loc["icc_agreement", ["value", "low", "high"]].astype(float)
        if pd.isna(value):
            return "ICC(A,1) undefined"
        interval = "" if pd.isna(low) else f" ({low:.2f} to {high:.2f})"
        ceiling = ""
        if self.ceiling is not None:
            ceiling = f"; {self.ceiling.names[0]} and {self.ceiling.names[1]} "
            ceiling += f"{self.ceiling.measures.loc['icc_agreement', 'value']:.2f}"
        return f"ICC(A,1) {value:.2f}{interval}{ceiling}"
