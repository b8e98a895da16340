"""What holds for any input of a kind: windows, events, annotation files, sound in files."""

import pickle
import string

import numpy as np
import pytest
import soundfile
from helpers import checked
from hypothesis import example, given
from hypothesis import strategies as st

from skcry import Windower
from skcry.events import LabelMap, as_annotations, classify, find_events, merge
from skcry.io import read_annotations, read_audio, write_annotations
from skcry.io.annotations import FORMATS
from skcry.io.audio import AudioFile
from skcry.windows import Windows

SR = 16000


# Windows


@st.composite
def windows(draw, n_min=0):
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    lengths = draw(st.lists(st.integers(4, 60), min_size=1, max_size=4))
    n_timepoints = draw(st.integers(1, min(lengths)))
    places = st.sampled_from([(i, s) for i, n in enumerate(lengths) for s in range(n - n_timepoints + 1)])
    chosen = draw(st.lists(places, min_size=n_min, max_size=12))
    recording, start = np.array(chosen, dtype=int).reshape(-1, 2).T
    groups = rng.integers(3, size=len(lengths))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    tracks = [rng.normal(size=n).astype(dtype) for n in lengths]
    return Windows(tracks, recording, start, n_timepoints, sr=10, groups=groups), groups


@st.composite
def indices(draw, n):
    kind = draw(st.sampled_from(["slice", "mask", "array", "list", "tuple"]))
    if kind == "slice":
        return draw(st.slices(n))
    if kind == "mask":
        return np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool)
    rows = draw(st.lists(st.integers(-n, n - 1), max_size=15)) if n else []
    return {"array": np.array(rows, dtype=int), "list": rows, "tuple": (np.array(rows, dtype=int), ...)}[kind]


@checked
@given(st.data(), windows())
def test_indexing_windows_is_indexing_an_array(data, made):
    X, groups = made
    array, place = np.asarray(X), np.arange(len(X))
    assert array.shape == X.shape
    for _ in range(3):
        key = data.draw(indices(len(X)))
        rows = [] if isinstance(key, list) and not key else key
        rows = np.array(rows, dtype=int) if isinstance(rows, list) else rows
        X, array, place = X[key], array[rows], place[rows[0] if isinstance(rows, tuple) else rows]
        np.testing.assert_array_equal(np.asarray(X), array)
        np.testing.assert_array_equal(X.recording, made[0].recording[place])
        np.testing.assert_array_equal(X.start, made[0].start[place])
        np.testing.assert_array_equal(X.groups, groups[X.recording])
    for row in range(len(X)):
        np.testing.assert_array_equal(X[row], array[row])
        np.testing.assert_array_equal(X[row - len(X)], array[row])
    np.testing.assert_array_equal(np.array(list(X)).reshape(array.shape), array)


@checked
@given(windows())
def test_a_pickle_of_windows_is_the_same(made):
    X = made[0]
    for part in (X, X[::2], X[:0]):
        again = pickle.loads(pickle.dumps(part))
        np.testing.assert_array_equal(np.asarray(again), np.asarray(part), strict=True)
        for name in ("recording", "start", "groups"):
            np.testing.assert_array_equal(getattr(again, name), getattr(part, name))
        assert again.times.equals(part.times)


def frames(frame_length, hop_length):
    def function(y):
        n_frames = max(1, 1 + (y.shape[-1] - frame_length) // hop_length)
        missing = max(0, (n_frames - 1) * hop_length + frame_length - y.shape[-1])
        y = np.pad(y, [(0, 0)] * (y.ndim - 1) + [(0, missing)])
        framed = [y[..., i * hop_length : i * hop_length + frame_length] for i in range(n_frames)]
        return np.stack([np.stack([f.max(axis=-1), f.min(axis=-1)]) for f in framed], axis=-1).swapaxes(0, -2)

    return function


@checked
@given(st.data(), windows(n_min=1), st.integers(1, 12), st.integers(1, 6))
def test_map_is_a_function_of_each_window(data, made, frame_length, hop_length):
    X = made[0]
    if data.draw(st.booleans()):  # aligned, so that each recording is computed once
        X = X[X.start % hop_length == 0]
    function = frames(frame_length, hop_length)
    mapped = X.map(function, frame_length=frame_length, hop_length=hop_length)
    assert len(mapped) == len(X)
    for row in range(len(X)):
        np.testing.assert_array_equal(mapped[row], function(X[row]))
    key = data.draw(indices(len(X)))
    again = X[key].map(function, frame_length=frame_length, hop_length=hop_length)
    np.testing.assert_array_equal(np.asarray(mapped[key]), np.asarray(again))
    np.testing.assert_array_equal(mapped.groups, X.groups)


@checked
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=4),
    st.integers(1, 90),
    st.integers(1, 120),
    st.sampled_from(["pad", "drop"]),
)
def test_windower_loses_and_invents_nothing(lengths, window, hop, last):
    rng = np.random.default_rng(0)
    recordings = [rng.normal(size=n) for n in lengths]
    X = Windower(window / 10, hop / 10, sr=10, last=last).fit_transform(recordings)
    assert set(X.recording) == set(range(len(lengths)))
    for row in range(len(X)):
        y, start = recordings[X.recording[row]], X.start[row]
        assert start % hop == 0
        part = y[start : start + window]
        assert len(part)
        np.testing.assert_array_equal(X[row], np.pad(part, (0, window - len(part))))
    if hop <= window and last == "pad":
        for number, y in enumerate(recordings):
            assert X.start[X.recording == number].max() + window >= len(y)


# Events

decisions = st.lists(st.booleans(), min_size=1, max_size=80)
seconds = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 5.0])


@checked
@given(decisions, seconds, seconds, st.floats(0.01, 1))
def test_events_lie_in_the_recording_and_are_found_again(active, merge_gap, min_duration, last):
    duration = len(active) - 1 + last
    events = find_events(active, merge_gap=merge_gap, min_duration=min_duration, duration=duration)
    assert ((events >= 0) & (events <= duration)).all()
    assert (events[:, 1] > events[:, 0]).all()
    assert (events[1:, 0] - events[:-1, 1] > merge_gap).all()
    assert (events[:, 1] - events[:, 0] >= min(min_duration, duration) - 1e-9).all()
    # Every event begins and ends with an active second, and its seconds give it back.
    covered = np.zeros(len(active), dtype=bool)
    for onset, offset in events:
        begin, end = int(onset), int(np.ceil(offset))
        assert active[begin]
        assert active[end - 1]
        covered[begin:end] = True
    again = find_events(covered, merge_gap=merge_gap, min_duration=min_duration, duration=duration)
    np.testing.assert_array_equal(again, events)


@checked
@given(decisions)
def test_seconds_to_events_and_back(active):
    events = find_events(active, merge_gap=0, min_duration=0)
    start = np.arange(len(active))
    classes, mixed = classify([tuple(event) for event in events], LabelMap(), start, start + 1, duration=len(active))
    np.testing.assert_array_equal(classes, np.array(active).astype(int))
    assert not mixed.any()


times = st.floats(0, 1000, allow_nan=False).map(lambda value: round(value, 2))
intervals = st.lists(st.tuples(times, times).map(sorted), max_size=12).map(sorted)
lasting = intervals.map(lambda rows: [row for row in rows if row[0] < row[1]])  # points are no annotations


@checked
@given(intervals, seconds)
def test_merging_twice_is_merging_once(rows, gap):
    merged = merge(rows, gap)
    np.testing.assert_array_equal(merge(merged, gap), merged)
    assert (merged[1:, 0] - merged[:-1, 1] > gap).all()
    inside = [any(a <= onset and offset <= b for a, b in merged) for onset, offset in rows]
    assert all(inside)
    assert set(merged.ravel()) <= {value for row in rows for value in row}


@checked
@given(lasting)
def test_annotations_in_one_form_stay_as_they_are(rows):
    table = as_annotations([tuple(row) for row in rows])
    assert as_annotations(table).equals(table)
    assert as_annotations(table.rename(columns={"onset": "start", "offset": "End"})).equals(table)
    assert as_annotations(list(table.itertuples(index=False, name=None))).equals(table)


@checked
@given(lasting, st.floats(0.1, 1))
def test_shares_of_a_second(rows, min_overlap):
    start = np.arange(1000)
    classes, _ = classify([tuple(row) for row in rows], LabelMap(), start, start + 1, min_overlap=min_overlap)
    fine = np.zeros((1000, 100), dtype=bool)
    for onset, offset in rows:
        fine.ravel()[round(onset * 100) : round(offset * 100)] = True
    share = fine.mean(axis=1)
    clear = np.abs(share - min_overlap) > 1e-6
    np.testing.assert_array_equal(classes[clear], (share >= min_overlap)[clear])


# Annotation files

WRITABLE = [name for name, known in FORMATS.items() if known.write]
labels = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.text(string.punctuation + " ab01", max_size=8),
    st.text("äé泣ß€😢\u200d\u0301 ", max_size=6),
    st.sampled_from(
        ["NA", "nan", "null", "0", "1", "2", "1.5", "true", "-", "[]", "CHI", "cry", "laughing", "SPEAKER"]
    ),
    st.sampled_from(
        ["a,b", "a\nb", "a\tb", "a  b", 'a "b" c', "\\", "'", '"', "#x", ";;", "!", "<a&b>", "]]>", "<exists>"]
    ),
    st.sampled_from(
        ["background", "label", "start", "start,end", "onset", "segment_onset", "second", "Begin Time (s)"]
    ),
)


@st.composite
def annotated(draw):
    """Annotations that do not overlap, in whole milliseconds."""
    edges = draw(st.lists(st.integers(0, 10**6), min_size=2, max_size=10, unique=True).map(sorted))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return [(onset / 1000, offset / 1000, draw(labels)) for onset, offset in pairs]


@pytest.mark.parametrize("name", WRITABLE)
@checked
@given(rows=annotated(), explicit=st.booleans())
@example(rows=[(0.0, 1.0, "Begin Time (s)")], explicit=False)
@example(rows=[(0.0, 1.0, "0"), (1.0, 2.0, "true"), (2.0, 3.0, "background")], explicit=False)
@example(rows=[(0.0, 1.0, "NA"), (1.0, 2.0, "cry")], explicit=True)
@example(rows=[(1.0, 2.0, "label")], explicit=True)
@example(rows=[(0.0, 1.0, 'loud, "very" <b> & so'), (1.0, 2.0, "'x' # y")], explicit=False)
def test_annotations_come_back_or_are_refused(tmp_path, name, rows, explicit):
    path = tmp_path / f"day{FORMATS[name].suffixes[0]}"
    path.unlink(missing_ok=True)
    if name == "seconds":
        rows = [(float(i), float(i + 1), label) for i, (_, _, label) in enumerate(rows)]
    try:
        write_annotations(rows, path, format=name, duration=1001)
    except ValueError as error:
        message = str(error)
        refused = {label for _, _, label in rows if repr(label.strip()) in message or repr(label) in message}
        assert refused  # the message quotes what cannot be held
        assert not refused & {"cry", "laughing", "label", "start", "onset", "CHI", "a,b" if name == "csv" else "cry"}
        assert not path.exists()
        return
    table = read_annotations(path, format=name if explicit else None)
    expected = [(onset, offset, label.strip()) for onset, offset, label in rows]
    if name in ("textgrid", "elan"):  # lines may be broken there, so blanks are all alike
        expected = [(onset, offset, " ".join(label.split())) for onset, offset, label in expected]
    if name == "seconds":
        expected = joined(expected)
    assert list(table.itertuples(index=False, name=None)) == expected


def joined(rows):
    """Put neighbours of one label together, as a value per second does."""
    found = []
    for onset, offset, label in rows:
        if found and found[-1][1:] == (onset, label):
            found[-1] = (found[-1][0], offset, label)
        else:
            found.append((onset, offset, label))
    return found


@pytest.mark.parametrize("name", sorted(set(WRITABLE) - {"seconds"}))
@checked
@given(st.lists(st.integers(0, 10**11), min_size=2, max_size=8, unique=True).map(sorted))
def test_times_come_back_as_far_as_a_format_keeps_them(tmp_path, name, edges):
    pairs = zip(edges[::2], edges[1::2], strict=False)
    rows = [(onset / 1e6, offset / 1e6, "a") for onset, offset in pairs]
    path = tmp_path / f"day{FORMATS[name].suffixes[0]}"
    if min(offset - onset for onset, offset, _ in rows) < 2 * 10.0 ** -FORMATS[name].decimals:
        return
    write_annotations(rows, path, format=name)
    found = read_annotations(path, format=name)[["onset", "offset"]].to_numpy()
    np.testing.assert_allclose(found, np.array(rows)[:, :2].astype(float), atol=0.6 * 10.0 ** -FORMATS[name].decimals)


# Sound in files

KINDS = [("WAV", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW")]
KINDS += [("W64", "PCM_16"), ("RF64", "PCM_16"), ("AIFF", "PCM_16"), ("CAF", "PCM_24"), ("AU", "FLOAT")]
KINDS += [("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS")]


@checked
@given(
    kind=st.sampled_from(KINDS),
    rate=st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000]),
    n_frames=st.one_of(st.integers(1, 40), st.integers(1, 60_000)),
    n_channels=st.integers(1, 8),
    blocks=st.lists(st.integers(0, 30_000), min_size=1, max_size=6),
    resampled=st.booleans(),
    data=st.data(),
)
def test_sound_in_blocks_is_sound_at_once(tmp_path, kind, rate, n_frames, n_channels, blocks, resampled, data):
    format, subtype = kind
    rng = np.random.default_rng(n_frames)
    y = np.clip(0.2 * rng.normal(size=(n_frames, n_channels)), -0.99, 0.99)
    path = tmp_path / f"a.{format.lower()}"
    soundfile.write(path, y, rate, format=format, subtype=subtype)
    channel = data.draw(st.one_of(st.none(), st.integers(0, n_channels - 1)))
    sr = SR if resampled else None
    whole, found_rate = read_audio(path, sr, channel)
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    assert found_rate == (sr or rate)
    assert len(whole) == pytest.approx(n_frames * found_rate / rate, abs=1)
    with AudioFile(path, sr, channel) as file:
        assert file.duration == pytest.approx(n_frames / rate)
        parts = [file.read(n) for n in blocks]
        assert all(len(part) <= n for part, n in zip(parts, blocks, strict=True))
        while len(part := file.read(max(1, max(blocks)))):
            parts.append(part)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    if not resampled and kind != ("OGG", "VORBIS"):
        expected = y.mean(axis=1) if channel is None else y[:, channel]
        step = {"PCM_U8": 2**-6, "ULAW": 2**-4, "PCM_16": 2**-14}.get(subtype, 2**-20)
        np.testing.assert_allclose(whole, expected, atol=step)
