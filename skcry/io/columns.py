"""Columns of annotation tables: how tools name and separate them, and how they write times."""

import csv
import re

import numpy as np

SEPARATORS = "\t;,"
ABOVE = ("#", "sep=")  # what lines above a table start with
# First words of the names of times; a unit may follow, as in "Start (s)", "onset_ms" or "Begin Time - hh:mm:ss.ms".
TIMES = {
    "onset": ("start", "onset", "begin", "tmin", "xmin"),
    "offset": ("end", "offset", "stop", "tmax", "xmax"),
    "duration": ("duration", "dur"),
}
# Units: factor to seconds, or "clock" for hours, minutes and seconds. No unit means seconds, or a clock by its colons.
UNITS = {
    "": None,
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "in s", "in sec", "in seconds", "ss msec"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds", "in ms", "in milliseconds"), 1e-3),
    **dict.fromkeys(("hh mm ss", "hh mm ss ms", "hh mm ss msec"), "clock"),
}
# Names of the other columns, in the words that `_words` makes of them.
NAMES = {
    "label": "label|labels|event label|class label",
    # These may hold something else beside a column with one of the names above.
    "text": "text|annotation|annotations|class|class name|event|behavior|behaviour|common name",
    "tier": "tier|tier name",
    "participant": "participant|subject",  # chosen like a tier, if there is no tier
    "recording": "recording|recording filename|raw filename|observation id|segment id|file|filename|file name|filepath|"
    "file path|path|audio|audio file|audio filename|audio file name|audio path|begin file|media file|media file name|"
    "media file path|wav|wav file|wav filename|sound file|sound filename|recording id|recording name|uri",
}
ROLES = {name: role for role, names in NAMES.items() for name in names.split("|")}
TIME_ROLES = {word: role for role, words in TIMES.items() for word in words}
SOUND_FILE = re.compile(
    r".+\.(?:wav|wave|flac|ogg|oga|opus|mp3|m4a|mp4|aac|3gp|amr|aiff?|caf|w64|wma|webm)", re.IGNORECASE
)
NUMBER = re.compile(  # possessive, since 65,000 digits would take minutes otherwise
    r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:e[+-]?\d++)?|[+-]?inf(?:inity)?|nan", re.IGNORECASE | re.ASCII
)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
CLOCK = re.compile(r"(\d{1,5}):([0-5]?\d):([0-5]?\d(?:[.,]\d*)?)", re.ASCII)
# What ELAN exports, in its order: hours, minutes and seconds; seconds; milliseconds.
ELAN_KINDS = {
    "hh:mm:ss.ms": re.compile(r"\d+:\d\d:\d\d[.,]\d+", re.ASCII),
    "ss.msec": re.compile(r"\d+[.,]\d+", re.ASCII),
    "msec": re.compile(r"\d+", re.ASCII),
}
ELAN_TIMES = ("Begin Time", "End Time", "Duration")
# Times in whole numbers are asked about if no row is shorter than 100, the last one ends after 3600, and they are not
# all full minutes: few tables in seconds are like this, and most in milliseconds.
MIN_LENGTH, MIN_END, MINUTE = 100, 3600, 60
AGREEMENT = 2e-3  # seconds that two notations of a time may differ: each is rounded
N_LOOKED_AT = 200  # lines that tell the columns of a table without names


def _words(name):
    """Split the name of a column into words: lower case, without punctuation."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", name.lower())


def _unit(text):
    return " ".join(_words(text))


def role_of(name):
    """Return the role of a column (those of `TIMES` and `NAMES`, or None) and the unit of times.

    A time in a unit that is not read, such as "Begin Time - PAL", has the role "other time".
    """
    words = _words(name)
    if words and words[0] in TIME_ROLES:
        unit = " ".join(words[2 if words[1:2] in (["time"], ["times"]) else 1 :])
        if unit in UNITS:
            return TIME_ROLES[words[0]], UNITS[unit]
        return ("other time" if words[1:2] == ["time"] or " - " in name else None), None
    return ROLES.get(" ".join(words)), None


def names_columns(fields):
    """Whether fields name the columns of onset and of offset or duration."""
    roles = {role_of(field)[0] for field in fields}
    return "onset" in roles and bool({"offset", "duration"} & roles)


def is_elan(names):
    """Whether the columns have the names that ELAN gives them."""
    return any(name.startswith(tuple(f"{time} - " for time in ELAN_TIMES)) for name in names)


def split(line, sep):
    """Split a line into its fields, without blanks and quotes around them."""
    if '"' not in line:
        return [field.strip() for field in line.split(sep)]
    try:
        fields = next(csv.reader([line], delimiter=sep, skipinitialspace=True), [])
    except csv.Error:
        fields = line.split(sep)
    return [field.strip() for field in fields]


def to_seconds(text, unit=None, comma=True):
    """Convert a time to seconds; NaN if it is none. ``comma``: a comma may stand for the decimal point."""
    clock = CLOCK.fullmatch(text) if unit in (None, "clock") else None
    if clock and (comma or "," not in text):
        hours, minutes, seconds = clock.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
    if comma and DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if unit == "clock" or not NUMBER.fullmatch(text):
        return np.nan
    # Thousandths by division: 1250 * 0.001 is not 1.25.
    return float(text) / 1000 if unit == 1e-3 else float(text)


def is_time(text, comma=True):
    """Whether a text is a time, in seconds or as hours, minutes and seconds."""
    return not np.isnan(to_seconds(text, comma=comma)) or text.lower().lstrip("+-") == "nan"


def refuse_milliseconds(name, onset, offset):
    """Raise ValueError if times without unit, arrays of shape (n_rows,), look like milliseconds."""
    known = np.isfinite(onset) & np.isfinite(offset)
    onset, offset = onset[known], offset[known]
    times = np.concatenate([onset, offset])
    whole = len(times) and (times % 1 == 0).all() and (times % MINUTE != 0).any()
    if whole and (offset - onset).min() >= MIN_LENGTH and offset.max() > MIN_END:
        raise ValueError(
            f"{name}: are the times milliseconds? All are whole numbers, and the shortest row would last "
            f"{(offset - onset).min():g} s. Name the columns start_ms, end_ms, label, or start_s, end_s, label, in the "
            "first line."
        )


def content(lines):
    """Leave out the comments above a table: the lines that start with #, and a separator for spreadsheets."""
    start = next((i for i, line in enumerate(lines) if not line.lstrip().startswith(ABOVE)), len(lines))
    return lines[start:]


def find_separator(lines, recognise=names_columns):
    """Return the separator with which the first line names its columns or starts with two times; a comma by default."""
    lines = content(lines)
    for sep in SEPARATORS if lines else "":
        fields, comma = split(lines[0], sep), sep != ","
        if recognise(fields) or (len(fields) > 1 and all(is_time(text, comma) for text in fields[:2])):
            return sep
        if len(fields) > 1 and elan_names([split(line, sep) for line in lines[:N_LOOKED_AT]]):
            return sep
    return ","


def elan_names(rows):
    """Return the names of the columns of ELAN's export without them; None if the rows are no such export.

    Its rows hold tier and participant (or not), begin, end and duration (or not), each in up to three notations, and
    the text. What another kind of table could mean as well is refused.
    """
    width = max(map(len, rows), default=0)
    if width < 3 or any(len(row) != width for row in rows):
        return None
    columns = list(zip(*rows, strict=True))
    kinds = [
        next((kind for kind, form in ELAN_KINDS.items() if all(map(form.fullmatch, column))), None)
        for column in columns
    ]
    n_before = next((i for i, kind in enumerate(kinds) if kind), width)
    times = kinds[n_before:-1]
    units = list(dict.fromkeys(times))
    n_times = len(times) // max(1, len(units))
    if n_before > 2 or n_times not in (2, 3) or times != units * n_times:
        return None
    if [*times, kinds[-1]] == units * 3:  # a table that ends with a third time, or with labels that look like one
        return None
    if n_times == 3:
        values = [[to_seconds(row[i], UNITS[_unit(kinds[i])]) for i in range(n_before, width - 1)] for row in rows]
        onset, offset, duration = np.array(values).reshape(len(rows), 3, len(units)).transpose(1, 0, 2)
        if (np.abs(offset - onset - duration) > AGREEMENT).any():
            return None
    # Two times in one notation may stand in a table of another kind; whole numbers may be seconds.
    sure = "hh:mm:ss.ms" in units or len(units) > 1 or (units == ["ss.msec"] and (n_times == 3 or n_before == 2))
    if not sure and not (n_times == 3 and n_before):
        return None
    before = ["Tier", "Participant"][:n_before]
    return [*before, *(f"{time} - {unit}" for time in ELAN_TIMES[:n_times] for unit in units), "Annotation"]


def is_table(lines):
    """Whether lines are a table with names of columns, or an export of ELAN without them."""
    lines = content(lines)
    if not lines:
        return False
    sep = find_separator(lines)
    return names_columns(split(lines[0], sep)) or bool(elan_names([split(line, sep) for line in lines[:N_LOOKED_AT]]))
