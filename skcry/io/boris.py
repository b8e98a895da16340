"""Annotations in BORIS's tabular events: one row per start and per stop of a behaviour."""

import pandas as pd

from . import columns
from .text_files import (
    MAX_COLUMNS,
    choose,
    list_names,
    names_of_columns,
    read_lines,
    read_table,
    refuse_lines,
    refuse_more_fields,
)

TIME, BEHAVIOR, SUBJECT = "Time", "Behavior", "Subject"
KINDS = ("Behavior type", "Status")  # columns that hold START, STOP or POINT, in newer and older versions
OBSERVATION = "Observation id"
N_ABOVE = 100  # lines above the table, in older versions: the name of the observation and its media


def _names_events(fields):
    return {TIME, BEHAVIOR} <= set(fields) and bool(set(KINDS) & set(fields))


def _find_header(lines):
    """Return place and separator of the line that names the columns, or None."""
    for place, line in enumerate(lines[:N_ABOVE]):
        for sep in columns.SEPARATORS:
            if _names_events(columns.split(line, sep)):
                return place, sep
    return None


def is_boris(lines):
    """Whether one of the first lines names BORIS's columns of events."""
    return _find_header(lines) is not None


def read_boris(path, tier=None, recording=None, **_):
    """Read the behaviours of one subject (``tier``) in one observation (``recording``), from START to STOP."""
    found = _find_header(list(read_lines(path, "CSV").values()))
    if found is None:
        raise ValueError(
            f"{path.name}: no line names the columns {TIME!r}, {BEHAVIOR!r} and {' or '.join(map(repr, KINDS))}. "
            "Export tabular events from BORIS."
        )
    place, sep = found
    fields = read_table(path, sep=sep, n_columns=(1, MAX_COLUMNS), skip_blank_lines=False).fillna("")
    fields = fields.apply(lambda column: column.str.strip())
    fields.index += 1
    fields = fields[fields.ne("").any(axis=1)].iloc[place:]
    names = names_of_columns(fields, path.name)
    fields = fields.iloc[1:]
    refuse_more_fields(path.name, fields, names)
    table = fields.iloc[:, : len(names)].set_axis(names, axis=1)
    for column, wanted, option in ((OBSERVATION, recording, "recording"), (SUBJECT, tier, "tier")):
        if column in table and len(table):
            table = table[table[column] == choose(path.name, wanted, list(table[column].unique()), option)]
    return _paired(path, table, next(name for name in KINDS if name in table))


def _paired(path, table, kind):
    """Return one row per START and the STOP that follows, or per POINT; refuse lines without partner."""
    modifiers = [name for name in table if name.startswith("Modifier")]
    table = table.assign(seconds=table[TIME].map(columns.to_seconds).astype(float))
    rows, running, faulty = [], {}, {}
    for line, row in table.sort_values("seconds", kind="stable").to_dict("index").items():
        time, label, what = row["seconds"], row[BEHAVIOR], row[kind].upper()
        key = (label, *(row[name] for name in modifiers))
        if pd.isna(time) or not label or what not in ("START", "STOP", "POINT"):
            faulty[line] = f"{label!r} {what} at {row[TIME]!r}"
        elif what == "POINT":
            rows.append((time, time, label))
        elif (what == "START") == (key in running):
            faulty[line] = f"{label!r} {what} at {time:g} s"
        elif what == "START":
            running[key] = (time, line)
        else:
            rows.append((running.pop(key)[0], time, label))
    faulty |= {line: f"{key[0]!r} START at {time:g} s" for key, (time, line) in running.items()}
    refuse_lines(
        path.name,
        dict(sorted(faulty.items())),
        f"Each START needs a later STOP of the same behaviour, with a time in seconds ({list_names([TIME, kind])}). "
        "Correct it in BORIS.",
    )
    return rows
