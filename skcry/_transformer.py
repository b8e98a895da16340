"""Base class of the transformers of sound: input checks, sampling rate, computation once per recording."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.utils.validation import validate_data

from ._base import BaseEstimator
from ._compat import fit_context
from .io.audio import DEFAULT_SR, as_floating, check_clips, warn_of_rate
from .windows import Windows


class SoundTransformer(TransformerMixin, BaseEstimator):
    """Base class of transformers that take sound. A subclass has a parameter ``sr``, see :class:`HighPassFilter`."""

    sr_: int

    def __init_subclass__(cls, auto_wrap_output_keys=None, **kwargs):
        # With set_config(transform_output="pandas") scikit-learn would convert sound to a table.
        super().__init_subclass__(auto_wrap_output_keys=auto_wrap_output_keys, **kwargs)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Windows | ArrayLike, y: object = None) -> Self:
        """Check the parameters at the rate of ``X``; nothing is learned from the sound.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_timepoints)
            Sound.
        y : None
            Ignored.

        Returns
        -------
        SoundTransformer
            The fitted transformer itself.

        Raises
        ------
        ValueError
            If the sound is invalid, or a parameter is invalid at its rate.
        """
        self._set_up(self._validate_sound(X, reset=True))
        return self

    def _set_up(self, X):
        """Check the parameters at the rate ``sr_``, and set fitted attributes."""
        raise NotImplementedError

    def _validate_sound(self, X, *, reset):
        """Return ``X`` as ``Windows`` or floats of shape (n_windows, n_timepoints); set or check ``sr_``."""
        name = type(self).__name__
        if isinstance(X, Windows):
            if X.ndim != 2:
                raise ValueError(
                    f"{name} takes windows of sound, shape (n_windows, n_timepoints), got shape {X.shape}. Place it "
                    "before the spectrogram."
                )
            check_some(self, X)
            validate_data(self, X, reset=reset, skip_check_array=True)
        else:
            check_clips(X)
            X = np.asarray(X) if isinstance(X, (list, tuple)) else X
            X = validate_data(self, as_floating(X), reset=reset, dtype=(np.float64, np.float32))
        sr = getattr(X, "sr", None)
        if not reset:
            if sr not in (None, self.sr_):
                raise ValueError(f"{name} was fitted at sr={self.sr_} Hz, but these windows have sr={sr} Hz. Resample.")
        elif None not in (sr, self.sr) and sr != self.sr:
            raise ValueError(
                f"sr={self.sr} Hz contradicts the windows' sr={sr} Hz. Leave sr=None to take the rate of the windows, "
                "or set the rate of the windows: Windower(sr=...)."
            )
        else:
            self.sr_ = sr or self.sr or DEFAULT_SR
            if sr is None and self.sr is None and X.ndim == 2:
                warn_of_rate(X[:1], self.sr_)
        return X

    def set_output(self, *, transform: object = None) -> Self:
        """Do nothing, because sound and spectrograms cannot be tables.

        Parameters
        ----------
        transform : object, default=None
            Ignored.

        Returns
        -------
        SoundTransformer
            Itself.
        """
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def check_some(estimator, X):
    """Raise scikit-learn's error for arrays without rows if ``Windows`` have none."""
    if len(X) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required by "
            f"{type(estimator).__name__}."
        )


def tabulate(X, function, *, remember=True):
    """Return what a function gives for windows, an array with a row per window."""
    return function(X)


def apply(X, function, *, frame_length=1, hop_length=1):
    """Apply a function to each recording of ``Windows``, or to an array of clips at once; see :meth:`Windows.map`."""
    if isinstance(X, Windows):
        return X.map(function, frame_length=frame_length, hop_length=hop_length)
    return function(X)
