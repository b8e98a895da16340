"""
Thresholds and false alarms
===========================

Which score should count as crying? A low threshold detects more crying and raises more false alarms. This example draws
the trade-off with scikit-learn's curves, learns a threshold for a given number of false alarms per hour, and plots the
detected and missed events of left-out infants.
"""

# %%
# A detector
# ----------
# A quarter of an hour of eight infants for training, and the same of eight other infants, which are not used to choose
# the threshold. Statistics and logistic regression replace the network, so that fitting takes seconds.

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcry import CryDetector, StatFeatures
from skcry.datasets import make_cry_recordings

recordings, annotations, infants = make_cry_recordings(16, duration=56, random_state=0)
new_recordings, new_annotations, _ = make_cry_recordings(16, duration=56, random_state=1)

pipeline = make_pipeline(
    StatFeatures(["mfcc", "spectral_contrast"]), StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)
)
detector = CryDetector(pipeline, target_duration=None, random_state=0).fit(recordings, annotations, groups=infants)
timeline = detector.timeline(new_recordings)
print(timeline.head(3))
print(f"learned threshold: {detector.threshold_:.2f}")

# %%
# Curves over thresholds
# ----------------------
# Rows are seconds, so scikit-learn's displays apply. Precision is the share of detected seconds that are crying, recall
# the share of crying seconds that are detected. The detection error tradeoff shows both error rates on normal deviate
# axes. The circle is the learned threshold.

import matplotlib.pyplot as plt
from scipy.stats import norm
from sklearn.metrics import DetCurveDisplay, PrecisionRecallDisplay

from skcry.metrics import second_metrics, second_truth

truth = second_truth(new_annotations, timeline)
metrics = second_metrics(truth, timeline)
false_alarm_share = (timeline["cry"] & ~truth).sum() / (~truth).sum()

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
PrecisionRecallDisplay.from_predictions(truth, timeline["score"], plot_chance_level=True, name="seconds", ax=left)
left.plot(metrics["recall"], metrics["precision"], "o", color="#D55E00", markersize=8, markerfacecolor="none")
left.set(xlabel="recall", ylabel="precision", title=None)
left.legend(loc="lower left", frameon=False)
DetCurveDisplay.from_predictions(truth, timeline["score"], name="seconds", ax=right)
right.plot(norm.ppf(false_alarm_share), norm.ppf(1 - metrics["recall"]), "o", color="#D55E00", markerfacecolor="none")
right.set(xlabel="share of quiet seconds called crying", ylabel="share of crying seconds missed")
right.get_legend().remove()
plt.show()

# %%
# Limit the false alarms
# ----------------------
# ``max_false_alarms`` counts detected events that annotated crying covers by less than half. It learns the lowest
# threshold that does not exceed this number per hour on training infants, each while it is left out. In a quarter of an
# hour, one false alarm is four per hour, so rates between 0 and 4 cannot be distinguished here: learn such a threshold
# from hours of recordings.

from skcry.metrics import event_counts, event_metrics, event_truth

true_events = event_truth(new_annotations)
durations = timeline.groupby("recording").size()
rows = {}
for allowed in (None, 20, 5):
    choice = CryDetector(pipeline, target_duration=None, max_false_alarms=allowed, random_state=0)
    choice.fit(recordings, annotations, groups=infants)
    found = choice.detect(new_recordings)
    rates = event_metrics(event_counts(true_events, found, durations))
    rows["best F1" if allowed is None else f"at most {allowed} per hour"] = {"threshold": choice.threshold_, **rates}
print(pd.DataFrame(rows).T.round(2).to_string())

# %%
# The name of the row is the limit on training infants, the last column the rate on new infants. The rates are close,
# but not guaranteed: infants differ, and a quarter of an hour contains few events.

# %%
# Events one by one
# -----------------
# Detected and missed events of the last detector, which has the highest threshold, in the first four new recordings.
# Look at such a figure before you use a rate: it shows whether missed events are short, and whether false alarms are
# close to crying.

from skcry.plotting import EventMatchDisplay

EventMatchDisplay.from_estimator(choice, new_recordings[:4], new_annotations[:4])
plt.show()
