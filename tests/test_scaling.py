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

from skcry import CryDetector, StatFeatures, Windower, detect_files, read_timelines, workers
from skcry.datasets import make_cry_recordings

ROOT = Path(__file__).parents[1]
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
    settings = {"distributed.scheduler.allowed-failures": 1, "distributed.deploy.lost-worker-timeout": "10 min"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=["loky", "dask"])
def backend(request):
    if request.param == "dask":
        request.getfixturevalue("cluster")
        return {"backend": "dask"}
    return {"backend": "loky", "n_jobs": 2}


def deadly(detector, names, once=None):
    """A detector that kills its process at recordings of these names; with a folder ``once``, the first time only."""

    class Deadly(CryDetector):
        def _seconds(self, X, *rest):
            for x in X:
                if isinstance(x, Path) and x.name in names:
                    mark = None if once is None else once / f"{x.name}.mark"
                    if mark is None or not mark.exists():
                        if mark is not None:
                            mark.touch()
                        os.kill(os.getpid(), signal.SIGKILL)
            return super()._seconds(X, *rest)

    found = Deadly()
    found.__dict__.update(detector.__dict__)
    return found


def assert_same(manifest, out, here):
    pd.testing.assert_frame_equal(manifest, here[0])
    pd.testing.assert_frame_equal(read_timelines(out), here[1])


def test_workers_give_the_same(detector, days, here, backend, tmp_path):
    with joblib.parallel_config(**backend):
        assert_same(detect_files(detector, days, tmp_path), tmp_path, here)


def test_relative_paths_reach_workers_elsewhere(detector, days, here, backend, tmp_path, monkeypatch):
    monkeypatch.chdir(days.parent)
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


def test_killed_workers_lose_nothing(detector, days, here, backend, tmp_path):
    once = tmp_path / "marks"
    once.mkdir()
    with joblib.parallel_config(**backend):
        manifest = detect_files(deadly(detector, {"3.wav", "8.wav"}, once), days, tmp_path / "out")
    assert len(list(once.iterdir())) == 2
    assert_same(manifest, tmp_path / "out", here)


def test_a_worker_killed_from_outside(cluster, tmp_path):

    def wait(folder, number):
        while number and not (folder / "go").exists():
            time.sleep(0.01)
        return number, os.getpid()

    found = workers.spread(wait, tmp_path, {str(i): (i,) for i in range(6)})
    with joblib.parallel_config(backend="dask"):
        name, (number, pid) = next(found)
        os.kill(pid, signal.SIGKILL)
        (tmp_path / "go").touch()
        rest = {name: number for name, (number, _) in found}
    assert {name: number, **rest} == {str(i): i for i in range(6)}


def test_a_recording_that_kills_every_worker(detector, days, here, backend, tmp_path):
    with joblib.parallel_config(**backend), pytest.warns(UserWarning, match=r"^4\.wav is left out: 4\.wav: the worker"):
        manifest = detect_files(deadly(detector, {"4.wav"}), days, tmp_path)
    killed = manifest[manifest["file"] == "4.wav"].iloc[0]
    assert killed["status"] == "error"
    assert "killed again and again, at last with no other recording beside it" in killed["message"]
    pd.testing.assert_frame_equal(manifest.drop(index=4), here[0].drop(index=4))
    with joblib.parallel_config(**backend):  # started again, it is tried again
        assert_same(detect_files(detector, days, tmp_path), tmp_path, here)


def test_raises_for_a_recording_that_kills_every_worker(detector, days, tmp_path):
    with pytest.raises(RuntimeError, match=r"0\.wav: the worker process was killed"):
        detect_files(deadly(detector, {"0.wav"}), [days / "0.wav"], tmp_path, n_jobs=2, on_error="raise")


def test_errors_of_tasks_are_raised(backend):
    with joblib.parallel_config(**backend), pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        dict(workers.spread(round, 1.5, {"a": ("one",)}))


@pytest.mark.parametrize("told", [None, "2"])
@pytest.mark.parametrize("kind", ["threading", "multiprocessing", "loky"])
def test_threads_of_workers(kind, told):
    """One in a worker process, unless told; this process is left alone."""
    code = (
        "import joblib, operator, torch; from skcry.workers import spread\n"
        "if __name__ == '__main__':\n"
        "    torch.set_num_threads(3)\n"
        f"    with joblib.parallel_config({kind!r}, n_jobs=2):\n"
        "        found = dict(spread(operator.call, torch.get_num_threads, {'a': ()}))\n"
        "    print(found['a'], torch.get_num_threads())\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if told:
        environment["OMP_NUM_THREADS"] = told
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    in_worker, in_parent = map(int, out.stdout.split())
    assert in_parent == 3
    assert in_worker == {"threading": 3, "multiprocessing": 3 if told else 1, "loky": int(told or 1)}[kind]
