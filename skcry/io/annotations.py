"""Annotation files in and out: one function each way, one table of formats."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .._typing import Annotations, PathLike
from ..events import as_annotations
from .csv_tables import (
    is_childproject,
    is_seconds,
    lines_of,
    read_childproject,
    read_csv,
    read_seconds,
    write_childproject,
    write_csv,
    write_seconds,
)
from .lena import read_its
from .text_files import atomic_path, check_file
from .text_tables import (
    is_audacity,
    is_raven,
    read_audacity,
    read_raven,
    read_rttm,
    write_audacity,
    write_raven,
    write_rttm,
)
from .tiers import read_elan, read_textgrid, write_elan, write_textgrid


@dataclass(frozen=True)
class Format:
    """What an annotation format is called, how it is told from others, and who reads and writes it.

    Parameters
    ----------
    suffixes : tuple of str
        Extensions of its files.
    read : callable
        Takes a path and ``read_options``; returns what ``as_annotations`` takes.
    write : callable or None
        Takes a table, a path and ``write_options``. None means that the format is only read.
    read_options, write_options : tuple of str, default=()
        For which of tier, recording and (in writing) duration it has use.
    recognise : callable or None, default=None
        Says, from the lines of a file, whether it is of this format; for extensions that formats share. None is for
        files that no other format of that extension recognises.
    decimals : int, default=6
        Digits after the point that its times keep, in seconds.
    """

    suffixes: tuple
    read: Callable
    write: Callable | None
    read_options: tuple = ()
    write_options: tuple = ()
    recognise: Callable | None = None
    decimals: int = 6


# Of the formats that share an extension, the first is written unless another is asked for.
FORMATS = {
    "audacity": Format((".txt",), read_audacity, write_audacity, recognise=is_audacity),
    "csv": Format((".csv", ".txt"), read_csv, write_csv),
    "seconds": Format((".csv", ".txt"), read_seconds, write_seconds, ("recording",), ("duration",), is_seconds),
    "childproject": Format(
        (".csv",), read_childproject, write_childproject, ("recording",), ("recording",), is_childproject, 3
    ),
    "raven": Format((".txt",), read_raven, write_raven, ("tier",), ("tier",), is_raven),
    "textgrid": Format((".TextGrid",), read_textgrid, write_textgrid, ("tier",), ("tier", "duration")),
    "elan": Format((".eaf",), read_elan, write_elan, ("tier",), ("tier",), decimals=3),
    "rttm": Format((".rttm",), read_rttm, write_rttm, ("recording",), ("recording",)),
    "lena": Format((".its",), read_its, None),
}
SUFFIXES = tuple(dict.fromkeys(suffix for known in FORMATS.values() for suffix in known.suffixes))


def _formats_of(path, format):
    """Names of the formats that a path may be of, by its extension or as asked for."""
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
    """Tell formats that share an extension apart by what the file holds."""
    if len(names) > 1:
        lines = lines_of(path)
        fallback = [name for name in names if FORMATS[name].recognise is None]
        names = [name for name in names if (fits := FORMATS[name].recognise) and fits(lines)] + fallback
    return names[0]


def read_annotations(
    path: PathLike, *, format: str | None = None, tier: str | None = None, recording: str | None = None
) -> pd.DataFrame:
    r"""Read the annotations of one recording.

    The extension says what a file is, in upper or lower case; where formats share one, so do its first line and its
    columns.

    ============== ========= ==========================================================================================
    format         extension what is read
    ============== ========= ==========================================================================================
    "csv"          .csv .txt ``start,end,label`` in seconds. A first line may name the columns (``start`` or ``onset``,
                             ``end`` or ``offset``, ``label``), in any order, and others are ignored. With times alone,
                             every line means "cry".
    "seconds"      .csv .txt A value per second: 0 for nothing, 1 for "cry", or a label. Either a single column, where
                             line i is second i (with labels alone, below a name such as "label"); or columns, named in
                             the first line, of
                             which one is called "second" (seconds, sec, time), and, if there are more than two,
                             another "prediction" (pred, label, cry, value, class, annotation) and one perhaps
                             "recording". Without such names, two columns are start and end; ``format="seconds"`` says
                             otherwise. A run of one value is one annotation.
    "childproject" .csv      ChildProject's annotations, in milliseconds: ``segment_onset, segment_offset``. Crying is
                             ``vcm_type`` Y, or what ``cries`` lists within a segment. Other rows are called by their
                             ``label``, their ``vcm_type`` (laughing, canonical, non-canonical, junk), or their
                             ``speaker_type``. ``recording`` is a ``recording_filename``, or a ``raw_filename``.
    "audacity"     .txt      Audacity's labels: start, end, label, separated by tabs. Frequencies are ignored.
    "raven"        .txt      Raven's selection table. ``tier`` is the column of labels, by default Annotation or Label.
                             A selection that stands in several views is read once.
    "textgrid"     .TextGrid Praat's intervals on one ``tier``, in long or short text format. An interval without a
                             label is no annotation, one with the label "-" is.
    "elan"         .eaf      ELAN's annotations on one ``tier``.
    "rttm"         .rttm     SPEAKER lines of one ``recording``; the speaker's name is the label.
    "lena"         .its      Cries of the key child (``startCry1``, ...) as LENA found them; when it was recorded says
                             :func:`read_its_clock`.
    ============== ========= ==========================================================================================

    Parameters
    ----------
    path : str or path-like
        File to read: text in UTF-8 (or UTF-16 with a byte order mark), with decimal points.
    format : str or None, default=None
        Name of the format, from the table above. None goes by the extension.
    tier : str or None, default=None
        Tier to read. None means the only one. Formats without tiers ignore it.
    recording : str or None, default=None
        Recording to read, where a file holds several. None means the only one. Formats for one recording ignore it.

    Returns
    -------
    DataFrame of shape (n_annotations, 3)
        Columns ``onset, offset`` (float, seconds) and ``label`` (str), sorted by onset; overlaps stay. No rows
        mean that nothing was heard, as an empty text file says.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file.
    ValueError
        If the format is unknown, lines are malformed (the message quotes them by number), the tier or the recording is
        to be chosen, or times are wrong as described in :func:`skcry.events.as_annotations`.

    See Also
    --------
    write_annotations : The way back.

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
    given = {"tier": tier, "recording": recording}
    rows = known.read(path, **{name: given[name] for name in known.read_options})
    return as_annotations(rows, name=path.name)


def write_annotations(
    annotations: Annotations,
    path: PathLike,
    *,
    format: str | None = None,
    duration: float | None = None,
    tier: str | None = None,
    recording: str | None = None,
) -> None:
    r"""Write the annotations of one recording.

    The extension says what is written: ``.csv`` start,end,label; ``.txt`` Audacity's labels; ``.TextGrid``, ``.eaf``
    and ``.rttm`` what they are called after. Others by name: see the table in :func:`read_annotations`, of which all
    but "lena" can be written. Text is UTF-8. A file is written whole or not at all.

    Parameters
    ----------
    annotations : DataFrame or sequence of tuples
        See :func:`skcry.events.as_annotations`. Blanks around labels are dropped.
    path : str or path-like
        File to write; one that is there is replaced.
    format : str or None, default=None
        Name of the format. None goes by the extension.
    duration : float or None, default=None
        Length of the recording in seconds. Needed for a value per second ("seconds") and for a TextGrid without
        annotations. None means, for a TextGrid, that it ends with the last annotation.
    tier : str or None, default=None
        Tier to write, for TextGrid and ELAN ("annotations" when None), or column of labels, for Raven ("Annotation").
        Other formats ignore it.
    recording : str or None, default=None
        What RTTM and ChildProject call the recording. None means the file's name without its extension, with "_" for
        blanks.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError, ValueError
        If the annotations are wrong (see :func:`skcry.events.as_annotations`), the format is unknown or only read, or
        it cannot hold them: a label with line breaks (for RTTM, with blanks), overlaps on a tier, an annotation that is
        shorter than the times which the format keeps (1 ms for ELAN and ChildProject, else 1 microsecond).

    See Also
    --------
    read_annotations : The way back.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skcry.io import write_annotations
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "monday.txt")
    ...     write_annotations([(2.0, 4.5), (7.0, 9.0, "fuss")], path)
    ...     path.read_text().splitlines()
    ['2.000000\t4.500000\tcry', '7.000000\t9.000000\tfuss']
    """
    path = Path(path)
    names = _formats_of(path, format)
    known = FORMATS[names[0]]
    if known.write is None:
        others = ", ".join(name for name, other in FORMATS.items() if other.write)
        raise ValueError(f"{path.name}: the format {names[0]!r} is only read. Write one of {others}.")
    table = as_annotations(annotations, duration=duration)
    table["label"] = table["label"].str.strip()
    faulty = table[~table["label"].map(lambda label: bool(label) and label.isprintable())]
    if len(faulty):
        row = faulty.iloc[0]
        raise ValueError(
            f"annotations: the label {row.label!r} from {row.onset:g} s to {row.offset:g} s is empty or holds tabs, "
            "line breaks or other characters that cannot be seen. Replace it."
        )
    rounded = table.round({"onset": known.decimals, "offset": known.decimals})
    lost = table[rounded["onset"] >= rounded["offset"]]
    if len(lost):
        row = lost.iloc[0]
        raise ValueError(
            f"annotations: '{row.label}' from {row.onset:.9g} s to {row.offset:.9g} s is too short for the format "
            f"{names[0]!r}, whose times have {known.decimals} decimals. Drop it, or choose another format."
        )
    if recording is None:
        recording = re.sub(r"\s", "_", path.stem)
    given = {"tier": tier, "recording": recording, "duration": duration}
    with atomic_path(path) as temporary:
        known.write(rounded, temporary, **{name: given[name] for name in known.write_options})
