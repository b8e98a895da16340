import os
import pickle
import threading

import joblib
import numpy as np
import pytest
import soundfile
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcry import CryDetector, Denoise, HighPassFilter, MelSpectrogram, PretrainedEmbedding, StatFeatures, Windower
from skcry.datasets import load_annotated
from skcry.windows import Windows, file_windows
from skcry.windows.file_windows import FileWindows

DURATIONS = 50.0, 37.3, 3.0, 24.0
GROUPS = ["a", "a", "b", "c"]
STEPS = {
    "sound": make_pipeline(HighPassFilter()),
    "filtered": make_pipeline(HighPassFilter(), HighPassFilter(cutoff=500)),
    "spectrogram": make_pipeline(HighPassFilter(), MelSpectrogram(n_mels=20)),
    "fixed spectrogram": make_pipeline(MelSpectrogram(n_mels=20, ref=1.0, top_db=None)),
    "unaligned spectrogram": make_pipeline(MelSpectrogram(n_mels=20, hop_length=490)),
    "statistics": make_pipeline(HighPassFilter(), StatFeatures()),
    "unaligned statistics": make_pipeline(StatFeatures(hop_duration=0.0213)),
    "embedding": make_pipeline(PretrainedEmbedding()),
}


@pytest.fixture
def files(tmp_path, rng, sr):
    """Files, and stretches of 12 s so that most files have several."""
    paths = [tmp_path / f"{number}.wav" for number in range(len(DURATIONS))]
    for path, duration in zip(paths, DURATIONS, strict=True):
        soundfile.write(path, (0.1 * rng.normal(size=round(duration * sr))).astype(np.float32), sr, subtype="FLOAT")
    return paths


@pytest.fixture
def stay_in_files(monkeypatch):
    monkeypatch.setattr("skcry.windows.stretches.STRETCH_DURATION", 12.0)
    monkeypatch.setattr("skcry.windows.stretches.CONTEXT_DURATION", 3.0)
    monkeypatch.setattr("skcry.windows.windower.IN_MEMORY_DURATION", 0.0)


@pytest.fixture
def in_memory(files):
    return Windower().fit_transform(files, groups=GROUPS)


@pytest.fixture
def X(in_memory, stay_in_files, files):
    return Windower().fit_transform(files, groups=GROUPS)


def count_reads(monkeypatch):
    """Return a list that grows by the number of a recording whenever it is read."""
    reads, original = [], FileWindows._stretches

    def counted(self, number, wanted):
        reads.append(number)
        return original(self, number, wanted)

    monkeypatch.setattr(FileWindows, "_stretches", counted)
    return reads


def test_only_files_of_much_sound_stay_there(in_memory, X):
    assert type(in_memory) is Windows
    assert isinstance(X, FileWindows)
    assert repr(X) == repr(in_memory)
    assert (X.shape, X.ndim, X.dtype) == (in_memory.shape, 2, np.float32)
    assert X.times.equals(in_memory.times)
    np.testing.assert_array_equal(X.groups, in_memory.groups)
    np.testing.assert_array_equal(X.lengths, in_memory.lengths)


@pytest.mark.parametrize("name", STEPS)
def test_results_are_those_in_memory(name, in_memory, X, rng):
    rows = rng.permutation(len(X))[: len(X) // 2]
    expected, found = (STEPS[name].fit_transform(windows) for windows in (in_memory, X))
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    tolerance = 1e-4 if "spectrogram" in name else 1e-5  # of decibels
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=tolerance)
    np.testing.assert_allclose(np.asarray(found[rows]), np.asarray(expected[rows]), rtol=0, atol=tolerance)
    some = STEPS[name].transform(X[rows])
    np.testing.assert_allclose(np.asarray(some), np.asarray(expected[rows]), rtol=0, atol=tolerance)


def test_noise_reduction_is_that_in_memory(files, monkeypatch):
    windower = Windower()
    expected = Denoise().fit_transform(windower.fit_transform(files[:1]))
    monkeypatch.setattr("skcry.windows.stretches.STRETCH_DURATION", 37.5)
    monkeypatch.setattr("skcry.windows.stretches.CONTEXT_DURATION", 37.5)
    monkeypatch.setattr("skcry.windows.windower.IN_MEMORY_DURATION", 0.0)
    found = Denoise().fit_transform(Windower(hop_duration=0.5).fit_transform(files[:1]))[::2]
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [{"last": "drop"}, {"hop_duration": 7.0}, {"window_duration": 0.3}], ids=str)
def test_any_windows_are_those_in_memory(options, files, stay_in_files, monkeypatch):
    X = Windower(**options).fit_transform(files)
    monkeypatch.setattr("skcry.windows.windower.IN_MEMORY_DURATION", np.inf)
    expected = Windower(**options).fit_transform(files)
    assert X.times.equals(expected.times)
    np.testing.assert_array_equal(np.asarray(X), np.asarray(expected))


def test_results_of_other_ends_are_kept_apart(files, stay_in_files):
    for last in ("drop", "pad"):
        X = Windower(last=last).fit_transform([files[1]])
        assert StatFeatures().fit(X).transform(X).shape == (len(X), 246)


def test_clips_are_described_as_a_whole(files, stay_in_files, monkeypatch):
    windower = Windower(window_duration=60.0)
    found = PretrainedEmbedding().fit(windower.fit_transform(files))
    monkeypatch.setattr("skcry.windows.windower.IN_MEMORY_DURATION", np.inf)
    assert found.middle_ == PretrainedEmbedding().fit(windower.fit_transform(files)).middle_ == 1.0


def test_a_hash_does_not_change_with_use(X, files):
    before = joblib.hash(X)
    PretrainedEmbedding().fit_transform(X)
    assert joblib.hash(X) == before == joblib.hash(Windower().fit_transform(files, groups=GROUPS))


def test_rows_are_those_of_an_array(in_memory, X):
    np.testing.assert_array_equal(X[30], in_memory[30])
    np.testing.assert_array_equal([*X[10:14]], [*in_memory[10:14]])
    assert X[[]].shape == (0, 80000)
    assert np.asarray(X[[]]).shape == (0, 80000)
    assert "audio" in X[:3]._repr_html_()


def test_functions_of_users_are_applied(in_memory, X):
    def doubled(windows):
        windows *= 2
        return windows

    expected = in_memory.map(np.abs).each(doubled)
    np.testing.assert_array_equal(np.asarray(X.map(np.abs).each(doubled)), np.asarray(expected))
    np.testing.assert_array_equal(np.asarray(X.map(np.ndarray.copy)), np.asarray(in_memory))
    again = X.map(np.abs).each(doubled).map(np.sqrt)
    np.testing.assert_array_equal(np.asarray(again), np.asarray(expected.map(np.sqrt)))
    with pytest.raises(ValueError, match="already have a function"):
        X.each(doubled).each(doubled)


def test_a_pickle_holds_paths(X):
    spectrogram = MelSpectrogram(n_mels=20).fit(X).transform(X)
    assert len(pickle.dumps(spectrogram)) < 60_000
    again = pickle.loads(pickle.dumps(spectrogram))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(spectrogram))
    stored = spectrogram.stored()
    assert type(stored) is Windows
    assert len(pickle.dumps(stored)) < 30_000
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(stored))), np.asarray(spectrogram))


def test_each_recording_is_computed_once(X, monkeypatch):
    reads = count_reads(monkeypatch)
    StatFeatures().fit(X).transform(X[X.recording < 2])
    StatFeatures().fit(X).transform(X[X.recording > 0])
    assert sorted(reads) == [0, 1, 2, 3]
    StatFeatures().fit(X).transform(X)
    assert len(reads) == 4
    StatFeatures(statistics="max").fit(X).transform(X[X.recording == 3])
    assert reads[4:] == [3]


def test_spectrograms_of_a_setting_are_computed_once(X, monkeypatch):
    reads = count_reads(monkeypatch)
    for top_db in (80.0, 50.0):  # is applied to each window afterwards
        np.asarray(MelSpectrogram(n_mels=20, top_db=top_db).fit(X).transform(X))
    assert sorted(reads) == [0, 1, 2, 3]
    np.asarray(MelSpectrogram(n_mels=25).fit(X).transform(X))
    assert len(reads) == 8


def test_only_stretches_with_windows_are_computed(X, monkeypatch):
    counted, original = [], StatFeatures._tabulate

    def count(self, X):
        counted.append(len(X))
        return original(self, X)

    monkeypatch.setattr(StatFeatures, "_tabulate", count)
    transformer = StatFeatures("zcr", "mean").fit(X)
    transformer.transform(X[[0, 1]])
    assert counted == [1, 12]  # silence, for the shape, and 12 s
    transformer.transform(X[[2, 13]])
    assert counted[2:] == [1, 12]


def test_workers_compute_nothing_again(X):
    StatFeatures().fit(X).transform(X)

    def work(X, rows):
        from unittest.mock import patch

        fail = patch.object(FileWindows, "_stretches", side_effect=AssertionError("read again"))
        with fail, patch("skcry.windows.stretches.STRETCH_DURATION", 12.0):
            return StatFeatures().fit(X).transform(X[rows])

    expected = StatFeatures().fit(X).transform(X)
    parts = [np.arange(0, 60), np.arange(60, len(X))]
    found = Parallel(n_jobs=2)(delayed(work)(X, rows) for rows in parts)
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_threads_share_the_work(X, monkeypatch):
    reads, results = count_reads(monkeypatch), {}

    def work(number):
        results[number] = StatFeatures("zcr").fit(X).transform(X)

    threads = [threading.Thread(target=work, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reads) == [0, 1, 2, 3]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_a_file_that_changes_is_an_error(X, files, rng, sr):
    soundfile.write(files[1], rng.normal(size=30 * sr), sr)
    with pytest.raises(OSError, match=r"1\.wav has changed since it was first read: \d+ bytes, now \d+"):
        StatFeatures().fit(X).transform(X)


def test_a_file_that_is_written_again_is_an_error(X, files):
    os.utime(files[1])
    with pytest.raises(OSError, match=r"1\.wav has changed since it was first read: written again"):
        np.asarray(X)


def test_a_file_that_vanishes_is_an_error(X, files):
    files[3].unlink()
    with pytest.raises(FileNotFoundError, match=r"3\.wav is no longer there"):
        StatFeatures().fit(X).transform(X)


def test_a_file_that_is_shorter_when_read_again_is_an_error(X, files, monkeypatch):
    monkeypatch.setattr(file_windows, "_version", lambda path: (X._files[0].n_bytes, X._files[0].modified))
    soundfile.write(files[0], np.zeros(1000), 16000)
    with pytest.raises(OSError, match=r"0\.wav has changed while it was read: 0\.1 s instead of 50\.0 s"):
        np.asarray(X[:1])


def test_faults_of_files_are_found_first(files, stay_in_files):
    files[2].write_bytes(b"RIFF")
    with pytest.raises(OSError, match=r"2\.wav"):
        Windower().fit_transform(files)
    with pytest.raises(FileNotFoundError, match=r"missing\.wav"):
        Windower().fit_transform([*files[:2], files[0].parent / "missing.wav"])
    soundfile.write(files[2], np.zeros(16000), 16000)
    with pytest.warns(UserWarning, match=r"2\.wav holds digital silence only"):
        Windower().fit_transform(files)


@pytest.fixture
def folder(tmp_path, cry_data, sr):
    recordings, annotations, _ = cry_data
    for number, (y, table) in enumerate(zip(recordings, annotations, strict=True)):
        soundfile.write(tmp_path / f"{number}.flac", y, sr)
        table.to_csv(tmp_path / f"{number}.csv", index=False)
    lines = [f"{number}.flac,{infant}" for number, infant in enumerate(cry_data[2])]
    (tmp_path / "groups.csv").write_text("\n".join(["file,group", *lines]))
    return tmp_path


QUICK = make_pipeline(StatFeatures("mfcc", deltas=False), StandardScaler(), LogisticRegression())


@pytest.mark.parametrize("estimator", [None, QUICK], ids=["default", "quick"])
def test_a_detector_fitted_on_files_is_that_fitted_in_memory(folder, stay_in_files, estimator, monkeypatch):
    data, loaded = load_annotated(folder), load_annotated(folder, lazy=False)
    assert data.recordings == sorted(folder.glob("*.flac"))
    assert data.durations.tolist() == loaded.durations.tolist() == [40.0] * 6
    reads = count_reads(monkeypatch)
    in_files, in_memory = (
        CryDetector(estimator, random_state=0).fit(one.recordings, one.annotations, groups=one.groups)
        for one in (data, loaded)
    )
    assert sorted(reads) == [0, 1, 2, 3, 4, 5]  # once, for three splits and the fit on all
    expected, found = in_memory.timeline(loaded.recordings), in_files.timeline(loaded.recordings)
    np.testing.assert_allclose(found["score"], expected["score"], atol=1e-4)
    assert in_files.threshold_ == pytest.approx(in_memory.threshold_, abs=1e-4)


def test_a_network_is_trained_on_files(folder, stay_in_files):
    from skcry import FrameCNNClassifier

    network = make_pipeline(
        MelSpectrogram(n_mels=20, fmax=4000.0), FrameCNNClassifier(width=0.1, min_steps=5, max_epochs=1, random_state=0)
    )
    found = []
    for lazy in (True, False):
        data = load_annotated(folder, lazy=lazy)
        X = Windower().fit_transform(data.recordings, groups=data.groups)
        found.append(network.fit(X, X.label(data.annotations)).predict_proba(X))
    np.testing.assert_allclose(*found, atol=1e-4)


def test_load_annotated_says_who_reads_the_files(folder, stay_in_files):
    with pytest.warns(UserWarning, match="A Windower reads them: pass sr=8000 and channel=None to it"):
        load_annotated(folder, sr=8000)
    (folder / "3.flac").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"3\.flac"):
        load_annotated(folder)
