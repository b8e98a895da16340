"""Stretches of overlapping windows, over which a network computes once what the windows share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..windows import Windows
from .training_data import as_images

STRETCH_FRAMES = 4096  # frames computed at a time; AlexNet at full width then takes about 40 MiB


class Split(NamedTuple):
    """A network in two parts, ``finish(share(x))``, of which overlapping windows share the first one.

    ``share`` takes a stretch (1, 1, n_mels, n_frames), whose last axis it makes ``stride`` times shorter. A window
    that begins at column ``first`` of the result consists of its columns ``first + columns``. ``finish`` takes the
    columns of windows, (n_windows, ..., n_columns), and gives their embeddings.
    """

    share: Callable[[Tensor], Tensor]
    finish: Callable[[Tensor], Tensor]
    stride: int
    columns: np.ndarray


class Stretches:
    """Windows in the order of time, overlapping ones joined to stretches.

    All stretches lie one after the other on one axis of frames, on which each window begins at a multiple of ``step``.

    Parameters
    ----------
    X : Windows of shape (n_windows, n_mels, n_frames)
        Spectrograms without a function for each window.

    Attributes
    ----------
    step : int
        Largest common divisor of the distances, in frames, between windows that overlap; 0 if none do.
    load : float
        Frames per window that remain.
    """

    def __init__(self, X: Windows) -> None:
        self._X, n_frames = X, X.shape[-1]
        self._rows = np.lexsort([X._column, X._track])
        track, column = X._track[self._rows], X._column[self._rows]
        distance = np.diff(column)
        apart = (np.diff(track) != 0) | (distance >= n_frames)
        self.step = int(np.gcd.reduce(distance[~apart], initial=0))
        self._length = -(-n_frames // max(1, self.step)) * max(1, self.step)  # of a window alone on the axis
        self._place = np.concatenate([[0], np.cumsum(np.where(apart, self._length, distance))])
        self._begins = np.concatenate([[True], apart])
        self.load = (self._place[-1] + self._length) / len(self._place)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield rows (n_windows,), the frames (n_mels, n_frames) that they lie in, and their first frames (n_windows,).

        At most ``STRETCH_FRAMES`` frames at a time, if windows are not longer than that.
        """
        n_frames, tracks, first = self._X.shape[-1], self._X._tracks, 0
        while first < len(self._rows):
            farthest = self._place[first] + max(0, STRETCH_FRAMES - self._length)
            last = int(np.searchsorted(self._place, farthest, side="right"))
            rows, place = self._rows[first:last], self._place[first:last] - self._place[first]
            begins = self._begins[first:last].copy()
            begins[0] = True
            frames = np.zeros((*self._X.shape[1:-1], place[-1] + n_frames), dtype=self._X.dtype)
            for part in np.split(np.arange(len(rows)), np.flatnonzero(begins)[1:]):
                column, length = self._X._column[rows[part[0]]], place[part[-1]] - place[part[0]] + n_frames
                track = tracks[self._X._track[rows[part[0]]]]
                frames[..., place[part[0]] : place[part[0]] + length] = track[..., column : column + length]
            yield rows, frames, place
            first = last


def embed_overlapping(module, X, prepare) -> Iterator[tuple[np.ndarray, Tensor]] | None:
    """Embed windows, each stretch of overlapping ones at once, if the windows and the network allow it.

    Parameters
    ----------
    module : torch module
        May have a method ``split(step, load)``, which returns a :class:`Split` for windows that begin at multiples of
        ``step`` frames, one per ``load`` frames; or None if it is faster, or only possible, window by window.
    X : Windows or ndarray of shape (n_windows, ...)
        Spectrograms.
    prepare : callable
        Standardises a tensor of images, and moves it to the device of the module.

    Returns
    -------
    iterator of (rows, embeddings) or None
        Row numbers and their embeddings (n_windows, n_embedding). None if windows are to be computed one by one.
    """
    if not hasattr(module, "split") or not isinstance(X, Windows) or X.ndim != 3 or X._finish is not None:
        return None
    stretches = Stretches(X)
    split = module.split(stretches.step, stretches.load) if stretches.step else None
    return None if split is None else _embed(split, stretches, prepare)


def _embed(split, stretches, prepare):
    for rows, frames, place in stretches:
        shared = split.share(prepare(as_images(frames[np.newaxis], frames.dtype)))[0]
        columns = torch.as_tensor(place[:, np.newaxis] // split.stride + split.columns, device=shared.device)
        yield rows, split.finish(shared[..., columns].movedim(-2, 0))
