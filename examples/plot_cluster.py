"""
Recordings on a cluster
=======================

This example detects crying in a folder of recordings with the workers of a dask cluster. Here the cluster is two
processes of this machine; with the address of a scheduler, the same code uses many machines.
"""

import tempfile
from pathlib import Path

import joblib
import soundfile
from dask.distributed import Client, LocalCluster
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcry import CryDetector, StatFeatures, detect_files
from skcry.datasets import make_cry_recordings

# %%
# A quick detector, and recordings that are not in its training data.


def quick_detector():
    recordings, annotations, infants = make_cry_recordings(6, duration=60, random_state=0)
    pipeline = make_pipeline(StatFeatures("mfcc"), LogisticRegression(max_iter=2000))
    return CryDetector(pipeline, random_state=0).fit(recordings, annotations, groups=infants)


def write_recordings(folder):
    for number, y in enumerate(make_cry_recordings(8, duration=60, random_state=1)[0]):
        soundfile.write(folder / f"day{number}.wav", y, 16000)


# %%
# To use a running cluster, replace ``Client(cluster)`` by ``Client("tcp://scheduler.example.org:8786")``. Start it with
# ``dask scheduler`` on one machine, and ``dask worker tcp://scheduler.example.org:8786 --nworkers 8 --nthreads 1`` on
# each of the others. ``dask_jobqueue.SLURMCluster`` starts a cluster through a queue.
#
# All machines need the folder of recordings at the same path (workers get paths, not sound), and the same versions of
# Python and skcry. Only this process writes to the folder of results.
#
# Worker processes import this file. Code that starts them must therefore be under ``if __name__ == "__main__"``.


def main():
    detector = quick_detector()
    with tempfile.TemporaryDirectory() as folder:
        write_recordings(Path(folder))
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster),
            joblib.parallel_config(backend="dask"),
        ):
            manifest = detect_files(detector, folder, Path(folder, "results"))
    print(manifest[["file", "status", "duration", "cry_duration", "n_bouts"]].to_string(index=False))


if __name__ == "__main__":
    main()
