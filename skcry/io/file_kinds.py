"""Tell what a file is by its first bytes: formats of sound, and what is often saved under the name of a recording."""

import os
import re

HEAD_LENGTH = 2**12  # bytes
MAX_ATOMS = 1000  # of MPEG-4, at its first level
# What is no sound: pattern of the first bytes, what it is, what to do.
NO_SOUND = (
    (rb"version https://git-lfs\.github\.com/", "a Git LFS pointer, not the sound itself", "Run git lfs pull."),
    (rb"/annex/objects/", "a git-annex pointer, not the sound itself", "Run git annex get on it."),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!doctype html|<html|<head)", "a web page (HTML)", "Download the file again."),
    (rb"\s*<\?xml", "an XML text", "Name the recording instead."),
    (rb"%PDF", "a PDF", "Name the recording instead."),
    (rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!", "a compressed archive", "Unpack it first."),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|....ftyp(heic|heix|mif1|msf1|avif)", "a picture", "Name the recording instead."),
    (rb"\0{4096}", "a file that begins with thousands of zeros", "It was not copied; copy it again."),
)
SOUND = (
    (rb"#!AMR-WB", "AMR-WB"),
    (rb"#!AMR", "AMR"),
    (rb"\x1aE\xdf\xa3.{0,60}webm", "WebM"),
    (rb"\x1aE\xdf\xa3", "Matroska"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "ASF, the format of Windows Media (wma)"),
    (rb"....(moov|mdat|wide|free|skip|pnot)", "QuickTime or MPEG-4"),
    (rb"wvpk", "WavPack"),
    (rb"TTA1", "True Audio"),
    (rb"MAC ", "Monkey's Audio"),
    (rb"MPCK|MP\+", "Musepack"),
    (rb"DSD ", "DSD"),
    (rb"ADIF|\xff[\xf0\xf1\xf8\xf9]", "AAC"),
    (rb"FLV", "Flash video"),
    (rb"RIFF....AVI ", "AVI video"),
    (rb"\x00\x00\x01\xba", "MPEG video"),
    (rb"\x47.{187}\x47", "MPEG transport stream"),
    (rb"\.RMF|\.ra\xfd", "RealAudio"),
    (rb"OggS", "OGG"),
    (rb"fLaC", "FLAC"),
    (rb"NIST_1A", "NIST Sphere"),
    (rb"Creative Voice File", "Creative Voice"),
    (rb"FORM....AIF", "AIFF"),
    (rb"\.snd", "AU"),
    (rb"ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xfd]", "MPEG audio (MP3)"),  # 0xff 0xfe begins text in UTF-16
)
BRANDS = (("M4A", "MPEG-4 audio (m4a)"), ("M4B", "MPEG-4 audio (m4b)"), ("3g", "3GPP, a format of phones"))
BRANDS += (("qt", "QuickTime"), ("", "MPEG-4"))


def _head(path):
    with open(path, "rb") as file:
        return file.read(HEAD_LENGTH)


def _first(patterns, head):
    return next((row for row in patterns if re.match(row[0], head, re.DOTALL | re.IGNORECASE)), None)


def is_text(head):
    """Tell whether the first bytes of a file are text: no control characters, and UTF-8."""
    if re.search(rb"[\0-\x08\x0e-\x1f]", head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4
    return True


def no_sound(path):
    """Return what a file is, and what to do, if it is certainly no sound; None otherwise."""
    head = _head(path)
    found = _first(NO_SOUND, head)
    if found is not None:
        return found[1:]
    return ("text", "Name the recording instead.") if head and is_text(head) else None


def sound_kind(path):
    """Name the format of a sound file by its first bytes; None if it is none of the known ones."""
    head = _head(path)
    if head[4:8] == b"ftyp":
        brand = head[8:12].decode("latin-1")
        return next(name for start, name in BRANDS if brand.startswith(start))
    if head.startswith(b"caff"):
        codec = head[28:32].decode("latin-1") if head[8:12] == b"desc" else ""
        return f"Apple CAF with codec {codec!r}" if codec.strip().isalnum() else "Apple CAF"
    if re.match(rb"(RIFF|RIFX|RF64|BW64)....WAVE", head, re.DOTALL):
        at = head.find(b"fmt ")
        codec = int.from_bytes(head[at + 8 : at + 10], "big" if head.startswith(b"RIFX") else "little")
        return f"WAV with codec 0x{codec:04x}" if at > 0 else "WAV"
    found = _first(SOUND, head)
    return found and found[1]


def _atoms(path):
    """Yield name, start and end of the atoms of a file of the MPEG-4 family, at its first level."""
    at, n_bytes = 0, os.path.getsize(path)
    with open(path, "rb") as file:
        for _ in range(MAX_ATOMS):
            if at >= n_bytes:
                return
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:], "big") if size == 1 else size
            end = at + size if size >= 8 else n_bytes  # 0: to the end of the file
            yield head[4:8], at, end
            at = end


def lacks_index(path):
    """Tell whether a file of the MPEG-4 family has no complete atom moov, which phones write last."""
    if _head(path)[4:8] not in (b"ftyp", b"mdat", b"wide", b"free", b"skip"):
        return False
    return not any(name == b"moov" and end <= os.path.getsize(path) for name, _, end in _atoms(path))


def second_start(path):
    """Return where a second file of the MPEG-4 family starts in a file, None if it holds only one."""
    return next((start for name, start, _ in _atoms(path) if name == b"ftyp" and start > 0), None)


def missing_content(path):
    """Return what to do if a path is a link to content of git-annex that is not here; None otherwise."""
    if path.is_symlink() and not path.exists() and "annex/objects" in os.readlink(path).replace("\\", "/"):
        return f"{path} is a link of git-annex whose content is not here. Run git annex get on it."
    return None
