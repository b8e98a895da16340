"""Annotations in tables: one row per annotation, one value per second, or ChildProject's table."""

import ast
import re

import numpy as np
import pandas as pd

from ..events import LabelMap, classify, unknown_rows
from . import columns
from .named_table import CLASS_COLUMNS, NamedTable
from .text_files import (
    MAX_COLUMNS,
    choose,
    is_number,
    list_names,
    names_of_columns,
    read_lines,
    read_named_table,
    read_table,
    refuse_lines,
    refuse_more_fields,
    refuse_swallowed_rows,
    shorten,
)

N_FIELDS = (3, MAX_COLUMNS)  # least and most columns of a table that are read
SECOND_NAMES = ("second", "seconds", "sec", "time")
VALUE_NAMES = ("prediction", "pred", "label", "cry", "value", "class", "annotation")
BACKGROUND = "background"
CODES = {"0": BACKGROUND, "1": "cry", "false": BACKGROUND, "true": "cry"}
CODED = re.compile(r"\+?0*[01](?:\.0*)?(?:[eE][+-]?0+)?")
LABEL = re.compile(r'"(?:[^"]|"")*+"|[^",;\t\d.+-][^",;\t]*+')
RAVEN_OFFSET = "File Offset (s)"  # gives the times in each of several recordings
# ChildProject's codes of child vocalisations.
VCM_TYPES = {"Y": "cry", "L": "laughing", "C": "canonical", "N": "non-canonical", "J": "junk"}
SPEAKER_TYPES = ("CHI", "OCH", "FEM", "MAL")


def _quote(fields):
    """Join the fields of a line, without empty ones at its end."""
    return shorten(repr(",".join(fields).rstrip(",")))


def _read_fields(path, sep=","):
    """Read a table as DataFrame of str, without blank lines and the comments above it, indexed by line number."""
    fields = read_table(path, sep=sep, n_columns=N_FIELDS, skip_blank_lines=False, skipinitialspace=True)
    fields = fields.fillna("").apply(lambda column: column.str.strip())
    fields.index += 1
    fields = fields[fields.ne("").any(axis=1)]
    refuse_swallowed_rows(path.name, fields, sep)
    return fields[(~fields[0].str.startswith(columns.ABOVE)).cummax()] if len(fields) else fields


def read_csv(path, tier=None, recording=None, **_):
    """Read a table with one row per annotation: start, end and label, or columns that are named."""
    lines = columns.content(list(read_lines(path, "CSV").values()))
    sep = columns.find_separator(lines)
    fields = _read_fields(path, sep)
    if fields.empty:
        return []
    has_header = columns.names_columns(fields.iloc[0])
    if has_header:
        names, fields = names_of_columns(fields, path.name), fields.iloc[1:]
    else:
        names = columns.elan_names([columns.split(line, sep) for line in lines[: columns.N_LOOKED_AT]])
        # All lines must agree.
        names = names and columns.elan_names([columns.split(line, sep) for line in lines])
    if names is None and columns.is_time(fields.iloc[0, 0], sep != ","):
        names = ["onset", "offset", "label"]
        _refuse_values_per_second(path, fields)
    elif names is None:
        raise ValueError(
            f"{path.name}, line {fields.index[0]}: {_quote(fields.iloc[0])} neither starts with a time in seconds nor "
            "names the columns start, end (or onset, offset) and label, separated by commas. Correct it"
            + (', or pass format="seconds" if it holds a value per second.' if fields.shape[1] == N_FIELDS[0] else ".")
        )
    if RAVEN_OFFSET in names:
        raise ValueError(
            f"{path.name} is a selection table of Raven, whose times may start at another file. Save it with tabs, and "
            'pass format="raven".'
        )
    table = NamedTable(path, fields, names, sep)
    table.leave_out_comments()
    refuse_more_fields(path.name, table.fields, names)
    table.choose_recording(recording)
    if names[:3] == CLASS_COLUMNS and table.places(None) and not table.places("label") and not table.places("text"):
        return table.read_classes(tier)
    label, blank = table.find_labels(tier), None
    if label is not None and table.fields[label].eq("").all() and (table.is_elan or not has_header):
        blank, label = table.tier, None
    onset, offset = table.read_times(label)
    rows = pd.DataFrame({"onset": onset, "offset": offset})
    if label is not None:
        rows["label"] = table.fields[label]
    elif blank is not None:
        rows["label"] = blank  # an annotation of ELAN without text
    return rows.reset_index(drop=True)


def write_csv(table, path, sep=",", **_):
    """Write ``start,end,label``, with names of the columns in the first line."""
    names = {"onset": "start", "offset": "end"}
    table.rename(columns=names).to_csv(path, sep=sep, index=False, encoding="utf-8", lineterminator="\n")


def write_tsv(table, path, **_):
    """Write the same with tabs."""
    write_csv(table, path, sep="\t")


def _refuse_values_per_second(path, fields):
    """Refuse two columns without names that count seconds and hold 0 or 1: they are no start and end."""
    two = fields.iloc[:, 2:].eq("").all(axis=None) and fields[1].isin(["0", "1"]).all()
    if two and len(fields) > 1 and list(fields[0]) == [str(i) for i in range(len(fields))]:
        raise ValueError(
            f"{path.name}, line {fields.index[-1]}: {_quote(fields.iloc[-1])}, taken as start and end, ends before it "
            'starts or lasts no time. If the columns are seconds and a value for each, pass format="seconds".'
        )


def _second_columns(names):
    """Find columns of second, value and recording by their names: lists of places; None if the two first are not there.

    Several places for one of them are ambiguous.
    """
    names = [name.strip('" ').lower() for name in names]
    seconds = [place for place, name in enumerate(names) if name in SECOND_NAMES]
    roles = [columns.role_of(name)[0] for name in names]
    if not seconds or {"onset", "offset"} & set(roles):
        return None
    # The other one of two columns is the value, under any name.
    values = [1 - seconds[0]] if len(names) == 2 else [i for i, name in enumerate(names) if name in VALUE_NAMES]
    return (seconds, values, [i for i, role in enumerate(roles) if role == "recording"]) if values else None


def is_seconds(lines):
    """Whether lines hold one value per second: named columns, or a single column of 0, 1 and labels.

    Labels alone may be notes: they need a name of the column in the first line.
    """
    lines = columns.content(lines)
    if not lines:
        return False
    if _second_columns(columns.split(lines[0], columns.find_separator(lines, _second_columns))):
        return True
    named = lines[0].strip('" ').lower() in VALUE_NAMES
    lines = set(lines[named:])  # a day has few different values
    if not named and not any(CODED.fullmatch(line.strip()) for line in lines):
        return False
    stripped = ((line, line.strip()) for line in lines)
    return all((CODED.fullmatch(text) or LABEL.fullmatch(text)) and line.isprintable() for line, text in stripped)


def read_seconds(path, recording=None, **_):
    """Read one value per second; runs of equal values become annotations."""
    lines = list(read_lines(path, "CSV").values())
    fields = _read_fields(path, columns.find_separator(lines, _second_columns))
    if fields.empty:
        return []
    header = fields.iloc[0]
    places = _second_columns(header[header.ne("")])
    if places:
        names = names_of_columns(fields, path.name)
        for what, found in zip(("seconds", "values", "recordings"), places, strict=True):
            if len(found) > 1:
                raise ValueError(
                    f"{path.name}: which column holds the {what}, of [{list_names(names[i] for i in found)}]? Drop the "
                    "others."
                )
        fields = fields.iloc[1:]
        refuse_more_fields(path.name, fields, names)
        (second,), (value,), which = places
        if which and len(fields):
            known = list(fields[which[0]].unique())
            fields = fields[fields[which[0]] == choose(path.name, recording, known, "recording")]
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
    return bool(lines) and {"segment_onset", "segment_offset"} <= set(re.split(r'[,;"\s]+', lines[0]))


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


def _range_of(row):
    """Return the range, in seconds, that was annotated around a row of ChildProject's table, or None."""
    texts = [row.get(name, "") for name in ("range_onset", "range_offset")]
    if set(texts) <= {"", "NA"}:
        return None
    onset, offset = (float(text) / 1000 for text in texts)
    if not 0 <= onset < offset < np.inf:
        raise ValueError("no range")
    return onset, offset


def read_childproject(path, tier=None, recording=None, **_):
    """Read ChildProject's table of annotations, with times in milliseconds; outside of its ranges is unknown time."""
    lines = list(read_lines(path, "CSV").values())
    sep = columns.find_separator(lines, lambda fields: "segment_onset" in fields)
    table = read_named_table(path, sep=sep, skipinitialspace=True)
    needed = {"segment_onset", "segment_offset"}
    if not needed <= set(table) or not {"vcm_type", "speaker_type", "label", "cries"} & set(table):
        raise ValueError(
            f"{path.name}: the columns are [{list_names(table.columns)}], but segment_onset and segment_offset, in "
            "milliseconds, and vcm_type, speaker_type, label or cries are needed. Rename the columns."
        )
    others = [name for name in table if columns.role_of(name)[0] == "recording"]
    source = next((name for name in ("recording_filename", "raw_filename", *others) if name in table), None)
    rows, faulty, ranges = {}, {}, {}
    for line, row in table.to_dict("index").items():
        try:
            rows[line], ranges[line] = _childproject_rows(row), _range_of(row)
        # The last three: a list that is too large or nested too deeply.
        except (ValueError, SyntaxError, TypeError, KeyError, OverflowError, RecursionError, MemoryError):
            faulty[line] = _quote(row.values())
    refuse_lines(
        path.name,
        faulty,
        "segment_onset and segment_offset, range_onset and range_offset are numbers in milliseconds, cries a list of "
        "start and end in seconds. Correct it.",
    )
    if source and len(table):
        table = table[table[source] == choose(path.name, recording, list(table[source].unique()), "recording")]
    sets = list(table["set"].unique()) if "set" in table else []
    if len(sets) > 1:  # of several annotators or tools
        table = table[table["set"] == choose(path.name, tier, sets, "tier")]
    known = {ranges[line] for line in table.index} - {None}
    if known:
        missing = {line: _quote(table.loc[line]) for line in table.index if ranges[line] is None}
        refuse_lines(path.name, missing, "Other rows have range_onset and range_offset. Fill them in.")
    return [*(row for line in table.index for row in rows[line]), *(unknown_rows(known) if known else [])]


def write_childproject(table, path, recording, **_):
    """Write ChildProject's table: crying as ``CHI`` with ``vcm_type`` Y, and each label in the column ``label``."""
    if (table["label"] == "NA").any():
        raise ValueError("annotations: the label 'NA' means 'no label' in ChildProject's tables. Rename it.")
    if np.isinf(table["offset"]).any():
        raise ValueError(
            "annotations: an offset is infinite, which ChildProject's tables cannot hold. Pass duration=, in seconds."
        )
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
