import io
import pickle
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils import _safe_indexing

from skcry import HighPassFilter, MelSpectrogram, StatFeatures, Windower, Windows


@pytest.fixture
def recordings(rng):
    return [rng.normal(size=n) for n in (200, 157, 90, 30)]


@pytest.fixture
def X(recordings):
    return Windower(0.5, 0.1, sr=100).fit_transform(recordings, groups=["a", "a", "b", "c"])


def test_array_like(X):
    assert X.shape == np.asarray(X).shape == (len(X), 50)
    assert X.ndim == 2
    assert X.dtype == np.asarray(X).dtype == np.float64
    assert np.asarray(X, dtype=np.float32).dtype == np.float32


def test_rows_are_indexed_as_in_an_array(X):
    mask = X.recording == 1
    for key in (
        mask,
        mask.tolist(),
        pd.Series([4, 2]),
        slice(None, None, -1),
        [3, 1, 1, -1],
        -1,
        np.int64(2),
        ([1, 2], ...),
    ):
        np.testing.assert_array_equal(np.asarray(X[key]), np.asarray(X)[key])
    np.testing.assert_array_equal(X[[3, 1]].times, X.times.iloc[[3, 1]])
    assert isinstance(X[[]], Windows)
    np.testing.assert_array_equal(np.asarray(_safe_indexing(X, [4, 0])), np.asarray(X)[[4, 0]])
    np.testing.assert_array_equal(np.stack(list(X)), np.asarray(X))
    for faulty in (len(X), -len(X) - 1, [len(X)], np.ones(3, dtype=bool)):
        with pytest.raises(IndexError):
            X[faulty]
    with pytest.raises(IndexError, match="index rows only"):
        X[:, 0]
    with pytest.raises(IndexError, match="one-dimensional index"):
        X[np.array([[0, 1], [2, 3]])]
    with pytest.raises(ValueError, match="without a copy"):
        np.array(X, copy=False)


def test_slicing_copies_no_sound(X, recordings):
    part = X[10:20][[1, 2]]
    assert all(np.shares_memory(a, b) for a, b in zip(part._tracks, X._tracks, strict=True))
    assert np.shares_memory(X._tracks[0], recordings[0])  # fills its windows, so needed no padding


def test_nobody_can_write_into_shared_sound(X):
    with pytest.raises(ValueError, match="read-only"):
        X._tracks[0][0] = 1


def test_splits_like_an_array(X):
    y = np.arange(len(X)) % 2
    train, test, y_train, _ = train_test_split(X, y, random_state=0)
    assert isinstance(train, Windows)
    assert len(train) + len(test) == len(X)
    assert len(y_train) == len(train)
    for rows, others in StratifiedGroupKFold(3).split(X, y, X.groups):
        assert not set(X.groups[rows]) & set(X.groups[others])


def test_pickle_carries_only_its_recordings(X):
    part = X[X.recording == 3]
    assert len(pickle.dumps(part)) < len(pickle.dumps(X)) / 2
    assert repr(pickle.loads(pickle.dumps(part))) == repr(part)


def test_joblib_hash_follows_content(X, recordings):
    again = Windower(0.5, 0.1, sr=100).fit_transform([y.copy() for y in recordings], groups=["a", "a", "b", "c"])
    assert joblib.hash(X) == joblib.hash(again)
    assert joblib.hash(X[:5]) != joblib.hash(X[1:6])
    recordings[0][3] += 1
    changed = Windower(0.5, 0.1, sr=100).fit_transform(recordings, groups=["a", "a", "b", "c"])
    assert joblib.hash(changed) != joblib.hash(again)


def test_several_processes(X):
    parts = np.array_split(np.arange(len(X)), 4)
    # max_nbytes: the tracks travel as read-only memory maps.
    arrays = joblib.Parallel(n_jobs=2, max_nbytes=100)(joblib.delayed(np.asarray)(X[rows]) for rows in parts)
    np.testing.assert_array_equal(np.concatenate(arrays), np.asarray(X))


def test_no_window_lies_wholly_behind_the_end():
    X = Windower(0.5, 1, sr=100).fit_transform([np.ones(60), np.ones(160)])
    assert X.start.tolist() == [0, 0, 100]


def test_map_runs_once_per_recording(X):
    seen = []

    def double(y):
        seen.append(y.shape)
        return 2 * y

    doubled = X[X.recording < 2].map(double)
    assert seen == [(200,), (160,)]
    np.testing.assert_array_equal(np.asarray(doubled), 2 * np.asarray(X[X.recording < 2]))


def test_what_is_mapped_is_mapped_again(X):
    def frames(y):
        views = np.lib.stride_tricks.sliding_window_view(y, 10, axis=-1)[..., ::5, :]
        return np.stack([views.max(axis=-1), views.min(axis=-1)], axis=-2)

    expected = -frames(np.asarray(X))[3:]
    again = X.map(frames, frame_length=10, hop_length=5)[3:].map(np.negative).each(lambda x: x - x[:, :1, :1])
    np.testing.assert_array_equal(np.asarray(again), expected - expected[:, :1, :1])
    np.testing.assert_array_equal(np.asarray(again.map(np.abs)), np.abs(np.asarray(again)))


def test_times_come_from_integers():
    X = Windower(5, 0.1, sr=22050).fit_transform([np.zeros(22050 * 600, dtype=np.float32)])
    assert np.issubdtype(X.start.dtype, np.integer)
    assert X.times["start"].iloc[-1] == X.start[-1] / 22050
    assert (np.diff(X.start) == 2205).all()


@pytest.mark.parametrize(
    ("n", "last", "n_windows"),
    [(80, "pad", 4), (81, "pad", 5), (89, "pad", 5), (89, "drop", 4), (50, "drop", 1), (20, "drop", 1), (20, "pad", 1)],
)
def test_tail(n, last, n_windows):
    X = Windower(0.5, 0.1, sr=100, last=last).fit_transform([np.ones(n)])
    assert len(X) == n_windows
    if last == "pad":
        assert (X.start + 50).max() >= n
    assert np.asarray(X)[-1].sum() == min(50, n - X.start[-1])


def test_windower_takes_arrays_lists_and_files(tmp_path, rng, sr):
    y = rng.uniform(-0.5, 0.5, size=sr * 6)
    path = tmp_path / "day one ä.wav"
    soundfile.write(path, np.stack([y, -0.5 * y], axis=1), sr, subtype="FLOAT")
    from_file = Windower().fit_transform([path, str(path)])
    np.testing.assert_allclose(np.asarray(from_file[0]), y[: 5 * sr] / 4, atol=1e-6)
    assert from_file.names == ("day one ä.wav",) * 2
    rows = Windower().fit_transform(np.stack([y, y]))
    ragged = Windower().fit_transform([y, y])
    np.testing.assert_array_equal(np.asarray(rows), np.asarray(ragged))
    array_of_objects = np.empty(2, dtype=object)
    array_of_objects[:] = [y, y[:100]]
    assert len(Windower().fit_transform(array_of_objects)) == 3


def test_files_are_resampled(tmp_path, sr):
    t = np.arange(44100 * 6) / 44100
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 500 * t), 44100)
    X = Windower().fit_transform([tmp_path / "tone.wav"])
    spectrum = np.abs(np.fft.rfft(X[0]))
    assert X.sr == sr
    assert spectrum.argmax() / 5 == 500


def test_integer_audio_is_scaled():
    for dtype, loud in (("int16", 32767), ("int32", 2**31 - 1), ("uint8", 255)):
        X = Windower(1, 1, sr=100).fit_transform([np.full(100, loud, dtype=dtype)])
        assert X.dtype == np.float32
        assert X[0].max() == pytest.approx(1, abs=0.01)
    assert abs(Windower(1, 1, sr=100).fit_transform([np.full(100, 128, dtype="uint8")])[0]).max() == 0


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "no recording"),
        ([np.zeros(0)], r"recordings\[0\] is empty"),
        (
            [np.zeros(9), np.r_[np.zeros(160), np.nan]],
            r"recordings\[1\] contains NaN or infinity: 1 of 161 .*\(0.01 s\)",
        ),
        ([np.array([np.inf])], "NaN or infinity"),
        ([np.zeros((16000, 2))], r"looks like 2 channels; mix them down with x.mean\(axis=1\)"),
        ([np.zeros((2, 16000))], r"x.mean\(axis=0\)"),
        (np.zeros((160000, 2)), "one recording of 2 channels"),
        (np.zeros(16000), "Expected 2D array .* list of one 1-D array"),
        ([0.1, 0.2], "got a list of numbers"),
        (np.zeros((2, 3, 4)), "Expected 2D array"),
        ([np.array(["a", "b"])], "no sound"),
        (np.array(1.0), "got a single number"),
        ([np.array([1j])], "no sound"),
        ([np.array(1.0)], "one-dimensional"),
    ],
)
def test_faulty_recordings(X, message):
    with pytest.raises(ValueError, match=message):
        Windower().fit_transform(X)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_recordings_with_their_own_rate(tmp_path, rng, rate):
    y = (0.1 * rng.normal(size=3 * rate)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", y, rate, subtype="FLOAT")
    content = (tmp_path / "a.wav").read_bytes()
    expected = np.asarray(Windower().fit_transform([tmp_path / "a.wav"]))
    kinds = [(rate, y), (y, rate), {"array": y, "sampling_rate": rate, "path": None}, io.BytesIO(content)]
    kinds += [{"bytes": content, "path": "a.wav"}, {"bytes": None, "path": str(tmp_path / "a.wav")}]
    X = Windower().fit_transform(kinds)
    assert len(X) == len(kinds)
    for found in np.asarray(X):
        np.testing.assert_allclose(found, expected[0], atol=1e-5)
    integers = Windower().fit_transform([(rate, np.round(y * 2**15).astype(np.int16))])
    np.testing.assert_allclose(np.asarray(integers), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ((16000, np.zeros(9)), r"X is one recording, tuple, .* Pass \[X\]"),
        ({"array": np.zeros(9), "sampling_rate": 16000}, "X is one recording, dict"),
        ([{"sound": np.zeros(9)}], r"recordings\[0\] is a dictionary with \['sound'\]"),
        ([(16000, np.zeros((9, 2)))], r"recordings\[0\] has shape \(9, 2\)"),
        ([(16, np.zeros(9))], "has a rate of 16 Hz"),
        ([(16000, np.array([0, np.nan]))], "NaN"),
        ([io.StringIO("no sound")], "file of text"),
        ([b"RIFF"], r"recordings\[0\] is bytes. Pass an open binary file"),
        ([io.BytesIO(b"no sound at all")], r"recordings\[0\] cannot be read as audio: it is text"),
    ],
)
def test_faulty_recordings_with_their_own_rate(X, message):
    with pytest.raises((TypeError, ValueError, OSError), match=message):
        Windower().fit_transform(X)


def test_faulty_kinds_of_input(tmp_path, X):
    (tmp_path / "notes.wav").write_text("no sound at all")
    for faulty, error, message in (
        (str(tmp_path / "a.wav"), TypeError, "is one file"),
        (X, TypeError, "already is Windows"),
        ([tmp_path / "missing.wav"], FileNotFoundError, r"missing\.wav: no such file"),
        ([tmp_path / "notes.wav"], OSError, r"notes\.wav cannot be read as audio"),
        ([tmp_path], IsADirectoryError, "folder"),
    ):
        with pytest.raises(error, match=message):
            Windower().fit_transform(faulty)
    for groups, message in (([1], "groups has shape"), (["a", None], "groups has missing values")):
        with pytest.raises(ValueError, match=message):
            Windower().fit_transform([np.zeros(10)] * 2, groups=groups)
    by_place = pd.Series(["a", "b"], index=[1, 0])  # as everywhere in scikit-learn
    assert Windower().fit_transform([np.zeros(10)] * 2, groups=by_place).groups.tolist() == ["a", "b"]
    assert Windower().fit_transform([np.zeros(10)] * 2, groups={1: "b", 0: "a"}).groups.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="hop_duration=1e-09 s is 0 timepoints at sr=16000 Hz"):
        Windower(hop_duration=1e-9).fit([np.zeros(10)])


@pytest.mark.parametrize(
    ("track", "recording", "start", "message"),
    [
        (np.zeros(100), [0, 0], [0, 60], "Window 1 spans timepoints 60 to 110, but its recording has 100"),
        (np.zeros(100), [1], [0], "between 0 and 0"),
        (np.zeros(100, dtype=np.int16), [0], [0], "floating point, got int16"),
        (np.full(100, np.nan), [0], [0], "NaN or infinity"),
    ],
)
def test_faulty_windows(track, recording, start, message):
    with pytest.raises(ValueError, match=message):
        Windows([track], recording, start, 50, sr=100)


def test_label_by_overlap():
    X = Windower(2, 1, sr=10).fit_transform([np.zeros(60), np.zeros(15)])
    np.testing.assert_array_equal(X.recording, [0, 0, 0, 0, 0, 1])
    annotations = [[(1.0, 2.0, "cry"), (3.9, 5.0, "cry"), (2.0, 2.9, "noise")], [(0, 0.75, "cry")]]
    # The last window holds half a second of padding: its half is 0.75 s.
    np.testing.assert_array_equal(X.label(annotations), [1, 1, 0, 1, 1, 1])
    np.testing.assert_array_equal(X.label(annotations, 0.6), [0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(X.label([annotations[0], []]), [1, 1, 0, 1, 1, 0])
    np.testing.assert_array_equal(X.label(annotations, positive=("noise", "cry")), [1, 1, 1, 1, 1, 1])
    assert X[::-1].label(annotations).tolist() == X.label(annotations)[::-1].tolist()


def test_label_keeps_names_and_finds_mixed_windows():
    X = Windower(1, 1, sr=10).fit_transform([np.zeros(50)])
    annotations = [pd.DataFrame({"start": [0, 1.6, 3], "end": [1, 3, 4], "label": ["cry", "fuss", "cry"]})]
    names = X.label(annotations, positive=None, negative="quiet")
    assert names.tolist() == ["cry", "quiet", "fuss", "cry", "quiet"]
    assert X.mixed(annotations).tolist() == [False, False, False, False, False]
    assert X.mixed(annotations, positive=("cry", "fuss")).tolist() == [False, True, False, False, False]
    clear = X[~X.mixed(annotations, positive=None)]
    assert clear.start.tolist() == [0, 20, 30, 40]


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([[(3, 2, "cry")]], r"'cry' from 3 s to 2 s ends before it starts"),
        ([[(-1, 2, "cry")]], "negative time"),
        ([[(1, 7, "cry")]], "ends after the recording, which lasts 5 s"),
        ([[(0, np.nan, "cry")]], "missing or infinite"),
        ([[("a", 2, "cry")]], "must be numbers"),
        ([[(0, 2, "cry"), (1, 3, "notcry")]], "'notcry' from 1 s to 3 s contradicts 'cry' from 0 s to 2 s"),
        ([[(0, 5, "notcry"), (1, 2, "notcry"), (3, 4, "cry")]], "contradicts 'notcry' from 0 s to 5 s"),
        ([[], []], "annotations of 2 recordings, but the windows come from 1"),
        ([pd.DataFrame({"from": [1], "to": [2]})], "Rename the columns"),
    ],
)
def test_faulty_annotations(annotations, message):
    X = Windower(1, 1, sr=10).fit_transform([np.zeros(50)])
    with pytest.raises(ValueError, match=message):
        X.label(annotations)


def test_faulty_annotations_of_all_recordings_are_listed():
    X = Windower(1, 1, sr=10).fit_transform([np.zeros(50)] * 8)
    faulty = [[], *[[(0, 2, "cry"), (1, 3, "notcry")]] * 7]
    listed = r"(?s)Faults.*\n- annotations of recordings\[1\]: 'notcry' from .*\n- .*\[5\].*\n- and 2 more"
    with pytest.raises(ValueError, match=listed):
        X.label(faulty)


def test_label_in_neither_list_is_shown():
    X = Windower(1, 1, sr=10).fit_transform([np.zeros(50)])
    with pytest.raises(
        ValueError, match=r"label 'cough' is neither in positive=\('cry',\) nor in negative=\('notcry',\)"
    ):
        X.label([[(0, 1, "cry"), (2, 3, "cough")]], negative="notcry")
    with pytest.raises(ValueError, match="stand in positive and in negative"):
        X.label([[]], positive="cry", negative=["cry"])
    with pytest.raises(TypeError, match="one table per recording"):
        X.label(pd.DataFrame({"onset": [], "offset": []}))
    with pytest.raises(TypeError, match="not an .onset, offset"):
        X.label([[1, 2, 3]])
    with pytest.raises(ValueError, match="min_overlap=0"):
        X.label([[]], 0)


def test_cross_val_predict_in_two_processes(chirps, chirp_annotations):
    X = Windower().fit_transform(chirps)
    y = X.label(chirp_annotations)
    estimator = make_pipeline(StatFeatures(["energy", "mfcc"]), LogisticRegression(max_iter=2000))
    scores = [
        cross_val_predict(
            estimator, X, y, groups=X.groups, cv=StratifiedGroupKFold(2), method="decision_function", n_jobs=n_jobs
        )
        for n_jobs in (1, 2)
    ]
    np.testing.assert_allclose(*scores)


def test_repr_is_short(X):
    assert repr(X[X.recording == 0]) == "<Windows: 16 of 0.5 s from 1 recording, shape (16, 50), float64, sr=100 Hz>"
    spectrogram = MelSpectrogram(16, 10, 4).fit_transform(X)
    assert len(repr(spectrogram)) < 120


def test_refit_forgets_names_of_columns(sr):
    clips = pd.DataFrame(np.zeros((2, 100)), columns=[f"t{i}" for i in range(100)])
    windower = Windower().fit(clips)
    assert len(windower.feature_names_in_) == windower.n_features_in_ == 100
    windower.fit([np.zeros(sr)])
    assert not hasattr(windower, "feature_names_in_")
    spectrogram = MelSpectrogram(n_mels=4).fit(clips)
    spectrogram.fit(windower.transform([np.zeros(sr)]))
    assert not hasattr(spectrogram, "feature_names_in_")


def test_no_rows_are_refused_as_in_arrays(X):
    for transformer in (HighPassFilter(20), StatFeatures("zcr", frame_duration=0.2), MelSpectrogram(16, 10, 4)):
        with pytest.raises(ValueError, match="0 sample"):
            transformer.fit(X).transform(X[[]])


def test_scale_of_integers(rng):
    pcm = rng.integers(-3000, 3000, size=(2, 100)).astype(np.int16)
    expected = HighPassFilter().fit_transform(pcm / np.float32(32768))
    for same in (pcm, list(pcm), pd.DataFrame(pcm)):
        np.testing.assert_allclose(HighPassFilter().fit_transform(same), expected, atol=1e-6)
    with pytest.warns(UserWarning, match="64-bit integers .* has no defined scale"):
        Windower().fit_transform(list(pcm.astype(np.int64)))


def test_label_of_the_middle(sr):
    X = Windower().fit_transform([np.zeros(10 * sr), np.zeros(sr // 2)])
    annotations = [[(4.0, 5.0)], [(0.0, 0.5)]]
    assert X.label(annotations).tolist() == [0] * 6 + [1]
    assert X.label(annotations, target_duration=1).tolist() == [0, 0, 1, 0, 0, 0, 1]
    assert X.label(annotations, target_duration=5).tolist() == X.label(annotations).tolist()
    assert X.mixed([[(4.2, 5.0)], []], target_duration=1).tolist() == [False, False, True, False, False, False, False]
    for wrong in (6, 0, 1e-9):
        with pytest.raises(ValueError, match="target_duration"):
            X.label(annotations, target_duration=wrong)


def test_size_is_that_of_the_sound_that_goes_along(chirps):
    X = Windower().fit_transform(chirps)
    assert sum(y.nbytes for y in chirps) <= sys.getsizeof(X) < 1.1 * sum(y.nbytes for y in chirps)
    assert chirps[0].nbytes <= sys.getsizeof(X[X.recording == 0]) < 1.1 * chirps[0].nbytes


def test_no_windows_that_are_shorter_than_a_frame():
    X = Windows([np.ones(5)], [0], [0], 2, sr=10)
    assert X[:0].map(lambda y: y[..., :1], frame_length=4, hop_length=2).shape == (0, 1)
    assert np.asarray(X[:0].map(lambda y: y[..., :1], frame_length=4, hop_length=2)[:0]).shape == (0, 1)


def test_arrays_at_another_rate_are_told(recwarn):
    day, clips = np.zeros(44100 * 10), np.zeros((3, 22050 * 4))
    with pytest.warns(UserWarning, match=r"such as 441000\) are whole seconds at 44100 Hz. Pass the true rate"):
        Windower().fit([day])
    with pytest.warns(UserWarning, match="whole seconds at 44100 Hz"):
        Windower().fit(clips)
    with pytest.warns(UserWarning, match="whole seconds at 44100 Hz"):
        HighPassFilter().fit(clips)
    recwarn.clear()
    Windower(sr=44100).fit([day])
    HighPassFilter(sr=22050).fit(clips)
    Windower().fit([day, np.zeros(44101)])
    Windower().fit([np.zeros(16000 * 441)])  # whole seconds at both
    assert len(Windower().fit_transform([(44100, day)]).times) == 6
    assert not recwarn
