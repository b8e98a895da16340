"""Cutting of recordings into windows."""

from __future__ import annotations

import contextlib
import numbers
import os
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._base import BaseEstimator
from .._compat import Interval, StrOptions, fit_context
from .._typing import Recordings
from ..io.audio import DEFAULT_SR, AudioFile, as_recordings, in_order, load_recording, name_of, warn_of_rate
from .file_windows import FileWindows, checked, try_files
from .windows import Windows

IN_MEMORY_DURATION = 7200.0  # seconds of sound in files that are loaded: 0.46 GB
LEAST_BYTES = 4000  # per second of sound, to guess the duration of a file that does not tell it


def stays_in_files(X):
    """Tell whether recordings are files with more sound than is loaded at once."""
    total = 0.0
    for path in X:
        if not isinstance(path, (str, os.PathLike)):
            return False
        with contextlib.suppress(OSError), AudioFile(path, sr=None) as file:  # reported when it is read
            total += os.stat(path).st_size / LEAST_BYTES if file.duration is None else file.duration
    return total > IN_MEMORY_DURATION


def validate_recordings(estimator, X, sr, *, reset):
    """Return ``X`` as a list or 2-D array of recordings; check the values of an array at ``fit`` (``reset=True``)."""
    X = as_recordings(X)
    if reset:
        warn_of_rate(X, sr)
        for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit; lists have neither
            estimator.__dict__.pop(name, None)
    if hasattr(X, "shape"):
        X = validate_data(estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False)
        for i, row in enumerate(X if reset else ()):
            load_recording(row, sr, name_of(row, i))
    return X


def duration_to_length(name, duration, sr, *, at_least=1):
    """Return a duration in timepoints; raise ValueError if it is too short."""
    length = round(duration * sr)
    if length < at_least:
        raise ValueError(
            f"{name}={duration} s is {length} timepoints at sr={sr} Hz, but must be at least {at_least}. Use "
            f"{at_least / sr:g} s or more, or pass the true sr."
        )
    return length


class Windower(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Cut recordings into overlapping windows.

    One recording becomes many rows, which share its sound without copies.

    Parameters
    ----------
    window_duration : float, default=5.0
        Length of a window in seconds. Five seconds hold several cries and breaths, and are published for this task (Yao
        et al., 2022).
    hop_duration : float, default=1.0
        Step from one window to the next in seconds.
    sr : int, default=16000
        Sampling rate in Hz. Audio files are resampled to it. Arrays are taken to have it: pass ``(rate, y)`` for an
        array ``y`` of another rate.
    last : {"pad", "drop"}, default="pad"
        Whether the end of a recording that is shorter than a window is padded with zeros or dropped. Recordings shorter
        than one window are always padded.
    channel : int or None, default=None
        Channel of audio files to read, counted from 0. None mixes all channels down. Arrays are mono.

    Attributes
    ----------
    window_length_, hop_length_ : int
        Length and step of windows in timepoints.
    n_features_in_ : int
        Number of timepoints, if recordings were the rows of a 2-D array.

    See Also
    --------
    Windows : Array-like of windows, which it returns.
    CryDetector : Detector that cuts recordings into windows by itself.

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
            The fitted windower itself.
        """
        self._validate(X, reset=True)
        self.window_length_ = duration_to_length("window_duration", self.window_duration, self.sr)
        self.hop_length_ = duration_to_length("hop_duration", self.hop_duration, self.sr)
        return self

    def fit_transform(self, X: Recordings, y: object = None, groups: ArrayLike | None = None) -> Windows:
        """Check the parameters and cut recordings into windows, see :meth:`transform`.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings.
        y : None
            Ignored.
        groups : array-like of shape (n_recordings,) or None, default=None
            Infant in each recording.

        Returns
        -------
        Windows of shape (n_windows, n_timepoints)
            Ordered by recording and time.
        """
        return self.fit(X, y).transform(X, groups=groups)

    def transform(self, X: Recordings, groups: ArrayLike | None = None) -> Windows:
        """Cut recordings into windows.

        Parameters
        ----------
        X : list of ndarray or path, or ndarray of shape (n_recordings, n_timepoints)
            Recordings: 1-D arrays of any lengths at the rate ``sr``, audio files (resampled to ``sr``, mixed down to
            mono), or the rows of a 2-D array. Integer PCM is scaled to [-1, 1]. Also pairs ``(rate, y)`` of a rate in
            Hz and a 1-D array, dictionaries of Hugging Face's ``Audio``, and open binary files, such as ``BytesIO``.
        groups : array-like of shape (n_recordings,), dict or None, default=None
            Infant in each recording, so that cross-validation can keep windows of one infant together. A dict, or a
            Series indexed by names of files, is looked up by name. None means a group per recording.

        Returns
        -------
        Windows of shape (n_windows, n_timepoints)
            Ordered by recording and time. More than two hours of sound in files stay there: the files are read once for
            their lengths, and again in stretches of 20 minutes when the windows are computed. They must not change
            meanwhile.

        Raises
        ------
        ValueError
            If a recording is empty, not mono, or contains NaN or infinity.
        OSError
            If a file is missing or cannot be read as audio.
        """
        check_is_fitted(self, "window_length_")
        X = self._validate(X, reset=False)
        groups = in_order(groups, X, "groups")
        names = [name_of(item, i) for i, item in enumerate(X)]
        if stays_in_files(X):
            for path in X:  # the headers first
                AudioFile(path, self.sr, self.channel).close()
            files = [checked(file) for file in try_files(X, self.sr, self.channel)]
            starts = [self._starts(file.n_timepoints) for file in files]
            recording = np.repeat(np.arange(len(files)), [len(start) for start in starts])
            lengths = self.window_length_, self.hop_length_
            return FileWindows(
                files, recording, np.concatenate(starts), *lengths, sr=self.sr, groups=groups, names=names
            )
        tracks = [load_recording(item, self.sr, name, self.channel) for item, name in zip(X, names, strict=True)]
        starts = [self._starts(len(track)) for track in tracks]
        return self._cut(tracks, starts, groups=groups, names=names)

    def _starts(self, length):
        """Return the starts of the windows (n_windows,) in a recording of ``length`` timepoints."""
        beyond = max(0, length - self.window_length_) / self.hop_length_
        n_windows = 1 + int(np.ceil(beyond) if self.last == "pad" else beyond)
        starts = np.arange(n_windows) * self.hop_length_
        return starts[starts < length]  # for hops longer than a window

    def _starts_in(self, stretch):
        """Return the starts of the windows (n_windows,) of a :class:`Stretch` of a recording."""
        if not stretch.at_end:
            return np.arange(stretch.begin, stretch.end, self.hop_length_)
        start = self._starts(stretch.first + len(stretch.sound))
        return start[start >= stretch.begin]

    def _cut(self, tracks, starts, **about):
        """Make windows at the given starts of each track; pad tracks with zeros to the end of their last window."""
        common = np.result_type(*{track.dtype for track in tracks})
        lengths = [len(track) for track in tracks]
        for i, track in enumerate(tracks):
            missing = (starts[i][-1] if len(starts[i]) else 0) + self.window_length_ - len(track)
            tracks[i] = (np.pad(track, (0, missing)) if missing > 0 else track).astype(common, copy=False)
        recording = np.repeat(np.arange(len(tracks)), [len(start) for start in starts])
        start = np.concatenate(starts)
        return Windows(tracks, recording, start, self.window_length_, sr=self.sr, lengths=lengths, **about)

    def _validate(self, X, *, reset):
        if isinstance(X, Windows):
            raise TypeError("X already is Windows. Pass recordings: a list of 1-D arrays or audio files.")
        return validate_recordings(self, X, self.sr, reset=reset)
