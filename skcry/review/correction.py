"""Correct the level of a detector by judged clips, and say what this gains, clip by clip."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from ..detector.pooling import EPSILON
from ..detector.threshold import annotated_level
from ..summary import blocks, flags
from .judgements import CLIP, review_annotations


def level_annotations(review, durations, label):
    """Return annotations of judgements, by recording, with which ``CryDetector.calibrate`` learns the level.

    Crying bears the detector's own ``label``; what was judged "not" is left without one, since that is background by
    whatever labels.
    """
    found = review_annotations(review, durations)
    return {name: one[one["label"] != "other"].replace({"label": {"cry": label}}) for name, one in found.items()}


def agreed_clips(review):
    """Return clips (recording, onset, offset, crying) of which all listeners say "cry", or all "not"."""
    judged = review.groupby(CLIP, sort=False)["judgement"].agg(["nunique", "first"]).reset_index()
    judged = judged[(judged["nunique"] == 1) & (judged["first"] != "unsure")]
    return judged[CLIP].assign(crying=judged["first"] == "cry").reset_index(drop=True)


def compare_found(seconds, clips, threshold, level=0.0):
    """Count the clips that a detector finds as it is, and with the level that the other clips teach.

    ``seconds`` is its timeline, ``clips`` comes from :func:`agreed_clips`, and ``level`` is what the detector has. A
    clip is found if at least half of its seconds are. Each clip is left out in turn when the level is learned.

    Returns a DataFrame with rows ``before`` and ``corrected`` and columns ``found``, ``missed``, ``false alarms`` and
    ``F1``, NaN if nothing is crying or found.
    """
    score = seconds["score"].to_numpy(dtype=float)
    odds = logit(np.clip(score, EPSILON, 1 - EPSILON)) - level  # as fitted
    heard = score > 0  # a gate closes the others
    if "usable" in seconds:
        heard &= flags(seconds, "usable")
    rows = _rows(seconds, clips)
    votes = np.zeros((2, len(seconds)), dtype=bool)
    for one, crying in zip(rows, clips["crying"], strict=True):
        votes[int(crying), one] = True
    known = heard & (votes[0] != votes[1])
    before: list[bool] = []
    after: list[bool] = []
    for one in rows:
        others = known.copy()
        others[one] = False
        learned = annotated_level(odds[others], votes[1][others])
        for told, added in ((before, level), (after, learned)):
            told.append((heard[one] & (expit(odds[one] + added) >= threshold)).mean() >= 0.5)
    crying = clips["crying"].to_numpy()
    return pd.DataFrame([_count(crying, before), _count(crying, after)], index=["before", "corrected"])


def _rows(seconds, clips):
    """Return the rows of ``seconds`` that each clip covers, list of ndarray."""
    names, first, second = blocks(seconds)
    last = np.append(first[1:], len(seconds))
    place = dict(zip(names, zip(first, last, strict=False), strict=False))
    found = []
    for clip in clips.itertuples():
        begin, end = place[clip.recording]
        inside = (second[begin:end] + 1 > clip.onset) & (second[begin:end] < clip.offset)
        found.append(begin + np.flatnonzero(inside))
    return found


def _count(crying, told):
    told = np.array(told, dtype=bool)
    right, wrong, missed = (int(one.sum()) for one in (crying & told, ~crying & told, crying & ~told))
    f1 = 2 * right / (2 * right + wrong + missed) if right + wrong + missed else np.nan
    return {"found": right, "missed": missed, "false alarms": wrong, "F1": f1}
