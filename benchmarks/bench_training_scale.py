"""Cost of training with the hours of sound: time, peak memory and bytes on disk; and a model of 100 and 1000 hours.

    python benchmarks/bench_training_scale.py [--hours 1 3 10] [--pipelines default frames published] [--search 10]

The script makes ten hours of synthetic sound (FLAC files of 20 minutes, each of another infant; this takes some
minutes), and more hours by linking these files under other names: cost depends on the hours, not on what is in them. It
fits a ``CryDetector`` with learned threshold on so many hours, each in a process of its own, and detects crying in one
file with the result. Memory is the peak resident memory of that process, disk the most that its temporary files take.
"default" is ``make_cry_pipeline()``, "frames" and "published" (``features=("embedding", "stats")``) train a network.
``--search`` compares a grid of 10 settings of the SVC in 5 folds (``n_jobs=2``, on windows) with one fit per fold.

It asserts that memory does not grow by more than ``LEAK`` with each hour of sound, and that a detector predicts as fast
after the most hours as after the fewest, within a factor of 1.3.

The model extrapolates the line through the measured hours. On 20 workers (of one core, as fast as one here), a grid of
60 settings and folds is computed: each worker reads the files and computes their features once, then its share of the
fits. Detectors in a search are what the workers get; recordings are sent as paths.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from skcry.datasets import make_cry_recordings

SR = 16000
N_FILES = 30  # that differ
LEAK = 0.03  # GiB per hour
WORKERS, FITS = 20, 60
PIPELINES = {"default": "pretrained", "frames": "frames", "published": ("embedding", "stats")}

WATCH = """
import json, resource, sys, threading, time, warnings
from pathlib import Path
import numpy as np
from joblib.externals.loky import get_reusable_executor
from skcry.datasets import load_annotated
from skcry.windows import scratch

warnings.simplefilter("ignore")
most, stop = [0], threading.Event()

def watch():
    while not stop.wait(1.0):
        most[0] = max(most[0], scratch.bytes_on_disk(scratch.session_folder()))

def report(**numbers):
    stop.set()
    get_reusable_executor().shutdown(wait=True)  # so that its workers are counted
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(json.dumps({**numbers, "memory": peak, "workers": workers, "disk": most[0] / 1e9}))

threading.Thread(target=watch, daemon=True).start()
began = time.perf_counter()
data = load_annotated(sys.argv[1], lazy=True)
"""
FIT = (
    WATCH
    + """
from skcry import CryDetector, make_cry_pipeline
features = tuple(sys.argv[2].split("+"))
detector = CryDetector(make_cry_pipeline(features=features, random_state=0), random_state=0)
detector.fit(data.recordings, data.annotations, groups=data.groups)
fit = time.perf_counter() - began
detector.timeline(data.recordings[:1])
began = time.perf_counter()
detector.timeline(data.recordings[:1])
report(fit=fit, predict=(time.perf_counter() - began) / data.durations[0] * 3600)
"""
)
SEARCH = (
    WATCH
    + """
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_score
from skcry import Windower, make_cry_pipeline
from skcry.windows.scratch import session_folder
import shutil
X = Windower().fit_transform(data.recordings, groups=data.groups)
y = X.label(data.annotations)
cv = StratifiedGroupKFold(5)
options = dict(cv=cv, scoring="average_precision")
began = time.perf_counter()
for train, test in cv.split(X, y, X.groups):  # each as if it were alone
    for folder in [path for path in session_folder().iterdir() if path.is_dir()]:
        shutil.rmtree(folder)
    make_cry_pipeline(random_state=0).fit(X[train], y[train]).predict(X[test])
one = time.perf_counter() - began
for folder in [path for path in session_folder().iterdir() if path.is_dir()]:
    shutil.rmtree(folder)
began = time.perf_counter()
grid = {"classify__C": np.geomspace(1e-4, 1e-2, 10)}
search = GridSearchCV(make_cry_pipeline(random_state=0), grid, n_jobs=2, refit=False, **options)
search.fit(X, y, groups=X.groups)
report(one=one, search=time.perf_counter() - began)
"""
)


def n_files(hours, duration):
    """Count the files of so many hours, at least as many as there are splits."""
    return max(3, round(hours * 3600 / duration))


def make_study(folder, hours, duration):
    """Write annotated recordings: 30 that differ, or as many as asked for, then links to these."""
    folder.mkdir(exist_ok=True)
    for number in range(n_files(hours, duration)):
        recording, annotations = folder / f"{number:04d}.flac", folder / f"{number:04d}.csv"
        if recording.exists() and annotations.exists():
            continue
        if number >= N_FILES:
            os.link(folder / f"{number % N_FILES:04d}.flac", recording)
            os.link(folder / f"{number % N_FILES:04d}.csv", annotations)
            continue
        (y,), (table,), _ = make_cry_recordings(1, duration=duration, random_state=number)
        soundfile.write(recording, y, SR)
        table.to_csv(annotations, index=False)
    return folder


def part_of(study, folder, n_parts):
    """Link the first recordings of a study, with the infant of each."""
    folder.mkdir()
    lines = ["file,group"]
    for path in sorted(study.glob("*.flac"))[:n_parts]:
        for suffix in (".flac", ".csv"):
            os.link(path.with_suffix(suffix), folder / path.with_suffix(suffix).name)
        lines.append(f"{path.name},{int(path.stem) % N_FILES}")
    (folder / "groups.csv").write_text("\n".join(lines))
    return folder


def run(code, *arguments):
    """Run code in a process and return the numbers that it reports."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.splitlines()[-1])


def line(hours, values):
    """Return slope and intercept of a line through measured values, or the ratio if there is one value."""
    return np.polyfit(hours, values, 1) if len(set(hours)) > 1 else (values[0] / hours[0], 0.0)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 3.0, 10.0])
    parser.add_argument("--pipelines", nargs="+", choices=PIPELINES, default=[*PIPELINES])
    parser.add_argument("--search", type=float, help="also time a grid search on so many hours")
    parser.add_argument("--study", type=Path, help="folder that keeps the recordings; a temporary one by default")
    parser.add_argument("--duration", type=float, default=1200.0, help="seconds of a file, to test this script")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        most = max([*options.hours, options.search or 0])
        study = make_study(options.study or Path(temporary, "study"), most, options.duration)
        place = Path(tempfile.mkdtemp(dir=study.parent, prefix="parts-"))
        try:
            measure(study, place, options)
        finally:
            for path in sorted(place.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            place.rmdir()


def measure(study, place, options):
    rows = []
    print(
        "| pipeline | hours | fit (s) | memory (GiB) | disk (GB) | detection (s per hour) |\n|---|---|---|---|---|---|"
    )
    for name in options.pipelines:
        features = PIPELINES[name]
        for hours in sorted(options.hours):
            folder = part_of(study, place / f"{name}-{hours:g}", n_files(hours, options.duration))
            found = run(FIT, folder, features if isinstance(features, str) else "+".join(features))
            rows.append({"pipeline": name, "hours": hours, **found})
            print(
                f"| {name} | {hours:g} | {found['fit']:.0f} | {found['memory']:.2f} | {found['disk']:.2f} | "
                f"{found['predict']:.2f} |",
                flush=True,
            )
    table = pd.DataFrame(rows)
    print("\n| model | 100 h here | 1000 h here | memory, disk at 1000 h | 60 fits of 100 h on 20 workers |")
    print("|---|---|---|---|---|")
    for name, part in table.groupby("pipeline", sort=False):
        hours = part["hours"].to_numpy()
        (slope, fixed), memory, disk = (line(hours, part[what].to_numpy()) for what in ("fit", "memory", "disk"))
        here = [(slope * many + fixed) / 60 for many in (100, 1000)]
        # A fit with learned threshold is four fits and two passes over the sound; a worker has one of two cores.
        spread = (slope * 100 + fixed) * 2 * (1 + FITS / WORKERS) / 4 / 60
        large = [part_line[0] * 1000 + part_line[1] for part_line in (memory, disk)]
        print(
            f"| {name} | {here[0]:.0f} min | {here[1]:.0f} min | {large[0]:.1f} GiB, {large[1]:.0f} GB | "
            f"{spread:.0f} min |"
        )
        fewest, most = part.iloc[0], part.iloc[-1]
        growth = (most["memory"] - fewest["memory"]) / max(1.0, most["hours"] - fewest["hours"])
        assert growth < LEAK, f"{name}: memory grows by {growth:.3f} GiB with each hour of sound"
        if most["hours"] > max(1.0, fewest["hours"]):  # shorter recordings tell nothing of speed
            ratio = most["predict"] / fewest["predict"]
            print(
                f"\n{name}: detection after {most['hours']:g} h takes {ratio:.2f} x that after {fewest['hours']:g} h\n"
            )
            assert ratio < 1.3, "a detector gets slower with what it was trained on"
    if options.search:
        found = run(SEARCH, part_of(study, place / "search", n_files(options.search, options.duration)))
        print(f"\nGrid of 10 settings x 5 folds on {options.search:g} h: {found['search']:.0f} s,")
        print(f"one fit per fold {found['one']:.0f} s, {found['search'] / found['one']:.2f} x; memory")
        print(f"{found['memory']:.2f} GiB, a worker {found['workers']:.2f} GiB, disk {found['disk']:.2f} GB")


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"{time.perf_counter() - began:.0f} s")
