"""Windows of recordings that stay in their files."""

from __future__ import annotations

import functools
import os
import platform
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np
from numpy.typing import ArrayLike

from .._warnings import warn
from ..io.audio import AudioFile
from .scratch import Lease, ScratchArray, make_room
from .stretches import Seconds, ahead, is_usable, read_stretches, stretch_length
from .windows import Windows

READ_DURATION = 600  # seconds that are read at a time to learn about a file
# Attributes that only FileWindows have.
OWN = {"_files", "_hop_length", "_steps", "_probe", "_aligned", "_between", "_n_places"}


@dataclass(frozen=True, eq=False)
class RecordingFile:
    """What is known of an audio file that was read to its end."""

    path: str  # absolute
    sr: int
    channel: int | None
    n_timepoints: int
    usable: np.ndarray  # (n_seconds,) bool, seconds that hold sound
    problems: tuple
    n_bytes: int
    modified: int  # ns
    machine: str = field(default_factory=platform.node)

    @property
    def key(self):
        """Text that identifies the file and its content."""
        return joblib.hash((self.path, self.sr, self.channel, self.n_timepoints, self.n_bytes, self.modified))

    def open(self):
        """Open the file; OSError if it is not the same as before."""
        try:
            n_bytes, modified = _version(self.path)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.path} is no longer there. Training reads recordings several times; do not move them meanwhile."
            ) from None
        if n_bytes != self.n_bytes or (modified != self.modified and platform.node() == self.machine):
            how = "written again" if n_bytes == self.n_bytes else f"{self.n_bytes} bytes, now {n_bytes}"
            raise OSError(
                f"{self.path} has changed since it was first read: {how}. Training needs the same file throughout; "
                "start again when it is complete."
            )
        return AudioFile(self.path, self.sr, self.channel)

    def check_length(self, n_timepoints):
        """Raise OSError if the file had another length when it was read again."""
        if n_timepoints != self.n_timepoints:
            raise OSError(
                f"{self.path} has changed while it was read: {n_timepoints / self.sr:.1f} s instead of "
                f"{self.n_timepoints / self.sr:.1f} s. Training needs the same file throughout; start again."
            )


def _version(path):
    """Return size in bytes and time of the last change in ns of a file."""
    about = os.stat(path)
    return about.st_size, about.st_mtime_ns


def try_files(paths: Sequence, sr: int, channel: int | None) -> list[RecordingFile | Exception]:
    """Read files to the end, several at a time, to learn lengths and faults; return the error of unreadable ones."""

    def read(path):
        try:
            AudioFile(path, sr, channel).close()  # its errors say what is wrong
            return _read_file(os.path.abspath(path), *_version(path), sr, channel)
        except (OSError, ValueError) as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(read, paths))


def checked(file: RecordingFile | Exception) -> RecordingFile:
    """Return what is known of a file, and warn of its faults; raise the error of an unreadable one."""
    if isinstance(file, Exception):
        raise file
    for problem in file.problems:
        warn(problem)
    return file


@functools.lru_cache(maxsize=10_000)
def _read_file(path, n_bytes, modified, sr, channel):
    seconds, usable, total = Seconds(sr, is_usable), [], 0
    with AudioFile(path, sr, channel) as file:
        while len(y := file.read(READ_DURATION * sr)):
            usable.append(seconds.push(y))
            total += len(y)
        if total == 0:
            raise ValueError(f"{file.name} is empty: 0 timepoints, but at least 1 is needed. Leave it out.")
        usable.append(seconds.finish())
        problems = tuple(file.problems)
        return RecordingFile(path, sr, channel, total, np.concatenate(usable), problems, n_bytes, modified)


class ScratchTrack:
    """Track of columns in a :class:`ScratchArray`, time last."""

    def __init__(self, array, n_columns, lease):
        self._array, self._lease = array, lease
        self.shape, self.dtype, self.nbytes = (*array.shape, n_columns), array.dtype, 0

    def __getitem__(self, key):
        first, last, _ = key[-1].indices(self.shape[-1])
        return np.moveaxis(self._array.read(first, max(first, last)), 0, -1)


@dataclass(frozen=True)
class Step:
    """One call of :meth:`Windows.map` or :meth:`Windows.each`."""

    method: str
    function: Callable
    options: tuple = ()
    key: str | None = None

    def __call__(self, windows):
        """Do it with these windows."""
        return getattr(windows, self.method)(self.function, **dict(self.options))


def key_of(function):
    """Identify a function by what it computes: one of this package by its settings, another one by itself only."""
    inner = function.func if isinstance(function, functools.partial) else function
    estimator = getattr(inner, "__self__", None)
    owner = inner if estimator is None else type(estimator)
    module = getattr(owner, "__module__", None) or ""
    if module.split(".")[0] != "skcry" or "<lambda>" in inner.__qualname__:
        return uuid.uuid4().hex
    if estimator is None:
        return joblib.hash(function)
    # Parameters and fitted attributes, without what callbacks leave for the time of a fit.
    state = {name: value for name, value in estimator.__getstate__().items() if not name.startswith("_")}
    return joblib.hash((module, owner.__qualname__, inner.__name__, state))


class FileWindows(Windows):
    """Windows of recordings that stay in their files, and are read in stretches when they are computed.

    :meth:`map` and :meth:`each` are called stretch by stretch, by :meth:`tabulate` or when windows are converted to
    arrays. Results that may be needed again are kept in temporary files, which the processes of a search share. A
    pickle holds the paths of the files.

    Parameters
    ----------
    files : sequence of RecordingFile
        The recordings.
    recording, start : array-like of int of shape (n_windows,)
        As in :class:`Windows`; starts are multiples of ``hop_length``.
    n_timepoints, hop_length : int
        Length of a window, and step between windows, in timepoints.
    sr, groups, names
        As in :class:`Windows`.
    """

    def __init__(
        self,
        files: Sequence[RecordingFile],
        recording: ArrayLike,
        start: ArrayLike,
        n_timepoints: int,
        hop_length: int,
        *,
        sr: int,
        groups: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self._files, self._hop_length = tuple(files), hop_length
        self._steps: tuple[Step, ...] = ()
        lengths = [file.n_timepoints for file in self._files]
        self._set_rows(recording, start, n_timepoints, sr=sr, lengths=lengths, groups=groups, names=names)
        # Columns from one place of windows to the next, and whether columns are shared by overlapping windows.
        self._between, self._aligned = hop_length, True
        # Windows of each recording, before any were selected.
        last = np.zeros(len(lengths), dtype=np.int64)
        np.maximum.at(last, self.recording, self.start)
        self._n_places = 1 + last // hop_length

    # Windows without tracks

    @property
    def _any_track(self):
        return self._probe._any_track

    def __array__(self, dtype=None, copy=None):
        return self.stored().__array__(dtype, copy)

    @functools.cached_property
    def _probe(self):
        """One window of silence after all steps, for shape and dtype."""
        windows = Windows([np.zeros(self.n_timepoints, np.float32)], [0], [0], self.n_timepoints, sr=self.sr)
        for step in self._steps:
            windows = step(windows)
        return windows

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_probe"}

    def __setstate__(self, state):
        self.__dict__.update(state)

    def __sizeof__(self):
        return object.__sizeof__(self)

    def _usable(self, number):
        return self._files[number].usable

    def map(self, function, *, frame_length=1, hop_length=1):
        """Apply a function to each stretch when it is computed; see :meth:`Windows.map`."""
        options = (("frame_length", frame_length), ("hop_length", hop_length))
        aligned = self._aligned and self._finish is None
        aligned = aligned and self._n_columns >= frame_length and self._between % hop_length == 0
        new = self._then(Step("map", function, options, key_of(function)))
        place = {} if aligned else {"_track": np.arange(len(self)), "_column": np.zeros(len(self), dtype=int)}
        n_columns = step = new._probe._n_columns
        if aligned:
            step = min(n_columns, max(1, self._step // hop_length))
            place = {"_column": self._column // hop_length, "_between": self._between // hop_length}
        return new._replace(**place, _n_columns=n_columns, _step=step, _finish=None, _aligned=aligned)

    def each(self, function):
        """Apply a function to windows whenever they are converted to an array; see :meth:`Windows.each`."""
        new = self._then(Step("each", function, (), key_of(function)))
        return new._replace(_finish=function)

    def _then(self, step):
        return self._replace(_steps=(*self._steps, step), _probe=step(self._probe))

    # Stretches

    @property
    def _per_stretch(self):
        """Windows that start in a stretch."""
        return stretch_length(self._hop_length, self.sr) // self._hop_length

    def _key(self, *more):
        """Identify results of these windows."""
        return joblib.hash((self.n_timepoints, self._hop_length, self._per_stretch, *more))

    def _plan(self):
        """Return for each recording its rows, their places among all windows of the recording, and its stretches."""
        plan = {}
        for number, rows in self._rows_of_recordings():
            place = self.start[rows] // self._hop_length
            plan[number] = rows, place, np.unique(place // self._per_stretch).tolist()
        return plan

    def _stretches(self, number, wanted) -> Iterator[tuple[int, int, Windows]]:
        """Yield stretches of a recording: their number, the place of their first window, and all of their windows."""
        file, hop, length = self._files[number], self._hop_length, self.n_timepoints
        wanted = set(wanted)
        with file.open() as source:
            for stretch in read_stretches(source, length, hop, self.sr):
                if stretch.at_end:
                    file.check_length(stretch.first + len(stretch.sound))
                block = stretch.begin // (hop * self._per_stretch)
                if block in wanted:
                    wanted.remove(block)
                    last = min((block + 1) * self._per_stretch, self._n_places[number])
                    start = np.arange(block * self._per_stretch, last) * hop
                    sound, missing = stretch.sound, start[-1] + length - stretch.first - len(stretch.sound)
                    if missing > 0:
                        sound = np.pad(sound, (0, missing))
                    relative = start - stretch.first
                    about = {"sr": self.sr, "names": self.names[number : number + 1]}
                    windows = Windows([sound], np.zeros(len(start), int), relative, length, **about)
                    for step in self._steps:
                        windows = step(windows)
                    yield block, block * self._per_stretch, windows
                if not wanted:
                    return

    def _arrays(self, key, plan, shape, dtype):
        """Return a :class:`ScratchArray` for each recording of a plan."""
        return {
            number: ScratchArray(key, f"{self._files[number].key}-{self._n_places[number]}", shape, dtype)
            for number in plan
        }

    def _fill(self, arrays, plan, write, n_bytes):
        """Write the missing stretches of ``arrays`` (by recording), those that another process writes at last.

        A stretch takes ``n_bytes``.
        """
        n_missing = sum(len(arrays[number].missing(wanted)) for number, (_, _, wanted) in plan.items())
        if n_missing:
            make_room(n_missing * n_bytes, next(iter(arrays.values())).key)
        waiting = deque((number, False) for number in plan)
        while waiting:
            number, wait = waiting.popleft()
            array, wanted = arrays[number], plan[number][2]
            if not array.missing(wanted):
                continue
            with array.filling(wait) as mine:
                if not mine:
                    waiting.append((number, True))
                    continue
                missing = array.missing(wanted)
                for block, first, windows in ahead(self._stretches(number, missing)) if missing else ():
                    write(array, block, first, windows)

    # Results

    def tabulate(self, function, *, remember=True):
        """Compute a table with a row for each window, stretch by stretch; see :meth:`Windows.tabulate`."""
        probe = function(self._probe)
        out = np.empty((len(self), *probe.shape[1:]), dtype=probe.dtype)
        plan = self._plan()
        if not remember:
            for number, (rows, place, wanted) in plan.items():
                for block, first, windows in ahead(self._stretches(number, wanted)):
                    here = place // self._per_stretch == block
                    out[rows[here]] = function(windows[place[here] - first])
            return out
        key = self._key([step.key for step in self._steps], key_of(function), str(probe.dtype))
        arrays = self._arrays(key, plan, probe.shape[1:], probe.dtype)
        lease = Lease(key)
        self._fill(
            arrays,
            plan,
            lambda array, block, first, windows: array.write(block, first, function(windows)),
            self._per_stretch * probe[0].nbytes,
        )
        for number, (rows, place, wanted) in plan.items():
            for block in wanted:
                here = place // self._per_stretch == block
                first, last = place[here].min(), place[here].max() + 1
                out[rows[here]] = arrays[number].read(first, last)[place[here] - first]
        del lease
        return out

    def stored(self):
        """Return windows whose tracks are in temporary files; see :meth:`Windows.stored`."""
        steps = self._steps if self._finish is None else self._steps[:-1]
        shape, dtype, n_columns = self.shape[1:-1], self.dtype, self._n_columns
        between = self._between if self._aligned else n_columns  # columns from one window to the next in the file
        key = self._key([step.key for step in steps], "stored", str(dtype))
        lease, plan = Lease(key), self._plan()
        arrays = self._arrays(key, plan, shape, dtype)

        def write(array, block, first, windows):
            if self._aligned:
                columns = windows._column[0], windows._column[-1] + n_columns
                values = windows._tracks[0][..., slice(*columns)]
            else:
                values = np.concatenate([*np.asarray(windows._replace(_finish=None))], axis=-1)
            array.write(block, first * between, np.moveaxis(values, -1, 0))

        self._fill(arrays, plan, write, self._per_stretch * between * int(np.prod(shape)) * dtype.itemsize)
        tracks: list[Any] = [None] * len(self._files)
        for number, array in arrays.items():
            total = (self._n_places[number] - 1) * between + n_columns
            tracks[number] = ScratchTrack(array, total, lease)
        if not arrays:  # without rows, for shape and dtype
            tracks[0] = self._any_track
        new = object.__new__(Windows)
        kept = {name: value for name, value in vars(self).items() if name not in OWN}
        new.__dict__.update(kept, _tracks=tuple(tracks), _track=self.recording)
        if not self._aligned:
            new._column = self.start // self._hop_length * n_columns
        return new
