"""Workers elsewhere give the results of this process, and may be killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from skcry import CryDetector, StatFeatures, Windower, detect_files, read_timelines
from skcry.datasets import make_cry_recordings
from skcry.files import detect as batch
from skcry.files import workers

N_FILES = 10


@pytest.fixture(scope="module")
def data():
    return make_cry_recordings(4, duration=30, random_state=0)


@pytest.fixture(scope="module")
def detector(data):
    recordings, annotations, infants = data
    pipeline = make_pipeline(StatFeatures("mfcc", deltas=False), LogisticRegression(max_iter=2000))
    return CryDetector(pipeline, threshold=0.5).fit(recordings, annotations, groups=infants)


@pytest.fixture(scope="module")
def days(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("days")
    for number in range(N_FILES):
        soundfile.write(folder / f"{number}.wav", np.roll(data[0][number % 4], 16000 * number), 16000)
    return folder


@pytest.fixture(scope="module")
def here(detector, days, tmp_path_factory):
    """Results of this process: manifest and seconds."""
    out = tmp_path_factory.mktemp("here")
    return detect_files(detector, days, out), read_timelines(out)


@pytest.fixture(scope="module")
def cluster():
    """Two workers of one thread, who give up a task with the second worker that it kills."""
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


@pytest.fixture(params=["loky", "dask"])
def backend(request):
    if request.param == "dask":
        request.getfixturevalue("cluster")
        return {"backend": "dask"}
    return {"backend": "loky", "n_jobs": 2}


def deadly(detector, name, once=None):
    """A detector that kills its process at recordings of this name; with a folder ``once``, the first time only."""

    class Deadly(CryDetector):
        def iter_detections(self, X, **options):
            if isinstance(X[0], Path) and X[0].name == name and (once is None or not (once / name).exists()):
                if once is not None:
                    (once / name).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().iter_detections(X, **options)

    found = Deadly()
    found.__dict__.update(detector.__dict__)
    return found


def assert_same(manifest, out, here):
    pd.testing.assert_frame_equal(manifest, here[0])
    pd.testing.assert_frame_equal(read_timelines(out), here[1])


def test_workers_give_the_same(detector, days, here, backend, tmp_path, monkeypatch):
    monkeypatch.chdir(days.parent)  # workers start elsewhere
    with joblib.parallel_config(**backend):
        assert_same(detect_files(detector, days.name, tmp_path), tmp_path, here)


def test_searches_give_the_same(detector, data, backend):
    recordings, annotations, infants = data
    X = Windower().fit_transform(recordings, groups=infants)
    y = X.label(annotations)
    search = GridSearchCV(detector, {"estimator__logisticregression__C": [0.01, 1.0]}, cv=2, error_score="raise")

    def results():
        table = pd.DataFrame(search.fit(recordings, annotations).cv_results_)
        scores = cross_validate(detector.estimator, X, y, cv=2, error_score="raise")["test_score"]
        return table.filter(regex="test_score"), scores

    expected = results()
    with joblib.parallel_config(**backend):
        found = results()
    pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True)
    np.testing.assert_array_equal(found[1], expected[1])


def test_a_worker_killed_midway(detector, days, here, cluster, tmp_path):
    with joblib.parallel_config(backend="dask"):
        manifest = detect_files(deadly(detector, "5.wav", tmp_path), days, tmp_path / "out")
    assert (tmp_path / "5.wav").exists()
    assert_same(manifest, tmp_path / "out", here)


def test_killed_workers_lose_nothing(backend, tmp_path):
    def work(folder, number):
        mark = folder / str(number)
        if number in (3, 8) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    with joblib.parallel_config(**backend):
        found = dict(workers.spread(work, tmp_path, {str(i): (i,) for i in range(10)}))
    assert found == {str(i): i**2 for i in range(10)}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_task_that_kills_every_worker(backend):
    def work(deadly, number):
        time.sleep(0.05)  # so that others are at work when it happens
        if number == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    with joblib.parallel_config(**backend):
        found = dict(workers.spread(work, 4, {str(i): (i,) for i in range(10)}))
    assert found == {str(i): None if i == 4 else i**2 for i in range(10)}


def test_a_worker_killed_from_outside(cluster):
    def work(_, number):
        time.sleep(0.1)
        return number, os.getpid()

    found = workers.spread(work, None, {str(i): (i,) for i in range(10)})
    with joblib.parallel_config(backend="dask"):
        first = next(found)
        os.kill(first[1][1], signal.SIGKILL)
        numbers = {name: number for name, (number, _) in [first, *found]}
    assert numbers == {str(i): i for i in range(10)}


def test_a_recording_that_kills_every_worker(detector, days, here, tmp_path):
    paths, wrong = [days / f"{number}.wav" for number in range(2)], deadly(detector, "1.wav")
    with pytest.warns(UserWarning, match=r"^1\.wav is left out: 1\.wav: the worker process was killed again and again"):
        manifest = detect_files(wrong, paths, tmp_path, n_jobs=2)
    assert manifest["status"].tolist() == ["ok", "error"]
    assert "at last with no other recording beside it" in manifest["message"][1]
    pd.testing.assert_frame_equal(manifest.drop(index=1), here[0][:2].drop(index=1))
    detect_files(detector, paths, tmp_path)  # started again, it is tried again
    pd.testing.assert_frame_equal(read_timelines(tmp_path), read_timelines(tmp_path, [p.name for p in paths]))


def test_raises_for_a_recording_that_kills_every_worker(detector, days, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "spread", lambda function, shared, tasks, n_jobs: ((name, None) for name in tasks))
    with pytest.raises(RuntimeError, match=r"0\.wav: the worker process was killed"):
        detect_files(detector, days, tmp_path, n_jobs=2, on_error="raise")


def test_errors_of_tasks_are_raised(backend):
    with joblib.parallel_config(**backend), pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        dict(workers.spread(round, 1.5, {"a": ("one",)}))


def test_threads_of_workers():
    """One in a worker process, unless told; this process is left alone."""
    pytest.importorskip("distributed", reason="needs pip install 'skcry[dask]'")
    code = """if True:
        import dask, joblib, operator, torch
        from distributed import Client, LocalCluster
        from skcry.files.workers import spread

        def count():
            return dict(spread(operator.call, torch.get_num_threads, {"a": ()}, 2))["a"]

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
