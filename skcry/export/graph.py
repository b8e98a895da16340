"""A graph of ONNX under construction, and the layers of networks in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

if TYPE_CHECKING:
    import onnx

OPSET = 17  # operators of 2022, which runtimes of small devices have
IR_VERSION = 8  # of the same version of ONNX


def import_onnx(name="onnx"):
    """Import the package ``onnx`` or ``onnxruntime``, or tell how to install it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(f"export_onnx needs the package {package}. Install it: pip install 'skcry[onnx]'") from error


class Graph:
    """Nodes and weights of a graph; a value is the name (str) of the output of a node, or an array.

    Numbers are constants: int in int64, float in float32. ``part`` is the first part of the names of nodes to come.
    """

    def __init__(self) -> None:
        self._onnx = import_onnx()
        self._nodes: list = []
        self._weights: dict = {}
        self.part = ""

    def constant(self, value) -> str:
        """Add a constant once, and return its name."""
        if isinstance(value, str):
            return value
        value = np.asarray(value)
        if value.dtype != bool:
            value = value.astype(np.int64 if value.dtype.kind in "iu" else np.float32)
        key = (value.tobytes(), value.shape, value.dtype.str)
        return self._weights.setdefault(key, (f"constant_{len(self._weights)}", value))[0]

    def __call__(self, kind: str, *values, **attributes) -> str:
        """Add a node of a ``kind`` of operator, and return the name of its output."""
        name = f"{self.part}{kind}_{len(self._nodes)}"
        inputs = [self.constant(value) for value in values]
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def layers(self, x: str, sequence: nn.Module) -> str:
        """Apply layers of torch without batch norms, for prediction."""
        for layer in sequence.children():
            if isinstance(layer, (nn.Conv1d, nn.Conv2d)):
                weights = [one.detach().numpy() for one in layer.parameters()]  # and the bias
                about = {"strides": layer.stride, "dilations": layer.dilation, "pads": [*layer.padding] * 2}
                x = self("Conv", x, *weights, kernel_shape=layer.kernel_size, **about)
            elif isinstance(layer, nn.ReLU):
                x = self("Relu", x)
            elif isinstance(layer, nn.MaxPool2d):
                size = layer.kernel_size if isinstance(layer.kernel_size, tuple) else (layer.kernel_size,) * 2
                x = self("MaxPool", x, kernel_shape=size, strides=size)
            elif not isinstance(layer, nn.Dropout):
                raise TypeError(f"{layer} is not among the layers that are known here.")
        return x

    def linear(self, x: str, layer: nn.Linear) -> str:
        """Apply a linear layer of torch to rows."""
        return self("Gemm", x, layer.weight.detach().numpy(), layer.bias.detach().numpy(), transB=1)

    def model(self, score: str, shape: list, about: str) -> onnx.ModelProto:
        """Build the model, from an input ``sound`` to an output ``score`` of this shape, which is this value."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [score], ["score"], name="score"))
        helper, numpy_helper, kind = self._onnx.helper, self._onnx.numpy_helper, self._onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "skcry",
            [helper.make_tensor_value_info("sound", kind, ["n_timepoints"])],
            [helper.make_tensor_value_info("score", kind, shape)],
            [numpy_helper.from_array(value, name) for name, value in self._weights.values()],
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="skcry", doc_string=about)
        model.ir_version = IR_VERSION
        self._onnx.checker.check_model(model)
        return model
