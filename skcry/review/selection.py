"""Choose the clips that a person should listen to, and say with which probability each was drawn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .._clock import Clock, quote, read_clocks
from .._compat import HasMethods, Interval, StrOptions, validate_params
from .._typing import Labels, RandomState
from .._warnings import warn
from ..detector import CryDetector, Detection
from ..summary import HOUR
from .clips import COLUMNS, LEAST_DRAWN, as_seconds, candidates, score_bands, threshold_in
from .sounds import Sources, find_recordings


@validate_params(
    {
        "seconds": [pd.DataFrame, list, tuple],
        "n": [Interval(Integral, 1, None, closed="left")],
        "strategy": [StrOptions({"random", "uncertain", "diverse", "stratified"})],
        "duration": [Interval(Integral, 1, 60, closed="both")],
        "context": [Interval(Real, 0, 60, closed="both")],
        "random_state": ["random_state"],
        "label": [str, tuple, list, None],
        "detector": [HasMethods(["iter_detections"]), None],
    },
    prefer_skip_nested_validation=True,
)
def select_clips(
    seconds: pd.DataFrame | Sequence[Detection],
    n: int = 50,
    strategy: Literal["random", "uncertain", "diverse", "stratified"] = "random",
    *,
    duration: int = 5,
    context: float = 2.0,
    random_state: RandomState = None,
    label: Labels | None = None,
    recordings: Sources | None = None,
    detector: CryDetector | None = None,
    start: Any = None,
) -> pd.DataFrame:
    """Choose clips for a person to judge.

    Recordings are cut into clips of ``duration`` seconds, counted from their starts, so that no two clips share a
    moment. Clips with unusable seconds, and what is left at the end of a recording, are not offered.

    Parameters
    ----------
    seconds : DataFrame of shape (n_seconds, n_columns), or list of Detection
        Scores of all seconds from which to choose: what :meth:`skcry.CryDetector.timeline` or
        :func:`skcry.read_timelines` returns, or what :meth:`skcry.CryDetector.iter_detections` yields.
    n : int, default=50
        Number of clips. If there are fewer, all are taken, with a warning.
    strategy : {"random", "uncertain", "diverse", "stratified"}, default="random"
        "random": every clip with the same probability. "stratified": a random draw from each stratum of score and hour,
        see Notes; as many clips above the threshold as below. This halves the interval of precision, and widens that of
        cry minutes; no strategy improved a detector more than "random" did (``benchmarks/bench_review.py``).
        "uncertain": those whose log-odds are nearest to the threshold. "diverse": those nearest to the centres of ``n``
        clusters (k-means) of the embeddings of :class:`skcry.PretrainedEmbedding`; this needs ``recordings``. Estimates
        with an interval need "random" or "stratified".
    duration : int, default=5
        Length of a clip in seconds, at most 60. 5 to 10 s are long enough to tell, and short enough to be all crying
        or none.
    context : float, default=2.0
        Seconds of sound before and after a clip that the page plays as well.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw. Pass an int for the same clips every time.
    label : str, tuple of str or None, default=None
        For a detector of more than two classes: the class to listen for, or several together, whose scores are summed.
        :func:`write_review` asks for it by name.
    recordings : str, path-like, list, mapping or None, default=None
        The recordings of ``seconds``, for "diverse" alone: their folder, a list of files or arrays, or a mapping from
        name to recording.
    detector : CryDetector or None, default=None
        Fitted; its ``threshold_`` divides the scores. With None, or with ``label``, ``seconds`` tell it: the lowest
        score that counts as crying or, if none does, the highest score.
    start : str, dict, Series, list or None, default=None
        When each recording began, as in :func:`skcry.summarize`, so that strata are clock hours. With None they are
        hours since the start of each recording. Used by "stratified" alone.

    Returns
    -------
    DataFrame of shape (n_clips, 8)
        Sorted by recording, in the order of ``seconds``, and onset. ``recording``: name or number, as in ``seconds``;
        ``onset`` and ``offset`` in seconds; ``score``: mean score; ``stratum``: number of the stratum, 0 without
        strata; ``probability``: probability with which the clip was drawn, exact for "random" and "stratified", NaN
        otherwise; ``stratum_size`` and ``stratum_drawn``: numbers of clips in the stratum, and of those drawn from it,
        whose ratio is the probability. ``attrs`` holds ``strategy``, ``n``, ``duration``, ``context``, ``threshold``,
        ``n_candidates``, the number of clips from which these were chosen, and ``label``, if it was given.

    Raises
    ------
    ValueError
        If ``seconds`` has no score from 0 to 1 in each usable second, holds several classes and no ``label`` chooses,
        no recording holds a whole clip of usable seconds, or "diverse" lacks a recording.

    Warns
    -----
    UserWarning
        If there are fewer than ``n`` clips.

    See Also
    --------
    write_review : Writes the clips to a page for a browser.

    Notes
    -----
    Strata are bands of score, each divided by hours. The threshold divides the scores into two sides, and each side is
    divided in two where half of its uncertainty lies: the sum of ``sqrt(p * (1 - p))`` over its clips, where ``p`` is
    the score, but at least 0.01 and at most 0.99. All bands get the same number of clips, as is best for strata of the
    same uncertainty (Neyman allocation; Cochran, 1977). Within a band, neighbouring hours are joined to at most as many
    parts as leave two clips for each, and these get clips by their sizes. For fewer than eight clips there is one band
    on each side, and for fewer than four there are no strata.

    References
    ----------
    Cochran, W. G. (1977). Sampling Techniques (3rd ed.). Wiley.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skcry.review import select_clips
    >>> score = np.repeat([0.1, 0.9], [90, 30])
    >>> seconds = pd.DataFrame({"score": score, "cry": score >= 0.5, "usable": True})
    >>> seconds = pd.concat({"monday.wav": seconds}, names=["recording", "second"])
    >>> clips = select_clips(seconds, n=4, strategy="stratified", random_state=0)
    >>> clips[["recording", "onset", "offset", "score", "probability"]]
        recording  onset  offset  score  probability
    0  monday.wav      5      10    0.1     0.111111
    1  monday.wav     30      35    0.1     0.111111
    2  monday.wav    100     105    0.9     0.333333
    3  monday.wav    110     115    0.9     0.333333
    """
    table, threshold = as_seconds(seconds, label)
    if detector is not None and label is None:
        threshold = detector.threshold_
    clips = candidates(table, duration)
    if threshold is None:
        threshold = threshold_in(table)
    if n > len(clips):
        warn(f"n={n} clips were asked for, but there are {len(clips)} of {duration} s. All of them are taken.")
        n = len(clips)
    rng = check_random_state(random_state)
    stratum = np.zeros(len(clips), dtype=int)
    if strategy == "random":
        chosen = rng.permutation(len(clips))[:n]
    elif strategy == "uncertain":
        far = np.abs(_log_odds(clips["score"]) - _log_odds(threshold))
        chosen = np.lexsort([rng.permutation(len(clips)), far])[:n]  # ties by chance
    elif strategy == "diverse":
        chosen = _central(_embed(clips, recordings, duration), n, rng)
    else:
        hour = _hours(clips, start)
        chosen, stratum = _draw_from_strata(clips["score"].to_numpy(), hour, threshold, n, rng)
    clips["stratum"] = stratum
    drawn = clips.iloc[np.sort(chosen)]
    clips = drawn.assign(
        stratum_size=np.bincount(stratum)[drawn["stratum"]],
        stratum_drawn=np.bincount(drawn["stratum"])[drawn["stratum"]],
    )
    by_chance = strategy in ("random", "stratified")
    clips["probability"] = clips["stratum_drawn"] / clips["stratum_size"] if by_chance else np.nan
    clips = clips[COLUMNS].reset_index(drop=True)
    clips.attrs = {
        "strategy": strategy,
        "n": int(n),
        "duration": int(duration),
        "context": float(context),
        "threshold": float(threshold),
        "n_candidates": len(stratum),
    }
    if label is not None:
        clips.attrs["label"] = label if isinstance(label, str) else list(label)
    return clips


def _log_odds(score):
    return logit(np.clip(np.asarray(score, dtype=float), 1e-6, 1 - 1e-6))  # files have six digits


def _hours(clips, start):
    """Return the hour of each clip (n_clips,): of the day, or of its recording if no start is known."""
    middle = (clips["onset"] + clips["offset"]).to_numpy() / 2
    if start is None:
        return (middle // HOUR).astype(int)
    names = clips["recording"].unique().tolist()
    clocks, zone = read_clocks(start, names)
    of_day = np.zeros(len(clips), dtype=int)
    for name, clock in zip(names, clocks, strict=True):
        rows = (clips["recording"] == name).to_numpy()
        of_day[rows] = _hours_of_day(clock, middle[rows], zone)
    return of_day


def _hours_of_day(clock: Clock, second, zone):
    times = pd.DatetimeIndex(clock.times(second))
    return (times if zone is None else times.tz_localize("UTC").tz_convert(zone)).hour.to_numpy()


def _draw_from_strata(score, hour, threshold, n, rng):
    """Draw ``n`` clips from strata of score and hour; return their rows, and the stratum of all clips (n_clips,)."""
    band = score_bands(score, threshold, n)
    sizes = np.bincount(band)
    n_of_band = _allocate(n, np.ones(len(sizes)), sizes)
    stratum = np.zeros(len(score), dtype=int)
    chosen, n_strata = [], 0
    for number, n_band in enumerate(n_of_band):
        rows = np.flatnonzero(band == number)
        part = _parts(hour[rows], max(1, n_band // LEAST_DRAWN))
        part_sizes = np.bincount(part)
        for place, n_part in enumerate(_allocate(n_band, part_sizes, part_sizes)):
            members = rows[part == place]
            stratum[members] = n_strata
            n_strata += 1
            chosen.append(rng.permutation(members)[:n_part])
    return np.concatenate(chosen), stratum


def _parts(hour, n_parts):
    """Join neighbouring hours to at most ``n_parts`` parts of similar size; return the part of each clip, from 0."""
    _, place, counts = np.unique(hour, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    part = (middle / len(hour) * n_parts).astype(int)
    return np.unique(part, return_inverse=True)[1][place]


def _allocate(n, weights, sizes):
    """Divide ``n`` clips among strata by their weights: array of int, at most ``sizes``, and two each if possible.

    After the first two, each clip goes to the stratum that lacks most (Sainte-Lague).
    """
    shares = np.zeros(len(sizes), dtype=int)
    for _ in range(int(n)):
        claim = np.where(shares < LEAST_DRAWN, np.inf, weights / (2 * shares + 1))
        claim = np.where(shares < sizes, claim, -1)
        lowest = np.where(np.isinf(claim), -shares, -np.inf)  # one each, before any has two
        shares[np.argmax(lowest if np.isinf(claim).any() else claim)] += 1
    return shares


def _embed(clips, recordings, duration):
    """Return the embeddings of the clips (n_clips, n_embedding)."""
    from .. import PretrainedEmbedding, Windower  # here, since torch takes long to import

    if recordings is None:
        raise ValueError('strategy="diverse" listens to the sound, but recordings=None. Pass their folder, or a list.')
    found = find_recordings(recordings, clips["recording"].unique().tolist(), "seconds")
    parts = []
    for name, item in found.items():
        windows = Windower(window_duration=duration, hop_duration=duration).fit_transform([item])
        onset = clips["onset"][clips["recording"] == name].to_numpy()
        if onset[-1] // duration >= len(windows):
            raise ValueError(
                f"recording {quote(name)} is shorter than its seconds: it has no clip from {onset[-1]} s on. Pass the "
                "recordings in which crying was detected."
            )
        parts.append(np.asarray(PretrainedEmbedding().fit_transform(windows[onset // duration])))
    return np.concatenate(parts)


def _central(embeddings, n, rng):
    """Return the rows nearest to the centres of ``n`` clusters; rows drawn by chance, if there are fewer."""
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    X = StandardScaler().fit_transform(embeddings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of equal clips
        clusters = KMeans(n, random_state=rng).fit(X)
    distance = np.linalg.norm(X - clusters.cluster_centers_[clusters.labels_], axis=1)
    order = np.lexsort([distance, clusters.labels_])
    nearest = order[np.diff(clusters.labels_[order], prepend=-1) > 0]
    rest = rng.permutation(np.setdiff1d(np.arange(len(X)), nearest))
    return np.append(nearest, rest[: n - len(nearest)])
