"""
From recordings to a detector of crying
=======================================

Detects crying by the detector that comes with the package, without training. Then trains a detector on annotated
recordings, searches hyper-parameters by cross-validation over infants, pickles the best detector, reloads it in a new
process, detects crying in recordings that were kept for a final test, and draws one of them.

It uses synthetic recordings by default, or your own with ``--data FOLDER``: audio files, each with a CSV file of the
same name and lines ``start,end,label`` (see ``skcry.datasets.load_annotated``). ``--out FOLDER`` receives the results.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import soundfile
from sklearn import set_config
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import GridSearchCV, GroupKFold

from skcry import CryDetector, Windower, load_pretrained, make_cry_pipeline
from skcry.datasets import load_annotated, make_cry_recordings
from skcry.plotting import TimelineDisplay

SR = 16000
RELOAD = """
import sys, joblib
model, out, *paths = sys.argv[1:]
detector = joblib.load(model)
detector.timeline(paths).to_csv(out + "/timeline.csv")
detector.detect(paths).to_csv(out + "/events.csv", index=False)
"""

# %%
# Data: synthetic by default. Groups are infants, or recordings if the infants are unknown.


def load(folder, n_recordings, duration):
    if folder is None:
        return make_cry_recordings(n_recordings, duration, sr=SR, random_state=0)
    data = load_annotated(folder, sr=SR, lazy=False)
    return data.recordings, data.annotations, data.groups


def keep_apart(groups, share=0.25):
    """Return rows for training, and rows of the last quarter of the groups for the test."""
    names = np.unique(groups)
    if len(names) < 5:
        sys.exit(f"{len(names)} infants (or recordings) are too few: one is kept apart and three folds need four more.")
    apart = np.isin(groups, names[-max(1, int(share * len(names))) :])
    return np.flatnonzero(~apart), np.flatnonzero(apart)


def truth_per_second(annotations, recordings):
    """Return whether crying covers at least half of each second."""
    parts = []
    for table, y in zip(annotations, recordings, strict=True):
        # Windows of one second, labelled like all other windows.
        parts.append(Windower(1, 1, sr=SR).fit_transform([y]).label([table]))
    return np.concatenate(parts)


def show_scores(name, truth, timeline, threshold):
    print(
        f"{name:10} average precision {average_precision_score(truth, timeline['score']):.2f} "
        f"(chance {truth.mean():.2f}), F1 {f1_score(truth, timeline['cry']):.2f} per second at the threshold "
        f"{threshold:.2f}"
    )


# %%
# Without training: the detector that comes with the package. It was trained on real sound, so its scores on synthetic
# cries tell nothing about real ones.


def detect_untrained(recordings, truth):
    detector = load_pretrained()
    show_scores("Untrained", truth, detector.timeline(recordings), detector.threshold_)


# %%
# One estimator: windows, embeddings by the network that comes with the package, SVC, threshold. ``memory`` caches the
# embeddings, so that the search over the SVC computes those of each split once. Metadata routing passes the infants
# from the search to the detector, so that its own splits, for the threshold, are by infant too.

set_config(enable_metadata_routing=True)


def search(recordings, annotations, groups, cache):
    pipeline = make_cry_pipeline(memory=cache, random_state=0)
    detector = CryDetector(pipeline, windower=Windower(sr=SR), cv=2, random_state=0)
    grid = {"estimator__classify__C": [0.001, 0.01, 0.1]}
    return GridSearchCV(detector, grid, cv=GroupKFold(3), error_score="raise").fit(
        recordings, annotations, groups=groups
    )


# %%
# One figure: the spectrogram, scores and detected events, and the annotations.


def draw(y, table, timeline, events, threshold, path):
    try:
        import matplotlib
    except ImportError:
        print("Picture    skipped: matplotlib is missing; pip install 'skcry[plot]'")
        return
    matplotlib.use("Agg")
    name = "A recording that was not used for training"
    shown = {"sound": y, "sr": SR, "threshold": threshold, "name": name}
    TimelineDisplay.from_predictions(timeline, events, table, **shown).figure_.savefig(path, dpi=120)
    print(f"Picture    {path}")


# %%
# The main job.


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--data", type=Path, help="folder of audio files and start,end,label CSV files")
    parser.add_argument("--out", type=Path, default=Path("quickstart"), help="folder for the results")
    parser.add_argument("--recordings", type=int, default=12, help="number of synthetic recordings")
    parser.add_argument("--duration", type=float, default=60.0, help="length of each in seconds")
    options = parser.parse_args()
    began = time.perf_counter()

    recordings, annotations, groups = load(options.data, options.recordings, options.duration)
    learn, apart = keep_apart(groups)
    truth = truth_per_second(annotations, recordings)
    minutes = sum(map(len, recordings)) / SR / 60
    print(
        f"Data       {len(recordings)} recordings in {len(np.unique(groups))} groups, {minutes:.0f} minutes, "
        f"{truth.mean():.0%} of seconds crying; {len(apart)} recordings kept apart"
    )

    detect_untrained(recordings, truth)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        found = search([recordings[i] for i in learn], [annotations[i] for i in learn], groups[learn], cache)
    print("Search     average precision per second on left-out groups, mean and standard deviation of 3 folds")
    results = found.cv_results_
    for params, mean, deviation in zip(
        results["params"], results["mean_test_score"], results["std_test_score"], strict=True
    ):
        print(f"             C={params['estimator__classify__C']:<5} {mean:.2f} +- {deviation:.2f}")
    detector = found.best_estimator_.set_params(estimator__memory=None)

    model = options.out / "detector.joblib"
    joblib.dump(detector, model)
    print(f"Model      {model}, {model.stat().st_size / 1e6:.1f} MB")

    # A new process reads the model and the recordings from files, and writes seconds and events.
    paths = []
    for i in apart:
        paths.append(options.out / f"recording_{i}.wav")
        soundfile.write(paths[-1], recordings[i], SR, subtype="FLOAT")
    subprocess.run([sys.executable, "-c", RELOAD, model, options.out, *paths], check=True)
    timeline = pd.read_csv(options.out / "timeline.csv", index_col=["recording", "second"])
    events = pd.read_csv(options.out / "events.csv")
    here = detector.timeline([recordings[i] for i in apart])
    # Tables call files by their names, arrays by their places.
    difference = np.abs(timeline["score"].to_numpy() - here["score"].to_numpy()).max()
    print(f"Reloaded   in a new process: scores differ by {difference:.0e} at most")

    known = truth_per_second([annotations[i] for i in apart], [recordings[i] for i in apart])
    show_scores("Kept apart", known, timeline, detector.threshold_)
    print(f"Events     {len(events)} in {len(apart)} recordings, the first of them:")
    print(events.head().round(2).to_string(index=False))
    first = paths[0].name
    draw(
        recordings[apart[0]],
        annotations[apart[0]],
        timeline.loc[first],
        events[events["recording"] == first],
        detector.threshold_,
        options.out / "detection.png",
    )
    print(f"Done       in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
