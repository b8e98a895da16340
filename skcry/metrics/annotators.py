"""Agreement of two annotators, or of a detector with an annotator: per second, or in minutes of crying per unit.

Own code for Gwet's AC1 and the intraclass correlation, because neither scikit-learn nor scipy has them. The tests
compare them with published examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import cohen_kappa_score

from .._clock import NANOSECONDS, TOLERANCE, read_clocks
from .._compat import Interval, StrOptions, validate_params
from .._typing import Annotations, Labels, PathLike, RandomState
from .._warnings import warn
from ..events import UNKNOWN
from ..summary import HOUR, quote
from .bootstrap import bootstrap_interval
from .sides import ROUNDING, read_both
from .truth import _MEANING, _SECONDS

Sides: TypeAlias = Sequence[Annotations | PathLike] | Mapping[Any, Annotations | PathLike] | pd.DataFrame | pd.Series

UNITS = {"5 min": 300, "hour": HOUR, "day": 24 * HOUR}  # seconds
Z = 1.96  # standard deviations of the 95 % limits of agreement
CELLS = ([True, True, False, False], [True, False, True, False])  # what a and b say, in the four columns of counts

FORMS = {
    "cohen_kappa": "unweighted, per second",
    "gwet_ac1": "AC1, per second",
    "percent_agreement": "% of seconds",
    "icc_agreement": "ICC(A,1) = ICC(2,1): two-way random, absolute agreement, single measure",
    "icc_consistency": "ICC(C,1) = ICC(3,1): two-way, consistency, single measure",
    "pearson": "r of minutes per hour",
    "spearman": "rho of minutes per hour",
    "mean_difference": "b - a, minutes per hour",
    "lower_limit": "mean difference - 1.96 SD, minutes per hour",
    "upper_limit": "mean difference + 1.96 SD, minutes per hour",
}


def gwet_ac1(counts):
    """Compute Gwet's AC1 from counts of pairs of classes, of shape (n_classes, n_classes)."""
    share = np.asarray(counts) / np.sum(counts)
    mean = (share.sum(axis=0) + share.sum(axis=1)) / 2
    by_chance = (mean * (1 - mean)).sum() / (len(mean) - 1)
    return float((np.trace(share) - by_chance) / (1 - by_chance))


def icc(ratings):
    """Compute ICC(A,1) and ICC(C,1) of ratings of shape (n_units, n_raters) from the two-way analysis of variance."""
    ratings = np.asarray(ratings, dtype=float)
    n_units, n_raters = ratings.shape
    if n_units < 2 or np.ptp(ratings) == 0:
        return np.nan, np.nan
    of_units, of_raters = ratings.mean(axis=1), ratings.mean(axis=0)
    rest = ratings - of_units[:, None] - of_raters + ratings.mean()
    units, raters = n_raters * of_units.var(ddof=1), n_units * of_raters.var(ddof=1)
    error = (rest**2).sum() / ((n_units - 1) * (n_raters - 1))
    spread = units + (n_raters - 1) * error
    whole = spread + n_raters / n_units * (raters - error)
    # Raters that give the same to all units have no spread, and two crossed pairs of ratings no variance as a whole.
    consistency = (units - error) / spread if (np.ptp(ratings, axis=0) > 0).any() else np.nan
    agreement = (units - error) / whole if whole > 1e-12 * (units + raters + error) else np.nan
    return float(agreement), float(consistency)


def _kappa(counts):
    """Compute Cohen's kappa from counts (n_rows, 4) of the pairs in CELLS; NaN if both sides are of one class."""
    total = counts.sum(axis=0)
    return float(cohen_kappa_score(*CELLS, sample_weight=total)) if total[:3].any() and total[1:].any() else np.nan


def _correlation(function):
    """Return a metric of two arrays by a function of scipy; NaN if one of them is constant."""
    return lambda a, b: float(function(a, b).statistic) if len(a) > 1 and np.ptp(a) and np.ptp(b) else np.nan


def _limit(sign):
    """Return a metric of two arrays: a limit of agreement; NaN of one unit."""
    return lambda a, b: float(np.mean(b - a) + sign * Z * np.std(b - a, ddof=1)) if len(a) > 1 else np.nan


OF_COUNTS = {
    "cohen_kappa": _kappa,
    "gwet_ac1": lambda counts: gwet_ac1(counts.sum(axis=0).reshape(2, 2)),
    "percent_agreement": lambda counts: 100.0 * float(counts[:, [0, 3]].sum() / counts.sum()),
}
OF_MINUTES = {
    "icc_agreement": lambda a, b: icc(np.column_stack([a, b]))[0],
    "icc_consistency": lambda a, b: icc(np.column_stack([a, b]))[1],
    "pearson": _correlation(stats.pearsonr),
    "spearman": _correlation(stats.spearmanr),
    "mean_difference": lambda a, b: float(np.mean(b - a)),
    "lower_limit": _limit(-1),
    "upper_limit": _limit(1),
}


def _start_of_units(seconds, start, length):
    """Return the clock time at which the unit of each second begins (n_seconds,)."""
    clocks, tz = read_clocks(start, seconds.recordings)
    parts = np.split(seconds.second, np.flatnonzero(np.diff(seconds.code)) + 1)
    for recording, clock, part in zip(seconds.recordings, clocks, parts, strict=True):
        if part[-1] + 1 > clock.end + TOLERANCE:
            raise ValueError(
                f"start: the clock of recording {quote(recording)} ends at {clock.end:g} s, but the recording at "
                f"{part[-1] + 1} s. Pass the clock of this recording."
            )
    begins = np.concatenate([clock.times(part) for clock, part in zip(clocks, parts, strict=True)])
    local = begins
    if tz is not None:
        local = pd.DatetimeIndex(begins, tz="UTC").tz_convert(tz).tz_localize(None).as_unit("ns").asi8
    past = local % (length * NANOSECONDS)
    if length == UNITS["day"]:  # local midnight, since days of the change to summer time do not have 24 hours
        return pd.DatetimeIndex(local - past)
    return pd.DatetimeIndex(begins - past) if tz is None else pd.DatetimeIndex(begins - past, tz="UTC").tz_convert(tz)


def unit_minutes(seconds, unit, start, min_observed, joined):
    """Return minutes of crying per known hour of each unit, the group of each unit, and how many were left out."""
    length = UNITS[unit]
    owners, level = (seconds.groups, "group") if joined else (seconds.recordings, "recording")
    number = seconds.second // length if start is None else _start_of_units(seconds, start, length)
    place, names = pd.factorize(owners)
    counts = pd.DataFrame({"a": seconds.a, "b": seconds.b, "known": seconds.known})
    counts = counts.groupby([place[seconds.code], number]).sum()
    kept = counts["known"] >= max(min_observed * length - ROUNDING, 1)
    if not kept.any():
        raise ValueError(
            f"unit={unit!r}: no unit is known for at least {min_observed:.0%} of its {length} s; the longest known "
            f"part is {counts['known'].max()} s. Use a shorter unit, or a lower min_observed."
        )
    counts = counts[kept]
    minutes = counts[["a", "b"]].mul(60.0).div(counts["known"], axis=0).assign(hours=counts["known"] / HOUR)
    owner, begin = (counts.index.get_level_values(i) for i in range(2))
    minutes.index = pd.MultiIndex.from_arrays([names.take(owner), begin], names=[level, "unit"])
    return minutes, (names if joined else seconds.groups).take(owner), int((~kept).sum())


def _measure(measures, arrays, n, groups, bootstrap):
    """Return the table of measures of arrays (n_rows, ...) with intervals from resampled groups."""
    rows, undefined = [], []
    n_groups = groups.nunique()
    for name, metric in measures.items():
        value, low, high = metric(*arrays), np.nan, np.nan
        if np.isnan(value):
            undefined.append(name)
        elif n_groups > 1:
            low, high = bootstrap_interval(metric, *arrays, groups=groups, **bootstrap)
        rows.append((value, low, high, n, FORMS[name]))
    if undefined:
        warn(
            f"{', '.join(undefined)}: undefined and set to NaN, because there are too few units, or a side does not "
            "vary: all that is known is crying, or nothing is. Compare longer or more recordings.",
            UndefinedMetricWarning,
        )
    if n_groups < 2:
        warn(
            f"The intervals are NaN: they come from resampled infants or recordings, and there is only one, "
            f"{quote(groups[0]):.80}. Compare recordings of several infants."
        )
    index = pd.Index(list(measures), name="measure")
    return pd.DataFrame(rows, columns=["value", "low", "high", "n", "form"], index=index)


CONSTRAINTS = {
    **_MEANING,
    "unit": [StrOptions({"second", *UNITS})],
    "durations": [Mapping, "array-like", None],
    "groups": [Mapping, "array-like", None],
    "merge_gap": _SECONDS,
    "min_observed": [Interval(Real, 0, 1, closed="both")],
    "level": [Interval(Real, 0, 1, closed="neither")],
    "n_resamples": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


class Compared(NamedTuple):
    """Result of a comparison of two sides."""

    measures: pd.DataFrame
    minutes: pd.DataFrame | None  # minutes of crying per hour of each unit, columns a, b and hours; None for seconds


@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def compare(
    a,
    b,
    *,
    unit="second",
    durations=None,
    groups=None,
    start=None,
    positive=("cry",),
    negative=None,
    ignore=(UNKNOWN,),
    overlap="union",
    merge_gap=0.0,
    min_observed=0.25,
    level=0.9,
    n_resamples=1000,
    random_state=None,
):
    """Do what :func:`agreement` does; return :class:`Compared`."""
    labels = {"positive": positive, "negative": negative, "ignore": ignore, "overlap": overlap}
    seconds = read_both(a, b, durations, groups, labels, merge_gap)
    bootstrap = {"level": level, "n_resamples": n_resamples, "random_state": random_state}
    if unit == "second":
        cell = 3 - 2 * seconds.a - seconds.b.astype(int)  # place in CELLS
        cell = (4 * seconds.code + cell)[seconds.known]
        counts = np.bincount(cell, minlength=4 * len(seconds.recordings)).reshape(-1, 4)
        heard = counts.any(axis=1)
        measures = _measure(OF_COUNTS, [counts[heard]], int(counts.sum()), seconds.groups[heard], bootstrap)
        minutes, n_left_out = None, 0
    else:
        joined = groups is not None and start is not None
        minutes, of_units, n_left_out = unit_minutes(seconds, unit, start, min_observed, joined)
        arrays = [minutes[name].to_numpy() for name in ("a", "b")]
        measures = _measure(OF_MINUTES, arrays, len(minutes), of_units, bootstrap)
    measures.attrs = {"unit": unit, "level": level, "n_left_out": n_left_out}
    return Compared(measures, minutes)


@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def agreement(
    a: Sides,
    b: Sides,
    *,
    unit: Literal["second", "5 min", "hour", "day"] = "second",
    durations: Sequence[float] | Mapping[Any, float] | pd.Series | None = None,
    groups: ArrayLike | Mapping | pd.Series | None = None,
    start: object = None,
    positive: Labels = ("cry",),
    negative: Labels | None = None,
    ignore: Labels = (UNKNOWN,),
    overlap: Literal["union", "raise"] = "union",
    merge_gap: float = 0.0,
    min_observed: float = 0.25,
    level: float = 0.9,
    n_resamples: int = 1000,
    random_state: RandomState = None,
) -> pd.DataFrame:
    """Measure how well two annotators agree, or a detector and an annotator.

    With ``unit="second"`` it compares decisions: is this second crying? With longer units it compares amounts: minutes
    of crying per hour, in each unit. Time that is unknown to one side counts on neither.

    Parameters
    ----------
    a, b : list, dict, DataFrame or Series
        The two sides, each in one of these forms:

        - a list with one entry per recording, or a dict from recording to entry: annotations (see
          :func:`skcry.events.as_annotations`), or the path of a file of annotations, read by
          :func:`skcry.io.read_annotations`. Call that function yourself for files with several tiers;
        - a table of events with a column ``recording``, as :meth:`skcry.CryDetector.detect` and :func:`event_truth`
          give it;
        - a table per second, as :meth:`skcry.CryDetector.timeline` gives it (column ``cry``, as it is, without the
          rules of events; seconds that are not ``usable`` are unknown), or the result of :func:`second_truth`.

        Both must be of the same recordings: lists in the same order, or the same names. A list that is compared with a
        timeline is in its order.
    unit : {"second", "5 min", "hour", "day"}, default="second"
        What is compared. Units longer than a second begin with each recording; with ``start`` they are those of the
        clock (and calendar days).
    durations : list, dict, Series or None, default=None
        Duration of each recording in seconds; a list is in the order of ``a``. Not needed if one side is a table per
        second. Time that nobody annotated as crying counts as agreement, so where a recording ends matters.
    groups : list, dict, Series or None, default=None
        Infant of each recording; a list is in the order of ``a``. The intervals resample infants. None resamples
        recordings.
    start : datetime-like, DataFrame, sequence or dict or Series of them, str or None, default=None
        When each recording began, see :func:`skcry.summarize`. With ``groups``, recordings of one infant that fall into
        the same unit are joined, such as the files of one day.
    positive, negative : str, tuple of str, default=("cry",), None
        Labels that count as crying and labels that do not, see :class:`skcry.events.LabelMap`.
    ignore : str or tuple of str, default=("unknown",)
        Labels of unknown time.
    overlap : {"union", "raise"}, default="union"
        Whether other labels may overlap those of crying.
    merge_gap : float, default=0.0
        Longest gap in seconds between crying that is closed first, on both sides: annotators differ in the pauses for
        breath that they leave out.
    min_observed : float, default=0.25
        Smallest share of a unit, from 0 to 1, that must be known to both sides; other units are left out. The default
        is 75 s of 5 minutes, 15 minutes of an hour and 6 hours of a day.
    level : float, default=0.9
        Confidence level of the intervals.
    n_resamples : int, default=1000
        Number of resamples for each interval.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling.

    Returns
    -------
    DataFrame of shape (n_measures, 5)
        Indexed by ``measure``. Columns: ``value``, bounds ``low`` and ``high`` of its interval (see
        :func:`bootstrap_interval`), number ``n`` of seconds or units, and ``form``, which definition it is. For
        seconds:

        - ``cohen_kappa``: Cohen's kappa, by scikit-learn;
        - ``gwet_ac1``: Gwet's AC1 [1]_, which does not fall to 0 if crying is rare, as kappa can;
        - ``percent_agreement``: percent of seconds in which both say the same, from 0 to 100.

        For longer units, of minutes of crying per hour of known time, all units with equal weight:

        - ``icc_agreement`` and ``icc_consistency``: intraclass correlations of a single measure in the two-way model
          [2]_ [3]_: ICC(A,1), also called ICC(2,1), in which a side that always hears more counts as error, and
          ICC(C,1), also called ICC(3,1), in which it does not;
        - ``pearson`` and ``spearman``: correlations, by scipy;
        - ``mean_difference``, ``lower_limit`` and ``upper_limit``: mean of ``b - a`` in minutes per hour, and the 95 %
          limits of agreement [4]_, which are 1.96 standard deviations of the differences below and above it.

        ``attrs`` holds ``unit``, ``level`` and ``n_left_out``, the number of units below ``min_observed``.

    Raises
    ------
    TypeError, ValueError
        If the sides are of other recordings or durations, durations are missing, no time or no unit is known to both,
        or annotations are invalid.
    OSError
        If a file cannot be read.

    Warns
    -----
    UndefinedMetricWarning
        If a measure is undefined and therefore NaN: kappa if both sides are of one class only, correlations if a side
        is constant, and most measures of a single unit.
    UserWarning
        If there is only one infant or recording, so that the intervals are NaN; or if a measure is undefined in some
        resamples.

    See Also
    --------
    skcry.plotting.AgreementDisplay : Differences against means.
    second_metrics : Precision, recall and F1, if one side is the truth.

    Notes
    -----
    A second is crying if crying covers at least half of it, as for :func:`second_truth`. A unit that is known in part
    counts by its rate, crying per known hour.

    The limits of agreement take units as independent. With several units per infant they hold for a unit of one of
    these infants; the intervals allow for the dependence.

    References
    ----------
    .. [1] K. L. Gwet (2008). Computing inter-rater reliability and its variance in the presence of high agreement.
       British Journal of Mathematical and Statistical Psychology 61(1), 29-48.
    .. [2] P. E. Shrout and J. L. Fleiss (1979). Intraclass correlations: uses in assessing rater reliability.
       Psychological Bulletin 86(2), 420-428.
    .. [3] K. O. McGraw and S. P. Wong (1996). Forming inferences about some intraclass correlation coefficients.
       Psychological Methods 1(1), 30-46.
    .. [4] J. M. Bland and D. G. Altman (1986). Statistical methods for assessing agreement between two methods of
       clinical measurement. The Lancet 327(8476), 307-310.

    Examples
    --------
    >>> from skcry.metrics import agreement
    >>> ada = {"mon.wav": [(60, 180), (400, 460)], "tue.wav": [(30, 90)], "wed.wav": [(300, 420)]}
    >>> ben = {"mon.wav": [(70, 180), (400, 450)], "tue.wav": [(30, 100)], "wed.wav": [(310, 400)]}
    >>> durations = dict.fromkeys(ada, 600)
    >>> agreement(ada, ben, durations=durations, random_state=0)[["value", "low", "high", "n"]].round(2)
                       value    low   high     n
    measure
    cohen_kappa         0.89   0.85   0.92  1800
    gwet_ac1            0.95   0.93   0.97  1800
    percent_agreement  96.67  95.56  97.78  1800
    >>> minutes = agreement(ada, ben, unit="5 min", durations=durations, random_state=0)
    >>> minutes.loc[["icc_agreement", "mean_difference"], ["value", "low", "high", "n"]].round(2)
                     value   low  high  n
    measure
    icc_agreement     0.96  0.94  0.98  6
    mean_difference  -1.33 -2.67  0.00  6
    """
    compared = compare(
        a,
        b,
        unit=unit,
        durations=durations,
        groups=groups,
        start=start,
        positive=positive,
        negative=negative,
        ignore=ignore,
        overlap=overlap,
        merge_gap=merge_gap,
        min_observed=min_observed,
        level=level,
        n_resamples=n_resamples,
        random_state=random_state,
    )
    return compared.measures
