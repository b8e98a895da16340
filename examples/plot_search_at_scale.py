"""
A search that does not take all night
=====================================

How do I search many settings on many cores without training each network over and over? Three means, in this order:
keep what was fitted (``memory``), drop bad candidates early (successive halving), and spread the rest over processes
with one thread each (``n_jobs``).
"""

# %%
# Data and pipeline
# -----------------
# A network an eighth as wide as the default, trained for a moment, so that this page builds quickly.

import tempfile
import time

from skcry import Windower, make_cry_pipeline
from skcry.datasets import make_cry_recordings

recordings, annotations, infants = make_cry_recordings(6, duration=30, random_state=0)
X = Windower(hop_duration=2).fit_transform(recordings, groups=infants)
y = X.label(annotations)


def build(memory=None):
    return make_cry_pipeline(memory=memory, random_state=0).set_params(
        features__frames__net__width=0.125,
        features__frames__net__batch_size=16,
        features__frames__net__max_epochs=1,  # so that the number of steps alone says how long training takes
        features__frames__net__min_steps=15,
    )


# %%
# Keep what was fitted
# --------------------
# Four settings of the classifier do not need four trainings of the network before it. With ``memory``, a folder, each
# step of the pipeline is fitted once per split and looked up afterwards, also by other processes and by tomorrow's
# search. Give the network a ``random_state``, or one random training is made permanent.

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
# The more settings of what comes after the network, the greater the difference. Searching the network itself gains
# nothing by this: each candidate is another network.
#
# Drop bad candidates early
# -------------------------
# For those, ``HalvingRandomSearchCV`` trains all of them for a few steps, keeps the better half, and trains that for
# twice as long, and so on. What is doubled, the resource, is the number of training steps.

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
# Two processes that each use all cores get in each other's way. ``inner_max_num_threads=1`` gives every worker one
# thread, and ``n_jobs`` the number of workers; leave a core to yourself on a desktop. The backend is joblib's default,
# ``loky``. With Dask or Ray the same lines run on a cluster: ``parallel_config("dask")`` after a ``Client`` was made,
# or ``parallel_config("ray")`` after ``register_ray()``; then ``memory`` has to be a folder that all machines see.
#
# Where one network fills a GPU, keep ``n_jobs=1``.

from joblib import parallel_config

with parallel_config(backend="loky", n_jobs=2, inner_max_num_threads=1):
    halving.fit(X, y, groups=X.groups)

import pandas as pd

results = pd.DataFrame(halving.cv_results_).rename(columns=lambda name: name.removeprefix("param_" + net))
print(results[["iter", "min_steps", "lr", "dropout", "mean_test_score"]].round(4).to_string(index=False))
print(f"{halving.n_candidates_} candidates for {halving.n_resources_} steps")

# %%
# Six recordings of half a minute and 32 steps of training choose nothing worth having; what they show is the bill: the
# best candidate alone was trained to the end.

folder.cleanup()
