"""The conditions of the benchmark of robustness do to sound what they say; how robust a detector is, is no test."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers import write_annotated

import skcry

SR = 16000
CRYING = np.array([False, True, True, False])


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return importlib.import_module("benchmarks.bench_robustness")


@pytest.fixture
def change(bench):
    """Apply a condition by name."""
    return lambda name, y: bench.CONDITIONS[name](y, CRYING, np.random.default_rng(0))


@pytest.fixture
def y(rng):
    """Noise of four seconds, louder where it is crying."""
    return (rng.normal(size=4 * SR) * np.repeat(np.where(CRYING, 0.1, 0.01), SR)).astype(np.float32)


def level(y):
    return 10 * np.log10(np.mean(np.square(y, dtype=float)))


def power(y, low, high):
    f = np.fft.rfftfreq(len(y), 1 / SR)
    return 10 * np.log10(np.sum(np.abs(np.fft.rfft(y)[(low <= f) & (f < high)]) ** 2))


@pytest.mark.parametrize("decibels", [-30, -20, -10])
def test_less_gain_lowers_the_level(change, y, decibels):
    quiet = change(f"gain {decibels:+d} dB", y)
    assert level(quiet) == pytest.approx(level(y) + decibels, abs=0.05)
    np.testing.assert_array_equal(quiet * 2**15, np.round(quiet * 2**15))


def test_more_gain_clips_at_full_scale(change, y):
    loud = change("gain +20 dB", y)
    assert -1 <= loud.min() < loud.max() < 1
    clipped = np.mean(np.abs(loud) >= 1 - 2.0**-15)
    assert clipped == pytest.approx(np.mean(np.abs(y) >= 0.1), abs=1e-4)


@pytest.mark.parametrize("snr", [20, 10, 0])
def test_noise_is_below_the_crying_by_its_ratio(change, y, snr):
    noise = change(f"pink noise, SNR {snr} dB", y).astype(float) - y
    assert level(y[SR : 3 * SR]) - level(noise) == pytest.approx(snr, abs=0.1)
    # Pink noise has the same power in each octave.
    assert power(noise, 200, 400) == pytest.approx(power(noise, 2000, 4000), abs=1)


def test_band_limits(change, y):
    for name, low, high in (("up to 4 kHz", 0, 4000), ("telephone", 300, 3400)):
        limited = change(name, y)
        assert limited.shape == y.shape
        assert power(limited, 4400, 8000) < power(y, 4400, 8000) - 60
        assert power(limited, low + 200, high - 400) == pytest.approx(power(y, low + 200, high - 400), abs=0.5)
    assert power(limited, 0, 100) < power(y, 0, 100) - 30


def test_mp3_has_its_rate_and_keeps_time(bench, change, chirps):
    if bench.why_no_mp3():
        pytest.skip(bench.why_no_mp3())
    y = chirps[0]
    coded = change("MP3, 48 kbit/s", y)
    assert coded.shape == y.shape
    half = slice(len(y) // 2, None)
    assert level(coded[half] - y[half]) < level(y[half]) - 15


def test_room_decays_by_60_db_in_its_time(change):
    click = np.zeros(2 * SR, dtype=np.float32)
    click[0] = 0.5
    tail = change("room, RT60 0.8 s", click)[1:].astype(float)
    assert np.sum(tail**2) == pytest.approx(0.25, rel=0.05)
    left = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1][: SR // 2])
    slope = np.polyfit(np.arange(len(left)) / SR, left, 1)[0]  # Schroeder's integral
    assert -60 / slope == pytest.approx(0.8, rel=0.1)


def test_sounds_are_joined_with_gaps(bench):
    y, groups = bench.join([np.full(3 * SR, 0.1, np.float32), np.full(2 * SR, 0.2, np.float32)], ["a", "b"])
    assert len(y) == 6 * SR
    assert np.mean(np.abs(y) < 0.01) == pytest.approx(1 / 6, abs=1e-3)
    level_of = {"a": 0.1, "b": 0.2}
    for second, group in enumerate(groups):
        assert y[second * SR : (second + 1) * SR].max() == pytest.approx(level_of[group])


@pytest.fixture
def files(tmp_path, cry_data, quick_detector, rng):
    """A folder of two recordings, a detector, and two tables of sound."""
    recordings, annotations, _ = cry_data
    folder = tmp_path / "days"
    folder.mkdir()
    write_annotated(folder, recordings[:2], annotations[:2])
    skcry.save(quick_detector, tmp_path / "cry.skcry")
    for name in ("voice", "cat", "cry", "upload"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.normal(size=5 * SR), SR)
    (tmp_path / "sound.csv").write_text("file,kind,group\nvoice.wav,speech,ada\nupload.wav,cry upload,ben\n")
    rows = ["file,label,category,source", "cat.wav,0,cat,x", "voice.wav,0,laugh,y", "cry.wav,1,cat,z"]
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    return tmp_path


@pytest.mark.slow
def test_tables(bench, files, capsys):
    detector, days, sound, clips, save = (
        str(files / name) for name in ("cry.skcry", "days", "sound.csv", "clips.csv", "found.csv")
    )
    arguments = ["--detector", detector, "--data", days, "--sound", sound, clips, "--heard", sound, "--save", save]
    conditions = ["gain -20 dB", "room, RT60 0.8 s"]
    tables = bench.main([*arguments, "--without", "day0", "--conditions", *conditions])
    assert list(tables["conditions"]) == [bench.AS_IS, *conditions]
    for parts in tables["conditions"].values():
        for part, found in parts.items():
            assert 0 < found["average precision"][0] <= 1
            assert 0 <= found["F1"][0] <= 1
            assert np.isnan(found["F1"][1]) == bool(part)  # a single recording has no interval
    assert tables["conditions"][bench.AS_IS][""]["change"] == (0, 0, 0)
    # Each file once, and no unchecked ones.
    assert list(tables["sounds"]) == [bench.CRYING, "adult speech, heard", "cats and dogs"]
    assert np.isnan(tables["sounds"][bench.CRYING]["false alarms/h"][0])
    for found in tables["sounds"].values():
        assert found["minutes"] == pytest.approx(5.5 / 60)
    table = pd.read_csv(save)
    assert set(table["what"]) == {"condition", "condition without", "sound"}
    out = capsys.readouterr().out
    for heading in ("| condition | average precision | change |", "| sound | minutes |"):
        assert heading in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name --data, --sound"),
        (["--data", ".", "--left-out", "."], "Name that table too"),
        (["--data", ".", "--save", "missing/found.csv"], "Make it first"),
    ],
)
def test_refuses(bench, capsys, arguments, message):
    with pytest.raises(SystemExit):
        bench.main(arguments)
    assert message in capsys.readouterr().err


def test_names_what_is_missing(bench, files):
    about = ["--detector", str(files / "cry.skcry"), "--data", str(files / "days")]
    with pytest.raises(SystemExit, match="--without day7: not in"):
        bench.main([*about, "--without", "day7"])
    (files / "bad.csv").write_text("file,kind\nvoice.wav,speech\n")
    with pytest.raises(SystemExit, match=r"no columns \['group'\]"):
        bench.read_tables([files / "bad.csv"])
