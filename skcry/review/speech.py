"""Score clips for adult speech, so that those which likely hold some can be left out."""

from __future__ import annotations

import numpy as np

from ..io.audio import DEFAULT_SR
from ..nn.pretrained_embedding import PretrainedEmbedding
from ..pretrained import WINDOW, read_speech_plane


def windows_of(y):
    """Return windows of 3 s, one each second and one at the end, of sound at 16 kHz: (n_windows, n_timepoints).

    A shorter sound is one window, padded with zeros.
    """
    y = np.pad(y, (0, max(0, WINDOW - len(y))))
    last = len(y) - WINDOW
    return np.stack([y[first : first + WINDOW] for first in sorted({*range(0, last + 1, DEFAULT_SR), last})])


def embed(windows):
    """Return the embeddings of windows, (n_windows, n_embedding)."""
    return PretrainedEmbedding().fit_transform(windows.astype(np.float32, copy=False))


def speech_score(y):
    """Return the score, float from 0 to 1, of sound at 16 kHz: that of its window that is most like speech."""
    weights, bias = read_speech_plane()
    return float(1 / (1 + np.exp(-(embed(windows_of(y)) @ weights + bias).max())))
