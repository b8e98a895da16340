"""Effect of each choice in training a network of one's own, changed one at a time, on left-out infants.

    python benchmarks/bench_training.py --data FOLDER [--variants NAME ...] [--seeds 0 1]

FOLDER contains annotated recordings (``load_annotated``). Each variant of ``make_cry_pipeline(features="frames")`` is
scored on whole groups that are left out of training, two at a time, as in ``bench_accuracy.py``. The script prints a
markdown table: the average precision of the middle seconds of windows, mean over the seeds, and its difference from the
default with a 90 % interval by bootstrap over groups. If the interval contains zero, the difference may be noise.
"""

import argparse
import tempfile

import numpy as np
from bench_accuracy import average_precision, gain, group_splits
from sklearn.base import clone
from sklearn.svm import SVC

from skcry import Denoise, HighPassFilter, Windower, make_cry_pipeline
from skcry.datasets import load_annotated
from skcry.metrics import bootstrap_interval

NET, MEL = "features__frames__net__", "features__frames__mel__"
VARIANTS = {
    "default": {},
    "SVC(kernel='linear', C=0.01)": {"classify__C": 0.01},
    "SVC()": {"classify": SVC()},
    "no SMOTE": {"resample": "passthrough"},
    "no background mixed in": {NET + "mix": 0.0},
    "no shift, filter or mask": {NET + "frequency_shift": 0.0, NET + "filter_db": 0.0, NET + "freq_mask": 0.0},
    "masks in time too": {NET + "time_mask": 0.2},
    "no average of weights": {NET + "average": 0.0},
    "no class weights": {NET + "class_weight": None},
    "half the width": {NET + "width": 0.5},
    "twice the epochs": {NET + "max_epochs": 8},
    "80 dB instead of 50": {MEL + "top_db": 80.0},
    "high-pass filter": {"highpass": HighPassFilter()},
    "noise gate": {"denoise": Denoise()},
}


def held_out_scores(pipeline, X, y, splits):
    """Return scores of left-out windows, with one fit per split."""
    scores = np.empty(len(y))
    for train, test in splits:
        scores[test] = clone(pipeline).fit(X[train], y[train]).decision_function(X[test])
    return scores


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder of annotated recordings")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), metavar="NAME", help=", ".join(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="seeds whose scores are averaged")
    options = parser.parse_args(arguments)
    data = load_annotated(options.data)
    X = Windower().fit_transform(data.recordings, groups=data.groups)
    y = X.label(data.annotations, target_duration=1.0)
    splits = [
        tuple(np.flatnonzero(np.isin(X.recording, part)) for part in split) for split in group_splits(data.groups)
    ]
    names, reference, rows = list(options.variants or VARIANTS), {}, {}
    names = ["default", *(name for name in names if name != "default")]
    print("| variant | average precision | difference [90 %] |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as cache:  # variants of the SVC use the same fitted network
        for name in names:
            gains, values = [], []
            for seed in options.seeds:
                pipeline = make_cry_pipeline(features="frames", memory=cache, random_state=seed)
                pipeline.set_params(**VARIANTS[name])
                scores = held_out_scores(pipeline, X, y, splits)
                reference.setdefault(seed, scores)
                values.append(average_precision(y, scores))
                rows_of = (y, scores, reference[seed])
                gains.append((gain(*rows_of), *bootstrap_interval(gain, *rows_of, groups=X.groups, random_state=0)))
            rows[name] = (np.mean(values), *np.mean(gains, axis=0))
            print("| {} | {:.3f} | {:+.3f} [{:+.3f}, {:+.3f}] |".format(name, *rows[name]), flush=True)
    return rows


if __name__ == "__main__":
    main()
