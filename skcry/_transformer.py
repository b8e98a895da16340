"""What all transformers of sound share: checked input, one rate, work done once per recording."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import validate_data

from ._base import BaseEstimator
from .io.audio import DEFAULT_SR, as_floating, check_clips
from .windows import Windows


class SoundTransformer(TransformerMixin, BaseEstimator):
    """Base of the transformers that take sound: checks their input and settles their rate.

    A subclass has a parameter ``sr``: None takes the rate from ``Windows`` and 16 kHz for bare arrays.
    """

    def __init_subclass__(cls, auto_wrap_output_keys=None, **kwargs):
        # scikit-learn would turn what `transform` returns into a table wherever set_config asks for tables.
        super().__init_subclass__(auto_wrap_output_keys=auto_wrap_output_keys, **kwargs)

    def _validate_sound(self, X, *, reset):
        """Return ``X`` as ``Windows`` of sound or as a 2-D array of float, one clip per row; set or check ``sr_``."""
        name = type(self).__name__
        if isinstance(X, Windows):
            if X.ndim != 2:
                raise ValueError(
                    f"{name} takes windows of sound, shape (n_windows, n_timepoints), but got shape {X.shape}. Place "
                    "it before the spectrogram."
                )
            check_some(self, X)
            validate_data(self, X, reset=reset, skip_check_array=True)
        else:
            check_clips(X)
            X = np.asarray(X) if isinstance(X, (list, tuple)) else X
            X = validate_data(self, as_floating(X), reset=reset, dtype=(np.float64, np.float32))
        if reset:
            self.sr_ = self._choose_sr(X)
        elif isinstance(X, Windows) and X.sr != self.sr_:
            raise ValueError(f"{name} was fitted at sr={self.sr_} Hz, but these windows have sr={X.sr} Hz. Resample.")
        return X

    def _choose_sr(self, X):
        sr = getattr(X, "sr", None)
        if sr is not None and self.sr is not None and sr != self.sr:
            raise ValueError(
                f"sr={self.sr} Hz contradicts the windows' sr={sr} Hz. Leave sr=None to take the windows' rate, or set "
                "the rate where the windows are made: Windower(sr=...)."
            )
        return sr or self.sr or DEFAULT_SR

    def set_output(self, *, transform: object = None) -> Self:
        """Do nothing: sound and spectrograms stay arrays or ``Windows``, since they are no tables.

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


def check_some(estimator, X):
    """Refuse ``Windows`` without rows, in the words in which scikit-learn refuses such arrays."""
    if len(X) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required by "
            f"{type(estimator).__name__}."
        )


def apply(X, function, *, frame_length=1, hop_length=1):
    """Apply a function over time to recordings of ``Windows`` or to all clips of an array. See :meth:`Windows.map`."""
    if isinstance(X, Windows):
        return X.map(function, frame_length=frame_length, hop_length=hop_length)
    return function(X)
