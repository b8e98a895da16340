"""The network that ships with trained weights: convolutions that overlapping windows share, and a small head."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._compat import copy_module
from .frame_cnn import _folded
from .weights import SavedModule

CHANNELS = (16, 32, 64, 64, 128, 128, 192)
N_HIDDEN = 96
LEVEL_FRAMES = 31  # over which the level is averaged: a second at 32 frames per second
TRUNK_FRAMES = 77  # that one output of the trunk depends on
TRUNK_STRIDE = 8  # frames from one output of the trunk to the next
FLOOR_DB = -100.0  # below the quantization noise of 16 bits
SCALE_DB = 12.0  # typical deviation of a band from the level around it


class CryCNN(SavedModule):
    """Classify each quarter of a second of a spectrogram relative to the level around it.

    The trunk subtracts the level of the second around each frame, so that the gain of a recorder changes nothing, and
    applies seven convolutions without padding along time. Its outputs depend only on the frames below them: overlapping
    windows can share them. The head, two short convolutions along time, sees the outputs of one window.

    Parameters
    ----------
    n_mels, n_frames : int, default=64, 158
        Size of a spectrogram; 64 bands are needed. Fewer frames than 77 are padded by repeating the edges.
    n_classes : int, default=2
        Number of classes.
    dropout : float, default=0.2
        Share of the values dropped in the head, in training.
    middle : float, default=1.0
        Share of the window, in its middle, that :meth:`embed` describes.
    """

    __module__ = "skcry"

    def __init__(
        self, n_mels: int = 64, n_frames: int = 158, n_classes: int = 2, *, dropout: float = 0.2, middle: float = 1.0
    ) -> None:
        super().__init__()
        self._settings = {"n_mels": n_mels, "n_frames": n_frames, "n_classes": n_classes}
        self._settings |= {"dropout": dropout, "middle": middle}
        self.image_size = (n_mels, n_frames)
        self.middle = middle
        c1, c2, c3, c4, c5, c6, c7 = CHANNELS
        self.trunk = nn.Sequential(
            *_convolution(1, c1, 5, stride=2, padding=(2, 0)),
            *_convolution(c1, c2, 3, padding=(1, 0)),
            nn.MaxPool2d(2),
            *_convolution(c2, c3, 3, padding=(1, 0)),
            *_convolution(c3, c4, 3, padding=(1, 0)),
            nn.MaxPool2d(2),
            *_convolution(c4, c5, 3, padding=(1, 0)),
            *_convolution(c5, c6, (3, 1), padding=(1, 0)),
            nn.MaxPool2d((2, 1)),
            *_convolution(c6, c7, (4, 1)),
        )
        self.dropout = nn.Dropout(dropout)
        self.whole = nn.Linear(c7, N_HIDDEN)
        self.near = nn.Sequential(nn.Conv1d(c7, N_HIDDEN, 3, padding=1, bias=False), nn.BatchNorm1d(N_HIDDEN))
        self.far = nn.Sequential(
            nn.Conv1d(N_HIDDEN, N_HIDDEN, 3, padding=2, dilation=2, bias=False), nn.BatchNorm1d(N_HIDDEN)
        )
        self.decide = nn.Linear(N_HIDDEN, n_classes)

    @property
    def n_embedding(self) -> int:
        """Number of values of an embedding, int."""
        return self.decide.in_features

    def folded(self) -> Self:
        """Return a copy for prediction with batch norms folded into the convolutions before them."""
        net = copy_module(self)
        net._settings = None
        net.trunk, net.near, net.far = (_folded(part) for part in (self.trunk, self.near, self.far))
        return net

    def share(self, x: Tensor) -> Tensor:
        """Apply the trunk: (n, 1, n_mels, n_frames) in decibels re 1 to (n, n_channels, n_outputs)."""
        missing = TRUNK_FRAMES - x.shape[-1]
        if missing > 0:
            x = F.pad(x, (missing // 2, missing - missing // 2, 0, 0), mode="replicate")
        x = x.clamp(min=FLOOR_DB)
        level = F.avg_pool1d(x.mean(dim=2), LEVEL_FRAMES, stride=1)
        side = LEVEL_FRAMES // 2
        x = (x[..., side : x.shape[-1] - side] - level[:, :, None]) / SCALE_DB
        return self.trunk(x)[:, :, 0]

    def head(self, shared: Tensor) -> Tensor:
        """Describe the outputs of the trunk in one window: (n, n_channels, n_outputs) to (n, n_embedding, n_outputs)."""
        shared = self.dropout(shared)
        x = F.relu(self.near(shared) + self.whole(shared.mean(dim=2))[:, :, None])
        return F.relu(self.far(self.dropout(x)) + x)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of each quarter of a second, (n, n_classes, n_outputs)."""
        return self.decide(self.head(self.share(x)).transpose(1, 2)).transpose(1, 2)


def _convolution(before, after, size, **options):
    return nn.Conv2d(before, after, size, bias=False, **options), nn.BatchNorm2d(after), nn.ReLU()
