"""Base of all estimators, and the versions that they were made with."""

import platform
from importlib import metadata

from . import __version__
from ._compat import DisplayedEstimator
from ._warnings import warn

LIBRARIES = ("scikit-learn", "imbalanced-learn", "skorch", "torch", "numpy", "scipy", "librosa")


def library_versions():
    """Return a dict of the versions that results may depend on, by name."""
    found = {name: metadata.version(name) for name in LIBRARIES}
    return {"skcry": __version__, **found, "python": platform.python_version()}


class BaseEstimator(DisplayedEstimator):
    """Base of all estimators: shown in notebooks with tooltips, pickled with the version of skcry."""

    def __getstate__(self):
        return {**super().__getstate__(), "_skcry_version": __version__}

    def __setstate__(self, state):
        version = state.get("_skcry_version", __version__)
        if version != __version__:
            warn(
                f"This {type(self).__name__} was saved by skcry {version} and is loaded by {__version__}: it may fail, "
                "or predict something else. Load it with the version that saved it, or fit it again."
            )
        super().__setstate__({name: value for name, value in state.items() if name != "_skcry_version"})
