"""Types that annotations share."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

PathLike = str | os.PathLike[str]
Recording = ArrayLike | PathLike | tuple[int, ArrayLike] | Mapping[str, Any] | BinaryIO
Recordings = Sequence[Recording] | ArrayLike  # 1-D arrays, audio files, pairs (sr, y), ..., or the rows of a 2-D array
Annotations = pd.DataFrame | Sequence[tuple[Any, ...]]  # of one recording
Targets = Sequence[Any] | np.ndarray | pd.Series  # annotations of each recording, or one label for each
Labels = str | Sequence[str]  # one name or several
RandomState = int | np.random.RandomState | None

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any  # matplotlib is an extra

__all__ = ["Annotations", "Axes", "Labels", "PathLike", "RandomState", "Recordings", "Targets"]
