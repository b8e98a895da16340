"""Mini-batches for the network, and which rows it may learn from."""

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold

from ..windows import Windows


def as_images(X, dtype=np.float32):
    """Bring rows of any shape into a tensor of shape (n_windows, 1, n_mels, n_frames); plain features become bands."""
    X = np.ascontiguousarray(X, dtype=dtype)
    return torch.as_tensor(X.reshape(len(X), 1, X.shape[1], -1))


class SpectrogramDataset(torch.utils.data.Dataset):
    """Mini-batches out of ``Windows`` or an array, read when they are needed.

    Parameters
    ----------
    X : Windows or ndarray of shape (n_windows, ...)
        Spectrograms.
    y : ndarray of int of shape (n_windows,)
        Class numbers.
    mean, scale : float
        The images become ``(X - mean) / scale``.
    augment : callable or None, default=None
        Applied to each batch of images.
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

    Parameters
    ----------
    X : Windows or ndarray of shape (n_windows, ...)
        Spectrograms in decibels.
    y : ndarray of int of shape (n_windows,)
        Class numbers.
    mean, scale : float
        The images become ``(X - mean) / scale``, after mixing and before masking.
    mix : SpectrogramMix
        Changes each batch.
    mask : callable
        Applied to each batch of images.

    Attributes
    ----------
    middle : float
        Share of a window, in its middle, that its label speaks of: what neighbouring windows do not share.
    """

    def __init__(self, X, y, mean, scale, mix, mask):
        self.X, self.y, self.mean, self.scale, self.mix, self.mask = X, y, mean, scale, mix, mask
        n_rows, self.n_frames = len(y), as_images(X[:1]).shape[3]
        self.n_stretches = max(self.n_frames, 16) // 16
        if isinstance(X, Windows):
            track, column = X._track, X._column
        else:
            track, column = np.arange(n_rows), np.zeros(n_rows, dtype=int)
        order = np.lexsort([column, track])
        steps = np.diff(column[order])[np.diff(track[order]) == 0]
        step = int(min([*steps[steps > 0], self.n_frames]))
        self.middle, self.step = step / self.n_frames, step
        # One long row of labels, recording after recording.
        ends = {number: int(column[track == number].max()) + self.n_frames for number in np.unique(track)}
        self.offset, total = {}, 0
        for number, end in ends.items():
            self.offset[number] = total
            total += end
        self.first = np.array([self.offset[number] for number in track]) + column
        self.least = self.first - column
        self.most = self.least + np.array([ends[number] - self.n_frames for number in track])
        self.labels = np.full(total, -1)
        for place in range(step):
            self.labels[self.first + (self.n_frames - step) // 2 + place] = y
        quiet = self._stretches(self.first)
        self.quiet = np.flatnonzero(((quiet == mix.background) | (quiet == -1)).all(axis=1) & (y == mix.background))

    def _stretches(self, first):
        """Class of each stretch of frames of windows that start at ``first``."""
        centre = ((np.arange(self.n_stretches) + 0.5) * self.n_frames / self.n_stretches).astype(int)
        return self.labels[first[:, None] + centre]

    def _read(self, rows):
        """Images and labels of windows, each moved by up to half a step where its recording goes on."""
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
    """Split off whole groups for validation, so that both sides hold every class.

    Parameters
    ----------
    y : ndarray of int of shape (n_windows,)
        Class numbers.
    groups : ndarray of shape (n_windows,)
        Who was recorded.
    validation_fraction : float
        Share of the windows to set aside, as nearly as the groups allow.
    random_state : int
        Seed.

    Returns
    -------
    tuple of ndarray of int, or None
        Rows to train on and rows to validate on; None where no such split exists.
    """
    n_splits = min(max(2, round(1 / validation_fraction)), len(np.unique(groups)))
    if n_splits < 2:
        return None
    classes, counts = np.unique(y, return_counts=True)
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    best, best_distance = None, np.inf
    # Fewer windows of a class than splits would bring a warning, and the filters of those are shared by all threads.
    # Each window several times gives the same splits without it.
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
