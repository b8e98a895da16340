"""Mini-batches for the network, and which rows it may learn from."""

import warnings

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold


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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        splits = list(splitter.split(y, y, groups)) if counts.max() >= n_splits else []
    for train, valid in splits:
        if len(np.unique(y[train])) == len(np.unique(y[valid])) == len(classes):
            shares = np.bincount(y[valid], minlength=len(classes)) / counts
            distance = np.abs(shares - validation_fraction).max()
            if distance < best_distance:
                best, best_distance = (train, valid), distance
    return best
