"""Estimate the precision at each threshold from the clips that a person judged, and choose a threshold by it."""

from __future__ import annotations

from numbers import Real
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from .._compat import Interval, StrOptions, validate_params
from .._typing import Labels
from .clips import N_BANDS, one_class
from .judgements import as_number
from .sample import LEAST_CLIPS, band_sizes, judged_clips, read_sample, total


@validate_params(
    {
        "review": [pd.DataFrame],
        "seconds": [pd.DataFrame, None],
        "label": [str, tuple, list, None],
        "thresholds": ["array-like", None],
        "level": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def precision_by_threshold(
    review: pd.DataFrame,
    seconds: pd.DataFrame | None = None,
    *,
    label: Labels | None = None,
    thresholds: ArrayLike | None = None,
    level: float = 0.9,
) -> pd.DataFrame:
    """Estimate the precision at each threshold from the clips that a person judged.

    Parameters
    ----------
    review : DataFrame of shape (n_judgements, n_columns)
        Output of :func:`read_review`: judgements of clips that :func:`select_clips` drew by "random" or "stratified".
        Clips judged "unsure", or differently by two listeners, are left out.
    seconds : DataFrame of shape (n_seconds, n_columns) or None, default=None
        Timeline of all recordings, as given to :func:`select_clips`. A clip is then detected if at least half of its
        seconds reach the threshold. With None it is detected if its mean score does, which the judgements hold.
    label : str, tuple of str or None, default=None
        For ``seconds`` of more than two classes: the class whose score is compared, see :func:`select_clips`.
    thresholds : array-like of shape (n_thresholds,) or None, default=None
        Thresholds from 0 to 1. None means the scores of the judged clips.
    level : float, default=0.9
        Confidence level of the intervals.

    Returns
    -------
    DataFrame of shape (n_thresholds, 4)
        Indexed by ``threshold``, ascending. ``precision``: share of crying among the clips that are detected, weighted
        by the design; ``low`` and ``high``: its interval, see :func:`estimate_crying`; ``n_clips``:
        number of judged clips that tell it. NaN where none does.

    Raises
    ------
    ValueError
        If a threshold is not from 0 to 1, or as :func:`estimate_crying`.

    See Also
    --------
    threshold_for_precision : The threshold for a precision.
    skcry.plotting.PrecisionDisplay : Draws the table.

    Notes
    -----
    Each interval holds for its threshold alone, not for all of them together.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry.review import precision_by_threshold
    >>> review = pd.DataFrame({"recording": "monday.wav", "onset": range(0, 300, 5), "score": [0.2, 0.6, 0.9] * 20})
    >>> review["offset"], review["stratum"], review["probability"] = review["onset"] + 5, 0, 0.1
    >>> review["judgement"] = ["not", "not", "cry", "not", "cry", "cry"] * 10
    >>> precision_by_threshold(review).round(2)
               precision   low  high  n_clips
    threshold
    0.2             0.50  0.43  0.57       60
    0.6             0.75  0.64  0.83       40
    0.9             1.00  0.87  1.00       20
    """
    judged = judged_clips(review)
    if seconds is None:
        scores = judged["score"].to_numpy(dtype=float)
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError(
                "review: not all clips have a score from 0 to 1. Pass seconds, or the review as it was saved."
            )
    else:
        clips, judged = read_sample(one_class(seconds, label), judged)
        scores = judged["reached"].to_numpy()
    decided = judged["cry"].notna().to_numpy()
    scores, judged = scores[decided], judged[decided]
    cry, weight = judged["cry"].to_numpy(), judged["weight"].to_numpy()
    values = np.unique([as_number(one) for one in np.ravel(scores if thresholds is None else thresholds)])
    if not (len(values) and values[0] >= 0 and values[-1] <= 1):
        raise ValueError(f"thresholds={thresholds!s:.60} must be numbers from 0 to 1. Pass some.")
    if seconds is None:  # quarters of the judged clips stand for the bands
        band = np.argsort(np.argsort(scores, kind="stable")) * N_BANDS // len(scores)
    else:
        band = judged["band"].to_numpy()
    rows, z = [], norm.ppf((1 + level) / 2)
    for value in values:
        over = scores >= value
        if seconds is None:
            whole = np.bincount(band[over], weight[over], minlength=N_BANDS)
        else:
            whole = band_sizes(clips["band"][clips["reached"] >= value])
        found = np.array(total(cry[over], weight[over], band[over], whole, z))
        rows.append([*(found / whole.sum() if whole.sum() else np.full(3, np.nan)), int(over.sum())])
    columns = ["precision", "low", "high", "n_clips"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(values, name="threshold"))


@validate_params(
    {
        "review": [pd.DataFrame],
        "precision": [Interval(Real, 0, 1, closed="right")],
        "seconds": [pd.DataFrame, None],
        "label": [str, tuple, list, None],
        "bound": [StrOptions({"value", "low"})],
        "level": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def threshold_for_precision(
    review: pd.DataFrame,
    precision: float,
    seconds: pd.DataFrame | None = None,
    *,
    label: Labels | None = None,
    bound: Literal["value", "low"] = "value",
    level: float = 0.9,
) -> float:
    """Find the lowest threshold with a stated precision, from the clips that a person judged.

    Parameters
    ----------
    review : DataFrame of shape (n_judgements, n_columns)
        Judgements as for :func:`precision_by_threshold`.
    precision : float
        Precision to reach, above 0 and at most 1.
    seconds : DataFrame of shape (n_seconds, n_columns) or None, default=None
        Timeline of all recordings, as for :func:`precision_by_threshold`. Pass it for a threshold of the detector.
    label : str, tuple of str or None, default=None
        For ``seconds`` of more than two classes, as for :func:`precision_by_threshold`.
    bound : {"value", "low"}, default="value"
        Whether the estimated precision reaches ``precision``, or the lower bound of its interval, which takes many more
        clips.
    level : float, default=0.9
        Confidence level of the interval.

    Returns
    -------
    float
        The lowest score of a judged clip at which it is reached. Thresholds that fewer than five judged clips tell of
        are not considered.

    Raises
    ------
    ValueError
        If no threshold reaches it, or as :func:`precision_by_threshold`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry.review import threshold_for_precision
    >>> review = pd.DataFrame({"recording": "monday.wav", "onset": range(0, 300, 5), "score": [0.2, 0.6, 0.9] * 20})
    >>> review["offset"], review["stratum"], review["probability"] = review["onset"] + 5, 0, 0.1
    >>> review["judgement"] = ["not", "not", "cry", "not", "cry", "cry"] * 10
    >>> threshold_for_precision(review, 0.7)
    0.6
    """
    table = precision_by_threshold(review, seconds, label=label, level=level)
    table = table[table["n_clips"] >= LEAST_CLIPS]
    values = table["precision" if bound == "value" else "low"]
    reached = values.index[values >= precision]
    if len(reached):
        return float(reached[0])
    most = (
        f"the highest is {values.max():.3f}, at {values.idxmax():.3f}" if values.notna().any() else "nothing tells it"
    )
    raise ValueError(
        f"precision={precision} is not reached at any threshold ({'estimate' if bound == 'value' else 'lower bound'}; "
        f"{most}). Lower it, or judge more clips of high score."
    )
