"""Annotations in text files of lines: Audacity's labels, Raven's selection tables, RTTM."""

import csv
import re

import pandas as pd

from .text_files import choose, is_number, list_names, read_lines, read_table, refuse_lines, shorten

BEGIN, END = "Begin Time (s)", "End Time (s)"
RAVEN_LABELS = ("annotation", "label")
# What Raven adds to a selection by itself; measurements, such as "Delta Time (s)", end with their unit.
RAVEN_OWN = re.compile(r"Selection|View|Channel|(Begin|End) (File|Path)|.*\)", re.IGNORECASE)
# Raven asks for a band of frequencies; this one shows all there is at 16 kHz.
LOW_FREQ, HIGH_FREQ = "0.0", "8000.0"
# Lines that RTTM has besides those that say who speaks (NIST, Rich Transcription 2009, appendix A).
RTTM_OTHERS = {"SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP"}
RTTM_OTHERS |= {"SU", "CB", "A/P", "SPKR-INFO"}


def _refuse_without_label(path, rows, what):
    """Rows with labels, or without any; a label that is missing between others was forgotten."""
    if rows and not any(label for *_, label in rows.values()):
        return [row[:2] for row in rows.values()]
    faulty = {line: f"no label from {row[0]:g} s to {row[1]:g} s" for line, row in rows.items() if not row[2]}
    refuse_lines(path.name, faulty, f"Others have one. Give each {what} a label, or none at all where all mean crying.")
    return list(rows.values())


def is_audacity(lines):
    """Whether lines are Audacity's labels: separated by tabs, without names of columns."""
    return bool(lines) and "\t" in lines[0] and not is_raven(lines)


def read_audacity(path):
    """Read Audacity's labels: start, end and label, separated by tabs."""
    rows, faulty = {}, {}
    for number, line in read_lines(path).items():
        fields = [field.strip() for field in line.lstrip("\ufeff").split("\t")]
        # A label on a band of frequencies has a second line: backslash, low, high.
        if fields[0] == "\\":
            continue
        fields += [""] * (3 - len(fields))
        if not is_number(fields[0]) or not is_number(fields[1]) or any(fields[3:]):
            faulty[number] = repr(line)
        else:
            rows[number] = (float(fields[0]), float(fields[1]), fields[2])
    refuse_lines(
        path.name,
        faulty,
        "A line of Audacity's labels holds start and end, as numbers in seconds with a decimal point, and a label. "
        "Correct it; fields are separated by tabs.",
    )
    return _refuse_without_label(path, rows, "line")


def write_audacity(table, path):
    """Write Audacity's labels."""
    lines = [f"{row.onset:.6f}\t{row.offset:.6f}\t{row.label}\n" for row in table.itertuples()]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def is_raven(lines):
    """Whether the first line names Raven's columns."""
    names = lines[0].lstrip("\ufeff").lower().split("\t") if lines else []
    return BEGIN.lower() in [name.strip() for name in names] and not is_number(names[0])


def read_raven(path, tier=None):
    """Read a selection table of Raven; ``tier`` names the column of labels."""
    try:
        table = read_table(path, "text", sep="\t", quoting=csv.QUOTE_NONE, skip_blank_lines=False)
    except pd.errors.EmptyDataError as error:
        raise ValueError(
            f"{path.name} cannot be read as Raven's selection table ({error}). Save it from Raven again."
        ) from None
    table = table.rename(columns=lambda name: str(name).lstrip("\ufeff").strip()).fillna("").map(str.strip)
    table.index += 2  # line numbers: the first names the columns
    table = table[table.ne("").any(axis=1)]
    if not {BEGIN, END} <= set(table):
        raise ValueError(
            f"{path.name}: the columns are [{list_names(table.columns)}], but {BEGIN!r} and {END!r} are needed, "
            "separated by tabs. Save the selection table from Raven again, with these."
        )
    others = [name for name in table if not RAVEN_OWN.fullmatch(name)]
    named = [name for name in others if name.lower() in RAVEN_LABELS]
    if tier is not None:
        column = choose(path.name, tier, list(table.columns), "tier")
    elif others and not named:
        raise ValueError(f"{path.name}: which column holds the labels, of [{list_names(others)}]? Name it with tier=.")
    else:
        column = named[0] if named else None
    files = sorted(set(table.get("Begin File", pd.Series(dtype=str))) - {""})
    if len(files) > 1:
        raise ValueError(
            f"{path.name} holds selections of {len(files)} recordings: {shorten(', '.join(files[:50]))}, whose times "
            "count from the first. Save a table per recording."
        )
    faulty = table.index[~table[[BEGIN, END]].map(is_number).all(axis=1)]
    refuse_lines(
        path.name,
        faulty,
        "Times are numbers in seconds with a decimal point. Correct it.",
        lambda line: f"from {table.loc[line, BEGIN]!r} to {table.loc[line, END]!r}",
    )
    table = table.assign(label=table[column] if column else "")
    if "Selection" in table:
        # Each selection stands once per view, waveform and spectrogram.
        table = table.drop_duplicates(["Selection", BEGIN, END, "label"])
    rows = {line: (float(row[BEGIN]), float(row[END]), row["label"]) for line, row in table.to_dict("index").items()}
    return _refuse_without_label(path, rows, "selection")


def write_raven(table, path, tier=None):
    """Write a selection table of Raven, with one view."""
    names = ["Selection", "View", "Channel", BEGIN, END, "Low Freq (Hz)", "High Freq (Hz)", tier or "Annotation"]
    lines = ["\t".join(names)]
    for row in table.itertuples():
        times = f"{row.onset:.6f}\t{row.offset:.6f}"
        lines.append(f"{row.Index + 1}\tSpectrogram 1\t1\t{times}\t{LOW_FREQ}\t{HIGH_FREQ}\t{row.label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def read_rttm(path, recording=None):
    """Read the SPEAKER lines of one recording in an RTTM file."""
    rows, faulty = [], {}
    for number, line in read_lines(path).items():
        fields = line.lstrip("\ufeff").split()
        if fields[0].startswith(";;") or fields[0] in RTTM_OTHERS:
            continue
        if fields[0] != "SPEAKER" or len(fields) < 8 or not is_number(fields[3]) or not is_number(fields[4]):
            faulty[number] = repr(line)
            continue
        onset, duration = float(fields[3]), float(fields[4])
        rows.append((fields[1], onset, round(onset + duration, 6), fields[7]))
    refuse_lines(
        path.name,
        faulty,
        "A line of RTTM reads: SPEAKER file channel onset duration <NA> <NA> label, with times in seconds. Correct it.",
    )
    names = list(dict.fromkeys(row[0] for row in rows))
    if not names and recording is None:
        return []
    chosen = choose(path.name, recording, names, "recording")
    return [row[1:] for row in rows if row[0] == chosen]


def write_rttm(table, path, recording):
    """Write SPEAKER lines, which can hold no blanks."""
    for what, text in [("recording", recording), *(("label", text) for text in table["label"])]:
        if not text or re.search(r"\s", text):
            raise ValueError(f"{what} {text!r} holds blanks, which separate the fields of RTTM. Replace them by '_'.")
    lines = [
        f"SPEAKER {recording} 1 {row.onset:.6f} {row.offset - row.onset:.6f} <NA> <NA> {row.label} <NA> <NA>\n"
        for row in table.itertuples()
    ]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
