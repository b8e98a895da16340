"""AlexNet as a scikit-learn classifier and transformer, around a skorch net."""

from __future__ import annotations

import numbers
from typing import Literal

import numpy as np
import torch
from skorch.callbacks import EarlyStopping

from .._compat import Interval, StrOptions
from .._typing import RandomState
from .._warnings import warn
from .alexnet import AlexNet
from .augment import SpectrogramMask
from .base import SpectrogramClassifier
from .training_data import SpectrogramDataset, grouped_split


class WeightedLoss(torch.nn.CrossEntropyLoss):
    """Cross-entropy, weighted by class, as a plain mean over rows.

    That of torch divides by the weights in the batch, so in a batch of one class weights would have no effect.
    """

    def forward(self, logits, y):
        """Compute the loss of logits (n_windows, n_classes) for class numbers (n_windows,)."""
        return torch.nn.functional.cross_entropy(logits, y, weight=self.weight, reduction="none").mean()


class AlexNetClassifier(SpectrogramClassifier):
    """Classify spectrograms with AlexNet, or turn them into its embeddings.

    Composition around a skorch net: this class obeys scikit-learn, the net trains. Training is in float32; prediction
    is in the dtype of its input, so float64 input costs more time and buys more digits.

    Parameters
    ----------
    width : float, default=1.0
        Factor on the number of channels of every layer; 1 is the published network.
    dropout : float, default=0.5
        Share of the values dropped after each hidden linear layer, in training only.
    max_epochs : int, default=30
        Most passes over the training windows.
    batch_size : int, default=64
        Windows per training step.
    lr : float, default=3e-4
        Learning rate of AdamW.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW (torch's default).
    class_weight : "balanced", dict or None, default="balanced"
        Weights of the classes in the loss, as in scikit-learn. Crying is rare in a day.
    time_mask, freq_mask : float, default=0.3
        Widest share of the frames, and of the bands, hidden at random in training; see
        :class:`skcry.nn.SpectrogramMask`.
    early_stopping : bool, default=True
        Whether to set groups aside, stop when their loss no longer falls, and restore the weights of the best epoch.
        Where the groups allow no such split, a warning says so and all epochs are run.
    validation_fraction : float, default=0.2
        Share of the training windows set aside: one of ``round(1 / validation_fraction)`` folds of whole groups.
    patience : int, default=5
        Epochs without improvement before training stops.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        "auto" trains in bfloat16 (mixed precision) where the processor or GPU multiplies in it, and predicts in
        float32; "bfloat16" predicts in it as well, which is faster and moves probabilities by some thousandths;
        "float32" does neither.
    weight_dtype : {"float32", "float16"}, default="float32"
        "float16" rounds the trained weights, once, and pickles half as much; predictions are computed from them in
        float32 and are the same before and after.
    device : str, default="auto"
        Torch device. "auto" takes a GPU where there is one, in training and in prediction alike.
    verbose : int, default=0
        1 prints losses after each epoch.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, order, dropout, masks and split. With an int training is repeatable on one machine with one
        number of threads (parallel searches give each worker fewer threads).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    net_ : skorch.NeuralNetClassifier
        The trained net, on the CPU, trimmed to what prediction needs.
    history_ : list of dict
        Losses and accuracy per epoch.
    mean_, scale_ : float
        Mean and standard deviation of the training windows that the network saw.
    input_shape_ : tuple of int
        Shape of a row.
    n_features_in_ : int
        Number of mel bands, or of plain features.

    See Also
    --------
    AlexNet : The torch module.

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
        "width": [Interval(numbers.Real, 0, None, closed="neither")],
        "dropout": [Interval(numbers.Real, 0, 1, closed="left")],
        "max_epochs": [Interval(numbers.Integral, 1, None, closed="left")],
        # Batch norm cannot learn from a batch of one.
        "batch_size": [Interval(numbers.Integral, 2, None, closed="left")],
        "lr": [Interval(numbers.Real, 0, None, closed="neither")],
        "weight_decay": [Interval(numbers.Real, 0, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "time_mask": [Interval(numbers.Real, 0, 1, closed="both")],
        "freq_mask": [Interval(numbers.Real, 0, 1, closed="both")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(numbers.Real, 0, 0.5, closed="right")],
        "patience": [Interval(numbers.Integral, 1, None, closed="left")],
        **SpectrogramClassifier._shared_constraints,
    }

    def __init__(
        self,
        width: float = 1.0,
        *,
        dropout: float = 0.5,
        max_epochs: int = 30,
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
                f"Early stopping is off: {len(np.unique(groups))} groups cannot be split so that both sides hold "
                "every class. Pass more groups, or early_stopping=False to train all epochs without this warning."
            )
            return np.arange(len(y)), None
        return split

    def _build_net(self, X, y, train, valid, weight):
        mask = SpectrogramMask(self.time_mask, self.freq_mask)
        train_set = SpectrogramDataset(X[train], y[train], self.mean_, self.scale_, mask)
        valid_set, callbacks = None, []
        if valid is not None:
            valid_set = SpectrogramDataset(X[valid], y[valid], self.mean_, self.scale_)
            stopping = EarlyStopping(patience=self.patience, load_best=True, sink=print if self.verbose else _silent)
            callbacks.append(("early_stopping", stopping))
        return self._net(train_set, valid_set, callbacks, WeightedLoss, weight), train_set


def _silent(*args, **kwargs):
    """Take skorch's messages and print nothing."""
