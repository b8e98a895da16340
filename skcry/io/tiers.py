"""Annotations on tiers: Praat's TextGrid and ELAN's eaf."""

import re
from datetime import datetime
from itertools import pairwise

from .text_files import MAX_DEPTH, choose, read_text, read_xml, shorten

DEFAULT_TIER = "annotations"
# What counts in a TextGrid: texts in quotes, flags in angle brackets, numbers that stand free; the rest is decoration
# (https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html). So the long form, the short form, and any
# numbering of the intervals are one language. praatio 6.2 and textgrid 1.6 go by the lines instead: the one silently
# drops what follows a cut, the last interval of a short form without a final line break, and the sign of a time; the
# other refuses the short form that Praat writes.
TOKEN = re.compile(
    r'\s++|(?P<text>"[^"]*+(?:""[^"]*+)*+")|(?P<flag><\w+>)|(?<!\S)(?P<number>[-+]?\.?\d\S*)|!.*|(?P<open>")|[^\s"]+'
)


def check_disjoint(table, what):
    """Refuse annotations that overlap, for formats whose tiers cannot hold those."""
    rows = list(table.itertuples())
    for row, following in pairwise(rows):
        if following.onset < row.offset:
            raise ValueError(
                f"annotations: '{row.label}' from {row.onset:g} s to {row.offset:g} s overlaps "
                f"'{following.label}' from {following.onset:g} s to {following.offset:g} s, which {what} cannot hold. "
                "Write each label to a file of its own, or choose another format."
            )


def _reader(text, name):
    """Give a function that takes the next token of a kind from a TextGrid, or refuses."""
    tokens = (token for token in TOKEN.finditer(text) if token.lastgroup)

    def take(kind):
        token = next(tokens, None)
        if token is None:
            raise ValueError(f"{name} ends where a {kind} should follow. The file looks truncated; copy it again.")
        value = token[0]
        if token.lastgroup == "open":
            line = text.count("\n", 0, token.start()) + 1
            raise ValueError(f"{name}, line {line}: a quote is never closed. The file looks truncated; copy it again.")
        if token.lastgroup == kind == "text":
            return value[1:-1].replace('""', '"')
        try:
            if token.lastgroup == kind:
                return float(value) if kind == "number" else value
            if kind == "count" and token.lastgroup == "number":
                return int(value)
        except ValueError:
            pass
        line = text.count("\n", 0, token.start()) + 1
        raise ValueError(
            f"{name}, line {line}: a {kind} is expected, but {shorten(value)!r} follows. Correct it, or save the "
            "TextGrid from Praat again."
        )

    return take


def _read_tiers(path):
    """Tiers of a TextGrid as (is_interval, name, rows)."""
    take = _reader(read_text(path, "text file"), path.name)
    if not take("text").startswith("ooTextFile") or take("text") != "TextGrid":
        raise ValueError(
            f"{path.name} does not start like a TextGrid. Save it from Praat as text file or as short text file."
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


def read_textgrid(path, tier=None):
    """Read the intervals with a label from one tier of a TextGrid."""
    tiers = _read_tiers(path)
    points = [name for is_interval, name, _ in tiers if not is_interval]
    if tier in points:
        raise ValueError(f"{path.name}: tier {tier!r} holds points, which cover no time. Choose an interval tier.")
    chosen = choose(path.name, tier, [name for is_interval, name, _ in tiers if is_interval], "tier")
    rows = next(rows for is_interval, name, rows in tiers if is_interval and name == chosen)
    return [(onset, offset, " ".join(label.split())) for onset, offset, label in rows if label.strip()]


def write_textgrid(table, path, tier=None, duration=None):
    """Write a TextGrid in long text format, with one tier."""
    check_disjoint(table, "a tier of a TextGrid")
    if duration is None and table.empty:
        raise ValueError("A TextGrid without annotations is as long as the recording. Pass duration=, in seconds.")
    xmax = round(float(table["offset"].max() if duration is None else duration), 6)
    intervals, end = [], 0.0
    for row in table.itertuples():
        # Intervals of a tier leave no gaps; those in between have no label.
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


def read_elan(path, tier=None):
    """Read one tier of an ELAN file; annotations that refer to others have their times."""
    from pympi import Eaf

    _check_references(path, read_xml(path, "ANNOTATION_DOCUMENT", "an ELAN file"))
    try:
        document = Eaf(path, suppress_version_warning=True)
        content = {name: document.get_annotation_data_for_tier(name) for name in document.get_tier_names()}
    except Exception as error:  # pympi names no exceptions of its own
        raise ValueError(
            f"{path.name} cannot be read as an ELAN file ({type(error).__name__}: {shorten(str(error))}). Save it from "
            "ELAN again."
        ) from None
    # ELAN itself adds a tier "default" to each new file.
    filled = {name: rows for name, rows in content.items() if rows or len(content) == 1 or name == tier}
    rows = content[choose(path.name, tier, list(filled or content), "tier")]
    for onset, offset, *_ in rows:
        if onset is None or offset is None:
            raise ValueError(
                f"{path.name}: an annotation has no time of its own (start {onset} ms, end {offset} ms). Choose a tier "
                "that is aligned with the sound with tier=."
            )
    texts = ((float(onset) / 1000, float(offset) / 1000, " ".join(text.split())) for onset, offset, text, *_ in rows)
    try:
        return [row for row in texts if row[2]]
    except OverflowError:
        raise ValueError(f"{path.name} holds a time above 1e308 ms. Save it from ELAN again.") from None


def _check_references(path, document):
    """Refuse annotations that refer to each other in circles, or through more tiers than there can be.

    Pympi would follow these for ever.
    """
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


def write_elan(table, path, tier=None):
    """Write an ELAN file with one tier."""
    from pympi import Eaf

    check_disjoint(table, "a tier of ELAN")
    tier = tier or DEFAULT_TIER
    document = Eaf(author="skcry")
    # As pympi 1.71 writes it, no schema allows the date in time zones that are not whole hours from UTC.
    document.adocument["DATE"] = datetime.now().astimezone().isoformat(timespec="seconds")
    if tier != "default":
        document.rename_tier("default", tier)
    for row in table.itertuples():
        document.add_annotation(tier, round(row.onset * 1000), round(row.offset * 1000), row.label)
    document.to_file(path)
