"""Annotations in CSV files: one row per annotation, one value per second, or ChildProject's table."""

import ast
import re

import numpy as np
import pandas as pd

from ..events import COLUMN_NAMES, LabelMap, classify
from .text_files import choose, is_number, list_names, read_named_table, read_table, refuse_lines, shorten

N_FIELDS = (3, 32)  # least and most columns of a line that are read
SECOND_NAMES = ("second", "seconds", "sec", "time")
VALUE_NAMES = ("prediction", "pred", "label", "cry", "value", "class", "annotation")
BACKGROUND = "background"
CODES = {"0": BACKGROUND, "1": "cry", "false": BACKGROUND, "true": "cry"}
CODED = re.compile(r"\+?0*[01](?:\.0*)?(?:[eE][+-]?0+)?")
LABEL = re.compile(r'"(?:[^"]|"")*+"|[^",;\t\d.+-][^",;\t]*+')
# ChildProject's codes of child vocalisations.
VCM_TYPES = {"Y": "cry", "L": "laughing", "C": "canonical", "N": "non-canonical", "J": "junk"}
SPEAKER_TYPES = ("CHI", "OCH", "FEM", "MAL")


def _quote(fields):
    """Join the fields of a line, without empty ones at its end."""
    return shorten(repr(",".join(fields).rstrip(",")))


def _read_fields(path):
    """Read a CSV file as DataFrame of str of shape (n_lines, 3 to 32), without blank lines, indexed by line number."""
    fields = read_table(path, n_columns=N_FIELDS, skip_blank_lines=False)
    fields = fields.fillna("").apply(lambda column: column.str.strip())
    fields.index += 1
    return fields[fields.ne("").any(axis=1)]


def read_csv(path, **_):
    """Read ``start,end,label``, one row per annotation."""
    fields = _read_fields(path)
    names = ["onset", "offset", "label"]
    has_header = len(fields) > 0 and not is_number(fields.iloc[0, 0])
    if has_header:
        names = [COLUMN_NAMES.get(name, name) for name in fields.iloc[0].str.lower()]
        if not {"onset", "offset"} <= set(names):
            raise ValueError(
                f"{path.name}, line {fields.index[0]}: {_quote(fields.iloc[0])} neither starts with a time in seconds "
                "nor names the columns start, end (or onset, offset) and label, separated by commas. Correct it."
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
        "A line holds start and end in seconds, with decimal points, and a label, separated by commas. Correct it.",
        lambda line: _quote(fields.loc[line]),
    )
    return table


def write_csv(table, path, **_):
    """Write ``start,end,label``, with names of the columns in the first line."""
    names = {"onset": "start", "offset": "end"}
    table.rename(columns=names).to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _second_columns(names):
    """Find the columns of second, value and recording (or None) by their names in the first line; None if not there."""
    names = [name.strip().strip('"').lower() for name in names]
    second = next((names.index(name) for name in SECOND_NAMES if name in names), None)
    if second is None or {"onset", "offset"} & {COLUMN_NAMES.get(name, name) for name in names}:
        return None
    # The other one of two columns is the value, under any name.
    value = 1 - second if len(names) == 2 else next((names.index(n) for n in VALUE_NAMES if n in names), None)
    return None if value is None else (second, value, names.index("recording") if "recording" in names else None)


def is_seconds(lines):
    """Whether lines hold one value per second: named columns, or a single column of 0, 1 and labels.

    Labels alone may be notes: they need a name of the column in the first line.
    """
    if not lines:
        return False
    if _second_columns(lines[0].split(",")):
        return True
    named = lines[0].strip('" ').lower() in VALUE_NAMES
    lines = set(lines[named:])  # a day has few different values
    if not named and not any(CODED.fullmatch(line.strip()) for line in lines):
        return False
    stripped = ((line, line.strip()) for line in lines)
    return all((CODED.fullmatch(text) or LABEL.fullmatch(text)) and line.isprintable() for line, text in stripped)


def read_seconds(path, recording=None, **_):
    """Read one value per second; runs of equal values become annotations."""
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
        # The first line names the column if it is a usual name, or a text above numbers.
        if not is_number(header[0]) and (
            header[0].lower() in VALUE_NAMES[:3] or (len(rest) and rest.map(is_number).all())
        ):
            fields = fields.iloc[1:]
        two = fields[1].ne("").any()
        values = fields[int(two)]
        # Seconds are counted by line, so that a blank line is refused: it would shift all that follow.
        start = fields.index[0] if len(fields) else 0
        seconds = fields[0] if two else (fields.index.to_series() - start).astype(str)
        values = values.mask(fields.iloc[:, 1 + int(two) :].ne("").any(axis=1), "")
    if values.empty:
        return []
    numbers = pd.to_numeric(seconds, errors="coerce")
    different = {text: f"{float(text):g}" if is_number(text) else text for text in set(values)}
    odd = {text for text, value in different.items() if is_number(text) and value not in ("0", "1")}
    faulty = values.isin({"", *odd}) | (numbers != np.arange(len(numbers)))
    refuse_lines(
        path.name,
        fields.index[faulty],
        "With a value per second, each line holds 0, 1 or a label, and seconds, if given, count 0, 1, 2, ... without "
        "gaps. Correct it, or write start,end,label.",
        lambda line: _quote(fields.loc[line]),
    )
    labels = [CODES.get(text.lower(), text) for text in values.map(different)]
    edges = [i for i in range(len(labels)) if i == 0 or labels[i] != labels[i - 1]]
    runs = zip(edges, [*edges[1:], len(labels)], strict=True)
    return [(float(start), float(stop), labels[start]) for start, stop in runs if labels[start] != BACKGROUND]


def write_seconds(table, path, duration=None, **_):
    """Write one line per second: the label that covers half of it (1 for "cry"), else 0."""
    if duration is None:
        raise ValueError(
            "A file with a value per second goes on to the end of the recording. Pass duration=, in seconds."
        )
    for label in table["label"]:
        if is_number(label) or label.lower() in (*CODES, BACKGROUND):
            raise ValueError(
                f"annotations: the label {label!r} is a number or word that means crying or nothing in a file with a "
                "value per second. Rename it, or choose another format."
            )
    start = np.arange(np.ceil(duration - 1e-6))
    classes = classify(table, LabelMap(positive=None), start, start + 1, duration=duration)[0]
    codes = {BACKGROUND: "0", "cry": "1"}
    lines = [codes.get(label, label) for label in classes]
    if lines and lines[0] not in ("0", "1"):
        lines.insert(0, "label")  # a label in the first line could be taken for the name of the column
    quoted = [one if one in ("0", "1") or LABEL.fullmatch(one) else _quoted(one) for one in lines]
    path.write_text("".join(f"{line}\n" for line in quoted), encoding="utf-8", newline="\n")


def _quoted(text):
    return '"{}"'.format(text.replace('"', '""'))


def is_childproject(lines):
    """Whether the first line names ChildProject's columns."""
    return bool(lines) and {"segment_onset", "segment_offset"} <= set(re.split(r'[,"\s]+', lines[0]))


def _childproject_rows(row):
    """Return the annotations of one row of ChildProject's table."""
    onset, offset = float(row["segment_onset"]) / 1000, float(row["segment_offset"]) / 1000
    known = {name: value for name, value in row.items() if value not in ("", "NA")}
    cries = ast.literal_eval(known.get("cries", "[]"))
    if cries:
        # Cries that LENA found within the segment, in seconds; its own label would contradict them.
        return [(float(cry["start"]), float(cry["end"]), "cry") for cry in cries]
    label = VCM_TYPES.get(known.get("vcm_type", ""))
    if label != "cry":
        label = known.get("label", label) or known.get("speaker_type", "unknown")
    return [(onset, offset, label)]


def read_childproject(path, recording=None, **_):
    """Read ChildProject's table of annotations, with times in milliseconds."""
    table = read_named_table(path, skipinitialspace=True)
    needed = {"segment_onset", "segment_offset"}
    if not needed <= set(table) or not {"vcm_type", "speaker_type", "label", "cries"} & set(table):
        raise ValueError(
            f"{path.name}: the columns are [{list_names(table.columns)}], but segment_onset and segment_offset, in "
            "milliseconds, and vcm_type, speaker_type, label or cries are needed. Rename the columns."
        )
    source = next((name for name in ("recording_filename", "raw_filename") if name in table), None)
    rows, faulty = [], {}
    for line, row in table.to_dict("index").items():
        try:
            rows += [(row.get(source), *annotation) for annotation in _childproject_rows(row)]
        # The last three: a list that is too large or nested too deeply.
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


def write_childproject(table, path, recording, **_):
    """Write ChildProject's table: crying as ``CHI`` with ``vcm_type`` Y, and each label in the column ``label``."""
    if (table["label"] == "NA").any():
        raise ValueError("annotations: the label 'NA' means 'no label' in ChildProject's tables. Rename it.")
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
