"""Text in, whole files out: what every format shares."""

import codecs
import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

N_SHOWN = 5  # faulty lines that one message quotes; a file in a wrong format has nothing but those
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def check_file(path):
    """Refuse a path where there is no file to read."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file. Name a file in it.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file. Check the path.")


def read_text(path, kind="text"):
    """Text of a file in UTF-8, or in UTF-16 with a byte order mark.

    Parameters
    ----------
    path : Path
        File to read.
    kind : str, default="text"
        What error messages advise to save it as.

    Returns
    -------
    str

    Raises
    ------
    OSError
        If the file is missing, a folder, or cannot be opened.
    ValueError
        If it is not text.
    """
    check_file(path)
    content = path.read_bytes()
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
        if "\0" in text:
            raise ValueError("it holds binary data")
    except ValueError as error:
        raise ValueError(f"{path.name} cannot be read as {kind} ({error}). Save it as {kind} in UTF-8.") from None
    return text


def read_lines(path, kind="text"):
    """Lines of a text file that are not blank, as a dict from their number, counted from 1."""
    lines = enumerate(re.split("\r\n|\r|\n", read_text(path, kind)), start=1)
    return {number: line for number, line in lines if line.strip()}


def read_xml(path, root, kind):
    """Root element of an XML file, which must be called ``root``."""
    check_file(path)
    try:
        element = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(
            f"{path.name} cannot be read as {kind}: it is no complete XML ({error}). Copy or export it again."
        ) from None
    except (LookupError, ValueError) as error:  # the encoding that the first line names is unknown, or wrong
        raise ValueError(f"{path.name} cannot be read as {kind} ({error}). Save it in UTF-8.") from None
    if element.tag != root:
        raise ValueError(
            f"{path.name} cannot be read as {kind}: it holds <{element.tag}> where <{root}> is expected. Check "
            "the file."
        )
    return element


def is_number(text):
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def refuse_lines(name, faulty, remedy):
    """Raise one error that quotes the first of the faulty lines, given as a dict from line number to quote."""
    if faulty:
        shown = "; ".join(f"line {line}: {quote}" for line, quote in list(faulty.items())[:N_SHOWN])
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
        there = f"{len(names)} {option}s: {', '.join(map(repr, names))}" if names else f"no {option}"
        remedy = f"Choose one with {option}=." if names else "Check the file."
        raise ValueError(f"{name} holds {there}. {remedy}")
    if names.count(wanted) != 1:
        fault = f"no {option} {wanted!r}" if wanted not in names else f"more than one {option} {wanted!r}"
        raise ValueError(
            f"{name} holds {fault}, but {', '.join(map(repr, names)) or 'none at all'}. Correct {option}=."
        )
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
    >>> from skcry.io.files import atomic_path
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
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
