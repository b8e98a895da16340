"""Mini-batches for the networks, and the split into training and validation rows."""

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold

from ..windows import Windows


def as_images(X, dtype=np.float32):
    """Return rows of 1 or 2 dimensions as a tensor (n_windows, 1, n_mels, n_frames); features become bands."""
    X = np.ascontiguousarray(X, dtype=dtype)
    return torch.as_tensor(X.reshape(len(X), 1, X.shape[1], -1))


def step_of(X):
    """Return the step in columns between windows of a recording, their length where recordings have one window."""
    return X._step if isinstance(X, Windows) else X.shape[-1]


class SpectrogramDataset(torch.utils.data.Dataset):
    """Mini-batches of spectrograms ``X`` (n_windows, ...), read on demand and standardised, with class numbers ``y``.

    ``augment``, if given, is applied to each batch of images.
    """

    def __init__(self, X, y, mean, scale, augment=None):
        self.X, self.y, self.mean, self.scale, self.augment = X, torch.as_tensor(y), mean, scale, augment

    def __len__(self):
        return len(self.y)

    def __getitems__(self, rows):
        images = (as_images(self.X[np.asarray(rows)]) - self.mean) / self.scale
        return (images if self.augment is None else self.augment(images)), self.y[rows]

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
        n_rows, self.n_frames = len(y), as_images(X[:1]).shape[3]
        if centres is None:
            n_stretches = max(self.n_frames, 16) // 16
            centres = ((np.arange(n_stretches) + 0.5) * self.n_frames / n_stretches).astype(int)
        self.centres = centres
        if isinstance(X, Windows):
            track, column = X._track, X._column
        else:
            track, column = np.arange(n_rows), np.zeros(n_rows, dtype=int)
        step = min(step_of(X), self.n_frames)
        self.middle, self.step = step / self.n_frames, step
        # `labels` has one label per frame, of all recordings in turn; -1 if unknown.
        numbers, recording = np.unique(track, return_inverse=True)
        last = np.array([column[track == number].max() for number in numbers])
        ends = np.cumsum(last + self.n_frames)
        self.least, self.most = (ends - last - self.n_frames)[recording], (ends - self.n_frames)[recording]
        self.first = self.least + column
        self.labels = np.full(ends[-1], -1)
        for place in range(step):
            self.labels[self.first + (self.n_frames - step) // 2 + place] = y
        quiet = self._stretches(self.first)
        self.quiet = np.flatnonzero(((quiet == mix.background) | (quiet == -1)).all(axis=1) & (y == mix.background))

    def _stretches(self, first):
        """Return the class of each stretch, (n_windows, n_stretches), of windows that start at these labels."""
        return self.labels[first[:, None] + self.centres]

    def _read(self, rows):
        """Return images and labels of windows, each moved by up to half a step within its recording."""
        first = self.first[rows]
        if not isinstance(self.X, Windows) or self.step == self.n_frames:
            return as_images(self.X[rows]), torch.as_tensor(self._stretches(first))
        shift = torch.randint(-(self.step // 2), self.step // 2 + 1, (len(rows),)).numpy()
        moved = np.clip(first + shift, self.least[rows], self.most[rows])
        windows = self.X[rows]
        windows = windows._replace(_column=windows._column + moved - first)
        return as_images(windows), torch.as_tensor(self._stretches(moved))

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
