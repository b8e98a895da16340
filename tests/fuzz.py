"""Broken and hostile files for every reader: only the errors that are documented may come out, soon, in little memory.

``python tests/fuzz.py --mutations 10000 --seed 0`` first tries the monsters, files that were thought out to fill memory
or time, then mutations of good files. Each case runs under a memory limit, in a process that is killed where it takes
too long: that is a failure as well. ``--case N`` repeats one mutation, in this process.
"""

import argparse
import collections
import contextlib
import io
import multiprocessing
import os
import re
import struct
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import numpy as np
import pandas as pd
import soundfile

from skcry import files
from skcry.datasets import load_annotated, load_clips
from skcry.excerpts import draw_excerpts
from skcry.io import csv_tables, read_annotations, read_audio, read_its_clock, write_annotations
from skcry.io.annotations import FORMATS
from skcry.io.audio import AudioFile
from skcry.io.text_files import SeveralError

MEMORY = 2**30  # bytes that a case may take beyond what the imports took
SECONDS = 30  # that a case may take
LONGEST_MESSAGE = 3000
SR = 8000
ROWS = [(0.5, 1.5, "cry"), (1.5, 2.25, 'fuss, "loud"'), (3.0, 4.0, "näh 泣")]
PLAIN_ROWS = [(0.5, 1.5, "cry"), (1.5, 2.25, "fuss"), (3.0, 4.0, "näh")]
ITS = """<?xml version="1.0" encoding="UTF-8"?>
<ITS fileName="e1"><ProcessingUnit>
<Recording num="1" startClockTime="2024-05-01T08:00:00Z" startTime="PT0.00S" endTime="PT100.00S">
<Conversation num="1"><Segment spkr="FAN" startTime="PT0.00S" endTime="PT12.00S"/>
<Segment spkr="CHN" startTime="PT12.00S" endTime="PT14.00S" startCry1="PT12.34S" endCry1="PT13.20S"/></Conversation>
</Recording></ProcessingUnit></ITS>
"""
REF_TIER = """<TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="child" PARENT_REF="annotations"><ANNOTATION>
<REF_ANNOTATION ANNOTATION_ID="a8" ANNOTATION_REF="a2"><ANNOTATION_VALUE>x</ANNOTATION_VALUE></REF_ANNOTATION>
</ANNOTATION></TIER>"""
TYPED_ITS = ITS.replace("<ITS ", '<!DOCTYPE ITS SYSTEM "its.dtd">\n<ITS ').replace("</Processing", "<Bar/></Processing")
MEDIA = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///D:/a.{}" MIME_TYPE="x" TIME_ORIGIN="{}"/>'
CHRONOLOGICAL = """"Praat chronological TextGrid text file"
0 4 ! Time domain.
2 ! Number of tiers.
"IntervalTier" "a" 0 4
"TextTier" "b" 0 4
1 0 1.5
"cry"
2 1
"click"
1 1.5 4
""
"""
BIRDNET = """Selection\tView\tBegin Time (s)\tEnd Time (s)\tCommon Name\tConfidence\tBegin Path\tFile Offset (s)
1\tS\t3\t6\tHuman\t0.7\t/data/a.wav\t3
2\tS\t63\t66\tDog\t0.8\tC:\\data\\b.wav\t3
"""
RTTM = """NOSCORE a 1 5 2 <NA> <NA> <NA> <NA>
SPEAKER a 1 0.5 0.2 <NA> <NA> KCHI 0.7 <NA>
NON-SPEECH a 1 3 1 <NA> noise <NA> <NA>
SPEAKER b 1 4 1 <NA> <NA> CRY
"""
CHILDPROJECT = """segment_onset,segment_offset,speaker_type,vcm_type,cries,recording_filename
0,1500,CHI,Y,[],a.wav
2000,3000,CHI,NA,"[{'start': 2.1, 'end': 2.5}, {'start': 2.6, 'end': 2.9}]",a.wav
4000,5000,FEM,NA,[],a.wav
"""
RANGES = """segment_onset,segment_offset,speaker_type,vcm_type,range_onset,range_offset,recording_filename
500,1500,CHI,Y,0,2000,a.wav
4000,5000,FEM,NA,4000,6000,a.wav
"""
ELAN_EXPORT = "CHI\t\t00:00:01.500\t1.500\t00:00:02.500\t2.500\t00:00:01.000\t1.000\tcry\n" * 3
ELAN_NAMES = "Tier\tBegin Time - msec\tEnd Time - msec\tAnnotation\nCHI\t500\t900\tcry\nMOT\t700\t900\t\n"
DCASE = "filename\tonset\toffset\tevent_label\na.wav\t1.5\t2.5\tcry\nb.wav\t\t\t\n"
SEMICOLONS = "# note\nStart;duration;label\n1,5;2,5;cry\n00:00:04;1;fuss\n"
CLASSES = "file,start_time,end_time,cry,fuss\na.wav,0,3,1,0\na.wav,3,6,0,True\n"
BORIS = "Observation id,day1\n\nTime,Subject,Behavior,Modifier #1,Status\n1.5,Ada,cry,,START\n2.5,Ada,cry,,STOP\n"
CHAT = '@Begin\n*CHI:\t0 [=! cries] . \x151500_2500\x15\n%com:\tx\n*MOT:\thi\n\tyou \x15%snd:"a"_3000_4000\x15\n@End\n'


# Readers


def _read_sound(path):
    whole, _ = read_audio(path)
    with AudioFile(path) as file:
        parts = [file.read(n) for n in (1, 1000, 7, 10**6)]
    assert np.array_equal(np.concatenate(parts), whole[: sum(map(len, parts))])


def _cut_excerpts(path):
    events = pd.DataFrame({"recording": [0], "onset": [0.1], "offset": [0.4]})
    draw_excerpts([path], events, path.parent / "out", duration=0.5, random_state=0, max_tries=100)


def _read_elan(path):
    for tier in (None, "annotations", "child"):
        with contextlib.suppress(ValueError):
            read_annotations(path, tier=tier)
    read_annotations(path, tier="annotations")


def _read_results(path):
    files.read_timelines(path.parent)
    files.report(path.parent, by="hour")


def _read_start(path):
    files.report(path.parent, by="hour", start=path)


def _load_folder(path):
    load_annotated(path.parent)


def _reader_of(name, **chosen):
    def read(path):
        with contextlib.suppress(ValueError):
            read_annotations(path)  # by what it looks like
        read_annotations(path, format=name, **chosen)

    return read


def _reader_with(name, **options):
    def read(path):
        with contextlib.suppress(ValueError):
            read_annotations(path)
        read_annotations(path, format=name, **options)

    return read


# Good files


def _sound(format, subtype, channels=1):
    y = 0.3 * np.sin(np.arange(SR) * 0.3)[:, None] * np.ones(channels)
    file = io.BytesIO()
    soundfile.write(file, y, SR, format=format, subtype=subtype)
    return file.getvalue()


PHONES = [("mp4", "aac"), ("3gp", "libopencore_amrnb"), ("caf", "adpcm_ima_qt"), ("webm", "libopus"), ("asf", "wmav2")]


def _phone_sound(format, codec):
    rate = 8000 if "amr" in codec else 48000
    y, file = (9000 * np.sin(np.arange(rate) * 0.1)).astype(np.int16), io.BytesIO()
    with av.open(file, "w", format=format) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono", bit_rate=12200 if "amr" in codec else 64000)
        resampler = av.AudioResampler(stream.format.name, "mono", rate, frame_size=stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(y[None], format="s16", layout="mono")
        frame.sample_rate = rate
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(part))
    return file.getvalue()


def _results():
    """Files of a folder of results, as `detect_files` writes them."""
    timeline = "second,score,cry,usable\n" + "".join(f"{i},0.{i},{i > 4},True\n" for i in range(10))
    row = {"status": "ok", "duration": 10.0, "cry_duration": 5.0, "n_bouts": 1, "usable": 1.0, "message": ""}
    row |= {"n_bytes": 1000, "modified": 10**18, "source": "/elsewhere/a.wav"}
    manifest = pd.DataFrame([{"file": name, **row} for name in ("a.wav", "b/ü.wav")])
    return {
        "manifest.csv": manifest.to_csv(index=False).encode(),
        "detector.json": b'{"threshold": 0.5, "merge_gap": 5.0, "min_duration": 5.0, "probe": [[0.1, 0.9]]}',
        "a.wav.timeline.csv": timeline.encode(),
        "b/ü.wav.timeline.csv": timeline.encode(),
        "start.csv": "file,start\na.wav,2024-05-01 08:00\nb/ü.wav,2024-05-02 09:30\n".encode(),
    }


def _two_tiers(name):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        write_annotations({"Ada": [(0, 1, "x"), (1, 2.5, "x")], "Ben": ROWS}, path, format=name)
        return path.read_bytes()


def make_seeds():
    """Good files: (name of the case, name of the file, its content, files beside it, reader)."""
    seeds = []
    sounds = [("WAV", "PCM_16", 1), ("WAV", "PCM_24", 2), ("WAV", "FLOAT", 1), ("WAV", "IMA_ADPCM", 1)]
    sounds += [("RF64", "PCM_16", 1), ("W64", "PCM_16", 2), ("AIFF", "PCM_16", 1), ("FLAC", "PCM_16", 2)]
    sounds += [("OGG", "VORBIS", 1), ("OGG", "OPUS", 1), ("AU", "ULAW", 1), ("CAF", "PCM_16", 1)]
    sounds += [("MP3", "MPEG_LAYER_III", 1)]
    known = soundfile.available_formats()
    for format, subtype, channels in sounds:
        if format in known and subtype in soundfile.available_subtypes(format):
            content = _sound(format, subtype, channels)
            for what, read in (("read", _read_sound), ("cut", _cut_excerpts)):
                seeds.append((f"{what} {format} {subtype}", f"a.{format.lower()}", content, {}, read))
            if format in ("WAV", "FLAC", "OGG", "MP3"):
                seeds.append((f"read joined {format} {subtype}", f"a.{format.lower()}", 2 * content, {}, _read_sound))
    for format, codec in PHONES:
        seeds.append((f"read {format} {codec}", f"a.{format}", _phone_sound(format, codec), {}, _read_sound))
    with tempfile.TemporaryDirectory() as folder:
        for name, known in FORMATS.items():
            if known.write is not None:
                path = Path(folder, f"a{known.suffixes[0]}")
                rows = PLAIN_ROWS if name in ("rttm", "seconds") else ROWS
                write_annotations(rows, path, format=name, duration=8)
                content = path.read_bytes()
                if name == "elan":
                    content = content.replace(b"<LINGUISTIC_TYPE ", REF_TIER.encode() + b"<LINGUISTIC_TYPE ", 1)
                    assert b"REF_ANNOTATION" in content
                read = _read_elan if name == "elan" else _reader_of(name)
                seeds.append((f"read {name}", path.name, content, {}, read))
    seeds.append(("read childproject 2", "a.csv", CHILDPROJECT.encode(), {}, _reader_of("childproject")))
    two_tiers = _two_tiers("textgrid")
    seeds.append(("read textgrid 2", "a.TextGrid", CHRONOLOGICAL.encode(), {}, _reader_of("textgrid")))
    seeds.append(("read textgrid 3", "a.TextGrid", two_tiers, {}, _reader_of("textgrid", tier="Ben")))
    media = (MEDIA.format("mp4", 0) + MEDIA.format("wav", 20000)).encode()
    content = _two_tiers("elan").replace(b">x<", b"><").replace(b"<PROPERTY", media + b"<PROPERTY", 1)
    assert media in content
    assert b"<ANNOTATION_VALUE><" in content
    seeds.append(("read elan 2", "a.eaf", content, {}, _reader_of("elan", tier="Ada", recording="a.wav")))
    seeds.append(("read raven 2", "a.txt", BIRDNET.encode(), {}, _reader_of("raven", recording="b.wav")))
    seeds.append(("read rttm 2", "a.rttm", RTTM.encode(), {}, _reader_of("rttm", recording="a")))
    for about, name, text, read in (
        ("ranges", "a.csv", RANGES, csv_tables.read_childproject),
        ("elan export", "a.txt", ELAN_EXPORT, _reader_with("csv")),
        ("elan names", "a.txt", ELAN_NAMES, _reader_with("csv", tier="CHI")),
        ("dcase", "a.tsv", DCASE, _reader_with("tsv", recording="a.wav")),
        ("semicolons", "a.csv", SEMICOLONS, _reader_with("csv")),
        ("classes", "a.csv", CLASSES, _reader_with("csv")),
        ("boris", "a.csv", BORIS, _reader_with("boris")),
        ("chat", "a.cha", CHAT, _reader_with("chat", tier="CHI")),
    ):
        seeds.append((f"read {about}", name, text.encode(), {}, read))
    seeds.append(("read lena", "a.its", ITS.encode(), {}, _reader_of("lena")))
    seeds.append(("read lena 2", "a.its", TYPED_ITS.encode(), {}, _reader_of("lena")))
    seeds.append(("read the clock", "a.its", ITS.encode(), {}, read_its_clock))
    results = _results()
    for name in ("manifest.csv", "detector.json", "a.wav.timeline.csv"):
        seeds.append((f"read {name}", name, results[name], results, _read_results))
    seeds.append(("read start.csv", "start.csv", results["start.csv"], results, _read_start))
    wav = _sound("WAV", "PCM_16")
    beside = {"a.wav": wav, "b.wav": wav, "a.csv": b"0.1,0.5,cry\n", "b.csv": b""}
    groups = b"file,group\na.wav,Ada\nb.wav,Ben\n"
    seeds.append(("load groups.csv", "groups.csv", groups, beside, _load_folder))
    index = b"file,annotation,source,group\na.wav,a.csv,x.wav,Ada\nb.wav,b.csv,x.wav,Ada\n"
    seeds.append(("load excerpts.csv", "excerpts.csv", index, beside, _load_folder))
    clips = b"file,label,group\na.wav,cry,Ada\nb.wav,other,Ben\n"
    seeds.append(("load clips.csv", "clips.csv", clips, {"a.wav": wav, "b.wav": wav}, load_clips))
    return seeds


# Mutations: each takes a generator of random numbers and bytes, and returns bytes


def _place(rng, data):
    # Headers are short, and what stands in them matters most.
    return int(rng.integers(min(len(data), 128) + 1) if rng.random() < 0.4 else rng.integers(len(data) + 1))


def _flip_bits(rng, data):
    data = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2, 8, 64]))):
        if data:
            data[min(_place(rng, data), len(data) - 1)] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _truncate(rng, data):
    return data[: _place(rng, data)] if rng.random() < 0.7 else data[_place(rng, data) :]


def _chunk(rng, data):
    start = _place(rng, data)
    return start, start + int(rng.choice([1, 2, 4, 8, 16, 64, 256, 1024]))


def _delete(rng, data):
    start, stop = _chunk(rng, data)
    return data[:start] + data[stop:]


def _duplicate(rng, data):
    start, stop = _chunk(rng, data)
    return data[:start] + data[start:stop] * int(rng.choice([2, 3, 100, 5000])) + data[stop:]


def _insert_bytes(rng, data):
    start = _place(rng, data)
    return data[:start] + rng.bytes(int(rng.choice([1, 2, 4, 16, 300]))) + data[start:]


def _header_number(rng, data):
    """Put an extreme number where the header may hold a length, a rate or a count."""
    number = int(rng.choice([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 255]))
    size = int(rng.choice([2, 4, 8]))
    start = min(_place(rng, data), max(0, len(data) - size))
    value = (number % 2 ** (8 * size)).to_bytes(size, str(rng.choice(["little", "big"])))
    return data[:start] + value + data[start + size :]


NUMBERS = ["nan", "inf", "-inf", "-1", "1e308", "1e999", "9" * 30, "9" * 400, "9" * 5000, "0", "-0.0", "1e-320", "1_0"]
NUMBERS += [
    "",
    "0x10",
    "\u0661",
    "1,5",
    "1e18",
    "9223372036854775808",
    "NaT",
    "1e",
    "--1",
    "0." + "0" * 400 + "1",
    "True",
]


def _odd_number(rng, data):
    found = list(re.finditer(rb"\d+(?:\.\d+)?", data[:100_000]))
    if not found:
        return _insert_bytes(rng, data)
    match = found[rng.integers(len(found))]
    return data[: match.start()] + str(rng.choice(NUMBERS)).encode() + data[match.end() :]


def _swap_fields(rng, data):
    separator = [b",", b"\t", b"\n", b" ", b'"', b"<", b"="][rng.integers(7)]
    fields = data.split(separator)
    one, other = rng.integers(len(fields), size=2)
    fields[one], fields[other] = fields[other], fields[one]
    return separator.join(fields)


TEXTS = [b'"', b'""', b",", b"\t", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"'", b";"]
TEXTS += [
    b"../../x",
    b"/dev/zero",
    b"<a>",
    b"</a>",
    b"<!--",
    b"<![CDATA[",
    b"&x;",
    b"&#0;",
    b"&#x110000;",
    b"{",
    b"[" * 300,
]
TEXTS += [b'<!DOCTYPE a [<!ENTITY x "y">]>', b"<?xml?>", b" " * 5000, b"," * 5000, b"x" * 70_000, b"\\", b"-" * 3000]
TEXTS += ["\u2028\u202e\ufeff".encode(), "é".encode("latin-1"), b"=cmd|'/C calc'!A0", b"%s%n{0}", b"__import__('os')"]


def _insert_text(rng, data):
    start = _place(rng, data)
    return data[:start] + TEXTS[rng.integers(len(TEXTS))] + data[start:]


def _recode(rng, data):
    encoding = ["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7", "cp037", "utf-8-sig"][rng.integers(7)]
    text = data.decode("utf-8", "replace")
    if rng.random() < 0.3:
        text = text.replace("UTF-8", encoding)
    return text.encode(encoding, "replace")


def _shuffle_lines(rng, data):
    lines = data.split(b"\n")
    rng.shuffle(lines)
    return b"\n".join(lines)


MUTATIONS = [_flip_bits, _truncate, _delete, _duplicate, _insert_bytes, _header_number, _odd_number, _swap_fields]
MUTATIONS += [_insert_text, _recode, _shuffle_lines]


def mutate(seeds, seed, number):
    """Content of a case, always the same for the same numbers."""
    rng = np.random.default_rng([seed, number])
    chosen = seeds[rng.integers(len(seeds))]
    data, binary = chosen[2], chosen[0].split()[1].isupper()
    for _ in range(int(rng.choice([1, 1, 2, 3, 5]))):
        likely = [_flip_bits, _truncate, _delete, _duplicate, _insert_bytes, _header_number] if binary else MUTATIONS
        data = likely[rng.integers(len(likely))](rng, data)
    return chosen, data


# Monsters


def _riff(announced):
    wav = _sound("WAV", "PCM_16")
    return wav[:4] + struct.pack("<I", announced) + wav[8:40] + struct.pack("<I", announced) + wav[44:]


def _rf64(announced):
    wav = _sound("WAV", "PCM_16")
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, announced, announced, announced // 2, 0)
    return b"RF64\xff\xff\xff\xffWAVE" + ds64 + wav[12:40] + b"\xff\xff\xff\xff" + wav[44:]


def _w64(announced):
    data = _sound("W64", "PCM_16")
    place = data.index(b"data") + 16
    return data[:16] + struct.pack("<Q", announced) + data[24:place] + struct.pack("<Q", announced) + data[place + 8 :]


def _aiff(announced):
    data = _sound("AIFF", "PCM_16")
    place, common = data.index(b"SSND") + 4, data.index(b"COMM") + 10
    data = data[:common] + struct.pack(">I", announced // 2) + data[common + 4 :]
    return data[:4] + struct.pack(">I", announced) + data[8:place] + struct.pack(">I", announced) + data[place + 4 :]


def _flac(n_frames):
    data = bytearray(_sound("FLAC", "PCM_16"))
    data[21] |= n_frames >> 32  # 36 bits of the first block of metadata
    data[22:26] = (n_frames % 2**32).to_bytes(4, "big")
    return bytes(data)


def _caf(announced):
    data = _sound("CAF", "PCM_16")
    place = data.index(b"data") + 4
    return data[:place] + struct.pack(">q", announced) + data[place + 8 :]


def _elan(annotations, slots=""):
    return (
        '<?xml version="1.0"?><ANNOTATION_DOCUMENT xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:noNamespaceSchemaLocation="x" VERSION="3.0"><TIME_ORDER>{slots}</TIME_ORDER>'
        f'<TIER TIER_ID="annotations" PARENT_REF="b">{annotations}</TIER></ANNOTATION_DOCUMENT>'
    ).encode()


def _references(pairs):
    return "".join(
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a{one}" ANNOTATION_REF="a{other}"><ANNOTATION_VALUE>x'
        "</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
        for one, other in pairs
    )


def _chronological(n_tiers):
    return CHRONOLOGICAL.replace("2 ! Number", f"{n_tiers} ! Number").encode()


def _laughs(root):
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{entities}]><{root}>&l9;</{root}>'.encode()


def _lines(*parts):
    """Bytes put together only when the case runs: (content, times) each."""
    return b"".join(content * times for content, times in parts)


def _attributes(tag):
    return b"<%s %s></%s>" % (tag.encode(), b" ".join(b'a%d=""' % i for i in range(6 * 10**6)), tag.encode())


def _as_link(path, target):
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def make_monsters(quick=False):
    """Files that were thought out: (name of the case, name of the file, function of its path or of nothing, reader).

    The quick ones leave out what is large for its number of lines and fields, in every format.
    """
    tera = 2**40
    cases = [
        ("WAV of 4 GB", "a.wav", lambda: _riff(2**32 - 2**20), _read_sound),
        ("RF64 of a terabyte", "a.wav", lambda: _rf64(tera), _read_sound),
        ("W64 of a terabyte", "a.w64", lambda: _w64(tera), _read_sound),
        ("AIFF of 2 GB", "a.aiff", lambda: _aiff(2**31 - 2), _read_sound),
        ("FLAC of 2 ** 36 frames", "a.flac", lambda: _flac(2**36 - 1), _read_sound),
        ("CAF of a terabyte", "a.caf", lambda: _caf(tera), _read_sound),
        ("RF64 of a terabyte, cut", "a.wav", lambda: _rf64(tera), _cut_excerpts),
        ("FLAC of 2 ** 36 frames, cut", "a.flac", lambda: _flac(2**36 - 1), _cut_excerpts),
        ("WAV of 65535 channels", "a.wav", lambda: _riff(0)[:22] + b"\xff\xff" + _riff(0)[24:], _read_sound),
        ("raw sound", "a.raw", lambda: b"\0" * 1000, _read_sound),
        ("billion laughs, LENA", "a.its", lambda: _laughs("ITS"), read_annotations),
        ("billion laughs, the clock", "a.its", lambda: _laughs("ITS"), read_its_clock),
        ("billion laughs, ELAN", "a.eaf", lambda: _laughs("ANNOTATION_DOCUMENT"), read_annotations),
        ("ELAN that refers to itself", "a.eaf", lambda: _elan(_references([(1, 2), (2, 1)])), read_annotations),
        ("ELAN in a chain", "a.eaf", lambda: _elan(_references((i, i + 1) for i in range(10**5))), read_annotations),
        (
            "ELAN with a time of 4000 digits",
            "a.eaf",
            lambda: _elan(
                '<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts1">'
                "<ANNOTATION_VALUE>x</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>",
                f'<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="{"9" * 4000}"/>',
            ),
            read_annotations,
        ),
        ("TextGrid of 10 ** 12 tiers", "a.TextGrid", lambda: TEXTGRID % 10**12, read_annotations),
        ("chronological TextGrid of 10 ** 12 tiers", "a.TextGrid", lambda: _chronological(10**12), read_annotations),
        ("TextGrid of quotes", "a.TextGrid", lambda: TEXTGRID % 1 + b'"' * 6 * 10**7, read_annotations),
        ("device", "a.csv", lambda path: _as_link(path, "/dev/zero"), read_annotations),
        ("device as sound", "a.wav", lambda path: _as_link(path, "/dev/zero"), _read_sound),
        ("pipe", "a.csv", lambda path: os.mkfifo(path), read_annotations),
        ("pipe as sound", "a.wav", lambda path: os.mkfifo(path), _read_sound),
        ("pipe as XML", "a.its", lambda path: os.mkfifo(path), read_its_clock),
    ]
    for tag in ("ITS", "ANNOTATION_DOCUMENT"):
        name, begin, end = "a.its" if tag == "ITS" else "a.eaf", f"<{tag}>".encode(), f"</{tag}>".encode()
        entity = f'<!DOCTYPE x [<!ENTITY a "{"a" * 60_000}">]>'.encode()
        outside = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
        parameter = b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">'
        for what, parts in {
            "quadratic": [(entity + begin, 1), (b"&a;", 10**6), (end, 1)],
            "external": [(outside + begin + b"&a;" + end, 1)],
            "external type": [(parameter + begin + end, 1)],
            "device as type": [(b'<!DOCTYPE x SYSTEM "file:///dev/zero">' + begin + end, 1)],
            "entities of an external type": [(parameter + begin, 1), (b"<a b='&a;&b;'>&c;</a>", 10**5), (end, 1)],
            "deep": [(begin, 1), (b"<a>", 10**7), (b"</a>", 10**7), (end, 1)],
            "wide": [(begin, 1), (b"<a/>", 10**7), (end, 1)],
            "text": [(begin, 1), (b"a", 6 * 10**7), (end, 1)],
            "comment": [(begin + b"<!--", 1), (b"a", 6 * 10**7), (b"-->" + end, 1)],
        }.items():
            cases.append((f"{what} in {tag}", name, lambda parts=parts: _lines(*parts), read_annotations))
        cases.append((f"many attributes in {tag}", name, lambda tag=tag: _attributes(tag), read_annotations))
    for what, cries in {"deep": "[" * 60_000, "long": "-" * 60_000, "sum": "1+" * 30_000, "big": "9" * 4000}.items():
        text = CHILDPROJECT.replace("2.1", cries + ("1" if what == "sum" else ""))
        cases.append((f"childproject, {what}", "a.csv", lambda text=text: text.encode(), read_annotations))
    if quick:
        return [case for case in cases if not case[0].startswith(("wide", "deep", "text", "comment", "TextGrid of q"))]
    for name, known in FORMATS.items():
        file, read = f"a{known.suffixes[0]}", _reader_of(name)
        begin = b"0,1," if known.suffixes[0] == ".csv" else b"0\t1\t"
        shapes = {
            "200 MB of commas": [(b",", 2 * 10**8)],
            "60 MB of commas": [(b",", 6 * 10**7)],
            "60 MB of tabs": [(b"\t", 6 * 10**7)],
            "60 MB of line breaks": [(b"\n", 6 * 10**7)],
            "lines of a letter": [(b"a\n", 3 * 10**7)],
            "a label of 100 MB": [(begin, 1), (b"a", 10**8)],
            "a label of 60 MB": [(begin + b'"', 1), (b"a\n", 3 * 10**7), (b'"', 1)],
            "many columns and lines": [(HEADS.get(name, b""), 1), (b",x", 10_000), (b"\n1,2", 10**6)],
            "many columns by tabs": [(HEADS.get(name, b""), 1), (b"\tx", 10_000), (b"\n1\t2", 10**6)],
            "a line of blanks": [(b"1\n0\na", 1), (b" ", 60_000), (b",\n", 1)],
            "as long as it may be": [(b"1.5,2.5,cry\n", 2**19 - 1)],
            "a value per second, as long as it may be": [(b"0\n1\n", 2**18 - 1)],
            "too long": [(b"1.5,2.5,cry\n", 2**19)],
        }
        for what, parts in shapes.items():
            cases.append((f"{what}, {name}", file, lambda parts=parts: _lines(*parts), read))
    for name in ("manifest.csv", "detector.json", "a.wav.timeline.csv", "start.csv", "groups.csv"):
        read = {"start.csv": _read_start, "groups.csv": _load_folder}.get(name, _read_results)
        for what, content in {"200 MB": b",", "lines": b"1,2\n"}.items():
            times = 2 * 10**8 // len(content) if what == "200 MB" else 10**7
            cases.append((f"{what} of {name}", name, lambda c=content, t=times: c * t, read))
    return cases


TEXTGRID = b'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n9\n<exists>\n%d\n"IntervalTier"\n"a"\n0\n9\n'
HEADS = {
    "csv": b"start,end,label",
    "tsv": b"start\tend\tlabel",
    "boris": b"Time,Behavior,Status",
    "seconds": b"second,prediction",
    "childproject": b"segment_onset,segment_offset,label",
    "raven": b"Begin Time (s)\tEnd Time (s)\tAnnotation",
}


# Running


def run_case(folder, name, content, beside, read):
    """Run a reader; return what came out and, where that is wrong, why."""
    for other, text in beside.items():
        Path(folder, other).parent.mkdir(parents=True, exist_ok=True)
        Path(folder, other).write_bytes(text)
    path = Path(folder, name)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content.__code__.co_argcount and content.__code__.co_varnames[0] == "path":
        content(path)
    else:
        path.write_bytes(content())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read(path)
        except (OSError, ValueError) as error:
            message = str(error)
            if len(message) > LONGEST_MESSAGE:
                return type(error).__name__, f"its message has {len(message)} characters: {message[:300]}"
            if path.name not in message and Path(folder).name not in message:
                return type(error).__name__, f"its message names no file: {message}\n{traceback.format_exc()}"
            if isinstance(error, ValueError) and type(error) not in (ValueError, SeveralError):
                return type(error).__name__, traceback.format_exc()
            return type(error).__name__, None
        except BaseException as error:
            return type(error).__name__, traceback.format_exc()[-3000:]
    return "read", None


def _work(connection, seeds, monsters, seed):
    """Run cases that the parent asks for, under the memory limit."""
    import resource  # not on Windows

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    connection.send("ready")
    while (asked := connection.recv()) is not None:
        kind, number, folder = asked
        if kind == "monster":
            _, file, content, read = monsters[number]
            beside = {k: v for k, v in _results().items() if k != file} if read in (_read_results, _read_start) else {}
        else:
            (_, file, _, beside, read), content = mutate(seeds, seed, number)
        connection.send(run_case(folder, file, content, beside, read))


class Worker:
    """A process that runs cases, started again when it dies or is killed."""

    def __init__(self, *about):
        self._about, self._process = about, None

    def _start(self):
        context = multiprocessing.get_context("fork")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, *self._about), daemon=True)
        self._process.start()
        theirs.close()
        self._connection.recv()

    def run(self, kind, number):
        """What came out of a case, and why that is wrong (or None)."""
        if self._process is None:
            self._start()
        with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
            self._connection.send((kind, number, folder))
            try:
                if self._connection.poll(SECONDS):
                    return self._connection.recv()
                fault = ("hang", f"no end within {SECONDS} s")
            except EOFError:
                self._process.join()
                fault = ("crash", f"the process died, exit code {self._process.exitcode}")
            self.stop()
            return fault

    def stop(self):
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def main(arguments=None):
    """Run all monsters and so many mutations; return the number of failures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="repeat this mutation, in this process")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--quick", action="store_true", help="leave the slow monsters out")
    options = parser.parse_args(arguments)
    if options.case is not None:
        chosen, content = mutate(make_seeds(), options.seed, options.case)
        with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
            print(chosen[0], content[:2000])
            print(*run_case(folder, chosen[1], content, *chosen[3:]))
        return 0
    began = time.perf_counter()
    seeds, monsters = make_seeds(), make_monsters(options.quick)
    worker, outcomes, n_failures = Worker(seeds, monsters, options.seed), collections.Counter(), 0
    cases, slowest = [("monster", number) for number in range(len(monsters))], (0.0, "")
    cases += [("mutation", number) for number in range(options.first, options.first + options.mutations)]
    for kind, number in cases:
        start = time.perf_counter()
        name = monsters[number][0] if kind == "monster" else mutate(seeds, options.seed, number)[0][0]
        outcome, fault = worker.run(kind, number)
        slowest = max(slowest, (time.perf_counter() - start, name))
        outcomes[outcome] += 1
        if fault is not None:
            n_failures += 1
            about = f"{kind} {number} (--seed {options.seed} --case {number})"
            print(f"FAILED {about}, {name}: {outcome}, {fault}", flush=True)
    worker.stop()
    print(
        f"{len(monsters)} monsters and {options.mutations} mutations of {len(seeds)} files, seed {options.seed}, "
        f"in {time.perf_counter() - began:.0f} s: {n_failures} failures; "
        + ", ".join(f"{outcome} {count}" for outcome, count in outcomes.most_common())
        + f"; slowest {slowest[0]:.1f} s, {slowest[1]}"
    )
    return n_failures


if __name__ == "__main__":
    sys.exit(min(1, main()))
