"""Annotations in tables: one row per annotation, one value per second, or ChildProject's table."""

import ast
import re

import numpy as np
import pandas as pd

from ..events import LabelMap, classify
from . import columns
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
    shorten,
)

N_FIELDS = (3, MAX_COLUMNS)  # least and most columns of a table that are read
SECOND_NAMES = ("second", "seconds", "sec", "time")
VALUE_NAMES = ("prediction", "pred", "label", "cry", "value", "class", "annotation")
BACKGROUND = "background"
CODES = {"0": BACKGROUND, "1": "cry", "false": BACKGROUND, "true": "cry"}
CODED = re.compile(r"\+?0*[01](?:\.0*)?(?:[eE][+-]?0+)?")
LABEL = re.compile(r'"(?:[^"]|"")*+"|[^",;\t\d.+-][^",;\t]*+')
UNKNOWN = "unknown"  # label of time that nobody annotated
# Times in whole numbers are asked about if no row is shorter than 100, the last one ends after 3600, and they are not
# all full minutes: few tables in seconds are like this, and most in milliseconds.
MIN_LENGTH, MIN_END, MINUTE = 100, 3600, 60
# OpenSoundscape's tables of labels or scores: one column per class.
CLASS_COLUMNS = ["file", "start_time", "end_time"]
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
    return fields[(~fields[0].str.startswith("#")).cummax()] if len(fields) else fields


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
        names = columns.elan_names([columns.split(line, sep) for line in lines])
    if names is None and columns.is_time(fields.iloc[0, 0], sep != ","):
        names = ["onset", "offset", "label"]
        _refuse_values_per_second(path, fields)
    elif names is None:
        raise ValueError(
            f"{path.name}, line {fields.index[0]}: {_quote(fields.iloc[0])} neither starts with a time in seconds nor "
            "names the columns start, end (or onset, offset) and label, separated by commas. Correct it"
            + (', or pass format="seconds" if it holds a value per second.' if fields.shape[1] == N_FIELDS[0] else ".")
        )
    table = _Table(path, fields, names, sep)
    table.leave_out_comments()
    refuse_more_fields(path.name, table.fields, names)
    table.choose_recording(recording)
    if names[:3] == CLASS_COLUMNS and not table.places("label"):
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
    return rows


def write_csv(table, path, **_):
    """Write ``start,end,label``, with names of the columns in the first line."""
    names = {"onset": "start", "offset": "end"}
    table.rename(columns=names).to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _refuse_values_per_second(path, fields):
    """Refuse two columns without names that count seconds and hold 0 or 1: they are no start and end."""
    if len(fields) > 1 and fields.iloc[:, 2:].eq("").all(axis=None) and fields[1].isin(["0", "1"]).all():
        if list(fields[0]) == [str(i) for i in range(len(fields))]:
            raise ValueError(
                f"{path.name}, line {fields.index[-1]}: {_quote(fields.iloc[-1])}, taken as start and end, ends before "
                "it starts or lasts no time. If the columns are seconds and a value for each, pass format=\"seconds\"."
            )


class _Table:
    """Fields (DataFrame of str, indexed by line number) whose columns have names, and what they mean."""

    def __init__(self, path, fields, names, sep):
        self.path, self.fields, self.names, self.comma = path, fields, names, sep != ","
        self.roles = [columns.role_of(name) for name in names]
        self.is_elan = columns.is_elan(names)
        self.tier = None

    def places(self, role):
        """List the places of the columns with a role; for None, those that have a name and no role."""
        return [i for i, (known, _) in enumerate(self.roles) if known == role and self.names[i]]

    def refuse(self, faulty, remedy):
        """Raise ValueError that quotes the faulty lines, if any."""
        lines = self.fields.index[faulty]
        refuse_lines(self.path.name, lines, remedy, lambda line: _quote(self.fields.loc[line]))

    def leave_out_comments(self):
        """Leave out the lines that start with # and hold no time; other lines with # are rows."""
        hashed = self.fields.index[self.fields[0].str.startswith("#")]
        times = self.fields.loc[hashed, self.places("onset")[0]].map(lambda text: columns.is_time(text, self.comma))
        self.fields = self.fields.drop(index=hashed[~times.astype(bool)])

    def choose_recording(self, recording):
        """Keep the rows of one recording, if a column names recordings; a row with its name alone is none."""
        named = [place for place in self.places("recording") if self.fields[place].ne("").any()]
        if not named:
            return
        n_recordings = len(self.fields[named].drop_duplicates())
        column = next((place for place in named if self.fields[place].nunique() == n_recordings), None)
        if column is None:
            raise ValueError(
                f"{self.path.name} names recordings in the columns {list_names(self.names[i] for i in named)}, which "
                "differ in how many they name. Drop all but one."
            )
        self.refuse(self.fields[column].eq(""), f"{self.names[column]!r} names no recording. Fill it in.")
        chosen = choose(self.path.name, recording, list(self.fields[column].unique()), "recording")
        rest = [i for i in range(len(self.names)) if i not in named]
        self.fields = self.fields[self.fields[column].eq(chosen) & self.fields[rest].ne("").any(axis=1)]

    def find_labels(self, tier):
        """Return the place of the column of labels (None if there is none), and keep the rows of one tier."""
        labels, others = self.places("label"), self.places(None)
        tiers = self.places("tier") or self.places("participant")
        if self.is_elan:
            labels, others = sorted([*labels, *others]), []
        if tiers and len(self.fields):
            values = self.fields[tiers[0]]
            self.tier = choose(self.path.name, tier, list(values.unique()), "tier")
            self.fields = self.fields[values == self.tier]
        elif tier in [self.names[i] for i in (*labels, *others)]:
            labels = [self.names.index(tier)]
        elif len(labels) > 1 and self.is_elan:  # a column per tier
            choose(self.path.name, tier, [self.names[i] for i in labels], "tier")
        if len(labels) > 1:
            remedy = "Drop the others." if tiers else "Name it with tier=."
            raise ValueError(
                f"{self.path.name}: which column holds the labels, of [{list_names(self.names[i] for i in labels)}]? "
                + remedy
            )
        if not labels and others:
            raise ValueError(
                f"{self.path.name}: no column is called 'label', but there are others: "
                f"[{list_names(self.names[i] for i in others)}]. Name the one that holds the labels with tier=, or "
                "drop them if every row means crying."
            )
        if labels and self.is_elan and not tiers:
            here = self.fields[labels[0]].ne("")
            # A column per tier: a row without text in this one is an annotation on another tier.
            self.fields = self.fields[here | ~here.any()]
        return labels[0] if labels else None

    def read_times(self, label=None):
        """Return onsets and offsets in seconds; refuse lines with faulty times, or without label."""
        times = {role: self._read_role(role) for role in ("onset", "offset", "duration")}
        onset, offset = times["onset"], times["offset"]
        if offset is None:
            offset = (onset + times["duration"]).round(9)
        texts = self.fields[[i for i, (role, _) in enumerate(self.roles) if role in columns.TIMES]]
        no_nan = ~texts.apply(lambda column: column.str.lower().eq("nan")).any(axis=1)
        faulty = (onset.isna() | offset.isna()) & no_nan
        if label is not None:
            faulty |= self.fields[label].eq("")
        remedy = "A line holds start and end, in seconds or hh:mm:ss, and a label. Correct it"
        one = self.fields.iloc[:, 1:].eq("").all(axis=None)
        self.refuse(faulty, remedy + (', or pass format="seconds" for a value per second.' if one else "."))
        points, commas = (texts.apply(lambda column: column.str.contains(mark, regex=False)) for mark in ".,")
        if points.any(axis=None):
            self.refuse(commas.any(axis=1), "Other times have decimal points. Write all with a point.")
        self._ask_about_milliseconds(onset, offset, label)
        return onset, offset

    def _read_role(self, role):
        """Return the times with a role, in seconds, or None; all columns that give them must agree."""
        found = {}
        for place in self.places(role):
            unit = self.roles[place][1]
            if unit in found:
                both = list_names([self.names[found[unit]], self.names[place]])
                raise ValueError(f"{self.path.name}: which column holds the {role}, of {both}? Drop the other.")
            found[unit] = place
        values = [
            self.fields[place].map(lambda text, unit=unit: columns.to_seconds(text, unit, self.comma)).astype(float)
            for unit, place in sorted(found.items(), key=lambda item: str(item[0]))
        ]
        for other in values[1:]:
            names = list_names(self.names[place] for place in found.values())
            self.refuse((values[0] - other).abs() > columns.AGREEMENT, f"{names} differ. Correct one of them.")
        return values[0] if values else None

    def _ask_about_milliseconds(self, onset, offset, label):
        """Refuse times that look like milliseconds where no name of a column tells the unit."""
        units = {self.roles[i][1] for role in ("onset", "offset", "duration") for i in self.places(role)}
        known = np.isfinite(offset)
        if label is not None:
            known &= self.fields[label] != UNKNOWN
        onset, offset = onset[known], offset[known]
        if units != {None} or onset.empty:
            return
        times = np.concatenate([onset, offset])
        whole = (times % 1 == 0).all() and (times % MINUTE != 0).any()
        if whole and (offset - onset).min() >= MIN_LENGTH and offset.max() > MIN_END:
            raise ValueError(
                f"{self.path.name}: are the times milliseconds? All are whole numbers, and the shortest row would last "
                f"{(offset - onset).min():g} s. Name the columns start_ms,end_ms,label, or start_s,end_s,label."
            )

    def read_classes(self, tier):
        """Read one column of 0 and 1 per class, as OpenSoundscape writes them."""
        classes = {self.names[i]: i for i in self.places(None)}
        if tier is not None:
            classes = {tier: classes[choose(self.path.name, tier, list(classes), "tier")]}
        values = self.fields[list(classes.values())].apply(lambda column: column.str.lower())
        if not values.isin(["0", "1", "0.0", "1.0", "false", "true"]).all(axis=None):
            raise ValueError(
                f"{self.path.name} holds scores of the classes {list_names(classes)}, not labels. Keep the rows above a "
                "threshold of your choice, and write start,end,label."
            )
        onset, offset = self.read_times()
        rows = [
            pd.DataFrame({"onset": onset, "offset": offset, "label": name})[values[i].isin(["1", "1.0", "true"])]
            for name, i in classes.items()
        ]
        return pd.concat(rows) if rows else []


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


def _unknown_rows(ranges):
    """Return rows (onset, offset, "unknown") for the time outside of ranges in seconds, to the end of the recording."""
    rows, end = [], 0.0
    for onset, offset in sorted(ranges):
        if onset > end:
            rows.append((end, onset, UNKNOWN))
        end = max(end, offset)
    return [*rows, (end, np.inf, UNKNOWN)] if ranges else []


def _range_of(row):
    """Return the range, in seconds, that was annotated around a row of ChildProject's table, or None."""
    texts = [row.get(name, "") for name in ("range_onset", "range_offset")]
    if set(texts) <= {"", "NA"}:
        return None
    onset, offset = (float(text) / 1000 for text in texts)
    if not 0 <= onset < offset < np.inf:
        raise ValueError("no range")
    return onset, offset


def read_childproject(path, recording=None, **_):
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
    source = next((name for name in ("recording_filename", "raw_filename") if name in table), None)
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
        "segment_onset, segment_offset, range_onset and range_offset are numbers in milliseconds, cries a list of start "
        "and end in seconds. Correct it.",
    )
    if source and len(table):
        table = table[table[source] == choose(path.name, recording, list(table[source].unique()), "recording")]
    known = {ranges[line] for line in table.index} - {None}
    if known:
        missing = {line: _quote(table.loc[line]) for line in table.index if ranges[line] is None}
        refuse_lines(path.name, missing, "Other rows have range_onset and range_offset. Fill them in.")
    return [*(row for line in table.index for row in rows[line]), *_unknown_rows(known)]


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
