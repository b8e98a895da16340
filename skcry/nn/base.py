"""What all networks here share: a scikit-learn classifier and transformer of spectrograms around a skorch net."""

from __future__ import annotations

import contextlib
import copy
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
from .._compat import CallbackSupportMixin, StrOptions, fit_callbacks, fit_context
from .._transformer import check_some
from ..windows import Windows
from .training_data import as_images
from .weights import fetch, keep

PREDICT_BATCH = 64  # rows at a time: the activations of 64 windows take some 200 MiB of AlexNet at full width


class MixedPrecisionNet(NeuralNetClassifier):
    """A skorch net that may compute in bfloat16 what loses little by it, and keeps weights and loss in float32.

    Parameters
    ----------
    *args, **kwargs : object
        See :class:`skorch.NeuralNetClassifier`.
    mixed : bool, default=False
        Whether to.
    """

    def __init__(self, *args, mixed=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.mixed = mixed

    def infer(self, x, **fit_params):
        """Compute the module's output for a batch, in float32."""
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.mixed):
            return super().infer(x, **fit_params).float()


def multiplies_bfloat16(device):
    """Tell whether a torch device multiplies matrices in bfloat16 by itself: elsewhere that is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able: dict = getattr(torch.cpu, "get_capabilities", dict)()  # torch of old does not tell
    return device.type == "cpu" and bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def resolve_device(device):
    """Return the torch device of this name; "auto" takes a GPU where there is one."""
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
    """Announce each epoch to the callbacks of scikit-learn; training ends where one of them asks for it.

    Parameters
    ----------
    estimator : SpectrogramClassifier
        What is being fitted.
    fit : CallbackContext
        Context of its fit.
    X, y : Windows or ndarray, ndarray
        What it is fitted on.
    """

    def __init__(self, estimator, fit, X, y):
        self.about = {"estimator": estimator, "X": X, "y": y}
        self.fit = fit

    def on_epoch_begin(self, net, **kwargs):
        """Announce that it begins."""
        self.epoch = self.fit.subcontext(task_name=f"epoch {len(net.history)}")
        self.epoch.call_on_fit_task_begin(**self.about)

    def on_epoch_end(self, net, **kwargs):
        """Announce that it ends, with a network that predicts as it is now for those who want one."""

        def attributes():
            snapshot = copy.copy(net)
            snapshot.module_ = copy.deepcopy(net.module_).to("cpu").eval()
            return {"net_": snapshot, "_n_features_out": net.module_.n_embedding}

        if self.epoch.call_on_fit_task_end(**self.about, reconstruction_attributes=attributes):
            raise KeyboardInterrupt  # how skorch is told to stop


class SpectrogramClassifier(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClassifierMixin,
    BaseEstimator,
):
    """Base of the networks: everything of an estimator but the network and how it is trained.

    Composition around a skorch net: this class obeys scikit-learn, the net trains. Weights are trained in float32, or
    in mixed precision; prediction is in the dtype of its input, unless bfloat16 is asked for. A subclass has the
    parameters ``width, dropout, max_epochs, batch_size, lr, weight_decay, class_weight, precision, weight_dtype,
    device, verbose, random_state``, and ``_choose_rows`` and ``_build_net``; its torch module has ``embed``,
    ``classify`` and ``n_embedding``, and is the class attribute ``_module``.
    """

    _shared_constraints: dict = {
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "weight_dtype": [StrOptions({"float32", "float16"})],
        "device": [str, torch.device],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # Windows bring their groups along: metadata routing has none to hand on.
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
            Who was recorded: a group is either trained on or validated on. None takes the groups of the windows; in an
            array every row is a group of its own.

        Returns
        -------
        AlexNetClassifier
            Itself, fitted.

        Raises
        ------
        ValueError
            If there is a single class or the input is malformed.
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
                "recordings of the other one."
            )
        labels, y = y, encoder.transform(y)
        if groups is None:
            groups = X.groups if isinstance(X, Windows) else np.arange(len(y))
        self.input_shape_ = X.shape[1:]
        seed = check_random_state(self.random_state).randint(2**31 - 1)

        train, valid = self._choose_rows(y, np.asarray(groups), seed)
        self.mean_, self.scale_ = self._standardisation(X, train)
        weight = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[y[train]])
        net, train_set = self._build_net(X, y, train, valid, torch.as_tensor(weight, dtype=torch.float32))
        with fit_callbacks(self, X, labels, net.max_epochs) as context:
            net.callbacks.insert(0, ("epochs", Epochs(self, context, X, labels)))  # before one that stops training
            self._train(net, train_set, seed)
        return self

    def _train(self, net, train_set, seed):
        """Train a net, check the result, and keep what predicts."""
        with _repeatable(seed, net.device):
            net.initialize()
            net.module_.to(memory_format=torch.channels_last)  # the faster layout for convolutions on a CPU
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
            _rounded(net.module_, torch.float16)
            _rounded(net.module_, torch.float32)
        self.net_ = net
        self._n_features_out = net.module_.n_embedding

    # The trained network leaves memory as settings and weights: nothing of torch or skorch is pickled.

    def __getstate__(self):
        state = dict(super().__getstate__())  # what it returns may be this object's own
        if "net_" in state:
            dtype = "float16" if self.weight_dtype == "float16" else None
            state["net_"] = keep(self.net_.module_, dtype)
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "net_" in state:
            with torch.device("meta"):  # without memory: whatever the settings say, the weights are what there is
                module = self._module(**self._module_settings)
            module.load_state_dict(fetch(state["net_"]), assign=True)
            module.to(memory_format=torch.channels_last)
            self.net_ = MixedPrecisionNet(module, classes=np.arange(len(self.classes_)), verbose=0).initialize()
            self.net_.trim_for_prediction()

    def _net(self, train_set, valid_set, callbacks, criterion, weight, **settings):
        """Make a skorch net of what all networks here have in common."""
        n_mels, n_frames = as_images(train_set.X[:1]).shape[2:]
        device = resolve_device(self.device)
        return MixedPrecisionNet(
            self._module,
            mixed=self.precision == "bfloat16" or (self.precision == "auto" and multiplies_bfloat16(device)),
            module__n_mels=n_mels,
            module__n_frames=n_frames,
            module__n_classes=len(self.classes_),
            module__width=self.width,
            module__dropout=self.dropout,
            criterion=criterion,
            criterion__weight=weight,
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
            device=device,
            verbose=int(self.verbose),
            **settings,
        )

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

    def _forward(self, X):
        """Embeddings and logits as arrays, in evaluation mode, batch by batch."""
        check_is_fitted(self)
        X = self._validate_rows(X, reset=False)
        module, device = self.net_.module_, resolve_device(self.device)
        wanted = torch.float64 if X.dtype == np.float64 else torch.float32
        computed = torch.bfloat16 if self.precision == "bfloat16" else wanted
        embeddings, logits = [], []
        with torch.inference_mode():
            if hasattr(module, "folded"):  # each time anew: it costs less than a batch, and nothing of it is kept
                module = module.folded()
            if device.type != "cpu" or computed != torch.float32:
                # A copy: the fitted network stays as it is, whoever else is predicting with it.
                module = copy.deepcopy(module).to(device, computed)
            for rows in gen_batches(len(X), PREDICT_BATCH):
                images = as_images(X[rows], X.dtype).sub(self.mean_).div_(self.scale_).to(device, computed)
                embedding = module.embed(images)
                embeddings.append(embedding.to("cpu", wanted).numpy())
                logits.append(module.classify(embedding).to("cpu", wanted).numpy())
        return np.concatenate(embeddings), np.concatenate(logits)

    def transform(self, X: Windows | ArrayLike) -> np.ndarray:
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
        logits = self._forward(X)[1]
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
        return softmax(self._forward(X)[1].astype(np.float64), axis=1)

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
        winners = self._forward(X)[1].argmax(axis=1)
        return self.classes_[winners]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.non_deterministic = self.random_state is None
        return tags


def _rounded(module, dtype):
    """Bring the weights of layers, the bulk of a network, into a dtype; biases and batch norms stay as they are."""
    for weight in module.parameters():
        if weight.ndim > 1:
            weight.data = weight.data.to(dtype)


def _as_it_is(batch):
    """Return a batch that the data set has already put together."""
    return batch


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
        torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False),
    ):
        torch.manual_seed(seed)
        yield
