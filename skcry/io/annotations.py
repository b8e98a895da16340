"""Annotation files in."""

from pathlib import Path

import pandas as pd

from ..events import COLUMN_NAMES, as_annotations

N_SHOWN = 5  # faulty lines that one message quotes; a file in a wrong format has nothing but those
MAX_FIELDS = 32  # pandas needs to know how many fields the longest line can have


def _is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return True


def _quote(fields):
    """Put a line together as it stands in the file, without empty fields at its end."""
    return repr(",".join(fields).rstrip(","))


def _read_fields(path):
    """Read the fields of a CSV file as text, one row per line that is not blank, indexed by line number from 1."""
    try:
        fields = pd.read_csv(
            path,
            names=range(MAX_FIELDS),
            dtype=str,
            index_col=False,
            keep_default_na=False,
            skip_blank_lines=False,
            encoding="utf-8-sig",
        )
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file. Check the path.") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"{path} is a folder, not a CSV file. Name a file in it.") from None
    except pd.errors.EmptyDataError:
        fields = pd.DataFrame(columns=range(MAX_FIELDS), dtype=str)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} cannot be read as CSV ({error}). Save it as CSV in UTF-8.") from None
    fields = fields.fillna("").apply(lambda column: column.str.strip())
    fields.index += 1
    return fields[fields.ne("").any(axis=1)]


def read_annotations(path):
    r"""Read the annotations of one recording from a CSV file.

    Each line says when something was heard: ``start,end,label``, times in seconds. A first line that names the columns
    (``start`` or ``onset``, ``end`` or ``offset``, and ``label``) may stand above; columns can then come in any order,
    and others are ignored. With times alone, every line means "cry".

    Parameters
    ----------
    path : str or path-like
        CSV file: fields separated by commas, decimal points, UTF-8.

    Returns
    -------
    DataFrame of shape (n_annotations, 3)
        Columns ``onset, offset`` (float, seconds) and ``label`` (str), sorted by onset. An empty file gives an empty
        table: nothing was heard.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If lines are malformed (the message quotes them by number), or times are wrong as described in
        :func:`skcry.events.as_annotations`.

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
    fields = _read_fields(path)
    names = ["onset", "offset", "label"]
    has_header = len(fields) > 0 and not _is_number(fields.iloc[0, 0])
    if has_header:
        names = [COLUMN_NAMES.get(name, name) for name in fields.iloc[0].str.lower()]
        if not {"onset", "offset"} <= set(names):
            raise ValueError(
                f"{path.name}, line {fields.index[0]}: {_quote(fields.iloc[0])} neither starts with a time in seconds "
                "nor names the columns start, end (or onset, offset) and label. Correct it; fields are separated by "
                "commas."
            )
        fields = fields.iloc[1:]
    table = fields.iloc[:, : len(names)].set_axis(names, axis=1)
    table = table.loc[:, ~table.columns.duplicated() & (table.columns != "")]
    faulty = ~table[["onset", "offset"]].map(_is_number).all(axis=1)
    if not has_header:
        faulty |= fields.iloc[:, len(names) :].ne("").any(axis=1)
    if "label" in table and (has_header or table["label"].ne("").any()):
        faulty |= table["label"].eq("")
    elif "label" in table:
        table = table.drop(columns="label")
    if faulty.any():
        shown = "; ".join(f"line {line}: {_quote(fields.loc[line])}" for line in fields.index[faulty][:N_SHOWN])
        more = f"; and {faulty.sum() - N_SHOWN} more" if faulty.sum() > N_SHOWN else ""
        raise ValueError(
            f"{path.name}, {shown}{more}. A line holds start and end, as numbers in seconds, and a label. Correct it; "
            "fields are separated by commas."
        )
    return as_annotations(table, name=path.name)
