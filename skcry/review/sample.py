"""Judged clips as a sample of all clips: check them, and estimate how many of all clips are crying."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .._clock import quote
from .._warnings import warn
from ..io.text_files import list_names
from ..summary import flags
from .clips import N_BANDS, candidates, score_bands, threshold_in
from .judgements import CLIP, check_review

MANY = 1000  # clips: asks for all bands of score
LEAST_CLIPS = 5  # detected and judged, for an interval of precision
TOLERANCE = 1e-3  # of scores, which files round
ROUNDING = 0.01  # of probabilities, which spreadsheets round
DESIGN = ["score", "stratum", "probability", "stratum_size", "stratum_drawn"]


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


def band_sizes(band):
    """Return the number of clips in each band."""
    return np.bincount(band, minlength=N_BANDS).astype(float)


def judged_clips(review):
    """Check judgements; return a row per clip, with ``cry`` (1, 0, NaN if unsure) and ``weight``."""
    check_review(review, DESIGN[:3])
    if review.empty:
        raise ValueError("review holds no judgement. Pass the output of read_review.")
    probability = review["probability"].to_numpy(dtype=float)
    wrong = ~((probability > 0) & (probability <= 1))
    if wrong.any():
        raise ValueError(
            f"review: {int(wrong.sum())} of {len(review)} clips have no probability (the first is "
            f"{probability[wrong][0]}), as those of strategy='uncertain' and 'diverse'. Estimates need clips that "
            "select_clips drew by 'stratified' or 'random'."
        )
    if review["stratum"].isna().any():
        raise ValueError(
            f"review: {int(review['stratum'].isna().sum())} of {len(review)} clips have no stratum. Save the "
            "judgements from the page again."
        )
    # Listeners who disagree are unsure together.
    cry = review["judgement"].map({"cry": 1.0, "not": 0.0}).to_numpy()
    table = review.reindex(columns=[*CLIP, *DESIGN]).assign(cry=cry)
    table = table.astype(dict.fromkeys(["onset", "offset", *DESIGN], float))
    table["weight"] = 1 / probability
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
    counted = table["stratum_drawn"] / table["stratum_size"]  # exact, also if the probability was rounded
    off = (counted - 1 / table["weight"]).abs() > ROUNDING
    if off.any():
        raise ValueError(
            f"review: {int(off.sum())} of {len(table)} clips have a probability that is not stratum_drawn / "
            f"stratum_size, such as {1 / table['weight'][off].iloc[0]:g} instead of {counted[off].iloc[0]:g}. Save the "
            "judgements from the page again."
        )
    table["weight"] = (1 / counted).fillna(table["weight"])
    if table["cry"].isna().all():
        raise ValueError(f"review: all {len(table)} clips are unsure, or judged differently. Judge more clips.")
    return table


def read_sample(seconds, judged):
    """Return all clips that may have been drawn from the seconds, and the judged clips with what is known of these."""
    clips = _all_clips(seconds, judged)
    judged = _locate(judged, clips)
    _check_strata(judged, clips)
    return clips, judged


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
    threshold = threshold_in(seconds)
    duration = int(lengths[0])
    clips = candidates(seconds, duration)
    clips["found"] = _of_half(seconds, clips, duration, flags(seconds, "cry"))
    clips["reached"] = _of_half(seconds, clips, duration, seconds["score"])
    clips["band"] = score_bands(clips["score"].to_numpy(), threshold, MANY)
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

    def refuse(foreign):
        if len(foreign):
            row = foreign.iloc[0]
            raise ValueError(
                f"review: {len(foreign)} of {len(judged)} clips are not clips of these seconds, such as recording "
                f"{quote(foreign['recording'].iloc[0])} from {row['onset']:g} to {row['offset']:g} s. The seconds "
                f"are of {list_names(known.values())}. Pass the table of seconds that select_clips was given."
            )

    refuse(judged[~judged["recording"].map(str).isin(known)])
    names = judged["recording"].map(lambda name: known[str(name)])
    found = judged.assign(recording=names).merge(
        clips, how="left", on=CLIP, suffixes=("_then", ""), validate="one_to_one", indicator=True
    )
    refuse(found[found["_merge"] != "both"])
    moved = found[(found["score"] - found["score_then"]).abs() > TOLERANCE]
    if len(moved):
        row = moved.iloc[0]
        raise ValueError(
            f"review: recording {quote(row['recording'])} from {row['onset']:g} s scored {row['score_then']:.3f}, "
            f"but {row['score']:.3f} in the results. Name the results from which the clips were drawn (the table of "
            "seconds that select_clips was given), not that of another detector; or save the judgements "
            "again, if a spreadsheet has rounded them."
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
