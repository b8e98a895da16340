"""Mini-batches for the networks, and the split into training and validation rows."""

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import gen_batches

from ..windows import Windows

LABEL_BATCH = 4096  # windows whose labels are looked up at a time


def as_images(X, dtype=np.float32):
    """Return rows of 1 or 2 dimensions as a tensor (n_windows, 1, n_mels, n_frames); features become bands."""
    X = np.ascontiguousarray(X, dtype=dtype)
    return torch.as_tensor(X.reshape(len(X), 1, X.shape[1], -1))


def step_of(X):
    """Return the step in columns between windows of a recording, their length where recordings have one window."""
    return X._step if isinstance(X, Windows) else X.shape[-1]


def spread(rows, n_rows):
    """Return at most this number of rows, evenly spaced."""
    return rows if len(rows) <= n_rows else rows[np.linspace(0, len(rows) - 1, n_rows).astype(int)]


class WeightedSampler(torch.utils.data.Sampler):
    """Draw rows at random with replacement, each with a probability in proportion to its weight.

    Draws the same as torch's ``WeightedRandomSampler``, which takes at most 2**24 rows.
    """

    def __init__(self, weight, n_draws):
        share = torch.cumsum(weight, 0)
        self.share, self.n_draws = share / share[-1], n_draws

    def __len__(self):
        return self.n_draws

    def __iter__(self):
        return iter(torch.searchsorted(self.share, torch.rand(self.n_draws, dtype=torch.float64)).tolist())


class SpectrogramDataset(torch.utils.data.Dataset):
    """Mini-batches of some rows of spectrograms ``X`` (n_windows, ...), with class numbers ``y`` (n_windows,).

    They are read on demand and standardised. ``augment``, if given, is applied to each batch of images.
    """

    def __init__(self, X, y, rows, mean, scale, augment=None):
        self.X, self.y, self.rows, self.mean, self.scale, self.augment = X, y, rows, mean, scale, augment

    def __len__(self):
        return len(self.rows)

    def __getitems__(self, places):
        rows = self.rows[places]
        images = (as_images(self.X[rows]) - self.mean) / self.scale
        return (images if self.augment is None else self.augment(images)), torch.as_tensor(self.y[rows])

    def __getitem__(self, row):
        images, y = self.__getitems__([row])
        return images[0], y[0]


class FrameDataset(torch.utils.data.Dataset):
    """Mini-batches of windows with a label for each stretch of frames.

    Spectrograms ``X`` (n_windows, ...) in decibels with class numbers ``y`` (n_windows,) are mixed, standardised and
    masked. The label of a window belongs to its middle, the frames from one window to the next: ``step`` frames, the
    share ``middle`` of a window. A stretch has the label of its middle frame, ``centres``; None means stretches of 16
    frames.
    """

    def __init__(self, X, y, mean, scale, mix, mask, centres=None):
        self.X, self.y, self.mean, self.scale, self.mix, self.mask = X, y, mean, scale, mix, mask
        self.n_frames = X.shape[2] if len(X.shape) == 3 else 1
        if centres is None:
            n_stretches = max(self.n_frames, 16) // 16
            centres = ((np.arange(n_stretches) + 0.5) * self.n_frames / n_stretches).astype(int)
        self.centres = centres
        self.is_windows = isinstance(X, Windows)
        step = min(step_of(X), self.n_frames)
        self.middle, self.step = step / self.n_frames, step
        # `labels` has one label per frame, of all recordings in turn; -1 if unknown. A recording has its first label at
        # `begin` and its last window starts `last` frames later.
        rows = np.arange(len(y))
        track, column = self._place(rows)
        self.last = np.full(track.max() + 1, -self.n_frames)
        np.maximum.at(self.last, track, column)
        ends = np.cumsum(self.last + self.n_frames)
        self.begin = ends - self.last - self.n_frames
        self.labels = np.full(ends[-1], -1, dtype=np.min_scalar_type(-1 - int(y.max())))
        first = self.begin[track] + column + (self.n_frames - step) // 2
        for place in range(step):
            self.labels[first + place] = y
        quiet = [self._is_quiet(rows[batch]) for batch in gen_batches(len(rows), LABEL_BATCH)]
        self.quiet = np.flatnonzero(np.concatenate(quiet))

    def _place(self, rows):
        """Return the recordings of windows, and their first frames in these."""
        return (self.X._track[rows], self.X._column[rows]) if self.is_windows else (rows, 0 * rows)

    def _stretches(self, track, column):
        """Return the class of each stretch, (n_windows, n_stretches), of windows at these places."""
        return self.labels[(self.begin[track] + column)[:, None] + self.centres].astype(np.int64)

    def _is_quiet(self, rows):
        """Return which windows hold nothing but the background, as far as is known."""
        known = self._stretches(*self._place(rows))
        background = self.mix.background
        return ((known == background) | (known == -1)).all(axis=1) & (self.y[rows] == background)

    def _read(self, rows):
        """Return images and labels of windows, each moved by up to half a step within its recording."""
        windows, (track, column) = self.X[rows], self._place(rows)
        if self.is_windows and self.step < self.n_frames:
            shift = torch.randint(-(self.step // 2), self.step // 2 + 1, (len(rows),)).numpy()
            column = np.clip(column + shift, 0, self.last[track])
            windows = windows._replace(_column=column)
        return as_images(windows), torch.as_tensor(self._stretches(track, column))

    def __len__(self):
        return len(self.y)

    def __getitems__(self, rows):
        images, labels = self._read(np.asarray(rows))
        noise = None
        if self.mix.share and len(self.quiet):
            partners = self.quiet[torch.randint(len(self.quiet), (len(rows),)).numpy()]
            noise = self._read(partners)[0]
        images, labels = self.mix(images, labels, noise)
        return self.mask((images - self.mean) / self.scale), labels

    def __getitem__(self, row):
        images, labels = self.__getitems__([row])
        return images[0], labels[0]


def grouped_split(y, groups, validation_fraction, random_state):
    """Set whole groups aside for validation, about this fraction of the windows.

    Returns the rows to train on and those to validate on, both with every class, or None if there is no such split.
    """
    n_splits = min(max(2, round(1 / validation_fraction)), len(np.unique(groups)))
    if n_splits < 2:
        return None
    classes, counts = np.unique(y, return_counts=True)
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    best, best_distance = None, np.inf
    # scikit-learn warns if a class has fewer windows than splits, and warning filters are shared by all threads.
    # Repeating each window gives the same splits without the warning.
    n_rows, times = len(y), -(-n_splits // counts.min())
    repeated = np.tile(y, times)
    splits = splitter.split(repeated, repeated, np.tile(groups, times)) if counts.max() >= n_splits else []
    for train, valid in splits:
        train, valid = train[train < n_rows], valid[valid < n_rows]
        if len(np.unique(y[train])) == len(np.unique(y[valid])) == len(classes):
            shares = np.bincount(y[valid], minlength=len(classes)) / counts
            distance = np.abs(shares - validation_fraction).max()
            if distance < best_distance:
                best, best_distance = (train, valid), distance
    return best
