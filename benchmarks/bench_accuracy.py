"""Accuracy of the default detector on infants that it was not trained on, and what it costs.

Two measurements, both answered by leaving out whole groups:

- seconds: a folder of annotated recordings (``load_annotated``), two of them left out at a time;
- clips: a table of clips with a label each (``load_clips``), five folds by their source.

Run: ``python benchmarks/bench_accuracy.py --soundscapes FOLDER --clips clips.csv``. The machine's noise is in the
times, not in the scores: these are the same on each run on one machine. Asserts that the detector beats chance and a
threshold on the energy above 350 Hz, trained and tested on the same rows.

Last numbers (2026-11-22, two cores of an x86-64 server, torch 2.13 on the CPU, ``--quick``): seconds, average precision
0.783 [0.657, 0.883], best F1 0.756 [0.676, 0.829], F1 at 0.5 0.751, energy 0.602, training 34 s a fold, prediction 5 s
per hour, pickle 1.2 MB, peak memory 0.96 GiB. With ``make_cry_pipeline(features=("embedding", "stats"))``, windows
labelled as wholes and a learned threshold: average precision 0.700 [0.613, 0.791], F1 0.651; on clips 0.768
[0.642, 0.880] and 0.798.
"""

import argparse
import pickle
import resource
import time

import numpy as np
from sklearn.base import clone
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from skcry import CryDetector, HighPassFilter, Windower
from skcry.datasets import load_annotated, load_clips

N_BOOTSTRAP = 1000


def best_f1(truth, score):
    precision, recall, _ = precision_recall_curve(truth, score)
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))


def interval(metric, units):
    """Point estimate and 90 % interval by bootstrap over recordings or sources, never over their rows."""
    rng = np.random.default_rng(0)
    values = []
    while len(values) < N_BOOTSTRAP:
        drawn = [units[i] for i in rng.integers(len(units), size=len(units))]
        truth, score = (np.concatenate([unit[k] for unit in drawn]) for k in (0, 1))
        if 0 < truth.sum() < len(truth):
            values.append(metric(truth, score))
    truth, score = (np.concatenate([unit[k] for unit in units]) for k in (0, 1))
    low, high = np.quantile(values, [0.05, 0.95])
    return f"{metric(truth, score):.3f} [{low:.3f}, {high:.3f}]"


def energy(windows):
    return np.log(
        np.square(np.asarray(HighPassFilter().fit_transform(windows), dtype=np.float64)).mean(axis=-1) + 1e-12
    )


def report(name, units, decisions, baseline, costs):
    """Print one row per number; ``units`` holds (truth, score) of each recording or source."""
    truth = np.concatenate([unit[0] for unit in units])
    score = np.concatenate([unit[1] for unit in units])
    ap, energy_ap = average_precision_score(truth, score), average_precision_score(truth, baseline)
    print(f"{name}: {len(truth)} rows, {truth.mean():.0%} crying")
    print(f"  average precision            {interval(average_precision_score, units)}")
    print(f"  best F1                      {interval(best_f1, units)}")
    print(f"  F1 at the threshold          {f1_score(truth, decisions):.3f}")
    print(f"  average precision of energy  {energy_ap:.3f}")
    for key, value in costs.items():
        print(f"  {key:28s} {value}")
    assert ap > energy_ap > 0.5 * truth.mean()


def leave_out(detector, recordings, y, splits, answer):
    """Fit and predict fold by fold; return ``answer(fitted, held_out)`` recording by recording, and the costs."""
    results, fit_time, predict_time, size = {}, 0.0, 0.0, 0
    for train, test in splits:
        began = time.perf_counter()
        fitted = clone(detector).fit([recordings[i] for i in train], [y[i] for i in train])
        fit_time += time.perf_counter() - began
        size = len(pickle.dumps(fitted))
        held_out = [recordings[i] for i in test]
        began = time.perf_counter()
        answers = answer(fitted, held_out)
        predict_time += time.perf_counter() - began
        results.update(zip(test, answers, strict=True))
        print(f"  fold of {len(train)} recordings fitted, {fit_time:.0f} s so far", flush=True)
    hours = sum(map(len, recordings)) / 16000 / 3600
    costs = {
        "training per fold": f"{fit_time / len(splits):.0f} s (without --quick four networks: three for the threshold)",
        "prediction per hour of audio": f"{predict_time / hours:.0f} s",
        "pickle": f"{size / 1e6:.1f} MB",
        "peak memory so far": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2:.2f} GiB",
    }
    return results, costs


def soundscapes(folder, detector):
    data = load_annotated(folder)
    numbers = np.arange(len(data.recordings))
    splits = list(GroupKFold(len(numbers) // 2).split(numbers, groups=numbers // 2))

    def seconds_of(fitted, held_out):
        return [table for _, table in fitted.timeline(held_out).groupby("recording")]

    results, costs = leave_out(detector, data.recordings, data.annotations, splits, seconds_of)
    seconds = Windower(1, 1).fit_transform(data.recordings)
    truth = seconds.label(data.annotations)
    units = [(truth[seconds.recording == i], results[i]["score"].to_numpy()) for i in numbers]
    decisions = np.concatenate([results[i]["cry"].to_numpy() for i in numbers])
    report("seconds", units, decisions, energy(seconds), costs)


def clips(table, detector):
    data = load_clips(table, group="source")
    splits = list(StratifiedGroupKFold(5).split(data.labels, data.labels, data.groups))

    def score_and_decision(fitted, held_out):
        # Both follow from one number: the score at which the recording would still hold an event.
        score = fitted.predict_proba(held_out)[:, 1]
        return list(zip(score, score >= fitted.threshold_, strict=True))

    results, costs = leave_out(
        detector.set_params(positive="1"), data.recordings, data.labels, splits, score_and_decision
    )
    score, decisions = np.array([results[i] for i in range(len(results))]).T
    units = [(data.labels[data.groups == one], score[data.groups == one]) for one in np.unique(data.groups)]
    baseline = energy(Windower(hop_duration=5, last="drop").fit_transform(data.recordings))
    pooled = np.concatenate([np.flatnonzero(data.groups == one) for one in np.unique(data.groups)])
    report("clips", units, decisions[pooled], baseline[pooled], costs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--soundscapes", help="folder of annotated recordings")
    parser.add_argument("--clips", help="CSV of clips with columns file, label, source")
    parser.add_argument(
        "--quick", action="store_true", help="one network a fold: threshold=0.5 instead of a learned one"
    )
    options = parser.parse_args()
    threshold = 0.5 if options.quick else "cv"
    if not options.soundscapes and not options.clips:
        parser.error("name --soundscapes, --clips, or both")
    if options.soundscapes:
        soundscapes(options.soundscapes, CryDetector(threshold=threshold, random_state=0))
    if options.clips:
        clips(options.clips, CryDetector(threshold=threshold, random_state=0))
