"""What all estimators here share: links and tooltips in notebooks, and a version in what they leave behind."""

import functools
import platform
from importlib import metadata

import sklearn.base

from . import __version__
from ._warnings import warn

LIBRARIES = ("scikit-learn", "imbalanced-learn", "skorch", "torch", "numpy", "scipy", "librosa")


@functools.cache
def documentation_url():
    """Where the package says that its documentation is, or an empty string."""
    try:
        urls = metadata.metadata("skcry").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    return named.get("Documentation", "").rstrip("/")


def library_versions():
    """Versions of what results may hang on.

    Returns
    -------
    dict of str to str
    """
    found = {name: metadata.version(name) for name in LIBRARIES}
    return {"skcry": __version__, **found, "python": platform.python_version()}


class BaseEstimator(sklearn.base.BaseEstimator):
    """Base of all estimators."""

    _doc_link_module = "skcry"

    @property
    def _doc_link_template(self):
        url = documentation_url()
        return f"{url}/generated/skcry.{{estimator_name}}.html" if url else ""

    def _get_params_html(self, deep=True, doc_link=None):
        # scikit-learn shows no tooltip where there is no link; before 1.8 it knew neither.
        return super()._get_params_html(deep, *([] if doc_link is None else [doc_link or "#"]))

    def _get_fitted_attr_html(self, doc_link=""):
        return super()._get_fitted_attr_html(doc_link or "#")

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
