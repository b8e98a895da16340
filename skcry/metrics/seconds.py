"""Agreement of seconds with the truth, by the functions of scikit-learn, and errors of cry minutes per hour."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn import metrics

from ..summary import flags, summarize
from .truth import check_same_seconds, known_and_true


def second_metrics(truth: ArrayLike, timeline: pd.DataFrame) -> pd.Series:
    """Compare the seconds of a timeline with the truth, over all recordings together.

    Parameters
    ----------
    truth : array-like of bool of shape (n_seconds,)
        Result of :func:`second_truth`. Unknown seconds (missing values) are left out.
    timeline : DataFrame of shape (n_seconds, n_columns)
        With the column ``cry`` (bool) and, where known, ``score``.

    Returns
    -------
    Series of shape (7,)
        ``f1``, ``precision``, ``recall``, ``average_precision``, ``roc_auc``, ``balanced_accuracy`` and
        ``cohen_kappa``, as scikit-learn computes them. Undefined values are NaN: recall and average precision without
        true crying; ROC AUC and balanced accuracy unless there is crying and other sound; precision if nothing was
        detected; F1 without either; kappa if all seconds are alike in truth and detection; ROC AUC and average
        precision without scores.

    Raises
    ------
    ValueError
        If truth and timeline have other seconds, or ``cry`` is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry.metrics import second_metrics
    >>> timeline = pd.DataFrame({"score": [0.9, 0.7, 0.6, 0.1], "cry": [True, True, False, False]})
    >>> second_metrics([True, False, True, False], timeline).round(2).to_dict()
    {'f1': 0.5, 'precision': 0.5, 'recall': 0.5, 'average_precision': 0.83, 'roc_auc': 0.75, 'balanced_accuracy': 0.5,
    'cohen_kappa': 0.0}
    """
    if "cry" not in timeline or timeline["cry"].dtype.kind == "f":  # a column of probabilities, of several
        raise ValueError(
            f"timeline has columns {list(timeline.columns)!s:.60}, but 'cry' (bool) is needed. With more than two "
            "classes choose one: timeline.assign(cry=timeline['label'] == 'cry', score=timeline['cry'])."
        )
    check_same_seconds(truth, timeline)
    known, truth = known_and_true(truth)
    truth, timeline = truth[known], timeline[known]
    cry = flags(timeline, "cry")
    rates = [np.nan] * 4
    if len(truth):
        rates = metrics.precision_recall_fscore_support(truth, cry, average="binary", zero_division=np.nan)
    # The conditions exclude the cases in which scikit-learn warns.
    ranked, two_classes = "score" in timeline and truth.any(), len(np.unique(truth)) == 2
    values = {
        "f1": rates[2],
        "precision": rates[0],
        "recall": rates[1],
        "average_precision": metrics.average_precision_score(truth, timeline["score"]) if ranked else np.nan,
        "roc_auc": metrics.roc_auc_score(truth, timeline["score"]) if ranked and two_classes else np.nan,
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, cry) if two_classes else np.nan,
        "cohen_kappa": metrics.cohen_kappa_score(truth, cry) if len(np.unique([truth, cry])) == 2 else np.nan,
    }
    return pd.Series(values, dtype=float)


def cry_minutes(
    truth: pd.Series,
    timeline: pd.DataFrame,
    *,
    by: Literal["recording", "hour"] = "recording",
    start: object = None,
    merge_gap: float | None = None,
    min_duration: float | None = None,
) -> pd.DataFrame:
    """Compute true and detected cry minutes per hour, of each recording or clock hour.

    Parameters
    ----------
    truth : Series of bool of shape (n_seconds,)
        Result of :func:`second_truth`, without its ``merge_gap``. Unknown seconds (missing values) are not usable.
    timeline : DataFrame of shape (n_seconds, n_columns)
        Indexed by recording and second, with the column ``cry`` and, where known, ``usable``.
    by : {"recording", "hour"}, default="recording"
        One row per recording, or per recording and hour.
    start : datetime-like, sequence of them, dict, Series or None, default=None
        When each recording began, see :func:`skcry.summarize`.
    merge_gap, min_duration : float or None, default=None
        Rules for true and detected crying, see :func:`skcry.summarize`; None means those of the detector that made the
        timeline. The same rules on both sides: otherwise a perfect detector has a bias.

    Returns
    -------
    DataFrame of shape (n_rows, 2)
        ``true`` and ``found`` minutes of crying per hour of usable sound, indexed as by :func:`skcry.summarize`. Rows
        without usable sound are dropped.

    Raises
    ------
    ValueError
        If truth and timeline have other seconds, or as :func:`skcry.summarize`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry.metrics import cry_minutes, second_truth
    >>> index = pd.MultiIndex.from_product([["monday.wav"], range(600)], names=["recording", "second"])
    >>> timeline = pd.DataFrame({"cry": [False] * 540 + [True] * 60}, index=index)
    >>> cry_minutes(second_truth({"monday.wav": [(510, 600)]}, timeline), timeline)
                true  found
    recording
    monday.wav   9.0    6.0
    """
    rules = {"merge_gap": merge_gap, "min_duration": min_duration}
    return compare_minutes(truth, timeline, by=by, start=start, true_rules=rules, found_rules=rules)


def compare_minutes(truth, timeline, *, by, start, true_rules, found_rules):
    """Compute what :func:`cry_minutes` does, with a rule of events for each side."""
    check_same_seconds(truth, timeline)
    known, truth = known_and_true(truth)
    if not known.all():
        usable = flags(timeline, "usable") if "usable" in timeline else True
        timeline = timeline.assign(usable=known & usable, cry=flags(timeline, "cry") & known)
    sides = (("true", timeline.assign(cry=truth), true_rules), ("found", timeline, found_rules))
    minutes = {
        name: summarize(table, by=by, start=start, **rules)["cry_minutes_per_hour"] for name, table, rules in sides
    }
    return pd.DataFrame(minutes).dropna()


def cry_minutes_metrics(minutes: pd.DataFrame) -> pd.Series:
    """Compute the error of cry minutes per hour.

    Parameters
    ----------
    minutes : DataFrame of shape (n_rows, 2)
        Columns ``true`` and ``found``, as :func:`cry_minutes` gives them; rows have equal weight.

    Returns
    -------
    Series of shape (3,)
        ``bias`` (mean of ``found - true``) and ``mean_absolute_error`` in minutes per hour, and Pearson's
        ``correlation``, as published for this task [1]_. The correlation is NaN if there are fewer than two rows or a
        column is constant.

    References
    ----------
    .. [1] M. Micheletti, X. Yao, M. Johnson and K. de Barbaro (2023). Validating a model to detect infant crying from
       naturalistic audio. Behavior Research Methods. https://doi.org/10.3758/s13428-022-01961-x

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry.metrics import cry_minutes_metrics
    >>> cry_minutes_metrics(pd.DataFrame({"true": [1.0, 2.0, 6.0], "found": [0.0, 3.0, 5.0]})).round(2).to_dict()
    {'bias': -0.33, 'mean_absolute_error': 1.0, 'correlation': 0.9}
    """
    true, found = minutes["true"].to_numpy(dtype=float), minutes["found"].to_numpy(dtype=float)
    error, varies = found - true, len(true) > 1 and np.ptp(true) > 0 and np.ptp(found) > 0
    values = {
        "bias": error.mean() if len(true) else np.nan,
        "mean_absolute_error": np.abs(error).mean() if len(true) else np.nan,
        "correlation": np.corrcoef(true, found)[0, 1] if varies else np.nan,
    }
    return pd.Series(values, dtype=float)
