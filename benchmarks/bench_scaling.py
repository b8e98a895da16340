"""Overhead of parallel workers, and an estimate for 10,000 hours on 100 workers.

    python benchmarks/bench_scaling.py [--quick]

``detect_files`` detects crying in synthetic recordings with a quick detector: in this process, with 2 workers of loky
(1 would be this process), and with 1 and 2 workers of dask. Timing begins after the workers have started and imported
skcry. The script prints a markdown table, the pickled size of each recording's task and result, and the time of an
empty task. It fails if results differ, if a task is larger than 10 kB (it contains the path of a recording, not its
sound) or, without ``--quick``, if an empty task takes 100 ms or more. It does not assert a speed, which depends on the
load.

The model of a cluster assumes:

- tasks of one hour, each ``NETWORK`` seconds of one core, as measured for the default detector by ``bench_daylong.py``
  (or your value of ``--seconds-per-hour``);
- 100 workers of one core, as fast as this one, with equally fast access to a shared folder;
- one parent process that dispatches, unpacks and writes, one task after the other.

The slower of both, workers or parent, determines the time. Failures and the bandwidth of the folder are not modelled.

On 23 November 2026, on 2 cores. Scoring takes little time here, so starting, sending and reading are a large part:

| workers | seconds per hour of sound | faster than here | empty task |
|---|---|---|---|
| 1 here | 1.44 | 1.00 | - |
| 2 loky | 1.05 | 1.37 | 0.3 ms |
| 1 dask | 1.34 | 1.08 | 8.8 ms |
| 2 dask | 1.18 | 1.22 | 5.3 ms |

Sent 0.2 kB per recording, and 3 kB of detector: once per worker by dask, with each recording by loky, which sends 1 MB
or more only once. Returned 71 kB per hour of sound, written in 11 ms. Model, at 13 s per hour: workers 22 min, parent
3 min; the parent can serve 779 workers, and receives 0.7 GB.
"""

import argparse
import os
import pickle
import platform
import tempfile
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcry import CryDetector, StatFeatures, detect_files
from skcry.datasets import make_cry_recordings
from skcry.files.detect import _detect_one, write_results
from skcry.files.workers import _work, spread

SR = 16000
NETWORK = 13.0  # seconds of one core for an hour of sound, default detector, by bench_daylong.py on two threads
HOURS, WORKERS = 10_000, 100


def quick_detector():
    recordings, annotations, infants = make_cry_recordings(4, duration=30, random_state=0)
    pipeline = make_pipeline(StatFeatures("mfcc", deltas=False), LogisticRegression(max_iter=2000))
    return CryDetector(pipeline, threshold=0.5).fit(recordings, annotations, groups=infants)


def write_recordings(folder, n_files, duration):
    minute = make_cry_recordings(1, duration=60, random_state=1)[0][0]
    for number in range(n_files):
        y = np.resize(np.roll(minute, number * SR), round(duration * SR))
        soundfile.write(folder / f"{number:03d}.wav", y, SR)


@contextmanager
def workers(backend, number):
    """Start workers of a backend of joblib."""
    if backend == "dask":
        from distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=number, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster),
            joblib.parallel_config(backend="dask"),
        ):
            yield
    else:
        with joblib.parallel_config(backend=backend, n_jobs=number):
            yield


def nothing(shared, task):
    return 0


def overhead(n_tasks):
    """Return the seconds per empty task."""
    began = time.perf_counter()
    assert len(dict(spread(nothing, None, range(n_tasks)))) == n_tasks
    return (time.perf_counter() - began) / n_tasks


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="short recordings, to test this script")
    parser.add_argument("--seconds-per-hour", type=float, default=NETWORK, help="of one core, in the model")
    options = parser.parse_args(arguments)
    n_files, duration, n_tasks = (4, 30, 10) if options.quick else (8, 1800, 300)
    hours = n_files * duration / 3600
    detector = quick_detector()
    with tempfile.TemporaryDirectory() as folder:
        days = Path(folder, "days")
        days.mkdir()
        write_recordings(days, n_files, duration)
        path = days / "000.wav"

        there = len(pickle.dumps((_work, path, _detect_one, (platform.node(), os.getpid()))))
        state, found = _detect_one(detector, path)
        back = len(pickle.dumps((state, found))) / duration * 3600
        began = time.perf_counter()
        pickle.loads(pickle.dumps((state, found)))
        about = {"n_bytes": state[0], "modified": state[1], "source": str(path)}
        write_results(Path(folder, "written"), path.name, about, found)
        parent = (time.perf_counter() - began) / duration * 3600

        print("| workers | seconds per hour of sound | faster than here | empty task |\n|---|---|---|---|")
        expected, here, empty = None, 0.0, {}
        places = [("here", 1), ("loky", 2), ("dask", 1), ("dask", 2)]
        for backend, number in places:
            with nullcontext() if backend == "here" else workers(backend, number):
                detect_files(detector, days, Path(folder, "warm"), overwrite=True)
                began = time.perf_counter()
                manifest = detect_files(detector, days, Path(folder, f"{backend}{number}"))
                took = time.perf_counter() - began
                empty[backend, number] = np.nan if backend == "here" else overhead(n_tasks)
            if expected is None:
                expected, here = manifest, took
            pd.testing.assert_frame_equal(manifest, expected)
            cost = f"{1000 * empty[backend, number]:.1f} ms" if backend != "here" else "-"
            print(f"| {number} {backend} | {took / hours:.2f} | {here / took:.2f} | {cost} |", flush=True)

    size = len(pickle.dumps(detector))
    slowest = max(value for key, value in empty.items() if key[1] == 2)
    print(f"Sent      {there / 1e3:.1f} kB per recording; {size / 1e3:.0f} kB of detector")
    print(f"Returned  {back / 1e3:.0f} kB per hour of sound; written in {1000 * parent:.0f} ms")
    assert there < 10_000, f"A task has {there} bytes."
    assert options.quick or slowest < 0.1, f"An empty task takes {slowest:.3f} s."
    at_workers = HOURS * (options.seconds_per_hour + slowest) / WORKERS
    at_parent = HOURS * (slowest + parent)
    keeps_up = options.seconds_per_hour / (slowest + parent)
    print(f"Model     {HOURS} h, {WORKERS} workers, {options.seconds_per_hour:g} s per hour of sound:")
    print(f"          workers {at_workers / 60:.0f} min, parent {at_parent / 60:.0f} min; the longer time counts")
    print(f"          the parent can serve {keeps_up:.0f} workers, and receives {HOURS * back / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
