"""Cut recordings into windows."""

from __future__ import annotations

import numbers
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._base import BaseEstimator
from .._compat import Interval, StrOptions, fit_context
from .._typing import Recordings
from ..io.audio import DEFAULT_SR, as_recordings, load_recording, name_of
from .windows import Windows


class Windower(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Cut recordings into overlapping windows.

    The first step of everything here: one recording becomes many rows, which share its sound instead of copying it.

    Parameters
    ----------
    window_duration : float, default=5.0
        Length of a window in seconds. Five seconds hold a few cries with the breaths between them and are the
        published choice for this task (Yao et al., 2022).
    hop_duration : float, default=1.0
        Step from one window to the next in seconds.
    sr : int, default=16000
        Sampling rate in Hz: audio files are resampled to it, arrays are taken to have it.
    last : {"pad", "drop"}, default="pad"
        What becomes of a tail that fills no window: completed with zeros, or dropped. A recording shorter than one
        window is padded in either case, never lost.
    channel : int or None, default=None
        Channel of audio files to read, counted from 0. None mixes all of them down. Arrays are mono.

    Attributes
    ----------
    window_length_, hop_length_ : int
        Both durations in timepoints.
    n_features_in_ : int
        Number of timepoints, where the recordings came as a 2-D array.

    See Also
    --------
    Windows : What it makes.
    CryDetector : Cuts, classifies and puts windows together again.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import Windower
    >>> Windower(hop_duration=2.5).fit_transform([np.zeros(16000 * 11)]).times
       recording  start   end
    0          0    0.0   5.0
    1          0    2.5   7.5
    2          0    5.0  10.0
    3          0    7.5  12.5
    """

    __module__ = "skcry"
    _parameter_constraints = {
        "window_duration": [Interval(numbers.Real, 0, None, closed="neither")],
        "hop_duration": [Interval(numbers.Real, 0, None, closed="neither")],
        "sr": [Interval(numbers.Integral, 1, None, closed="left")],
        "last": [StrOptions({"pad", "drop"})],
        "channel": [Interval(numbers.Integral, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        window_duration: float = 5.0,
        hop_duration: float = 1.0,
        *,
        sr: int = DEFAULT_SR,
        last: Literal["pad", "drop"] = "pad",
        channel: int | None = None,
    ) -> None:
        self.window_duration = window_duration
        self.hop_duration = hop_duration
        self.sr = sr
        self.last = last
        self.channel = channel

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Recordings, y: object = None) -> Self:
        """Check the parameters; nothing is learned from the recordings.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings: 1-D arrays of any lengths, audio files, or the rows of a 2-D array.
        y : None
            Ignored.

        Returns
        -------
        Windower
            Itself, fitted.
        """
        X = self._recordings(X)
        for name in ("n_features_in_", "feature_names_in_"):  # lists have neither
            self.__dict__.pop(name, None)
        if hasattr(X, "shape"):
            for i, row in enumerate(validate_data(self, X, reset=True, dtype="numeric", ensure_all_finite=False)):
                load_recording(row, self.sr, name_of(row, i))
        for name in ("window", "hop"):
            duration = getattr(self, f"{name}_duration")
            length = round(duration * self.sr)
            if length < 1:
                raise ValueError(
                    f"{name}_duration={duration} s is shorter than one timepoint at sr={self.sr} Hz. Use at least "
                    f"{1 / self.sr:g} s."
                )
            setattr(self, f"{name}_length_", length)
        return self

    def fit_transform(self, X: Recordings, y: object = None, groups: ArrayLike | None = None) -> Windows:
        """Fit, and cut the same recordings. See :meth:`transform`.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings.
        y : None
            Ignored.
        groups : array-like of shape (n_recordings,) or None, default=None
            Who was recorded.

        Returns
        -------
        Windows of shape (n_windows, n_timepoints)
            In the order of the recordings, and within each in that of time.
        """
        return self.fit(X, y).transform(X, groups=groups)

    def transform(self, X: Recordings, groups: ArrayLike | None = None) -> Windows:
        """Cut recordings into windows.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings: 1-D arrays of any lengths at the rate ``sr``, audio files (resampled to ``sr``, mixed down to
            mono), or the rows of a 2-D array. Integer PCM is scaled to [-1, 1].
        groups : array-like of shape (n_recordings,) or None, default=None
            Who was recorded; windows of one group must not straddle training and test data. None means that every
            recording is a group of its own.

        Returns
        -------
        Windows of shape (n_windows, n_timepoints)
            In the order of the recordings, and within each in that of time.

        Raises
        ------
        ValueError
            If a recording is empty, not mono, or holds NaN or infinite values.
        OSError
            If a file is missing or no audio.
        """
        check_is_fitted(self, "window_length_")
        X = self._recordings(X)
        if hasattr(X, "shape"):
            X = validate_data(self, X, reset=False, dtype="numeric", ensure_all_finite=False)
        names = [name_of(item, i) for i, item in enumerate(X)]
        tracks = [load_recording(item, self.sr, name, self.channel) for item, name in zip(X, names, strict=True)]
        starts = [self._starts(len(track)) for track in tracks]
        return self._cut(tracks, starts, groups=groups, names=names)

    def _starts(self, length):
        """Place the windows of a recording of so many timepoints."""
        beyond = max(0, length - self.window_length_) / self.hop_length_
        n_windows = 1 + int(np.ceil(beyond) if self.last == "pad" else beyond)
        starts = np.arange(n_windows) * self.hop_length_
        return starts[starts < length]  # a hop longer than a window can step over the end

    def _cut(self, tracks, starts, **about):
        """Place windows in recordings, or in stretches of recordings; complete what the last ones lack with zeros."""
        common = np.result_type(*{track.dtype for track in tracks})
        lengths = [len(track) for track in tracks]
        for i, track in enumerate(tracks):
            missing = (starts[i][-1] if len(starts[i]) else 0) + self.window_length_ - len(track)
            tracks[i] = (np.pad(track, (0, missing)) if missing > 0 else track).astype(common, copy=False)
        recording = np.repeat(np.arange(len(tracks)), [len(start) for start in starts])
        start = np.concatenate(starts)
        return Windows(tracks, recording, start, self.window_length_, sr=self.sr, lengths=lengths, **about)

    @staticmethod
    def _recordings(X):
        if isinstance(X, Windows):
            raise TypeError("X already is Windows; a Windower takes recordings: a list of 1-D arrays or audio files.")
        return as_recordings(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags
