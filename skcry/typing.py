"""Types that annotations share."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

PathLike = str | os.PathLike[str]
Recordings = Sequence[ArrayLike | PathLike] | ArrayLike  # 1-D arrays, audio files, or the rows of a 2-D array
Annotations = pd.DataFrame | Sequence[tuple[Any, ...]]  # of one recording
Targets = Sequence[Any] | np.ndarray | pd.Series  # annotations of each recording, or one label for each
Labels = str | Sequence[str]  # one name or several
RandomState = int | np.random.RandomState | None

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    # scikit-learn has no types, and its decorators would hide those of what they decorate.
    Function = TypeVar("Function", bound=Callable)

    def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Function], Function]:
        """Stand for the decorator of scikit-learn."""
        ...

    def validate_params(constraints: dict, *, prefer_skip_nested_validation: bool) -> Callable[[Function], Function]:
        """Stand for the decorator of scikit-learn."""
        ...
else:
    Axes = Any  # matplotlib is an extra
    from sklearn.base import _fit_context
    from sklearn.utils._param_validation import validate_params

__all__ = [
    "Annotations",
    "Axes",
    "Labels",
    "PathLike",
    "RandomState",
    "Recordings",
    "Targets",
    "_fit_context",
    "validate_params",
]
