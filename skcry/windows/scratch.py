"""Arrays in temporary files, filled block by block by whichever process of a session needs them first.

A session is a process and the workers that it started. Its folder, in that of :mod:`tempfile`, is removed when it ends;
what a killed session has left is removed by the next one. The files are read, not mapped, so that they do not count as
memory of the process.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import platform
import shutil
import stat
import sys
import tempfile
import threading
from multiprocessing.util import Finalize
from pathlib import Path

import numpy as np

from .._locks import is_at, try_lock, wait_for_lock
from .._warnings import warn

LOCK = "lock"
FREE_SHARE = 0.5  # of the free space, and of what these files take, that they may take
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if hasattr(errno, "EDQUOT") else (errno.ENOSPC, errno.EFBIG)
_sessions: dict[int, tuple[Path, int]] = {}  # of this process, by its number: a forked one makes its own
_making = threading.Lock()


def _open_lock(folder):
    return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)


def _home():
    """Return the number of the process that a session belongs to: this one, or the one that started it as a worker."""
    parent = multiprocessing.parent_process()
    return os.getpid() if parent is None or parent.pid is None or sys.platform == "win32" else parent.pid


def session_folder() -> Path:
    """Return the folder of this session; make it at first use, and remove those of sessions that were killed."""
    with _making:
        if os.getpid() not in _sessions:
            root, user = Path(tempfile.gettempdir()), os.getuid() if hasattr(os, "getuid") else "user"
            wanted = os.environ.get("TMPDIR")
            if wanted and not (os.path.exists(wanted) and root.samefile(wanted)):
                warn(f"TMPDIR={wanted} cannot be written to, so temporary files are in {root}. Choose another folder.")
            for other in root.glob(f"skcry-{user}-*"):
                _remove_if_left(other)
            # With the name of the machine, since containers with equal process numbers may share the folder.
            machine = "".join(character for character in platform.node() if character.isalnum())
            folder = root / f"skcry-{user}-{machine}-{_home()}"
            _sessions[os.getpid()] = folder, _enter(folder)
            Finalize(None, _leave, exitpriority=0)
        folder, lock = _sessions[os.getpid()]
        if not is_at(lock, folder / LOCK):  # someone has removed it
            os.close(lock)
            _sessions[os.getpid()] = folder, _enter(folder)
        return folder


def _enter(folder):
    """Make a folder and lock it against removal by others; return the descriptor of the lock."""
    while True:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        try:
            about = folder.lstat()
            if not stat.S_ISDIR(about.st_mode) or (hasattr(os, "getuid") and about.st_uid != os.getuid()):
                raise PermissionError(f"{folder} belongs to someone else. Remove it, or set TMPDIR to another folder.")
            lock = _open_lock(folder)
        except FileNotFoundError:  # removed in between
            continue
        if try_lock(lock, exclusive=False) and is_at(lock, folder / LOCK):
            return lock
        os.close(lock)


def _remove_if_left(folder):
    """Remove a folder that no process uses any more."""
    with contextlib.suppress(OSError):  # of another user, or removed by another process meanwhile
        lock = _open_lock(folder)
        if try_lock(lock, exclusive=True, without_locks=False) and is_at(lock, folder / LOCK):
            gone = folder.with_name(f"{folder.name}-gone")  # first, so that nobody enters it meanwhile
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        os.close(lock)


def _leave():
    """Remove the folder at the end: of the session, or of the last of its workers if the session never used it."""
    if os.getpid() not in _sessions:
        return
    folder, lock = _sessions.pop(os.getpid())
    if _home() == os.getpid() or try_lock(lock, exclusive=True, without_locks=False):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.close(lock)


def make_room(n_bytes: int, key: str) -> None:
    """Make room for so many bytes in the folder ``key``, by removing results that were used longest ago.

    Raises OSError if they would take more than half of the free space.
    """
    session = session_folder()
    room = os.open(session / "room", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        wait_for_lock(room)  # one process at a time
        _make_room(session, n_bytes, key)
    finally:
        os.close(room)


def _make_room(session, n_bytes, key):
    with os.scandir(session) as found:
        others = sorted((_last_use(entry), entry.path) for entry in found if entry.is_dir() and entry.name != key)
    while True:
        taken = bytes_on_disk(session)
        allowed = FREE_SHARE * (shutil.disk_usage(session).free + taken)
        if taken + n_bytes <= allowed:
            return
        if not others:
            raise _no_space(n_bytes)
        _remove_if_left(Path(others.pop(0)[1]))


def _last_use(entry):
    """Return when a folder was used last; 0 if it was removed meanwhile."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def bytes_on_disk(folder: Path) -> int:
    """Count the bytes that the files in a folder take, without their holes."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                about = os.stat(os.path.join(place, name))
                total += about.st_blocks * 512 if hasattr(about, "st_blocks") else about.st_size
    return total


def _no_space(n_bytes):
    folder = tempfile.gettempdir()
    return OSError(
        f"{folder}: training needs {n_bytes} bytes ({n_bytes / 1e9:.2g} GB) in this folder, but "
        f"{shutil.disk_usage(folder).free / 1e9:.2g} GB are free, and it takes at most {FREE_SHARE:.0%} of them. Free "
        "space there, or set TMPDIR to a folder of a larger disk before Python starts."
    )


class Lease:
    """Keeps the arrays of a key from being removed by :func:`make_room` as long as this object exists."""

    _lock: int | None = None

    def __init__(self, key):
        self.key = key
        self._lock = _enter(session_folder() / key)
        os.utime(session_folder() / key)

    def __del__(self):
        if self._lock is not None:
            os.close(self._lock)

    def __reduce__(self):
        return Lease, (self.key,)


class ScratchArray:
    """Array of shape (n_rows, *shape) in a file, which blocks of rows are written to.

    Parameters
    ----------
    key : str
        Folder in that of the session; arrays of one kind have one key, for which there must be a :class:`Lease`.
    name : str
        Name in this folder.
    shape : tuple of int
        Shape of a row.
    dtype : dtype
        Type of the values on disk.
    """

    def __init__(self, key, name, shape, dtype):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.key, self._name = key, name
        self._row_bytes = int(np.prod(self.shape)) * self.dtype.itemsize

    def _path(self, suffix):
        return session_folder() / self.key / f"{self._name}.{suffix}"

    @contextlib.contextmanager
    def filling(self, wait=True):
        """Lock the array for writing; the value is False if another process or thread has, and ``wait`` is False."""
        try:
            lock = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            raise self._gone() from None
        try:
            if wait:
                wait_for_lock(lock)  # without locks, several processes write the same
            elif not try_lock(lock, exclusive=True):
                yield False
                return
            yield True
        finally:
            os.close(lock)

    def missing(self, blocks):
        """Return those of these blocks, numbers from 0, that were not written yet."""
        try:
            done = np.fromfile(self._path("done"), dtype=np.uint8)
        except FileNotFoundError:
            return list(blocks)
        return [block for block in blocks if block >= len(done) or not done[block]]

    def write(self, block, first, values):
        """Write the rows of a block, (n, *shape), from row ``first`` on."""
        values = np.ascontiguousarray(values, dtype=self.dtype)
        try:
            _write_at(self._path("data"), first * self._row_bytes, values.tobytes())
            _write_at(self._path("done"), block, b"\x01")
        except FileNotFoundError:
            raise self._gone() from None
        except OSError as error:
            if error.errno in NO_SPACE:
                raise _no_space(values.nbytes) from error
            raise

    def read(self, first, last):
        """Read rows, (last - first, *shape)."""
        count, offset = (last - first) * self._row_bytes // self.dtype.itemsize, first * self._row_bytes
        try:
            values = np.fromfile(self._path("data"), dtype=self.dtype, count=count, offset=offset)
        except FileNotFoundError:
            raise self._gone() from None
        return values.reshape(last - first, *self.shape)

    def _gone(self):
        return OSError(
            f"{self._path('data')} is not there: the temporary files of training were removed, or belong to another "
            "process. Compute the windows again; set TMPDIR to a folder that is not cleaned meanwhile."
        )


def _write_at(path, offset, content):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        file.seek(offset)
        file.write(content)
