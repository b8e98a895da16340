"""What files share: bounded reading of text, tables and XML, messages about lines, whole files out, folders."""

import codecs
import contextlib
import csv
import io
import itertools
import os
import re
import secrets
from pathlib import Path, PureWindowsPath
from xml.etree.ElementTree import TreeBuilder

import pandas as pd
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser, iterparse

from .._warnings import warn

N_SHOWN = 5  # faulty lines that one message quotes
QUOTE_LENGTH = 200  # characters of each
# Upper bounds, so that no file fills the memory. A day with one annotation per second takes about 5 MB.
MAX_BYTES = 2**26
MAX_LINES = 2**19
MAX_LINE_LENGTH = 2**16
HEAD_LENGTH = 4 * MAX_LINE_LENGTH  # characters in which the first two rows are looked for
MAX_CELLS = 2**24
MAX_COLUMNS = 2**10
# Bounds on XML that defusedxml does not check.
MAX_ELEMENTS = 2**20
MAX_DEPTH = 100
MAX_TAG_BYTES = 2**20
# Reference to an entity other than XML's own. In an attribute, expat passes over it if the type is external.
ENTITY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#\w+);)")
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def check_file(path):
    """Raise OSError if ``path`` is not a regular file."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file. Name a file in it.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file. Check the path.")
    if not path.is_file():
        raise OSError(f"{path} is a pipe or a device, which may never end. Copy its content to a file.")


def refuse_above(path, count, bound, what):
    """Raise ValueError if ``count`` is above ``bound``."""
    if count > bound:
        raise ValueError(
            f"{path.name} holds {what}: {count}, but at most {bound} are read. Check that it is the right file, or "
            "split it by recording."
        )


def shorten(text, length=QUOTE_LENGTH):
    """Cut a text to ``length`` characters, for messages."""
    return text if len(text) <= length else f"{text[:length]}... ({len(text)} characters)"


def list_names(names):
    """Join names for a message."""
    return shorten(", ".join(map(repr, list(names)[:50])))


def _read_bytes(path):
    check_file(path)
    refuse_above(path, path.stat().st_size, MAX_BYTES, "too many bytes for a text of one recording")
    return path.read_bytes()


def read_text(path, kind="text", errors="strict", max_lines=MAX_LINES):
    """Read a text file in UTF-8, or in UTF-16 with a byte order mark; ValueError if it is binary or too large.

    ``kind`` is the name of the format in messages; ``errors`` is that of :meth:`bytes.decode`.
    """
    content = _read_bytes(path)
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding, errors).lstrip("\ufeff")
        if "\0" in text:
            raise ValueError("it holds binary data")
    except ValueError as error:
        raise ValueError(f"{path.name} cannot be read as {kind} ({error}). Save it as {kind} in UTF-8.") from None
    # Counted before the text is split: a list of 60 million empty lines fills the memory.
    n_lines = text.count("\n") + text.count("\r") - text.count("\r\n") + 1
    refuse_above(path, n_lines, max_lines, "too many lines")
    for number, line in enumerate(_split(text), start=1):
        if len(line) > MAX_LINE_LENGTH:
            refuse_above(path, len(line), MAX_LINE_LENGTH, f"too many characters in line {number}")
    return text


def _split(text):
    return re.split("\r\n|\r|\n", text)


def read_lines(path, kind="text"):
    """Read the lines of a text file that are not blank: dict from line number (from 1) to line."""
    lines = enumerate(_split(read_text(path, kind)), start=1)
    return {number: line for number, line in lines if line.strip()}


def read_table(path, kind="CSV", *, sep=",", n_columns=None, errors="strict", max_lines=MAX_LINES, **options):
    """Read a text file as a DataFrame of str, or of the ``dtype`` in ``options`` (:func:`pandas.read_csv`).

    The first line names the columns. With ``n_columns=(least, most)`` it does not: columns are numbered from 0, as many
    as the longest line has.
    """
    text = read_text(path, kind, errors, max_lines)
    lines = _split(text)
    if n_columns is None:
        width = 1 + next((line for line in lines if line.strip()), "").count(sep)
        _refuse_longer_row(path, text, sep)
    else:
        width = max(n_columns[0], 1 + max(line.count(sep) for line in lines))
        refuse_above(path, width, n_columns[1], "too many columns")
        options |= {"names": range(width)}
    n_lines = len(lines)
    del lines
    refuse_above(path, width * n_lines, MAX_CELLS, f"too many cells ({n_lines} lines of {width} columns)")
    defaults = {"sep": sep, "dtype": str, "keep_default_na": False, "index_col": False, "encoding_errors": errors}
    try:
        return pd.read_csv(io.StringIO(text), **(defaults | options))
    except (pd.errors.EmptyDataError, pd.errors.ParserError, OverflowError) as error:
        raise ValueError(
            f"{path.name} cannot be read as {kind} ({shorten(str(error))}). Save it as {kind} in UTF-8."
        ) from None


def _refuse_longer_row(path, text, sep):
    """Raise ValueError if the first row below the names of columns has more fields: pandas drops the last ones then."""
    with contextlib.suppress(csv.Error):  # a field that is too long; pandas reads it
        rows = [row for row in itertools.islice(csv.reader(io.StringIO(text[:HEAD_LENGTH]), delimiter=sep), 2) if row]
        if len(rows) == 2 and any(rows[1][len(rows[0]) :]):
            raise ValueError(
                f"{path.name} has {len(rows[0])} columns, but its first row {len(rows[1])} fields. Correct the row."
            )


def names_of_columns(fields, name):
    """Return the fields of the first line without empty ones at its end; ValueError if two columns have one name."""
    names = list(fields.iloc[0])
    while names and not names[-1]:
        names.pop()
    twice = sorted({text for text in names if text and names.count(text) > 1})
    if twice:
        raise ValueError(f"{name} has more than one column {list_names(twice)}. Rename or drop all but one.")
    return names


def read_named_table(path, kind="CSV", **options):
    """Read a table whose first line names the columns; cells without blanks around them, indexed by line number.

    Lines with more fields than there are columns are refused: which field is too many is unknown.
    """
    # Blank lines are read, and dropped below: the index counts lines.
    fields = read_table(path, kind, n_columns=(1, MAX_COLUMNS), **(options | {"skip_blank_lines": False}))
    fields = fields.fillna("").apply(lambda column: column.str.strip())
    fields.index += 1
    fields = fields[fields.ne("").any(axis=1)]
    if fields.empty:
        raise ValueError(f"{path.name} cannot be read as {kind} (it is empty). Save it as {kind} in UTF-8.")
    refuse_swallowed_rows(path.name, fields, options.get("sep", ","))
    names = names_of_columns(fields, path.name)
    refuse_more_fields(path.name, fields, names)
    return fields.iloc[1:, : len(names)].set_axis(names, axis=1)


def refuse_more_fields(name, fields, names):
    """Raise ValueError that quotes the lines with more fields than ``names``, if any."""
    refuse_lines(
        name,
        fields.index[fields.iloc[:, len(names) :].ne("").any(axis=1)],
        f"There are {len(names)} columns ({shorten(list_names(names), 80)}), but more fields here. Correct it.",
        lambda line: repr(",".join(fields.loc[line]).rstrip(",")),
    )


def refuse_swallowed_rows(name, fields, sep):
    """Raise ValueError that quotes the fields that hold further rows, since a quote is closed too late, if any."""
    swallowed = {}
    for place, column in fields.items():
        for line, text in column[column.str.contains("\n", regex=False)].items():
            if any(part.count(sep) >= max(1, place) for part in text.splitlines()[1:]):
                swallowed[line] = repr(text)
    refuse_lines(name, swallowed, "A quote is opened here that is closed in another row. Correct it.")


class _Parser(XMLParser):
    """Parser that accepts the name of a document type, such as ``its.dtd``, but does not load it, nor declarations."""

    has_type = False

    def defused_start_doctype_decl(self, name, sysid, pubid, has_internal_subset):
        self.has_type = True
        if has_internal_subset:
            super().defused_start_doctype_decl(name, sysid, pubid, has_internal_subset)


def read_xml(path, root, kind):
    """Read an XML file that declares no entities and return its root element, whose tag must be ``root``."""
    content = _read_bytes(path)
    try:
        if max(map(len, content.split(b">"))) > MAX_TAG_BYTES:
            raise ValueError(f"a single tag or text of it is longer than {MAX_TAG_BYTES} bytes")
        parser = _Parser(target=TreeBuilder(), forbid_dtd=True)
        tree, n_elements, depth = iterparse(io.BytesIO(content), ("start", "end"), parser), 0, 0
        for event, _ in tree:
            n_elements += event == "start"
            depth += 1 if event == "start" else -1
            if n_elements > MAX_ELEMENTS:
                raise ValueError(f"it holds more than {MAX_ELEMENTS} elements")
            if depth > MAX_DEPTH:
                raise ValueError(f"its elements are nested more than {MAX_DEPTH} deep")
        if parser.has_type and ENTITY.search(content):
            raise ValueError("it refers to an entity of its document type, which is not loaded")
        if tree.root.tag != root:
            raise ValueError(f"it holds <{shorten(tree.root.tag)}> where <{root}> is expected")
    except ParseError as error:
        reason = f"it is no complete XML ({error})"
    except DefusedXmlException:
        reason = "it declares a document type with content of its own, which may be harmful"
    except (LookupError, ValueError) as error:  # LookupError: unknown encoding
        reason = shorten(str(error))
    else:
        return tree.root
    raise ValueError(f"{path.name} cannot be read as {kind}: {reason}. Copy or export it again, in UTF-8.")


def is_number(text):
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def refuse_lines(name, faulty, remedy, quote=None):
    """Raise ValueError that quotes the first faulty lines, if any.

    ``faulty`` is a dict from line number to quote, or the numbers, with ``quote`` as function of a number.
    """
    if len(faulty):
        quote = faulty.get if quote is None else quote
        shown = "; ".join(f"line {line}: {shorten(quote(line))}" for line in list(faulty)[:N_SHOWN])
        more = f"; and {len(faulty) - N_SHOWN} more" if len(faulty) > N_SHOWN else ""
        raise ValueError(f"{name}, {shown}{more}. {remedy}")


class SeveralError(ValueError):
    """A file holds several tiers or recordings, and none was chosen; ``option`` is "tier" or "recording"."""

    def __init__(self, name, names, option):
        super().__init__(f"{name} holds {len(names)} {option}s: {list_names(names)}. Choose one with {option}=.")
        self.option = option


def choose(name, wanted, names, option):
    """Choose one of the ``names`` in file ``name``; None chooses the only one. ``option`` is "tier" or "recording".

    A recording may be given without its folder or extension.
    """
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None and names:
        raise SeveralError(name, names, option)
    if wanted is None:
        raise ValueError(f"{name} holds no {option}. Check the file.")
    if option == "recording" and wanted not in names:
        path = PureWindowsPath(wanted)  # which knows both kinds of slashes
        for form in (lambda other: other.name == path.name, lambda other: other.stem == path.stem):
            same = [other for other in names if form(PureWindowsPath(other))]
            if same:
                wanted = same[0] if len(same) == 1 else wanted
                break
    if names.count(wanted) != 1:
        fault = f"no {option} {wanted!r}" if wanted not in names else f"more than one {option} {wanted!r}"
        raise ValueError(f"{name} holds {fault}, but {list_names(names) or 'none at all'}. Correct {option}=.")
    return wanted


@contextlib.contextmanager
def atomic_path(path):
    """Write a file completely or not at all: yields a temporary path in the same folder.

    At the end of the block the temporary file replaces ``path`` in one step. If the block raises, it is removed and
    ``path`` stays as it was.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder to write {path.name} to. Create it first.")
    # Not tempfile, whose files only their owner may read. The suffix of the name shows the kind of file; names may have
    # up to 255 bytes.
    end = os.fsencode(path.name)[-200:].decode(errors="ignore")
    temporary = path.with_name(f".{end}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def walk(root, out=None):
    """Yield files and folders below ``root``, except hidden ones and ``out``."""

    def report(error):
        warn(f"{error.filename} cannot be searched ({error.strerror}) and is left out.")

    results = None if out is None else os.path.realpath(out)
    for folder, folders, files in os.walk(root, onerror=report):
        folders[:] = [name for name in folders if name[0] != "." and os.path.realpath(Path(folder, name)) != results]
        yield from (Path(folder, name) for name in (*folders, *files) if name[0] != ".")
