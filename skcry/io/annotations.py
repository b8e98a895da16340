"""Read and write annotation files: one function each, and a table of the formats."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .._typing import Annotations, PathLike
from ..events import as_annotations, as_pandas, check_annotations
from . import boris, chat, csv_tables, lena, text_tables, tiers
from .text_files import atomic_path, check_file, read_lines


@dataclass(frozen=True)
class Format:
    """An annotation format: how it is recognised, and the functions that read and write it."""

    suffixes: tuple  # extensions of its files
    read: Callable  # (path, *, tier, recording) -> rows for `as_annotations`
    write: Callable | None  # (table, path, *, tier, recording, duration); None if the format is only read
    recognise: Callable | None = None  # lines of a file -> bool; None if it is used when no other format matches
    decimals: int = 6  # of its times, in seconds
    several: bool = False  # whether it has several tiers: ``table`` is then a dict from tier to table


# Of the formats that share an extension, the first is written by default.
FORMATS = {
    "audacity": Format((".txt",), text_tables.read_audacity, text_tables.write_audacity, text_tables.is_audacity),
    "csv": Format((".csv", ".txt"), csv_tables.read_csv, csv_tables.write_csv),
    "tsv": Format((".tsv",), csv_tables.read_csv, csv_tables.write_tsv),
    "seconds": Format(
        (".csv", ".txt", ".tsv"), csv_tables.read_seconds, csv_tables.write_seconds, csv_tables.is_seconds
    ),
    "childproject": Format(
        (".csv", ".tsv"),
        csv_tables.read_childproject,
        csv_tables.write_childproject,
        csv_tables.is_childproject,
        decimals=3,
    ),
    "boris": Format((".csv", ".tsv"), boris.read_boris, None, boris.is_boris),
    "raven": Format((".txt",), text_tables.read_raven, text_tables.write_raven, text_tables.is_raven),
    "textgrid": Format((".TextGrid",), tiers.read_textgrid, tiers.write_textgrid, several=True),
    "elan": Format((".eaf",), tiers.read_elan, tiers.write_elan, decimals=3, several=True),
    "rttm": Format((".rttm",), text_tables.read_rttm, text_tables.write_rttm),
    "chat": Format((".cha",), chat.read_chat, None),
    "lena": Format((".its",), lena.read_its, None),
}
SUFFIXES = tuple(dict.fromkeys(suffix for known in FORMATS.values() for suffix in known.suffixes))


def _formats_of(path, format):
    """List the names of the formats with the extension of ``path``, or the one asked for."""
    if format is None:
        names = [name for name, known in FORMATS.items() if path.suffix.lower() in [s.lower() for s in known.suffixes]]
    else:
        names = [format] if format in FORMATS else []
    if not names:
        listed = "; ".join(f"{name} ({', '.join(known.suffixes)})" for name, known in FORMATS.items())
        asked = f"the extension {path.suffix!r}" if format is None else f"format={format!r}"
        raise ValueError(
            f"{path.name}: {asked} is of no known annotation format. Rename the file or pass format=. Known: {listed}."
        )
    return names


def _recognise(path, names):
    """Choose among formats with the same extension by the content of the file."""
    if len(names) > 1:
        lines = list(read_lines(path, "CSV" if path.suffix.lower() == ".csv" else "text").values())
        fallback = [name for name in names if FORMATS[name].recognise is None]
        names = [name for name in names if (fits := FORMATS[name].recognise) and fits(lines)] + fallback
    return names[0]


def read_annotations(
    path: PathLike, *, format: str | None = None, tier: str | None = None, recording: str | None = None
) -> pd.DataFrame:
    r"""Read the annotations of one recording.

    The format is found from the extension, in upper or lower case, and for formats that share an extension from the
    first line and the columns.

    ============== ========= ==========================================================================================
    format         extension content
    ============== ========= ==========================================================================================
    "csv"          .csv .txt A table: ``start,end,label``, separated by commas, tabs or semicolons (then also with
                             decimal commas). A first line may name the columns, in any order: ``start``, ``onset`` or
                             ``begin``, ``end``, ``offset``, ``stop`` or ``duration``, with ``time`` or a unit, as in
                             ``start_time``, ``onset_s``, "Start (s)", ``end_ms``; ``label`` or ``event_label``,
                             else ``annotation``, ``class``, ``text``, ``behavior`` or "Common name", or the one
                             that ``tier`` names. Times are in seconds or hh:mm:ss. Other columns are ignored.
                             Without labels each line means "cry". A column ``recording`` (file, filename, path,
                             segment_id, ...), or else one with names of sound files only, holds the ``recording``, a
                             column "tier" (or participant, subject) the ``tier``. Lines that start with # are comments.
                             So are read: ELAN's tab-delimited export, with or without names of columns; tables of DCASE
                             and AudioSet; those of BirdNET; labels of OpenSoundscape (a column of 0 and 1 per class);
                             aggregated events of BORIS.
    "tsv"          .tsv      The same; written with tabs.
    "seconds"      .csv .txt One value per second: 0 for nothing, 1 for "cry", or a label. Either a single column, in
                   .tsv      which line i is second i (if it has no 0 and 1, the first line is a name such as "label").
                             Or named columns: one "second" (seconds, sec, time); if there are more than two, one
                             "prediction" (pred, label, cry, value, class, annotation); and optionally "recording". Two
                             columns without names are start and end, unless ``format="seconds"``. A run of equal
                             values is one annotation.
    "childproject" .csv      ChildProject's annotations, in milliseconds: ``segment_onset, segment_offset``. Crying is
                   .tsv      ``vcm_type`` Y, or the times in ``cries`` within a segment. Other rows get their
                             ``label``, ``vcm_type`` (laughing, canonical, non-canonical, junk) or ``speaker_type`` as
                             label. ``recording`` is a ``recording_filename`` or ``raw_filename``. Time outside of
                             ``range_onset`` to ``range_offset`` is "unknown". ``tier`` is the ``set``, of several.
    "boris"        .csv      Events of BORIS, a row per START and per STOP; ``tier`` is the subject, ``recording`` the
                   .tsv      observation.
    "audacity"     .txt      Audacity's labels: start, end, label, separated by tabs. Frequencies, and
                             numbers after the label, are ignored.
    "raven"        .txt      Raven's selection table, also as BirdNET and OpenSoundscape write it. ``tier`` is the
                             column of labels, by default Annotation, Label, Common Name, or the only one with text. A
                             selection with several views is read once. ``recording`` is a Begin File or Begin Path;
                             times are File Offset (s), if there, else Begin Time (s).
    "textgrid"     .TextGrid Praat's intervals on one ``tier``, in long, short or chronological text format. Intervals
                             without label are ignored, those with the label "-" are not. Times must start at 0.
    "elan"         .eaf      ELAN's annotations on one ``tier``. If all of them are without text, the name of the tier
                             is the label. Times count from the start of the recording, from which ELAN may be shifted
                             (TIME_ORIGIN). ``recording`` is a linked file, needed if these differ in it.
    "rttm"         .rttm     SPEAKER lines of one ``recording``; the speaker's name is the label. NOSCORE is "unknown".
    "chat"         .cha      Utterances in CHAT with times; ``tier`` is the speaker, such as CHI. Labels are the words
                             or, without words, the sound: "cries" for ``&=cries`` and ``0 [=! cries]``.
    "lena"         .its      Cries of the key child (``startCry1``, ...) as LENA detected them. For clock times see
                             :func:`read_its_clock`.
    ============== ========= ==========================================================================================

    Parameters
    ----------
    path : str or path-like
        File to read: text in UTF-8 (or UTF-16 with a byte order mark), with decimal points.
    format : str or None, default=None
        Name of the format, from the table above. None means the one of the extension.
    tier : str or None, default=None
        Tier to read. None means the only one. Formats without tiers ignore it.
    recording : str or None, default=None
        Recording to read from a file with several, with or without folder and extension. None means the only one.
        Formats for one recording ignore it.

    Returns
    -------
    DataFrame of shape (n_annotations, 3)
        Columns ``onset, offset`` (float, seconds) and ``label`` (str), sorted by onset. Annotations may overlap. An
        empty text file gives no rows: nothing was heard.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If the file does not exist.
    ValueError
        If the format is unknown, lines are malformed (the message quotes them by number), some annotations have no
        label, there are several tiers or recordings to choose from, or :func:`skcry.events.as_annotations` refuses the
        times.

    See Also
    --------
    write_annotations : Write annotations.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skcry.io import read_annotations
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "monday.csv")
    ...     _ = path.write_text("start,end,label\n2.0,4.5,cry\n7.0,9.0,fuss\n")
    ...     read_annotations(path)
       onset  offset label
    0    2.0     4.5   cry
    1    7.0     9.0  fuss
    """
    path = Path(path)
    check_file(path)
    known = FORMATS[_recognise(path, _formats_of(path, format))]
    return as_annotations(known.read(path, tier=tier, recording=recording), name=path.name)


def _check_text(text, what, place=""):
    """Return a label or the name of a tier without blanks around it; refuse what no format can hold."""
    text = str(text).strip()
    if not text or not text.isprintable():
        raise ValueError(
            f"annotations: the {what} {text!r:.100}{place} is empty or holds tabs, line breaks or other characters "
            "that are not printable. Replace it."
        )
    return text


def _check_table(annotations, format, duration, name="annotations"):
    """Return annotations as a table to write in a format, with a column ``score`` if they have scores."""
    annotations, scores = as_pandas(annotations, name), None
    if isinstance(annotations, pd.DataFrame):
        columns = {str(column).lower(): column for column in annotations}
        if "score" in columns:
            try:
                scores = annotations[columns["score"]].astype(float).round(6).to_numpy()
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}: scores must be numbers ({error}). Correct or drop the column.") from None
        if "label" not in columns:
            # What a detector finds: its events have a recording and a score, but no label.
            single = "recording" in columns and annotations[columns["recording"]].nunique(dropna=False) < 2
            dropped = [columns.get("score"), columns["recording"] if single else None]
            annotations = annotations.drop(columns=[column for column in dropped if column is not None])
    table = check_annotations(annotations, duration=duration, name=name)
    table["label"] = [
        _check_text(row.label, "label", f" from {row.onset:g} s to {row.offset:g} s") for row in table.itertuples()
    ]
    if (table["offset"] == np.inf).any() and format not in ("csv", "tsv"):
        raise ValueError(f"{name}: time is unknown to the end of the recording. Pass its duration=, in seconds.")
    decimals = FORMATS[format].decimals
    rounded = table.round({"onset": decimals, "offset": decimals})
    lost = table[rounded["onset"] >= rounded["offset"]]
    if len(lost):
        row = lost.iloc[0]
        raise ValueError(
            f"{name}: '{row.label}' from {row.onset:.9g} s to {row.offset:.9g} s is too short for the format "
            f"{format!r}, whose times have {decimals} decimals. Drop it, or choose another format."
        )
    if scores is not None:
        rounded["score"] = scores[rounded.index]
    return rounded.reset_index(drop=True)


def write_annotations(
    annotations: Annotations | Mapping[str, Annotations],
    path: PathLike,
    *,
    format: str | None = None,
    duration: float | None = None,
    tier: str | None = None,
    recording: str | None = None,
) -> None:
    r"""Write the annotations of one recording.

    The extension chooses the format: ``.csv`` or ``.tsv`` start,end,label; ``.txt`` Audacity's labels; ``.TextGrid``
    Praat; ``.eaf`` ELAN; ``.rttm`` RTTM. ``format`` chooses the others in the table of :func:`read_annotations`; all
    but "boris", "chat" and "lena" can be written. Text is UTF-8. A file is written completely or not at all.

    Parameters
    ----------
    annotations : DataFrame, sequence of tuples, or dict
        See :func:`skcry.events.as_annotations`; or the events of one recording, as :meth:`skcry.CryDetector.detect`
        returns them: without labels they are "cry". Blanks around labels are dropped. A dict holds the annotations of
        each tier, by its name, for TextGrid and ELAN. A column ``score`` is written as such in tables of
        start, end, label and of Raven, and as confidence in RTTM; the other formats have no place for it.
    path : str or path-like
        File to write; an existing one is replaced.
    format : str or None, default=None
        Name of the format. None means the one of the extension.
    duration : float or None, default=None
        Length of the recording in seconds. Needed for one value per second ("seconds") and for a TextGrid without
        annotations. With None, a TextGrid ends with the last annotation.
    tier : str or None, default=None
        Tier to write, for TextGrid and ELAN ("annotations" when None), or column of labels, for Raven ("Annotation").
        Other formats ignore it. A dict of annotations names the tiers itself.
    recording : str or None, default=None
        Name of the recording in RTTM and ChildProject's tables. None means the name of the file without its extension,
        with "_" for blanks.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError, ValueError
        If :func:`skcry.events.as_annotations` refuses the annotations, the format is unknown or only read, or it cannot
        hold them: a label with line breaks (for RTTM, with blanks), overlaps or several tiers, an annotation shorter
        than the resolution of its times (1 ms for ELAN and ChildProject, else 1 microsecond), unknown time to the end
        of a recording without ``duration``.

    See Also
    --------
    read_annotations : Read annotations.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skcry.io import read_annotations, write_annotations
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "monday.txt")
    ...     write_annotations([(2.0, 4.5), (7.0, 9.0, "fuss")], path)
    ...     path.read_text().splitlines()
    ['2.000000\t4.500000\tcry', '7.000000\t9.000000\tfuss']

    Two annotators and a detector, on three tiers:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "monday.TextGrid")
    ...     write_annotations({"Ada": [(2.0, 4.5)], "Ben": [(2.1, 4.4)], "detector": [(2, 5)]}, path, duration=60)
    ...     read_annotations(path, tier="detector")
       onset  offset label
    0    2.0     5.0   cry
    """
    path = Path(path)
    names = _formats_of(path, format)
    known = FORMATS[names[0]]
    if known.write is None:
        others = ", ".join(name for name, other in FORMATS.items() if other.write)
        raise ValueError(f"{path.name}: the format {names[0]!r} is only read. Write one of {others}.")
    if isinstance(annotations, Mapping):
        if not known.several or tier is not None or not annotations:
            raise ValueError(
                f"{path.name}: a dict of {len(annotations)} tiers cannot be written in the format {names[0]!r} with "
                f"tier={tier!r}. Write tiers as .eaf or .TextGrid, without tier=, or each to a file of its own."
            )
        tables = {
            _check_text(name, "name of a tier"): _check_table(rows, names[0], duration, f"annotations of {name!r}")
            for name, rows in annotations.items()
        }
        if len(tables) < len(annotations):
            raise ValueError(f"{path.name}: names of tiers differ only by blanks: {list(annotations)}. Rename them.")
    else:
        tables = {tier: _check_table(annotations, names[0], duration)}
    if recording is None:
        recording = re.sub(r"\s", "_", path.stem)
    table = tables if known.several else tables[tier]
    with atomic_path(path) as temporary:
        known.write(table, temporary, tier=tier, recording=recording, duration=duration)
