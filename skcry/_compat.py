"""Names of other libraries that are private or differ between versions; no other module imports one.

Each line says which public name replaces it when there is one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

# joblib 1.6 waits forever for a task that killed its dask worker, so tasks are submitted to dask directly. Public
# alternative: none that tells which backend is active; `joblib.effective_n_jobs` tells the number of workers only.
from joblib.parallel import get_active_backend

# Public alternative: none that checks matplotlib with scikit-learn's message.
from sklearn.utils._optional_dependencies import check_matplotlib_support

# scikit-learn's developer guide has no public validation of parameters yet (scikit-learn issue 24862).
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

# For input that is no array (`Windows`), where `validate_data` does not apply.
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_n_features as check_n_features

# Public alternative: none; `check_X_y` also checks X.
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _check_y as check_y

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
    from sklearn.base import _fit_context as fit_context
    from sklearn.utils._param_validation import validate_params

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class _Unheard:
        """Tasks that no callback is told of."""

        def subcontext(self, **about):
            return self

        def call_on_fit_task_begin(self, **about):
            return self

        def call_on_fit_task_end(self, **about):
            return False

        def propagate_callback_context(self, estimator):
            return contextlib.nullcontext()

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in for the one of scikit-learn 1.9."""

        def _init_callback_context(self, **about):
            return _Unheard()


def dask_backend():
    """Return joblib's backend for dask if `joblib.parallel_config` chose it, else None."""
    backend = get_active_backend()[0]
    return backend if hasattr(backend, "client") else None


@contextlib.contextmanager
def task(parent, owner, name, estimator=None):
    """Tell callbacks of a part of a fit; an estimator that is fitted within tells of its own parts below it.

    Parameters
    ----------
    parent : CallbackContext
        Of the fit.
    owner : estimator
        Whose fit it is.
    name : str
        Name of the part.
    estimator : estimator or None, default=None
        What is fitted within.
    """
    from imblearn.pipeline import Pipeline  # here, since it takes long to import

    context = parent.subcontext(task_name=name)
    # imbalanced-learn's pipeline inherits `set_callbacks`, but its `fit` calls none (0.14).
    hands_on = hasattr(estimator, "set_callbacks") and not isinstance(estimator, Pipeline)
    with context.propagate_callback_context(estimator) if hands_on else contextlib.nullcontext():
        context.call_on_fit_task_begin(estimator=owner)
        yield
        context.call_on_fit_task_end(estimator=owner)


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_feature_names",
    "check_feature_names_in",
    "check_matplotlib_support",
    "check_n_features",
    "check_sample_weight",
    "check_y",
    "dask_backend",
    "fit_context",
    "task",
    "validate_params",
]
