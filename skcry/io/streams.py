"""Find where the sound lies in files whose headers are wrong, that were joined, or that are damaged.

libsndfile believes the length in the first header. A :class:`Stream` gives it another header before the same sound.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

SEARCH_LENGTH = 2**20  # bytes read at a time
PADDING = 2**16  # bytes; recorders fill files with zeros up to the next block of the memory card
MAX_CHUNKS = 10_000  # of a WAV file
KNOWN_CHUNKS = {b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"cue ", b"smpl", b"JUNK", b"junk", b"PAD ", b"FLLR"}
KNOWN_CHUNKS |= {b"fact", b"PEAK", b"afsp", b"DISP", b"_PMX", b"axml", b"chna", b"umid", b"inst", b"plst", b"acid"}
KNOWN_CHUNKS |= {
    b"strc",
    b"NAME",
    b"ANNO",
    b"COMT",
    b"MARK",
    b"APPL",
    b"(c) ",
    b"free",
    b"info",
    b"uuid",
    b"minf",
    b"elm1",
    b"regn",
    b"levl",
    b"wamd",
    b"guan",
    b"note",
    b"labl",
    b"CSET",
    b"olym",
}
LYRICS = b"LYRICSBEGIN"
TAGS = (b"TAG", b"ID3", b"APETAGEX", LYRICS)
WAV_CHUNKS, AIFF_CHUNK, CAF_CHUNK = ("<4sI", ">4sI"), ">4sI", ">4sQ"
AIFC_SAMPLES = {b"NONE", b"sowt", b"twos", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64", b"ulaw", b"alaw"}
AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # by encoding
SAMPLE_FORMATS = {b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b".snd", b"caff"}
MAX_HEADER = 2**20  # bytes
MAX_OFFSET = 2**43  # bytes; file systems refuse more, with an error
WAV_MAGIC = re.compile(rb"(RIFF|RIFX|RF64|BW64)....WAVE", re.DOTALL)
AIFF_MAGIC = re.compile(rb"FORM....AIF[FC]", re.DOTALL)
# Data sizes of streams, whose length was not known when the header was written: sox, ffmpeg, arecord and others.
STREAMED_SIZES = {0x7FFFF000, 0x7FFFFFFF, 0x80000000}
LEAST_STREAMED_SIZE = 0xFFFF0000  # ffmpeg and others write the largest number, or a little less
OGG_START = re.compile(rb"OggS\x00[\x02\x03\x06\x07]")
FLAC_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
FLAC_SYNC = re.compile(rb"\xff[\xf8\xf9]")


class Stream(NamedTuple):
    """Sound in a file: the bytes from ``start`` to ``end``, with ``header`` before them.

    ``announced`` is how many times longer the sound should be, by the header of the file; ``silence`` the number of
    frames that are lost before it.
    """

    header: bytes
    start: int
    end: int
    announced: float = 1.0
    silence: int = 0


class StreamFile(io.RawIOBase):
    """A :class:`Stream` of a binary file, as a file of its own."""

    def __init__(self, file, stream):
        self._file, self._stream, self._place = file, stream, 0
        self._length = len(stream.header) + stream.end - stream.start
        self.furthest = stream.start  # byte of the file that was read last

    def readable(self):
        """Whether it can be read."""
        return True

    def seekable(self):
        """Whether places can be chosen."""
        return True

    def tell(self):
        """Return the place."""
        return self._place

    def seek(self, offset, whence=os.SEEK_SET):
        """Go to a place and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._length}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer):
        """Fill a buffer; return the number of bytes."""
        n = max(0, min(len(buffer), self._length - self._place))
        in_header = self._stream.header[self._place : self._place + n]
        content = bytes(in_header)
        if len(content) < n:
            self._file.seek(self._stream.start + self._place + len(content) - len(self._stream.header))
            content += self._file.read(n - len(content))
            self.furthest = max(self.furthest, self._file.tell())
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)


def _read_at(file, offset, n_bytes):
    if offset >= MAX_OFFSET:  # by a broken header
        return b""
    file.seek(offset)
    return file.read(n_bytes)


def _search(file, pattern, start, end, overlap=16):
    """Yield the offsets of a pattern of at most ``overlap`` bytes."""
    while start < end:
        content = _read_at(file, start, min(SEARCH_LENGTH + overlap, end - start))
        if not content:
            return
        yield from (start + found.start() for found in pattern.finditer(content) if found.start() < SEARCH_LENGTH)
        start += SEARCH_LENGTH


# Samples in one piece: WAV, AIFF, AU, CAF


class _Samples(NamedTuple):
    """Where the samples start, how many bytes they have by the header, and what is needed to tell where they end."""

    start: int
    size: int
    block_align: int
    chunk: str | None  # format of name and size of the chunks after them
    make_header: Callable[[int], bytes | None]  # for a number of bytes
    is_consistent: bool = True


def sample_streams(file, n_bytes):
    """Return the streams of a WAV, AIFF, AU or CAF file, or of several in a row; none if libsndfile is right."""
    streams: list = []
    at, is_right = 0, True
    while len(streams) < MAX_CHUNKS and (samples := _find_samples(file, at, n_bytes)) is not None:
        start, size = samples.start, samples.size
        end = _end_of_samples(file, samples, n_bytes)
        is_right = is_right and at == 0 and end == start + size and samples.is_consistent
        is_streamed = size in STREAMED_SIZES or LEAST_STREAMED_SIZE <= size < 2**32 or size >= 2**62
        announced = size / (end - start) if end > start and size > end - start and not is_streamed else 1.0
        header = samples.make_header(end - start)
        if header is None:
            return []
        streams.append(Stream(header, start, end, announced))
        at = _next_start(file, samples.chunk, end, n_bytes)
    return [] if is_right and len(streams) < 2 else streams


def _find_samples(file, at, n_bytes):
    """Find the samples of the file that starts at a place; None if its header cannot be read."""
    head = _read_at(file, at, 32)
    try:
        if WAV_MAGIC.match(head):
            found = _find_wav(file, at)
        elif AIFF_MAGIC.match(head):
            found = _find_aiff(file, at)
        elif at == 0 and head[:4] == b".snd":
            found = _find_au(file)
        elif at == 0 and head[:4] == b"caff":
            found = _find_caf(file)
        else:
            return None
    except struct.error:  # the file ends in its header
        return None
    return None if found is None or found.start > n_bytes else found


def _is_start(content):
    """Tell whether bytes begin a WAV or AIFF file."""
    return bool(WAV_MAGIC.match(content) or AIFF_MAGIC.match(content))


def _next_start(file, chunk, end, n_bytes):
    """Return where another WAV or AIFF file begins after samples and chunks; ``n_bytes`` if none does."""
    for at in (end, end + end % 2) if chunk in (*WAV_CHUNKS, AIFF_CHUNK) else ():
        with contextlib.suppress(struct.error):  # the end of the file
            for name, _, start in _chunks(file, at, chunk):
                if _is_start(_read_at(file, start - 8, 12)):
                    return start - 8
                if not _is_name(name):
                    break
    return n_bytes


def _chunks(file, at, chunk):
    """Yield name, size and start of chunks from a place on; ``chunk`` is the struct format of name and size."""
    for _ in range(MAX_CHUNKS):
        name, size = struct.unpack(chunk, _read_at(file, at, struct.calcsize(chunk)))
        at += struct.calcsize(chunk)
        yield name, size, at
        at += size + (size % 2 if size < 2**32 and chunk != CAF_CHUNK else 0)


def _find_wav(file, at):
    magic = _read_at(file, at, 4)
    order, fmt, long_size = ">" if magic == b"RIFX" else "<", b"", None
    chunk = f"{order}4sI"
    for name, size, start in _chunks(file, at + 12, chunk):
        if name == b"fmt ":
            fmt = _read_at(file, start, min(size, 2**12))
        elif name == b"ds64":
            (long_size,) = struct.unpack("<8xQ", _read_at(file, start, 16))
        elif name == b"data":
            size = long_size if size == 2**32 - 1 and long_size is not None else size
            (block_align,) = struct.unpack_from(f"{order}H", fmt, 12)
            make_header = functools.partial(_wav_header, order, fmt)
            # libsndfile does not know BW64, which is RF64 by another name.
            return _Samples(start, size, block_align, chunk, make_header, magic != b"BW64")
    return None


def _wav_header(order, fmt, n_bytes):
    """Return a header for ``n_bytes`` of samples; None if there is none (big-endian, above 4 GiB)."""
    chunks = b"fmt " + struct.pack(f"{order}I", len(fmt)) + fmt + b"\0" * (len(fmt) % 2)
    whole = 4 + len(chunks) + 8 + n_bytes
    if whole < 2**32 - 1:
        data = b"data" + struct.pack(f"{order}I", n_bytes)
        return (b"RIFF" if order == "<" else b"RIFX") + struct.pack(f"{order}I", whole) + b"WAVE" + chunks + data
    if order == ">":
        return None
    block_align = max(1, struct.unpack_from("<H", fmt, 12)[0])
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, whole + 36, n_bytes, n_bytes // block_align, 0)
    return b"RF64\xff\xff\xff\xffWAVE" + ds64 + chunks + b"data\xff\xff\xff\xff"


def _find_aiff(file, at):
    common = None
    for name, size, start in _chunks(file, at + 12, AIFF_CHUNK):
        if name == b"COMM":
            common = start
        elif name == b"SSND":
            if common is None or start - at > MAX_HEADER:
                return None
            n_channels, n_frames, n_bits = struct.unpack(">hIh", _read_at(file, common, 8))
            compression = _read_at(file, common + 18, 4) if _read_at(file, at + 8, 4) == b"AIFC" else b"NONE"
            if compression not in AIFC_SAMPLES or n_channels < 1 or n_bits < 1:
                return None
            (offset,) = struct.unpack(">I", _read_at(file, start, 4))
            block_align = n_channels * -(-n_bits // 8)
            begin, size = start + 8 + offset, max(0, size - 8 - offset)
            if begin - at > MAX_HEADER:
                return None
            make_header = functools.partial(
                _aiff_header, _read_at(file, at, begin - at), common - at, start - at, block_align
            )
            return _Samples(begin, size, block_align, AIFF_CHUNK, make_header, n_frames == size // block_align)
    return None


def _aiff_header(content, common, start, block_align, n_bytes):
    """Return the header ``content`` for ``n_bytes`` of samples, with the chunks COMM and SSND from these places on."""
    header = bytearray(content)
    header[4:8] = struct.pack(">I", min(len(content) + n_bytes - 8, 2**32 - 1))
    header[common + 2 : common + 6] = struct.pack(">I", n_bytes // block_align)
    header[start - 4 : start] = struct.pack(">I", min(len(content) - start + n_bytes, 2**32 - 1))
    return bytes(header)


def _find_au(file):
    start, size, encoding, _, n_channels = struct.unpack(">4x5I", _read_at(file, 0, 24))
    if not 24 <= start <= MAX_HEADER or encoding not in AU_BYTES:
        return None

    def make_header(n_bytes):
        return _read_at(file, 0, 8) + struct.pack(">I", min(n_bytes, 2**32 - 1)) + _read_at(file, 12, start - 12)

    return _Samples(start, size, n_channels * AU_BYTES[encoding], None, make_header)


def _find_caf(file):
    block_align = None
    for name, size, start in _chunks(file, 8, CAF_CHUNK):
        if name == b"desc":
            codec, block_align = struct.unpack(">8x4s4xI", _read_at(file, start, 20))
            if codec != b"lpcm":
                return None
        elif name == b"data":
            if block_align is None or start > MAX_HEADER:
                return None

            def make_header(n_bytes, start=start):
                return _read_at(file, 0, start - 8) + struct.pack(">Q", n_bytes + 4) + _read_at(file, start, 4)

            return _Samples(start + 4, max(0, size - 4), block_align, CAF_CHUNK, make_header)
    return None


def _end_of_samples(file, samples, n_bytes):
    """Return where the samples end: where the header says if anything else follows, otherwise with the file."""
    start, size, block_align, chunk, *_ = samples
    end = start + size
    if end > n_bytes:
        return n_bytes
    for at in (end, end + size % 2):
        rest = _read_at(file, at, PADDING)
        if len(rest) < max(8, block_align) or rest.startswith(TAGS) or _is_start(rest):
            return end
        if chunk is not None and (rest[:4] in KNOWN_CHUNKS or _are_chunks(file, at, chunk, n_bytes)):
            return end
        if len(rest) < PADDING and not any(rest):
            return end
    return n_bytes


def _is_name(name):
    """Tell whether four bytes can be the name of a chunk."""
    return all(32 <= byte < 127 for byte in name)


def _are_chunks(file, at, chunk, n_bytes):
    """Tell whether chunks follow from a place on, up to the end of the file."""
    try:
        for name, size, start in _chunks(file, at, chunk):
            if not _is_name(name):
                return False
            if n_bytes <= start + size + size % 2 <= n_bytes + 1:
                return True
    except struct.error:
        pass
    return False


# MP3

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version
_BITRATES = {  # kbit/s by whether it is MPEG-1, and layer (3 is I, 1 is III)
    (True, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_LONGEST_FRAME = 2**12  # bytes, more than any
_N_TO_SYNC = 3  # frames in a row that are no accident
DECODER_DELAY = 529  # timepoints that mpg123 leaves out at the start, where a Xing frame stands


@functools.cache
def _frame_lengths():
    """Return the length in bytes of an MPEG audio frame by the second and third byte of its header; 0 if invalid."""
    lengths = [0] * 2**16
    for second in range(0xE0, 0x100):
        version, layer = second >> 3 & 3, second >> 1 & 3
        for third in range(256):
            bitrate, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
            if version == 1 or layer == 0 or rate == 3 or bitrate in (0, 15):
                continue
            bits = 1000 * _BITRATES[version == 3, layer][bitrate - 1]
            sr = _RATES[version][rate]
            if layer == 3:
                length = (12 * bits // sr + padding) * 4
            else:
                length = (72 if layer == 1 and version != 3 else 144) * bits // sr + padding
            lengths[second << 8 | third] = length
    return lengths


def _xing_place(head):
    """Return the place of the word Xing in a frame of layer III with this header of four bytes."""
    mono, is_first_version = head[3] >> 6 == 3, head[1] >> 3 & 3 == 3
    return 4 + ((17 if mono else 32) if is_first_version else (9 if mono else 17))


def _xing_counts(frame):
    """Return the numbers of frames and bytes by a Xing frame, None where it does not say; None for other frames."""
    place = _xing_place(frame)
    if frame[place : place + 4] not in (b"Xing", b"Info") or len(frame) < place + 16:
        return None
    flags, first, second = struct.unpack_from(">III", frame, place + 4)
    n_frames = first if flags & 1 else None
    return n_frames, (second if flags & 1 else first) if flags & 2 else None


def _id3_length(head):
    """Return the length of an ID3v2 tag by its first ten bytes."""
    a, b, c, d = (byte & 127 for byte in head[6:10])
    return 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if head[5] & 16 else 0)


def _tag_length(head):
    """Return the length of a tag of MP3 files by its first 24 bytes; 0 if there is none."""
    if head.startswith(b"ID3") and len(head) >= 10:
        return _id3_length(head)
    if head.startswith(b"APETAGEX") and len(head) == 24:
        size, flags = struct.unpack("<12xI4xI", head)
        return 32 + (size if flags & 1 << 29 else 0)  # the flag of a header; a footer stands behind its tag
    return 128 if head.startswith(b"TAG") else 0


def _after_tags(file, at):
    """Return the place after the tags at a place."""
    while length := _tag_length(_read_at(file, at, 24)):
        at += length
    return at


def _first_frame(file, at):
    """Return the place of the first frame after up to 64 KiB of anything else; None if there is none."""
    content, lengths = _read_at(file, at, PADDING + _N_TO_SYNC * _LONGEST_FRAME), _frame_lengths()
    if len(content) >= 4 and content[0] == 255 and lengths[content[1] << 8 | content[2]]:
        return at
    i = content.find(b"\xff")
    while 0 <= i < PADDING and not _is_synchronous(content, i, lengths):
        i = content.find(b"\xff", i + 1)
    return at + i if 0 <= i < PADDING else None


class _Mp3Part(NamedTuple):
    """Frames in a row of one kind; ``n_announced`` by their Xing frame, None without it."""

    head: bytes
    start: int  # of the Xing frame, if there is one
    first: int  # frame of sound
    end: int
    n_frames: int
    n_announced: int | None
    n_lost: int  # damaged bytes before it


def mp3_streams(file, n_bytes):
    """Return the streams of MP3 files in a row; an empty list where libsndfile's reading is right.

    Frames are counted if there is no Xing frame, or if it does not count all bytes of the file.
    """
    start = _first_frame(file, _after_tags(file, 0))
    if start is None:
        return []
    counts = _xing_counts(_read_at(file, start, _LONGEST_FRAME))
    if counts is not None and counts[0] and counts[1]:
        rest = _read_at(file, _after_tags(file, start + counts[1]), 256)
        if len(rest) < 256 or rest.startswith(LYRICS):
            return []
    streams = split_mp3(file, n_bytes, start)
    return [] if len(streams) == 1 and not streams[0].header else streams


def split_mp3(file, n_bytes, start=0):
    """Return the streams of MP3 files in a row, each up to its first damage or from there on."""
    streams: list = []
    parts = _mp3_parts(file, start, n_bytes)
    for number, part in enumerate(parts):
        goes_on = number + 1 < len(parts) and parts[number + 1].n_lost > 0
        is_counted = part.n_announced is not None and part.n_announced >= part.n_frames and not goes_on
        header = b"" if is_counted else _xing_frame(part)
        n_timepoints = _frame_timepoints(part.head)
        lost = round(part.n_lost / (part.end - part.first) * part.n_frames) * n_timepoints
        silence = lost + DECODER_DELAY if part.n_lost else 0
        streams.append(Stream(header, part.first if header else part.start, part.end, silence=silence))
    return streams


def _frame_timepoints(head):
    """Return the number of timepoints in a frame with this header of four bytes."""
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return 384 if layer == 3 else 1152 if layer == 2 or version == 3 else 576


def _xing_frame(part):
    """Return a Xing frame that announces the frames of a part; nothing for layers I and II, which have none."""
    second, third = part.head[1] | 1, part.head[2] & 0x0C  # without checksum and padding
    if second >> 1 & 3 != 1:
        return b""
    place = _xing_place(part.head)
    bitrate = next(i for i in range(1, 15) if _frame_lengths()[second << 8 | i << 4 | third] >= place + 16)
    length = _frame_lengths()[second << 8 | bitrate << 4 | third]
    n_bytes = length + part.end - part.start
    head = bytes([255, second, bitrate << 4 | third, part.head[3]])
    xing = b"Xing" + struct.pack(">III", 3, part.n_frames, min(n_bytes, 2**32 - 1))
    return (head + b"\0" * (place - 4) + xing).ljust(length, b"\0")


def _kind(content, i):
    """Return what all frames of a stream have in common: version, layer, sampling rate, mono or not."""
    return content[i + 1] & 0xFE, content[i + 2] & 0x0C, content[i + 3] >> 6 == 3


def _is_synchronous(content, i, lengths):
    """Tell whether frames of one kind follow each other from a place on."""
    kind = None
    for _ in range(_N_TO_SYNC):
        if i + 4 > len(content):
            return kind is not None
        length = lengths[content[i + 1] << 8 | content[i + 2]] if content[i] == 255 else 0
        if not length or kind not in (None, _kind(content, i)):
            return False
        kind, i = _kind(content, i), i + length
    return True


def _mp3_parts(file, at, n_bytes):
    """Go through the frames of an MP3 file, whatever lies between them."""
    lengths, parts = _frame_lengths(), []
    content, base = b"", at
    kind, head, start, first, n_frames, n_announced = None, b"", at, at, 0, None
    end = sound_end = at  # of the last frame or tag, of the last frame
    n_lost = 0
    while at + 4 <= n_bytes:
        i = at - base
        if i + 2 * _N_TO_SYNC * _LONGEST_FRAME > len(content) and base + len(content) < n_bytes:
            content, base, i = _read_at(file, at, SEARCH_LENGTH), at, 0
            if len(content) < 4:
                break
        length = lengths[content[i + 1] << 8 | content[i + 2]] if content[i] == 255 else 0
        if not length or (at != end and not _is_synchronous(content, i, lengths)):
            tag = content[i : i + 24]
            if _tag_length(tag) and (at == end or tag.startswith(b"ID3")):
                at += _tag_length(tag)
                end = at
                kind = kind if tag.startswith(b"ID3") else None  # the others stand at the end of a file
            else:
                found = content.find(b"\xff", i + 1)
                at = base + (len(content) if found < 0 else found)
            continue
        counts = None
        if content[i + 1] & 6 == 2:
            place = i + _xing_place(content[i : i + 4])
            if content[place : place + 4] in (b"Xing", b"Info"):
                counts = _xing_counts(content[i : i + _LONGEST_FRAME])
        if counts is not None or kind != _kind(content, i) or at != end:
            if kind is not None and not _is_synchronous(content, i, lengths):
                at += 1  # damage, not another stream
                continue
            if n_frames:
                parts.append(_Mp3Part(head, start, first, sound_end, n_frames, n_announced, n_lost))
            n_lost = at - end if kind == _kind(content, i) and counts is None else 0
            kind, head, start, n_frames = _kind(content, i), content[i : i + 4], at, 0
            first = at + length if counts is not None else at
            n_announced = counts[0] if counts is not None else None
        n_frames += counts is None
        at += length
        end = sound_end = min(at, n_bytes)
    if n_frames:
        parts.append(_Mp3Part(head, start, first, sound_end, n_frames, n_announced, n_lost))
    return parts


# OGG and FLAC


def ogg_streams(file, n_bytes):
    """Return the streams of OGG files in a row."""
    starts, end_of_start = [], None
    for at in _search(file, OGG_START, 0, n_bytes):
        head = _read_at(file, at, 27 + 255)
        if len(head) < 28 or head[18:22] != b"\0\0\0\0":
            continue
        if at != end_of_start:  # pages that follow at once begin parallel streams, such as a picture
            starts.append(at)
        end_of_start = at + 27 + head[26] + sum(head[27 : 27 + head[26]])
    return [Stream(b"", start, end) for start, end in pairwise([*starts, n_bytes])]


def is_tagged_flac(file):
    """Tell whether FLAC follows the ID3 tags at the start of a file."""
    return _read_at(file, _after_tags(file, 0), 4) == b"fLaC"


def flac_streams(file, n_bytes):
    """Return the streams of FLAC files in a row."""
    starts = list(_search(file, FLAC_START, 0, n_bytes))
    return [Stream(b"", start, end) for start, end in pairwise([*starts, n_bytes])]


def flac_after_damage(file, stream, search_from, n_read, n_frames):
    """Find the first intact frame of a FLAC stream beyond a damaged place.

    Return a stream from there and the number of its first timepoint, from ``n_read`` on and below ``n_frames`` (None if
    unknown); None if there is none. ``search_from`` is a place in the file.
    """
    info = b"fLaC\x80\0\0\x22" + _read_at(file, stream.start + 8, 34)
    if len(info) < 42:
        return None
    least, most = struct.unpack_from(">HH", info, 8)
    for at in _search(file, FLAC_SYNC, max(stream.start, search_from), stream.end):
        number = _flac_frame_number(_read_at(file, at, 16), info)
        timepoint = None if number is None else number * most if least == most else number
        if timepoint is not None and n_read <= timepoint < (n_frames or 2**36):
            return Stream(info, at, stream.end), timepoint
    return None


def _flac_frame_number(head, info):
    """Return the number in the header of a FLAC frame (of the frame, or of its first timepoint); None if invalid."""
    if len(head) < 16 or head[3] & 1 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] >> 4 > 10:
        return None
    n_channels, n_bits = (info[20] >> 1 & 7) + 1, ((info[20] & 1) << 4 | info[21] >> 4) + 1
    assignment, size = head[3] >> 4, (None, 8, 12, None, 16, 20, 24, 32)[head[3] >> 1 & 7]
    if (assignment + 1 if assignment < 8 else 2) != n_channels or size not in (None, n_bits):
        return None
    ones = 8 - (head[4] ^ 255).bit_length()  # as in UTF-8
    if ones in (1, 8):
        return None
    n_follow = max(0, ones - 1)
    number = head[4] & 0x7F >> ones
    for byte in head[5 : 5 + n_follow]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 63
    length = 5 + n_follow + {6: 1, 7: 2}.get(head[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    return number if length < len(head) and _crc8(head[:length]) == head[length] else None


def _crc8(content):
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 128 else 0)) & 255
    return crc
