"""AlexNet as a scikit-learn classifier and transformer, around a skorch net."""

import contextlib
import copy
import numbers
import threading
import warnings

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_y,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping
from skorch.helper import predefined_split

from ..sound import check_some
from ..windows import Windows
from .alexnet import AlexNet
from .augment import SpectrogramMask
from .batches import SpectrogramDataset, as_images, grouped_split

PREDICT_BATCH = 64  # rows at a time: the activations of 64 windows take some 200 MiB at full width


class WeightedLoss(torch.nn.CrossEntropyLoss):
    """Cross-entropy, weighted by class, as a plain mean over rows.

    That of torch divides by the weights in the batch, so in a batch of one class weights would have no effect.
    """

    def forward(self, logits, y):
        """Compute the loss of logits (n_windows, n_classes) for class numbers (n_windows,)."""
        return torch.nn.functional.cross_entropy(logits, y, weight=self.weight, reduction="none").mean()


class AlexNetClassifier(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator):
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
        "device": [str, torch.device],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        width=1.0,
        *,
        dropout=0.5,
        max_epochs=30,
        batch_size=64,
        lr=3e-4,
        weight_decay=0.01,
        class_weight="balanced",
        time_mask=0.3,
        freq_mask=0.3,
        early_stopping=True,
        validation_fraction=0.2,
        patience=5,
        device="auto",
        verbose=0,
        random_state=None,
    ):
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
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    # Windows bring their groups along: metadata routing has none to hand on.
    __metadata_request__fit = {"groups": False}

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, groups=None):
        """Train the network.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_mels, n_frames) or (n_windows, n_features)
            Spectrograms. ``Windows`` are read batch by batch.
        y : array-like of shape (n_windows,)
            Labels.
        groups : array-like of shape (n_windows,) or None, default=None
            Who was recorded: a group is either trained on or validated on. None takes the groups of the windows; in an
            array every row is a group of its own.

        Returns
        -------
        AlexNetClassifier

        Raises
        ------
        ValueError
            If there is a single class or the input is malformed.
        """
        X = self._validate_rows(X, reset=True)
        y = _check_y(y, estimator=self)
        check_consistent_length(X, y, groups)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes, got 1 class: {self.classes_.tolist()}. Add "
                "recordings of the other one."
            )
        y = encoder.transform(y)
        if groups is None:
            groups = X.groups if isinstance(X, Windows) else np.arange(len(y))
        self.input_shape_ = X.shape[1:]
        seed = check_random_state(self.random_state).randint(2**31 - 1)

        train, valid = np.arange(len(y)), None
        if self.early_stopping:
            split = grouped_split(y, np.asarray(groups), self.validation_fraction, seed)
            if split is None:
                warnings.warn(
                    f"Early stopping is off: {len(np.unique(groups))} groups cannot be split so that both sides hold "
                    "every class. Pass more groups, or early_stopping=False to train all epochs without this warning.",
                    stacklevel=3,
                )
            else:
                train, valid = split
        self.mean_, self.scale_ = self._standardisation(X, train)
        mask = SpectrogramMask(self.time_mask, self.freq_mask)
        train_set = SpectrogramDataset(X[train], y[train], self.mean_, self.scale_, mask)
        valid_set = None if valid is None else SpectrogramDataset(X[valid], y[valid], self.mean_, self.scale_)
        class_weight = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[y[train]])
        net = self._build_net(train_set, valid_set, class_weight)
        with _repeatable(seed, net.device):
            net.initialize()
            net.module_.to(memory_format=torch.channels_last)  # the faster layout for convolutions on a CPU
            net.partial_fit(train_set, None)
        self.history_ = [
            {key: row[key] for key in ("epoch", "train_loss", "valid_loss", "valid_acc") if key in row}
            for row in net.history
        ]
        if not np.isfinite(self.history_[-1]["train_loss"]):
            raise ValueError(
                f"Training diverged: the loss is {self.history_[-1]['train_loss']} after {len(self.history_)} epochs "
                f"with lr={self.lr}. Lower lr."
            )
        net.trim_for_prediction()
        net.set_params(device="cpu")
        net.module_.to("cpu").eval()
        self.net_ = net
        self._n_features_out = net.module_.n_embedding
        return self

    def _build_net(self, train_set, valid_set, class_weight):
        n_mels, n_frames = as_images(train_set.X[:1]).shape[2:]
        callbacks = []
        if valid_set is not None:
            stopping = EarlyStopping(patience=self.patience, load_best=True, sink=print if self.verbose else _silent)
            callbacks.append(("early_stopping", stopping))
        return NeuralNetClassifier(
            AlexNet,
            module__n_mels=n_mels,
            module__n_frames=n_frames,
            module__n_classes=len(self.classes_),
            module__width=self.width,
            module__dropout=self.dropout,
            criterion=WeightedLoss,
            criterion__weight=torch.as_tensor(class_weight, dtype=torch.float32),
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.weight_decay,
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            iterator_train__shuffle=True,
            iterator_train__collate_fn=_as_it_is,
            iterator_valid__collate_fn=_as_it_is,
            # Batch norm cannot learn from a last batch of one.
            iterator_train__drop_last=len(train_set) > 1 and len(train_set) % self.batch_size == 1,
            train_split=None if valid_set is None else predefined_split(valid_set),
            classes=np.arange(len(self.classes_)),
            callbacks=callbacks,
            device=self._resolve_device(),
            verbose=int(self.verbose),
        )

    def _resolve_device(self):
        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    @staticmethod
    def _standardisation(X, rows):
        total = square = count = 0.0
        for batch in gen_batches(len(rows), PREDICT_BATCH):
            values = np.asarray(X[rows[batch]], dtype=np.float64)
            total, square, count = total + values.sum(), square + (values**2).sum(), count + values.size
        mean = total / count
        deviation = np.sqrt(max(0.0, square / count - mean**2))
        return float(mean), float(deviation) or 1.0

    def _validate_rows(self, X, *, reset):
        if isinstance(X, Windows):
            check_some(self, X)
            _check_feature_names(self, X, reset=reset)
            _check_n_features(self, X, reset=reset)
        else:
            X = validate_data(self, X, reset=reset, allow_nd=True, dtype=[np.float32, np.float64])
            if X.ndim > 3:
                raise ValueError(
                    f"Expected rows of shape (n_mels, n_frames) or (n_features,), got X of shape {X.shape}."
                )
        if not reset and X.shape[1:] != self.input_shape_:
            raise ValueError(
                f"The network was fitted on rows of shape {self.input_shape_}, but got {X.shape[1:]}. Use the windows "
                "and the spectrogram that it was fitted with."
            )
        return X

    def _forward(self, X):
        """Embeddings and logits as arrays, in evaluation mode, batch by batch."""
        check_is_fitted(self)
        X = self._validate_rows(X, reset=False)
        module, device = self.net_.module_, torch.device(self._resolve_device())
        if device.type != "cpu" or X.dtype == np.float64:
            # A copy: the fitted network stays as it is, whoever else is predicting with it.
            module = copy.deepcopy(module).to(device, torch.float64 if X.dtype == np.float64 else torch.float32)
        embeddings, logits = [], []
        with torch.inference_mode():
            for rows in gen_batches(len(X), PREDICT_BATCH):
                images = ((as_images(X[rows], X.dtype) - self.mean_) / self.scale_).to(device)
                embedding = module.embed(images)
                embeddings.append(embedding.cpu().numpy())
                logits.append(module.classify(embedding).cpu().numpy())
        return np.concatenate(embeddings), np.concatenate(logits)

    def transform(self, X):
        """Compute embeddings: the output of the last hidden layer.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_mels, n_frames) or (n_windows, n_features)
            Spectrograms.

        Returns
        -------
        ndarray of shape (n_windows, n_embedding)
            1000 values a window at the published width, in the dtype of ``X``.
        """
        return self._forward(X)[0]

    def decision_function(self, X):
        """Compute the difference of the two logits, or one logit per class.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_mels, n_frames) or (n_windows, n_features)
            Spectrograms.

        Returns
        -------
        ndarray of shape (n_windows,) or (n_windows, n_classes)
        """
        logits = self._forward(X)[1]
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X):
        """Compute the probability of each class.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_mels, n_frames) or (n_windows, n_features)
            Spectrograms.

        Returns
        -------
        ndarray of shape (n_windows, n_classes)
        """
        return softmax(self._forward(X)[1].astype(np.float64), axis=1)

    def predict(self, X):
        """Predict the label of each window.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_mels, n_frames) or (n_windows, n_features)
            Spectrograms.

        Returns
        -------
        ndarray of shape (n_windows,)
        """
        winners = self._forward(X)[1].argmax(axis=1)
        return self.classes_[winners]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.non_deterministic = self.random_state is None
        return tags


def _as_it_is(batch):
    """Return a batch that the data set has already put together."""
    return batch


def _silent(*args, **kwargs):
    """Take skorch's messages and print nothing."""


# torch has one state of random numbers for all threads: networks that are trained at once would stir each other's.
_ONE_AT_A_TIME = threading.Lock()


@contextlib.contextmanager
def _repeatable(seed, device):
    """Seed torch for the time being, and give the caller's random state back."""
    device = torch.device(device)
    devices = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    with (
        _ONE_AT_A_TIME,
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(deterministic=True, benchmark=False),
    ):
        torch.manual_seed(seed)
        yield
