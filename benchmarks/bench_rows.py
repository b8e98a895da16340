"""Accuracy and cost of an SVC by the number of windows that it is fitted to.

    python -m benchmarks.bench_rows TRAINING SCORING [--sizes N ...] [--features NAME ...] [--seeds N] [--out FILE.md]

TRAINING and SCORING are folders of annotated recordings (``load_annotated``). The default pipeline is fitted to the
first with ``max_windows`` of each size (0 means all windows; features are computed once), and scored on seconds of the
second. The script prints a markdown table for each family of features:

- "crying": share of what the bound keeps; "rows of the SVC" include those of SMOTE;
- its fit, and prediction per hour of sound, in seconds, which depend on the machine;
- average precision with a 90 % interval by bootstrap over groups, and its difference to that of the largest size,
  paired by group;
- with ``--seeds N``, the mean average precision over N selections of as many windows at random, but for the
  largest size.

14 hours of scenes by ``benchmarks.pretraining`` (half a minute each, 20 % of windows crying), scored on the eight
soundscapes of 5 minutes, whose families and sounds neither scenes nor network know (AMD EPYC, one thread, other work on
the machine, 2026-11-30). The network was trained on the 48 infants of the first table, and not on the 8 of the second:

| max_windows, 48 infants | rows of the SVC | its fit (s) | average precision [90 %] | to the largest [90 %] |
|---|---|---|---|---|
| 20000 | 24176 | 15.6 | 0.783 [0.657, 0.870] | |
| 10000 | 10000 | 2.1 | 0.788 [0.664, 0.873] | 0.005 [0.002, 0.009] |
| 5000 | 5000 | 0.3 | 0.791 [0.665, 0.877] | 0.008 [-0.002, 0.019] |
| 2500 | 2500 | 0.2 | 0.805 [0.680, 0.891] | 0.022 [0.009, 0.041] |
| 1000 | 1000 | 0.0 | 0.802 [0.680, 0.893] | 0.019 [-0.004, 0.046] |

| max_windows, 8 infants | rows of the SVC | its fit (s) | average precision [90 %] | to the largest [90 %] |
|---|---|---|---|---|
| 20000 | 23724 | 19.6 | 0.693 [0.591, 0.789] | |
| 10000 | 10000 | 1.6 | 0.710 [0.601, 0.809] | 0.017 [0.007, 0.028] |
| 5000 | 5000 | 0.3 | 0.737 [0.628, 0.830] | 0.043 [0.023, 0.061] |
| 2500 | 2500 | 0.1 | 0.788 [0.674, 0.882] | 0.095 [0.053, 0.135] |
| 1000 | 1000 | 0.0 | 0.803 [0.683, 0.893] | 0.109 [0.057, 0.155] |

"stats", whose SVC has a radial kernel, 48 infants:

| max_windows | rows of the SVC | its fit (s) | average precision [90 %] | to the largest [90 %] |
|---|---|---|---|---|
| 10000 | 10000 | 9.1 | 0.735 [0.588, 0.848] | |
| 5000 | 5000 | 2.0 | 0.739 [0.593, 0.846] | 0.004 [-0.019, 0.025] |
| 2500 | 2500 | 0.5 | 0.729 [0.599, 0.845] | -0.006 [-0.023, 0.026] |

Equal shares of groups within a class, in an earlier version, were worse with 8 infants (0.71 with 2500 windows).
"""

import argparse
import time
from pathlib import Path

import numpy as np
from imblearn.pipeline import Pipeline
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from benchmarks.bench_accuracy import average_precision, gain
from skcry import CryDetector, Windower, make_cry_pipeline, metrics
from skcry.datasets import load_annotated
from skcry.limit import select_rows

SR = 16000
SIZES = (1000, 2500, 5000, 10000, 20000)
MIDDLE = {"pretrained", "frames"}  # families with features of the middle second of a window; others take its label


class Learner:
    """A family of features, computed once for all windows of the training recordings."""

    def __init__(self, family, training):
        self.duration = 1.0 if family in MIDDLE else None
        pipeline = make_cry_pipeline(features=family, random_state=0)
        places = [name for name, _ in pipeline.steps]
        features = places.index("features")
        self.before = Pipeline([step for step in pipeline.steps[: features + 1] if step[0] != "limit"])
        self.after = Pipeline([step for step in pipeline.steps[features + 1 :] if step[0] != "limit"])
        windows = Windower().fit_transform(training.recordings, groups=training.groups)
        windows = windows[windows.known(training.annotations, target_duration=self.duration)]
        self.y = windows.label(training.annotations, target_duration=self.duration)
        self.table = self.before.fit_transform(windows, self.y)

    def rows(self, size, seed=None):
        """Return the rows that ``max_windows=size`` keeps, or with a seed as many at random."""
        if seed is None:
            return select_rows(self.y, size)
        return np.sort(np.random.default_rng(seed).permutation(len(self.y))[:size])

    def fit(self, rows):
        """Fit all after the features to some rows: the whole pipeline, the rows of the SVC, and its seconds."""
        model = clone(self.after)
        table, y = model[:-1].fit_resample(self.table[rows], self.y[rows])
        began = time.perf_counter()
        model[-1].fit(table, y)
        seconds = time.perf_counter() - began
        return Pipeline([*self.before.steps, *model.steps]), len(y), seconds

    def score(self, model, data):
        """Return truth, scores and groups of the seconds of recordings, and how long the prediction took."""
        detector = CryDetector(FrozenEstimator(model), threshold=0.5, target_duration=self.duration)
        detector.fit(data.recordings, data.annotations)  # learns nothing
        began = time.perf_counter()
        timeline = detector.timeline(data.recordings)
        seconds = time.perf_counter() - began
        timeline = timeline.rename(index=dict(enumerate(data.names)), level="recording")
        durations = dict(zip(data.names, data.durations.tolist(), strict=True))
        annotations = dict(zip(data.names, data.annotations, strict=True))
        truth = metrics.second_truth(annotations, timeline, durations=durations)
        groups = timeline.index.get_level_values("recording").map(dict(zip(data.names, data.groups, strict=True)))
        keep = truth.notna().to_numpy()
        columns = truth.to_numpy()[keep].astype(int), timeline["score"].to_numpy()[keep], groups.to_numpy()[keep]
        return *columns, seconds


def interval(metric, *columns, groups):
    """Return a metric with its 90 % interval as text."""
    low, high = metrics.bootstrap_interval(metric, *columns, groups=groups, random_state=0)
    return f"{metric(*columns):.3f} [{low:.3f}, {high:.3f}]"


def make_table(family, training, scoring, options, write):
    """Write a row for each size; return average precision by size."""
    learner = Learner(family, training)
    hours = scoring.durations.sum() / 3600
    write(f"\n{family}: {len(learner.y)} windows of training, {learner.y.mean():.1%} of them crying\n")
    columns = ["max_windows", "crying", "rows of the SVC", "its fit (s)", "prediction (s/h)"]
    columns += ["average precision [90 %]", "to the largest [90 %]", *["at random"] * bool(options.seeds)]
    write(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    found, reference = {}, None
    for size in sorted({min(size or len(learner.y), len(learner.y)) for size in options.sizes}, reverse=True):
        rows = learner.rows(size)
        model, n_rows, seconds = learner.fit(rows)
        truth, score, groups, predicted = learner.score(model, scoring)
        largest, reference = reference is None, score if reference is None else reference
        found[size] = average_precision(truth, score)
        row = [f"{size}", f"{learner.y[rows].mean():.0%}", f"{n_rows}", f"{seconds:.1f}", f"{predicted / hours:.1f}"]
        row += [interval(average_precision, truth, score, groups=groups)]
        row += [interval(gain, truth, score, reference, groups=groups)]
        if options.seeds:
            models = [learner.fit(learner.rows(size, seed))[0] for seed in range(0 if largest else options.seeds)]
            scores = [average_precision(*learner.score(one, scoring)[:2]) for one in models]
            row += [f"{np.mean(scores):.3f}" if scores else ""]
        write(f"| {' | '.join(row)} |")
    return found


def parse(arguments):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("training", help="folder of annotated recordings to fit to")
    parser.add_argument("scoring", help="folder of annotated recordings to score on")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="numbers of windows, 0 for all")
    parser.add_argument("--features", nargs="+", default=["pretrained"], help="families of features")
    parser.add_argument("--seeds", type=int, default=0, help="number of selections at random to compare with")
    parser.add_argument("--out", type=Path, help="markdown file to write the tables to")
    options = parser.parse_args(arguments)
    if options.out and not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: no such folder as {options.out.parent}. Make it first.")
    return options


def main(arguments=None):
    """Measure and print; return average precision by family and size."""
    options, lines = parse(arguments), []

    def write(line):
        print(line, flush=True)
        lines.append(line)

    training, scoring = (load_annotated(folder, SR) for folder in (options.training, options.scoring))
    for what, data in {"Training": training, "Scoring": scoring}.items():
        hours = data.durations.sum() / 3600
        write(f"{what}: {len(data.recordings)} recordings of {len(np.unique(data.groups))} groups, {hours:.1f} hours")
    found = {family: make_table(family, training, scoring, options, write) for family in options.features}
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")
    return found


if __name__ == "__main__":
    main()
