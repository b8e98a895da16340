"""
Swapping the classifier, or what it hears
=========================================

Which parts can be replaced, and by what? Every step of the pipeline is a scikit-learn estimator, so any can be another
one: a different classifier at the end, or a different description of sound, your own included. Five pipelines, one
cross-validation by infant.
"""

# %%
# Data
# ----

import numpy as np

from skcry import MelSpectrogram, Windower, make_cry_pipeline
from skcry.datasets import make_cry_recordings

recordings, annotations, infants = make_cry_recordings(12, duration=30, random_state=2)
X = Windower().fit_transform(recordings, groups=infants)
y = X.label(annotations)

# %%
# Another classifier
# ------------------
# The last step is the first argument. ``resample`` says how the rare class is made up for: by SMOTE, by leaving out
# rows of the frequent one (``"under"``), or by weights, where the classifier knows them.

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

pipelines = {
    "statistics, SVC": make_cry_pipeline(features="stats", random_state=0),
    "statistics, logistic regression": make_cry_pipeline(
        LogisticRegression(C=0.01, max_iter=1000), features="stats", resample="weight"
    ),
    "statistics, gradient boosting": make_cry_pipeline(
        HistGradientBoostingClassifier(max_iter=50, random_state=0), features="stats", resample=None
    ),
}

# %%
# A transformer of your own
# -------------------------
# What takes windows and gives numbers may stand in the step ``features``. Here: how loud each of 32 bands is in its
# quiet, usual and loud moments. A ``FeatureUnion`` around it lets several descriptions stand side by side, and is
# needed for a chain of two steps, which a pipeline of imbalanced-learn does not take as a step of its own.

from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer


def loudness_profile(spectrograms, batch_size=256):
    """Levels of each band that 10, 50 and 90 % of the frames stay below: (n_windows, 3 * n_mels)."""
    rows = []
    for first in range(0, len(spectrograms), batch_size):
        batch = np.asarray(spectrograms[first : first + batch_size])
        rows.append(np.concatenate(np.quantile(batch, [0.1, 0.5, 0.9], axis=2), axis=1))
    return np.concatenate(rows)


own = FeatureUnion(
    [("profile", make_pipeline(MelSpectrogram(n_mels=32, fmin=200, fmax=4000), FunctionTransformer(loudness_profile)))]
)
pipelines["own profile, SVC"] = make_cry_pipeline(features="stats", random_state=0).set_params(features=own)

# %%
# Another embedding
# -----------------
# ``features="frames"``, the default, trains a small network and describes each window by what its last layer says;
# ``"embedding"`` is the published AlexNet, ``"wav2vec2"`` a large model of speech, and ``("frames", "stats")`` puts two
# side by side. Here a network a quarter as wide, trained for a moment.

pipelines["network, SVC"] = make_cry_pipeline(random_state=0).set_params(
    features__frames__net__width=0.25, features__frames__net__max_epochs=1, features__frames__net__min_steps=30
)

# %%
# All of them, infant by infant
# -----------------------------

import time

from sklearn.model_selection import GroupKFold, cross_val_score

scores = {}
for name, pipeline in pipelines.items():
    began = time.perf_counter()
    scores[name] = cross_val_score(
        pipeline, X, y, groups=X.groups, cv=GroupKFold(3), scoring="average_precision", error_score="raise"
    )
    took = time.perf_counter() - began
    print(f"{name:32} {scores[name].mean():.2f}, folds {scores[name].round(2).tolist()}, {took:.0f} s")

# %%

import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
place = np.arange(len(scores))[::-1]
for row, folds in zip(place, scores.values(), strict=True):
    axis.scatter(folds, np.full(len(folds), row), s=25, color="0.6")
    axis.scatter(folds.mean(), row, s=70, color="#0072B2", zorder=2)
axis.axvline(y.mean(), color="#D55E00", linestyle=":")
axis.text(y.mean() + 0.01, place[0], "chance", color="#D55E00", va="center")
axis.set(yticks=place, yticklabels=list(scores), xlabel="average precision: mean (blue), folds (grey)", xlim=(0, 1))
plt.show()

# %%
# Folds of two infants each lie further apart than most of the means do: nothing here says which pipeline is best, least
# of all for a network trained for seconds on synthetic sound. What this example is about is that each took a line or
# two. Whatever you choose goes into a detector: ``CryDetector(pipelines["own profile, SVC"])``.
