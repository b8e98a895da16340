import io
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from skcry.io import Gap, follow_wav, microphone, pipes, read_pipe, recorder

SR = 16000


@pytest.fixture
def sound(rng):
    return (rng.normal(size=(3 * SR, 2)) * 3000).astype(np.int16)


def heard(blocks):
    return np.concatenate([one for one in blocks if not isinstance(one, Gap)])


# Pipes


@pytest.mark.parametrize("dtype", list(pipes.DTYPES))
def test_raw_samples(sound, dtype):
    if dtype == "uint8":
        content, expected = ((sound >> 8) + 128).astype(np.uint8).tobytes(), ((sound >> 8) + 128).astype(np.uint8)
    elif dtype == "int24":
        wide = sound.astype("<i4") << 8
        content = wide.reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
        expected = sound.astype(np.int32) << 16
    else:
        expected = sound.astype(pipes.DTYPES[dtype][1])
        content = expected.tobytes()
    blocks = read_pipe(io.BytesIO(content + b"x"), SR, channels=2, dtype=dtype)  # killed within a sample
    assert blocks.sr == SR
    np.testing.assert_array_equal(heard(blocks), expected)


def test_a_pipe_of_a_process(sound):
    code = (
        "import sys, time\n"
        "content = sys.stdin.buffer.read()\n"
        "for i in range(0, len(content), 9999):\n"
        "    sys.stdout.buffer.write(content[i:i + 9999]); sys.stdout.flush(); time.sleep(0.001)"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        process.stdin.write(sound.tobytes())
        process.stdin.close()
        np.testing.assert_array_equal(heard(read_pipe(process.stdout, SR, channels=2)), sound)


@pytest.mark.parametrize(
    ("subtype", "dtype"), [("PCM_U8", "uint8"), ("PCM_16", "int16"), ("PCM_24", "int32"), ("FLOAT", "float32")]
)
def test_a_wav_file_in_a_pipe(sound, subtype, dtype):
    file = io.BytesIO()
    soundfile.write(file, sound / 2**15, 44100, subtype, format="WAV")
    file.seek(0)
    blocks = read_pipe(file)
    assert blocks.sr == 44100
    y = heard(blocks)[: len(sound)]
    assert y.dtype == dtype
    scale = {"uint8": 256.0, "int16": 1.0, "int32": 2.0**-16, "float32": 2.0**15}[dtype]
    y = (y - 128.0 * (dtype == "uint8")) * scale
    np.testing.assert_allclose(y, sound, atol=256 if dtype == "uint8" else 1)


@pytest.mark.parametrize(
    ("content", "sr", "error", "message"),
    [
        (b"fLaC" + bytes(100), None, ValueError, "which is no WAV file. For raw samples, pass sr"),
        (b"", None, ValueError, "which is no WAV file"),
        (b"RIFX" + bytes(4) + b"WAVE", None, ValueError, "which is no WAV file"),
        (b"RIFF\0\0\0\0WAVE", None, ValueError, "ends in its header"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", None, ValueError, "no chunk 'fmt '"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f", None, ValueError, "ends in its header"),
    ],
)
def test_pipes_without_sound(content, sr, error, message):
    with pytest.raises(error, match=message):
        read_pipe(io.BytesIO(content), sr)


def test_long_files(sound, tmp_path):
    """RF64 has a length of 64 bits in a chunk before the others."""
    start = b"RF64\xff\xff\xff\xffWAVEds64" + (28).to_bytes(4, "little") + bytes(28)
    content = start + wav_bytes(sound, 2**32 - 1)[12:]
    np.testing.assert_array_equal(heard(read_pipe(io.BytesIO(content))), sound)
    (tmp_path / "day.wav").write_bytes(content)
    np.testing.assert_array_equal(heard(follow_wav(tmp_path / "day.wav", timeout=0)), sound)


def test_other_wrong_pipes(sound):
    file = io.BytesIO()
    soundfile.write(file, sound, SR, format="WAV")
    file.seek(0)
    with pytest.raises(ValueError, match="sr=8000 Hz contradicts the header of the pipe, 16000 Hz"):
        read_pipe(file, 8000)
    file = io.BytesIO()
    soundfile.write(file, sound, SR, "DOUBLE", format="WAV")
    file.seek(0)
    with pytest.raises(ValueError, match="format 3 with 64 bits, 2 channels at 16000 Hz"):
        read_pipe(file)
    with pytest.raises(TypeError, match="The pipe gives text"):
        read_pipe(io.StringIO("abc"), SR)
    with pytest.raises(TypeError, match="must be an open binary file"):
        read_pipe("day.wav")


# Files that grow


def grow(path, content, parts, done):
    """Write a file bit by bit, in a thread; ``done`` is called at its end."""
    with path.open("wb") as file:
        for part in np.array_split(np.frombuffer(content, np.uint8), parts):
            file.write(part.tobytes())
            file.flush()
            time.sleep(0.005)
        done(file)


def wav_bytes(sound, size=None):
    file = io.BytesIO()
    soundfile.write(file, sound, SR, format="WAV")
    content = bytearray(file.getvalue())
    if size is not None:
        content[40:44] = size.to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_file_that_grows(sound, tmp_path, size):
    path, content = tmp_path / "now.wav", wav_bytes(sound, size)

    def finish(file):  # as recorders do when they are stopped
        file.write(b"LIST\4\0\0\0INFO")
        file.seek(40)
        file.write(sound.nbytes.to_bytes(4, "little"))

    writer = threading.Thread(target=grow, args=(path, content, 40, finish))
    writer.start()
    blocks = follow_wav(path, timeout=1.0)
    y = heard(blocks)
    writer.join()
    np.testing.assert_array_equal(y[: len(sound)], sound)
    assert len(y) - len(sound) <= 3  # the chunk is there before the header tells the length


def test_a_finished_file(sound, tmp_path):
    path = tmp_path / "day.wav"
    path.write_bytes(wav_bytes(sound) + b"LIST\4\0\0\0INFO")
    blocks = follow_wav(path, timeout=0)
    assert blocks.recorded == 3.0
    np.testing.assert_array_equal(heard(blocks), sound)


def test_files_that_cannot_be_followed(sound, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file with sound, for 0.05 s"):
        follow_wav(tmp_path / "none.wav", timeout=0.05)
    path = tmp_path / "day.flac"
    soundfile.write(path, sound, SR)
    with pytest.raises(ValueError, match="Only WAV files can be followed"):
        follow_wav(path, timeout=0)
    path.write_bytes(wav_bytes(sound)[:40])
    with pytest.raises(ValueError, match=r"day.flac: The WAV file ends in its header"):
        follow_wav(path, timeout=0)


def test_a_file_that_another_one_replaces(sound, tmp_path):
    path = tmp_path / "now.wav"
    path.write_bytes(wav_bytes(sound))
    blocks = iter(follow_wav(path, timeout=1.0))
    next(blocks)
    os.truncate(path, 100)
    with pytest.raises(OSError, match="became shorter"):
        list(blocks)


# Microphones


class FakeStream:
    """Stands for sounddevice.InputStream: calls back with blocks when it is entered."""

    blocks: list = []

    def __init__(self, *, samplerate, blocksize, device, channels, dtype, callback):
        if device == "none":
            raise ValueError("No input device matching 'none'")
        self.callback, self.blocksize, self.channels = callback, blocksize, channels

    def __enter__(self):
        for place, (when, overflow) in enumerate(self.blocks):
            y = np.full((self.blocksize, self.channels), place, dtype=np.int16)
            status = SimpleNamespace(input_overflow=overflow)
            self.callback(y, self.blocksize, SimpleNamespace(inputBufferAdcTime=when), status)

    def __exit__(self, *_):
        self.closed = True


@pytest.fixture
def fake(monkeypatch):
    module = SimpleNamespace(InputStream=FakeStream, PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(recorder, "SILENT_DURATION", 0.05)
    return module


def test_a_microphone(fake, monkeypatch):
    # The system loses half a second after the third block, and tells no time of the loss before the sixth.
    times = [100.0, 100.1, 100.2, 100.8, 100.9, 50.0]
    monkeypatch.setattr(FakeStream, "blocks", [(t, i in (3, 5)) for i, t in enumerate(times)])
    found = []
    with pytest.raises(OSError, match="gave no sound for 0.05 s"):
        found.extend(microphone(channels=2))
    gaps = [one for one in found if isinstance(one, Gap)]
    assert [round(one.duration, 6) for one in gaps] == [0.5, 0.0]
    assert [len(one) for one in found if not isinstance(one, Gap)] == [1600] * 6
    assert isinstance(found[3], Gap)


def test_a_slow_consumer_gets_a_gap(fake, monkeypatch):
    n = 1000  # blocks, of which a minute waits
    monkeypatch.setattr(FakeStream, "blocks", [(0.1 * i, False) for i in range(n)])
    queue = recorder._Recorder(SR)
    about = {"samplerate": SR, "blocksize": 1600, "device": None, "channels": 1, "dtype": "int16"}
    blocks = queue.blocks(FakeStream(**about, callback=queue.record))
    first = [next(blocks) for _ in range(599)]
    assert not any(isinstance(one, Gap) for one in first)
    late = SimpleNamespace(inputBufferAdcTime=100.0)
    queue.record(np.zeros((1600, 1)), 1600, late, SimpleNamespace(input_overflow=False))
    gap, _ = next(blocks), next(blocks)
    assert gap.duration == pytest.approx(0.1 * (n - 599))
    assert "too slow to listen" in gap.reason


def test_microphones_that_are_not_there(fake, monkeypatch):
    with pytest.raises(OSError, match="device=none, sr=16000 Hz, channels=1\\) cannot be opened: No input"):
        microphone("none")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ImportError, match=r"pip install 'skcry\[live\]'"):
        microphone()
