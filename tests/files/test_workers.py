"""Workers elsewhere give the results of this process, and may be killed."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, cross_validate

from skcry import CryDetector, Windower, detect_files, read_timelines
from skcry.files import detect, read_manifest
from skcry.files.workers import spread


@pytest.fixture(scope="module")
def cluster():
    """Two workers of one thread each; a task fails when its second worker is killed."""
    dask = pytest.importorskip("dask", reason="needs pip install 'skcry[dask]'")
    distributed = pytest.importorskip("distributed", reason="needs pip install 'skcry[dask]'")
    # By default a LocalCluster closes a worker for good that is being restarted 15 s after an earlier death.
    settings = {"distributed.scheduler.allowed-failures": 1, "distributed.deploy.lost-worker-timeout": "1h"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=["loky", pytest.param("dask", marks=pytest.mark.slow)])
def backend(request):
    if request.param == "dask":
        request.getfixturevalue("cluster")
        return {"backend": "dask"}
    return {"backend": "loky", "n_jobs": 2}


def kill_worker_at(detector, name, once=None):
    """Copy a detector; the copy kills its process at recordings of this name, only once with a folder ``once``."""

    class Deadly(CryDetector):
        def iter_detections(self, X, **options):
            if isinstance(X[0], Path) and X[0].name == name and (once is None or not (once / name).exists()):
                if once is not None:
                    (once / name).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().iter_detections(X, **options)

    copy = Deadly()
    copy.__dict__.update(detector.__dict__)
    return copy


def assert_same(manifest, out, results):
    pd.testing.assert_frame_equal(manifest, read_manifest(results))
    pd.testing.assert_frame_equal(read_timelines(out), read_timelines(results))


def test_workers_give_the_same(detector, originals, results, backend, tmp_path, monkeypatch):
    monkeypatch.chdir(originals.parent)  # the current folder of workers differs
    with joblib.parallel_config(**backend):
        assert_same(detect_files(detector, originals.name, tmp_path), tmp_path, results)


@pytest.mark.parametrize("in_files", [False, True], ids=["arrays", "files"])
def test_searches_give_the_same(detector, data, backend, originals, in_files, monkeypatch):
    recordings, annotations, infants = data
    if in_files:
        monkeypatch.setattr("skcry.windows.windower.IN_MEMORY_DURATION", 0.0)
        recordings = sorted(path for path in originals.rglob("*") if path.is_file())
    X = Windower().fit_transform(recordings, groups=infants)
    y = X.label(annotations)
    search = GridSearchCV(detector, {"estimator__logisticregression__C": [0.01, 1.0]}, cv=2, error_score="raise")

    def scores():
        table = pd.DataFrame(search.fit(recordings, annotations).cv_results_)
        scores = cross_validate(detector.estimator, X, y, cv=2, error_score="raise")["test_score"]
        return table.filter(regex="test_score"), scores

    expected = scores()
    with joblib.parallel_config(**backend):
        found = scores()
    pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True)
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.slow
def test_a_recording_whose_worker_is_killed_once(detector, originals, results, backend, tmp_path):
    with joblib.parallel_config(**backend):
        manifest = detect_files(kill_worker_at(detector, "ü.ogg", tmp_path), originals, tmp_path / "out")
    assert (tmp_path / "ü.ogg").exists()
    assert_same(manifest, tmp_path / "out", results)


@pytest.mark.slow
def test_killed_workers_lose_only_the_task_that_kills_them(backend, tmp_path):
    def work(folder, number):
        mark = folder / str(number)
        time.sleep(0.05)  # so that other tasks are running when it happens
        if number == 4 or (number == 3 and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    with joblib.parallel_config(**backend):
        found = dict(spread(work, tmp_path, range(10)))
    assert found == {i: None if i == 4 else i**2 for i in range(10)}
    assert len(list(tmp_path.iterdir())) == 2


def test_tasks_of_a_broken_pool_are_tried_again():
    calls = []

    def work(_, number):
        calls.append(number)
        if number == 4 or (number == 8 and calls.count(8) == 1):
            raise BrokenExecutor
        return number**2

    with joblib.parallel_config("threading", n_jobs=2):
        found = dict(spread(work, None, range(10)))
    assert found == {i: None if i == 4 else i**2 for i in range(10)}
    assert calls.count(4) == 2


@pytest.mark.slow
def test_a_worker_killed_from_outside(cluster):
    def work(_, number):
        time.sleep(0.1)
        return number, os.getpid()

    with joblib.parallel_config(backend="dask"):
        found = spread(work, None, range(10))
        first = next(found)
        os.kill(first[1][1], signal.SIGKILL)
        numbers = {task: number for task, (number, _) in [first, *found]}
    assert numbers == {i: i for i in range(10)}


@pytest.mark.slow
def test_a_recording_that_kills_every_worker(detector, originals, results, tmp_path):
    paths, expected = [originals / "b with space.flac", originals / "a.wav"], read_manifest(results)
    with pytest.warns(UserWarning, match=r"^a\.wav is left out: a\.wav: its worker process was killed, also when no"):
        manifest = detect_files(kill_worker_at(detector, "a.wav"), paths, tmp_path, n_jobs=2)
    assert manifest["status"].tolist() == ["ok", "error"]
    assert "try n_jobs=1" in manifest["message"][1]
    pd.testing.assert_series_equal(manifest.loc[0], expected.loc[1], check_names=False)
    detect_files(detector, paths, tmp_path)  # the next call tries it again
    pd.testing.assert_frame_equal(read_timelines(tmp_path), read_timelines(results, ["b with space.flac", "a.wav"]))


def test_raises_for_a_recording_that_kills_every_worker(detector, originals, tmp_path, monkeypatch):
    monkeypatch.setattr(detect, "spread", lambda function, shared, tasks, n_jobs: ((task, None) for task in tasks))
    with pytest.raises(RuntimeError, match=r"a\.wav: its worker process was killed"):
        detect_files(detector, originals, tmp_path, n_jobs=2, on_error="raise")


def test_errors_of_tasks_are_raised(backend):
    with joblib.parallel_config(**backend), pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        dict(spread(round, 1.5, ["one"]))


@pytest.mark.slow
def test_threads_of_workers():
    """One in a worker process, unless told; this process is left alone."""
    pytest.importorskip("distributed", reason="needs pip install 'skcry[dask]'")
    code = """if True:
        import dask, joblib, torch
        from distributed import Client, LocalCluster
        from skcry.files.workers import spread

        def count():
            return dict(spread(lambda shared, task: torch.get_num_threads(), None, [0], 2))[0]

        if __name__ == "__main__":
            torch.set_num_threads(3)
            with joblib.parallel_config("threading"):
                print(count())
            with joblib.parallel_config("loky", inner_max_num_threads=2):
                print(count())
            # Nothing told, as by workers that have no nanny, which sets OMP_NUM_THREADS=1; and two.
            for told in ({}, {"OMP_NUM_THREADS": 2}):
                dask.config.set({"distributed.nanny.pre-spawn-environ": told})
                with LocalCluster(n_workers=1, dashboard_address=":0") as cluster, Client(cluster):
                    with joblib.parallel_config("dask"):
                        print(count(), torch.get_num_threads())
    """
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert out.stdout.split() == ["3", "2", "1", "3", "2", "3"]
