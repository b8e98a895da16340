"""
A day in one picture
====================

When did the infant cry, and how much in each hour? From files of any length, in memory that does not depend on it, to
a table of hours and a picture of each day.
"""

# %%
# Two mornings
# ------------
# An hour each, written minute by minute: faint noise, and a minute of a crying infant's home every now and
# then. For days of your own, set ``days`` to their folder, ``start`` to when each began, and ``detector`` to one that
# was trained on your recorder (``joblib.load("detector.joblib")``).

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
# A quick one without a network. The energy gate in front closes the seconds that hold nothing above 350 Hz, so that
# most of a quiet day never reaches the rest.

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
# ``detect_files`` writes the results of each file as they come; when it is interrupted, what is finished is not done
# again. ``summarize`` counts by the hours of the clock, and divides by the usable sound in each.

from skcry import detect_files, read_timelines, summarize

manifest = detect_files(detector, days, results)
print(manifest[["file", "status", "duration", "cry_duration", "n_bouts"]].round(0).to_string(index=False))

timelines = read_timelines(results)
hours = summarize(timelines, by="hour", start=start)
print(hours[["hours", "usable_share", "cry_minutes", "cry_minutes_per_hour", "n_bouts"]].round(2).to_string())
print(f"in all {hours['hours'].sum():.1f} hours, {hours['n_bouts'].sum():.0f} bouts")

# %%
# One picture a day
# -----------------
# Hours are rows; the higher the curve, the higher the score. Under it lie the bouts, and at the end of each row stand
# their minutes.

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
