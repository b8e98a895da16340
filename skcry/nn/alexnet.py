"""AlexNet as published for infant-cry detection (Yao, Micheletti, Johnson, Thomaz and de Barbaro, 2022).

Layer names are those of the published code, so that its weights load with ``load_state_dict``.
"""

from __future__ import annotations

from itertools import accumulate
from math import gcd
from operator import mul
from typing import Self

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .._compat import copy_module
from .overlap import Split
from .weights import SavedModule

MIN_SIZE = 195  # number of bands and frames that leave one value after the last pooling
LAYERS = ("conv1", "pool", "conv2", "pool", "conv3", "conv4", "conv5", "pool")
KERNELS = (11, 3, 5, 3, 3, 3, 3, 3)
STRIDES = (4, 2, 1, 2, 1, 1, 1, 2)
REACH = (1, *accumulate(STRIDES, mul))  # frames from one value to the next, before each layer and after the last one


def _sizes(size):
    """Return the sizes along one axis after each layer, as far as later ones need them; first the size needed."""
    sizes = list(accumulate(zip(KERNELS, STRIDES, strict=True), _after, initial=size))[-1:]
    for kernel, stride in zip(reversed(KERNELS), reversed(STRIDES), strict=True):
        sizes.append((sizes[-1] - 1) * stride + kernel)
    return sizes[::-1]


def _after(size, layer):
    kernel, stride = layer
    return (size - kernel) // stride + 1


class AlexNet(SavedModule):
    """Five convolutions and four linear layers over a spectrogram, each followed by batch norm.

    The published network for infant cries [1]_: convolutions without padding, dropout and a ReLU after each hidden
    linear layer, and embeddings of 1000 values. Layers have the names of the published code, so that its weights load
    with ``load_state_dict``, which refuses the weights of a network for images of another size. For an estimator, see
    :class:`AlexNetClassifier`. :func:`skcry.save` saves the module inside an estimator of your own.

    Parameters
    ----------
    n_mels, n_frames : int, default=225
        Size of a spectrogram. A smaller one than 195 is padded by repeating its edges.
    n_classes : int, default=2
        Number of classes.
    width : float, default=1.0
        Factor on the number of channels of every layer; 1 is the published network of 25.7 million parameters.
    dropout : float, default=0.5
        Share of the values dropped after each hidden linear layer in training.

    See Also
    --------
    AlexNetClassifier : The estimator around it.
    FrameCNN : A smaller network, with an output for each stretch of 16 frames.

    References
    ----------
    .. [1] X. Yao, M. Micheletti, M. Johnson, E. Thomaz and K. de Barbaro (2022). Infant crying detection in real-world
       environments. ICASSP 2022. https://doi.org/10.1109/ICASSP43922.2022.9746096

    Examples
    --------
    >>> import torch
    >>> from skcry import AlexNet
    >>> net = AlexNet(width=0.125).eval()
    >>> net(torch.zeros(3, 1, 225, 225)).shape, net.embed(torch.zeros(3, 1, 225, 225)).shape
    (torch.Size([3, 2]), torch.Size([3, 125]))
    """

    __module__ = "skcry"
    _published_size = (225, 225)
    _frames_matter = True

    def __init__(
        self, n_mels: int = 225, n_frames: int = 225, n_classes: int = 2, *, width: float = 1.0, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self._settings = {"n_mels": n_mels, "n_frames": n_frames, "n_classes": n_classes}
        self._settings |= {"width": width, "dropout": dropout}
        self.image_size = (n_mels, n_frames)
        c1, c2, c3, c4, c5, f1, f2, f3 = (max(1, round(width * n)) for n in (96, 256, 384, 384, 256, 4096, 4096, 1000))
        self.padding = (max(0, MIN_SIZE - n_mels), max(0, MIN_SIZE - n_frames))
        height, length = (_sizes(max(MIN_SIZE, size))[-1] for size in (n_mels, n_frames))
        self.conv1, self.bn1 = nn.Conv2d(1, c1, 11, stride=4), nn.BatchNorm2d(c1)
        self.conv2, self.bn2 = nn.Conv2d(c1, c2, 5), nn.BatchNorm2d(c2)
        self.conv3, self.bn3 = nn.Conv2d(c2, c3, 3), nn.BatchNorm2d(c3)
        self.conv4, self.bn4 = nn.Conv2d(c3, c4, 3), nn.BatchNorm2d(c4)
        self.conv5, self.bn5 = nn.Conv2d(c4, c5, 3), nn.BatchNorm2d(c5)
        self.pool = nn.MaxPool2d(3, stride=2)
        self.fc1, self.fc_bn1 = nn.Linear(c5 * height * length, f1), nn.BatchNorm1d(f1)
        self.fc2, self.fc_bn2 = nn.Linear(f1, f2), nn.BatchNorm1d(f2)
        self.fc3, self.fc_bn3 = nn.Linear(f2, f3), nn.BatchNorm1d(f3)
        self.dropout = nn.Dropout(dropout)
        self.fc_final = nn.Linear(f3, n_classes)

    @property
    def n_embedding(self) -> int:
        """Number of values of an embedding, int."""
        return self.fc3.out_features

    def folded(self) -> Self:
        """Return a copy for prediction with batch norms folded into the convolutions before them.

        Returns
        -------
        AlexNet
            For prediction only. Shares all other weights with this network, which does not change.
        """
        net = copy_module(self)
        net._settings = None
        # Batch norms of linear layers take less time than folding them, which copies 21 million weights.
        for number in range(1, 6):
            conv, norm = getattr(self, f"conv{number}"), getattr(self, f"bn{number}")
            setattr(net, f"conv{number}", fuse_conv_bn_eval(conv, norm))
            setattr(net, f"bn{number}", nn.Identity())
        return net

    def embed(self, x: Tensor) -> Tensor:
        """Compute the output of the last hidden layer, after its ReLU.

        Parameters
        ----------
        x : Tensor of shape (n_windows, 1, n_mels, n_frames)
            Standardised spectrograms.

        Returns
        -------
        Tensor of shape (n_windows, n_embedding)
            Embeddings, not negative.
        """
        return self._describe(self._convolve(self._used(x)))

    def split(self, step: int, load: float) -> Split | None:
        """Divide the network, for prediction, into what overlapping windows share and the rest.

        Parameters
        ----------
        step : int
            Windows begin at multiples of this number of frames.
        load : float
            Number of frames per window.

        Returns
        -------
        skcry.nn.overlap.Split or None
            None if windows are padded along time, or if they share nothing.
        """
        sizes, n_shared = _sizes(self.image_size[1]), 0
        while not self.padding[1] and n_shared < len(LAYERS):
            # Number of values along time per window: of a stretch, and of a window alone.
            if load / gcd(step, REACH[n_shared + 1]) >= sizes[n_shared + 1]:
                break
            n_shared += 1
        if n_shared == 0:
            return None
        stride = gcd(step, REACH[n_shared])
        return Split(
            share=lambda x: self._convolve(self._used(x, time=False), last=n_shared, step=step),
            finish=lambda x: self._describe(self._convolve(x, first=n_shared)),
            stride=stride,
            columns=np.arange(sizes[n_shared]) * (REACH[n_shared] // stride),
        )

    def _used(self, x, time=True):
        """Pad images that are too small, and leave bands and frames out that no output depends on."""
        if any(self.padding):
            bands, frames = self.padding
            x = F.pad(x, (frames // 2, frames - frames // 2, bands // 2, bands - bands // 2), mode="replicate")
        return x[..., : _sizes(x.shape[-2])[0], : _sizes(x.shape[-1])[0] if time else None]

    def _convolve(self, x, first=0, last=None, step=0):
        """Apply these layers to windows, or to a stretch with windows at multiples of ``step`` frames.

        Where the strides of the layers so far do not divide ``step``, windows need different phases. All of them are
        computed: there the stride along time is smaller, and the taps of the kernels after it are farther apart.
        """
        for layer in range(first, len(LAYERS) if last is None else last):
            name, size, stride = LAYERS[layer], KERNELS[layer], STRIDES[layer]
            before, after = gcd(step, REACH[layer]), gcd(step, REACH[layer + 1])
            strides, dilation = (stride, after // before), (1, REACH[layer] // before)
            if name == "pool":
                x = F.max_pool2d(x, size, strides, dilation=dilation)
            else:
                conv, norm = getattr(self, name), getattr(self, f"bn{name[-1]}")
                x = norm(F.conv2d(x, conv.weight, conv.bias, strides, dilation=dilation))
            if LAYERS[layer + 1 : layer + 2] != ("pool",):
                x = F.relu(x)  # after a pooling with the same result, on a quarter of the values
        return x

    def _describe(self, x):
        """Apply the hidden linear layers."""
        x = self.dropout(F.relu(self.fc_bn1(self.fc1(x.flatten(1)))))
        x = self.dropout(F.relu(self.fc_bn2(self.fc2(x))))
        return F.relu(self.fc_bn3(self.fc3(x)))

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
        return self.fc_final(self.dropout(embedding))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        x : Tensor of shape (n_windows, 1, n_mels, n_frames)
            Standardised spectrograms.

        Returns
        -------
        Tensor of shape (n_windows, n_classes)
            One logit per class.
        """
        return self.classify(self.embed(x))
