"""Annotations on tiers: Praat's TextGrid and ELAN's eaf.

TextGrids are not read with a library: praatio 6.2 silently drops intervals after the end of a truncated file, and
textgrid 1.6 refuses the short format.
"""

import contextlib
import re
from datetime import datetime
from itertools import pairwise

from .text_files import MAX_DEPTH, choose, read_text, read_xml, shorten

DEFAULT_TIER = "annotations"
# A TextGrid consists of texts in quotes, flags in angle brackets and free-standing numbers; everything else is ignored
# (https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html), so the long and the short format are read alike.
TOKEN = re.compile(
    r'\s++|(?P<text>"[^"]*+(?:""[^"]*+)*+")|(?P<flag><\w+>)|(?<!\S)(?P<number>[-+]?\.?\d\S*)|!.*|(?P<open>")|[^\s"]+'
)


def check_disjoint(table, what):
    """Refuse overlapping annotations; ``what`` is the tier that cannot hold them."""
    rows = list(table.itertuples())
    for row, following in pairwise(rows):
        if following.onset < row.offset:
            raise ValueError(
                f"annotations: '{row.label}' from {row.onset:g} s to {row.offset:g} s overlaps "
                f"'{following.label}' from {following.onset:g} s to {following.offset:g} s, which {what} cannot hold. "
                "Write one file per label, or choose another format."
            )


def _reader(text, name):
    """Return a function that takes the next token of a kind (text, flag, number, count) from the ``text``."""
    tokens = (token for token in TOKEN.finditer(text) if token.lastgroup)

    def take(kind):
        token = next(tokens, None)
        if token is None:
            raise ValueError(f"{name} ends where a {kind} should follow. The file looks truncated; copy it again.")
        found, value = token.lastgroup, token[0]
        with contextlib.suppress(ValueError):
            if kind in ("number", "count") and found == "number":
                return float(value) if kind == "number" else int(value)
            if found == kind:
                return value[1:-1].replace('""', '"') if kind == "text" else value
        line = text.count("\n", 0, token.start()) + 1
        fault = f"a {kind} is expected, but {shorten(value)!r} follows. Correct it, or save the TextGrid again."
        if found == "open":
            fault = "a quote is never closed. The file looks truncated; copy it again."
        raise ValueError(f"{name}, line {line}: {fault}")

    return take


def _read_tiers(path):
    """Return the tiers of a TextGrid: (is_interval, name, rows) of each."""
    take = _reader(read_text(path, "text file"), path.name)
    if not take("text").startswith("ooTextFile") or take("text") != "TextGrid":
        raise ValueError(
            f"{path.name} does not start like a TextGrid. Save it from Praat as text file or short text file."
        )
    take("number"), take("number")
    if take("flag") != "<exists>":
        return []
    tiers = []
    for _ in range(take("count")):
        is_interval = take("text") == "IntervalTier"
        name = take("text")
        take("number"), take("number")
        kinds = ["number", "number", "text"] if is_interval else ["number", "text"]
        tiers.append((is_interval, name, [[take(kind) for kind in kinds] for _ in range(take("count"))]))
    return tiers


def read_textgrid(path, tier=None, **_):
    """Read the labelled intervals of one tier."""
    tiers = _read_tiers(path)
    points = [name for is_interval, name, _ in tiers if not is_interval]
    if tier in points:
        raise ValueError(f"{path.name}: tier {tier!r} holds points, which cover no time. Choose an interval tier.")
    chosen = choose(path.name, tier, [name for is_interval, name, _ in tiers if is_interval], "tier")
    rows = next(rows for is_interval, name, rows in tiers if is_interval and name == chosen)
    return [(onset, offset, " ".join(label.split())) for onset, offset, label in rows if label.strip()]


def write_textgrid(table, path, tier=None, duration=None, **_):
    """Write a TextGrid in long text format, with one tier."""
    check_disjoint(table, "a tier of a TextGrid")
    if duration is None and table.empty:
        raise ValueError("A TextGrid without annotations needs the duration of the recording. Pass duration=.")
    xmax = round(float(table["offset"].max() if duration is None else duration), 6)
    intervals, end = [], 0.0
    for row in table.itertuples():
        # Intervals of a tier have no gaps between them: intervals without label fill these.
        if row.onset > end:
            intervals.append((end, row.onset, ""))
        intervals.append((row.onset, row.offset, row.label))
        end = row.offset
    if end < xmax:
        intervals.append((end, xmax, ""))
    quoted = (tier or DEFAULT_TIER).replace('"', '""')
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {xmax!r}"]
    lines += ["tiers? <exists>", "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"']
    lines += [f'        name = "{quoted}"', "        xmin = 0", f"        xmax = {xmax!r}"]
    lines += [f"        intervals: size = {len(intervals)}"]
    for number, (onset, offset, label) in enumerate(intervals, start=1):
        text = label.replace('"', '""')
        lines += [f"        intervals [{number}]:", f"            xmin = {float(onset)!r}"]
        lines += [f"            xmax = {float(offset)!r}", f'            text = "{text}"']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def read_elan(path, tier=None, **_):
    """Read one tier of an ELAN file; annotations that refer to others get their times."""
    from pympi import Eaf

    _check_references(path, read_xml(path, "ANNOTATION_DOCUMENT", "an ELAN file"))
    try:
        document = Eaf(path, suppress_version_warning=True)
        content = {name: document.get_annotation_data_for_tier(name) for name in document.get_tier_names()}
    except Exception as error:  # pympi has no exception classes of its own
        raise ValueError(
            f"{path.name} cannot be read as an ELAN file ({type(error).__name__}: {shorten(str(error))}). Save it from "
            "ELAN again."
        ) from None
    # ELAN adds an empty tier "default" to each new file.
    filled = {name: rows for name, rows in content.items() if rows or len(content) == 1 or name == tier}
    rows = content[choose(path.name, tier, list(filled or content), "tier")]
    for onset, offset, *_ in rows:
        if onset is None or offset is None:
            raise ValueError(
                f"{path.name}: an annotation has no time of its own (start {onset} ms, end {offset} ms). Choose a "
                "time-aligned tier with tier=."
            )
    texts = ((float(onset) / 1000, float(offset) / 1000, " ".join(text.split())) for onset, offset, text, *_ in rows)
    try:
        return [row for row in texts if row[2]]
    except OverflowError:
        raise ValueError(f"{path.name} holds a time above 1e308 ms. Save it from ELAN again.") from None


def _check_references(path, document):
    """Refuse annotations that refer to each other in circles, which pympi would follow for ever."""
    kinds = ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")
    annotations = [element for kind in kinds for element in document.iter(kind)]
    above = {element.get("ANNOTATION_ID"): element.get("ANNOTATION_REF") for element in annotations}
    if len(above) < len(annotations):
        raise ValueError(f"{path.name}: several annotations have one ANNOTATION_ID. Save it from ELAN again.")
    for name in above:
        reference = name
        for _ in range(MAX_DEPTH):
            reference = above.get(reference)
            if reference is None:
                break
        else:
            raise ValueError(
                f"{path.name}: annotation {shorten(name)!r} refers to itself, or to others through more than "
                f"{MAX_DEPTH} tiers. Save it from ELAN again."
            )


def write_elan(table, path, tier=None, **_):
    """Write an ELAN file with one tier."""
    from pympi import Eaf

    check_disjoint(table, "a tier of ELAN")
    tier = tier or DEFAULT_TIER
    document = Eaf(author="skcry")
    # The date of pympi 1.71 is invalid in time zones that are not whole hours from UTC.
    document.adocument["DATE"] = datetime.now().astimezone().isoformat(timespec="seconds")
    if tier != "default":
        document.rename_tier("default", tier)
    for row in table.itertuples():
        document.add_annotation(tier, round(row.onset * 1000), round(row.offset * 1000), row.label)
    document.to_file(path)
