"""Estimate what all recordings hold from the clips that a person judged: minutes of crying, precision and recall."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from .._clock import quote
from .._compat import Interval, StrOptions, validate_params
from .._warnings import warn
from ..summary import flags, summarize
from .judgements import CLIP, JUDGEMENTS, NEEDED
from .selection import N_BANDS, _bands, _candidates, _threshold_in

MANY = 1000  # clips: asks for all bands of score
LEAST_CLIPS = 5  # detected and judged, for an interval of precision
FEW_CLIPS = 20  # judged; with fewer, intervals have not been tried
TOLERANCE = 1e-3  # of scores, which files round
DESIGN = ["score", "stratum", "probability", "stratum_size", "stratum_drawn"]
QUANTITIES = ["cry_minutes_per_hour", "cry_minutes_per_day", "cry_minutes", "n_bouts", "precision", "recall"]


def wilson(share, n, z):
    """Return the bounds of Wilson's interval of a share of ``n`` clips; ``n`` need not be whole, and may be inf."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


def total(cry, weight, band, whole, z):
    """Estimate how many clips are crying: value, low, high.

    ``cry`` (1 or 0), ``weight`` (the reciprocal of the inclusion probability) and ``band`` are those of the judged
    clips (n_judged,), ``whole`` (n_bands,) the numbers of all clips in each band. NaN if none is judged.
    """
    held = np.unique(band)
    if not len(held):
        return (np.nan,) * 3
    value = below = above = 0.0
    for number in np.flatnonzero(whole):
        near = min(held, key=lambda other: (abs(other - number), other))
        of_band = weight[band == near]
        share, low, high = min(1.0, of_band @ cry[band == near] / of_band.sum()), 0.0, 1.0
        if near == number:
            unheard = 1 - len(of_band) / whole[number]  # finite population correction
            n = of_band.sum() ** 2 / (of_band @ of_band) / max(unheard, 1e-9)  # clips of equal weight (Kish)
            low, high = wilson(share, n, z)
        value += whole[number] * share
        below += (whole[number] * (share - low)) ** 2
        above += (whole[number] * (high - share)) ** 2
    return value, max(0.0, value - np.sqrt(below)), min(whole.sum(), value + np.sqrt(above))


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
    judged = judged_clips(review)
    clips = _all_clips(seconds, judged)
    judged = _locate(judged, clips)
    _check_strata(judged, clips)
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


def judged_clips(review):
    """Check judgements; return a row per clip, with ``cry`` (1, 0, NaN if unsure) and ``weight``."""
    missing = [name for name in [*NEEDED, *DESIGN[:3]] if name not in review]
    if missing:
        raise ValueError(
            f"review has columns {list(review.columns)!s:.100}, but no {missing[0]!r}. Pass the output of read_review."
        )
    strange = review["judgement"][~review["judgement"].isin(JUDGEMENTS)]
    if len(strange) or review.empty:
        raise ValueError(
            f"review holds {'judgement ' + repr(strange.iloc[0]) if len(strange) else 'no judgement'}, but must hold "
            f"some of {', '.join(JUDGEMENTS)}. Pass the output of read_review."
        )
    probability = review["probability"].to_numpy(dtype=float)
    wrong = ~((probability > 0) & (probability <= 1))
    if wrong.any():
        raise ValueError(
            f"review: {int(wrong.sum())} of {len(review)} clips have no probability (the first is "
            f"{probability[wrong][0]}), as those of strategy='uncertain' and 'diverse'. Estimates need clips that "
            "select_clips drew by 'stratified' or 'random'."
        )
    # Listeners who disagree are unsure together.
    cry = review["judgement"].map({"cry": 1.0, "not": 0.0}).to_numpy()
    table = review.reindex(columns=[*CLIP, *DESIGN]).assign(cry=cry, weight=1 / probability)
    by_clip = table.groupby(CLIP, sort=False)
    agreed = (by_clip["cry"].transform("min") == by_clip["cry"].transform("max")) & (
        by_clip["cry"].transform("count") == by_clip["cry"].transform("size")
    )
    table["cry"] = table["cry"].where(agreed)
    table = table.drop_duplicates(CLIP, ignore_index=True)
    draws = table.groupby("stratum")
    varied = [
        name for name in DESIGN[2:] if (draws[name].max() - draws[name].min() > TOLERANCE * draws[name].max()).any()
    ]
    if varied or (draws["cry"].size() > draws["stratum_drawn"].first()).any():
        raise ValueError(
            f"review: clips of one stratum differ in {varied[0]!r}, so that they are of several draws. Estimate from "
            "the clips of each call of select_clips alone."
            if varied
            else "review: a stratum has more judged clips than were drawn from it, so that they are of several draws. "
            "Estimate from the clips of each call of select_clips alone."
        )
    if table["cry"].isna().all():
        raise ValueError(f"review: all {len(table)} clips are unsure, or judged differently. Judge more clips.")
    return table


def _all_clips(seconds, judged):
    """Return all clips that may have been drawn, with ``found`` (detected), ``reached``, ``band`` and ``above``.

    ``reached`` is the score that at least half of the seconds of a clip reach.
    """
    lengths = (judged["offset"] - judged["onset"]).unique()
    if len(lengths) > 1 or lengths[0] % 1 or lengths[0] < 1:
        raise ValueError(
            f"review: clips last {', '.join(f'{length:g}' for length in lengths[:3])} s, but must all have the same "
            "length in whole seconds. Estimate from the clips of each call of select_clips alone."
        )
    if "score" not in seconds:
        raise ValueError(f"seconds has columns {list(seconds.columns)!s:.100}, but no 'score'. Pass a timeline.")
    threshold = _threshold_in(seconds)
    duration = int(lengths[0])
    clips = _candidates(seconds, duration)
    clips["found"] = _of_half(seconds, clips, duration, flags(seconds, "cry"))
    clips["reached"] = _of_half(seconds, clips, duration, seconds["score"])
    clips["band"] = _bands(clips["score"].to_numpy(), threshold, MANY)
    clips["above"] = clips["score"] >= threshold
    return clips


def _of_half(seconds, clips, duration, values):
    """Return the highest value that at least half of the seconds of each clip reach (n_clips,)."""
    codes, second = seconds.index.codes[0], seconds.index.get_level_values("second").to_numpy()
    begin = np.flatnonzero(np.diff(codes, prepend=-1))
    first = pd.Series(begin - second[begin], index=seconds.index.levels[0].take(codes[begin]))
    row = first[clips["recording"]].to_numpy() + clips["onset"].to_numpy(dtype=int)
    of_clips = np.asarray(values)[row[:, None] + np.arange(duration)]
    return np.sort(of_clips, axis=1)[:, duration // 2]


def _locate(judged, clips):
    """Add what is known of all clips to those that were judged; refuse others."""
    # Files hold names and numbers of recordings as text.
    known = {str(name): name for name in clips["recording"].unique()}
    names = judged["recording"].map(lambda name: known.get(str(name), name))
    found = judged.assign(recording=names).merge(
        clips, how="left", on=CLIP, suffixes=("_then", ""), validate="one_to_one", indicator=True
    )
    foreign = found[found["_merge"] != "both"]
    if len(foreign):
        row = foreign.iloc[0]
        raise ValueError(
            f"review: {len(foreign)} of {len(found)} clips are not clips of these seconds, such as recording "
            f"{quote(row['recording'])} from {row['onset']:g} to {row['offset']:g} s. Pass the table of seconds that "
            "select_clips was given."
        )
    moved = found[(found["score"] - found["score_then"]).abs() > TOLERANCE]
    if len(moved):
        row = moved.iloc[0]
        raise ValueError(
            f"review: recording {quote(row['recording'])} from {row['onset']:g} s scored {row['score_then']:.3f}, "
            f"but {row['score']:.3f} in seconds. Pass the table of seconds that select_clips was given, not that of "
            "another detector."
        )
    return found.drop(columns=["_merge", "score_then"])


def _check_strata(judged, clips):
    """Refuse another draw, or one that was judged on one side of the threshold; warn of strata without judgement."""
    sizes = judged.groupby("stratum")["stratum_size"].first()
    n_told = sizes.sum() if len(sizes) and sizes.notna().all() else len(clips)
    if n_told > len(clips):
        raise ValueError(
            f"review: the clips were drawn from {n_told:g}, but seconds holds {len(clips)} clips. Pass the table of "
            "seconds that select_clips was given, with all recordings."
        )
    decided = judged[judged["cry"].notna()]
    by_chance_alone = len(sizes) < 2 and n_told == len(clips)
    for above, name in () if by_chance_alone else ((True, "above"), (False, "below")):
        n_side = int((clips["above"] == above).sum())
        if n_side and not (decided["above"] == above).any():
            raise ValueError(
                f"review: no clip {name} the threshold is judged as cry or not, but {n_side} of {len(clips)} clips are "
                "there. Judge more clips, in the order of the page."
            )
    if n_told < len(clips):
        warn(
            f"review: of {len(clips) - n_told:g} of {len(clips)} clips, whole strata, none is judged. They are taken "
            "to be like others of similar score. Judge all clips for an estimate without this assumption."
        )


def _group_of(groups, recordings):
    """Return the group of each recording, as Series."""
    groups = pd.Series(groups)
    missing = recordings.difference(groups.index)
    if len(missing):
        raise ValueError(
            f"groups: nothing for recording {quote(missing[0])} ({len(missing)} of {len(recordings)} recordings). Add "
            "the infant of each recording."
        )
    return groups.reindex(recordings)


def _sizes(band):
    """Return the number of clips in each band."""
    return np.bincount(band, minlength=N_BANDS).astype(float)


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
        return total(cry, weight, band, _sizes(clips["band"][of_all]), z)

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


@validate_params(
    {
        "review": [pd.DataFrame],
        "seconds": [pd.DataFrame, None],
        "thresholds": ["array-like", None],
        "level": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def precision_by_threshold(
    review: pd.DataFrame,
    seconds: pd.DataFrame | None = None,
    *,
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
        clips = _all_clips(seconds, judged)
        judged = _locate(judged, clips)
        _check_strata(judged, clips)
        scores = judged["reached"].to_numpy()
    decided = judged["cry"].notna().to_numpy()
    scores, judged = scores[decided], judged[decided]
    cry, weight = judged["cry"].to_numpy(), judged["weight"].to_numpy()
    values = np.unique(np.asarray(scores if thresholds is None else thresholds, dtype=float))
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
            whole = _sizes(clips["band"][clips["reached"] >= value])
        found = np.array(total(cry[over], weight[over], band[over], whole, z))
        rows.append([*(found / whole.sum() if whole.sum() else np.full(3, np.nan)), int(over.sum())])
    columns = ["precision", "low", "high", "n_clips"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(values, name="threshold"))


@validate_params(
    {
        "review": [pd.DataFrame],
        "precision": [Interval(Real, 0, 1, closed="right")],
        "seconds": [pd.DataFrame, None],
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
    table = precision_by_threshold(review, seconds, level=level)
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
