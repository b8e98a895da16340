"""How well seconds agree with the truth, and what follows for cry minutes per hour."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from ..summary import flags, summarize
from .truth import check_same_seconds


def ratio(part, whole):
    """Divide; NaN where there is nothing to divide by."""
    part, whole = np.asarray(part, dtype=float), np.asarray(whole, dtype=float)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def second_metrics(truth: ArrayLike, timeline: pd.DataFrame) -> pd.Series:
    """Compare the seconds of a timeline with the truth, all recordings together.

    Parameters
    ----------
    truth : array-like of bool of shape (n_seconds,)
        What :func:`second_truth` gives.
    timeline : DataFrame of shape (n_seconds, n_columns)
        With the column ``cry`` (bool) and, where known, ``score``.

    Returns
    -------
    Series of shape (7,)
        ``f1``, ``precision``, ``recall``, ``average_precision``, ``roc_auc``, ``balanced_accuracy`` and
        ``cohen_kappa``. NaN is what has no meaning: without a second of crying, recall and average precision, without a
        second of either kind also ROC AUC and balanced accuracy; where nothing was found, precision; F1 where there is
        neither; kappa where truth and decisions are all the same; the two that need scores where there are none.

    Raises
    ------
    ValueError
        If truth and timeline do not belong together, or ``cry`` is missing.

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
            f"timeline has columns {list(timeline.columns)}, but 'cry' (bool) is needed. With more than two classes "
            "name the one that counts: timeline.assign(cry=timeline['label'] == 'cry', score=timeline['cry'])."
        )
    check_same_seconds(truth, timeline)
    truth, cry = np.asarray(truth, dtype=bool), flags(timeline, "cry")
    n, n_true, n_found = len(truth), truth.sum(), cry.sum()
    hit = (truth & cry).sum()
    recall, specificity = ratio(hit, n_true), ratio((~truth & ~cry).sum(), n - n_true)
    agreed = ratio((truth == cry).sum(), n)
    by_chance = ratio(n_true * n_found + (n - n_true) * (n - n_found), n * n)
    scored = "score" in timeline and n_true > 0
    values = {
        "f1": ratio(2 * hit, n_true + n_found),
        "precision": ratio(hit, n_found),
        "recall": recall,
        "average_precision": average_precision_score(truth, timeline["score"]) if scored else np.nan,
        "roc_auc": roc_auc_score(truth, timeline["score"]) if scored and n_true < n else np.nan,
        "balanced_accuracy": (recall + specificity) / 2,
        "cohen_kappa": ratio(agreed - by_chance, 1 - by_chance),
    }
    return pd.Series(values, dtype=float)


def cry_minutes(
    truth: pd.Series,
    timeline: pd.DataFrame,
    *,
    by: Literal["recording", "hour"] = "recording",
    start: object = None,
    merge_gap: float = 5.0,
    min_duration: float = 5.0,
) -> pd.DataFrame:
    """Cry minutes per hour, true and found, of each recording or clock hour.

    Parameters
    ----------
    truth : Series of bool of shape (n_seconds,)
        What :func:`second_truth` gives; with its ``merge_gap=5.0`` short pauses within annotated crying count as
        crying, as they do in what is found.
    timeline : DataFrame of shape (n_seconds, n_columns)
        Indexed by recording and second, with the column ``cry`` and, where known, ``usable``.
    by : {"recording", "hour"}, default="recording"
        One row per recording, or per recording and hour.
    start : datetime-like, sequence of them, dict, Series or None, default=None
        When each recording began, see :func:`skcry.summarize`.
    merge_gap, min_duration : float, default=5.0
        Rules for what is found, see :func:`skcry.summarize`; those of the detector.

    Returns
    -------
    DataFrame of shape (n_rows, 2)
        Indexed as by :func:`skcry.summarize`: ``true`` and ``found`` minutes of crying in an hour of usable sound. Rows
        without usable sound are left out.

    Raises
    ------
    ValueError
        If truth and timeline do not belong together, or as :func:`skcry.summarize` raises.

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
    found = summarize(timeline, by=by, start=start, merge_gap=merge_gap, min_duration=min_duration)
    check_same_seconds(truth, timeline)
    true = summarize(timeline.assign(cry=np.asarray(truth)), by=by, start=start, merge_gap=0, min_duration=0)
    minutes = {"true": true["cry_minutes_per_hour"], "found": found["cry_minutes_per_hour"]}
    return pd.DataFrame(minutes).dropna()


def cry_minutes_metrics(minutes: pd.DataFrame) -> pd.Series:
    """Error of cry minutes per hour, as researchers publish it.

    Parameters
    ----------
    minutes : DataFrame of shape (n_rows, 2)
        Columns ``true`` and ``found``, as :func:`cry_minutes` gives them; each row counts the same.

    Returns
    -------
    Series of shape (3,)
        ``bias`` (mean of found less true) and ``mean_absolute_error``, in minutes per hour, and Pearson's
        ``correlation`` [1]_, which is NaN for fewer than two rows or where either column is constant.

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
    varies = len(true) > 1 and np.ptp(true) > 0 and np.ptp(found) > 0
    values = {
        "bias": (found - true).mean() if len(true) else np.nan,
        "mean_absolute_error": np.abs(found - true).mean() if len(true) else np.nan,
        "correlation": np.corrcoef(true, found)[0, 1] if varies else np.nan,
    }
    return pd.Series(values, dtype=float)
