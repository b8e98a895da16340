"""Read what listeners judged, and make annotations of it."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from .._clock import quote
from .._compat import validate_params
from .._similar import fold
from .._typing import PathLike
from .._warnings import warn
from ..events import UNKNOWN, as_annotations, merge
from ..io.columns import content, find_separator
from ..io.text_files import is_number, list_names, read_lines, read_named_table, refuse_lines
from .sounds import Sources, find_recordings

JUDGEMENTS = ("cry", "not", "unsure")
LABELS = {"cry": "cry", "not": "other", "unsure": UNKNOWN}
# Of the files that the page writes.
COLUMNS = ["recording", "onset", "offset", "judgement", "reviewer", "score", "stratum", "probability", "at"]
COLUMNS += ["stratum_size", "stratum_drawn"]
NEEDED = COLUMNS[:4]
NUMBERS = ["onset", "offset", "score", "stratum", "probability", "stratum_size", "stratum_drawn"]
WHOLE = ["stratum", "stratum_size", "stratum_drawn"]
CLIP = ["recording", "onset", "offset"]
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)  # spreadsheets write 7,8E-06


@validate_params(
    {"paths": [str, os.PathLike, list, tuple]},
    prefer_skip_nested_validation=True,
)
def read_review(paths: PathLike | Sequence[PathLike], *, recordings: Sources | None = None) -> pd.DataFrame:
    r"""Read the judgements that the review page saved.

    The file may have been edited, or saved by a spreadsheet with semicolons or tabs, decimal commas, and columns in
    another order; columns of other names are left out.

    Parameters
    ----------
    paths : str, path-like, or list of these
        CSV files of one or several listeners.
    recordings : str, path-like, list, mapping or None, default=None
        The recordings that were judged: their folder, a list of files or arrays, or a mapping from name to recording.
        With it, judgements of other recordings are an error.

    Returns
    -------
    DataFrame of shape (n_judgements, 11)
        Sorted by recording and onset. ``recording``: name, or number (int) if all recordings in the files are numbers;
        ``onset`` and ``offset`` in seconds; ``judgement``: "cry", "not" or "unsure"; ``reviewer``: name, or an empty
        text; ``score``, ``stratum``, ``probability``, ``stratum_size`` and ``stratum_drawn`` as in
        :func:`select_clips`, NaN where they are not known; ``at``: when it was judged (UTC). Of several judgements of a
        clip by the same listener the latest counts. Judgements of several listeners are all kept.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If a column is missing (``recording``, ``onset``, ``offset`` and ``judgement`` are needed), a judgement is
        another word, a number is none, ``recordings`` lacks a recording, or a listener judged a clip differently in two
        rows whose times do not tell which is the later one.

    Warns
    -----
    UserWarning
        If rows without judgement are left out, rows were deleted, or times cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skcry.review import read_review
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "review.csv")
    ...     _ = path.write_text("recording;onset;offset;judgement\nday.wav;12,0;17,0;cry\n")
    ...     read_review(path)[["recording", "onset", "offset", "judgement"]]
      recording  onset  offset judgement
    0   day.wav   12.0    17.0       cry
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not paths:
        raise ValueError("paths is empty. Pass at least one file that the review page saved.")
    table = pd.concat([_read_one(Path(path)) for path in paths], ignore_index=True)
    empty = table["judgement"] == ""
    names = ", ".join(Path(path).name for path in paths)
    if empty.all():
        raise ValueError(f"{names}: none of {len(table)} clips is judged. Open the page, and judge some.")
    if empty.any():
        warn(f"{names}: {int(empty.sum())} of {len(table)} clips are not judged, and are left out.")
    table = table[~empty]
    table = _latest(table)
    texts = table["recording"]
    if len(texts) and texts.map(lambda text: text.isascii() and text.isdigit() and str(int(text)) == text).all():
        table["recording"] = texts.astype(int)
    if recordings is not None:
        find_recordings(recordings, table["recording"].unique().tolist(), "judgements")
    return table.drop(columns="line").sort_values([*CLIP, "reviewer"], kind="stable", ignore_index=True)


def _read_one(path):
    """Read a file: DataFrame with all columns, and ``line``, which names file and line in messages."""
    lines = list(read_lines(path, "CSV").values())

    def knows(fields):
        return {fold(field) for field in fields} >= {"recording", "judgement"}

    sep = find_separator(lines, knows)
    if lines and content(lines) != lines:
        raise ValueError(f"{path.name} starts with {lines[0]!r:.80}, not with the names of columns. Delete that line.")
    table = read_named_table(path, sep=sep)
    table = table.rename(columns={name: fold(name) for name in table if fold(name) in COLUMNS})
    missing = [name for name in NEEDED if name not in table]
    if missing or not table.columns.is_unique:
        raise ValueError(
            f"{path.name}: the columns are [{list_names(table.columns)}], but {', '.join(NEEDED)} are needed, each once"
            f"{f', and {missing[0]} is not there' if missing else ''}. Save the judgements from the page again, or "
            "correct the first line."
        )
    known = table.reindex(columns=COLUMNS, fill_value="")
    known["judgement"] = known["judgement"].str.lower()
    quotes = {line: repr(sep.join(row)) for line, row in zip(table.index, table.to_numpy(), strict=True)}

    def refuse(faulty, remedy):
        refuse_lines(path.name, {line: quotes[line] for line in known.index[faulty]}, remedy)

    refuse(~known["judgement"].isin([*JUDGEMENTS, ""]), f"A judgement is one of {', '.join(JUDGEMENTS)}. Correct it.")
    refuse(known["recording"] == "", "The recording is missing. Fill it in.")
    for name in NUMBERS:
        texts = known[name].map(lambda text: text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text)
        least = name in NEEDED
        refuse(
            ~texts.map(is_number) & (least | (texts != "")),
            f"{name} must be a number; spreadsheets make dates of some. Correct it, or save the judgements again.",
        )
        known[name] = [float(text or "nan") for text in texts]
    bounds = (known["onset"] >= 0) & (known["onset"] < known["offset"]) & np.isfinite(known["offset"])
    refuse(~bounds, "0 <= onset < offset must hold, in seconds. Correct it.")
    for name in ("score", "probability"):
        refuse((known[name] < 0) | (known[name] > 1), f"{name} must be from 0 to 1. Correct it.")
    for name in WHOLE:
        refuse((known[name] < 0) | (known[name] % 1 != 0) & known[name].notna(), f"{name} must count. Correct it.")
    at = pd.to_datetime(known["at"].mask(known["at"] == "", None), format="ISO8601", utc=True, errors="coerce")
    strange = at.isna() & (known["at"] != "")
    if strange.any():
        warn(
            f"{path.name}: {int(strange.sum())} times in 'at', such as {known['at'][strange].iloc[0]!r:.50}, are not "
            "written as by the page (2024-05-31T08:05:00Z), and are left out."
        )
    known["at"] = at.astype("datetime64[ns, UTC]")
    # The page writes all its clips, also those that are not judged.
    strata = known.drop_duplicates(CLIP).groupby("stratum")["stratum_drawn"].agg(["size", "max"])
    n_gone = int((strata["max"] - strata["size"]).clip(lower=0).sum())
    if n_gone:
        warn(
            f"{path.name}: {n_gone} clips that the page saved are not there. Estimates are wrong if these rows were "
            "deleted for what was judged in them. Save the judgements from the page again."
        )
    known["line"] = [f"{path.name}, line {line}" for line in known.index]
    return known


def _latest(table):
    """Keep one judgement of each clip by each listener: the latest; refuse two that differ if none is the latest."""
    keys = [*CLIP, "reviewer"]
    table = table.sort_values("at", kind="stable", na_position="first")
    for _, rows in table[table.duplicated(keys, keep=False)].groupby(keys, sort=False):
        last = rows[rows["at"].isna() | (rows["at"] == rows["at"].max())]
        if len(set(last["judgement"])) > 1 or (last["at"].isna().any() and len(set(rows["judgement"])) > 1):
            row = rows.iloc[0]
            places = "; ".join(f"{one.line}: {one.judgement}" for one in rows.itertuples())
            raise ValueError(
                f"{row['reviewer'] or 'a listener without name'!r:.50} judged {row['recording']!r:.100} from "
                f"{row['onset']:g} s to {row['offset']:g} s differently, and 'at' does not tell which is the later "
                f"({places}). Delete all rows but one."
            )
    return table.drop_duplicates(keys, keep="last")


def as_number(value):
    """Return a number as float, and anything else as NaN."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def check_review(review, more=()):
    """Refuse a table that is no output of :func:`read_review`; ``more`` are columns that are needed as well."""
    remedy = "Pass the output of read_review."
    missing = [name for name in [*NEEDED, *more] if name not in review]
    if missing:
        raise ValueError(f"review has columns {list(review.columns)!s:.100}, but no {missing[0]!r}. {remedy}")
    twice = review.columns[review.columns.duplicated()]
    if len(twice):
        raise ValueError(f"review has two columns {twice[0]!r}. {remedy}")

    def refuse(faulty, name, must):
        if faulty.any():
            raise ValueError(
                f"review: {name} {quote(review[name][faulty].iloc[0]):.50} {must} ({int(faulty.sum())} of "
                f"{len(review)} rows). Correct it, or drop the rows."
            )

    refuse(~review["judgement"].isin(JUDGEMENTS), "judgement", f"is not one of {', '.join(JUDGEMENTS)}")
    refuse(review["recording"].isna(), "recording", "is no name")
    for name in [one for one in NUMBERS if one in review]:
        refuse(review[name].map(as_number).isna() & review[name].notna(), name, "is no number")
    onset, offset = (review[name].astype(float) for name in ("onset", "offset"))
    refuse(~((onset >= 0) & (onset < np.inf)), "onset", "must be 0 or more, in seconds")
    refuse(~((offset > onset) & (offset < np.inf)), "offset", "must be above the onset, in seconds")


@validate_params(
    {"review": [pd.DataFrame], "durations": [Mapping, pd.Series, "array-like"]},
    prefer_skip_nested_validation=True,
)
def review_annotations(
    review: pd.DataFrame, durations: Mapping[str | int, float] | Sequence[float]
) -> dict[str | int, pd.DataFrame]:
    """Make annotations of judgements, with all that nobody judged as unknown.

    Parameters
    ----------
    review : DataFrame of shape (n_judgements, n_columns)
        Output of :func:`read_review`: columns ``recording``, ``onset``, ``offset`` (in seconds) and ``judgement``.
    durations : dict, Series or array-like of shape (n_recordings,)
        Length of each recording in seconds, by name or number. It may hold recordings of which nothing was judged.

    Returns
    -------
    dict
        In the order of ``durations``, from recording to its annotations, DataFrame with columns ``onset``, ``offset``
        and ``label``, for ``fit``, ``calibrate``, ``score`` and :mod:`skcry.metrics`. Labels are "cry", "other" (judged
        "not") and "unknown": judged "unsure", judged differently by two listeners, or not judged. They do not overlap,
        and neighbours with the same label are joined.

    Raises
    ------
    ValueError
        If a column is missing, a judgement is another word, a time is none, ``durations`` lacks a recording, or a clip
        begins after the end of its recording.

    See Also
    --------
    skcry.events.mark_unknown : Marks what lies outside of ranges that were annotated in full.

    Notes
    -----
    A clip that was judged as crying counts as crying throughout, although a listener says so from half of it on. Clips
    of 5 s are mostly all of it or none.

    If the page asked for another class, by ``label`` of :func:`select_clips`, "cry" means that class, and "other" all
    others: rename the labels before a detector of several classes learns from them.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcry.review import review_annotations
    >>> columns = ["recording", "onset", "offset", "judgement"]
    >>> review = pd.DataFrame([("day.wav", 10, 15, "cry"), ("day.wav", 40, 45, "not")], columns=columns)
    >>> review_annotations(review, {"day.wav": 60})["day.wav"]
       onset  offset    label
    0    0.0    10.0  unknown
    1   10.0    15.0      cry
    2   15.0    40.0  unknown
    3   40.0    45.0    other
    4   45.0    60.0  unknown
    """
    check_review(review)
    if not isinstance(durations, (Mapping, pd.Series)):
        durations = dict(enumerate(durations))
    if isinstance(durations, pd.Series) and not durations.index.is_unique:
        twice = durations.index[durations.index.duplicated()][0]
        raise ValueError(f"durations: recording {quote(twice)} is there twice. Keep one length for each recording.")
    lengths = {name: as_number(duration) for name, duration in durations.items()}
    foreign = [name for name in review["recording"].unique().tolist() if name not in lengths]
    if foreign:
        raise ValueError(
            f"review names {len(foreign)} recordings that durations lacks, such as {foreign[0]!r:.100}; it has "
            f"{list_names(lengths) or 'none'}. Add them, or drop these rows."
        )
    result = {}
    for name, duration in lengths.items():
        if not 0 < duration < np.inf:
            raise ValueError(
                f"durations: recording {name!r:.100} lasts {durations[name]!r:.50} s. Give its length in seconds."
            )
        ours = review[review["recording"] == name]
        late = ours[ours["onset"] >= duration]
        if len(late):
            raise ValueError(
                f"review: recording {name!r:.100} lasts {duration:g} s, but a clip begins at {late['onset'].iloc[0]:g} "
                "s. Check that the judgements belong to these recordings."
            )
        result[name] = _annotate(ours, duration)
    return result


def _annotate(review, duration):
    """Return the annotations of one recording: what all judgements of a moment agree on."""
    onset, offset = (np.minimum(review[name].to_numpy(dtype=float), duration) for name in ("onset", "offset"))
    label = review["judgement"].map(LABELS).to_numpy()
    edges = np.unique(np.concatenate([[0.0, duration], onset, offset]))
    pieces: dict = {}
    for begin, end in itertools.pairwise(edges.tolist()):
        agreed = set(label[(onset <= begin) & (offset >= end)])
        pieces.setdefault(agreed.pop() if len(agreed) == 1 else UNKNOWN, []).append((begin, end))
    rows = [(*piece, name) for name, found in pieces.items() for piece in merge(found).tolist()]
    return as_annotations(rows)
