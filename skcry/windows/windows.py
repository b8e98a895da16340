"""Array-like of windows of sound, which shares the sound of overlapping windows.

Overlapping windows turn one recording into many rows. :class:`Windows` stores each recording once: indexing copies no
sound, and :meth:`Windows.map` computes once per recording. :class:`Windower` makes them, and
:class:`skcry._transformer.SoundTransformer` takes them.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike
from sklearn.utils import gen_batches

from .._similar import similar
from .._typing import Annotations, Labels
from ..events import UNKNOWN, Classes, LabelMap, classify_known
from ..io.audio import DEFAULT_SR
from .display import windows_html
from .stretches import usable_seconds

N_SHOWN = 5  # recordings with faulty annotations that one message lists


class Windows:
    """Windows of recordings: an array-like of shape (n_windows, n_timepoints).

    :class:`Windower` makes it. It supports ``len``, ``shape``, ``ndim``, ``dtype``, iteration, ``np.asarray`` and every
    index of rows (``X[i]``, ``X[index_array]``, ``X[mask]``, ``X[a:b]``, ``X[index, ...]``). An integer gives one
    window as an array, every other index gives ``Windows`` of the same recordings without a copy. A pickle contains
    only the recordings of its rows. Notebooks show a table, and the sound and spectrogram of the first window, so
    ``X[[7]]`` plays window 7.

    Parameters
    ----------
    tracks : sequence of ndarray of shape (..., n_columns)
        One array per recording, time last, with equal leading axes and dtype.
    recording : array-like of int of shape (n_windows,)
        Number of the recording of each window.
    start : array-like of int of shape (n_windows,)
        Start of each window in audio timepoints.
    n_timepoints : int
        Length of a window in audio timepoints.
    sr : int
        Sampling rate of the audio in Hz.
    lengths : array-like of int of shape (n_recordings,) or None, default=None
        Length of each recording in audio timepoints, before any padding. None means the lengths of the tracks.
    groups : array-like of shape (n_recordings,) or None, default=None
        Infant in each recording. None means a group per recording.
    names : sequence of str or None, default=None
        Name of each recording in error messages.

    Attributes
    ----------
    recording, start : ndarray of int of shape (n_windows,)
        Recording and start of each row, as above.
    groups : ndarray of shape (n_windows,)
        Group of each row, for ``cv.split(X, y, X.groups)``.

    See Also
    --------
    Windower : Makes windows from recordings.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import Windower
    >>> X = Windower().fit_transform([np.zeros(16000 * 8), np.zeros(16000 * 6)])
    >>> X
    <Windows: 6 of 5 s from 2 recordings, shape (6, 80000), float64, sr=16000 Hz>
    >>> X[X.recording == 1].times
       recording  start  end
    0          1    0.0  5.0
    1          1    1.0  6.0
    """

    __module__ = "skcry"

    def __init__(
        self,
        tracks: Sequence[np.ndarray],
        recording: ArrayLike,
        start: ArrayLike,
        n_timepoints: int,
        *,
        sr: int,
        lengths: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self._tracks = tuple(_frozen(track) for track in tracks)
        lengths = [track.shape[-1] for track in self._tracks] if lengths is None else lengths
        self._set_rows(recording, start, n_timepoints, sr=sr, lengths=lengths, groups=groups, names=names)
        self._check()

    def _set_rows(self, recording, start, n_timepoints, *, sr, lengths, groups, names):
        """Set all that is known of the windows but their values."""
        self.recording = np.asarray(recording, dtype=np.intp)
        self.start = np.asarray(start, dtype=np.int64)
        self.n_timepoints = operator.index(n_timepoints)
        self.sr = sr
        self.lengths = np.array(lengths, dtype=np.int64)
        self.names = tuple(names if names is not None else (f"recordings[{i}]" for i in range(len(self.lengths))))
        groups = np.arange(len(self.lengths)) if groups is None else np.asarray(groups)
        alike = similar(groups) if groups.dtype.kind in "OUS" else []
        if alike:
            raise ValueError(
                f"groups: {alike[0]} differ only by case, blanks or accents. Give an infant one name, and infants "
                "different names."
            )
        if pd.isna(groups).any():
            raise ValueError("groups has missing values. Pass a group for each recording, or groups=None.")
        if groups.shape != self.lengths.shape:
            raise ValueError(
                f"groups has shape {groups.shape}, but there are {len(self.lengths)} recordings. Pass one group per "
                "recording."
            )
        # Location of the values of each row. It differs from recording and start only after a map window by window.
        self._track = self.recording
        self._column = self.start
        self._n_columns = self.n_timepoints
        self._finish = None
        if self.recording.shape != self.start.shape or self.start.ndim != 1:
            raise ValueError(f"recording {self.recording.shape} and start {self.start.shape} must be 1-D and equal.")
        if self.n_timepoints < 1:
            raise ValueError(f"n_timepoints={self.n_timepoints} must be at least 1.")
        if len(self) and ((self.recording < 0) | (self.recording >= len(self.lengths))).any():
            raise ValueError(f"recording numbers must lie between 0 and {len(self.lengths) - 1}.")
        # Columns from one window of a recording to the next, before any were selected; all if recordings have one.
        order = np.lexsort([self.start, self.recording])
        steps = np.diff(self.start[order])[np.diff(self.recording[order]) == 0]
        self._step = int(np.min(steps, where=steps > 0, initial=self.n_timepoints))
        self.groups = groups[self.recording]

    def _check(self):
        """Raise ValueError if arguments contradict each other or tracks are not finite floats."""
        shapes = {(track.shape[:-1], track.dtype) for track in self._tracks}
        if len(shapes) != 1:
            raise ValueError(f"tracks must have equal leading axes and dtype, got {sorted(map(str, shapes))!s:.150}.")
        if self.dtype.kind != "f":
            raise ValueError(f"tracks must be floating point, got {self.dtype}. A Windower scales integer audio.")
        if not all(np.isfinite(track).all() for track in self._tracks):
            raise ValueError("tracks contain NaN or infinity. Replace them, for example by np.nan_to_num.")
        sizes = np.array([track.shape[-1] for track in self._tracks])
        wrong = (self._column < 0) | (self._column + self._n_columns > sizes[self._track])
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"Window {row} spans timepoints {self.start[row]} to {self.start[row] + self.n_timepoints}, but its "
                f"recording has {sizes[self._track[row]]}. Use a Windower, which pads recordings."
            )

    def _replace(self, **changes):
        """Return a shallow copy with some attributes replaced; sound is shared."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__, **changes)
        return new

    # Interface of an array

    def __len__(self) -> int:
        return len(self.start)

    @property
    def _any_track(self):
        return next(track for track in self._tracks if track is not None)

    def _used_tracks(self):
        """Return the set of numbers of tracks with rows; without rows one of them, for shape and dtype."""
        return set(np.unique(self._track).tolist()) or {next(n for n, t in enumerate(self._tracks) if t is not None)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Tuple ``(n_windows, n_timepoints)``, with leading axes of mapped tracks in between."""
        return (len(self), *self._any_track.shape[:-1], self._n_columns)

    @property
    def ndim(self) -> int:
        """Number of axes: 2 for sound, 3 for spectrograms."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the values."""
        return self._any_track.dtype

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            if len(key) == 0 or any(part is not Ellipsis for part in key[1:]) or key[0] is Ellipsis:
                raise IndexError("Windows index rows only, X[rows] or X[rows, ...]. Use np.asarray(X) for other axes.")
            key = key[0]
        if key is Ellipsis:
            return self
        if isinstance(key, numbers.Integral) and not isinstance(key, (bool, np.bool_)):
            return np.asarray(self[[key]])[0]
        rows = np.arange(len(self))[key if isinstance(key, slice) else _as_index(key)]
        if rows.ndim != 1:
            raise IndexError(f"Windows take a one-dimensional index, got shape {rows.shape}.")
        fields = ("recording", "start", "groups", "_track", "_column")
        return self._replace(**{field: getattr(self, field)[rows] for field in fields})

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Windows cannot be converted to an array without a copy.")
        out = np.empty(self.shape, dtype=self.dtype)
        for window, track, column in zip(out, self._track.tolist(), self._column.tolist(), strict=True):
            window[...] = self._tracks[track][..., column : column + self._n_columns]
        if self._finish is not None and len(self):
            out = self._finish(out)
        return out if dtype is None else out.astype(dtype, copy=False)

    def __getstate__(self):
        used = self._used_tracks()
        tracks = tuple(track if number in used else None for number, track in enumerate(self._tracks))
        return {**self.__dict__, "_tracks": tracks}

    def __setstate__(self, state):
        tracks = (_frozen(track) if isinstance(track, np.ndarray) else track for track in state["_tracks"])
        self.__dict__.update(state, _tracks=tuple(tracks))

    def __sizeof__(self) -> int:
        # Includes the sound that a pickle contains, so that dask sends it to each worker once.
        return object.__sizeof__(self) + sum(self._tracks[number].nbytes for number in self._used_tracks())

    def __repr__(self) -> str:
        n_recordings = len(np.unique(self.recording))
        return (
            f"<Windows: {len(self)} of {self.n_timepoints / self.sr:g} s from {n_recordings} "
            f"recording{'' if n_recordings == 1 else 's'}, shape {self.shape}, {self.dtype}, sr={self.sr} Hz>"
        )

    def _repr_html_(self):
        return windows_html(self)

    # Interface of windows

    @property
    def times(self) -> pd.DataFrame:
        """DataFrame of shape (n_windows, 3): recording, start and end in seconds."""
        start = self.start / self.sr
        return pd.DataFrame({"recording": self.recording, "start": start, "end": start + self.n_timepoints / self.sr})

    def map(
        self, function: Callable[[np.ndarray], np.ndarray], *, frame_length: int = 1, hop_length: int = 1
    ) -> Windows:
        """Apply a function to each recording once, and return windows of the results.

        A window of the result has the columns that are computed from its sound only. If windows do not start at a
        frame, or are shorter than a frame, the function is applied to each window instead, which is slower and gives
        the same values.

        Parameters
        ----------
        function : callable
            Takes an array of shape (..., n_columns) and returns one of shape (..., n_frames), time last, where
            ``n_frames = max(1, 1 + (n_columns - frame_length) // hop_length)``.
        frame_length : int, default=1
            Number of columns from which a column of the result is computed.
        hop_length : int, default=1
            Step in columns between columns of the result.

        Returns
        -------
        Windows
            The same windows of the results.
        """
        aligned = self._n_columns >= frame_length and not (self._column % hop_length).any()
        if len(self) and (self._finish is not None or not aligned):
            # Batches of 10 minutes at the default rate limit the memory of the copies.
            size = max(1, 600 * DEFAULT_SR // self._n_columns)
            results = [function(np.asarray(self[rows])) for rows in gen_batches(len(self), size)]
            tracks = tuple(_frozen(track) for result in results for track in result)
            place = np.arange(len(self))
            n_columns = tracks[0].shape[-1]
            return self._replace(
                _tracks=tracks, _track=place, _column=0 * place, _n_columns=n_columns, _step=n_columns, _finish=None
            )
        if frame_length > 1:
            self = self._spanned()  # nothing before and after the windows matters
        used = self._used_tracks()
        tracks = tuple(_frozen(function(track[..., :])) if n in used else None for n, track in enumerate(self._tracks))
        n_columns = max(1, 1 + (self._n_columns - frame_length) // hop_length)
        column, step = self._column // hop_length, min(n_columns, max(1, self._step // hop_length))
        return self._replace(_tracks=tracks, _column=column, _n_columns=n_columns, _step=step)

    def _spanned(self):
        """Return the same windows of tracks cut to what these windows span. Copies no sound."""
        column, tracks = self._column.copy(), [None] * len(self._tracks)
        for number in self._used_tracks():
            rows = self._track == number
            first, last = (column[rows].min(), column[rows].max()) if rows.any() else (0, 0)
            tracks[number] = self._tracks[number][..., first : last + self._n_columns]
            column[rows] -= first
        return self._replace(_tracks=tuple(tracks), _column=column)

    def each(self, function: Callable[[np.ndarray], np.ndarray]) -> Windows:
        """Apply a function to batches of windows whenever they are converted to an array.

        Parameters
        ----------
        function : callable
            Takes and returns an array of shape (n_windows, ..., n_columns), row by row. It may modify its argument.

        Returns
        -------
        Windows
            The same windows of the same recordings.
        """
        if self._finish is not None:
            raise ValueError("These windows already have a function. Combine both functions into one.")
        return self._replace(_finish=function)

    def tabulate(self, function: Callable[[Windows], np.ndarray], *, remember: bool = True) -> np.ndarray:
        """Compute a table with a row for each window, in bounded memory if the recordings stay in their files.

        Parameters
        ----------
        function : callable
            Takes ``Windows`` whose tracks are in memory, and returns an array of shape (n_windows, ...), row by row.
        remember : bool, default=True
            Whether results for recordings in files may be kept in temporary files, for other calls with the same
            function. It must then depend on nothing that was learned from the recordings.

        Returns
        -------
        ndarray of shape (n_windows, ...)
            Result of ``function`` for all windows.
        """
        return function(self)

    def stored(self) -> Windows:
        """Return these windows so that any of them can be read quickly, as a network that is trained does.

        Returns
        -------
        Windows
            These, if their tracks are in memory. Of recordings in files, the tracks are written to temporary files.
        """
        return self

    def _rows_of_recordings(self):
        """Return pairs of the number of a recording and its rows."""
        order = np.argsort(self.recording, kind="stable")
        numbers, first = np.unique(self.recording[order], return_index=True)
        return list(zip(numbers.tolist(), np.split(order, first[1:]) if len(order) else [], strict=True))

    def _usable(self, number):
        """Tell which seconds (n_seconds,) of a recording of sound are neither silent nor stuck."""
        return usable_seconds(self._tracks[number][..., : self.lengths[number]], self.sr)

    def label(
        self,
        annotations: Sequence[Annotations],
        min_overlap: float = 0.5,
        *,
        positive: Labels | None = ("cry",),
        negative: Labels | None = None,
        ignore: Labels = (UNKNOWN,),
        overlap: Literal["union", "raise"] = "union",
        target_duration: float | None = None,
    ) -> np.ndarray:
        """Compute the label of each window from annotations of the recordings.

        Parameters
        ----------
        annotations : sequence of length n_recordings
            For each recording a DataFrame or list of tuples, see :func:`skcry.events.as_annotations`.
        min_overlap : float, default=0.5
            Smallest share of a window, inside the recording, that its label covers.
        positive, negative : str, tuple of str or None, default=("cry",), None
            See :class:`skcry.events.LabelMap`.
        ignore : str or tuple of str, default=("unknown",)
            Labels of unknown time. Windows in it have no label: select the others by :meth:`known` first.
        overlap : {"union", "raise"}, default="union"
            Whether other labels may overlap those of crying, see :class:`skcry.events.LabelMap`.
        target_duration : float or None, default=None
            Length in seconds of the middle of each window that is labelled; the rest is context. None means the whole
            window.

        Returns
        -------
        ndarray of shape (n_windows,)
            0 and 1, or names of labels with ``positive=None``.

        Raises
        ------
        ValueError
            If annotations are invalid, contradict each other or do not fit the recordings, or if the label of a window
            depends on unknown time.

        Examples
        --------
        >>> import numpy as np
        >>> from skcry import Windower
        >>> X = Windower().fit_transform([np.zeros(16000 * 8)])
        >>> X.label([[(0.0, 3.5, "cry")]])
        array([1, 1, 0, 0])
        """
        label_map = LabelMap(positive, negative, ignore, overlap)
        labels, _, known = self._classify(annotations, min_overlap, label_map, target_duration)
        if not known.all():
            raise ValueError(
                f"{int((~known).sum())} of {len(known)} windows lie in unknown time (labels {label_map.ignore}), so "
                "they have no label. Select the others first: X = X[X.known(annotations)], with the same arguments."
            )
        return labels

    def known(
        self,
        annotations: Sequence[Annotations],
        min_overlap: float = 0.5,
        *,
        positive: Labels | None = ("cry",),
        negative: Labels | None = None,
        ignore: Labels = (UNKNOWN,),
        overlap: Literal["union", "raise"] = "union",
        target_duration: float | None = None,
    ) -> np.ndarray:
        """Find windows whose label does not depend on unknown time.

        Parameters
        ----------
        annotations : sequence of length n_recordings
            See :meth:`label`, as all other parameters.
        min_overlap : float, default=0.5
            Smallest share of a window that its label covers.
        positive, negative : str, tuple of str or None, default=("cry",), None
            See :class:`skcry.events.LabelMap`.
        ignore : str or tuple of str, default=("unknown",)
            Labels of unknown time.
        overlap : {"union", "raise"}, default="union"
            Whether other labels may overlap those of crying.
        target_duration : float or None, default=None
            Length in seconds of the middle of each window that is labelled.

        Returns
        -------
        ndarray of bool of shape (n_windows,)
            False where a window has no label.

        Examples
        --------
        >>> import numpy as np
        >>> from skcry import Windower
        >>> from skcry.events import mark_unknown
        >>> X = Windower().fit_transform([np.zeros(16000 * 8)])
        >>> annotations = [mark_unknown([(0.0, 3.5, "cry")], ranges=[(0, 5)])]
        >>> X.known(annotations)
        array([ True,  True, False, False])
        >>> X[X.known(annotations)].label(annotations)
        array([1, 1])
        """
        return self._classify(
            annotations, min_overlap, LabelMap(positive, negative, ignore, overlap), target_duration
        ).known

    def mixed(
        self,
        annotations: Sequence[Annotations],
        *,
        positive: Labels | None = ("cry",),
        negative: Labels | None = None,
        ignore: Labels = (UNKNOWN,),
        overlap: Literal["union", "raise"] = "union",
        target_duration: float | None = None,
    ) -> np.ndarray:
        """Find windows that hold more than one class. Select the others by ``X[~X.mixed(annotations)]``.

        Parameters
        ----------
        annotations : sequence of length n_recordings
            See :meth:`label`.
        positive, negative : str, tuple of str or None, default=("cry",), None
            See :class:`skcry.events.LabelMap`. Time without annotation is a separate class.
        ignore : str or tuple of str, default=("unknown",)
            Labels of unknown time.
        overlap : {"union", "raise"}, default="union"
            Whether other labels may overlap those of crying.
        target_duration : float or None, default=None
            See :meth:`label`.

        Returns
        -------
        ndarray of bool of shape (n_windows,)
            True where a window holds more than one class.
        """
        return self._classify(annotations, 0.5, LabelMap(positive, negative, ignore, overlap), target_duration).mixed

    def _classify(self, annotations, min_overlap: float, label_map, target_duration):
        """Return the :class:`skcry.events.Classes` of the windows."""
        if not isinstance(min_overlap, numbers.Real) or not 0 < min_overlap <= 1:
            raise ValueError(f"min_overlap={min_overlap!r} must be a share above 0 and up to 1.")
        if not hasattr(annotations, "__len__") or isinstance(annotations, (str, pd.DataFrame)):
            raise TypeError(
                f"annotations must be a list with one table per recording, got {type(annotations).__name__}."
            )
        if len(annotations) != len(self.lengths):
            raise ValueError(
                f"Got annotations of {len(annotations)} recordings, but the windows come from {len(self.lengths)}. "
                "Pass one table per recording, an empty one if nothing was annotated."
            )
        annotations = list(annotations)
        if len(self) == 0:
            return Classes(np.empty(0, dtype=int), np.empty(0, dtype=bool), np.empty(0, dtype=bool))
        parts, faults = [], []
        for number, rows in self._rows_of_recordings():
            length, name = int(self.lengths[number]), f"annotations of {self.names[number]}"
            start, n_timepoints = middle_of(self.start[rows], self.n_timepoints, length, self.sr, target_duration)
            onset, offset, duration = start / self.sr, (start + n_timepoints) / self.sr, length / self.sr
            about = {"min_overlap": min_overlap, "duration": duration, "name": name}
            try:
                parts.append(classify_known(annotations[number], label_map, onset, offset, **about))
            except ValueError as error:
                faults.append(error)
        if len(faults) == 1:
            raise faults[0]
        if faults:
            more = [f"and {len(faults) - N_SHOWN} more recordings."] if len(faults) > N_SHOWN else []
            raise ValueError("\n- ".join(["Faults in annotations:", *map(str, faults[:N_SHOWN]), *more]))
        row_order = np.argsort(np.argsort(self.recording, kind="stable"))
        return Classes(*(np.concatenate(values)[row_order] for values in zip(*parts, strict=True)))


def middle_of(start, n_timepoints, length, sr, target_duration):
    """Return starts (n_windows,) and length of the middle of windows, in timepoints, inside the recording.

    The middle has ``target_duration`` seconds; None means the whole window.
    """
    target = n_timepoints if target_duration is None else round(target_duration * sr)
    if not 1 <= target <= n_timepoints:
        raise ValueError(
            f"target_duration={target_duration} s must be at least one timepoint and at most {n_timepoints / sr:g} s, "
            "the length of the window."
        )
    if target == n_timepoints:
        return start, n_timepoints
    return np.minimum(start + (n_timepoints - target) // 2, np.maximum(start, length - target)), target


def _frozen(track):
    """Return a read-only view of a track, because windows share it."""
    view = np.asarray(track).view()
    view.flags.writeable = False
    return view


def _as_index(key):
    """Convert an index of rows to a boolean or integer array."""
    key = np.asarray(key)
    if key.size == 0 and key.dtype != bool:
        key = key.astype(np.intp)
    return key.reshape(-1) if key.ndim == 0 and key.dtype != bool else key
