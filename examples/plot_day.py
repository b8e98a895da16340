"""
A day in one picture
====================

When did the infant cry, and how much in each hour? This example goes from files to a table of hours and a figure of
each day. Memory does not depend on the length of the files.
"""

# %%
# Two mornings
# ------------
# Two files of an hour, written minute by minute: faint noise, and from time to time a minute from the home of a crying
# infant. For your own days, set ``days`` to their folder, ``start`` to the start of each, and ``detector`` to a
# detector that was trained on your recorder (``skcry.load("detector.skcry")``).

import tempfile
from pathlib import Path

import numpy as np
import soundfile

from skcry.datasets import make_cry_recordings

folder = tempfile.TemporaryDirectory()
days, results = Path(folder.name) / "days", Path(folder.name) / "results"
start = {"ada.flac": "2024-05-01 06:45", "ben.flac": "2024-05-02 07:10"}

days.mkdir()
homes = make_cry_recordings(6, duration=60, random_state=1)[0]
for name, seed in (("ada.flac", 3), ("ben.flac", 4)):
    rng = np.random.default_rng(seed)
    with soundfile.SoundFile(days / name, "w", 16000, 1, "PCM_16") as file:
        for _ in range(60):
            quiet = 0.002 * rng.standard_normal(60 * 16000)
            file.write(homes[rng.integers(6)] if rng.random() < 0.2 else quiet)

# %%
# A detector
# ----------
# A quick detector without a network. Its energy gate closes the seconds without energy above 350 Hz, so most seconds of
# a quiet day need no scoring.

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcry import CryDetector, EnergyGate, StatFeatures

recordings, annotations, infants = make_cry_recordings(8, duration=60, random_state=0)
pipeline = make_pipeline(
    StatFeatures(["mfcc", "spectral_contrast"]), StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)
)
detector = CryDetector(pipeline, gate=EnergyGate(), target_duration=None, random_state=0)
detector.fit(recordings, annotations, groups=infants)

# %%
# From files to tables
# --------------------
# ``detect_files`` writes the results of each file when it is done. After an interruption, a second call skips finished
# files. ``summarize`` gives a row per clock hour, and divides by the usable sound in it.

from skcry import detect_files, read_timelines, summarize

manifest = detect_files(detector, days, results)
print(manifest[["file", "status", "duration", "cry_duration", "n_bouts"]].round(0).to_string(index=False))

timelines = read_timelines(results)
hours = summarize(timelines, by="hour", start=start)
print(hours[["hours", "usable_share", "cry_minutes", "cry_minutes_per_hour", "n_bouts"]].round(2).to_string())
print(f"in all {hours['hours'].sum():.1f} hours, {hours['n_bouts'].sum():.0f} bouts")

# %%
# A figure of each day
# --------------------
# Each row is an hour. The curve is the score, the bars below it are bouts, and the number at the end of the row is the
# minutes of crying.

import matplotlib.pyplot as plt
import pandas as pd

from skcry.plotting import DayDisplay

for name, began in start.items():
    bouts = pd.read_csv(results / f"{name}.events.csv")
    DayDisplay.from_predictions(
        timelines.loc[name], bouts, start=began, threshold=detector.threshold_, name=name.removesuffix(".flac")
    )
plt.show()

# %%

folder.cleanup()
