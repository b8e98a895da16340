"""
Choosing parameters without leakage
===================================

Which settings are best, and how accurate is the best one on new infants? Overlapping windows of one recording are
almost identical. If they are split at random, a search is tested on its training data. This example searches the same
grid in three ways (split by windows, split by infant, and nested), and compares the results with scores on new infants.
"""

# %%
# Data
# ----
# Eight infants for the searches, and eight new ones for the comparison. The features of a window depend only on its
# sound (and, through the high-pass filter, on the moment before it), so they are computed once, before all splits.
# Scaling is fitted on rows, so it stays inside the pipeline.

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skcry import HighPassFilter, StatFeatures, Windower
from skcry.datasets import make_cry_recordings


def make_features(random_state):
    recordings, annotations, infants = make_cry_recordings(16, duration=30, random_state=random_state)
    windows = Windower().fit_transform(recordings, groups=infants)
    features = make_pipeline(HighPassFilter(), StatFeatures()).fit_transform(windows)
    return features, windows.label(annotations), windows.groups


X, y, infants = make_features(random_state=3)
X_new, y_new, infants_new = make_features(random_state=1)
print(f"{len(X)} windows of {len(set(infants.tolist()))} infants, {X.shape[1]} features each")

# %%
# Two searches over one grid
# --------------------------
# They differ only in ``cv``. ``StratifiedKFold`` assigns windows at random; ``StratifiedGroupKFold`` keeps all windows
# of an infant on one side.

from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold, cross_val_score

pipeline = make_pipeline(StandardScaler(), SVC(class_weight="balanced"))
grid = {"svc__C": [0.1, 1, 10], "svc__gamma": [1e-4, 1e-3, 1e-2]}
by_windows = StratifiedKFold(4, shuffle=True, random_state=0)
by_infant = StratifiedGroupKFold(4, shuffle=True, random_state=0)

leaky = GridSearchCV(pipeline, grid, cv=by_windows, scoring="average_precision").fit(X, y)
grouped = GridSearchCV(pipeline, grid, cv=by_infant, scoring="average_precision").fit(X, y, groups=infants)
for name, search in (("by windows", leaky), ("by infant", grouped)):
    print(f"split {name}: {search.best_params_}, score {search.best_score_:.2f}")

# %%
# Nested cross-validation
# -----------------------
# The best of nine scores is slightly optimistic, because it was chosen for being the highest. Nested cross-validation
# scores the whole search: an outer split leaves infants out, and the search sees only the others. Metadata routing
# passes the infants to the inner search.

from sklearn import config_context

with config_context(enable_metadata_routing=True):
    nested = cross_val_score(
        GridSearchCV(pipeline, grid, cv=by_infant, scoring="average_precision"),
        X,
        y,
        params={"groups": infants},
        cv=by_infant,
        scoring="average_precision",
        error_score="raise",
    )
print(f"nested: {nested.mean():.2f}, outer folds {nested.round(2).tolist()}")

# %%
# Scores on new infants
# ---------------------
# The new infants are scored like the folds, two at a time.

from sklearn.metrics import average_precision_score


def score_on_new_infants(search):
    pairs = [infants_new // 2 == number for number in range(4)]
    return np.mean([average_precision_score(y_new[rows], search.decision_function(X_new[rows])) for rows in pairs])


estimated = {"split by windows": leaky.best_score_, "split by infant": grouped.best_score_, "nested": nested.mean()}
actual = {"split by windows": score_on_new_infants(leaky), "split by infant": score_on_new_infants(grouped)}
actual["nested"] = actual["split by infant"]  # the same search, with another estimate of its score
for name in estimated:
    print(f"{name:17} estimated {estimated[name]:.2f}, on new infants {actual[name]:.2f}")

# %%

import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
place = np.arange(len(estimated))[::-1]
axis.hlines(place, list(actual.values()), list(estimated.values()), color="0.7", linewidth=3, zorder=1)
axis.scatter(list(estimated.values()), place, s=70, color="#D55E00", label="estimated by the search")
axis.scatter(list(actual.values()), place, s=70, color="#0072B2", label="on eight new infants")
axis.set(yticks=place, yticklabels=list(estimated), xlabel="average precision per window", ylim=(-0.5, 2.5))
axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
plt.show()

# %%
# The estimate of the split by windows is far too high. The other two estimate the score on new infants; with only eight
# infants they can be too high or too low. With six sets of eight infants (``random_state`` from 0 to 5), the split by
# windows estimated 0.94 to 0.98, and its settings had 0.77 to 0.85 on the infants of the other sets. The split by
# infant estimated 0.78 to 0.94 and had 0.74 to 0.86. So the leak distorts the score more than the choice of settings.
# Do not compare kinds of models by such scores either: they favour the model that overfits more.
#
# :class:`skcry.CryDetector` makes all its splits by group: for its threshold, for early stopping, and for a search
# inside it.
