"""
Listen to some clips
====================

How much did the infants cry, and how often is the detector right? A person who judges fifty clips can tell. This
example draws clips from detected recordings, writes the page on which they are judged, and estimates from the
judgements, with intervals. The recordings are synthetic, so their truth plays the listener, and shows at the end
whether the estimates were right.
"""

# %%
# Detect
# ------
# Forty minutes of eight infants, and the detector that comes with skcry. It was trained on sound of homes, so it makes
# errors on synthetic sound.

import skcry
from skcry.datasets import make_cry_recordings

recordings, annotations, infants = make_cry_recordings(8, duration=300, random_state=0)
detector = skcry.load_pretrained()
seconds = detector.timeline(recordings)
print(f"{seconds['cry'].sum() / 60:.1f} minutes of crying detected in {len(seconds) / 60:.0f} minutes")

# %%
# Choose clips, and write the page
# --------------------------------
# Strata give as many clips above the threshold as below, which serves the precision of the detector. The page is one
# file: open it in a browser, judge by keys, save. ``skcry review`` does the same for a folder of results.

import tempfile
from pathlib import Path

from skcry.review import select_clips, write_review

clips = select_clips(seconds, n=50, strategy="stratified", random_state=1)
with tempfile.TemporaryDirectory() as folder:
    page = write_review(clips, Path(folder, "review.html"), recordings=recordings)
    print(f"{len(clips)} clips in {page.stat().st_size / 1e6:.1f} MB")
print(clips[["recording", "onset", "offset", "score", "stratum", "probability"]].head(3).round(3).to_string())

# %%
# Judge
# -----
# A listener opens the page, and ``read_review("review.csv")`` reads the file that it saves. Here the truth listens: a
# clip is crying if at least half of it is.

from skcry.metrics import second_truth

truth = second_truth(annotations, seconds)


def listen(clips):
    heard = [truth.loc[clip.recording].loc[clip.onset : clip.offset - 1].mean() for clip in clips.itertuples()]
    return clips.assign(judgement=["cry" if share >= 0.5 else "not" for share in heard], reviewer="truth")


review = listen(clips)
print(review["judgement"].value_counts().to_string())

# %%
# Estimate
# --------
# The estimates are corrected for false alarms and for crying that was missed. Intervals of 90 % follow from the draw of
# the clips. ``skcry estimate`` prints this table.

import pandas as pd

from skcry.metrics import second_metrics
from skcry.review import estimate_crying

names = ["cry_minutes", "precision", "recall"]
found = estimate_crying(seconds, review).loc[names, ["value", "low", "high"]]
rates = second_metrics(truth, seconds)
found["detected"] = [seconds["cry"].sum() / 60, None, None]
found["truth"] = [truth.sum() / 60, rates["precision"], rates["recall"]]
print(found.astype(float).round(2).to_string())

# %%
# Other clips give other estimates, and intervals of 90 % may miss the truth in one draw of ten. So here are 20 draws.
# Estimates count whole clips and the truth seconds, which differs at the edges of bouts. Synthetic bouts last 10 s, so
# that many clips hold an edge.

right = found["truth"]
held = pd.Series(0, index=names)
for seed in range(20):
    draw = listen(select_clips(seconds, n=50, strategy="stratified", random_state=seed))
    one = estimate_crying(seconds, draw).loc[names]
    held += (one["low"] <= right) & (right <= one["high"])
print(f"draws of 20 whose interval holds the truth: {held.to_dict()}")

# %%
# Precision by threshold
# ----------------------
# Each threshold lets other clips through. Few clips tell of high thresholds, so their intervals are wide.

import matplotlib.pyplot as plt

from skcry.plotting import PrecisionDisplay
from skcry.review import threshold_for_precision

PrecisionDisplay.from_predictions(review, seconds, threshold=detector.threshold_)
plt.show()
for precision in (0.7, 0.9):
    threshold = threshold_for_precision(review, precision, seconds)
    print(f"precision {precision}: from threshold {threshold:.2f} on, {detector.threshold_:.2f} in use")

# %%
# Correct the detector
# --------------------
# The judgements are annotations as well, in which all that nobody judged is unknown. ``calibrate`` takes them, and
# moves the scores to the level of these recordings. Judged time is left out of the comparison.

from skcry.review import review_annotations

judged = review_annotations(review, [300] * 8)
known = second_truth(judged, seconds).notna()
corrected = skcry.load_pretrained().calibrate(recordings, list(judged.values()))
rows = {}
for name, timeline in (("as it came", seconds), ("calibrated", corrected.timeline(recordings))):
    rows[name] = second_metrics(truth[~known], timeline[~known])
print(pd.DataFrame(rows).T[["f1", "precision", "recall"]].round(2).to_string())

# %%
# Agreement
# ---------
# Before and after, the detector against the listener, as two annotators are compared: kappa and Gwet's AC1 per second,
# of the seconds that were judged. The calibration has learned from these, so they flatter it.

from skcry.metrics import agreement

for name, timeline in (("as it came", seconds), ("calibrated", corrected.timeline(recordings))):
    table = agreement(judged, timeline, random_state=0)
    print(f"{name}: kappa {table.loc['cohen_kappa', 'value']:.2f}, AC1 {table.loc['gwet_ac1', 'value']:.2f}")
