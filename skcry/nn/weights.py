"""Weights of networks as arrays by name, for pickles and for the files of :func:`skcry.save`."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .._compat import about_weights

_STORE: contextvars.ContextVar[WeightStore | None] = contextvars.ContextVar("open store", default=None)


class WeightStore:
    """Weights of the networks of one model, kept apart from the rest of it.

    Parameters
    ----------
    tensors : dict of str to ndarray or None, default=None
        Weights to load; None for an empty store.
    dtype : {"float16", None}, default=None
        Type to round the weights of layers to; None keeps them as they are.
    """

    def __init__(self, tensors=None, dtype=None):
        self.tensors = {} if tensors is None else tensors
        self.dtype = dtype
        self.places = {}  # id of a module -> its place, and the module itself, so that it keeps its id

    @contextlib.contextmanager
    def open(self):
        """Have :func:`keep` and :func:`fetch` use this store, in this thread, until the context ends."""
        token = _STORE.set(self)
        try:
            yield
        finally:
            _STORE.reset(token)


def keep(module, dtype=None):
    """Return the weights of a torch module on the CPU as a dict of arrays, or their name in the open store.

    ``dtype="float16"`` rounds the weights of layers, most of a network; biases and batch norms stay as they are.
    """
    store = _STORE.get()
    if store is not None and id(module) in store.places:  # skops asks for the state of an object more than once
        return store.places[id(module)][0]
    half = "float16" in (dtype, store and store.dtype)
    weights = {}
    for name, value in module.state_dict().items():
        value = value.detach().cpu()
        rounded = half and value.ndim > 1 and value.is_floating_point()
        # A copy, since training may change the module afterwards.
        weights[name] = (value.half() if rounded else value).numpy().copy(order="C")
    if store is None:
        return weights
    place = f"network{len(store.places)}"
    store.places[id(module)] = place, module
    store.tensors.update({f"{place}.{name}": value for name, value in weights.items()})
    return place


def fetch(kept):
    """Return what :func:`keep` gave as tensors by name, in single precision if they were rounded."""
    if isinstance(kept, str):
        store = _STORE.get()
        if store is None:
            raise ValueError(f"The weights of {kept} are in another part of the file. Use skcry.load.")
        prefix = f"{kept}."
        kept = {name.removeprefix(prefix): value for name, value in store.tensors.items() if name.startswith(prefix)}
    # torch needs writable arrays, and joblib may have mapped them read-only.
    tensors = {name: torch.from_numpy(np.require(value, requirements="W")) for name, value in kept.items()}
    return {name: value.float() if value.dtype == torch.float16 else value for name, value in tensors.items()}


def fold_batch_norms(layers):
    """Return a sequence of layers for prediction, with each batch norm folded into the convolution before it."""
    folded: list = []
    for layer in layers:
        if isinstance(layer, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            folded[-1] = fuse_conv_bn_eval(folded[-1], layer)
        elif isinstance(layer, torch.nn.ReLU):
            folded.append(torch.nn.ReLU(inplace=True))
        else:
            folded.append(layer)
    return torch.nn.Sequential(*folded).eval()


class SavedModule(torch.nn.Module):
    """Torch module that :func:`skcry.save` stores as its settings and weights, wherever it is in an estimator.

    A subclass keeps the arguments of its ``__init__`` as ``_settings``; None if its layers are no longer as built.
    ``image_size`` are numbers of bands and frames, and ``_published_size`` those of weights that do not tell theirs.
    """

    _settings: dict | None
    image_size: tuple[int, int]
    _published_size: tuple[int, int] | None = None
    _frames_matter = False

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Return the weights by name, see :meth:`torch.nn.Module.state_dict`.

        Parameters
        ----------
        destination : dict or None, default=None
            Dict to add the weights to. None makes a new one.
        prefix : str, default=""
            Beginning of the names.
        keep_vars : bool, default=False
            Whether tensors stay attached to the graph of gradients.

        Returns
        -------
        dict of str to Tensor
            Weights, with a note of the size of the images that :meth:`load_state_dict` checks.
        """
        weights = super().state_dict(destination=destination, prefix=prefix, keep_vars=keep_vars)
        about_weights(weights)["image_size"] = self.image_size
        return weights

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights by name, see :meth:`torch.nn.Module.load_state_dict`.

        Parameters
        ----------
        state_dict : dict of str to Tensor
            Weights of this class or of the published code.
        strict : bool, default=True
            Whether all names must agree.
        assign : bool, default=False
            Whether to keep the tensors instead of copying their values.

        Returns
        -------
        NamedTuple
            Names that are missing or not expected.

        Raises
        ------
        ValueError
            If the weights are for images of another size, although their shapes agree. For :class:`skcry.AlexNet` the
            number of frames may differ by one, and what ``state_dict`` of other code gave is taken for the published
            weights, for 225 bands and frames; for :class:`skcry.FrameCNN` frames do not matter. Nothing is known about
            the weights in a plain dict.
        RuntimeError
            If names or shapes differ.
        """
        about, own = about_weights(state_dict), self.image_size
        size = about.get("image_size", self._published_size or own) if about else own
        # The number of frames of a window differs by one between spectrograms with and without padding.
        if size[0] != own[0] or (self._frames_matter and abs(size[1] - own[1]) > 1):
            origin = "" if "image_size" in about else " (as published, since they do not tell)"
            raise ValueError(
                f"These weights are for images of {size[0]} bands and {size[1]} frames{origin}, but the network is for "
                f"{own[0]} and {own[1]}. Build {type(self).__name__}{size}, or pass dict(weights) if you "
                "know that they fit."
            )
        return super().load_state_dict(state_dict, strict, assign)

    def __getstate__(self):
        if _STORE.get() is None:  # for a pickle or a copy
            return super().__getstate__()
        if self._settings is None:
            raise TypeError(f"it holds a folded {type(self).__name__}, which only predicts. Keep the network itself")
        return {"settings": self._settings, "training": self.training, "weights": keep(self)}

    def __setstate__(self, state):
        if _STORE.get() is None:
            super().__setstate__(state)
            return
        with torch.device("meta"):  # allocates no memory, whatever sizes a forged file claims
            type(self).__init__(self, **state["settings"])
        self.load_state_dict(fetch(state["weights"]), assign=True)
        self.train(bool(state["training"]))
