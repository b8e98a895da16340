"""Read sound while it is recorded, from a pipe or from a WAV file that grows."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import time
from numbers import Integral, Real
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from .._compat import Interval, StrOptions, validate_params
from .._typing import PathLike
from .audio import PLAUSIBLE_SR
from .live import SoundBlocks
from .streams import KNOWN_CHUNKS, STREAMED_SIZES, WAV_MAGIC

PIPE_LENGTH = 2**20  # bytes that are read at a time, and that a pipe may hold
MAX_HEADER = 2**20  # bytes of a WAV file before its samples
POLL_DURATION = 0.1  # s between two looks at a file that grows

# Types of raw samples by name: bytes of a sample, and numpy's type of what is read.
DTYPES = {"uint8": (1, "u1"), "int16": (2, "<i2"), "int24": (3, "u1"), "int32": (4, "<i4"), "float32": (4, "<f4")}
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # formats in the header of a WAV file
WAV_DTYPES = {(PCM, 8): "uint8", (PCM, 16): "int16", (PCM, 24): "int24", (PCM, 32): "int32", (FLOAT, 32): "float32"}


@validate_params(
    {
        "file": "no_validation",
        "sr": [Interval(Integral, *PLAUSIBLE_SR, closed="both"), None],
        "channels": [Interval(Integral, 1, 64, closed="both")],
        "dtype": [StrOptions(set(DTYPES))],
    },
    prefer_skip_nested_validation=True,
)
def read_pipe(
    file: BinaryIO,
    sr: int | None = None,
    *,
    channels: int = 1,
    dtype: Literal["uint8", "int16", "int24", "int32", "float32"] = "int16",
) -> SoundBlocks:
    """Read samples from a pipe as they come, such as those of ffmpeg.

    Parameters
    ----------
    file : binary file
        ``sys.stdin.buffer``, or ``stdout`` of a process. Its content is raw samples, or a WAV file, whose header then
        tells rate, channels and type.
    sr : int or None, default=None
        Sampling rate of raw samples in Hz. None means that the content is a WAV file.
    channels : int, default=1
        Number of channels of raw samples.
    dtype : {"uint8", "int16", "int24", "int32", "float32"}, default="int16"
        Type of raw samples, little-endian. ffmpeg calls them u8, s16le, s24le, s32le and f32le.

    Returns
    -------
    SoundBlocks
        Iterable of blocks (n_timepoints, n_channels), for :meth:`skcry.CryDetector.listen`. It ends with the pipe.

    Raises
    ------
    TypeError
        If the file holds text.
    ValueError
        If the content is a WAV file of another kind than these, or contradicts ``sr``.

    See Also
    --------
    follow_wav : Reads a file that another program is writing.
    microphone : Records.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from skcry.io import read_pipe
    >>> content = np.zeros(32000, dtype="<i2").tobytes()
    >>> [len(block) for block in read_pipe(io.BytesIO(content), sr=16000)]
    [32000]
    """
    read = getattr(file, "read1", None) or getattr(file, "read", None)
    if read is None or isinstance(file, (str, os.PathLike)):
        raise TypeError(
            f"file={file!r:.100} must be an open binary file, such as sys.stdin.buffer. For a path, use follow_wav."
        )
    _widen(file)
    content = read(PIPE_LENGTH)
    if isinstance(content, str):
        raise TypeError("The pipe gives text. Open it in binary mode: sys.stdin.buffer instead of sys.stdin.")
    while 0 < len(content) < 12:
        more = read(PIPE_LENGTH)
        if not more:
            break
        content += more
    if _is_wav(content):
        content, found, channels, dtype, _ = _read_header(content, read)
        if sr not in (None, found):
            raise ValueError(f"sr={sr} Hz contradicts the header of the pipe, {found} Hz. Leave sr out.")
        sr = found
    elif sr is None:
        raise ValueError(
            f"The pipe begins with {content[:12]!r}, which is no WAV file. For raw samples, pass sr in Hz, channels "
            "and dtype; let ffmpeg convert other formats: ffmpeg -i ... -f s16le -ac 1 -ar 16000 -"
        )
    return SoundBlocks(_decode(content, read, channels, dtype), sr)


def _widen(file):
    """Let a pipe hold more, so that its writer waits less."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError, ValueError, AttributeError):  # no pipe, or not allowed
            fcntl.fcntl(file.fileno(), fcntl.F_SETPIPE_SZ, PIPE_LENGTH)


def _is_wav(content):
    return content[:4] != b"RIFX" and WAV_MAGIC.match(content) is not None  # RIFX is big-endian


def _read_header(content, read):
    """Read the header of a WAV file; return the content after it, rate, channels, dtype and place of its samples."""

    def need(n):
        nonlocal content
        while len(content) < n:
            more = read(PIPE_LENGTH) if n <= MAX_HEADER else b""
            if not more:
                raise ValueError("The WAV file ends in its header, or holds no samples. Is the recorder running?")
            content += more

    at, fmt = 12, None
    while True:
        need(at + 8)
        name, size = struct.unpack_from("<4sI", content, at)
        if name == b"data":
            break
        need(at + 8 + size)
        if name == b"fmt ":
            fmt = content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    if fmt is None or len(fmt) < 16:
        raise ValueError("The WAV file has no chunk 'fmt ' before its samples. Is it one?")
    kind, channels, sr, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
    if kind == EXTENSIBLE and len(fmt) >= 26:
        (kind,) = struct.unpack_from("<H", fmt, 24)
    dtype = WAV_DTYPES.get((kind, bits))
    if dtype is None or not channels or not PLAUSIBLE_SR[0] <= sr <= PLAUSIBLE_SR[1]:
        raise ValueError(
            f"The WAV file has format {kind} with {bits} bits, {channels} channels at {sr} Hz, but PCM of 8 to 32 bits "
            f"or floats of 32 are needed, at {PLAUSIBLE_SR[0]} to {PLAUSIBLE_SR[1]} Hz. Convert it by ffmpeg."
        )
    return content[at + 8 :], sr, channels, dtype, at + 8


def _decode(content, read, channels, dtype):
    """Yield blocks (n_timepoints, n_channels) of raw samples, first those in ``content``, then what ``read`` gives."""
    n_bytes, numpy_type = DTYPES[dtype]
    frame = n_bytes * channels
    while True:
        n_frames = len(content) // frame
        if n_frames:
            raw = np.frombuffer(content, numpy_type, n_frames * frame // np.dtype(numpy_type).itemsize)
            if dtype == "int24":  # as the upper three bytes of 32 bits
                raw = np.pad(raw.reshape(-1, 3), ((0, 0), (1, 0))).reshape(-1).view("<i4")
            yield raw.reshape(n_frames, channels)
            content = content[n_frames * frame :]
        if not (more := read(PIPE_LENGTH)):
            return
        content += more


@validate_params(
    {"path": "no_validation", "timeout": [Interval(Real, 0, None, closed="left")]},
    prefer_skip_nested_validation=True,
)
def follow_wav(path: PathLike, *, timeout: float = 10.0) -> SoundBlocks:
    """Read a WAV file while a recorder is writing it, from its start.

    Parameters
    ----------
    path : str or path-like
        The file. It need not exist yet.
    timeout : float, default=10.0
        Seconds without growth after which the recording counts as finished.

    Returns
    -------
    SoundBlocks
        Iterable of blocks (n_timepoints, n_channels), for :meth:`skcry.CryDetector.listen`.

    Raises
    ------
    FileNotFoundError
        If the file does not appear within ``timeout``.
    ValueError
        If it is no WAV file of PCM or floats of 32 bits, or still has no samples after ``timeout``.
    OSError
        While it is read, if the file becomes shorter: another one took its place.

    Notes
    -----
    The length in the header is not believed, because recorders write it at the end. Chunks after the samples, which
    recorders append then, are no sound.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import soundfile
    >>> from skcry.io import follow_wav
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "now.wav")
    ...     soundfile.write(path, np.zeros(16000), 16000)
    ...     blocks = follow_wav(path, timeout=0)
    ...     blocks.sr, sum(len(block) for block in blocks)
    (16000, 16000)
    """
    growing = _GrowingFile(Path(path), timeout)
    try:
        content = growing.read(12)
        if not _is_wav(content):
            raise ValueError(
                f"{path} begins with {content!r}, which is no WAV file. Only WAV files can be followed while they "
                "grow; detect reads all formats of finished files."
            )
        content, sr, channels, dtype, growing.samples_at = _read_header(content, growing.read)
        # Read again from the samples on, since chunks may follow them.
        growing.place = growing.samples_at
    except BaseException as error:
        growing.close()
        if isinstance(error, ValueError) and str(path) not in str(error):
            raise ValueError(f"{path}: {error}") from None
        raise

    def blocks():
        with contextlib.closing(growing):
            yield from _decode(b"", growing.read, channels, dtype)

    return SoundBlocks(blocks(), sr, growing.n_bytes / (DTYPES[dtype][0] * channels * sr))


class _GrowingFile:
    """A file whose ``read`` waits for more, and returns nothing once it has not grown for ``timeout`` seconds."""

    def __init__(self, path, timeout):
        self._path, self._timeout = path, timeout
        self._file = self._wait(lambda: path.open("rb") if path.exists() and path.stat().st_size else None)
        if self._file is None:
            raise FileNotFoundError(
                f"{path}: no such file with sound, for {timeout:g} s. Start the recorder first, or raise timeout."
            )
        self.place, self.samples_at = 0, None

    @property
    def n_bytes(self):
        """Number of bytes of samples that are there."""
        n_there = os.fstat(self._file.fileno()).st_size
        return max(0, self._end(n_there) - self.samples_at)

    def _wait(self, look):
        """Return what ``look`` returns, None if this stays None for the time that is allowed."""
        until = time.monotonic() + self._timeout  # a clock that is set has no effect
        while (found := look()) is None and time.monotonic() < until:
            time.sleep(min(POLL_DURATION, max(0.0, until - time.monotonic())))
        return found

    def read(self, n_bytes):
        return self._wait(lambda: self._read(n_bytes)) or b""

    def _read(self, n_bytes):
        n_there = os.fstat(self._file.fileno()).st_size
        try:
            n_by_name = self._path.stat().st_size
        except OSError:
            n_by_name = n_there  # removed, but still being written
        if min(n_there, n_by_name) < self.place:
            raise OSError(
                f"{self._path} became shorter ({min(n_there, n_by_name)} bytes after {self.place}), so another file "
                "took its place. Listen to the new one."
            )
        n_bytes = min(n_bytes, self._end(n_there) - self.place)
        if n_bytes <= 0:
            return None
        self._file.seek(self.place)
        content = self._file.read(n_bytes)
        self.place += len(content)
        return content or None

    def _end(self, n_there):
        """Return where the samples end: at the end of the file, or at the chunk that was written after them."""
        if self.samples_at is None:
            return n_there
        self._file.seek(self.samples_at - 4)
        (size,) = struct.unpack("<I", self._file.read(4))
        end = self.samples_at + size
        if size == 0 or size in STREAMED_SIZES or end + 8 > n_there:
            return n_there
        for at in (end, end + size % 2):
            self._file.seek(at)
            if self._file.read(4) in KNOWN_CHUNKS:
                return end
        return n_there

    def close(self):
        self._file.close()
