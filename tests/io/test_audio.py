"""Sound is read to its end, whatever headers say; what cannot be read is named."""

import contextlib
import io
import re
import shutil
import struct
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from skcry import detect_files, draw_excerpts
from skcry.io import decoders, read_audio, streams
from skcry.io.audio import AudioFile
from skcry.io.decoders import FfmpegDecoder, PyavDecoder, open_decoder

SR = 16000


@pytest.fixture
def y(rng):
    """Eight seconds: half of them faint, half of them a loud chirp."""
    t = np.arange(8 * SR) / SR
    voice = 0.5 * np.sin(2 * np.pi * (300 + 40 * t) * t) * (t > 4)
    return (voice + 0.0005 * rng.normal(size=t.size)).astype(np.float32)


def encode(y, format, subtype=None, rate=SR):
    file = io.BytesIO()
    soundfile.write(file, y, rate, format=format, subtype=subtype)
    return file.getvalue()


def ffmpeg(*arguments):
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def read(path, **parameters):
    """Read in odd blocks: sound at the rate of the file, and its problems."""
    with AudioFile(path, sr=None, **parameters) as file:
        parts = [file.read(n) for n in (1, 1000, 7)]
        while len(part := file.read(5003)):
            parts.append(part)
        return np.concatenate(parts), file.problems


def silently(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_audio(path, sr=None)[0]


# Headers that are wrong


def without_xing(content):
    """Remove the first frame of an MP3 file, which counts the others."""
    lengths = streams._frame_lengths()
    assert b"Xing" in content[:200] or b"Info" in content[:200]
    return content[lengths[content[1] << 8 | content[2]] :]


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
@pytest.mark.parametrize("rate", [SR, 44100])
def test_mp3_that_does_not_count_its_frames(tmp_path, y, mode, rate):
    path = tmp_path / "a.mp3"
    with soundfile.SoundFile(path, "w", rate, 1, format="MP3", bitrate_mode=mode) as file:
        file.write(np.tile(y, 4))
    whole = soundfile.read(path)[0]
    path.write_bytes(without_xing(path.read_bytes()))
    found, problems = read(path)
    assert len(found) == pytest.approx(len(whole), abs=3000)  # the delay of the encoder stays
    assert np.abs(found[-4 * SR : -SR]).max() > 0.4
    assert problems == []
    path.write_bytes(b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + 2 * path.read_bytes() + b"TAG" + bytes(125))
    twice, problems = read(path)
    assert len(twice) == pytest.approx(2 * len(found), abs=3000)
    assert problems == []


ID3V1 = b"TAG" + bytes(125)
APE = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32 + 8, 0, 1 << 31 | 1 << 29) + bytes(8)
APE += b"APETAGEX" + struct.pack("<IIII8x", 2000, 32 + 8, 0, 1 << 31)


@pytest.mark.parametrize("tag", [ID3V1, APE, APE + ID3V1])
@pytest.mark.parametrize("xing", [True, False])
def test_joined_mp3_with_tags_at_their_ends(tmp_path, y, tag, xing):
    content = encode(y, "MP3")
    content = content if xing else without_xing(content)
    (tmp_path / "one").write_bytes(content)
    (tmp_path / "a").write_bytes(content + tag + content + tag)
    np.testing.assert_allclose(silently(tmp_path / "a"), np.tile(silently(tmp_path / "one"), 2), atol=1e-4)


@pytest.mark.parametrize("before", [bytes(3000), b"junk" * 100, b"ID3\x03\0\0\0\0\0\x08" + bytes(500)])
def test_mp3_that_starts_late(tmp_path, y, before):
    content = without_xing(encode(y, "MP3"))
    (tmp_path / "right.mp3").write_bytes(content)
    (tmp_path / "a.mp3").write_bytes(before + content)
    np.testing.assert_array_equal(silently(tmp_path / "a.mp3"), silently(tmp_path / "right.mp3"))


@pytest.mark.parametrize("n_files", [1, 2])
def test_flac_after_a_tag(tmp_path, y, n_files):
    (tmp_path / "a").write_bytes((b"ID3\x03\0\0\0\0\x01\0" + bytes(128) + encode(y, "FLAC")) * n_files)
    np.testing.assert_allclose(silently(tmp_path / "a"), np.tile(y, n_files), atol=2**-14)


def wav(size, data, tail=b"", magic=b"RIFF"):
    order = ">" if magic == b"RIFX" else "<"
    head = magic + struct.pack(f"{order}I", min(size + 36, 2**32 - 1)) + b"WAVEfmt "
    fmt = struct.pack(f"{order}IHHIIHH", 16, 1, 1, SR, 2 * SR, 2, 16)
    return head + fmt + b"data" + struct.pack(f"{order}I", size) + data + tail


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF, 0.6, 0.600001])
def test_wav_that_holds_more_than_its_header_says(tmp_path, y, size):
    data = (y * 2**15).astype("<i2").tobytes()
    (tmp_path / "a.wav").write_bytes(wav(round(size * len(data)) if 0 < size < 1 else size, data))
    np.testing.assert_array_equal(silently(tmp_path / "a.wav"), np.frombuffer(data, "<i2") / np.float32(2**15))


@pytest.mark.parametrize(
    "tail",
    [b"", b"LIST\x04\0\0\0INFO", b"abcd\x02\0\0\0xx", b"LIST\xff\0\0\0INFO", b"TAG" + bytes(125), bytes(9000), b"\n"],
)
def test_what_follows_the_samples_is_no_sound(tmp_path, y, tail):
    data = (y * 2**15).astype("<i2").tobytes()
    (tmp_path / "a.wav").write_bytes(wav(len(data), data, tail))
    assert len(silently(tmp_path / "a.wav")) == len(y)
    (tmp_path / "a.wav").write_bytes(wav(0, b"", tail))
    with pytest.raises(OSError, match="0 bytes of audio"):
        read_audio(tmp_path / "a.wav")


def test_wav_that_holds_less_than_its_header_says(tmp_path, y):
    data = (y * 2**15).astype("<i2").tobytes()
    (tmp_path / "a.wav").write_bytes(wav(2 * len(data), data))
    found, (problem,) = read(tmp_path / "a.wav")
    assert len(found) == len(y)
    assert "header announces 16.0 s, but only 8.0 s could be read" in problem


def test_big_endian_wav(tmp_path, y):
    data = (y * 2**15).astype(">i2").tobytes()
    (tmp_path / "a.wav").write_bytes(wav(100, data, magic=b"RIFX"))
    np.testing.assert_array_equal(silently(tmp_path / "a.wav"), np.frombuffer(data, ">i2") / np.float32(2**15))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "MS_ADPCM"])
def test_all_encodings_of_wav(tmp_path, y, subtype):
    content = encode(y, "WAV", subtype)
    (tmp_path / "right.wav").write_bytes(content)
    at = content.index(b"data") + 4
    (tmp_path / "wrong.wav").write_bytes(content[:at] + b"\0\0\0\0" + content[at + 4 :])
    np.testing.assert_array_equal(silently(tmp_path / "wrong.wav"), silently(tmp_path / "right.wav"))


@pytest.mark.parametrize("rate", [16000, 44100])
def test_mp3_in_wav(tmp_path, y, rate):
    soundfile.write(tmp_path / "y.wav", y, SR)
    ffmpeg("-i", tmp_path / "y.wav", "-ar", rate, "-c:a", "libmp3lame", tmp_path / "a.wav")
    assert abs(len(silently(tmp_path / "a.wav")) / rate - 8) < 0.1
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: len(content) // 2])
    assert ["breaks off" in problem for problem in read(tmp_path / "a.wav")[1]] == [True]


def patch(content, format, size):
    """Write another number of bytes into a header."""
    content = bytearray(content)
    if format == "AIFF":
        at, common = content.index(b"SSND") + 4, content.index(b"COMM")
        content[at : at + 4] = struct.pack(">I", min(size + 8, 2**32 - 1))
        content[common + 10 : common + 14] = struct.pack(">I", size // 2)
    elif format == "AU":
        content[8:12] = struct.pack(">I", size)
    elif format == "CAF":
        at = content.index(b"data") + 4
        content[at : at + 8] = struct.pack(">Q", size + 4 if size < 2**32 - 1 else 2**64 - 1)
    else:
        at = content.index(b"ds64") + 16
        content[at : at + 8] = struct.pack("<Q", size)
    return bytes(content)


@pytest.mark.parametrize("format", ["AIFF", "AU", "CAF", "RF64"])
@pytest.mark.parametrize("share", [0, 0.6, 1, 2, None])
def test_headers_of_other_formats(tmp_path, y, format, share):
    size = 2**32 - 1 if share is None else int(share * 2 * len(y))
    (tmp_path / "a").write_bytes(patch(encode(y, format, "PCM_16"), format, size))
    found, problems = read(tmp_path / "a")
    np.testing.assert_allclose(found, y, atol=2**-14)
    assert len(problems) == (share == 2)
    assert all("announces 16.0 s, but only 8.0 s" in problem for problem in problems)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 5 * 2**30 % 2**32])
def test_wav_longer_than_its_header_can_say(tmp_path, y, size):
    path, n_bytes = tmp_path / "a.wav", 5 * 2**30
    last = (y * 2**15).astype("<i2")
    path.write_bytes(wav(size, b"\1\0"))
    with open(path, "r+b") as file:
        file.truncate(44 + n_bytes - last.nbytes)
        file.seek(0, 2)
        file.write(last.tobytes())
    with AudioFile(path) as file:
        assert file.duration == n_bytes / 2 / SR
    with open_decoder(path) as sound:
        assert sound.count_frames() == n_bytes // 2
        sound.seek(n_bytes // 2 - len(y), "int16")
        np.testing.assert_array_equal(sound.read(len(y) + 1, "int16")[:, 0], last)


# Files that were joined or damaged

KINDS = [
    ("WAV", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("format", "subtype"), KINDS)
def test_joined_files(tmp_path, y, format, subtype):
    contents = encode(y, format, subtype), encode(y[: 3 * SR], format, subtype)
    for order in ((0, 1), (1, 0), (0, 0)):
        expected = np.concatenate([soundfile.read(io.BytesIO(contents[i]), dtype="float32")[0] for i in order])
        path = tmp_path / f"{order[0]}{order[1]}"
        path.write_bytes(b"".join(contents[i] for i in order))
        found, problems = read(path)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert problems == []
        with open_decoder(path) as sound:
            assert sound.count_frames() == len(expected)
    events = pd.DataFrame({"recording": [0], "onset": [9.0], "offset": [10.0]})
    row = draw_excerpts([path], events, tmp_path / "out", duration=2, random_state=0).iloc[0]
    start = round(row.onset * SR)
    excerpt = soundfile.read(tmp_path / "out" / row.file, dtype="float32")[0]
    np.testing.assert_allclose(excerpt, expected[start : start + 2 * SR], atol=1e-3)


@pytest.mark.parametrize(
    ("format", "chunk"),
    [("WAV", b"LIST\x04\0\0\0INFO"), ("WAV", b"abcd\x03\0\0\0xx\0\0"), ("AIFF", b"ANNO\0\0\0\x02xx")],
)
def test_joined_files_with_chunks_after_their_sound(tmp_path, y, format, chunk):
    content = encode(y, format, "PCM_16") + chunk
    (tmp_path / "a").write_bytes(3 * content)
    np.testing.assert_allclose(silently(tmp_path / "a"), np.tile(y, 3), atol=2**-14)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_joined_ogg_whose_first_part_breaks_off(tmp_path, y, subtype):
    content = encode(y, "OGG", subtype)
    (tmp_path / "a").write_bytes(content[: len(content) // 2] + encode(y, "OGG", subtype))
    found, problems = read(tmp_path / "a")
    assert 8 * SR < len(found) < 16 * SR
    first = (len(found) - len(y)) / SR
    assert [f"holds a part that breaks off at {first:.1f} s, without an end mark" in one for one in problems] == [True]


@pytest.mark.parametrize(("format", "subtype"), KINDS)
def test_joined_files_of_two_kinds(tmp_path, y, format, subtype):
    content = encode(y, format, subtype)
    (tmp_path / "a").write_bytes(content + encode(np.stack([y, y], axis=1), format, subtype, 48000))
    found, (problem,) = read(tmp_path / "a")
    assert len(found) == len(y)
    assert "bytes after 8.0 s are not read (48000 Hz, 2 channels, unlike the sound before)" in problem


def test_flac_of_unknown_length(tmp_path, y):
    content = bytearray(encode(y, "FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    for n in (1, 2):
        (tmp_path / "a.flac").write_bytes(n * bytes(content))
        assert len(silently(tmp_path / "a.flac")) == n * len(y)
        with open_decoder(tmp_path / "a.flac") as sound:
            assert sound.count_frames() == n * len(y)


@pytest.mark.parametrize("n_bytes", [1, 3000])
def test_flac_goes_on_after_damage(tmp_path, y, rng, n_bytes):
    content = bytearray(encode(np.tile(y, 2), "FLAC"))
    at = len(content) // 2
    content[at : at + n_bytes] = bytes(255 - byte for byte in content[at : at + n_bytes])
    (tmp_path / "a.flac").write_bytes(content)
    found, (problem,) = read(tmp_path / "a.flac")
    assert len(found) == 2 * len(y)
    wrong = np.flatnonzero(np.abs(found - np.tile(y, 2)) > 1e-3)
    lost, first = map(
        float, re.match(r"a\.flac is damaged: (.+) s, the first at (.+) s, are read as sil", problem).groups()
    )
    assert 0 < lost < 1.5
    assert (wrong[-1] - wrong[0]) / SR == pytest.approx(lost, abs=0.01)
    assert wrong[0] / SR == pytest.approx(first, abs=0.06)


def test_mp3_goes_on_after_damage(tmp_path, y, rng):
    path = tmp_path / "a.mp3"
    with soundfile.SoundFile(path, "w", SR, 1, format="MP3", bitrate_mode="CONSTANT") as file:
        file.write(np.tile(y, 4))
    whole, content = soundfile.read(path)[0], bytearray(path.read_bytes())
    at = len(content) // 2
    content[at : at + 3000] = bytes(rng.integers(0, 255, 3000, dtype=np.uint8))
    path.write_bytes(content)
    found, (problem,) = read(path)
    assert len(found) == pytest.approx(len(whole), abs=SR // 5)
    assert "is damaged" in problem
    assert "are read as silence" in problem


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_damaged_ogg_says_what_is_lost(tmp_path, y, subtype):
    content = bytearray(encode(np.tile(y, 4), "OGG", subtype))
    at = content.index(b"OggS", len(content) // 2)
    content[at : at + 4] = b"Ogg?"
    (tmp_path / "a.ogg").write_bytes(content)
    found, (problem,) = read(tmp_path / "a.ogg")
    lost = 32 - len(found) / SR
    assert lost > 0.5
    assert f"is damaged: {lost:.1f} s of it are lost" in problem


@pytest.mark.parametrize("format", ["MP3", "OGG", "FLAC"])
@pytest.mark.parametrize("n_timepoints", [1152, 5000])
def test_blocks_do_not_change_the_sound(tmp_path, y, format, n_timepoints):
    path = tmp_path / "a"
    path.write_bytes(encode(y, format))
    with AudioFile(path) as file:
        blocks = np.concatenate([file.read(n_timepoints) for _ in range(len(y) // n_timepoints + 2)])
    np.testing.assert_allclose(blocks, soundfile.read(path, dtype="float32")[0], atol=1e-5)


def test_a_channel_that_is_inverted(tmp_path, y, rng):
    noise = 1e-3 * rng.normal(size=len(y))
    soundfile.write(tmp_path / "a.wav", np.stack([y, noise - y], axis=1), SR)
    with pytest.warns(UserWarning, match=r"a\.wav: mixing its 2 channels down loses \d+ dB, .* Pass channel=0"):
        read_audio(tmp_path / "a.wav")
    assert read(tmp_path / "a.wav", channel=0)[1] == []
    soundfile.write(tmp_path / "b.wav", 0.1 * rng.normal(size=(len(y), 8)), SR)
    assert read(tmp_path / "b.wav")[1] == []


# Phones

PHONES = [
    ("a.caf", ["-c:a", "adpcm_ima_qt"], SR),
    ("a.m4a", ["-c:a", "aac"], SR),
    ("alac.m4a", ["-c:a", "alac"], SR),
    ("a.mp4", ["-c:a", "aac", "-ac", "2"], SR),
    ("a.mov", ["-c:a", "aac"], SR),
    ("a.3gp", ["-c:a", "aac"], SR),
    ("a.aac", ["-c:a", "aac"], SR),
    ("a.webm", ["-c:a", "libopus", "-ar", "48000"], 48000),
    ("a.mka", ["-c:a", "flac"], SR),
    ("a.wma", ["-c:a", "wmav2"], SR),
    ("a.wv", ["-c:a", "wavpack"], SR),
    ("without extension", ["-c:a", "aac", "-f", "ipod"], SR),
]


@pytest.fixture(params=[PyavDecoder, FfmpegDecoder])
def decoder(request, monkeypatch):
    """One of the decoders, without the other."""
    if request.param is FfmpegDecoder:
        if shutil.which("ffmpeg") is None:
            pytest.skip("needs ffmpeg")
        monkeypatch.setattr(decoders, "PyavDecoder", missing)
    else:
        pytest.importorskip("av")
        monkeypatch.setattr(decoders, "FfmpegDecoder", missing)
    return request.param


def missing(path):
    raise ModuleNotFoundError


@pytest.fixture
def make(tmp_path, y):
    def make(name, *options):
        soundfile.write(tmp_path / "source.wav", y, SR)
        ffmpeg("-i", tmp_path / "source.wav", *options, tmp_path / name)
        return tmp_path / name

    return make


@pytest.mark.parametrize(("name", "options", "rate"), PHONES)
def test_formats_of_phones(make, y, decoder, name, options, rate):
    path = make(name, *options)
    found, problems = read(path)
    assert problems == []
    with open_decoder(path) as sound:
        assert isinstance(sound, decoder)
        assert sound.samplerate == rate
        assert sound.count_frames() == len(found)
    np.testing.assert_array_equal(found, silently(path))
    for second in range(8):  # not their edges: codecs ring
        level = np.abs(found[round((second + 0.2) * rate) : round((second + 0.8) * rate)]).max()
        assert level == pytest.approx(0 if second < 4 else 0.5, abs=0.2)
    assert len(found) == pytest.approx(8 * rate, abs=0.1 * rate)


def test_lossless_phones_are_bit_exact(make, y, decoder, tmp_path):
    original = soundfile.read(make("a.m4a", "-c:a", "alac").with_name("source.wav"), dtype="float32")[0]
    np.testing.assert_array_equal(read(tmp_path / "a.m4a")[0], original)
    events = pd.DataFrame({"recording": [0], "onset": [5.0], "offset": [6.0]})
    row = draw_excerpts([tmp_path / "a.m4a"], events, tmp_path / "out", duration=2, random_state=0).iloc[0]
    start = round(row.onset * SR)
    excerpt = soundfile.read(tmp_path / "out" / row.file, dtype="float32")[0]
    np.testing.assert_array_equal(excerpt, original[start : start + 2 * SR])


@pytest.mark.parametrize("name", ["a.amr", "a.3gp"])
def test_amr(tmp_path, y, decoder, name):
    av = pytest.importorskip("av")
    with av.open(tmp_path / name, "w") as container:
        stream = container.add_stream("libopencore_amrnb", rate=8000, layout="mono")
        stream.bit_rate = 12200
        samples = (y[::2] * 2**15).astype(np.int16)
        for start in range(0, len(samples), 160):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 160], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found, problems = read(tmp_path / name)
    assert problems == []
    assert len(found) == pytest.approx(8 * 8000, abs=400)
    assert np.abs(found[: 3 * 8000]).max() < 0.05
    assert np.abs(found[5 * 8000 :]).max() > 0.3


def test_a_phone_recording_that_is_damaged(make, rng, decoder):
    path = make("a.m4a", "-movflags", "+faststart")
    whole, content = read(path)[0], bytearray(path.read_bytes())
    at = len(content) * 3 // 4
    content[at : at + 1000] = bytes(rng.integers(0, 255, 1000, dtype=np.uint8))
    path.write_bytes(content)
    found, problems = read(path)
    assert len(found) == pytest.approx(len(whole), abs=SR // 5)
    assert any("packets could not be decoded" in problem for problem in problems)
    path.write_bytes(content[: len(content) * 2 // 3])
    assert "breaks off: its header announces 8.0 s" in " ".join(read(path)[1])
    path.write_bytes(make("b.m4a").read_bytes() * 2)
    assert "joined from several files" in " ".join(read(path)[1])


def test_a_phone_recording_that_was_not_finished(make, decoder):
    path = make("a.m4a")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(OSError, match=r"a\.m4a cannot be read as audio: it is MPEG-4 audio \(m4a\) without index"):
        read_audio(path)


def test_video_without_sound(tmp_path, decoder):
    ffmpeg("-f", "lavfi", "-i", "color=duration=1", "-c:v", "mpeg4", tmp_path / "a.mp4")
    with pytest.raises(OSError, match=r"a\.mp4 cannot be read as audio \(MPEG-4"):
        read_audio(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.m4a", b"\0\0\0\x20ftypM4A ", r"MPEG-4 audio \(m4a\)"),
        ("a.3gp", b"\0\0\0\x20ftyp3gp4", "3GPP"),
        ("a.mov", b"\0\0\0\x14ftypqt  ", "QuickTime"),
        ("a.amr", b"#!AMR\n", "AMR"),
        ("a.webm", b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\x82\x84webm", "WebM"),
        ("a.wma", bytes.fromhex("3026b2758e66cf11"), "Windows Media"),
        ("a.caf", b"caff\0\1\0\0desc" + bytes(16) + b"ima4", "Apple CAF with codec 'ima4'"),
        ("a.aac", b"\xff\xf1\x50\x80", "AAC"),
        ("a.wv", b"wvpk", "WavPack"),
        ("a.wav", wav(10, bytes(10)).replace(b"\x10\0\0\0\1\0", b"\x10\0\0\0\xff\0"), "WAV with codec 0x00ff"),
    ],
)
def test_files_that_need_another_decoder(tmp_path, monkeypatch, name, head, kind):
    monkeypatch.setattr(decoders, "PyavDecoder", missing)
    monkeypatch.setattr(decoders, "FfmpegDecoder", missing)
    (tmp_path / name).write_bytes(head.ljust(100, b"\1"))
    converted = "a_converted" if name == "a.wav" else "a"
    command = rf"pip install av, or convert it: ffmpeg -i {name} {converted}\.wav"
    with pytest.raises(
        OSError, match=rf"cannot be read as audio: it is .*{kind}.*, which needs PyAV or ffmpeg.*{command}"
    ):
        read_audio(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "Git LFS pointer.*git lfs pull"),
        (b"/annex/objects/SHA256E-s1--0a.wav\n", "git-annex pointer.*git annex get"),
        (b"\n<!DOCTYPE html><html><head>", r"web page \(HTML\). Download the file again"),
        (b'<?xml version="1.0"?>\n<html>', "web page"),
        (b"Not found", "text"),
        (b"PK\3\4" + bytes(100), "archive. Unpack it"),
        (b"%PDF-1.4\n\1", "a PDF"),
        (bytes(5000), "thousands of zeros. It was not copied"),
    ],
)
def test_what_is_no_sound_is_named(tmp_path, content, message):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(OSError, match=rf"a\.wav cannot be read as audio: it is .*{message}"):
        read_audio(tmp_path / "a.wav")


def test_content_that_is_not_here(tmp_path):
    (tmp_path / "a.wav").symlink_to(Path(".git", "annex", "objects", "x", "SHA256E-s1--0a.wav"))
    with pytest.raises(FileNotFoundError, match=r"a\.wav is a link of git-annex whose content is not here"):
        read_audio(tmp_path / "a.wav")


def test_detection_in_files_of_phones_and_joined_files(make, quick_detector, y, tmp_path):
    days = tmp_path / "days"
    days.mkdir()
    make("phone.m4a", "-c:a", "aac").rename(days / "phone.m4a")
    (days / "joined.mp3").write_bytes(2 * encode(y, "MP3"))
    manifest = detect_files(quick_detector, days, tmp_path / "out").set_index("file")
    assert manifest["status"].tolist() == ["ok", "ok"]
    assert manifest["usable"].tolist() == [1, 1]
    assert manifest.loc["joined.mp3", "duration"] == 16
    assert manifest.loc["phone.m4a", "duration"] == pytest.approx(8, abs=0.1)


@pytest.mark.parametrize(("format", "place", "value"), [("AU", 4, 0), ("AIFF", None, 2**31 - 1)])
def test_headers_that_point_outside_of_the_file(tmp_path, y, format, place, value):
    content = encode(y, format, "PCM_16")
    place = content.index(b"SSND") + 8 if place is None else place  # the offset of the samples
    (tmp_path / "a").write_bytes(content[:place] + value.to_bytes(4, "big") + content[place + 4 :])
    with contextlib.suppress(OSError):  # libsndfile may read it all the same
        read_audio(tmp_path / "a")
