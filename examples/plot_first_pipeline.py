"""
A first pipeline: from recordings to a cross-validated score
============================================================

How well does a detector do on infants that it has never heard? Four steps answer that: cut recordings into windows,
label the windows, build a pipeline, cross-validate it by infant. Rows are windows here, so every tool of scikit-learn
fits; nothing of this needs a network, and all of it runs in seconds.
"""

# %%
# Recordings and annotations
# --------------------------
# Twelve synthetic recordings of a minute, two of each of six infants. An annotation says from when to when the infant
# cried, in seconds. For your own folder of recordings, :func:`skcry.datasets.load_annotated` gives the same three.

from skcry.datasets import make_cry_recordings

recordings, annotations, infants = make_cry_recordings(12, duration=60, random_state=0)
print(f"{len(recordings)} recordings, {len(recordings[0]) / 16000:.0f} s each; the first one cries here:")
print(annotations[0])

# %%
# Windows
# -------
# A row of ``X`` is a window of sound: 5 seconds, one starting each second. ``X`` looks like an array of shape
# (n_windows, n_timepoints), but holds each recording once, so overlapping windows cost no memory.

from skcry import Windower

X = Windower(window_duration=5, hop_duration=1).fit_transform(recordings, groups=infants)
print(X)

# %%
# ``X.label`` turns annotations into one label per row: 1 where crying covers at least half of the window. Rows remember
# whose they are, in ``X.groups``.

y = X.label(annotations)
print(f"{y.mean():.0%} of {len(y)} windows are crying; the infants are {set(X.groups.tolist())}")

# %%
# A pipeline
# ----------
# ``make_cry_pipeline(features="stats")`` describes each window by statistics of classic features (cepstrum, chroma,
# spectral contrast), scales them, balances the classes and ends in an ``SVC``. Without ``features`` a small network
# comes in their place, which is better on real sound and slower to train.

from skcry import make_cry_pipeline

pipeline = make_cry_pipeline(features="stats", random_state=0)
pipeline

# %%
# Cross-validation by infant
# --------------------------
# Each infant is left out in turn. The score is average precision: 1 when every crying window is ranked above every
# other one, and the share of crying windows when the ranking is random.

import numpy as np
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score

scores = cross_val_score(
    pipeline, X, y, groups=X.groups, cv=LeaveOneGroupOut(), scoring="average_precision", error_score="raise"
)
print(f"Average precision on left-out infants: {scores.mean():.2f}, from {scores.min():.2f} to {scores.max():.2f}")

# %%
# The mean hides how much infants, and homes, differ. Show every one of them, and chance:

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
# Six synthetic infants say how the tools work, and nothing about accuracy in real homes. With your own recordings the
# lines above stay the same. Next: :ref:`sphx_glr_auto_examples_plot_choosing_parameters.py`.
