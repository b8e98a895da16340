"""Decode audio files by libsndfile or, if it refuses them, by the libraries or the program of ffmpeg."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shlex
import shutil
import struct
import subprocess
import tempfile
from typing import Any

import numpy as np
import soundfile

from .file_kinds import lacks_index, no_sound, second_start, sound_kind
from .streams import (
    SAMPLE_FORMATS,
    Stream,
    StreamFile,
    flac_after_damage,
    flac_streams,
    is_tagged_flac,
    mp3_streams,
    ogg_streams,
    sample_streams,
    split_mp3,
)

READ_LENGTH = 2**14  # frames decoded at a time
UNKNOWN_LENGTH = 2**48  # frames; libsndfile returns more for streams of unknown length
LEAST_UNREAD = 2**14  # bytes after the sound that are more than metadata
LEAST_GAP = 0.1  # s; times are rounded to 1 ms or so, and clocks of phones drift
LONGEST_GAP = 600.0  # s, where the length is unknown
LEAST_MISSING = 1.0  # s; containers announce lengths in other units than frames
LEAST_MISSING_SHARE = 0.01
MPEG4_KINDS = ("MPEG-4", "3GPP", "QuickTime")
# Formats of ffmpeg that refer to no other file or address. Not mp3: noise passes for it.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,aac,amr,amrnb,amrwb,caf,flac,ogg,wav,w64,aiff,au,wv,tta,ape,mpc,"
FORMATS += "mpc8,voc,nistsphere,avi,flv,mpegts,mpeg,dsf,iff,rm,ac3,eac3"
WITH_LENGTH = re.compile("mov|matroska|asf|caf|wv|tta|ape")  # those that store the length of the sound
NO_END = "lacks an end-of-stream"  # in the log of libsndfile, of OGG
DECODING_ERROR = re.compile("Error while decoding|Error submitting packet")  # in the log of ffmpeg
WITH_TIMES = re.compile(f"{WITH_LENGTH.pattern}|amr")  # those that store the time of each packet, or have equal ones


class UnknownFormatError(OSError):
    """libsndfile does not know the format of a file, or finds its header broken."""


class Decoder(contextlib.AbstractContextManager):
    """Interface of the decoders: sound of a file in frames, from start to end.

    ``frames`` is the length by the header, None if unknown. At the end ``problems`` is complete, and ``n_missing`` is
    the number of frames that headers announce and that are not there. ``format`` and ``subtype`` are as in soundfile.
    """

    samplerate: int
    channels: int
    frames: Any  # int or None
    _iterator: Any
    _rest: Any
    format = ""
    subtype = "PCM_16"
    has_no_end = False  # whether the end mark of the format is missing
    jumps = False  # whether `seek` decodes nothing, and may be called again after something was read

    def __init__(self, path):
        self.problems: list = []
        self.n_missing = 0.0
        self._path = path
        self._iterator = None
        self._rest = None

    def read(self, n_frames, dtype="float32"):
        """Read ``n_frames``, fewer only at the end: array of shape (n, channels)."""
        if self._iterator is None:
            self._iterator = self._blocks(dtype)
            self._rest = np.empty((0, self.channels), dtype)
        parts, total = [self._rest], len(self._rest)
        while total < n_frames:
            self._n_wanted = n_frames - total
            block = next(self._iterator, None)
            if block is None:
                break
            parts.append(block)
            total += len(block)
        y = np.concatenate(parts) if len(parts) > 1 else self._rest
        self._rest = y[n_frames:]
        return y[:n_frames]

    def _blocks(self, dtype):
        """Yield the sound in blocks of any length."""
        raise NotImplementedError

    def seek(self, frame, dtype="float32"):
        """Go to a frame, before anything is read; ``dtype`` is that of the sound to be read."""
        while frame > 0 and (n := len(self.read(min(frame, READ_LENGTH), dtype))):
            frame -= n

    def count_frames(self):
        """Count the frames of the whole file."""
        with type(self)(self._path) as other:
            return sum(iter(lambda: len(other.read(READ_LENGTH)), 0))

    def close(self):
        """Close the file."""
        raise NotImplementedError

    def __exit__(self, *_):
        self.close()


class SoundFileDecoder(Decoder):
    """Sound by libsndfile: joined files one after the other, FLAC and MP3 beyond damage."""

    _sound: Any
    _view: Any
    _length: Any

    def __init__(self, path):
        super().__init__(path)
        self._sound = None
        self._view = None
        self._file = io.BufferedReader(io.FileIO(path))
        try:
            state = os.fstat(self._file.fileno())
            self._whole = Stream(b"", 0, state.st_size)
            self._streams = _streams_of(os.fspath(path), state.st_size, state.st_mtime_ns) or [self._whole]
            self._is_split = self._streams != [self._whole]
            self._n_before = self._n_lost = 0
            self._retried = None
            self._open_stream(0)
            if self._sound.format == "MP3" and not self._is_split:  # also where the first frame is not at the start
                self._streams = mp3_streams(self._file, state.st_size) or self._streams
                self._is_split = self._streams != [self._whole]
                self._open_stream(0)
        except BaseException:
            self.close()
            raise
        self.samplerate, self.channels = self._sound.samplerate, self._sound.channels
        self.format, self.subtype = self._sound.format, self._sound.subtype
        self.frames = self._length
        self.jumps = self.format != "MP3" and self._length is not None

    def _open_stream(self, number):
        """Open one of the streams; its frames are counted from here."""
        self._number, self._n_read = number, 0
        self._open(self._streams[number])
        self._length = self._sound.frames if self._sound.frames < UNKNOWN_LENGTH else None
        # FLAC in its own frames, so that damage to one loses no other.
        self._step = _flac_step(self._file, self._streams[number]) if self._sound.format == "FLAC" else None

    def _open(self, stream):
        if self._sound is not None:
            self._sound.close()
        self._file.seek(0)
        # Opened here where the place in the file must be known.
        is_plain = stream == self._whole and self._file.read(4) not in (b"fLaC", b"OggS")
        self._view = None if is_plain else StreamFile(self._file, stream)
        try:
            self._sound = soundfile.SoundFile(self._path if is_plain else self._view)
        except (soundfile.SoundFileError, TypeError) as error:  # TypeError: no sampling rate for ".raw"
            raise UnknownFormatError(getattr(error, "error_string", str(error))) from None
        # soundfile seeks after each block if it can, which changes the sound of MP3: its frames need those before them.
        self._sound.seekable = lambda: False
        self._log = self._sound.extra_info

    def _blocks(self, dtype):
        while True:
            error = yield from self._blocks_of_stream(dtype)
            if self._split():
                continue
            gap = self._pass_damage()
            if gap is not None:
                yield from self._silence(gap, dtype)
                self._n_read += gap
                continue
            if self._n_before + self._n_read == 0 and error:
                raise OSError(error)
            self._end_stream()
            if self._number + 1 == len(self._streams) or not self._open_next():
                break
            gap = self._streams[self._number].silence
            yield from self._silence(gap, dtype)
            self._n_before += gap
        self._find_problems()

    def _silence(self, n_frames, dtype):
        """Yield silence for damage."""
        if n_frames:
            if self._n_lost == 0:
                self._first_lost = (self._n_before + self._n_read) / self.samplerate
            self._n_lost += n_frames
            for start in range(0, n_frames, READ_LENGTH):
                yield np.zeros((min(READ_LENGTH, n_frames - start), self.channels), dtype)

    def _end_stream(self):
        """Add up what was read of a stream, and what it lacks."""
        missing = max(0, (self._length or 0) - self._n_read)
        if missing and self.format == "OGG":  # whose length is the time of its last page
            self.problems.append(
                f"is damaged: {missing / self.samplerate:.1f} s of it are lost, and the sound after them is moved "
                "ahead. Copy it again."
            )
            missing = 0
        if (
            self.format != "MP3"
            and self.subtype.startswith("MPEG")
            and _is_little(missing, self._n_read, self.samplerate)
        ):
            missing = 0  # MP3 in WAV, whose length libsndfile estimates
        self.n_missing += missing + self._n_read * (self._streams[self._number].announced - 1)
        self._n_before += self._n_read
        if NO_END in self._log and self._number + 1 < len(self._streams):
            self.problems.append(
                f"holds a part that breaks off at {self._n_before / self.samplerate:.1f} s, without an end mark. Copy "
                "it again."
            )

    def _blocks_of_stream(self, dtype):
        """Yield what can be decoded of the current stream; return the error that ends it, if any."""
        try:
            while True:
                # Not beyond the length: what follows a FLAC stream would be an error, and lose the last frame.
                n_frames = self._step or min(READ_LENGTH, self._n_wanted)
                if self._length is not None:
                    n_frames = max(0, min(n_frames, self._length - self._n_read))
                y = self._sound.read(n_frames, dtype, always_2d=True)
                if len(y) == 0:
                    break
                self._n_read += len(y)
                yield y
        except soundfile.SoundFileError as error:
            return getattr(error, "error_string", str(error))
        return None

    def _split(self):
        """Look for joined or damaged streams at the end of the first; tell whether there are, and it may go on."""
        is_whole = self._length is not None and self._length <= self._n_read
        if self._is_split or self.format not in ("FLAC", "OGG", "MP3") or (self.format == "MP3" and is_whole):
            return False
        self._is_split = True
        streams = {"FLAC": flac_streams, "OGG": ogg_streams, "MP3": split_mp3}[self.format](self._file, self._whole.end)
        if len(streams) < 2:
            return False
        self._streams = streams
        if self.format == "FLAC":
            return False
        n_read = self._n_read
        self._open_stream(0)
        if not self._is_alike():
            self._streams, self._n_read, self._length = [self._whole], n_read, n_read
            return False
        self._skip(n_read)
        return True

    def _is_alike(self):
        """Tell whether the current stream has rate and channels of the first."""
        return (self._sound.samplerate, self._sound.channels) == (self.samplerate, self.channels)

    def _skip(self, n_frames):
        """Go to a frame of the current stream, from its start."""
        if self.format == "MP3":  # whose frames need those before them
            while self._n_read < n_frames:
                n = len(self._sound.read(min(READ_LENGTH, n_frames - self._n_read)))
                if n == 0:
                    break
                self._n_read += n
            return
        with contextlib.suppress(soundfile.SoundFileError):
            self._sound.seek(n_frames)
        self._n_read = n_frames

    def _pass_damage(self):
        """Open a FLAC stream again after a damaged place; return how many frames are lost, None if it has ended."""
        if self.format != "FLAC" or self._length == self._n_read:
            return None
        stream, here = self._streams[self._number], self._n_read
        # A frame that was decoded as the last of a stream may be intact: what follows it is the error.
        least = here if self._retried != (self._number, here) else here + 1
        self._retried = self._number, here
        found = flac_after_damage(self._file, stream, self._view.furthest - LEAST_UNREAD, least, self._length)
        if found is None:
            return None
        self._open(found[0])
        return found[1] - here

    def _open_next(self):
        """Open the next stream; tell whether its sound continues the one before."""
        try:
            self._open_stream(self._number + 1)
            rate, channels = self._sound.samplerate, self._sound.channels
            if self._is_alike():
                return True
            why = f" ({rate} Hz, {channels} channel{'' if channels == 1 else 's'}, unlike the sound before)"
        except UnknownFormatError as error:
            why = f" ({error})"
        n_bytes = self._whole.end - self._streams[self._number].start
        self.problems.append(
            f"was joined from several files, and {n_bytes} bytes after {self._n_before / self.samplerate:.1f} s are "
            f"not read{why}. Split it."
        )
        return False

    def _find_problems(self):
        """Add what is known at the end."""
        seconds = self._n_before / self.samplerate
        if self._n_lost:
            self.problems.append(
                f"is damaged: {self._n_lost / self.samplerate:.2f} s, the first at {self._first_lost:.1f} s, are read "
                "as silence. Copy it again."
            )
        if self.format == "FLAC" and not self.problems and not self.n_missing:
            n_bytes = self._streams[-1].end - self._view.furthest
            if n_bytes > LEAST_UNREAD:
                self.problems.append(
                    f"goes on for {n_bytes} bytes after {seconds:.1f} s, which are not read. Split it."
                )
        self.has_no_end = NO_END in self._log
        if self._view is None and (announced := _announced_bytes(self._log)) is not None:
            self.n_missing = max(self.n_missing, self._n_before * (announced[0] / max(1, announced[1]) - 1))

    def count_frames(self):
        """Count the frames of the whole file, by its headers if they say."""
        self._split()
        total = 0
        for number, stream in enumerate(self._streams):
            self._open_stream(number)
            if self._length is None:
                total = super().count_frames()
                break
            if not self._is_alike():
                break
            total += self._length + stream.silence
        self._open_stream(0)
        return total

    def seek(self, frame, dtype="float32"):
        """Go to a frame, before anything is read if the decoder does not jump."""
        if not self.jumps:
            super().seek(frame, dtype)
            return
        self._split()
        self._iterator = None
        if len(self._streams) > 1:  # within the first one, since libsndfile looks for a frame in all that it is given
            self._open_stream(0)
        while frame >= self._length and self._number + 1 < len(self._streams):
            frame -= self._length
            self._open_stream(self._number + 1)
        self._skip(frame)

    def close(self):
        """Close the file."""
        if self._sound is not None:
            self._sound.close()
        self._file.close()


def _is_little(missing, n_read, samplerate):
    """Tell whether so few frames are missing that the length was only announced roughly."""
    return missing <= max(LEAST_MISSING * samplerate, LEAST_MISSING_SHARE * n_read)


@functools.lru_cache(maxsize=256)
def _streams_of(path, n_bytes, modified):
    """Return the streams of a file that libsndfile would not read as it is; kept for the next opening."""
    with open(path, "rb") as file:
        head = file.read(4)
        if head in SAMPLE_FORMATS:
            return sample_streams(file, n_bytes)
        if head[:3] == b"ID3" and is_tagged_flac(file):
            return flac_streams(file, n_bytes)
        if head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] >= 0xE0):
            return mp3_streams(file, n_bytes)
    return []


def _flac_step(file, stream):
    """Return the number of timepoints in a frame of a FLAC stream."""
    file.seek(stream.start + 8)
    content = file.read(4)
    least, most = struct.unpack(">HH", content) if len(content) == 4 else (0, 0)
    return most if 16 <= least == most else READ_LENGTH


def _announced_bytes(log):
    """Return the bytes of audio by the header and those in the file, from libsndfile's log; None if they are equal.

    The log holds, for example, ``data : 320000 (should be 159979)``. A header with the largest possible number is not
    wrong: streams are written so.
    """
    found = re.search(r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", log, re.M)
    if found is None:
        found = re.search(r"^riff : (\d+) \(should be (\d+)\)", log, re.M)  # Wave64, for the whole file only
    if found is None:
        return None
    announced, there = int(found[1]), int(found[2])
    return (announced, there) if there < announced < 2**32 - 2**16 or announced > 2**32 else None


class _OtherDecoder(Decoder):
    """What the decoders of ffmpeg share."""

    def _compare(self, n_read):
        """Compare what was read with what the file announces, and look for another file after it."""
        missing = (self.frames or 0) - n_read
        if not _is_little(missing, n_read, self.samplerate):
            self.n_missing = missing
        start = second_start(self._path) if (sound_kind(self._path) or "").startswith(MPEG4_KINDS) else None
        if start is not None:
            self.problems.append(
                f"was joined from several files, and {os.path.getsize(self._path) - start} bytes after "
                f"{n_read / self.samplerate:.1f} s are not read. Split it."
            )


class PyavDecoder(_OtherDecoder):
    """Sound by PyAV, which brings the libraries of ffmpeg: formats of phones and others."""

    _container: Any

    def __init__(self, path):
        import av

        super().__init__(path)
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
        try:
            self._container = av.open(f"file:{os.path.abspath(path)}", options=options, metadata_errors="replace")
        except (av.FFmpegError, UnicodeError) as error:
            raise OSError(_reason(error)) from None
        stream: Any
        try:
            stream = self._container.streams.best("audio")
            if stream is None:
                raise OSError("it holds no sound")
            if stream.codec_context is None:
                raise OSError("its sound has an unknown codec")
            self._n_faulty = 0
            self._frames: Any = self._decode(stream, _decoder_of(stream))
            # Only the first frame tells the true rate and channels, for example of HE-AAC.
            self._first = next(self._frames, None)
            if self._first is None:
                raise OSError("nothing in it can be decoded")
        except (av.FFmpegError, UnicodeError) as error:
            self.close()
            raise OSError(_reason(error)) from None
        except BaseException:
            self.close()
            raise
        self.samplerate, self.channels = self._first.sample_rate, self._first.layout.nb_channels
        self.subtype = "PCM_24" if self._first.format.name in ("s32", "s32p") else "PCM_16"
        self._unit = float(stream.time_base * self.samplerate)  # of times, in timepoints
        self.frames = None
        self._has_no_times = not WITH_TIMES.match(self._container.format.name)
        if WITH_LENGTH.match(self._container.format.name):
            seconds = float(stream.duration * stream.time_base) if stream.duration else None
            if seconds is None and self._container.duration:
                seconds = self._container.duration / av.time_base
            self.frames = None if seconds is None else round(seconds * self.samplerate)

    def _time(self, frame):
        """Return the time of a frame in timepoints; None if it is unknown, or a guess."""
        if frame.pts is None or self._has_no_times:
            return None
        return round(frame.pts * self._unit)

    def _decode(self, stream, decoder):
        """Yield the frames of ffmpeg; damaged ones are left out and counted."""
        import av

        packets = self._container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self.problems.append(f"cannot be read to its end ({_reason(error)}). Copy it again.")
                return
            if packet is None:
                return
            try:
                yield from decoder(packet)
            except av.FFmpegError:
                self._n_faulty += 1

    def _blocks(self, dtype):
        n_read, frame = 0, self._first
        begin, first_lost, n_lost = self._time(frame), None, 0
        while frame is not None:
            if (frame.sample_rate, frame.layout.nb_channels) != (self.samplerate, self.channels):
                self.problems.append(
                    f"changes to {frame.sample_rate} Hz and {frame.layout.nb_channels} channels after "
                    f"{n_read / self.samplerate:.1f} s, and is read up to there. Convert it to WAV."
                )
                return
            y = frame.to_ndarray()
            y = _scaled(y.T if frame.format.is_planar else y.reshape(-1, self.channels), dtype)
            # Damaged packets, and those that a phone left out, are silence, so that later sound keeps its time.
            place = self._time(frame)
            gap = 0 if place is None or begin is None else place - begin - n_read
            longest = LONGEST_GAP * self.samplerate if self.frames is None else self.frames - n_read
            if LEAST_GAP * self.samplerate < gap < longest:
                first_lost = n_read / self.samplerate if first_lost is None else first_lost
                n_lost += gap
                n_read += gap
                for start in range(0, gap, READ_LENGTH):
                    yield np.zeros((min(READ_LENGTH, gap - start), self.channels), dtype)
            n_read += len(y)
            yield y
            frame = next(self._frames, None)
        if n_lost:
            self.problems.append(
                f"has gaps: {n_lost / self.samplerate:.2f} s, the first at {first_lost:.1f} s, are read as silence."
            )
        if self._n_faulty:
            self.problems.append(f"is damaged: {self._n_faulty} packets could not be decoded. Copy it again.")
        self._compare(n_read)

    def close(self):
        """Close the file."""
        self._container.close()


class FfmpegDecoder(_OtherDecoder):
    """Sound from the program ffmpeg, through a pipe."""

    _process: Any

    def __init__(self, path):
        super().__init__(path)
        program = shutil.which("ffmpeg")
        if program is None:
            raise ModuleNotFoundError("ffmpeg is not installed")
        self._folder = tempfile.TemporaryDirectory()
        self._log = os.path.join(self._folder.name, "log.txt")
        command = [program, "-nostdin", "-hide_banner", "-nostats", "-v", "info", "-protocol_whitelist", "file,pipe"]
        command += ["-format_whitelist", FORMATS, "-i", f"file:{os.path.abspath(path)}", "-map", "0:a:0"]
        # Silence in gaps, so that later sound keeps its time. AU has a header without length: 24 bytes and a text.
        command += ["-af", "aresample=async=1", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
        try:
            head = self._process.stdout.read(24)
            if len(head) < 24:
                self._process.wait()
                raise OSError(self._last_error() or "nothing in it can be decoded")
            offset, _, _, self.samplerate, self.channels = struct.unpack(">4x5I", head)
            self._process.stdout.read(offset - 24)
        except BaseException:
            self.close()
            raise
        self.frames = None
        text = self._read_log()
        duration = re.search(r"Duration: (\d+):(\d+):([\d.]+)", text)
        if duration and WITH_LENGTH.match((re.search(r"Input #0, (\S+)", text) or [""] * 2)[1]):
            hours, minutes, seconds = map(float, duration.groups())
            self.frames = round((3600 * hours + 60 * minutes + seconds) * self.samplerate)

    def _read_log(self):
        with open(self._log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def _last_error(self):
        lines = [line.strip() for line in self._read_log().splitlines() if line.strip()]
        return re.sub(r"^file:.*?: (?=\w)", "", lines[-1]) if lines else ""

    def _blocks(self, dtype):
        n_read, size = 0, 4 * self.channels
        while len(content := self._process.stdout.read(READ_LENGTH * size)) >= size:
            y = np.frombuffer(content[: len(content) // size * size], ">f4").reshape(-1, self.channels)
            n_read += len(y)
            yield _scaled(y.astype(np.float32), dtype)
        if self._process.wait() != 0:
            self.problems.append(f"cannot be read to its end ({self._last_error()}). Copy it again.")
        elif (n_faulty := len(DECODING_ERROR.findall(self._read_log()))) > 0:
            self.problems.append(f"is damaged: {n_faulty} packets could not be decoded. Copy it again.")
        self._compare(n_read)

    def close(self):
        """End ffmpeg."""
        self._process.stdout.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def _decoder_of(stream):
    """Return the decoder of a stream of PyAV."""
    import av

    context = stream.codec_context
    if context is not None and context.name == "amrnb":
        # That of ffmpeg knows no pauses, in which phones send comfort noise.
        with contextlib.suppress(av.FFmpegError):
            return av.CodecContext.create("libopencore_amrnb", "r").decode
    return stream.decode


def _reason(error):
    """Return the text of an error of ffmpeg without number and path."""
    return getattr(error, "strerror", None) or str(error)


def _scaled(y, dtype):
    """Convert sound (n, channels) of any type to float32 or float64 in [-1, 1], or to int32 of full scale."""
    if y.dtype.kind in "iu":
        full = 2.0 ** (8 * y.dtype.itemsize - 1)
        y = y.astype(np.float64) / full - (y.dtype.kind == "u")
    if dtype == "int32":
        return np.clip(np.rint(y.astype(np.float64) * 2**31), -(2**31), 2**31 - 1).astype(np.int32)
    return np.ascontiguousarray(y, dtype=dtype)


def open_decoder(path):
    """Open an audio file with the first decoder that reads it; OSError that says what the file is."""
    try:
        return SoundFileDecoder(path)
    except UnknownFormatError as error:
        reason = str(error)
    what = no_sound(path)
    if what is not None:
        raise OSError(f"{path} cannot be read as audio: it is {what[0]}. {what[1]}")
    kind = sound_kind(path)
    for decoder in (PyavDecoder, FfmpegDecoder):
        try:
            return decoder(path)
        except ImportError:
            continue
        except OSError as error:
            reason = str(error)
            break
    else:
        if kind is not None:
            stem, suffix = os.path.splitext(os.path.basename(path))
            converted = f"{stem}{'_converted' if suffix.lower() == '.wav' else ''}.wav"
            raise OSError(
                f"{path} cannot be read as audio: it is {kind}, which needs PyAV or ffmpeg. Run pip install av, or "
                f"convert it: ffmpeg -i {shlex.quote(stem + suffix)} {shlex.quote(converted)}"
            )
    if lacks_index(path):
        raise OSError(
            f"{path} cannot be read as audio: it is {kind} without index (moov), because the recording or the copy was "
            "not finished. Copy it again, or repair it (for example with untrunc)."
        )
    raise OSError(unreadable(path, f"{kind}: {reason}" if kind else reason))


def unreadable(path, reason):
    """Return the message for a file that cannot be decoded."""
    return f"{path} cannot be read as audio ({reason}). Copy it again, or convert it to WAV or FLAC."
