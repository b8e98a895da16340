"""Annotations in text files of lines: Audacity's labels, Raven's selection tables, RTTM."""

import csv
import re
from pathlib import PureWindowsPath

import numpy as np

from ..events import END_TOLERANCE, UNKNOWN
from .columns import SOUND_FILE, is_table, refuse_milliseconds
from .text_files import choose, is_number, list_names, read_lines, read_named_table, refuse_lines

BEGIN, END = "Begin Time (s)", "End Time (s)"
FILE_OFFSET = "File Offset (s)"
SCORE = "Score"
# Usual names of the column of labels: the last is that of BirdNET.
RAVEN_LABELS = ("annotation", "label", "common name")
# Columns that Raven adds itself; measurements, such as "Delta Time (s)", end with their unit.
RAVEN_OWN = re.compile(r"Selection|View|Channel|(Begin|End) (File|Path)|Score|Confidence|.*\)", re.IGNORECASE)
# Raven requires a frequency band; this one is the whole band at 16 kHz.
LOW_FREQ, HIGH_FREQ = "0.0", "8000.0"
# Types of RTTM lines that are not read (NIST, Rich Transcription 2009, appendix A).
RTTM_EVENTS = {"LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP", "SU", "CB", "A/P"}
RTTM_OTHERS = RTTM_EVENTS | {"SEGMENT", "NO_RT_METADATA", "SPKR-INFO"}
RTTM_WIDTH = {"SPEAKER": 8, "NOSCORE": 5}  # least fields of the lines that are read
NA = "<NA>"


def _refuse_without_label(path, rows, what):
    """List the rows (dict from line number): all with a label or, if all mean crying, all without."""
    if rows and not any(label for *_, label in rows.values()):
        return [row[:2] for row in rows.values()]
    faulty = {line: f"no label from {row[0]:g} s to {row[1]:g} s" for line, row in rows.items() if not row[2]}
    refuse_lines(path.name, faulty, f"Others have one. Give each {what} a label, or none at all if all mean crying.")
    return list(rows.values())


def is_audacity(lines):
    """Whether lines are separated by tabs, and are no table with names of columns or export of ELAN."""
    return bool(lines) and "\t" in lines[0] and not is_raven(lines) and not is_table(lines)


def read_audacity(path, **_):
    """Read Audacity's labels: start, end and label, separated by tabs; BirdNET adds its confidence."""
    rows: dict = {}
    faulty: dict = {}
    for number, line in read_lines(path).items():
        fields = [field.strip() for field in line.split("\t")]
        # A label with a frequency band has a second line: backslash, low, high.
        if fields[0] == "\\" and len(fields) == 3 and all(map(is_number, fields[1:])) and (rows or faulty):
            continue
        fields += [""] * (4 - len(fields))
        if not is_number(fields[0]) or not is_number(fields[1]) or any(fields[4:]) or not is_number(fields[3] or 0):
            faulty[number] = repr(line)
        else:
            rows[number] = (float(fields[0]), float(fields[1]), fields[2])
    refuse_lines(
        path.name,
        faulty,
        "A line of Audacity's labels holds start and end in seconds, with a decimal point, and a label, separated by "
        "tabs. Correct it.",
    )
    if rows:
        refuse_milliseconds(path.name, *np.array([row[:2] for row in rows.values()]).T)
    return _refuse_without_label(path, rows, "line")


def write_audacity(table, path, **_):
    """Write Audacity's labels."""
    lines = [f"{row.onset:.6f}\t{row.offset:.6f}\t{row.label}\n" for row in table.itertuples()]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def is_raven(lines):
    """Whether the first line names Raven's columns."""
    names = lines[0].lower().split("\t") if lines else []
    return BEGIN.lower() in [name.strip() for name in names] and not is_number(names[0])


def _label_column(path, table, tier):
    """Return the name of the column of labels, or None if there is none."""
    if tier is not None:
        return choose(path.name, tier, list(table.columns), "tier")
    others = [name for name in table if not RAVEN_OWN.fullmatch(name) and table[name].ne("").any()]
    possible = [name for name in others if name.lower() in RAVEN_LABELS]
    if not possible:  # a text; numbers alone may be measurements
        possible = [name for name in others if not table[name].map(lambda text: is_number(text or 0)).all()]
    if len(possible) > 1 or (others and not possible):
        raise ValueError(
            f"{path.name}: which column holds the labels, of [{list_names(possible or others)}]? Name it with tier=."
        )
    return possible[0] if possible else None


def _choose_file(path, table, recording):
    """Return the selections of one recording of a table with names of files."""
    columns = [name for name in ("Begin File", "Begin Path") if name in table and table[name].ne("").any()]
    columns = columns or [name for name in table if len(table) and all(map(SOUND_FILE.fullmatch, table[name]))]
    if not columns:
        return table
    # Folders may hold files with the same name, so paths are used if they distinguish more. They may be of any system.
    names = table[max(columns, key=lambda name: table[name].nunique())]
    files = list(names.unique())
    if len(files) > 1 and FILE_OFFSET not in table:
        raise ValueError(
            f"{path.name} holds selections of {len(files)} recordings: {list_names(files)}. Their times start at the "
            f"first recording. Save the table from Raven with the measurement {FILE_OFFSET!r}, or one per recording."
        )
    same = [name for name in files if recording in (name, PureWindowsPath(name).name)]
    table = table[names == choose(path.name, same[0] if len(same) == 1 else recording, files, "recording")]
    if {"Begin File", "End File"} <= set(table):
        refuse_lines(
            path.name,
            table.index[~table["End File"].isin(["", *table["Begin File"]])],
            "The selection starts in one recording and ends in another. Split it.",
            lambda line: f"from {table.loc[line, 'Begin File']!r} to {table.loc[line, 'End File']!r}",
        )
    return table


def read_raven(path, tier=None, recording=None):
    """Read a selection table of Raven; ``tier`` names the column of labels."""
    table = read_named_table(path, "text", sep="\t", quoting=csv.QUOTE_NONE, skip_blank_lines=False)
    if not {BEGIN, END} <= set(table):
        raise ValueError(
            f"{path.name}: the columns are [{list_names(table.columns)}], but {BEGIN!r} and {END!r} are needed, "
            "separated by tabs. Save the selection table from Raven with these."
        )
    column = _label_column(path, table, tier)
    times = [name for name in (BEGIN, END, FILE_OFFSET) if name in table]
    refuse_lines(
        path.name,
        table.index[~table[times].map(is_number).all(axis=1)],
        "Times are numbers in seconds with a decimal point. Correct it.",
        lambda line: "from " + " to ".join(repr(table.loc[line, name]) for name in (BEGIN, END)),
    )
    table = _choose_file(path, table, recording)
    table = table.assign(label=table[column] if column else "", **table[times].astype(float))
    if FILE_OFFSET in table:
        # In a sequence of files, times start at the first one.
        shift = table[BEGIN] - table[FILE_OFFSET]
        if shift.max() - shift.min() > END_TOLERANCE:
            raise ValueError(
                f"{path.name}: {BEGIN!r} is {shift.min():g} to {shift.max():g} s later than {FILE_OFFSET!r}, so the "
                "selections are of several recordings. Save the table from Raven with the measurement 'Begin Path'."
            )
        table = table.assign(**{BEGIN: table[FILE_OFFSET], END: (table[END] - shift).round(6)})
    if "Selection" in table:
        # Each selection has one row per view (waveform, spectrogram).
        table = table.drop_duplicates(["Selection", BEGIN, END, "label"])
    rows = {line: (row[BEGIN], row[END], row["label"]) for line, row in table.to_dict("index").items()}
    return _refuse_without_label(path, rows, "selection")


def _score(row, missing):
    """Return the score of a row as text."""
    score = getattr(row, "score", np.nan)
    return missing if np.isnan(score) else f"{score:g}"


def write_raven(table, path, tier=None, **_):
    """Write a selection table of Raven, with one view, and the scores if there are any."""
    names = ["Selection", "View", "Channel", BEGIN, END, "Low Freq (Hz)", "High Freq (Hz)", tier or "Annotation"]
    lines = ["\t".join([*names, SCORE] if "score" in table else names)]
    for row in table.itertuples():
        times = f"{row.onset:.6f}\t{row.offset:.6f}"
        score = f"\t{_score(row, '')}" if "score" in table else ""
        lines.append(f"{row.Index + 1}\tSpectrogram 1\t1\t{times}\t{LOW_FREQ}\t{HIGH_FREQ}\t{row.label}{score}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def read_rttm(path, recording=None, **_):
    """Read the SPEAKER lines of one recording in an RTTM file; NOSCORE lines are unknown time."""
    rows, faulty, others = [], {}, set()
    for number, line in read_lines(path).items():
        fields = line.split()
        if fields[0].startswith(";;") or fields[0] in RTTM_OTHERS:
            others |= {fields[0]} & RTTM_EVENTS
        elif len(fields) < RTTM_WIDTH.get(fields[0], np.inf) or not all(map(is_number, fields[3:5])):
            faulty[number] = repr(line)
        else:
            onset, duration = float(fields[3]), float(fields[4])
            label = fields[7] if fields[0] == "SPEAKER" else UNKNOWN
            rows.append((number, fields[1], onset, round(onset + duration, 6), label))
    refuse_lines(
        path.name,
        faulty,
        "A line of RTTM reads: SPEAKER file channel onset duration <NA> <NA> label, with times in seconds. Correct it.",
    )
    names = list(dict.fromkeys(row[1] for row in rows))
    if not names and others:
        raise ValueError(
            f"{path.name} holds no SPEAKER line, but lines of type {', '.join(sorted(others))}, which are not read. "
            "Write the sounds as SPEAKER lines, or, if nothing was heard, drop these lines."
        )
    if not names and recording is None:
        return []
    chosen = choose(path.name, recording, names, "recording")
    rows = [row for row in rows if row[1] == chosen]
    refuse_lines(
        path.name,
        {number: f"no label from {onset:g} s to {offset:g} s" for number, _, onset, offset, name in rows if name == NA},
        "Write the name of the speaker or the sound as eighth field.",
    )
    return [row[2:] for row in rows]


def write_rttm(table, path, recording, **_):
    """Write SPEAKER lines, whose fields must not contain blanks, with the scores as confidence."""
    for what, text in [("recording", recording), *(("label", text) for text in table["label"])]:
        if not text or re.search(r"\s", text) or text == NA:
            raise ValueError(
                f"{what} {text!r} holds blanks, which separate the fields of RTTM, or means none there. Replace them "
                "by '_', or it by a name."
            )
    lines = []
    for row in table.itertuples():
        score = _score(row, NA)
        times = f"{row.onset:.6f} {row.offset - row.onset:.6f}"
        lines.append(f"SPEAKER {recording} 1 {times} {NA} {NA} {row.label} {score} {NA}\n")
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
