import os

import numpy as np
import pandas as pd
import pytest
import soundfile

from skcry import excerpts
from skcry.datasets import load_annotated
from skcry.excerpts import draw_excerpts
from skcry.io import read_annotations

SR = 8000


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def write_sound(tmp_path, rng):
    """Write noise to a file."""

    def write(name="day.wav", duration=60.0, channels=1, sr=SR, **options):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, rng.uniform(-0.5, 0.5, (round(duration * sr), channels)), sr, **options)
        return path

    return write


def as_events(*rows):
    table = pd.DataFrame(rows, columns=["recording", "onset", "offset"])
    return table.astype({"recording": int, "onset": float, "offset": float}).assign(score=0.9)


MANY = as_events(*[(0, onset, onset + 5) for onset in range(0, 60, 10)])


def test_an_excerpt_is_its_stretch_of_the_source(write_sound, out):
    day = write_sound(subtype="PCM_24")
    table = draw_excerpts([str(day)], MANY, out, duration=20, random_state=0)
    assert list(table.columns) == ["file", "annotation", "source", "onset", "offset", "n_events", "group"]
    row = table.iloc[0]
    assert (row.file, row.annotation, row.source) == ("0_day_1.wav", "0_day_1.csv", str(day))
    assert row.offset - row.onset == pytest.approx(20)
    expected = soundfile.read(day, dtype="int32")[0][round(row.onset * SR) : round(row.offset * SR)]
    np.testing.assert_array_equal(soundfile.read(out / row.file, dtype="int32")[0], expected)
    header = soundfile.info(out / row.file)
    assert (header.frames, header.samplerate, header.format, header.subtype) == (20 * SR, SR, "WAV", "PCM_24")
    pd.testing.assert_frame_equal(pd.read_csv(out / "excerpts.csv"), table)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("day.wav", {"subtype": "FLOAT"}, ("WAV", "FLOAT")),
        ("day.wav", {"subtype": "PCM_U8"}, ("WAV", "PCM_U8")),
        ("day.wav", {"subtype": "ULAW"}, ("WAV", "ULAW")),
        ("day.wav", {"format": "RF64"}, ("WAV", "PCM_16")),
        ("day.flac", {"subtype": "PCM_24"}, ("FLAC", "PCM_24")),
        ("day.aiff", {"subtype": "PCM_16"}, ("FLAC", "PCM_16")),
        ("day.aiff", {"subtype": "FLOAT"}, ("WAV", "FLOAT")),
        ("day.ogg", {}, ("FLAC", "PCM_16")),
        ("day.wav", {"subtype": "MS_ADPCM"}, ("WAV", "PCM_16")),
    ],
)
def test_channels_rate_and_resolution_stay(write_sound, out, name, options, expected):
    day = write_sound(name, channels=2, sr=22050, **options)
    row = draw_excerpts([day], MANY, out, duration=7.5, random_state=1).iloc[0]
    header = soundfile.info(out / row.file)
    assert (header.format, header.subtype) == expected
    assert (header.channels, header.samplerate, header.frames) == (2, 22050, round(7.5 * 22050))
    assert row.file.endswith(expected[0].lower())
    first = round(row.onset * 22050)
    source = soundfile.read(day)[0][first : first + header.frames].clip(-1, 1)
    lossy = options.get("subtype") == "MS_ADPCM" or name.endswith("ogg")
    np.testing.assert_allclose(soundfile.read(out / row.file)[0], source, atol=1e-4 if lossy else 0)


@pytest.mark.parametrize(
    ("name", "options"), [("day.wav", {"subtype": "PCM_24"}), ("day.ogg", {}), ("day.wav", {"subtype": "FLOAT"})]
)
def test_lowpass_removes_what_is_above(write_sound, out, name, options):
    day = write_sound(name, channels=2, sr=16000, **options)
    about = {"duration": 20, "random_state": 0}
    row = draw_excerpts([day], MANY, out, **about).iloc[0]
    low = draw_excerpts([day], MANY, out / "low", lowpass=600, **about).iloc[0]
    pd.testing.assert_series_equal(low, row)
    before, after = (soundfile.read(folder / row.file)[0] for folder in (out, out / "low"))
    assert soundfile.info(out / "low" / row.file).subtype == soundfile.info(out / row.file).subtype
    assert after.shape == before.shape
    hertz = np.fft.rfftfreq(len(before), 1 / 16000)
    inside = slice(2000, -2000)  # as if there were silence around the excerpt
    spectra = [np.fft.rfft(y[inside], len(y), axis=0) for y in (before, after)]
    power = [
        [(abs(one[(hertz > a) & (hertz < b)]) ** 2).mean() for a, b in ((100, 550), (700, 7000))] for one in spectra
    ]
    assert power[1][0] == pytest.approx(power[0][0], rel=0.05)
    assert power[1][1] < 1e-4 * power[0][1]
    at = np.argmax(np.correlate(before[4000:12000, 0], after[5000:11000, 0]))
    assert at == 1000  # in time with the annotations


def test_lowpass_must_be_below_half_the_rate(write_sound, out):
    with pytest.raises(
        ValueError, match=r"lowpass=4000 Hz must be below 4000 Hz, half the sampling rate of .*day\.wav"
    ):
        draw_excerpts([write_sound()], MANY, out, lowpass=4000)
    assert not out.exists()


def test_only_the_stretch_is_read(write_sound, out, monkeypatch):
    day, n_read = write_sound(duration=300), []

    class Counting(soundfile.SoundFile):
        def read(self, frames=-1, *args, **kwargs):
            n_read.append(frames)
            return super().read(frames, *args, **kwargs)

    monkeypatch.setattr(soundfile, "SoundFile", Counting)
    draw_excerpts([day], MANY, out, duration=20, random_state=0)
    assert sum(n_read) == 20 * SR


def test_annotations_are_in_the_time_of_the_excerpt(write_sound, out):
    day = write_sound(duration=60)
    events = as_events((0, 2, 8), (0, 20, 41.5), (0, 50, 53))
    row = draw_excerpts([day], events, out, duration=30, min_events=2, random_state=0).iloc[0]
    found = read_annotations(out / row.annotation)
    inside = events[(events["onset"] < row.offset) & (events["offset"] > row.onset)]
    assert row.n_events == len(found) == len(inside) >= 2
    np.testing.assert_allclose(found["onset"] + row.onset, inside["onset"].clip(row.onset), atol=2e-3)
    np.testing.assert_allclose(found["offset"] + row.onset, inside["offset"].clip(upper=row.offset), atol=2e-3)
    assert set(found["label"]) == {"cry"}
    assert found["onset"].min() >= 0
    assert found["offset"].max() <= 30


def test_what_is_counted_is_what_is_written(rng):
    edges = np.sort(rng.integers(0, 6000, 40) / 100).reshape(-1, 2)
    annotations = pd.DataFrame(edges, columns=["onset", "offset"]).query("offset > onset")
    n_starts = []
    for least in range(1, 8):
        starts = excerpts._draw_starts(6000, 1000, 100, annotations, 3, least, 500, np.random.RandomState(least))
        n_starts.append(len(starts))
        for start in starts:
            inside = excerpts._events_inside(annotations, start / 100, (start + 1000) / 100)
            assert len(inside) >= least
            # Not a millisecond at an edge, which some formats would round to nothing.
            assert (inside["offset"] - inside["onset"]).min() > 0.009
    assert n_starts[0] == 3 >= n_starts[3] > 0


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".TextGrid", ".eaf", ".rttm"])
def test_annotation_formats(write_sound, out, suffix):
    table = draw_excerpts([write_sound()], MANY, out, duration=20, suffix=suffix, random_state=0)
    assert len(read_annotations(out / table["annotation"][0])) == table["n_events"][0] >= 2
    empty = draw_excerpts([write_sound()], MANY, out / "empty", duration=20, suffix=suffix, prefill=False)
    assert empty["n_events"][0] >= 2
    assert len(read_annotations(out / "empty" / table["annotation"][0])) == 0


def test_labels_of_the_detector_stay(write_sound, out):
    events = as_events((0, 10, 20), (0, 30, 40)).assign(label=["cry", "fuss"])
    row = draw_excerpts([write_sound()], events, out, random_state=0).iloc[0]
    assert read_annotations(out / row.annotation)["label"].tolist() == ["cry", "fuss"]


def test_same_seed_same_excerpts(write_sound, tmp_path):
    days = [write_sound("a.wav"), write_sound("b.flac")]
    options = {"min_events": 0, "duration": 10, "n_excerpts": 2}
    one, same, other = (
        draw_excerpts(days, MANY, tmp_path / f"out{i}", random_state=seed, **options)
        for i, seed in enumerate((0, np.random.RandomState(0), 1))
    )
    pd.testing.assert_frame_equal(one, same)
    assert (one["onset"] != other["onset"]).all()
    for name in one["file"]:
        assert (tmp_path / "out0" / name).read_bytes() == (tmp_path / "out1" / name).read_bytes()


def test_excerpts_do_not_overlap(write_sound, out):
    table = draw_excerpts([write_sound()], MANY, out, duration=9, n_excerpts=4, max_tries=1000, random_state=0)
    assert table["file"].tolist() == [f"0_day_{i}.wav" for i in (1, 2, 3, 4)]
    assert (table["onset"].to_numpy()[1:] >= table["offset"].to_numpy()[:-1]).all()
    assert (table["n_events"] >= 1).all()


def test_stretches_are_drawn_uniformly(rng):
    # Starts from 10.0 to 25.0 s are good: the event lies in part in the 10 s from there.
    annotations = pd.DataFrame({"onset": [20.0], "offset": [25.0]})
    random = np.random.RandomState(0)
    starts = [excerpts._draw_starts(6000, 1000, 100, annotations, 1, 1, 1000, random)[0] for _ in range(2000)]
    assert min(starts) > 1000
    assert max(starts) < 2500
    counts = np.histogram(starts, bins=5, range=(1000, 2500))[0]
    np.testing.assert_allclose(counts, 400, atol=80)


def test_a_short_recording_is_taken_whole(write_sound, out):
    day = write_sound(duration=4.5)
    table = draw_excerpts([day], as_events((0, 1, 4)), out)
    assert table[["onset", "offset", "n_events"]].iloc[0].tolist() == [0, 4.5, 1]
    np.testing.assert_array_equal(soundfile.read(out / table["file"][0])[0], soundfile.read(day)[0])


def test_tries_are_bounded(write_sound, out):
    days = [write_sound("a.wav"), write_sound("b.wav")]
    events = as_events((0, 1, 4), (1, 2, 8), (1, 20, 25))
    with pytest.warns(UserWarning, match=r"a.wav: 0 of 1 excerpts .* holds 1 events; .* Lower min_events") as caught:
        table = draw_excerpts(days, events, out, duration=40, min_events=2, max_tries=50, random_state=0)
    assert caught[0].filename == __file__
    assert table["file"].tolist() == ["1_b_1.wav"]
    # No room for a third stretch of half the recording.
    with pytest.warns(UserWarning, match="of 3 excerpts"):
        table = draw_excerpts(days[1:], MANY, out / "more", duration=30, n_excerpts=3, random_state=0)
    assert 1 <= len(table) <= 2


def test_no_event_at_all(write_sound, out):
    day, none = write_sound(), as_events()
    with pytest.warns(UserWarning, match="holds 0 events"):
        table = draw_excerpts([day], none, out)
    assert table.shape == (0, 7)
    assert len(pd.read_csv(out / "excerpts.csv")) == 0
    assert len(draw_excerpts([day], none, out / "any", min_events=0)) == 1


def test_names(write_sound, out):
    days = [write_sound(f"{folder}/Große Schwester 1.wav", duration=5) for folder in ("x", "y")]
    events = as_events((0, 1, 4), (1, 1, 4))
    table = draw_excerpts(days, events, out, suffix=".txt", random_state=0)
    assert table["file"].tolist() == ["0_Große Schwester 1_1.wav", "1_Große Schwester 1_1.wav"]
    assert table["annotation"].tolist() == ["0_Große Schwester 1_1.txt", "1_Große Schwester 1_1.txt"]
    assert sorted(os.listdir(out)) == sorted([*table["file"], *table["annotation"], "excerpts.csv"])
    for path, name in zip(days, table["file"], strict=True):
        np.testing.assert_array_equal(soundfile.read(out / name)[0], soundfile.read(path)[0])


@pytest.mark.parametrize("suffix", [".csv", ".TextGrid"])
def test_groups_come_along(write_sound, out, suffix):
    days = [str(write_sound(name, duration=30)) for name in ("a.wav", "b.wav", "c.flac")]
    events = as_events(*[(i, onset, onset + 2) for i in range(3) for onset in (2, 12, 22)])
    options = {"duration": 8, "n_excerpts": 2, "suffix": suffix, "random_state": 0}
    table = draw_excerpts(days, events, out, **options)
    data = load_annotated(out, sr=SR)
    assert data.groups.tolist() == table["source"].tolist() == [day for day in days for _ in range(2)]
    assert [len(found) for found in data.annotations] == table["n_events"].tolist()
    groups = ["Ada", "Ben", "Ada"]
    by_name = dict(zip(reversed(days), reversed(groups), strict=True))
    for given in (groups, by_name, pd.Series(by_name), {"b.wav": "Ben", "a.wav": "Ada", "c.flac": "Ada"}):
        draw_excerpts(days, events, out, groups=given, overwrite=True, **options)
        assert load_annotated(out, sr=SR).groups.tolist() == ["Ada"] * 2 + ["Ben"] * 2 + ["Ada"] * 2
    # An older index has no groups.
    table.drop(columns="group").to_csv(out / "excerpts.csv", index=False)
    assert load_annotated(out, sr=SR).groups.tolist() == table["source"].tolist()


def test_events_may_name_the_files(write_sound, tmp_path):
    paths = [write_sound("a.wav"), write_sound("b.wav")]
    numbered = pd.DataFrame({"recording": [0, 1], "onset": [2.0, 3.0], "offset": [4.0, 5.0]})
    named = numbered.assign(recording=["a.wav", "b.wav"])  # as CryDetector.detect calls files
    tables = [
        draw_excerpts(paths, events, tmp_path / str(number), duration=4, random_state=0)
        for number, events in enumerate((numbered, named))
    ]
    assert tables[0].equals(tables[1])
    with pytest.raises(ValueError, match=r"name recording 'c.wav' .* holds \['a.wav', 'b.wav'\]"):
        draw_excerpts(paths, named.assign(recording="c.wav"), tmp_path / "3")


def test_faulty_groups(write_sound, out):
    days = [str(write_sound(name, duration=5)) for name in ("a.wav", "b.wav")]
    for groups, message in (
        (["Ada"], "groups has 1 values for 2 recordings"),
        (["Ada", "ada "], "groups 'Ada', 'ada ' look the same"),
        ({days[0]: "Ada", "b.wav": "Ben"}, "names no group for '.*b.wav'. Use the paths"),
    ):
        with pytest.raises(ValueError, match=message):
            draw_excerpts(days, as_events((0, 1, 4)), out, groups=groups)
    assert not out.exists()


def test_nothing_is_overwritten_unasked(write_sound, out):
    day = write_sound(duration=5)
    events = as_events((0, 1, 4))
    table = draw_excerpts([day], events, out)
    (out / table["annotation"][0]).write_text("corrected by hand")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        draw_excerpts([day], events, out)
    assert (out / table["annotation"][0]).read_text() == "corrected by hand"
    draw_excerpts([day], events, out, overwrite=True)
    assert len(read_annotations(out / table["annotation"][0])) == 1


def test_a_recording_is_never_overwritten(write_sound, tmp_path):
    write_sound("0_day_1.wav", duration=5)
    days = [write_sound(duration=5), tmp_path / "0_day_1.wav"]
    with pytest.raises(ValueError, match="is one of the recordings"):
        draw_excerpts(days, as_events((0, 1, 4), (1, 1, 4)), tmp_path, overwrite=True)


def test_faulty_input(write_sound, out, tmp_path):
    day, events = write_sound(duration=5), as_events((0, 1, 4))
    (tmp_path / "text.wav").write_text("no sound")
    for recordings, faulty, error, message in (
        ([day], as_events((1, 1, 4)), ValueError, r"events name recording 1 .* numbers 0 to 0"),
        ([day], events.assign(recording="night.wav"), ValueError, "events name recording 'night.wav'"),
        ([day], events.drop(columns="offset"), ValueError, "no 'offset'"),
        (
            [day],
            as_events((0, 1, 40)),
            ValueError,
            "events of day.wav: 'cry' from 1 s to 40 s ends after the recording",
        ),
        (str(day), events, TypeError, "is one file"),
        ([np.zeros(100)], events, TypeError, "Pass their paths"),
        # All headers are read before anything is written.
        ([day, tmp_path / "text.wav"], events, OSError, "text.wav cannot be read as audio"),
        ([day, tmp_path / "none.wav"], events, FileNotFoundError, "none.wav: no such file"),
    ):
        with pytest.raises(error, match=message):
            draw_excerpts(recordings, faulty, out)
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        draw_excerpts([day], events, day)
    for suffix in ("csv", "./../x.csv", "/x.csv", ""):
        with pytest.raises(ValueError, match="ending of a file name"):
            draw_excerpts([day], events, out, suffix=suffix)
    for name, value in {"duration": -1, "n_excerpts": 0, "min_events": -1, "max_tries": 0, "prefill": "no"}.items():
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            draw_excerpts([day], events, out, **{name: value})
    assert not out.exists()


def test_an_unknown_ending_is_refused_before_sound_is_written(write_sound, out):
    with pytest.raises(ValueError, match="wav"):
        draw_excerpts([write_sound(duration=5)], as_events((0, 1, 4)), out, suffix=".wav")
    assert list(out.iterdir()) == []


def test_a_recording_that_breaks_off(write_sound, out):
    day = write_sound("day.flac", duration=60)
    day.write_bytes(day.read_bytes()[: day.stat().st_size // 2])
    with pytest.raises(OSError, match=r"day.flac: the stretch from 0.0 s, 60 s long, cannot be copied"):
        draw_excerpts([day], MANY, out)
    assert not any(path.suffix in (".flac", ".part") for path in out.iterdir())
