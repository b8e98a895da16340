"""Confidence intervals over recordings or infants.

Own code, because ``scipy.stats.bootstrap`` does not resample by group, and returns NaN if the metric is undefined in a
single resample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

from .._compat import Interval, validate_params
from .._typing import RandomState
from .._warnings import warn
from ..summary import quote


@validate_params(
    {
        "metric": [callable],
        "level": [Interval(Real, 0, 1, closed="neither")],
        "n_resamples": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def bootstrap_interval(
    metric: Callable[..., float],
    *arrays: ArrayLike | pd.DataFrame | pd.Series,
    groups: ArrayLike | Mapping | pd.Series,
    level: float = 0.9,
    n_resamples: int = 1000,
    random_state: RandomState = None,
) -> tuple[float, float]:
    """Confidence interval of any metric, from resampled recordings or infants.

    Seconds of one recording are correlated, and so are recordings of one infant: resampling single rows would give an
    interval that is much too narrow. Therefore groups are drawn with replacement, each with all of its rows [1]_. The
    bounds are percentiles of the metric.

    Parameters
    ----------
    metric : callable
        ``metric(*arrays) -> float``; NaN where it is undefined.
    *arrays : array-like, Series or DataFrame of shape (n_rows, ...)
        Arguments of the metric, such as truth and timeline, or a table of counts.
    groups : array-like of shape (n_rows,), dict or Series
        Recording or infant of each row. A dict or Series is looked up by the index of ``arrays``: by recording, or by
        row if it has the same index.
    level : float, default=0.9
        Confidence level. With ten groups or fewer the interval is too narrow for it.
    n_resamples : int, default=1000
        Number of resamples.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling.

    Returns
    -------
    low, high : float
        Bounds of the interval; NaN if the metric is undefined in all resamples.

    Raises
    ------
    ValueError
        If lengths differ, a row has no group, there is only one group, or ``groups`` is a dict or Series and ``arrays``
        have no index to look it up by.

    Warns
    -----
    UserWarning
        If the metric is undefined in some resamples, which are left out.

    References
    ----------
    .. [1] C. A. Field and A. H. Welsh (2007). Bootstrapping clustered data. Journal of the Royal Statistical Society B
       69(3), 369-390.

    Examples
    --------
    >>> from skcry.metrics import bootstrap_interval, event_counts, event_metrics, event_truth
    >>> true = event_truth([[(0, 20)], [(5, 25)], [(40, 50)], [(0, 9), (30, 50)]])
    >>> found = event_truth([[(2, 20)], [(50, 60)], [(41, 52)], [(31, 50)]])
    >>> counts = event_counts(true, found)
    >>> low, high = bootstrap_interval(
    ...     lambda counts: event_metrics(counts)["recall"],
    ...     counts,
    ...     groups=["ada", "ada", "ben", "cem"],
    ...     random_state=0,
    ... )
    >>> print(f"{low:.2f} to {high:.2f}")
    0.50 to 0.75
    """
    if isinstance(groups, (Mapping, pd.Series)):
        groups = _look_up(groups, arrays)
    check_consistent_length(*arrays, groups)
    code, names = pd.factorize(pd.Index(groups))
    if (code < 0).any():
        raise ValueError(f"groups: {int((code < 0).sum())} rows have none. Fill them in, or drop these rows.")
    if len(names) < 2:
        raise ValueError(
            f"groups holds {len(names)} group, but an interval needs at least 2 recordings or infants. Add recordings."
        )
    arrays = [array if hasattr(array, "iloc") else np.asarray(array) for array in arrays]
    rows = np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code))[:-1])
    rng, values = check_random_state(random_state), np.empty(n_resamples)
    for i in range(n_resamples):
        drawn = np.concatenate([rows[group] for group in rng.randint(len(rows), size=len(rows))])
        values[i] = metric(*(array.iloc[drawn] if hasattr(array, "iloc") else array[drawn] for array in arrays))
    undefined = int(np.isnan(values).sum())
    if undefined:
        warn(
            f"{undefined} of {n_resamples} resamples are left out because the metric is NaN, for example if no drawn "
            f"group holds crying. The interval comes from the others. Use more groups than {len(rows)}."
        )
    if undefined == n_resamples:
        return np.nan, np.nan
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _look_up(groups, arrays):
    """Return the group of each row, from a dict or Series by recording or by row."""
    groups = pd.Series(groups)
    indexed = [array for array in arrays if isinstance(array, (pd.Series, pd.DataFrame))]
    if not indexed:
        raise ValueError(
            f"groups is by name ({[*groups.index[:2]]!s:.60}), but no array has an index to look it up by. Pass a list "
            "with one group per row, or a Series or DataFrame indexed by recording."
        )
    rows = indexed[0].index
    if "recording" in rows.names and groups.index.nlevels == 1:
        rows = rows.get_level_values("recording")
    if not groups.index.is_unique:
        raise ValueError(f"groups: {groups.index[groups.index.duplicated()][0]!r} is there twice. Keep one entry.")
    missing = rows[~rows.isin(groups.index)]
    if len(missing):
        raise ValueError(
            f"groups: nothing for {quote(missing[0])} ({len(missing)} of {len(rows)} rows). Add it, or pass a list "
            "with one group per row."
        )
    return groups.reindex(rows).to_numpy()
