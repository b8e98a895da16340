"""Sound that comes in blocks while it is recorded: from a pipe, a file that grows, or a microphone."""

from __future__ import annotations

import contextlib
import os
import queue
import struct
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from .._compat import Interval, StrOptions, validate_params
from .._typing import PathLike
from .audio import CLIPPED_SHARE, DEFAULT_SR, FULL_SCALE, LOUDEST, PLAUSIBLE_SR, as_floating
from .streams import KNOWN_CHUNKS, STREAMED_SIZES, WAV_MAGIC

PIPE_LENGTH = 2**20  # bytes that are read at a time, and that a pipe may hold
MAX_HEADER = 2**20  # bytes of a WAV file before its samples
POLL_DURATION = 0.1  # s between two looks at a file that grows
ZEROS_DURATION = 60  # s of a gap that are filled at a time
CHECK_DURATION = 60  # s of sound that are checked together for clipping and silence
SAY_AGAIN_DURATION = 3600  # s of sound until the same problem is told again
QUEUE_DURATION = 60.0  # s of sound of a microphone that wait for a slow consumer
SILENT_DURATION = 10.0  # s without any block after which a microphone is lost
BLOCK_DURATION = 0.1  # s of a block of a microphone
LONGEST_OVERFLOW = 3600.0  # s; above, the clock of a sound card is not believed

# Types of raw samples by name: bytes of a sample, and numpy's type of what is read.
DTYPES = {"uint8": (1, "u1"), "int16": (2, "<i2"), "int24": (3, "u1"), "int32": (4, "<i4"), "float32": (4, "<f4")}
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # formats in the header of a WAV file
WAV_DTYPES = {(PCM, 8): "uint8", (PCM, 16): "int16", (PCM, 24): "int24", (PCM, 32): "int32", (FLOAT, 32): "float32"}


@dataclass(frozen=True)
class Gap:
    """Sound that a source lost.

    A source yields it between two blocks, so that later times stay right.

    Parameters
    ----------
    duration : float
        Length in seconds, 0 if it is not known. All seconds of which any is missing are not usable; what is missing is
        scored as silence.
    reason : str, default="the source lost sound"
        What happened, for the message.

    See Also
    --------
    skcry.CryDetector.listen : Takes blocks of sound and gaps.

    Examples
    --------
    >>> from skcry.io import Gap
    >>> Gap(2.5, "the network was down")
    Gap(duration=2.5, reason='the network was down')
    """

    __module__ = "skcry.io"

    duration: float
    reason: str = "the source lost sound"


class BlockSource:
    """Sound in blocks of any sizes, read as :func:`read_stretches` does: float32 at the rate ``sr``.

    ``blocks`` yields arrays (n_timepoints,) or (n_timepoints, n_channels) at ``rate``, and :class:`Gap`. If it raises,
    the sound ends there and ``error`` is set. ``problems`` collects messages, and ``gaps`` the seconds of all gaps.
    """

    def __init__(self, blocks, rate, sr, channel=None):
        self._blocks, self._rate, self._channel = iter(blocks), rate, channel
        self.error: Exception | None = None
        self.problems: list[str] = []
        self.gaps: deque[tuple[float, float]] = deque()
        self._resampler = None
        if rate != sr:
            import soxr

            self._resampler = soxr.ResampleStream(rate, sr, 1, dtype="float32", quality="HQ")
        self._waiting, self._at_end = np.empty(0, dtype=np.float32), False
        self._n_read, self._n_zeros, self._n_channels = 0, 0, None
        self._n_checked, self._n_clipped, self._low, self._high = 0, 0.0, np.inf, -np.inf
        self._told: dict = {}  # problem -> timepoint at which it was told

    def read(self, most, least):
        """Read from ``least`` to ``most`` timepoints, as many as there are; fewer than ``least`` only at the end."""
        parts, total = [self._waiting], len(self._waiting)
        while total < least and not self._at_end:
            parts.append(self._next())
            total += len(parts[-1])
        sound = np.concatenate(parts)
        self._waiting = sound[most:].copy()
        return sound[:most]

    def is_missing(self, second):
        """Tell whether any of a second is missing; ask for one after the other, in order."""
        while self.gaps and self.gaps[0][1] <= second:
            self.gaps.popleft()
        return bool(self.gaps) and self.gaps[0][0] < second + 1

    def _next(self):
        """Return the next block, mixed down and resampled."""
        if self._n_zeros:
            n = min(self._n_zeros, ZEROS_DURATION * self._rate)
            self._n_zeros -= n
            y = np.zeros(n, dtype=np.float32)
        else:
            y = self._next_block()
        self._n_read += len(y)
        return y if self._resampler is None else self._resampler.resample_chunk(y, last=self._at_end)

    def _next_block(self):
        block = None
        try:
            block = next(self._blocks)
            if isinstance(block, Gap):
                return self._skip(block)
            y = self._mix(block)
            self._check(y)
            return y
        except StopIteration:
            pass
        except Exception as error:  # what was heard before is still scored
            self.error = error
        self._at_end = True
        return np.empty(0, dtype=np.float32)

    def _skip(self, gap):
        if not 0 <= gap.duration < np.inf:
            raise ValueError(f"A gap of {gap.duration} s must last 0 s or more.")
        n, now = round(gap.duration * self._rate), self._n_read / self._rate
        self._n_zeros = n
        self.gaps.append((now, now + n / self._rate))
        lasting = f"{gap.duration:.1f} s are missing" if n else "an unknown time is missing"
        self.problems.append(f"{lasting} at {now:.1f} s: {gap.reason}.")
        return np.empty(0, dtype=np.float32)

    def _mix(self, block):
        y, place = as_floating(np.asarray(block)), f"at {self._n_read / self._rate:.3f} s"
        if isinstance(block, (bytes, bytearray, memoryview)) or y.dtype.kind not in "fiub" or y.ndim not in (1, 2):
            raise TypeError(
                f"The source gave a {type(block).__name__} of dtype {y.dtype} and shape {y.shape} {place}, but must "
                "give arrays of numbers of shape (n_timepoints,) or (n_timepoints, n_channels), or Gap. For bytes, use "
                "skcry.io.read_pipe."
            )
        n_channels = 1 if y.ndim == 1 else y.shape[1]
        if y.size and n_channels != (self._n_channels or n_channels):
            raise ValueError(f"The source gave {n_channels} channels {place}, but {self._n_channels} before.")
        if y.size and self._channel is not None and not 0 <= self._channel < n_channels:
            raise ValueError(
                f"channel={self._channel} must be from 0 to {n_channels - 1}: the source has {n_channels} channels. "
                "Choose one of them, or None to mix them down."
            )
        if y.size == 0:
            return np.empty(0, dtype=np.float32)
        self._n_channels = n_channels
        if not (np.abs(y) <= LOUDEST).all():  # or NaN
            raise ValueError(
                f"The source gave NaN, infinity or a value above {LOUDEST:g} {place}, where full scale is 1. Mend the "
                "source."
            )
        self._n_clipped += int(np.count_nonzero(np.abs(y) >= FULL_SCALE)) / n_channels
        if y.ndim == 2:
            y = y.mean(axis=1) if self._channel is None else y[:, self._channel]
        return np.ascontiguousarray(y, dtype=np.float32)

    def _check(self, y):
        """Note clipping and silence, a minute at a time; say the same at most once an hour."""
        if not len(y):
            return
        self._n_checked += len(y)
        self._low, self._high = min(self._low, y.min()), max(self._high, y.max())
        if self._n_checked < CHECK_DURATION * self._rate:
            return
        share = self._n_clipped / self._n_checked
        if share >= CLIPPED_SHARE:
            self._tell("clipped", f"{share:.0%} of the values of a minute are at full scale. Lower the gain.")
        if self._low == self._high:
            self._tell("silent", "a minute held digital silence only. Check microphone and source.")
        self._n_checked, self._n_clipped, self._low, self._high = 0, 0, np.inf, -np.inf

    def _tell(self, kind, text):
        if self._n_read - self._told.get(kind, -np.inf) >= SAY_AGAIN_DURATION * self._rate:
            self._told[kind] = self._n_read
            self.problems.append(f"At {self._n_read / self._rate:.0f} s {text}")


class SoundBlocks(Iterable):
    """Blocks of sound that know their rate ``sr``, in Hz: what :func:`read_pipe` and its likes return.

    ``recorded`` is the number of seconds that a file held when it was opened.
    """

    __module__ = "skcry.io"

    def __init__(self, blocks: Generator, sr: int, recorded: float = 0.0) -> None:
        self._blocks, self.sr, self.recorded = blocks, sr, recorded

    def __iter__(self):
        return self._blocks

    def close(self) -> None:
        """Stop reading, and close what is read from."""
        self._blocks.close()


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


@validate_params(
    {
        "device": [str, Integral, None],
        "sr": [Interval(Integral, *PLAUSIBLE_SR, closed="both")],
        "channels": [Interval(Integral, 1, 64, closed="both")],
    },
    prefer_skip_nested_validation=True,
)
def microphone(device: str | int | None = None, *, sr: int = DEFAULT_SR, channels: int = 1) -> SoundBlocks:
    """Record from a microphone, by PortAudio. Needs the extra ``live``.

    Parameters
    ----------
    device : str, int or None, default=None
        Name, part of a name, or number of an input, as ``python -m sounddevice`` lists them. None means the default.
    sr : int, default=16000
        Sampling rate in Hz. Devices that do not offer it raise an error: try 44100 or 48000, which are resampled.
    channels : int, default=1
        Number of channels to record.

    Returns
    -------
    SoundBlocks
        Iterable of blocks (n_timepoints, n_channels), for :meth:`skcry.CryDetector.listen`. It does not end by itself;
        call its ``close``. A minute of sound may wait for a slow consumer. What is lost beyond that, or by the system,
        becomes a :class:`Gap`.

    Raises
    ------
    ImportError
        If sounddevice or PortAudio is missing.
    OSError
        If the device cannot be opened or, while recording, gives no sound for 10 s.

    Examples
    --------
    >>> import skcry
    >>> from skcry.io import microphone
    >>> for second in skcry.load_pretrained().listen(microphone()):  # doctest: +SKIP
    ...     print(second.second, second.score, second.cry)
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError without PortAudio
        raise ImportError(
            f"To record, install sounddevice: pip install 'skcry[live]', and PortAudio, on Debian and Ubuntu by apt "
            f"install libportaudio2 ({error}). Or let another program record: arecord -f S16_LE -r 16000 -t raw | "
            "skcry listen - --sr 16000"
        ) from None
    recorder = _Recorder(sr)
    try:
        stream = sounddevice.InputStream(
            samplerate=sr,
            blocksize=round(BLOCK_DURATION * sr),
            device=device,
            channels=channels,
            dtype="int16",
            callback=recorder.record,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise OSError(
            f"The microphone (device={device}, sr={sr} Hz, channels={channels}) cannot be opened: {error}. Run python "
            "-m sounddevice to list devices; try sr=44100 or 48000."
        ) from None
    return SoundBlocks(recorder.blocks(stream), sr)


class _Recorder:
    """Queue between the thread of a sound card and the consumer; what is lost before or in it becomes a gap."""

    def __init__(self, sr):
        self._sr = sr
        self._queue: queue.Queue[Any] = queue.Queue(round(QUEUE_DURATION / BLOCK_DURATION))
        self._n_heard, self._began = 0, None
        self._lost, self._reason = 0.0, None  # since the last block in the queue

    def record(self, y, n_timepoints, times, status):
        """Take a block: the callback of sounddevice."""
        now = times.inputBufferAdcTime  # by the clock of the sound card, which nobody sets
        if self._began is None:
            self._began = now
        if status.input_overflow:
            lost = now - self._began - self._n_heard / self._sr
            lost = lost if 0 < lost < LONGEST_OVERFLOW else 0.0  # some drivers do not tell the time
            self._lost, self._reason = self._lost + lost, "the system was too slow to record"
            self._n_heard += round(lost * self._sr)
        self._n_heard += n_timepoints
        if self._queue.qsize() > self._queue.maxsize - 2:
            self._lost += n_timepoints / self._sr
            self._reason = "the program was too slow to listen, and its queue was full"
            return
        if self._reason is not None:
            self._queue.put_nowait(Gap(self._lost, self._reason))
            self._lost, self._reason = 0.0, None
        self._queue.put_nowait(y.copy())

    def blocks(self, stream):
        """Yield what is recorded, until the generator is closed."""
        with stream:
            while True:
                try:
                    yield self._queue.get(timeout=SILENT_DURATION)
                except queue.Empty:
                    raise OSError(
                        f"The microphone gave no sound for {SILENT_DURATION:g} s. Was it unplugged? Start again."
                    ) from None
