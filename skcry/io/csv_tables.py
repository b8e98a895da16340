"""Annotations in CSV files: a row per annotation, a value per second, or ChildProject's table."""

import ast
import re

import numpy as np
import pandas as pd

from ..events import COLUMN_NAMES, LabelMap, classify
from .text_files import choose, is_number, list_names, read_lines, read_table, refuse_lines, shorten

MIN_FIELDS, MAX_FIELDS = 3, 32  # of a line that are looked at
SECOND_NAMES = ("second", "seconds", "sec", "time")
VALUE_NAMES = ("prediction", "pred", "label", "cry", "value", "class", "annotation")
BACKGROUND = "background"
CODES = {"0": BACKGROUND, "1": "cry", "false": BACKGROUND, "true": "cry"}
CODED = re.compile(r"\+?0*[01](?:\.0*)?(?:[eE][+-]?0+)?")
LABEL = re.compile(r'"(?:[^"]|"")*+"|[^",;\t\d.+-][^",;\t]*+')
# ChildProject's codes for what a child's vocalisation is.
VCM_TYPES = {"Y": "cry", "L": "laughing", "C": "canonical", "N": "non-canonical", "J": "junk"}
SPEAKER_TYPES = ("CHI", "OCH", "FEM", "MAL")


def _quote(fields):
    """Put a line together as it stands in the file, without empty fields at its end."""
    return shorten(repr(",".join(fields).rstrip(",")))


def _read_fields(path):
    """Read the fields of a CSV file as text, one row per line that is not blank, indexed by line number from 1."""
    try:
        fields = read_table(path, names=(MIN_FIELDS, MAX_FIELDS), skip_blank_lines=False)
    except pd.errors.EmptyDataError:
        fields = pd.DataFrame(columns=range(MIN_FIELDS), dtype=str)
    fields = fields.fillna("").apply(lambda column: column.str.strip())
    fields.index += 1
    return fields[fields.ne("").any(axis=1)]


def read_csv(path):
    """Read ``start,end,label``, one row per annotation."""
    fields = _read_fields(path)
    names = ["onset", "offset", "label"]
    has_header = len(fields) > 0 and not is_number(fields.iloc[0, 0])
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
    faulty = ~table[["onset", "offset"]].map(is_number).all(axis=1)
    if not has_header:
        faulty |= fields.iloc[:, len(names) :].ne("").any(axis=1)
    if "label" in table and (has_header or table["label"].ne("").any()):
        faulty |= table["label"].eq("")
    elif "label" in table:
        table = table.drop(columns="label")
    refuse_lines(
        path.name,
        fields.index[faulty],
        "A line holds start and end, as numbers in seconds, and a label. Correct it; fields are separated by commas, "
        "decimals by points.",
        lambda line: _quote(fields.loc[line]),
    )
    return table


def write_csv(table, path):
    """Write ``start,end,label`` under a line that names them."""
    names = {"onset": "start", "offset": "end"}
    table.rename(columns=names).to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _second_columns(names):
    """Positions of the second, the value and the recording (or None), from the names in a first line, or None."""
    names = [name.strip().strip('"').lower() for name in names]
    second = next((names.index(name) for name in SECOND_NAMES if name in names), None)
    if second is None or {"onset", "offset"} & {COLUMN_NAMES.get(name, name) for name in names}:
        return None
    # Where there are two columns only, the second is the value, whatever it is called.
    value = 1 - second if len(names) == 2 else next((names.index(n) for n in VALUE_NAMES if n in names), None)
    return None if value is None else (second, value, names.index("recording") if "recording" in names else None)


def is_seconds(lines):
    """Whether lines hold a value per second: one column, or a header that names the second and a value.

    A single column of times, or of times and labels with other separators, is no such thing: what starts like a number
    must be 0 or 1. Nor are lines of text alone, which may be notes, unless a header says that they are labels.
    """
    if not lines:
        return False
    if _second_columns(lines[0].lstrip("\ufeff").split(",")):
        return True
    named = lines[0].strip('" \ufeff').lower() in VALUE_NAMES
    if named:
        lines = lines[1:]
    lines = set(lines)  # a day of seconds has few values
    if not named and not any(CODED.fullmatch(line.strip()) for line in lines):
        return False
    stripped = ((line, line.strip()) for line in lines)
    return all((CODED.fullmatch(text) or LABEL.fullmatch(text)) and line.isprintable() for line, text in stripped)


def read_seconds(path, recording=None):
    """Read a value per second; runs of one value become one annotation."""
    fields = _read_fields(path)
    if fields.empty:
        return []
    header = fields.iloc[0]
    columns = _second_columns(header[header.ne("")])
    if columns:
        second, value, which = columns
        fields = fields.iloc[1:]
        if which is not None and len(fields):
            fields = fields[fields[which] == choose(path.name, recording, list(fields[which].unique()), "recording")]
        seconds, values = fields[second], fields[value]
    else:
        rest = fields.iloc[1:, 0]
        # A text above nothing but numbers, or one that never is a label, names the column.
        if not is_number(header[0]) and (
            header[0].lower() in VALUE_NAMES[:3] or (len(rest) and rest.map(is_number).all())
        ):
            fields = fields.iloc[1:]
        two = fields[1].ne("").any()
        values = fields[int(two)]
        # A blank line would shift all that follow.
        start = fields.index[0] if len(fields) else 0
        seconds = fields[0] if two else (fields.index.to_series() - start).astype(str)
        values = values.mask(fields.iloc[:, 1 + int(two) :].ne("").any(axis=1), "")
    numbers = pd.to_numeric(seconds, errors="coerce")
    if values.empty:
        return []
    different = {text: f"{float(text):g}" if is_number(text) else text for text in set(values)}
    plain = values.map(different)
    odd = {text for text, value in different.items() if is_number(text) and value not in ("0", "1")}
    faulty = values.isin({"", *odd}) | (numbers != np.arange(len(numbers)))
    refuse_lines(
        path.name,
        fields.index[faulty],
        "With a value per second, each line holds 0, 1 or a label, and the seconds (where they are given) count 0, 1, "
        "2, ... without gaps. Correct it, or write start,end,label.",
        lambda line: _quote(fields.loc[line]),
    )
    labels = [CODES.get(text.lower(), text) for text in plain]
    edges = [i for i in range(len(labels)) if i == 0 or labels[i] != labels[i - 1]]
    runs = zip(edges, [*edges[1:], len(labels)], strict=True)
    return [(float(start), float(stop), labels[start]) for start, stop in runs if labels[start] != BACKGROUND]


def write_seconds(table, path, duration=None):
    """Write a line per second: 0, 1 for "cry", or another label, where one covers half of the second."""
    if duration is None:
        raise ValueError(
            "A file with a value per second goes on to the end of the recording. Pass duration=, in seconds."
        )
    start = np.arange(np.ceil(duration - 1e-6))
    classes, _ = classify(table, LabelMap(positive=None), start, start + 1, duration=duration)
    for label in table["label"]:
        if is_number(label) or label.lower() in (*CODES, BACKGROUND):
            raise ValueError(
                f"annotations: the label {label!r} is one of the numbers and words that stand for crying or nothing in "
                "a file with a value per second. Rename it, or choose another format."
            )
    codes = {BACKGROUND: "0", "cry": "1"}
    lines = [codes.get(label, label) for label in classes]
    if lines and lines[0] not in ("0", "1"):
        lines.insert(0, "label")  # text alone would not be known for what it is, and the first might be for a name
    quoted = [line if LABEL.fullmatch(line) or line in ("0", "1") else _quoted(line) for line in lines]
    path.write_text("".join(f"{line}\n" for line in quoted), encoding="utf-8", newline="\n")


def _quoted(text):
    return '"{}"'.format(text.replace('"', '""'))


def is_childproject(lines):
    """Whether the first line names ChildProject's columns."""
    return bool(lines) and {"segment_onset", "segment_offset"} <= set(re.split(r'[,"\s\ufeff]+', lines[0]))


def _childproject_rows(row):
    """Annotations that one row of ChildProject's table stands for."""
    onset, offset = float(row["segment_onset"]) / 1000, float(row["segment_offset"]) / 1000
    known = {name: value for name, value in row.items() if value not in ("", "NA")}
    cries = ast.literal_eval(known.get("cries", "[]"))
    if cries:
        # LENA marks the cries within a segment, in seconds; the segment itself would contradict them.
        return [(float(cry["start"]), float(cry["end"]), "cry") for cry in cries]
    label = VCM_TYPES.get(known.get("vcm_type", ""))
    if label != "cry":
        label = known.get("label", label) or known.get("speaker_type", "unknown")
    return [(onset, offset, label)]


def read_childproject(path, recording=None):
    """Read ChildProject's table of annotations, with times in milliseconds."""
    try:
        table = read_table(path, skipinitialspace=True)
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path.name} cannot be read as CSV ({error}). Save it as CSV in UTF-8.") from None
    table = table.rename(columns=lambda name: str(name).lstrip("\ufeff").strip()).fillna("")
    needed = {"segment_onset", "segment_offset"}
    if not needed <= set(table) or not {"vcm_type", "speaker_type", "label", "cries"} & set(table):
        raise ValueError(
            f"{path.name}: the columns are [{list_names(table.columns)}], but segment_onset and segment_offset, in "
            "milliseconds, and vcm_type, speaker_type, label or cries are needed. Rename the columns."
        )
    table.index += 2  # line numbers: the first names the columns
    source = next((name for name in ("recording_filename", "raw_filename") if name in table), None)
    rows, faulty = [], {}
    for line, row in table.to_dict("index").items():
        try:
            rows += [(row.get(source), *annotation) for annotation in _childproject_rows(row)]
        # What Python cannot take for a list of its own: too deep, too long, too large.
        except (ValueError, SyntaxError, TypeError, KeyError, OverflowError, RecursionError, MemoryError):
            faulty[line] = _quote(row.values())
    refuse_lines(
        path.name,
        faulty,
        "segment_onset and segment_offset are numbers in milliseconds, cries a list of start and end in seconds. "
        "Correct it.",
    )
    if source and len(table):
        chosen = choose(path.name, recording, list(table[source].unique()), "recording")
        rows = [row for row in rows if row[0] == chosen]
    return [row[1:] for row in rows]


def write_childproject(table, path, recording):
    """Write ChildProject's table: crying as ``CHI`` with ``vcm_type`` Y; ``label`` keeps each label as it was."""
    if (table["label"] == "NA").any():
        raise ValueError("annotations: the label 'NA' means in ChildProject's tables that there is none. Rename it.")
    codes = {label: code for code, label in VCM_TYPES.items()}
    vcm = table["label"].map(codes).fillna("NA")
    speaker = table["label"].where(table["label"].isin(SPEAKER_TYPES), "NA").mask(vcm != "NA", "CHI")
    pd.DataFrame(
        {
            "segment_onset": (table["onset"] * 1000).round().astype(int),
            "segment_offset": (table["offset"] * 1000).round().astype(int),
            "speaker_type": speaker,
            "vcm_type": vcm,
            "label": table["label"],
            "recording_filename": recording,
        }
    ).to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def lines_of(path):
    """Lines of a file, to tell formats of one extension apart."""
    return list(read_lines(path, "CSV" if path.suffix.lower() == ".csv" else "text").values())
