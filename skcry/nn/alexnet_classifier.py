"""AlexNet as a scikit-learn classifier and transformer."""

from __future__ import annotations

import numbers
from typing import Literal

import numpy as np
import torch
from skorch.callbacks import EarlyStopping

from .._compat import Interval
from .._typing import RandomState
from .._warnings import warn
from .alexnet import AlexNet
from .augment import SpectrogramMask
from .base import SpectrogramClassifier
from .training_data import SpectrogramDataset, grouped_split, spread


class WeightedLoss(torch.nn.CrossEntropyLoss):
    """Cross-entropy, weighted by class, averaged over rows.

    torch divides by the sum of the weights instead, so weights have no effect in a batch of a single class.
    """

    def forward(self, logits, y):
        """Return the loss of logits (n_windows, n_classes) for class numbers (n_windows,)."""
        return torch.nn.functional.cross_entropy(logits, y, weight=self.weight, reduction="none").mean()


class AlexNetClassifier(SpectrogramClassifier):
    """Classify spectrograms with AlexNet, or turn them into its embeddings.

    The attribute ``net_`` is a skorch net. Embeddings and logits have the dtype of the input; float64 is slower and
    more accurate than float32.

    Parameters
    ----------
    width : float, default=1.0
        Factor on the number of channels of every layer; 1 is the published network.
    dropout : float, default=0.5
        Share of the values dropped after each hidden linear layer in training.
    max_epochs : int, default=30
        Maximal number of passes over the training windows.
    max_steps : int or None, default=10000
        Maximal number of training steps; with many windows (6 hours, one per second), each epoch draws
        ``max_steps // max_epochs`` batches of them at random, and no more windows are validated on than an epoch
        draws. None means no limit.
    batch_size : int, default=64
        Windows per training step.
    lr : float, default=3e-4
        Learning rate of AdamW.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW (torch's default).
    class_weight : "balanced", dict or None, default="balanced"
        Weights of the classes in the loss, as in scikit-learn. Crying is rare in a day.
    time_mask, freq_mask : float, default=0.3
        Largest share of the frames, and of the bands, masked at random in training; see
        :class:`skcry.nn.SpectrogramMask`.
    early_stopping : bool, default=True
        Whether to set groups aside for validation, stop when their loss no longer falls, and restore the weights of
        the best epoch. If the groups allow no such split, a warning is issued and all epochs are run.
    validation_fraction : float, default=0.2
        Share of the training windows set aside: one of ``round(1 / validation_fraction)`` folds of whole groups.
    patience : int, default=5
        Number of epochs without improvement before training stops.
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
        Seed of weights, order, dropout, masks and split. With an int, training is repeatable on the same machine with
        the same number of threads (parallel searches give each worker fewer threads).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    net_ : skorch.NeuralNetClassifier
        The trained net on the CPU, without what only training needs.
    history_ : list of dict
        Losses and accuracy per epoch.
    mean_, scale_ : float
        Mean and standard deviation of the training windows, of at most 10 000 of them, without those set aside.
    input_shape_ : tuple of int
        Shape of a row.
    n_features_in_ : int
        Number of mel bands, or of features if ``X`` is 2-D.

    See Also
    --------
    AlexNet : The torch module.

    Notes
    -----
    Overlapping :class:`Windows` of 195 frames or more share convolutions if their spectrogram does not depend on the
    window, as from ``MelSpectrogram(ref=1.0, top_db=None)``. Each stretch of a recording is then computed once, in
    blocks of bounded size, with the results of each window alone up to rounding. With 5 s every second and AVX2, a
    window takes less than half the time. With the published setting, decibels relative to the maximum of the window,
    each window is computed separately. With a fixed reference, embeddings depend on the gain of the recorder.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import AlexNetClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["cry", "quiet"], 16)
    >>> X = rng.normal(size=(32, 40, 50)) + 3 * (y == "cry")[:, None, None]
    >>> net = AlexNetClassifier(width=1 / 16, max_epochs=4, random_state=0).fit(X, y)
    >>> net.transform(X).shape, net.predict_proba(X).shape
    ((32, 62), (32, 2))
    """

    __module__ = "skcry"
    _parameter_constraints = {
        **SpectrogramClassifier._shared_constraints,
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(numbers.Real, 0, 0.5, closed="right")],
        "patience": [Interval(numbers.Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        width: float = 1.0,
        *,
        dropout: float = 0.5,
        max_epochs: int = 30,
        max_steps: int | None = 10000,
        batch_size: int = 64,
        lr: float = 3e-4,
        weight_decay: float = 0.01,
        class_weight: Literal["balanced"] | dict | None = "balanced",
        time_mask: float = 0.3,
        freq_mask: float = 0.3,
        early_stopping: bool = True,
        validation_fraction: float = 0.2,
        patience: int = 5,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        weight_dtype: Literal["float32", "float16"] = "float32",
        device: str | torch.device = "auto",
        verbose: bool | int = 0,
        random_state: RandomState = None,
    ) -> None:
        self.width = width
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.time_mask = time_mask
        self.freq_mask = freq_mask
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.precision = precision
        self.weight_dtype = weight_dtype
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    _module = AlexNet

    def _choose_rows(self, y, groups, seed):
        if not self.early_stopping:
            return np.arange(len(y)), None
        split = grouped_split(y, groups, self.validation_fraction, seed)
        if split is None:
            warn(
                f"Early stopping is off: {len(np.unique(groups))} groups cannot be split so that both sides have "
                "every class. Pass more groups, or early_stopping=False to train all epochs without this warning."
            )
            return np.arange(len(y)), None
        train, valid = split
        n_drawn = self._plan(len(train))[2]
        if n_drawn < len(train):  # validate on as many at most, with the shares of classes and groups
            numbers = np.unique(groups[valid], return_inverse=True)[1]
            valid = np.sort(spread(valid[np.lexsort([numbers, y[valid]])], n_drawn))
        return train, valid

    def _build_net(self, X, y, train, valid, weight):
        mask = SpectrogramMask(self.time_mask, self.freq_mask)
        train_set = SpectrogramDataset(X, y, train, self.mean_, self.scale_, mask)
        valid_set, callbacks = None, []
        if valid is not None:
            valid_set = SpectrogramDataset(X, y, valid, self.mean_, self.scale_)
            stopping = EarlyStopping(patience=self.patience, load_best=True, sink=print if self.verbose else _silent)
            callbacks.append(("early_stopping", stopping))
        n_epochs, _, n_drawn = self._plan(len(train))
        sampler = torch.utils.data.RandomSampler(train_set, num_samples=n_drawn)
        about = {"n_epochs": n_epochs, "sampler": sampler, "module__width": self.width}
        return self._net(train_set, valid_set, callbacks, WeightedLoss, weight, **about), train_set


def _silent(*args, **kwargs):
    """Print nothing, as the sink of skorch's messages."""
