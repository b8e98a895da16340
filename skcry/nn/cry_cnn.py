"""The network that ships with trained weights: convolutions that overlapping windows share, and a small head."""

from __future__ import annotations

import functools
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._compat import copy_module
from ..pretrained import read_weights
from .weights import SavedModule, fold_batch_norms

# The spectrogram that the network takes, at 16 kHz: settings of MelSpectrogram.
SR = 16000
SPECTROGRAM: dict = {
    "n_fft": 1024,
    "hop_length": 500,
    "n_mels": 64,
    "fmin": 100.0,
    "fmax": 3800.0,
    "top_db": None,
    "ref": 1.0,
}
CHANNELS = (16, 32, 64, 64, 128, 128, 192)
N_HIDDEN = 96
LEVEL_FRAMES = 31  # over which the level is averaged: a second at 32 frames per second
TRUNK_FRAMES = 77  # that one output of the trunk depends on
TRUNK_STRIDE = 8  # frames from one output of the trunk to the next
FLOOR_DB = -100.0  # below the quantization noise of 16 bits
SCALE_DB = 12.0  # typical deviation of a band from the level around it


def stretches(n_frames):
    """Return the frames, ndarray of int, in the middle of what each output of the trunk depends on."""
    if n_frames < TRUNK_FRAMES:
        return np.array([n_frames // 2])
    return np.arange(TRUNK_FRAMES // 2, n_frames - TRUNK_FRAMES // 2, TRUNK_STRIDE)


def n_beside(n_outputs, middle):
    """Return how many of the outputs of a window lie on each side of its middle, a share of the window."""
    # The outputs are fewer than the window has strides, because each depends on 77 frames.
    wanted = middle * (n_outputs + TRUNK_FRAMES / TRUNK_STRIDE - 1)
    return min(max(0, round((n_outputs - wanted) / 2)), (n_outputs - 1) // 2)


class CryCNN(SavedModule):
    """Classify each quarter of a second of a spectrogram, relative to the level around it.

    The trunk raises what is below -100 dB to it, subtracts the level of the second around each frame, so that the gain
    of a recorder changes nothing above that floor, and applies seven convolutions without padding along time. One of
    its outputs depends on 77 frames and on nothing else, so overlapping windows can share it. The head, two short
    convolutions along time, sees the outputs of one window.
    :class:`PretrainedEmbedding` and ``FrameCNNClassifier(init="pretrained")`` use this network with the weights in the
    package.

    Parameters
    ----------
    n_mels : int, default=64
        Number of mel bands. The convolutions need 64.
    n_frames : int, default=158
        Number of frames; 158 are 5 s. Other numbers work as well, but fewer than 77 are padded by repeating the edges.
    n_classes : int, default=2
        Number of classes.
    dropout : float, default=0.2
        Share of the values dropped in the head, in training.
    middle : float, default=1.0
        Share of the window, in its middle, that :meth:`embed` describes.

    See Also
    --------
    PretrainedEmbedding : Embeddings by this network with the weights in the package.
    FrameCNNClassifier : Continues its training with ``init="pretrained"``.
    FrameCNN : A smaller network for spectrograms of any size, trained from scratch.

    Notes
    -----
    Spectrograms are those of ``MelSpectrogram(n_fft=1024, hop_length=500, n_mels=64, fmin=100.0, fmax=3800.0,
    top_db=None, ref=1.0)`` at 16 kHz: 32 frames per second, decibels re 1, not standardised. There are four outputs per
    second; output ``k`` depends on the frames from ``8 * k`` to ``8 * k + 76``.

    Examples
    --------
    >>> import torch
    >>> from skcry import CryCNN
    >>> net = CryCNN().eval()
    >>> x = torch.full((3, 1, 64, 158), -60.0)
    >>> net(x).shape, net.embed(x).shape, net.share(x).shape
    (torch.Size([3, 2, 11]), torch.Size([3, 192]), torch.Size([3, 192, 11]))
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
        """Number of values of an embedding, int: a mean and a maximum of each value that :meth:`head` gives."""
        return 2 * self.decide.in_features

    @property
    def n_shared(self) -> int:
        """Number of values of one output of the trunk, int."""
        return self.whole.in_features

    def folded(self) -> Self:
        """Return a copy for prediction with batch norms folded into the convolutions before them.

        Returns
        -------
        CryCNN
            For prediction only. Shares all other weights with this network, which does not change.
        """
        net = copy_module(self)
        net._settings = None
        net.trunk, net.near, net.far = (fold_batch_norms(part) for part in (self.trunk, self.near, self.far))
        return net.eval()

    def share(self, x: Tensor) -> Tensor:
        """Apply the trunk, whose outputs overlapping windows share.

        Parameters
        ----------
        x : Tensor of shape (n_windows, 1, n_mels, n_frames)
            Spectrograms in dB re 1. One of fewer than 77 frames is padded by repeating its edges.

        Returns
        -------
        Tensor of shape (n_windows, n_shared, n_outputs)
            ``1 + (n_frames - 77) // 8`` outputs, or one if there are fewer than 77 frames.
        """
        missing = TRUNK_FRAMES - x.shape[-1]
        if missing > 0:
            x = F.pad(x, (missing // 2, missing - missing // 2, 0, 0), mode="replicate")
        x = x.clamp(min=FLOOR_DB)
        level = F.avg_pool1d(x.mean(dim=2), LEVEL_FRAMES, stride=1)
        side = LEVEL_FRAMES // 2
        x = (x[..., side : x.shape[-1] - side] - level[:, :, None]) / SCALE_DB
        return self.trunk(x)[:, :, 0]

    def head(self, shared: Tensor) -> Tensor:
        """Describe each output of the trunk within its window.

        Parameters
        ----------
        shared : Tensor of shape (n_windows, n_shared, n_outputs)
            What :meth:`share` gave for windows.

        Returns
        -------
        Tensor of shape (n_windows, n_embedding / 2, n_outputs)
            Values of each output, not negative, which depend on the whole window.
        """
        shared = self.dropout(shared)
        x = F.relu(self.near(shared) + self.whole(shared.mean(dim=2))[:, :, None])
        return F.relu(self.far(self.dropout(x)) + x)

    def pool(self, outputs: Tensor) -> Tensor:
        """Average over the outputs in the middle of each window, and take the maximum over all of them.

        Parameters
        ----------
        outputs : Tensor of shape (n_windows, n_embedding / 2, n_outputs)
            What :meth:`head` gave.

        Returns
        -------
        Tensor of shape (n_windows, n_embedding)
            Means over the outputs in the share ``middle`` of the window, at least one, as many before its middle as
            after; then maxima over the whole window, which raise the average precision per second by 0.01 and find
            short cries in clips.
        """
        n_outputs = outputs.shape[-1]
        side = n_beside(n_outputs, self.middle)
        return torch.cat([outputs[..., side : n_outputs - side].mean(dim=-1), outputs.amax(dim=-1)], dim=1)

    def embed(self, x: Tensor) -> Tensor:
        """Describe each window, above all its middle.

        Parameters
        ----------
        x : Tensor of shape (n_windows, 1, n_mels, n_frames)
            Spectrograms in dB re 1.

        Returns
        -------
        Tensor of shape (n_windows, n_embedding)
            Embeddings.
        """
        return self.pool(self.head(self.share(x)))

    def classify(self, embedding: Tensor) -> Tensor:
        """Compute logits from embeddings.

        Parameters
        ----------
        embedding : Tensor of shape (n_windows, n_embedding)
            Output of :meth:`embed`.

        Returns
        -------
        Tensor of shape (n_windows, n_classes)
            One logit per class.
        """
        return self.decide(embedding[:, : self.decide.in_features])

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of each quarter of a second.

        Parameters
        ----------
        x : Tensor of shape (n_windows, 1, n_mels, n_frames)
            Spectrograms in dB re 1.

        Returns
        -------
        Tensor of shape (n_windows, n_classes, n_outputs)
            One logit per class and output.
        """
        return self.decide(self.head(self.share(x)).transpose(1, 2)).transpose(1, 2)


def _convolution(before, after, size, **options):
    return nn.Conv2d(before, after, size, bias=False, **options), nn.BatchNorm2d(after), nn.ReLU()


@functools.cache
def pretrained_net():
    """Return the network with the weights in the package, for prediction. All share it, so it must not be changed."""
    with torch.device("meta"):  # does not draw random weights
        net = CryCNN()
    net.load_state_dict(read_weights(), assign=True)
    net.eval().requires_grad_(False)
    net = net.folded()
    # Nearly twice as fast as contiguous weights on a CPU. The argument is missing in torch's types.
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
