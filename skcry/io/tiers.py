"""Annotations on tiers: Praat's TextGrid and ELAN's eaf.

TextGrids are not read with a library: praatio 6.2 silently drops intervals after the end of a truncated file, and
textgrid 1.6 refuses the short format.
"""

import contextlib
import re
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import PureWindowsPath

from .._warnings import warn
from .text_files import MAX_DEPTH, check_file, choose, is_number, list_names, read_text, read_xml, shorten

DEFAULT_TIER = "annotations"
MAX_START = 1e-3  # seconds from 0 at which a TextGrid may start
# A TextGrid consists of texts in quotes, flags in angle brackets and free-standing numbers; everything else is ignored
# (https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html), so the long and the short format are read alike.
TOKEN = re.compile(
    r'\s++|(?P<text>"[^"]*+(?:""[^"]*+)*+")|(?P<flag><\w+>)|(?<!\S)(?P<number>[-+]?\.?\d\S*)|!.*|(?P<open>")|[^\s"]+'
)


def _check_disjoint(table, what):
    """Refuse overlapping annotations; ``what`` is the tier that cannot hold them."""
    rows = list(table.itertuples())
    for row, following in pairwise(rows):
        if following.onset < row.offset:
            raise ValueError(
                f"annotations: '{row.label}' from {row.onset:g} s to {row.offset:g} s overlaps "
                f"'{following.label}' from {following.onset:g} s to {following.offset:g} s, which {what} cannot hold. "
                "Write a tier per label (a dict of annotations), or choose another format."
            )


def _reader(text, name):
    """Return a function that takes the next token of a kind (text, flag, number, count) from the ``text``.

    At the end of the text it raises ValueError, or returns None if the token is ``optional``. No token is an "end".
    """
    tokens = (token for token in TOKEN.finditer(text) if token.lastgroup)

    def take(kind, optional=False):
        token = next(tokens, None)
        if token is None and optional:
            return None
        if token is None:
            raise ValueError(f"{name} ends where a {kind} should follow. The file looks truncated; copy it again.")
        found, value = token.lastgroup, token[0]
        with contextlib.suppress(ValueError):
            if kind in ("number", "count") and found == "number":
                return float(value) if kind == "number" else int(value)
            if found == kind:
                return value[1:-1].replace('""', '"') if kind == "text" else value
        line = text.count("\n", 0, token.start()) + 1
        wanted = "the end" if kind == "end" else f"a {kind}"
        fault = f"{wanted} is expected, but {shorten(value)!r} follows. Correct it, or save the TextGrid again."
        if found == "open":
            fault = "a quote is never closed. The file looks truncated; copy it again."
        raise ValueError(f"{name}, line {line}: {fault}")

    return take


def _read_tiers(path):
    """Return the start of a TextGrid and its tiers: (is_interval, name, rows) of each."""
    check_file(path)
    with path.open("rb") as file:
        if file.read(12) == b"ooBinaryFile":
            raise ValueError(
                f"{path.name} is a binary TextGrid, which is not read. Open it in Praat and choose Save > Save as text "
                "file."
            )
    take = _reader(read_text(path, "text file"), path.name)
    kind = take("text")
    if kind.startswith("Praat chronological TextGrid"):
        return _read_chronological(take, path.name)
    if not kind.startswith("ooTextFile") or take("text") != "TextGrid":
        raise ValueError(
            f"{path.name} does not start like a TextGrid. Save it from Praat as text file or short text file."
        )
    xmin, _ = take("number"), take("number")
    if take("flag") != "<exists>":
        return xmin, []
    tiers = []
    for _ in range(take("count")):
        is_interval = take("text") == "IntervalTier"
        name = take("text")
        take("number"), take("number")
        kinds = ["number", "number", "text"] if is_interval else ["number", "text"]
        tiers.append((is_interval, name, [[take(kind) for kind in kinds] for _ in range(take("count"))]))
    take("end", optional=True)  # a number of intervals that is too low would lose the others
    return xmin, tiers


def _read_chronological(take, name):
    """Return the same of a chronological TextGrid, in which each interval and point names its tier by number."""
    xmin, _ = take("number"), take("number")
    tiers: list = []
    ends = []
    for _ in range(take("count")):
        tiers.append((take("text") == "IntervalTier", take("text"), []))
        take("number")
        ends.append(take("number"))
    while (number := take("count", optional=True)) is not None:
        if not 1 <= number <= len(tiers):
            raise ValueError(
                f"{name} has {len(tiers)} tiers, but something on tier {number}. Save it from Praat again."
            )
        is_interval, _, rows = tiers[number - 1]
        rows.append([take(kind) for kind in (["number", "number", "text"] if is_interval else ["number", "text"])])
    for (is_interval, tier, rows), end in zip(tiers, ends, strict=True):
        if is_interval and (not rows or rows[-1][1] != end):
            raise ValueError(
                f"{name}: tier {shorten(tier)!r} should go on to {end:g} s. The file looks truncated; copy it again."
            )
    return xmin, tiers


def read_textgrid(path, tier=None, **_):
    """Read the labelled intervals of one tier."""
    xmin, tiers = _read_tiers(path)
    if abs(xmin) > MAX_START:
        raise ValueError(
            f"{path.name} starts at xmin = {xmin:g} s, but a sound file at 0. If it is of an extracted part, choose "
            "Shift times to... in Praat, to start at 0; if of the whole recording, Extend time... at its start."
        )
    points = {name: len(rows) for is_interval, name, rows in tiers if not is_interval}
    if tier in points:
        raise ValueError(f"{path.name}: tier {tier!r} holds points, which cover no time. Choose an interval tier.")
    names = [name for is_interval, name, _ in tiers if is_interval]
    if points and not names:
        raise ValueError(
            f"{path.name} holds tiers of points only: {list_names(points)}. Points cover no time. Mark the sounds on "
            "an interval tier."
        )
    chosen = choose(path.name, tier, names, "tier")
    if tier is None and any(points.values()):
        warn(
            f"{path.name}: the points on {list_names(points)} ({sum(points.values())} in all) cover no time and are "
            f"left out. Pass tier={chosen!r} if the annotations are there."
        )
    rows = next(rows for is_interval, name, rows in tiers if is_interval and name == chosen)
    labelled = [(onset, offset, " ".join(label.split())) for onset, offset, label in rows if label.strip()]
    if len(rows) > 1 and not labelled:
        raise ValueError(
            f"{path.name}: tier {chosen!r} has {len(rows)} intervals, none with a label. Type one into each interval "
            "with a sound, or remove all boundaries if nothing was heard."
        )
    return labelled


def _intervals(table, xmax):
    """Return the intervals of a tier: without gaps between them, which intervals without label fill."""
    intervals, end = [], 0.0
    for row in table.itertuples():
        if row.onset > end:
            intervals.append((end, row.onset, ""))
        intervals.append((row.onset, row.offset, row.label))
        end = row.offset
    return [*intervals, (end, xmax, "")] if end < xmax else intervals


def write_textgrid(tables, path, duration=None, **_):
    """Write a TextGrid in long text format; ``tables`` are the annotations by tier."""
    for table in tables.values():
        _check_disjoint(table, "a tier of a TextGrid")
    ends = [table["offset"].max() for table in tables.values() if len(table)]
    if duration is None and not ends:
        raise ValueError("A TextGrid without annotations needs the duration of the recording. Pass duration=.")
    xmax = round(float(max(ends) if duration is None else duration), 6)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {xmax!r}"]
    lines += ["tiers? <exists>", f"size = {len(tables)}", "item []:"]
    for place, (tier, table) in enumerate(tables.items(), start=1):
        quoted = (tier or DEFAULT_TIER).replace('"', '""')
        intervals = _intervals(table, xmax)
        lines += [f"    item [{place}]:", '        class = "IntervalTier"', f'        name = "{quoted}"']
        lines += ["        xmin = 0", f"        xmax = {xmax!r}", f"        intervals: size = {len(intervals)}"]
        for number, (onset, offset, label) in enumerate(intervals, start=1):
            text = label.replace('"', '""')
            lines += [f"        intervals [{number}]:", f"            xmin = {float(onset)!r}"]
            lines += [f"            xmax = {float(offset)!r}", f'            text = "{text}"']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _time_origin(path, document, recording):
    """Return the time in the recording, in ms, at which the times of an ELAN file start."""
    header = document.find("HEADER")
    unit = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if unit != "milliseconds":
        raise ValueError(f"{path.name}: times are in {shorten(unit)}, not milliseconds. Save it from ELAN again.")
    media = document.findall("./HEADER/MEDIA_DESCRIPTOR")
    origins = [one.get("TIME_ORIGIN", "0") for one in media]
    for text in origins:
        if not is_number(text):
            raise ValueError(f"{path.name}: TIME_ORIGIN={shorten(text)!r} is no number. Save it from ELAN again.")
    if len(set(map(float, origins))) > 1:
        # Media that ELAN has synchronized, such as a video and the sound of a recorder.
        names = [PureWindowsPath(one.get("MEDIA_URL", "")).name for one in media]
        return float(origins[names.index(choose(path.name, recording, names, "recording"))])
    return float(origins[0]) if origins else 0.0


def read_elan(path, tier=None, recording=None):
    """Read one tier of an ELAN file; annotations that refer to others get their times."""
    from pympi import Eaf

    root = read_xml(path, "ANNOTATION_DOCUMENT", "an ELAN file")
    _check_references(path, root)
    origin = _time_origin(path, root, recording)
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
    chosen = choose(path.name, tier, list(filled or content), "tier")
    rows = []
    for onset, offset, text, *_ in content[chosen]:
        if onset is None or offset is None:
            raise ValueError(
                f"{path.name}: an annotation has no time of its own (start {onset} ms, end {offset} ms). Choose a "
                "time-aligned tier with tier=."
            )
        try:
            rows.append(((onset + origin) / 1000, (offset + origin) / 1000, " ".join(text.split())))
        except OverflowError:
            raise ValueError(f"{path.name} holds a time above 1e308 ms. Save it from ELAN again.") from None
    empty = [row for row in rows if not row[2]]
    if len(empty) == len(rows):
        # Marking without typing is usual where a tier stands for one sound.
        return [(onset, offset, chosen) for onset, offset, _ in rows]
    if empty:
        raise ValueError(
            f"{path.name}: {len(empty)} of {len(rows)} annotations on tier {chosen!r} have no text, the first from "
            f"{empty[0][0]:g} s to {empty[0][1]:g} s. Type one into each, or into none if the tier's name says it."
        )
    return rows


def _check_references(path, document):
    """Refuse names that stand twice, which pympi would merge, and references in circles, which it would follow."""
    kinds = ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")
    annotations = [element for kind in kinds for element in document.iter(kind)]
    above = {element.get("ANNOTATION_ID"): element.get("ANNOTATION_REF") for element in annotations}
    if len(above) < len(annotations):
        raise ValueError(f"{path.name}: several annotations have one ANNOTATION_ID. Save it from ELAN again.")
    tiers = Counter(tier.get("TIER_ID") for tier in document.iter("TIER"))
    for name in (name for name, number in tiers.items() if number > 1):
        raise ValueError(f"{path.name} holds more than one tier {name!r}, of which pympi reads the last. Rename them.")
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


def write_elan(tables, path, **_):
    """Write an ELAN file; ``tables`` are the annotations by tier."""
    from pympi import Eaf

    document = Eaf(author="skcry")
    # The date of pympi 1.71 is invalid in time zones that are not whole hours from UTC.
    document.adocument["DATE"] = datetime.now().astimezone().isoformat(timespec="seconds")
    document.remove_tier("default")
    for tier, table in tables.items():
        _check_disjoint(table, "a tier of ELAN")
        document.add_tier(tier or DEFAULT_TIER)
        for row in table.itertuples():
            document.add_annotation(tier or DEFAULT_TIER, round(row.onset * 1000), round(row.offset * 1000), row.label)
    document.to_file(path)
