"""A small convolutional network that classifies short stretches of a spectrogram, and the estimator around it."""

from __future__ import annotations

import numbers
from itertools import pairwise
from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from .._compat import Interval, StrOptions, copy_module
from .._typing import RandomState
from ..pretrained import read_weights
from .augment import SpectrogramMask, SpectrogramMix
from .base import SpectrogramClassifier
from .cry_cnn import SPECTROGRAM, CryCNN, stretches
from .training_data import FrameDataset, WeightedSampler
from .weights import SavedModule, fold_batch_norms

CHANNELS = (16, 32, 64, 64)
TIME_POOLING = (2, 2, 2, 1)  # of the blocks; with the stem, one output per 16 frames
STEM = 2
N_HIDDEN = 64
MIN_SIZE = 16  # number of bands and frames that leave one value after all pooling


class FrameCNN(SavedModule):
    """Classify each stretch of 16 frames: four blocks of two convolutions, then two convolutions along time.

    Each block halves the number of bands. Mean and maximum over the remaining bands go through the convolutions along
    time, so that the output of a stretch depends on up to three seconds of sound before and after it (with 25 ms from
    frame to frame). For an estimator, see :class:`FrameCNNClassifier`.

    Parameters
    ----------
    n_mels, n_frames : int, default=64, 198
        Size of a spectrogram. A smaller one than 16 is padded by repeating its edges.
    n_classes : int, default=2
        Number of classes.
    width : float, default=1.0
        Factor on the number of channels.
    dropout : float, default=0.2
        Share of the values dropped before and between the convolutions along time, in training.
    middle : float, default=1.0
        Share of the window, in its middle, that :meth:`embed` describes.

    See Also
    --------
    FrameCNNClassifier : The estimator around it.
    AlexNet : The published network.

    Examples
    --------
    >>> import torch
    >>> from skcry.nn import FrameCNN
    >>> net = FrameCNN(width=0.5).eval()
    >>> x = torch.zeros(3, 1, 64, 198)
    >>> net(x).shape, net.embed(x).shape
    (torch.Size([3, 2, 12]), torch.Size([3, 32]))
    """

    __module__ = "skcry"

    def __init__(
        self,
        n_mels: int = 64,
        n_frames: int = 198,
        n_classes: int = 2,
        *,
        width: float = 1.0,
        dropout: float = 0.2,
        middle: float = 1.0,
    ) -> None:
        super().__init__()
        self._settings = {"n_mels": n_mels, "n_frames": n_frames, "n_classes": n_classes}
        self._settings |= {"width": width, "dropout": dropout, "middle": middle}
        self.image_size = (n_mels, n_frames)
        self.middle = middle
        self.padding = (max(0, MIN_SIZE - n_mels), max(0, MIN_SIZE - n_frames))
        sizes = [1, *(max(1, round(width * n)) for n in CHANNELS)]
        hidden = max(1, round(width * N_HIDDEN))
        self.blocks = nn.ModuleList(
            nn.Sequential(*_convolution(before, after), *_convolution(after, after))
            for before, after in pairwise(sizes)
        )
        self.dropout = nn.Dropout(dropout)
        self.channel_dropout = nn.Dropout2d(dropout / 2)
        self.context = nn.Sequential(
            nn.Conv1d(2 * sizes[-1], hidden, 3, padding=1, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(hidden, hidden, 3, padding=2, dilation=2, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.decide = nn.Linear(hidden, n_classes)

    @property
    def n_embedding(self) -> int:
        """Number of values of an embedding, int."""
        return self.decide.in_features

    def folded(self) -> Self:
        """Return a copy for prediction with batch norms folded into the convolutions before them.

        Returns
        -------
        FrameCNN
            For prediction only. Shares all other weights with this network, which does not change.
        """
        net = copy_module(self)
        net._settings = None
        net.blocks = nn.ModuleList(fold_batch_norms(block) for block in self.blocks)
        net.context = fold_batch_norms(self.context)
        return net

    def frames(self, x: Tensor) -> Tensor:
        """Describe each stretch of 16 frames.

        Parameters
        ----------
        x : Tensor of shape (n_windows, 1, n_mels, n_frames)
            Standardised spectrograms.

        Returns
        -------
        Tensor of shape (n_windows, n_embedding, n_stretches)
            Embedding of each stretch, which depends on the sound around it too.
        """
        if any(self.padding):
            bands, frames = self.padding
            x = F.pad(x, (frames // 2, frames - frames // 2, bands // 2, bands - bands // 2), mode="replicate")
        x = F.avg_pool2d(x, (1, STEM))
        for number, (block, pooling) in enumerate(zip(self.blocks, TIME_POOLING, strict=True)):
            pool = F.max_pool2d if number else F.avg_pool2d
            x = pool(block(x), (2, pooling))
            x = self.channel_dropout(x) if number else x
        x = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
        return self.context(self.dropout(x))

    def embed(self, x: Tensor) -> Tensor:
        """Describe the middle of each window.

        Parameters
        ----------
        x : Tensor of shape (n_windows, 1, n_mels, n_frames)
            Standardised spectrograms.

        Returns
        -------
        Tensor of shape (n_windows, n_embedding)
            Mean over the stretches in the middle.
        """
        x = self.frames(x)
        n_middle = max(1, round(self.middle * x.shape[-1]))
        first = (x.shape[-1] - n_middle) // 2
        return x[..., first : first + n_middle].mean(dim=-1)

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
        return self.decide(embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of each stretch of 16 frames.

        Parameters
        ----------
        x : Tensor of shape (n_windows, 1, n_mels, n_frames)
            Standardised spectrograms.

        Returns
        -------
        Tensor of shape (n_windows, n_classes, n_stretches)
            One logit per class and stretch.
        """
        return self.decide(self.frames(x).transpose(1, 2)).transpose(1, 2)


def _convolution(before, after):
    return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()


class FrameLoss(nn.CrossEntropyLoss):
    """Cross-entropy of the stretches of frames that have a label."""

    def forward(self, logits, y):
        """Return the loss of logits (n_windows, n_classes, n_stretches) for y (n_windows, n_stretches), -1 unknown."""
        return F.cross_entropy(logits, y, weight=self.weight, ignore_index=-1)


class WeightAverage(Callback):
    """Replace the weights by their exponential moving average at the end of training."""

    def __init__(self, decay):
        self.decay = decay

    def on_train_begin(self, net, **kwargs):
        """Start with the initial weights."""
        self.average_ = AveragedModel(net.module_, avg_fn=self._update, use_buffers=True)
        self.average_.update_parameters(net.module_)  # the first update copies the weights

    def on_batch_end(self, net, training=True, **kwargs):
        """Update the average after each training step."""
        if training:
            self.average_.update_parameters(net.module_)

    def on_train_end(self, net, **kwargs):
        """Replace the weights."""
        net.module_.load_state_dict(self.average_.module.state_dict())
        del self.average_

    def _update(self, average, value, n_steps):
        """Return the average after step ``n_steps``; the decay is smaller in the first steps."""
        if not value.is_floating_point():  # the step counter of batch norm
            return value
        decay = min(self.decay, (1 + int(n_steps)) / (10 + int(n_steps)))
        return average.lerp(value, 1 - decay)


class PretrainedWeights(Callback):
    """Start training from the weights in the package, except those of the last layer, which knows its classes."""

    def on_train_begin(self, net, **kwargs):
        """Set the weights."""
        weights = {name: value for name, value in read_weights().items() if not name.startswith("decide.")}
        net.module_.load_state_dict(weights, strict=False)


class DecibelMask(SpectrogramMask):
    """Mask spectrograms in decibels by the mean of each."""

    def __call__(self, x):
        """Mask a batch (n_windows, 1, n_mels, n_frames)."""
        level = x.mean(dim=(1, 2, 3), keepdim=True)
        return super().__call__(x - level) + level


class FrameCNNClassifier(SpectrogramClassifier):
    """Classify the middle of spectrograms with a small network that is trained on labels of frames.

    The label of a window belongs to its middle, which overlapping windows do not share. Together the labels of the
    windows of a recording give a label to each frame, and the network is trained on all frames of a window at once. A
    window alone in its recording, or a row of an array, has the same label in all frames. For training with little
    data, windows are moved in time by up to half a step, shifted in frequency, filtered at random, masked, and mixed
    with background at random levels.

    With ``init="pretrained"`` the network is :class:`CryCNN`, and training continues from the weights that ship with
    skcry. It needs the spectrogram that these were trained on: ``MelSpectrogram(n_fft=1024, hop_length=500, n_mels=64,
    fmin=100.0, fmax=3800.0, top_db=None, ref=1.0)`` at 16 kHz.

    Parameters
    ----------
    width : float, default=1.0
        Factor on the number of channels of every layer; 1 has about 180 thousand parameters. Must be 1 with
        ``init="pretrained"``.
    init : {"random", "pretrained"}, default="random"
        "random" trains :class:`FrameCNN` from random weights, "pretrained" all of :class:`CryCNN` from the weights that
        ship with skcry, except those of its last layer. On half an hour of sound this raised the average precision by
        0.01, which is within the noise, against :class:`PretrainedEmbedding`, which takes a second to fit.
    dropout : float, default=0.2
        Share of the values dropped in training.
    max_epochs : int, default=4
        Number of passes over the training windows, during which the learning rate falls to zero.
    min_steps : int, default=200
        Minimal number of training steps; with few windows there are more than ``max_epochs`` passes.
    max_steps : int or None, default=4000
        Maximal number of training steps, at least ``min_steps``; with many windows (9 hours, one per second), each
        epoch draws a part of them at random. None means no limit. Trained on 20 hours of mixed scenes, the average
        precision per second on others was 0.848 after 1000 steps, and 0.860 after 2000 (difference -0.004 to 0.030).
    batch_size : int, default=32
        Windows per training step.
    lr : float, default=2e-3
        Largest learning rate of AdamW. With ``init="pretrained"`` use less, such as 5e-4, so that the network forgets
        less of what it learned before.
    weight_decay : float, default=0.02
        Decoupled weight decay of AdamW.
    class_weight : "balanced", dict or None, default="balanced"
        Weights of the classes in drawing windows, as in scikit-learn. Crying is rare in a day.
    mix : float, default=0.5
        Share of the windows that are mixed with background in training.
    snr_db : tuple of float, default=(-10.0, 20.0)
        Range of the level of a window above the background that it is mixed with, in dB.
    background : object, default=None
        Class whose windows are the background. None means the most frequent class.
    frequency_shift : float, default=2.0
        Largest shift in frequency in training, in bands.
    filter_db : float, default=2.0
        Standard deviation of the random filters in training, in dB.
    time_mask, freq_mask : float, default=0.0, 0.1
        Largest share of the frames, and of the bands, masked at random in training; see
        :class:`skcry.nn.SpectrogramMask`.
    average : float, default=0.99
        Decay of the exponential moving average that replaces the weights at the end of training.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        "auto" trains in mixed precision (bfloat16) if the processor or GPU has instructions for it, and predicts in
        float32. "bfloat16" also predicts in bfloat16, which is faster and changes probabilities by some thousandths.
        "float32" does neither.
    weight_dtype : {"float32", "float16"}, default="float32"
        "float16" rounds the trained weights once, so that pickles are half as large. Predictions are computed in
        float32 from the rounded weights, and do not change by pickling.
    device : str, default="auto"
        Torch device for training and prediction. "auto" is a GPU if there is one.
    verbose : int, default=0
        1 prints losses after each epoch.
    random_state : int, RandomState instance or None, default=None
        Seed. With an int, training is repeatable on the same machine with the same number of threads.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    net_ : skorch.NeuralNetClassifier
        The trained net on the CPU, without what only training needs.
    history_ : list of dict
        Loss per epoch.
    mean_, scale_ : float
        Mean and standard deviation of the training windows, of at most 10 000 of them; 0 and 1 with
        ``init="pretrained"``, which takes decibels.
    input_shape_ : tuple of int
        Shape of a row.
    n_features_in_ : int
        Number of mel bands, or of features if ``X`` is 2-D.

    See Also
    --------
    FrameCNN : The torch module.
    CryCNN : The torch module with ``init="pretrained"``.
    PretrainedEmbedding : The same network without further training.
    AlexNetClassifier : The published network, one decision per window.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import FrameCNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["cry", "quiet"], 16)
    >>> X = rng.normal(size=(32, 40, 50)) + 3 * (y == "cry")[:, None, None]
    >>> net = FrameCNNClassifier(width=0.25, min_steps=20, random_state=0).fit(X, y)
    >>> net.transform(X).shape, net.predict_proba(X).shape
    ((32, 16), (32, 2))
    """

    __module__ = "skcry"
    _parameter_constraints = {
        **SpectrogramClassifier._shared_constraints,
        "init": [StrOptions({"random", "pretrained"})],
        "min_steps": [Interval(numbers.Integral, 1, None, closed="left")],
        "mix": [Interval(numbers.Real, 0, 1, closed="both")],
        "snr_db": [tuple, list],
        "background": "no_validation",
        "frequency_shift": [Interval(numbers.Real, 0, None, closed="left")],
        "filter_db": [Interval(numbers.Real, 0, None, closed="left")],
        "average": [Interval(numbers.Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        width: float = 1.0,
        *,
        init: Literal["random", "pretrained"] = "random",
        dropout: float = 0.2,
        max_epochs: int = 4,
        min_steps: int = 200,
        max_steps: int | None = 4000,
        batch_size: int = 32,
        lr: float = 2e-3,
        weight_decay: float = 0.02,
        class_weight: Literal["balanced"] | dict | None = "balanced",
        mix: float = 0.5,
        snr_db: tuple[float, float] = (-10.0, 20.0),
        background: object = None,
        frequency_shift: float = 2.0,
        filter_db: float = 2.0,
        time_mask: float = 0.0,
        freq_mask: float = 0.1,
        average: float = 0.99,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        weight_dtype: Literal["float32", "float16"] = "float32",
        device: str | torch.device = "auto",
        verbose: bool | int = 0,
        random_state: RandomState = None,
    ) -> None:
        self.width = width
        self.init = init
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.mix = mix
        self.snr_db = snr_db
        self.background = background
        self.frequency_shift = frequency_shift
        self.filter_db = filter_db
        self.time_mask = time_mask
        self.freq_mask = freq_mask
        self.average = average
        self.precision = precision
        self.weight_dtype = weight_dtype
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    _is_pretrained = False  # of the fitted network; `init` may have changed since

    @property
    def _module(self):
        return CryCNN if self._is_pretrained else FrameCNN

    def _standardisation(self, X, rows):
        return (0.0, 1.0) if self.init == "pretrained" else super()._standardisation(X, rows)

    def _choose_rows(self, y, groups, seed):
        if self.init == "pretrained":
            if self.width != 1:
                raise ValueError(
                    f"width={self.width} must be 1 with init='pretrained', because the weights are for this width. "
                    "Leave width=1.0, or choose init='random'."
                )
            if len(self.input_shape_) != 2 or self.input_shape_[0] != SPECTROGRAM["n_mels"]:
                settings = ", ".join(f"{name}={value}" for name, value in SPECTROGRAM.items())
                raise ValueError(
                    f"init='pretrained' takes spectrograms of {SPECTROGRAM['n_mels']} bands, but got rows of shape "
                    f"{self.input_shape_}. Use MelSpectrogram({settings})."
                )
        levels = [level for level in self.snr_db if isinstance(level, numbers.Real)]
        if len(self.snr_db) != 2 or len(levels) != 2 or levels[0] > levels[1]:
            raise ValueError(f"snr_db={self.snr_db!r} must be two levels in dB, the lower one first.")
        if self.max_steps is not None and self.max_steps < self.min_steps:
            raise ValueError(
                f"max_steps={self.max_steps} must be at least min_steps={self.min_steps}. Lower min_steps or raise "
                "max_steps."
            )
        return np.arange(len(y)), None

    def _build_net(self, X, y, train, valid, weight):
        if self.background is None:
            background = int(np.bincount(y).argmax())
        elif self.background in self.classes_:
            background = self.classes_.tolist().index(self.background)
        else:
            raise ValueError(f"background={self.background!r} is not among the classes {self.classes_.tolist()}.")
        mix = SpectrogramMix(
            self.mix, self.snr_db, frequency_shift=self.frequency_shift, filter_db=self.filter_db, background=background
        )
        self._is_pretrained = self.init == "pretrained"
        if self._is_pretrained and (np.max(X[train[:8]], axis=(1, 2)) == 0).all():
            raise ValueError(
                "init='pretrained' takes decibels re 1, but the maximum of each spectrogram is 0 dB, as with "
                "MelSpectrogram(ref='window'). Use ref=1.0 and top_db=None."
            )
        mask = (DecibelMask if self._is_pretrained else SpectrogramMask)(self.time_mask, self.freq_mask)
        centres = stretches(X.shape[2]) if self._is_pretrained else None
        train_set = FrameDataset(X, y, self.mean_, self.scale_, mix, mask, centres)
        n_epochs, steps_per_epoch, n_drawn = self._plan(len(y), self.min_steps)
        n_steps = n_epochs * steps_per_epoch
        schedule = LRScheduler(
            torch.optim.lr_scheduler.OneCycleLR,
            max_lr=self.lr,
            total_steps=n_steps,
            pct_start=0.2 if n_steps == 10 else 0.1,  # with 0.1, torch divides by 10 * 0.1 - 1 = 0
            step_every="batch",
        )
        start = [("start", PretrainedWeights())] if self._is_pretrained else []
        callbacks = [*start, ("schedule", schedule), ("average", WeightAverage(self.average))]
        sampler = WeightedSampler(weight[torch.as_tensor(y)].double(), n_drawn)
        settings = {} if self._is_pretrained else {"module__width": self.width}
        settings["module__middle"] = train_set.middle
        return self._net(train_set, None, callbacks, FrameLoss, None, n_epochs, sampler, **settings), train_set
