"""
Replacing the classifier or the features
========================================

Which parts of the pipeline can be replaced? Each step is a scikit-learn estimator and can be replaced by another one:
the classifier, or the features, including your own. This example compares five pipelines by cross-validation over
infants.
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
# The classifier is the first argument. ``resample`` chooses how the classes are balanced: by SMOTE, by leaving out rows
# of the frequent class (``"under"``), or by weights (``"weight"``), if the classifier has ``class_weight``.

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
# Your own transformer
# --------------------
# The step ``features`` can be any transformer from windows to features. Here it computes quantiles of the level of each
# of 32 bands. The ``FeatureUnion`` can combine several families of features. It is also needed here because a pipeline
# of imbalanced-learn does not accept another pipeline as a step.

from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer


def level_quantiles(spectrograms, batch_size=256):
    """Quantiles of the level of each band over frames, at 10, 50 and 90 %: (n_windows, 3 * n_mels)."""
    rows = []
    for first in range(0, len(spectrograms), batch_size):
        batch = np.asarray(spectrograms[first : first + batch_size])
        rows.append(np.concatenate(np.quantile(batch, [0.1, 0.5, 0.9], axis=2), axis=1))
    return np.concatenate(rows)


own = FeatureUnion(
    [("levels", make_pipeline(MelSpectrogram(n_mels=32, fmin=200, fmax=4000), FunctionTransformer(level_quantiles)))]
)
pipelines["own features, SVC"] = make_cry_pipeline(features="stats", random_state=0).set_params(features=own)

# %%
# Embeddings of a network
# -----------------------
# ``features="pretrained"``, the default, uses the embeddings of the network that ships with skcry. ``"frames"`` trains
# a small network and uses its embeddings, ``"embedding"`` does so with the published AlexNet, ``"wav2vec2"`` is a large
# model of speech, and ``("pretrained", "stats")`` combines two families. Here the trained network has a quarter of the
# default width, and is trained for a few steps.

pipelines["pretrained network, SVC"] = make_cry_pipeline(random_state=0)
pipelines["trained network, SVC"] = make_cry_pipeline(features="frames", random_state=0).set_params(
    features__frames__net__width=0.25, features__frames__net__max_epochs=1, features__frames__net__min_steps=30
)

# %%
# Cross-validation by infant
# --------------------------

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
# Folds of two infants differ more than most of the means. These scores therefore do not show which pipeline is best,
# and the network was trained for seconds on synthetic sound. Each replacement took only a line or two. Pass the
# pipeline of your choice to a detector: ``CryDetector(pipelines["own features, SVC"])``.
