"""
From a folder of long recordings to a table and the picture of a day
====================================================================

Detects crying in a folder of daylong recordings, in memory that does not depend on their length, tells how much each
infant cried in each hour of the clock, and draws a day: hours as rows, the score of every second, the bouts found.

Run it as it is for two synthetic mornings of three hours (which take a minute), or with ``--data FOLDER --detector
detector.joblib`` for your own, and ``--start start.csv`` (columns ``file,start``) for clock hours. Results go to
``--out FOLDER``; started again, it goes on where it was interrupted.
"""

import argparse
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcry import CryDetector, EnergyGate, HighPassFilter, StatFeatures, detect_files, read_timelines, summarize
from skcry.datasets import make_cry_recordings

SR = 16000

# %%
# Data: without a folder of your own, two mornings of faint noise with a bout of crying every now and then, written
# minute by minute, and a quick detector without a network.


def make_mornings(folder, hours):
    folder.mkdir(parents=True, exist_ok=True)
    crying = make_cry_recordings(6, duration=60, random_state=1)[0]
    for child, seed in (("ada", 3), ("ben", 4)):
        rng = np.random.default_rng(seed)
        if (folder / f"{child}.flac").exists():
            continue
        with soundfile.SoundFile(folder / f"{child}.flac", "w", SR, 1, "PCM_16") as file:
            for _ in range(round(60 * hours)):
                minute = 0.002 * rng.normal(size=60 * SR)
                file.write(crying[rng.integers(6)] if rng.random() < 0.12 else minute)
    return {"ada.flac": "2024-05-01 06:45", "ben.flac": "2024-05-02 07:10"}


def quick_detector():
    recordings, annotations, infants = make_cry_recordings(8, duration=60, random_state=0)
    pipeline = make_pipeline(HighPassFilter(), StatFeatures(), StandardScaler(), LogisticRegression(max_iter=1000))
    detector = CryDetector(pipeline, gate=EnergyGate(), random_state=0)
    return detector.fit(recordings, annotations, groups=infants)


# %%
# One picture a day: each row is an hour. The darker a second, the higher its score; bouts are drawn below it.


def draw_day(timeline, events, start, title, path):
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("Picture   skipped: matplotlib is missing; pip install 'skcry[plot]'")
        return
    start = pd.Timestamp(start)
    first = start.floor("h")
    offset = int((start - first).total_seconds())
    n_hours = -(-(offset + len(timeline)) // 3600)
    score, usable = np.full((2, n_hours * 3600), np.nan)
    score[offset : offset + len(timeline)] = timeline["score"]
    usable[offset : offset + len(timeline)] = timeline["usable"]
    figure, axes = plt.subplots(
        n_hours, 1, figsize=(10, 1.2 + 0.55 * n_hours), sharex=True, squeeze=False, layout="constrained"
    )
    for hour, axis in enumerate(axes[:, 0]):
        here = slice(hour * 3600, (hour + 1) * 3600)
        axis.set_facecolor("#DCE6F0")  # not recorded
        highest = score[here].reshape(-1, 5).max(axis=1)  # five seconds are a dot in the picture
        image = axis.imshow(highest[np.newaxis], aspect="auto", cmap="Greys", vmin=0, vmax=1, extent=(0, 60, 0, 1))
        silent = np.flatnonzero(usable[here] == 0)
        axis.scatter(silent / 60, np.full(len(silent), 0.9), s=3, color="#0072B2", label="no sound")
        for row in events.itertuples():
            onset, end = ((value + offset) / 60 - 60 * hour for value in (row.onset, row.offset))
            if end > 0 and onset < 60:
                axis.axvspan(max(onset, 0), min(end, 60), 0, 0.35, color="#D55E00", lw=0, label="bout")
        clock = first + pd.Timedelta(hours=hour)
        axis.set(yticks=[], xlim=(0, 60), ylim=(0, 1))
        axis.set_ylabel(f"{clock:%H:%M}", rotation=0, ha="right", va="center")
    axes[-1, 0].set(xlabel="minute of the hour", xticks=range(0, 61, 10))
    figure.suptitle(f"{title}, {first:%d %B %Y}")
    figure.colorbar(image, ax=axes[:, 0].tolist(), label="score of crying", shrink=0.9)
    handles = {
        label: handle
        for axis in axes[:, 0]
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        if label == "bout" or len(handle.get_offsets())
    }
    handles["not recorded"] = plt.Rectangle((0, 0), 1, 1, color="#DCE6F0")
    figure.legend(handles.values(), handles.keys(), loc="outside lower right", ncols=3, frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"Picture   {path}")


# %%
# The main job.


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--data", type=Path, help="folder of recordings")
    parser.add_argument("--detector", type=Path, help="pickled CryDetector")
    parser.add_argument("--start", type=Path, help="CSV file with columns file,start")
    parser.add_argument("--out", type=Path, default=Path("daylong"), help="folder for the results")
    parser.add_argument("--hours", type=float, default=3.0, help="length of the synthetic mornings")
    options = parser.parse_args()
    if (options.data is None) != (options.detector is None):
        parser.error("--data and --detector go together.")

    if options.data is None:
        folder = options.out / "recordings"
        start = make_mornings(folder, options.hours)
        detector = quick_detector()
    else:
        folder, detector = options.data, joblib.load(options.detector)
        start = None if options.start is None else pd.read_csv(options.start, index_col="file")["start"].to_dict()

    results = options.out / "results"
    manifest = detect_files(detector, folder, results, progress=True)
    print(manifest[["file", "status", "duration", "cry_duration", "n_bouts"]].round(0).to_string(index=False))

    timelines = read_timelines(results)
    table = summarize(timelines, by="hour", start=start)
    table.to_csv(options.out / "hours.csv")
    shown = ["hours", "usable_share", "cry_minutes", "cry_minutes_per_hour", "n_bouts", "longest_bout"]
    print(table[shown].round(2).to_string())

    for file in timelines.index.unique("recording"):
        events = pd.read_csv(results / f"{file}.events.csv")
        began = "1970-01-01" if start is None else start[file]
        picture = options.out / f"{file.replace('/', '_')}.png"
        draw_day(timelines.loc[file], events, began, file, picture)


if __name__ == "__main__":
    main()
