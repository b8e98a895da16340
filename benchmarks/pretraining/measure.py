"""Measure networks on the shared recordings: untrained, with the default fitted to other soundscapes, and on clips."""

import argparse
import contextlib
import hashlib
from pathlib import Path

from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold

import skcry.pretrained
from benchmarks import bench_accuracy
from skcry import metrics
from skcry.datasets import load_annotated, load_clips
from skcry.nn import cry_cnn, pretrained_embedding

LEARNED, QUICK = (argparse.Namespace(quick=quick) for quick in (False, True))  # whether thresholds are learned


@contextlib.contextmanager
def weights_of(folder):
    """Have this process use the weights in a folder instead of those in the package."""
    content = (Path(folder) / skcry.pretrained.WEIGHTS).read_bytes()
    kept = skcry.pretrained.FOLDER, skcry.pretrained.SHA256
    try:
        _use(Path(folder), hashlib.sha256(content).hexdigest())
        yield
    finally:
        _use(*kept)


def _use(folder, checksum):
    skcry.pretrained.FOLDER = folder
    skcry.pretrained.SHA256 = pretrained_embedding.SHA256 = checksum
    skcry.pretrained.read_weights.cache_clear()
    cry_cnn.pretrained_net.cache_clear()


def measure_untrained(detector, folder, without=()):
    """Score a detector on annotated recordings, at its own threshold: a dict of numbers."""
    data = load_annotated(folder, bench_accuracy.SR)
    timeline = detector.timeline(data.recordings)
    timeline = timeline.rename(index=dict(enumerate(data.names)), level="recording")
    annotations = dict(zip(data.names, data.annotations, strict=True))
    durations = dict(zip(data.names, data.durations.tolist(), strict=True))
    truth = metrics.second_truth(annotations, timeline, durations=durations)
    names = timeline.index.get_level_values("recording")
    keep = ~names.isin(without)
    rows = truth.to_numpy(dtype=int)[keep], timeline["score"].to_numpy()[keep]
    return {
        "average precision": average_precision_score(*rows),
        "interval": list(
            metrics.bootstrap_interval(average_precision_score, *rows, groups=names[keep], random_state=0)
        ),
        "F1": f1_score(rows[0], timeline["cry"].to_numpy()[keep]),
        "best F1": bench_accuracy.best_f1(*rows),
        "each": {
            name: average_precision_score(truth[names == name].astype(int), timeline["score"][names == name])
            for name in data.names
        },
    }


def measure_fitted(folder, name="pretrained+svc", settings=LEARNED):
    """Score a pipeline on soundscapes that it was not fitted to, two left out at a time."""
    data = load_annotated(folder, bench_accuracy.SR)
    detector = bench_accuracy.make_detector(name, settings)
    return bench_accuracy.evaluate_seconds(detector, data, bench_accuracy.group_splits(data.groups))[0]


def measure_clips(table):
    """Score the default detector on clips of sources that it was not fitted to, in five folds."""
    data = load_clips(table, bench_accuracy.SR, group="source")
    splits = list(StratifiedGroupKFold(5).split(data.labels, data.labels, data.groups))
    detector = bench_accuracy.make_detector("pretrained+svc", LEARNED, positive="1")
    return bench_accuracy.evaluate_clips(detector, data, splits)[0]
