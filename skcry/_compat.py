"""Private names of other libraries, and names that differ between their versions; no other module uses one.

Each comment says what is public instead, or would have to be.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import sys
from collections.abc import Callable
from importlib import metadata
from types import SimpleNamespace
from typing import TYPE_CHECKING, TypeVar

import sklearn.base

# joblib 1.6 waits forever for a task that killed its dask worker, so tasks are submitted to dask directly. Public
# alternative: none that tells which backend is active; `joblib.effective_n_jobs` tells the number of workers only.
from joblib.parallel import get_active_backend

# Public alternative: none that takes every kind of table.
from sklearn.utils import _safe_indexing as safe_indexing

# Public alternative: none; parameters of third-party estimators cannot be validated (scikit-learn issue 24862).
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

# Public alternative: none.
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

if TYPE_CHECKING:
    # scikit-learn has no types, and its decorators would hide those of what they decorate.
    Function = TypeVar("Function", bound=Callable)

    def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Function], Function]:
        """Stand for the decorator of scikit-learn."""
        ...

    def validate_params(constraints: dict, *, prefer_skip_nested_validation: bool) -> Callable[[Function], Function]:
        """Stand for the decorator of scikit-learn."""
        ...
else:
    # Public alternative: `sklearn.callback.with_callbacks`, without the validation of parameters.
    from sklearn.base import _fit_context as fit_context
    from sklearn.utils._param_validation import validate_params

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class _NoCallbacks:
        """Context of a fit that has no callbacks."""

        def subcontext(self, **kwargs):
            return self

        def call_on_fit_task_begin(self, **kwargs):
            return self

        def call_on_fit_task_end(self, **kwargs):
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in for the one of scikit-learn 1.9."""

        def _init_callback_context(self, **kwargs):
            return _NoCallbacks()


def dask_backend():
    """Return joblib's backend for dask if `joblib.parallel_config` chose it, else None."""
    backend = get_active_backend()[0]
    return backend if hasattr(backend, "client") else None


@contextlib.contextmanager
def fit_callbacks(estimator, X, y, max_subtasks):
    """Call the callbacks of an estimator at the beginning and at the end of its fit; yield the context of the fit."""
    # For developers of estimators part of the public API, says scikit-learn, in spite of its underscore.
    context = estimator._init_callback_context(max_subtasks=max_subtasks)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    yield context
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y)


@contextlib.contextmanager
def task(context, owner, name, estimator):
    """Call callbacks around a part of the fit of ``owner``, in which ``estimator`` is fitted; it calls them as well."""
    from imblearn.pipeline import Pipeline as ResamplingPipeline  # here, since it takes long to import

    context = context.subcontext(task_name=name)
    # imbalanced-learn's pipeline inherits `set_callbacks`, but its `fit` calls none (0.14).
    takes_callbacks = hasattr(estimator, "set_callbacks") and not isinstance(estimator, ResamplingPipeline)
    with context.propagate_callback_context(estimator) if takes_callbacks else contextlib.nullcontext():
        context.call_on_fit_task_begin(estimator=owner)
        yield
        context.call_on_fit_task_end(estimator=owner)


@functools.cache
def documentation_url():
    """Return the URL of the documentation as the metadata of the package have it, or an empty string."""
    try:
        urls = metadata.metadata("skcry").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    return dict(url.split(", ", 1) for url in urls).get("Documentation", "").rstrip("/")


class DisplayedEstimator(sklearn.base.BaseEstimator):
    """Estimator that notebooks show with links to its documentation, and with docstrings as tooltips."""

    # Public alternative: none. The docstring of scikit-learn's mixin tells third parties to override these two.
    _doc_link_module = "skcry"

    @property
    def _doc_link_template(self):
        url = documentation_url()
        return f"{url}/generated/skcry.{{estimator_name}}.html" if url else ""

    # Public alternative: none. scikit-learn shows tooltips only where there is a link.
    def _get_params_html(self, *args, **kwargs):
        return _with_tooltips(super()._get_params_html(*args, **kwargs))

    def _get_fitted_attr_html(self, *args, **kwargs):
        return _with_tooltips(super()._get_fitted_attr_html(*args, **kwargs))


def _with_tooltips(shown):
    shown.doc_link = getattr(shown, "doc_link", "") or "#"
    return shown


class ChainDisplayMixin:
    """Notebooks show the estimator as a chain of its ``_parts``: pairs of name and estimator."""

    _parts: Callable[[], list]

    def _sk_visual_block_(self):
        from sklearn.pipeline import Pipeline  # here, since it takes long to import

        # Public alternative: none; by default parameters that are estimators are shown, side by side and not fitted.
        return Pipeline(self._parts())._sk_visual_block_()


def copy_module(module):
    """Copy a torch module, so that layers of the copy can be replaced; it shares the layers of the module."""
    copied = copy.copy(module)
    copied._modules = dict(module._modules)  # Public alternative: copy.deepcopy, which takes longer.
    return copied


def about_weights(state_dict):
    """Return the dict that torch keeps with the weights of a module; a new one for weights in a plain dict."""
    # Public alternative: hooks of the module, which fail in copies of it once the original is gone.
    return getattr(state_dict, "_metadata", {}).get("", {})


def gate_settings(gate):
    """Return the settings of a gate of noisereduce, which it stores in private attributes; without the underscore."""
    return SimpleNamespace(**{name.lstrip("_"): value for name, value in vars(gate).items()})


# Attributes that only `fit` uses. Public alternative: `set_callbacks()` clears the second, none the first.
FIT_ONLY = ("_metadata_request", "_skl_callbacks")

# What fitted calibrations and searches hold, by module. Public alternative: none, unless skops comes to trust them.
SKLEARN_PARTS = {
    "sklearn.calibration": "_CalibratedClassifier _SigmoidCalibration",
    "sklearn.metrics._scorer": "_CurveScorer _PassthroughScorer _Scorer",
}

__all__ = [
    "FIT_ONLY",
    "SKLEARN_PARTS",
    "CallbackSupportMixin",
    "ChainDisplayMixin",
    "DisplayedEstimator",
    "HasMethods",
    "Interval",
    "StrOptions",
    "about_weights",
    "check_feature_names_in",
    "check_sample_weight",
    "copy_module",
    "dask_backend",
    "fit_callbacks",
    "fit_context",
    "gate_settings",
    "safe_indexing",
    "task",
    "validate_params",
]


def groups_of_caller():
    """Tell whether cross-validation of scikit-learn, in which this runs, splits by groups that it does not pass on.

    Without metadata routing, ``groups`` reach the splitter only. Public alternative: none that an estimator can see, so
    this looks for the local variables of ``cross_validate`` and of searches. A worker process does not have them.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("sklearn.model_selection."):
            if frame.f_locals.get("groups") is not None:
                return True
            splitter = getattr(frame.f_locals.get("routed_params"), "splitter", {})
            if getattr(splitter, "split", {}).get("groups") is not None:
                return True
        frame = frame.f_back
    return False
