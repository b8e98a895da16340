"""Annotations in text files of lines: Audacity's labels, Raven's selection tables, RTTM."""

import csv
import re

from .columns import is_table
from .text_files import choose, is_number, list_names, read_lines, read_named_table, refuse_lines

BEGIN, END = "Begin Time (s)", "End Time (s)"
RAVEN_LABELS = ("annotation", "label")
# Columns that Raven adds itself; measurements, such as "Delta Time (s)", end with their unit.
RAVEN_OWN = re.compile(r"Selection|View|Channel|(Begin|End) (File|Path)|.*\)", re.IGNORECASE)
# Raven requires a frequency band; this one is the whole band at 16 kHz.
LOW_FREQ, HIGH_FREQ = "0.0", "8000.0"
# Types of RTTM lines other than SPEAKER (NIST, Rich Transcription 2009, appendix A).
RTTM_OTHERS = {"SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP"}
RTTM_OTHERS |= {"SU", "CB", "A/P", "SPKR-INFO"}


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
    """Read Audacity's labels: start, end and label, separated by tabs."""
    rows, faulty = {}, {}
    for number, line in read_lines(path).items():
        fields = [field.strip() for field in line.split("\t")]
        # A label with a frequency band has a second line: backslash, low, high.
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
        "A line of Audacity's labels holds start and end in seconds, with a decimal point, and a label, separated by "
        "tabs. Correct it.",
    )
    return _refuse_without_label(path, rows, "line")


def write_audacity(table, path, **_):
    """Write Audacity's labels."""
    lines = [f"{row.onset:.6f}\t{row.offset:.6f}\t{row.label}\n" for row in table.itertuples()]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def is_raven(lines):
    """Whether the first line names Raven's columns."""
    names = lines[0].lower().split("\t") if lines else []
    return BEGIN.lower() in [name.strip() for name in names] and not is_number(names[0])


def read_raven(path, tier=None, **_):
    """Read a selection table of Raven; ``tier`` names the column of labels."""
    table = read_named_table(path, "text", sep="\t", quoting=csv.QUOTE_NONE, skip_blank_lines=False)
    if not {BEGIN, END} <= set(table):
        raise ValueError(
            f"{path.name}: the columns are [{list_names(table.columns)}], but {BEGIN!r} and {END!r} are needed, "
            "separated by tabs. Save the selection table from Raven with these."
        )
    others = [name for name in table if not RAVEN_OWN.fullmatch(name)]
    named = [name for name in others if name.lower() in RAVEN_LABELS]
    if tier is not None:
        column = choose(path.name, tier, list(table.columns), "tier")
    elif others and not named:
        raise ValueError(f"{path.name}: which column holds the labels, of [{list_names(others)}]? Name it with tier=.")
    else:
        column = named[0] if named else None
    files = sorted(set(table.get("Begin File", ())) - {""})
    if len(files) > 1:
        raise ValueError(
            f"{path.name} holds selections of {len(files)} recordings: {list_names(files)}. Their times start at the "
            "first recording. Save one table per recording."
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
        # Each selection has one row per view (waveform, spectrogram).
        table = table.drop_duplicates(["Selection", BEGIN, END, "label"])
    rows = {line: (float(row[BEGIN]), float(row[END]), row["label"]) for line, row in table.to_dict("index").items()}
    return _refuse_without_label(path, rows, "selection")


def write_raven(table, path, tier=None, **_):
    """Write a selection table of Raven, with one view."""
    names = ["Selection", "View", "Channel", BEGIN, END, "Low Freq (Hz)", "High Freq (Hz)", tier or "Annotation"]
    lines = ["\t".join(names)]
    for row in table.itertuples():
        times = f"{row.onset:.6f}\t{row.offset:.6f}"
        lines.append(f"{row.Index + 1}\tSpectrogram 1\t1\t{times}\t{LOW_FREQ}\t{HIGH_FREQ}\t{row.label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def read_rttm(path, recording=None, **_):
    """Read the SPEAKER lines of one recording in an RTTM file."""
    rows, faulty = [], {}
    for number, line in read_lines(path).items():
        fields = line.split()
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


def write_rttm(table, path, recording, **_):
    """Write SPEAKER lines; their fields must not contain blanks."""
    for what, text in [("recording", recording), *(("label", text) for text in table["label"])]:
        if not text or re.search(r"\s", text):
            raise ValueError(f"{what} {text!r} holds blanks, which separate the fields of RTTM. Replace them by '_'.")
    lines = [
        f"SPEAKER {recording} 1 {row.onset:.6f} {row.offset - row.onset:.6f} <NA> <NA> {row.label} <NA> <NA>\n"
        for row in table.itertuples()
    ]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
