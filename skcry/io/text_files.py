"""Text in, whole files out: what every format shares."""

import codecs
import io
import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

N_SHOWN = 5  # faulty lines that one message quotes; a file in a wrong format has nothing but those
QUOTE_LENGTH = 200  # characters of each
# Bounds on text, so that no file fills the memory: a day with an annotation each second takes some 5 MB.
MAX_BYTES = 2**26
MAX_LINES = 2**19
MAX_LINE_LENGTH = 2**16
MAX_CELLS = 2**24
MAX_ELEMENTS = 2**20
MAX_DEPTH = 100
MAX_TAG_BYTES = 2**20
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def check_file(path):
    """Refuse a path where there is no file to read."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file. Name a file in it.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file. Check the path.")
    if not path.is_file():
        raise OSError(f"{path} is a pipe or a device, which may never end. Copy its content to a file.")


def refuse_above(path, count, bound, what, remedy="Check that it is the right file, or split it by recording."):
    """Refuse a file that holds more of something than can be meant."""
    if count > bound:
        raise ValueError(f"{path.name} holds {what}: {count}, but at most {bound} are read. {remedy}")


def shorten(text, length=QUOTE_LENGTH):
    """Cut a text to what a message can quote."""
    return text if len(text) <= length else f"{text[:length]}... ({len(text)} characters)"


def list_names(names):
    """Put names together as a message can quote them."""
    return shorten(", ".join(map(repr, list(names)[:50])))


def _read_bytes(path):
    """Content of a file that is no larger than a text can be meant to be."""
    check_file(path)
    # Asked first, for large files take long to read; bounded all the same, for files grow.
    refuse_above(path, path.stat().st_size, MAX_BYTES, "too many bytes for a text of one recording")
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    refuse_above(path, len(content), MAX_BYTES, "too many bytes for a text of one recording")
    return content


def read_text(path, kind="text", errors="strict", max_lines=MAX_LINES):
    """Text of a file in UTF-8, or in UTF-16 with a byte order mark.

    Parameters
    ----------
    path : Path
        File to read.
    kind : str, default="text"
        What error messages advise to save it as.
    errors : str, default="strict"
        What becomes of bytes that are no text, see :meth:`bytes.decode`.
    max_lines : int, default=2 ** 19
        Most lines that are read: six days of a value per second.

    Returns
    -------
    str

    Raises
    ------
    OSError
        If the file is missing, a folder, a pipe, or cannot be opened.
    ValueError
        If it is not text, has more than 64 MiB or ``max_lines``, or a line of more than 65536 characters.
    """
    content = _read_bytes(path)
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding, errors)
        if "\0" in text:
            raise ValueError("it holds binary data")
    except ValueError as error:
        raise ValueError(f"{path.name} cannot be read as {kind} ({error}). Save it as {kind} in UTF-8.") from None
    n_lines = text.count("\n") + text.count("\r") - text.count("\r\n") + 1
    refuse_above(path, n_lines, max_lines, "too many lines")
    for number, line in enumerate(_split(text), start=1):
        if len(line) > MAX_LINE_LENGTH:
            refuse_above(path, len(line), MAX_LINE_LENGTH, f"too many characters in line {number}")
    return text


def _split(text):
    return re.split("\r\n|\r|\n", text)


def read_lines(path, kind="text"):
    """Lines of a text file that are not blank, as a dict from their number, counted from 1."""
    lines = enumerate(_split(read_text(path, kind)), start=1)
    return {number: line for number, line in lines if line.strip()}


def read_table(path, kind="CSV", *, sep=",", names=None, errors="strict", max_lines=MAX_LINES, **options):
    """Read a text file as a table of texts.

    Parameters
    ----------
    path : Path
        File to read.
    kind : str, default="CSV"
        What error messages call it.
    sep : str, default=","
        What separates fields.
    names : tuple of int or None, default=None
        Least and largest number of columns, which are then counted from 0 up to those of the longest line. None means
        that the first line names them.
    errors : str, default="strict"
        See :func:`read_text`.
    max_lines : int, default=2 ** 19
        See :func:`read_text`.
    **options : object
        See :func:`pandas.read_csv`.

    Returns
    -------
    DataFrame of str

    Raises
    ------
    OSError, ValueError
        As :func:`read_text`; and if the file is no table, has no line at all, or too large a one.
    """
    text = read_text(path, kind, errors, max_lines)
    lines = _split(text)
    if names is None:
        n_columns = 1 + next((line for line in lines if line.strip()), "").count(sep)
    else:
        n_columns = min(max(names[0], 1 + max(line.count(sep) for line in lines)), names[1])
        options |= {"names": range(n_columns)}
    n_lines = len(lines)
    del lines
    refuse_above(path, n_columns * n_lines, MAX_CELLS, f"too many cells ({n_lines} lines of {n_columns} columns)")
    try:
        defaults = {"sep": sep, "dtype": str, "keep_default_na": False, "index_col": False, "encoding_errors": errors}
        return pd.read_csv(io.StringIO(text), **(defaults | options))
    except pd.errors.EmptyDataError:
        raise
    except (pd.errors.ParserError, OverflowError) as error:
        raise ValueError(
            f"{path.name} cannot be read as {kind} ({shorten(str(error))}). Save it as {kind} in UTF-8."
        ) from None


class _BoundedBuilder(ElementTree.TreeBuilder):
    """Build a tree of XML from what the file itself says, and no more of it than can be meant."""

    def __init__(self):
        super().__init__()
        self.n_elements = self.depth = 0

    def doctype(self, name, pubid, system):
        raise ValueError("it declares a document type, whose entities could be anything")

    def start(self, tag, attributes):
        self.n_elements += 1
        self.depth += 1
        if self.n_elements > MAX_ELEMENTS:
            raise ValueError(f"it holds more than {MAX_ELEMENTS} elements")
        if self.depth > MAX_DEPTH:
            raise ValueError(f"its elements are nested more than {MAX_DEPTH} deep")
        return super().start(tag, attributes)

    def end(self, tag):
        self.depth -= 1
        return super().end(tag)


def read_xml(path, root, kind):
    """Root element of an XML file, which must be called ``root``.

    Document types are refused, and so are entities of any kind: neither LENA nor ELAN writes any.
    """
    content = _read_bytes(path)
    parser = ElementTree.XMLParser(target=_BoundedBuilder())
    try:
        if max(map(len, content.split(b">"))) > MAX_TAG_BYTES:
            raise ValueError(f"a single tag or text of it is longer than {MAX_TAG_BYTES} bytes")
        parser.feed(content)
        element = parser.close()
    except ElementTree.ParseError as error:
        raise ValueError(
            f"{path.name} cannot be read as {kind}: it is no complete XML ({error}). Copy or export it again."
        ) from None
    except LookupError as error:  # the encoding that the first line names is unknown
        raise ValueError(f"{path.name} cannot be read as {kind} ({error}). Save it in UTF-8.") from None
    except ValueError as error:
        raise ValueError(f"{path.name} cannot be read as {kind} ({error}). Export it again, in UTF-8.") from None
    if element.tag != root:
        raise ValueError(
            f"{path.name} cannot be read as {kind}: it holds <{shorten(element.tag)}> where <{root}> is expected. "
            "Check the file."
        )
    return element


def is_number(text):
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def refuse_lines(name, faulty, remedy, quote=None):
    """Raise one error that quotes the first of the faulty lines: numbers of lines, or a dict from these to quotes."""
    if len(faulty):
        quote = faulty.get if quote is None else quote
        shown = "; ".join(f"line {line}: {shorten(quote(line))}" for line in list(faulty)[:N_SHOWN])
        more = f"; and {len(faulty) - N_SHOWN} more" if len(faulty) > N_SHOWN else ""
        raise ValueError(f"{name}, {shown}{more}. {remedy}")


def choose(name, wanted, names, option):
    """Choose one of several ``names`` in a file; None chooses the only one.

    Parameters
    ----------
    name : str
        File, for error messages.
    wanted : str or None
        What the user asked for.
    names : list of str
        What there is.
    option : str
        What the things are called, which is also the parameter that chooses: "tier" or "recording".

    Returns
    -------
    str
    """
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None:
        there = f"{len(names)} {option}s: {list_names(names)}" if names else f"no {option}"
        remedy = f"Choose one with {option}=." if names else "Check the file."
        raise ValueError(f"{name} holds {there}. {remedy}")
    if names.count(wanted) != 1:
        fault = f"no {option} {wanted!r}" if wanted not in names else f"more than one {option} {wanted!r}"
        raise ValueError(f"{name} holds {fault}, but {list_names(names) or 'none at all'}. Correct {option}=.")
    return wanted


@contextmanager
def atomic_path(path):
    """Write a file whole or not at all.

    Gives the path of a file that does not exist yet, in the same folder. When the block ends well it takes the place
    of ``path``, in one step; when it raises, it is removed and a former ``path`` stays as it was.

    Parameters
    ----------
    path : str or path-like
        File to write in the end.

    Yields
    ------
    Path
        File to write to within the block.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such folder, or ``path`` is one.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skcry.io.text_files import atomic_path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder, "notes.txt")) as temporary:
    ...         _ = temporary.write_text("done")
    ...     [path.name for path in Path(folder).iterdir()]
    ['notes.txt']
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder to write {path.name} to. Create it first.")
    # Not made by tempfile, whose files are for their owner's eyes only: the result has the usual permissions.
    # The end of a long name says what kind of file it is; names may be 255 bytes long.
    end = os.fsencode(path.name)[-200:].decode(errors="ignore")
    temporary = path.with_name(f".{end}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
