"""
A first pipeline: from recordings to a cross-validated score
============================================================

How accurate is a pipeline on infants that are not in its training data? This example cuts recordings into windows,
labels the windows, builds a pipeline, and cross-validates it by infant. Rows are windows, so all tools of scikit-learn
apply. It uses no network and runs in seconds.
"""

# %%
# Recordings and annotations
# --------------------------
# Twelve synthetic recordings of a minute, two of each of six infants. Annotations give onset and offset of crying in
# seconds. For a folder of your own recordings, :func:`skcry.datasets.load_annotated` returns the same three lists.

from skcry.datasets import make_cry_recordings

recordings, annotations, infants = make_cry_recordings(12, duration=60, random_state=0)
print(f"{len(recordings)} recordings, {len(recordings[0]) / 16000:.0f} s each; annotations of the first one:")
print(annotations[0])

# %%
# Windows
# -------
# A row of ``X`` is a window of sound: 5 seconds, one starting each second. ``X`` has the interface of an array of shape
# (n_windows, n_timepoints), but stores each recording once, so overlapping windows need no extra memory.

from skcry import Windower

X = Windower(window_duration=5, hop_duration=1).fit_transform(recordings, groups=infants)
print(X)

# %%
# ``X.label`` turns annotations into one label per row: 1 if crying covers at least half of the window. ``X.groups``
# holds the infant of each row.

y = X.label(annotations)
print(f"{y.mean():.0%} of {len(y)} windows are crying; the infants are {set(X.groups.tolist())}")

# %%
# A pipeline
# ----------
# ``make_cry_pipeline(features="stats")`` computes statistics of classic features (cepstrum, chroma, spectral contrast)
# for each window, scales them, balances the classes and ends in an ``SVC``. The default features are those of a small
# network, which is more accurate on real sound and slower to train.

from skcry import make_cry_pipeline

pipeline = make_cry_pipeline(features="stats", random_state=0)
pipeline

# %%
# Cross-validation by infant
# --------------------------
# Each infant is left out in turn. The score is average precision: 1 if every crying window is ranked above every other
# one, and the share of crying windows if the ranking is random.

import numpy as np
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score

scores = cross_val_score(
    pipeline, X, y, groups=X.groups, cv=LeaveOneGroupOut(), scoring="average_precision", error_score="raise"
)
print(f"Average precision on left-out infants: {scores.mean():.2f}, from {scores.min():.2f} to {scores.max():.2f}")

# %%
# The mean hides the differences between infants and homes. The figure shows each infant, and chance:

import matplotlib.pyplot as plt

names = np.unique(X.groups)
chance = [y[X.groups == name].mean() for name in names]

figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
axis.bar(names, scores, width=0.6, color="#0072B2", label="pipeline")
axis.hlines(chance, names - 0.3, names + 0.3, color="#D55E00", linewidth=2, label="chance: share of crying windows")
axis.axhline(scores.mean(), color="black", linestyle=":", label="mean of the pipeline")
axis.set(xlabel="infant left out", ylabel="average precision", ylim=(0, 1), xticks=names)
axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
plt.show()

# %%
# These scores of six synthetic infants do not predict accuracy in real homes. With your own recordings the code stays
# the same. Next: :ref:`sphx_glr_auto_examples_plot_choosing_parameters.py`.
