"""Estimate what all recordings hold from the clips that a person judged: minutes of crying, precision and recall."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd
from scipy.stats import norm

from .._clock import quote
from .._compat import Interval, validate_params
from .._typing import Labels
from .._warnings import warn
from ..summary import flags, summarize
from .clips import one_class
from .sample import LEAST_CLIPS, band_sizes, judged_clips, read_sample, total

FEW_CLIPS = 20  # judged; with fewer, intervals have not been tried
QUANTITIES = ["cry_minutes_per_hour", "cry_minutes_per_day", "cry_minutes", "n_bouts", "precision", "recall"]


def part_of(part, rest):
    """Return the share ``part / (part + rest)`` of two independent estimates (value, low, high), as such a triple."""
    if np.isnan(part[0]) or np.isnan(rest[0]) or part[0] + rest[0] == 0:
        return (np.nan,) * 3
    if np.isnan(part[1]):
        return part[0] / (part[0] + rest[0]), np.nan, np.nan
    if part[0] < rest[0]:
        value, low, high = part_of(rest, part)
        return 1 - value, 1 - high, 1 - low
    (top, top_low, top_high), (base, base_low, base_high) = rest, part
    product, low, high = top * base, 0.0, np.inf  # of the ratio rest / part (Donner and Zou, 2012)
    if top_low > 0:
        under = top_low * base_high * (2 * top - top_low) * (2 * base - base_high)
        low = top_low * (2 * top - top_low) / (product + np.sqrt(max(0.0, product**2 - under)))
    if base_low > 0:
        under = top_high * base_low * (2 * top - top_high) * (2 * base - base_low)
        high = (product + np.sqrt(max(0.0, product**2 - under))) / (base_low * (2 * base - base_low))
    return 1 / (1 + top / base), 1 / (1 + high), 1 / (1 + low)


@validate_params(
    {
        "seconds": [pd.DataFrame],
        "review": [pd.DataFrame],
        "label": [str, tuple, list, None],
        "groups": [Mapping, pd.Series, None],
        "level": [Interval(Real, 0, 1, closed="neither")],
        "merge_gap": [Interval(Real, 0, None, closed="left"), None],
        "min_duration": [Interval(Real, 0, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def estimate_crying(
    seconds: pd.DataFrame,
    review: pd.DataFrame,
    *,
    label: Labels | None = None,
    groups: Mapping | pd.Series | None = None,
    level: float = 0.9,
    merge_gap: float | None = None,
    min_duration: float | None = None,
) -> pd.DataFrame:
    """Estimate crying in all recordings, and errors of the detector, from the clips that a person judged.

    The estimates are corrected for false alarms and for what the detector missed. They hold for the recordings in
    ``seconds``, and for what this listener calls crying.

    Parameters
    ----------
    seconds : DataFrame of shape (n_seconds, n_columns)
        Timeline of all recordings, as given to :func:`select_clips`: indexed by recording and second, with columns
        ``score``, ``cry`` (bool, the decision at the threshold) and optionally ``usable``.
    review : DataFrame of shape (n_judgements, n_columns)
        Output of :func:`read_review`: judgements of clips that :func:`select_clips` drew by "random" or "stratified"
        from these seconds. Not all of them need to be judged, if they were judged in the order of the page.
    label : str, tuple of str or None, default=None
        For a timeline of more than two classes: the class to estimate, or several together, as in
        :func:`select_clips`. What is said of crying below then holds for it.
    groups : dict, Series or None, default=None
        Infant (or day, or home) of each recording. Adds the estimates of each group, from its own clips.
    level : float, default=0.9
        Confidence level of the intervals.
    merge_gap, min_duration : float or None, default=None
        Rules of bouts in seconds, see :func:`skcry.summarize`.

    Returns
    -------
    DataFrame of shape (6, 5), or (6 * (1 + n_groups), 5)
        Indexed by ``quantity``, and with ``groups`` by ``group`` (first "all") and ``quantity``:

        - ``cry_minutes_per_hour``: minutes of crying per hour of usable sound, and ``cry_minutes_per_day``: 24 times as
          many, that is per 24 h of usable sound, not per date. Where only days were recorded, nights are not known;
        - ``cry_minutes``: minutes of crying in all usable seconds;
        - ``n_bouts``: number of bouts in the recordings, if a minute of crying makes as many bouts as a minute of
          detected crying, see Notes;
        - ``precision``: share of detected clips that are crying, among all clips of the length of those judged; a clip
          is detected if at least half of its seconds are;
        - ``recall``: share of crying clips that are detected.

        Columns ``value``, ``low`` and ``high`` (bounds of the interval), and ``unsure_not`` and ``unsure_cry``: the
        value if all clips judged "unsure" were no crying, and if all were. NaN where nothing judged tells it.
        ``attrs`` holds ``level``, ``n_clips`` (judged as cry or not) and ``n_unsure``.

    Raises
    ------
    ValueError
        If the clips are not clips of these seconds, have no probability (strategies "uncertain" and "diverse"), are of
        several draws, all of them are "unsure", or those of a stratified draw are all above or all below the threshold.

    Warns
    -----
    UserWarning
        If there are too few judged clips for an interval, or strata or groups without any.

    See Also
    --------
    skcry.summarize : The same quantities as detected, without correction.
    precision_by_threshold : Precision at other thresholds.

    Notes
    -----
    All clips are divided by score into four bands, as by :func:`select_clips`, and their numbers are known. Within a
    band the share of crying is the mean of the judgements, weighted by the reciprocal of the inclusion probability
    (Hajek); the estimate is the sum over bands (post-stratification, the simplest model-assisted estimator; Sarndal et
    al., 1992). For precision and recall, detected clips and others are taken separately, and there is no interval if
    fewer than five detected clips are judged. A band without judged clips is valued like its neighbour, with an
    interval from 0 to 1.

    Each band has a Wilson interval, by its effective number of clips (Kish) and with the finite population
    correction, and these are combined by the distances of their bounds (MOVER; Zou and Donner, 2008), for recall as a
    ratio (Donner and Zou, 2012). A band in which nothing was judged as crying then still counts as uncertain: if 0 of
    12 clips were crying in a band of 20 hours, there may be much crying in it. Intervals from variances ignore that:
    in a simulation like that of ``benchmarks/bench_review.py``, those of 90 % held the truth in 30 to 90 % of
    stratified samples. So did those of a logistic regression on the score (LGREG; Lehtonen and Veijanen, 1998). Its
    error is smaller where the detector is excellent, but a sample of 50 clips cannot show that it is. The intervals
    given here hold in 92 to 96 % on average, but in 97 to 99 % with an excellent detector, where they are wider than
    needed. "stratified" gives narrower intervals of precision, "random" narrower ones of minutes.

    A clip counts as crying or not throughout, and as detected or not. In simulation, precision and recall of clips of
    5 s differ from those of seconds by less than 0.01. Single seconds, compared with judgements of whole clips, would
    be wrong at the edges of bouts, and precision and recall too low. Clips judged by several listeners who disagree
    are unsure, and unsure clips are left out: ``unsure_not`` and ``unsure_cry`` bound what they could change. Sound
    outside of whole usable clips, such as the end of a recording, counts as crying as often as the rest.

    Clips of 5 s do not show where bouts begin and end. ``n_bouts`` is the detected number times estimated by detected
    minutes of crying; its interval covers the draw of clips alone, not that missed bouts may be shorter. Lengths of
    bouts, gaps and the hours of single bouts cannot be estimated from clips.

    References
    ----------
    Donner, A., and Zou, G. Y. (2012). Closed-form confidence intervals for functions of the normal mean and standard
    deviation. Statistical Methods in Medical Research 21(4), 347-359.

    Lehtonen, R., and Veijanen, A. (1998). Logistic generalized regression estimators. Survey Methodology 24, 51-55.

    Sarndal, C.-E., Swensson, B., and Wretman, J. (1992). Model Assisted Survey Sampling. Springer.

    Zou, G. Y., and Donner, A. (2008). Construction of confidence limits about effect measures. Statistics in Medicine
    27(10), 1693-1702.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skcry.review import estimate_crying, select_clips
    >>> score = np.repeat([0.1, 0.9], [2700, 900])
    >>> seconds = pd.DataFrame({"score": score, "cry": score >= 0.5})
    >>> seconds = pd.concat({"monday.wav": seconds}, names=["recording", "second"])
    >>> review = select_clips(seconds, n=50, strategy="stratified", random_state=0)
    >>> review["judgement"] = np.where(review["onset"].between(2500, 3395), "cry", "not")  # what a listener says
    >>> estimate_crying(seconds, review).loc[["cry_minutes", "precision", "recall"], ["value", "low", "high"]].round(2)
                 value    low   high
    quantity
    cry_minutes  13.80  11.22  19.24
    precision     0.80   0.65   0.89
    recall        0.87   0.62   0.97
    """
    seconds = one_class(seconds, label)
    clips, judged = read_sample(seconds, judged_clips(review))
    decided = judged[judged["cry"].notna()]
    few = "" if len(decided) >= FEW_CLIPS else "all recordings"
    if clips["found"].any() and decided["found"].sum() < LEAST_CLIPS:
        warn(
            f"review: {decided['found'].sum()} detected clips are judged as cry or not, but intervals of precision and "
            f"recall need {LEAST_CLIPS}. Judge more clips, or draw them by strategy='stratified'."
        )
    z = norm.ppf((1 + level) / 2)
    usable = flags(seconds, "usable") if "usable" in seconds else np.ones(len(seconds), dtype=bool)
    of_recording = pd.DataFrame(
        {
            "n_usable": pd.Series(usable, seconds.index).groupby(level=0, sort=False).sum(),
            "n_found": pd.Series(flags(seconds, "cry") & usable, seconds.index).groupby(level=0, sort=False).sum(),
            "n_bouts": summarize(seconds, merge_gap=merge_gap, min_duration=min_duration)["n_bouts"],
        }
    )
    tables = {"all": _estimate(clips, judged, of_recording.sum(), z)}
    if groups is not None:
        group = _group_of(groups, of_recording.index)
        for name in group.unique():
            ours = group.index[group == name]
            part = judged[judged["recording"].isin(ours)]
            few = few or (quote(name) if part["cry"].notna().sum() < FEW_CLIPS else "")
            tables[name] = _estimate(clips[clips["recording"].isin(ours)], part, of_recording.loc[ours].sum(), z)
    if few:
        warn(
            f"review: fewer than {FEW_CLIPS} clips of {few} are judged as cry or not. Intervals from so few may not "
            "hold what they say. Judge more clips."
        )
    result = pd.concat(tables, names=["group", "quantity"])
    if groups is None:
        result = result.droplevel("group")
    result.attrs = {"level": float(level), "n_clips": len(decided), "n_unsure": len(judged) - len(decided)}
    return result


def _group_of(groups, recordings):
    """Return the group of each recording, as Series."""
    groups = pd.Series(groups)
    twice = groups.index[groups.index.duplicated()]
    if len(twice):
        raise ValueError(f"groups: recording {quote(twice[0])} is there twice. Keep one group for each recording.")
    missing = recordings.difference(groups.dropna().index)
    if len(missing):
        raise ValueError(
            f"groups: nothing for recording {quote(missing[0])} ({len(missing)} of {len(recordings)} recordings). Add "
            "the infant of each recording."
        )
    return groups.reindex(recordings)


def _estimate(clips, judged, known, z):
    """Estimate all quantities of the clips: DataFrame with a row for each."""
    decided = judged[judged["cry"].notna()]
    table = pd.DataFrame(_values(clips, decided, known, z), index=["value", "low", "high"], columns=QUANTITIES).T
    for name, answer in (("unsure_not", 0.0), ("unsure_cry", 1.0)):
        values = _values(clips, judged.assign(cry=judged["cry"].fillna(answer)), known, z)
        table[name] = [values[quantity][0] for quantity in QUANTITIES]
    return table


def _values(clips, judged, known, z):
    """Return (value, low, high) of all quantities; ``known`` are counts of usable and detected seconds, and bouts."""
    if clips.empty or judged.empty:
        return dict.fromkeys(QUANTITIES, (np.nan,) * 3)
    found, of_all = judged["found"].to_numpy(), clips["found"].to_numpy()

    def estimate(rows, of_all):
        cry, weight, band = (judged.loc[rows, name].to_numpy() for name in ("cry", "weight", "band"))
        return total(cry, weight, band, band_sizes(clips["band"][of_all]), z)

    share = np.array(estimate(found | True, of_all | True)) / len(clips)
    true, missed = estimate(found, of_all), estimate(~found, ~of_all)
    n_found = of_all.sum()
    if found.sum() < LEAST_CLIPS:
        true, missed = ((one[0], np.nan, np.nan) for one in (true, missed))
    bouts = known["n_bouts"] / known["n_found"] if known["n_found"] else np.nan
    return {
        "cry_minutes_per_hour": share * 60,
        "cry_minutes_per_day": share * 24 * 60,
        "cry_minutes": share * known["n_usable"] / 60,
        "n_bouts": share * known["n_usable"] * bouts,
        "precision": np.array(true) / n_found if n_found else (np.nan,) * 3,
        "recall": part_of(true, missed),
    }
