"""How networks leave memory: as arrays by name, in pickles and in shared models alike."""

from __future__ import annotations

import contextlib
import contextvars

import numpy as np
import torch

_STORE: contextvars.ContextVar[WeightStore | None] = contextvars.ContextVar("open store", default=None)


class WeightStore:
    """Weights of the networks of one model, apart from the rest of it.

    Parameters
    ----------
    tensors : dict of str to ndarray or None, default=None
        Weights as loaded; None begins without any.
    dtype : {"float16", None}, default=None
        What weights of layers are rounded to; None keeps them as they are.
    """

    def __init__(self, tensors=None, dtype=None):
        self.tensors = {} if tensors is None else tensors
        self.dtype = dtype
        self.n_networks = 0

    @contextlib.contextmanager
    def open(self):
        """Have estimators leave their weights here, and fetch them from here, in this thread and for the time being."""
        token = _STORE.set(self)
        try:
            yield self
        finally:
            _STORE.reset(token)


def keep(module, dtype=None):
    """Take the weights out of a torch module.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU.
    dtype : {"float16", None}, default=None
        What weights of layers, the bulk of a network, are rounded to; biases and batch norms stay as they are.

    Returns
    -------
    dict of str to ndarray, or str
        The arrays, or under which name an open store has them.
    """
    store = _STORE.get()
    half = "float16" in (dtype, store and store.dtype)
    weights = {}
    for name, value in module.state_dict().items():
        value = value.detach().cpu()
        rounded = half and value.ndim > 1 and value.is_floating_point()
        # A copy in any case: the module goes on changing.
        weights[name] = (value.half() if rounded else value).numpy().copy(order="C")
    if store is None:
        return weights
    place = f"network{store.n_networks}"
    store.n_networks += 1
    store.tensors.update({f"{place}.{name}": value for name, value in weights.items()})
    return place


def fetch(kept):
    """Return kept weights as tensors, single precision where they were rounded.

    Parameters
    ----------
    kept : dict of str to ndarray, or str
        What :func:`keep` gave.

    Returns
    -------
    dict of str to torch.Tensor
    """
    if isinstance(kept, str):
        store = _STORE.get()
        if store is None:
            raise ValueError(f"The weights of {kept} are not at hand. Use skcry.load.")
        prefix = f"{kept}."
        kept = {name.removeprefix(prefix): value for name, value in store.tensors.items() if name.startswith(prefix)}
    # joblib may have mapped arrays into memory, where torch cannot have them.
    tensors = {name: torch.from_numpy(np.require(value, requirements="W")) for name, value in kept.items()}
    return {name: value.float() if value.dtype == torch.float16 else value for name, value in tensors.items()}
