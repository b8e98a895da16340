"""The sounds that scenes are mixed from: which are there, who made them, and where there is crying in them."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import maximum_filter1d

from skcry.io import read_audio
from skcry.nn.cry_cnn import SR

STEP = 1600  # timepoints from one judgement of the teacher to the next, 0.1 s
HELD = 7  # one group in so many is held out of training: for the threshold and the calibration
LOUD_DB, QUIET_DB = -20.0, -25.0  # relative to the loud parts of a file: above it sounds, below it does not
CERTAIN = 0.1  # score of the teacher, within a second, from which what sounds is a cry
CRIES = ("cry upload", "cry")


@dataclass
class Source:
    """A file: its sound, normalised to a peak of 1, and in steps of 0.1 s whether it holds a cry.

    ``crying`` is 1, 0, or -1 where neither level nor teacher can tell.
    """

    file: str
    kind: str
    group: str
    y: np.ndarray = field(repr=False)
    crying: np.ndarray = field(repr=False)


def is_held(group):
    """Tell whether a group (family, voice, original recording) is held out of training, the same in every run."""
    return int.from_bytes(hashlib.sha256(str(group).encode()).digest()[:4], "big") % HELD == 0


def groups_of(folder):
    """Return the groups of the recordings in a folder such as those of `clips.csv` and `textgrid`.

    They are the sources of clips, and the families in the names of uploads.
    """
    folder = Path(folder)
    families = {path.name[:36].upper() for path in (folder / "textgrid").glob("*.flac")}
    return families | set(map(str, pd.read_csv(folder / "clips.csv")["source"]))


def find_crying(y, teacher):
    """Say for each step of 0.1 s of an upload whether it is crying: 1, 0, or -1 for unknown.

    A step is crying if it is at most 20 dB below the loud parts of the file and the teacher hears a cry within a
    second, and it is not if it is 25 dB below them. On the annotated uploads, 0.86 of the first are annotated as
    crying, 0.04 of all annotated crying is in the second, and 0.16 of all steps stay unknown.
    """
    scores, _ = teacher(np.pad(y, (7800, 7800)), STEP)
    n_steps = max(1, len(y) // STEP)
    power = np.square(y[: n_steps * STEP]).reshape(n_steps, -1).mean(axis=1) if len(y) >= STEP else np.square(y)
    level = 10 * np.log10(power + 1e-12)
    level = level - np.percentile(level, 95)
    heard = maximum_filter1d(np.resize(scores, n_steps) if len(scores) < n_steps else scores[:n_steps], 21)
    crying = np.full(n_steps, -1)
    crying[(level[:n_steps] > LOUD_DB) & (heard > CERTAIN)] = 1
    crying[level[:n_steps] < QUIET_DB] = 0
    return crying


def read_sources(table, teacher, leave_out=frozenset()):
    """Read all sounds of a table such as `files.csv`, without those of the groups ``leave_out``."""
    folder, sources = Path(table).parent, []
    for row in pd.read_csv(table).itertuples():
        if row.group in leave_out:
            continue
        y, _ = read_audio(folder / row.file, SR)
        y = y / max(1e-6, float(np.abs(y).max()))
        crying = find_crying(y, teacher) if row.kind in CRIES else np.zeros(max(1, len(y) // STEP), int)
        if row.kind in CRIES and not (crying == 1).any():
            continue  # the teacher hears no cry in it
        sources.append(Source(row.file, row.kind, str(row.group), y, crying))
    return sources
