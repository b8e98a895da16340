"""LENA's .its files: cries, and clock times."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from .._typing import PathLike
from .text_files import read_xml, shorten

# ISO 8601: "PT83.12S"; newer files may have hours and minutes.
CRY = re.compile(r"(?:start|end)Cry(\d+)")
DURATION = re.compile(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d*)?)S)?")


def _seconds(element, attribute, name):
    """Return an attribute of an element in seconds; ``name`` is the file."""
    text = element.get(attribute)
    match = DURATION.fullmatch(text or "")
    if not match or not any(match.groups()):
        keys = ("num", "spkr", "startTime")
        place = " ".join(f'{key}="{shorten(element.get(key))}"' for key in keys if element.get(key))
        raise ValueError(
            f"{name}: <{element.tag} {place}> has {attribute}={text and shorten(text)!r}, which is no time such as "
            "'PT12.34S'. Export it from LENA again."
        )
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return round(((days * 24 + hours) * 60 + minutes) * 60 + seconds, 6)


def _recordings(path):
    """List the elements of the stretches of a recording."""
    # The same stretches stand again in ProcessingUnit/Bar, by periods of 5 minutes.
    recordings = read_xml(path, "ITS", "LENA's .its file").findall("./ProcessingUnit/Recording")
    if not recordings:
        raise ValueError(f"{path.name} holds no <Recording>. Export it from LENA again.")
    return recordings


def read_its(path, **_):
    """Read the cries of the key child: ``startCry1`` to ``endCry1``, ``startCry2``, ... of each segment."""
    rows = []
    for segment in (segment for recording in _recordings(path) for segment in recording.iter("Segment")):
        for number in dict.fromkeys(match[1] for match in map(CRY.fullmatch, segment.attrib) if match):
            onset = _seconds(segment, f"startCry{number}", path.name)
            rows.append((onset, _seconds(segment, f"endCry{number}", path.name), "cry"))
    return rows


def read_its_clock(path: PathLike) -> pd.DataFrame:
    """Read the clock time at which each stretch of a LENA recording starts.

    A recorder that is paused and resumed continues the same audio file, so the time of day cannot be computed from the
    position in the file and the start of the recording alone.

    Parameters
    ----------
    path : str or path-like
        LENA's ``.its`` file.

    Returns
    -------
    DataFrame of shape (n_stretches, 3)
        Columns ``onset, offset`` (float, seconds in the audio file) and ``start`` (Timestamp in UTC), sorted by onset.
        For local time: ``clock["start"].dt.tz_convert("America/Chicago")``.

    Raises
    ------
    OSError
        If the file does not exist.
    ValueError
        If it is not an ``.its`` file, has no recording, or a time is missing.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skcry.io import read_its_clock
    >>> text = '''<ITS><ProcessingUnit>
    ... <Recording num="1" startClockTime="2024-05-01T08:00:00Z" startTime="PT0.00S" endTime="PT3600.00S"/>
    ... </ProcessingUnit></ITS>'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "monday.its")
    ...     _ = path.write_text(text)
    ...     read_its_clock(path)
       onset  offset                     start
    0    0.0  3600.0 2024-05-01 08:00:00+00:00
    """
    path = Path(path)
    rows = []
    for recording in _recordings(path):
        onset, offset = (_seconds(recording, attribute, path.name) for attribute in ("startTime", "endTime"))
        try:
            clock = pd.to_datetime(recording.get("startClockTime"), utc=True)
        except (ValueError, OverflowError):
            clock = None
        rows.append((onset, offset, clock))
        if pd.isna(clock):
            raise ValueError(
                f"{path.name}: <Recording> from {onset:g} s to {offset:g} s has no startClockTime with date and time. "
                "Export it from LENA again."
            )
    return pd.DataFrame(rows, columns=["onset", "offset", "start"]).sort_values("onset", ignore_index=True)
