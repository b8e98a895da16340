"""Write the results of sound that is being recorded to a folder, a recording for each day."""

from __future__ import annotations

import array
import contextlib
import datetime
import json
from pathlib import Path

import numpy as np

from ..detector.blocks import Recording
from . import manifest
from .detect import write_results

WRITE_DURATION = 600  # s of sound after which the results so far are written
JOURNAL = ".{}.live.jsonl"  # seconds of the recording that is being written, by its name; survives a kill
NAME = "%Y%m%d_%H%M%S"  # of a recording, by the clock time at which it began; `report --start name` reads it
LIVE = "live"  # column `source` of the manifest, in place of the path of a file
MAX_PROBLEMS = 20  # of a recording


class LiveResults(contextlib.AbstractContextManager):
    """A folder of results, as :func:`skcry.detect_files` writes it, that grows while a detector listens.

    Each day, from midnight to midnight by the local clock, is a recording. Its results are written every ten minutes
    and at its end. In between, each second is appended to a hidden file, from which the next start restores what a
    killed process had heard. ``start`` is the time of the first second, in seconds since 1970.
    """

    def __init__(self, detector, out, start, *, overwrite=False):
        self._detector, self._out, self._start, self._overwrite = detector, Path(out), start, overwrite
        self._name = None

    def __enter__(self):
        if self._out.exists() and not self._out.is_dir():
            raise NotADirectoryError(f"out={str(self._out)!r} is a file, not a folder. Name a folder for the results.")
        description = manifest.describe(self._detector)
        with contextlib.ExitStack() as stack:
            self._writer = stack.enter_context(manifest.ManifestWriter(self._out))
            known = {} if self._overwrite else manifest.read_rows(self._out, description, self._writer.appended)
            manifest.start_results(self._out, description, self._overwrite)
            self._writer.rows = known
            for journal in sorted(self._out.glob(JOURNAL.format("*"))):
                self._restore(journal)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        with self._stack:
            self._finish()

    def push(self, second):
        """Add a :class:`skcry.LiveSecond`."""
        now = datetime.datetime.fromtimestamp(self._start + second.second)
        if self._name is None or now.date() != self._day:
            self._finish()
            self._begin(now)
        line = second.probabilities.tolist(), second.usable, second.duration, second.problems
        self._journal.write(f"{json.dumps(line)}\n")
        self._journal.flush()
        self._heard.add(*line)
        if len(self._heard.usable) % WRITE_DURATION == 0:
            self._write(self._name, self._heard)

    def _begin(self, now):
        self._day, name = now.date(), f"{now:{NAME}}"
        self._name, number = name, 2
        while self._name in self._writer.rows:
            self._name, number = f"{name}_{number}", number + 1
        self._heard = _Heard()
        self._journal = (self._out / JOURNAL.format(self._name)).open("w", encoding="utf-8")

    def _finish(self):
        """Write the results of the recording that has ended."""
        if self._name is None:
            return
        self._journal.close()
        self._write(self._name, self._heard)
        (self._out / JOURNAL.format(self._name)).unlink()
        self._name = None

    def _restore(self, journal):
        """Write the results of a recording in which a process was killed."""
        before, after = JOURNAL.split("{}")
        *lines, _ = journal.read_text(encoding="utf-8").split("\n")  # the last one may be cut
        heard = _Heard()
        for line in lines:
            heard.add(*json.loads(line))
        if lines:
            self._write(journal.name.removeprefix(before).removesuffix(after), heard)
        journal.unlink()

    def _write(self, name, heard):
        found = heard.as_detection(self._detector, name)
        about = {"n_bytes": -1, "modified": -1, "source": LIVE}
        row, error = write_results(self._out, name, about, found)
        if error is not None:
            raise error
        self._writer.append(row)


class _Heard:
    """Seconds of a recording, as arrays, so that a day of them is small."""

    def __init__(self):
        self.usable, self._problems = bytearray(), []
        self._probabilities, self._duration = array.array("d"), 0.0

    def add(self, probabilities, usable, duration, problems):
        """Add a second."""
        self._probabilities.extend(probabilities)
        self.usable.append(usable)
        self._duration += duration
        self._problems += problems[: MAX_PROBLEMS - len(self._problems)]

    def as_detection(self, detector, name):
        """Return them as :class:`skcry.Detection`."""
        sr, usable = detector.windower_.sr, np.frombuffer(bytes(self.usable), dtype=bool)
        recording = Recording(0, name, sr, round(self._duration * sr), usable, problems=self._problems)
        return detector._detection(recording, np.array(self._probabilities).reshape(len(usable), -1))
