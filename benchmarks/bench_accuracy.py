"""Accuracy and cost of pipelines on left-out infants, and the effect of a leak.

    python benchmarks/bench_accuracy.py --data FOLDER [--clips clips.csv] [--pipelines NAME ...] [--quick]
                                        [--wav2vec2 MODEL_OR_FOLDER] [--out FILE.md]

FOLDER contains annotated recordings (``load_annotated``; groups are infants from its groups.csv, else recordings).
clips.csv has the columns file, label and source (``load_clips``; label 1 is crying). The script prints a markdown table
for each, with a row per pipeline. Pipelines are scored on whole groups that are left out of training: two groups of
FOLDER at a time (more if that gives above ten folds), and the sources of clips in five folds. Predictions of all folds
are pooled; intervals cover 90 % by bootstrap over groups.

- Average precision, best F1 and ROC AUC use the scores of seconds (of clips). F1, kappa, event F1 and the error in cry
  minutes per hour (mean over recordings) use the threshold that was learned in training.
- "Recall at 2/h" is the share of cry events found at the best threshold with at most two false alarms per hour. Brier
  score and expected calibration error (ECE, ten bins of equal width) treat the scores as probabilities.
- Times of training (per fold) and prediction (per hour of sound) depend on the machine; all else is reproducible.

``--quick`` trains once per fold instead of four times: the threshold is 0.5, and scores are not calibrated. "energy" is
a baseline: the logistic function of the energy above 350 Hz in each second. Below the first table, the fast pipeline
(without ``--quick`` also "frames+svc") is scored on windows with splits that ignore groups and with splits by group:
the difference is the leak. The script asserts that trained pipelines rank better than chance.
"""

import argparse
import pickle
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, precision_recall_curve
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcry import CryDetector, HighPassFilter, Windower, make_cry_pipeline, metrics
from skcry.datasets import load_annotated, load_clips
from skcry.events import find_events

SR, RATE = 16000, 2.0  # Hz; false alarms per hour
RULES = {"merge_gap": 5.0, "min_duration": 5.0}  # seconds, for detectors and event metrics
INTERVALS = ("average precision", "best F1")
DECIMALS = {"training (s/fold)": 1, "prediction (s/h)": 1, "pickle (MB)": 2, "error (min/h)": 2}


def log_energy(windows):
    return np.log(np.square(np.asarray(windows, dtype=np.float64)).mean(axis=-1, keepdims=True) + 1e-12)


BOOSTING = HistGradientBoostingClassifier(random_state=0)
PIPELINES = {
    "energy": make_pipeline(HighPassFilter(), FunctionTransformer(log_energy), LogisticRegression()),
    "stats+svc": make_cry_pipeline(features="stats", random_state=0),
    "stats+boosting": make_cry_pipeline(
        BOOSTING, features="stats", select=SelectKBest(k=80), random_state=0
    ).set_params(features__stats__features=["mfcc", "chroma", "spectral_contrast"]),
    "alexnet+svc": make_cry_pipeline(features="embedding", random_state=0),
    "alexnet+stats+svc": make_cry_pipeline(features=("embedding", "stats"), random_state=0),  # the published chain
    "pretrained+svc": make_cry_pipeline(random_state=0),  # the default
    "pretrained+stats+svc": make_cry_pipeline(features=("pretrained", "stats"), random_state=0),
    "frames+svc": make_cry_pipeline(features="frames", random_state=0),
    "frames+stats+svc": make_cry_pipeline(features=("frames", "stats"), random_state=0),
    "wav2vec2+boosting": make_cry_pipeline(BOOSTING, features="wav2vec2", random_state=0),  # only with --wav2vec2
}


def make_detector(name, options, **about):
    """Build the detector of that name; the windows of "energy" are one second, since more context does not help."""
    estimator = clone(PIPELINES[name])
    if name == "wav2vec2+boosting":
        estimator.set_params(features__wav2vec2__model=options.wav2vec2)
    if not {"frames", "pretrained"} & set(name.split("+")):  # features of whole windows need labels of whole windows
        about["target_duration"] = None
    about |= {"windower": Windower(1.0, 1.0) if name == "energy" else None, "random_state": 0, **RULES}
    return CryDetector(estimator, threshold=0.5 if options.quick else "cv", **about)


def average_precision(truth, score):
    return average_precision_score(truth, score) if truth.any() else np.nan


def gain(truth, score, reference):
    return average_precision(truth, score) - average_precision(truth, reference)


def best_f1(truth, score):
    precision, recall, _ = precision_recall_curve(truth, score) if truth.any() else (np.nan, np.nan, None)
    return np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))


def row_scores(truth, table, groups):
    """Compare ``score`` and ``cry`` of the rows, seconds or clips, with the truth."""
    values, numbers, rows = metrics.second_metrics(truth, table), {}, (np.asarray(truth), table["score"].to_numpy())
    for name, metric in zip(INTERVALS, (average_precision, best_f1), strict=True):
        numbers[name] = (metric(*rows), *metrics.bootstrap_interval(metric, *rows, groups=groups, random_state=0))
    return numbers | {"F1": values["f1"], "ROC AUC": values["roc_auc"], "kappa": values["cohen_kappa"]}


def event_scores(annotations, timeline, durations):
    """Compare events and minutes of crying with the truth."""
    true = metrics.event_truth(annotations, merge_gap=RULES["merge_gap"])
    seconds = timeline["cry"].groupby(level="recording")
    found = {name: find_events(cry.to_numpy(), **RULES, duration=durations[name]) for name, cry in seconds}
    counts = metrics.event_counts(true, metrics.event_truth(found, merge_gap=0), durations)
    curve = metrics.threshold_counts(true, timeline, **RULES)
    truth = metrics.second_truth(annotations, timeline, merge_gap=RULES["merge_gap"], durations=durations)
    minutes = metrics.cry_minutes(truth, timeline, **RULES)
    recall, error = metrics.recall_at_false_alarms(curve, RATE), metrics.cry_minutes_metrics(minutes)
    numbers = {"event F1": metrics.event_metrics(counts)["f1"], f"recall at {RATE:g}/h": recall}
    return numbers | {"error (min/h)": error["mean_absolute_error"]}


def calibration_error(truth, score, n_bins=10):
    """Return the expected calibration error, with bins of equal width."""
    place = np.minimum((score * n_bins).astype(int), n_bins - 1)
    return np.abs(np.bincount(place, weights=score - truth)).sum() / len(score)


def cell(column, value):
    return "{:.3f} [{:.3f}, {:.3f}]".format(*value) if column in INTERVALS else f"{value:.{DECIMALS.get(column, 3)}f}"


def group_splits(groups):
    """Leave out two neighbouring groups at a time, or more if that gives above ten folds."""
    names, code = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise SystemExit(f"Only {len(names)} group: at least 2 are needed to leave one out. Add recordings.")
    n_folds = min(10, max(2, len(names) // 2))
    return list(GroupKFold(n_folds).split(code, groups=code * n_folds // len(names)))


def predict_held_out(detector, data, y, splits, score):
    """Fit and score fold by fold; return the joined tables of ``score(fitted, test)``, and the costs."""
    tables, fit_time, predict_time, hours = [], 0.0, 0.0, 0.0
    for train, test in splits:
        began = time.perf_counter()
        fitted = clone(detector).fit([data.recordings[i] for i in train], [y[i] for i in train], data.groups[train])
        middle = time.perf_counter()
        tables.append(score(fitted, test))
        fit_time, predict_time = fit_time + middle - began, predict_time + time.perf_counter() - middle
        hours += data.durations[test].sum() / 3600
        print(f"fold {len(tables)} of {len(splits)}, {fit_time + predict_time:.0f} s", file=sys.stderr)
    return pd.concat(tables), {
        "training (s/fold)": fit_time / len(splits),
        "prediction (s/h)": predict_time / hours,
        "pickle (MB)": len(pickle.dumps(fitted)) / 1e6,
    }


def evaluate_seconds(detector, data, splits):
    """Score a detector on seconds and events of left-out recordings."""

    def score(fitted, test):
        timeline = fitted.timeline([data.recordings[i] for i in test])
        return timeline.rename(index={place: data.names[i] for place, i in enumerate(test)}, level="recording")

    timeline, costs = predict_held_out(detector, data, data.annotations, splits, score)
    annotations = dict(zip(data.names, data.annotations, strict=True))
    durations = dict(zip(data.names, data.durations.tolist(), strict=True))
    groups = timeline.index.get_level_values("recording").map(dict(zip(data.names, data.groups, strict=True)))
    truth = metrics.second_truth(annotations, timeline, durations=durations)
    numbers = row_scores(truth, timeline, groups) | event_scores(annotations, timeline, durations)
    numbers["Brier score"] = brier_score_loss(truth, timeline["score"])
    numbers["ECE"] = calibration_error(truth.to_numpy(), timeline["score"].to_numpy())
    return numbers | costs, truth.mean()


def evaluate_clips(detector, data, splits):
    """Score a detector on whole left-out clips."""

    def score(fitted, test):
        scores = fitted.predict_proba([data.recordings[i] for i in test])[:, fitted.positive_index_]
        return pd.DataFrame({"score": scores, "cry": scores >= fitted.threshold_}, index=test)

    table, costs = predict_held_out(detector, data, data.labels, splits, score)
    truth = (data.labels.astype(str) == "1")[table.index]
    return row_scores(truth, table, data.groups[table.index]) | costs, truth.mean()


def leak(name, data, splits):
    """Return a sentence on the score of a pipeline with ungrouped and with grouped splits of windows."""
    windows = Windower().fit_transform(data.recordings, groups=data.groups)
    y = windows.label(data.annotations, target_duration=1.0)
    grouped = [tuple(np.flatnonzero(np.isin(windows.recording, part)) for part in split) for split in splits]
    leaky, correct = (
        average_precision_score(y, cross_val_predict(PIPELINES[name], windows, y, cv=cv, method="decision_function"))
        for cv in (KFold(len(splits), shuffle=True, random_state=0), grouped)
    )
    scores = f"{leaky:.3f} by a shuffled KFold, {correct:.3f} with whole groups left out"
    return f"{name}, average precision of windows: {scores}; {leaky - correct:+.3f} by the leak."


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder of annotated recordings")
    parser.add_argument("--clips", help="CSV of clips with columns file, label, source")
    parser.add_argument("--pipelines", nargs="+", choices=list(PIPELINES), metavar="NAME", help=", ".join(PIPELINES))
    parser.add_argument("--quick", action="store_true", help="train once per fold, with threshold 0.5")
    parser.add_argument("--wav2vec2", help="name or folder of the model for wav2vec2+boosting")
    parser.add_argument("--out", type=Path, help="markdown file to write the tables to")
    options = parser.parse_args(arguments)
    if not options.data and not options.clips:
        parser.error("name --data, --clips, or both")
    if options.out and not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: no such folder as {options.out.parent}. Make it first.")
    options.pipelines = options.pipelines or list(PIPELINES)[: None if options.wav2vec2 else -1]
    if "wav2vec2+boosting" in options.pipelines and not options.wav2vec2:
        parser.error("wav2vec2+boosting needs --wav2vec2 MODEL_OR_FOLDER")
    return options


def make_table(title, options, evaluate, data, splits, write, **about):
    """Write a table row by row; return its numbers by pipeline, and the share of crying."""
    rows, groups, sound = {}, len(np.unique(data.groups)), data.durations.sum() / 60
    write(f"\n{title}: {len(data.recordings)} of {groups} groups, {sound:.0f} minutes, {len(splits)} folds.\n")
    for name in options.pipelines:
        rows[name], chance = evaluate(make_detector(name, options, **about), data, splits)
        if len(rows) == 1:
            columns = ["pipeline", *(column + " [90 %]" * (column in INTERVALS) for column in rows[name])]
            write(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        write(f"| {' | '.join([name, *(cell(*pair) for pair in rows[name].items())])} |")
    write(f"\n{chance:.1%} are crying, which is the average precision of random scores.")
    return rows, chance


def main(arguments=None):
    options, lines, tables = parse(arguments), [], {}

    def write(line):
        print(line, flush=True)
        lines.append(line)

    versions = [f"{name} {version(name)}" for name in ("skcry", "scikit-learn", "torch")]
    write(", ".join([*versions, *["--quick"] * options.quick]))
    if options.data:
        data = load_annotated(options.data, SR)
        if len(np.unique(data.groups)) < (2 if options.quick else 6):
            raise SystemExit(f"{options.data}: too few groups. At least 6 are needed, with --quick 2.")
        splits = group_splits(data.groups)
        tables["seconds"] = make_table("Seconds of recordings", options, evaluate_seconds, data, splits, write)
        for name in ["stats+svc"] if options.quick else ["stats+svc", "frames+svc"]:
            write("\n" + leak(name, data, splits))
    if options.clips:
        data = load_clips(options.clips, SR, group="source")
        splits = list(StratifiedGroupKFold(5).split(data.labels, data.labels, data.groups))
        tables["clips"] = make_table("Clips", options, evaluate_clips, data, splits, write, positive="1")
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")
    for rows, chance in tables.values():
        worse = [name for name in rows if name != "energy" and rows[name]["average precision"][0] <= chance]
        assert not worse, f"{worse} rank no better than chance"
    return tables


if __name__ == "__main__":
    main()
