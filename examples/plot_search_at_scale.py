"""
Faster searches
===============

How can a search over many settings avoid repeated training of the network? This example uses three means: cache fitted
steps (``memory``), drop bad candidates early (successive halving), and use several processes with one thread each
(``n_jobs``).
"""

# %%
# Data and pipeline
# -----------------
# ``features="frames"`` trains a network on the recordings. Here it has an eighth of the default width and is trained
# for a few steps, so that this page builds quickly.

import tempfile
import time

from skcry import Windower, make_cry_pipeline
from skcry.datasets import make_cry_recordings

recordings, annotations, infants = make_cry_recordings(6, duration=30, random_state=0)
X = Windower(hop_duration=2).fit_transform(recordings, groups=infants)
y = X.label(annotations)


def build(memory=None):
    return make_cry_pipeline(features="frames", memory=memory, random_state=0).set_params(
        features__frames__net__width=0.125,
        features__frames__net__batch_size=16,
        features__frames__net__max_epochs=1,  # so that only min_steps determines the length of training
        features__frames__net__min_steps=15,
    )


# %%
# Cache fitted steps
# ------------------
# Four settings of the classifier do not need four trainings of the network. With ``memory``, a folder, each step of the
# pipeline is fitted once per split. Other processes and later searches use the same cache. Give the network a
# ``random_state``; otherwise the cache stores the result of one random training.

from sklearn.model_selection import GridSearchCV, GroupKFold

folder = tempfile.TemporaryDirectory()
grid = {"classify__C": [1e-4, 3e-4, 1e-3, 3e-3]}
took = {}
for name, memory in (("without memory", None), ("with memory", folder.name)):
    began = time.perf_counter()
    search = GridSearchCV(build(memory), grid, cv=GroupKFold(2), scoring="average_precision", error_score="raise")
    search.fit(X, y, groups=X.groups)
    took[name] = time.perf_counter() - began
    print(f"{name}: {took[name]:.1f} s, best {search.best_params_}")

# %%

import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(6, 1.6), layout="constrained")
bars = axis.barh(list(took), list(took.values()), color=["0.6", "#0072B2"])
axis.bar_label(bars, fmt="%.1f s", padding=3)
axis.set(xlabel="time of a search over four settings, two splits", xmargin=0.15)
plt.show()

# %%
# The gain grows with the number of settings of the steps after the network. A search over settings of the network
# itself gains nothing, because each candidate is another network.
#
# Drop bad candidates early
# -------------------------
# For settings of the network, use ``HalvingRandomSearchCV``. It trains all candidates for a few steps, keeps the better
# half, trains these for twice as many steps, and so on. The resource is the number of training steps.

from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV

net = "features__frames__net__"
halving = HalvingRandomSearchCV(
    build(),
    {net + "lr": loguniform(3e-4, 1e-2), net + "dropout": [0.0, 0.2, 0.4]},
    resource=net + "min_steps",
    n_candidates=4,
    min_resources=8,
    max_resources=32,
    factor=2,
    cv=GroupKFold(2),
    scoring="average_precision",
    random_state=0,
    error_score="raise",
)

# %%
# One thread per worker
# ---------------------
# Processes that each use all cores slow each other down. ``inner_max_num_threads=1`` gives each worker one thread, and
# ``n_jobs`` sets the number of workers; leave one core free on a desktop. The backend is joblib's default, ``loky``.
# With Dask or Ray the same code runs on a cluster: ``parallel_config("dask")`` after creating a ``Client``, or
# ``parallel_config("ray")`` after ``register_ray()``. ``memory`` must then be a folder that all machines share.
#
# If one network uses the whole GPU, keep ``n_jobs=1``.

from joblib import parallel_config

with parallel_config(backend="loky", n_jobs=2, inner_max_num_threads=1):
    halving.fit(X, y, groups=X.groups)

import pandas as pd

results = pd.DataFrame(halving.cv_results_).rename(columns=lambda name: name.removeprefix("param_" + net))
print(results[["iter", "min_steps", "lr", "dropout", "mean_test_score"]].round(4).to_string(index=False))
print(f"{halving.n_candidates_} candidates for {halving.n_resources_} steps")

# %%
# Six recordings of half a minute and 32 training steps are too few to choose a good setting. The table shows the cost:
# only the best candidate was trained for the full number of steps.

folder.cleanup()
