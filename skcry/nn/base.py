"""Base of the network classifiers: a scikit-learn classifier and transformer of spectrograms around a skorch net."""

from __future__ import annotations

import contextlib
import copy
import inspect
import logging
import numbers
import re
import threading
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import assert_all_finite, check_random_state, column_or_1d, gen_batches
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.helper import predefined_split

from .._base import BaseEstimator
from .._compat import CallbackSupportMixin, Interval, StrOptions, fit_callbacks, fit_context
from .._transformer import check_some, tabulate
from ..windows import Windows
from .overlap import embed_overlapping
from .training_data import as_images, spread
from .weights import fetch, keep

LOG = logging.getLogger("skcry")
PREDICT_BATCH = 64  # rows; activations of 64 windows take about 200 MiB with AlexNet at full width
STANDARDISED = 10_000  # windows, from which mean and standard deviation are estimated


class MixedPrecisionNet(NeuralNetClassifier):
    """A skorch net that computes in mixed precision if ``mixed``; weights and loss stay in float32."""

    def __init__(self, *args, mixed=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.mixed = mixed

    def infer(self, x, **fit_params):
        """Return the module's output for a batch, in float32."""
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.mixed):
            return super().infer(x, **fit_params).float()


def multiplies_bfloat16(device):
    """Return whether a torch device has instructions for bfloat16; without them it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able: dict = getattr(torch.cpu, "get_capabilities", dict)()  # missing in older versions of torch
    return device.type == "cpu" and bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def resolve_device(device):
    """Return the torch device of this name; "auto" is a GPU if there is one."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = re.split(r"\. |\n|, \w+, ", str(error))[0]
        raise ValueError(
            f'device={str(device)!r} cannot be used here: {reason}. Choose "cpu", or "auto" for a GPU if any.'
        ) from error
    return torch.device(device)


class Epochs(Callback):
    """Report each epoch to scikit-learn's callbacks; stop training if a callback requests it."""

    def __init__(self, estimator, parent, X, y):
        self.about = {"estimator": estimator, "X": X, "y": y}
        self.parent = parent

    def on_epoch_begin(self, net, **kwargs):
        """Report the start of an epoch."""
        LOG.debug("epoch %d of %d", len(net.history), net.max_epochs)
        self.epoch = self.parent.subcontext(task_name=f"epoch {len(net.history)}")
        self.epoch.call_on_fit_task_begin(**self.about)

    def on_epoch_end(self, net, **kwargs):
        """Report the end of an epoch; a callback may request a copy of the current network."""

        def attributes():
            snapshot = copy.copy(net)
            snapshot.module_ = copy.deepcopy(net.module_).to("cpu").eval()
            return {"net_": snapshot, "_n_features_out": net.module_.n_embedding}

        if self.epoch.call_on_fit_task_end(**self.about, reconstruction_attributes=attributes):
            raise KeyboardInterrupt  # skorch stops training on it


class SpectrogramClassifier(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClassifierMixin,
    BaseEstimator,
):
    """Base of the network classifiers, which have a skorch net as ``net_``.

    A subclass has the parameters of ``_shared_constraints`` and the methods ``_choose_rows`` and ``_build_net``. Its
    torch module, the class attribute ``_module``, has ``embed``, ``classify`` and ``n_embedding``.
    """

    _shared_constraints: dict = {
        "width": [Interval(numbers.Real, 0, None, closed="neither")],
        "dropout": [Interval(numbers.Real, 0, 1, closed="left")],
        "max_epochs": [Interval(numbers.Integral, 1, None, closed="left")],
        "max_steps": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(numbers.Integral, 2, None, closed="left")],  # batch norm fails on a batch of one
        "lr": [Interval(numbers.Real, 0, None, closed="neither")],
        "weight_decay": [Interval(numbers.Real, 0, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "time_mask": [Interval(numbers.Real, 0, 1, closed="both")],
        "freq_mask": [Interval(numbers.Real, 0, 1, closed="both")],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "weight_dtype": [StrOptions({"float32", "float16"})],
        "device": [str, torch.device],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # By default `fit` takes the groups from `Windows`, without metadata routing.
    __metadata_request__fit = {"groups": False}

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Windows | ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_mels, n_frames) or (n_windows, n_features)
            Spectrograms. ``Windows`` are read batch by batch.
        y : array-like of shape (n_windows,)
            Labels.
        groups : array-like of shape (n_windows,) or None, default=None
            Who was recorded. Where windows are set aside for validation, whole groups are. None takes the groups of
            the windows; each row of an array is then a group of its own.

        Returns
        -------
        self : object
            Returns self.

        Raises
        ------
        ValueError
            If ``y`` has a single class, the input is malformed, or training diverges.
        """
        X = self._validate_rows(X, reset=True)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(X, y, groups)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes, got 1 class: {self.classes_.tolist()}. Add "
                "recordings of another class."
            )
        labels, y = y, encoder.transform(y)
        if groups is None:
            groups = X.groups if isinstance(X, Windows) else np.arange(len(y))
        self.input_shape_ = X.shape[1:]
        seed = check_random_state(self.random_state).randint(2**31 - 1)

        train, valid = self._choose_rows(y, np.asarray(groups), seed)
        X = X.stored() if isinstance(X, Windows) else X  # read at random from here on
        self.mean_, self.scale_ = self._standardisation(X, train)
        weight = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[y[train]])
        net, train_set = self._build_net(X, y, train, valid, torch.as_tensor(weight, dtype=torch.float32))
        with fit_callbacks(self, X, labels, net.max_epochs) as context:
            net.callbacks.insert(0, ("epochs", Epochs(self, context, X, labels)))  # before callbacks that stop training
            self._train(net, train_set, seed)
        return self

    def _train(self, net, train_set, seed):
        """Train a net, check the result, and keep what predicts."""
        with _repeatable(seed, net.device):
            net.initialize()
            net.module_.to(memory_format=torch.channels_last)  # faster convolutions on a CPU
            net.partial_fit(train_set, None)
        self.history_ = [
            {key: row[key] for key in ("epoch", "train_loss", "valid_loss", "valid_acc") if key in row}
            for row in net.history
        ]
        finite = all(value.isfinite().all() for value in net.module_.state_dict().values())
        if not finite or not np.isfinite(self.history_[-1]["train_loss"]):
            raise ValueError(
                f"Training diverged: the loss is {self.history_[-1]['train_loss']} after {len(self.history_)} epochs "
                f"with lr={self.lr}, the weights {'' if finite else 'not '}finite. Lower lr."
            )
        self._module_settings = net.get_params_for("module")
        net.trim_for_prediction()
        net.set_params(device="cpu")
        net.module_.to("cpu").eval()
        if self.weight_dtype == "float16":
            _cast_weights(net.module_, torch.float16)
            _cast_weights(net.module_, torch.float32)
        self.net_ = net
        self._n_features_out = net.module_.n_embedding

    # Pickles hold settings and weights of the network, and no objects of torch or skorch.

    def __getstate__(self):
        state = dict(super().__getstate__())  # a copy, since it may be this object's __dict__
        if "net_" in state:
            dtype = "float16" if self.weight_dtype == "float16" else None
            state["net_"] = keep(self.net_.module_, dtype)
        return state

    def __setstate__(self, state):
        parameters = inspect.signature(type(self)).parameters
        defaults = {name: one.default for name, one in parameters.items() if one.default is not one.empty}
        super().__setstate__({**defaults, **state})  # older versions had fewer parameters
        if "net_" in state:
            with torch.device("meta"):  # allocates no memory, whatever sizes a forged file claims
                module = self._module(**self._module_settings)
            module.load_state_dict(fetch(state["net_"]), assign=True)
            module.to(memory_format=torch.channels_last)
            self.net_ = MixedPrecisionNet(module, classes=np.arange(len(self.classes_)), verbose=0).initialize()
            self.net_.trim_for_prediction()

    def _plan(self, n_rows, min_steps=1):
        """Return how many epochs there are, and how many steps and windows in each, for so many windows in all."""
        rest = n_rows % self.batch_size  # a last batch of one is dropped, because batch norm fails on it
        n_steps = n_rows // self.batch_size + (rest > 1)
        n_epochs = max(self.max_epochs, -(-min_steps // n_steps))
        if self.max_steps is None or n_epochs * n_steps <= self.max_steps:
            return n_epochs, n_steps, n_rows
        n_epochs = min(n_epochs, self.max_steps)
        n_steps = self.max_steps // n_epochs
        return n_epochs, n_steps, min(n_rows, n_steps * self.batch_size)

    def _net(self, train_set, valid_set, callbacks, criterion, weight, n_epochs, sampler, **settings):
        """Return a skorch net with the settings that all networks share."""
        n_mels, n_frames = self.input_shape_ if len(self.input_shape_) == 2 else (*self.input_shape_, 1)
        device = resolve_device(self.device)
        return MixedPrecisionNet(
            self._module,
            mixed=self.precision == "bfloat16" or (self.precision == "auto" and multiplies_bfloat16(device)),
            module__n_mels=n_mels,
            module__n_frames=n_frames,
            module__n_classes=len(self.classes_),
            module__dropout=self.dropout,
            criterion=criterion,
            criterion__weight=weight,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.weight_decay,
            lr=self.lr,
            max_epochs=n_epochs,
            batch_size=self.batch_size,
            iterator_train__sampler=sampler,
            iterator_train__collate_fn=_identity,
            iterator_valid__collate_fn=_identity,
            # Batch norm fails on a last batch of one.
            iterator_train__drop_last=len(train_set) > 1 and len(train_set) % self.batch_size == 1,
            train_split=None if valid_set is None else predefined_split(valid_set),
            classes=np.arange(len(self.classes_)),
            callbacks=callbacks,
            device=device,
            verbose=int(self.verbose),
            **settings,
        )

    def _standardisation(self, X, rows):
        """Return mean and standard deviation of these rows of ``X``, of many only a part, read batch by batch."""
        rows = spread(rows, STANDARDISED)
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
            validate_data(self, X, reset=reset, skip_check_array=True)
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

    def _forward(self, X, compute):
        """Check rows, and return what a method computes for them, of files stretch by stretch."""
        check_is_fitted(self)
        return tabulate(self._validate_rows(X, reset=False), compute, remember=False)

    def _logits(self, X):
        """Return logits (n_windows, n_classes)."""
        return self._embed(X, classify=True)

    def _embed(self, X, classify=False):
        """Return embeddings (n_windows, n_embedding) or logits (n_windows, n_classes), computed batch by batch."""
        module, device = self.net_.module_, resolve_device(self.device)
        wanted = torch.float64 if X.dtype == np.float64 else torch.float32
        computed = torch.bfloat16 if self.precision == "bfloat16" else wanted
        order, outputs = [], []
        with torch.inference_mode():
            module = module.folded()  # takes less time than a batch, so it is not kept
            if device.type != "cpu" or computed != torch.float32:
                # A copy, because other threads may predict with the fitted network.
                module = copy.deepcopy(module).to(device, computed)

            def prepare(images):
                return images.sub(self.mean_).div_(self.scale_).to(device, computed)

            batches = embed_overlapping(module, X, prepare) or (
                (np.arange(len(X))[rows], module.embed(prepare(as_images(X[rows], X.dtype))))
                for rows in gen_batches(len(X), PREDICT_BATCH)
            )
            for rows, embedding in batches:
                output = module.classify(embedding) if classify else embedding
                order.append(rows)
                outputs.append(output.to("cpu", wanted).numpy())
        return np.concatenate(outputs)[np.argsort(np.concatenate(order))]

    def transform(self, X: Windows | ArrayLike) -> np.ndarray:
        """Compute embeddings: the output of the last hidden layer.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_mels, n_frames) or (n_windows, n_features)
            Spectrograms.

        Returns
        -------
        ndarray of shape (n_windows, n_embedding)
            ``n_embedding`` values per window, as many as ``get_feature_names_out`` names, in the dtype of ``X``.
        """
        return self._forward(X, self._embed)

    def decision_function(self, X: Windows | ArrayLike) -> np.ndarray:
        """Compute the difference of the two logits, or one logit per class.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_mels, n_frames) or (n_windows, n_features)
            Spectrograms.

        Returns
        -------
        ndarray of shape (n_windows,) or (n_windows, n_classes)
            For two classes the log-odds of ``classes_[1]``; in the dtype of ``X``.
        """
        logits = self._forward(X, self._logits)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: Windows | ArrayLike) -> np.ndarray:
        """Compute the probability of each class.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_mels, n_frames) or (n_windows, n_features)
            Spectrograms.

        Returns
        -------
        ndarray of shape (n_windows, n_classes)
            In the order of ``classes_``.
        """
        return softmax(self._forward(X, self._logits).astype(np.float64), axis=1)

    def predict(self, X: Windows | ArrayLike) -> np.ndarray:
        """Predict the label of each window.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_mels, n_frames) or (n_windows, n_features)
            Spectrograms.

        Returns
        -------
        ndarray of shape (n_windows,)
            The most probable of ``classes_``.
        """
        winners = self._forward(X, self._logits).argmax(axis=1)
        return self.classes_[winners]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.non_deterministic = self.random_state is None
        return tags


def _cast_weights(module, dtype):
    """Cast the weight matrices and kernels of a module, in place; biases and batch norms keep their dtype."""
    for weight in module.parameters():
        if weight.ndim > 1:
            weight.data = weight.data.to(dtype)


def _identity(batch):
    """Return a batch, which the data set has already collated."""
    return batch


# torch's random state is shared by all threads, so only one network is trained at a time.
_TRAINING_LOCK = threading.Lock()


@contextlib.contextmanager
def _repeatable(seed, device):
    """Seed torch inside the context, and restore the caller's random state after it."""
    device = torch.device(device)
    devices = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    with (
        _TRAINING_LOCK,
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False),
    ):
        torch.manual_seed(seed)
        yield
