"""From sound to embeddings of windows, in a graph of ONNX: spectrogram and network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.signal
from torch import nn

from ..features.mel import AMIN, MelSpectrogram
from ..nn.cry_cnn import FLOOR_DB, LEVEL_FRAMES, SCALE_DB, SPECTROGRAM, TRUNK_FRAMES, TRUNK_STRIDE, CryCNN
from ..nn.frame_cnn import STEM, TIME_POOLING, FrameCNN
from ..nn.pretrained_embedding import SPAN
from .graph import Graph


@dataclass(frozen=True)
class Cut:
    """How recordings are cut into windows; lengths in timepoints at ``sr`` Hz."""

    window_length: int
    hop_length: int
    last: str
    sr: int


def add_windows(graph: Graph, sound: str, cut: Cut) -> tuple[str, str, str]:
    """Pad sound with zeros, or cut it, to the end of its last window.

    Returns
    -------
    sound, length, n_windows : str
        Values of shapes (n_timepoints,), (1,) and (1,). ``length`` is that of the sound as it was.
    """
    length = graph("Shape", sound)
    beyond = graph("Max", graph("Sub", length, [cut.window_length]), [0])
    if cut.last == "pad":
        beyond = graph("Add", beyond, [cut.hop_length - 1])
    n_windows = graph("Add", graph("Div", beyond, [cut.hop_length]), [1])
    if cut.hop_length > cut.window_length:  # none may start behind the end
        begun = graph("Div", graph("Add", length, [cut.hop_length - 1]), [cut.hop_length])
        n_windows = graph("Min", n_windows, begun)
    span = graph("Mul", graph("Sub", n_windows, [1]), [cut.hop_length])
    span = graph("Add", span, [cut.window_length])
    missing = graph("Max", graph("Sub", span, length), [0])
    sound = graph("Pad", sound, graph("Concat", [0], missing, axis=0))
    return graph("Slice", sound, [0], span, [0]), length, n_windows


def add_range(graph: Graph, count: str) -> str:
    """Return the numbers from 0 to ``count`` (1,), without it."""
    return graph("Range", np.array(0), graph("Squeeze", count, [0]), np.array(1))


def add_mel(graph: Graph, sound: str, mel_basis: np.ndarray, n_fft: int, hop_length: int, smallest: float) -> str:
    """Compute mel power in dB re 1, of shape (1, n_mels, n_frames); power below ``smallest`` is raised to it."""
    bins = np.flatnonzero(mel_basis.any(axis=0))
    # As a convolution, because few runtimes have a Fourier transform. Only bins in a band are computed.
    phase = 2 * np.pi * np.outer(bins, np.arange(n_fft)) / n_fft
    waves = np.concatenate([np.cos(phase), np.sin(phase)]) * scipy.signal.get_window("hann", n_fft)
    sound = graph("Unsqueeze", sound, [0, 1])
    spectrum = graph("Conv", sound, waves[:, np.newaxis], kernel_shape=[n_fft], strides=[hop_length])
    power = graph("MatMul", np.tile(mel_basis[:, bins], 2), graph("Mul", spectrum, spectrum))
    return graph("Mul", graph("Log", graph("Max", power, smallest)), 10 / math.log(10))


class CryCNNEmbedding:
    """Embeddings by a :class:`CryCNN`, whose trunk is applied to the whole sound."""

    stride = TRUNK_STRIDE * SPECTROGRAM["hop_length"]  # timepoints between possible starts of windows
    n_least = SPAN  # timepoints in a window

    def __init__(self, net: CryCNN, mel_basis: np.ndarray) -> None:
        self.net, self.mel_basis = net, mel_basis

    def add(self, graph: Graph, sound: str, n_windows: str, cut: Cut) -> str:
        """Compute embeddings of shape (n_windows, n_embedding)."""
        net = self.net
        lengths = SPECTROGRAM["n_fft"], SPECTROGRAM["hop_length"]
        x = add_mel(graph, sound, self.mel_basis, *lengths, smallest=10 ** (FLOOR_DB / 10))
        level = graph("ReduceMean", x, axes=[1], keepdims=1)
        level = graph("AveragePool", level, kernel_shape=[LEVEL_FRAMES])
        side = LEVEL_FRAMES // 2
        x = graph("Sub", graph("Slice", x, [side], [-side], [2]), level)
        x = graph("Unsqueeze", graph("Div", x, SCALE_DB), [1])
        graph.part = "trunk/"
        x = graph.layers(x, net.trunk)
        graph.part = ""
        x = graph("Squeeze", x, [0, 2])
        n_outputs = 1 + (cut.window_length - self.n_least) // self.stride
        first = graph("Mul", add_range(graph, n_windows), cut.hop_length // self.stride)
        columns = graph("Add", graph("Unsqueeze", first, [1]), np.arange(n_outputs))
        x = graph("Transpose", graph("Gather", x, columns, axis=1), perm=[1, 0, 2])
        whole = graph.linear(graph("ReduceMean", x, axes=[2], keepdims=0), net.whole)
        near = graph.layers(x, net.near)
        x = graph("Relu", graph("Add", near, graph("Unsqueeze", whole, [2])))
        x = graph("Relu", graph("Add", graph.layers(x, net.far), x))
        return self._pool(graph, x, n_outputs)

    def _pool(self, graph, x, n_outputs):
        """Average over the middle, and take the maximum; see :meth:`CryCNN.pool`."""
        wanted = self.net.middle * (n_outputs + TRUNK_FRAMES / TRUNK_STRIDE - 1)
        side = min(max(0, round((n_outputs - wanted) / 2)), (n_outputs - 1) // 2)
        middle = graph("Slice", x, [side], [n_outputs - side], [2])
        parts = graph("ReduceMean", middle, axes=[2], keepdims=0), graph("ReduceMax", x, axes=[2], keepdims=0)
        return graph("Concat", *parts, axis=1)


class FrameCNNEmbedding:
    """Embeddings by a :class:`FrameCNN`, window by window, of a :class:`MelSpectrogram`."""

    def __init__(self, net: FrameCNN, mel: MelSpectrogram, mean: float, scale: float) -> None:
        self.net, self.mel, self.mean, self.scale = net, mel, mean, scale
        self.stride, self.n_least = mel.hop_length, mel.n_fft

    def add(self, graph: Graph, sound: str, n_windows: str, cut: Cut) -> str:
        """Compute embeddings of shape (n_windows, n_embedding)."""
        mel, net = self.mel, self.net
        x = add_mel(graph, sound, mel.mel_basis_, mel.n_fft, mel.hop_length, smallest=AMIN)
        first = graph("Mul", add_range(graph, n_windows), cut.hop_length // self.stride)
        columns = graph("Add", graph("Unsqueeze", first, [1]), np.arange(mel.n_frames_))
        x = graph("Transpose", graph("Gather", x, columns, axis=2), perm=[2, 0, 1, 3])
        highest = graph("ReduceMax", x, axes=[2, 3], keepdims=1)
        x = graph("Sub", x, highest if mel.ref == "window" else 10 * math.log10(mel.ref))
        if mel.top_db is not None:
            least = -mel.top_db
            if mel.ref != "window":
                least = graph("Sub", graph("ReduceMax", x, axes=[2, 3], keepdims=1), mel.top_db)
            x = graph("Max", x, least)
        x = graph("Div", graph("Sub", x, self.mean), self.scale)
        bands, frames = net.padding
        if bands or frames:
            before, after = [0, 0, bands // 2, frames // 2], [0, 0, bands - bands // 2, frames - frames // 2]
            x = graph("Pad", x, before + after, mode="edge")
        x = graph("AveragePool", x, kernel_shape=[1, STEM], strides=[1, STEM])
        graph.part = "trunk/"
        for number, (block, pooling) in enumerate(zip(net.blocks, TIME_POOLING, strict=True)):
            pool = "MaxPool" if number else "AveragePool"
            x = graph(pool, graph.layers(x, block), kernel_shape=[2, pooling], strides=[2, pooling])
        graph.part = ""
        over_bands = (graph(kind, x, axes=[2], keepdims=0) for kind in ("ReduceMean", "ReduceMax"))
        x = graph.layers(graph("Concat", *over_bands, axis=1), net.context)
        return self._middle(graph, x)

    def _middle(self, graph, x):
        """Average over the middle; see :meth:`FrameCNN.embed`."""
        n_frames = self.mel.n_frames_ + self.net.padding[1]
        n_stretches = n_frames // (STEM * math.prod(TIME_POOLING))
        n_middle = max(1, round(self.net.middle * n_stretches))
        first = (n_stretches - n_middle) // 2
        x = graph("Slice", x, [first], [first + n_middle], [2])
        return graph("ReduceMean", x, axes=[2], keepdims=0)


Embedding = CryCNNEmbedding | FrameCNNEmbedding


def decision(net: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (n_embedding, n_classes) and the biases of the last layer of a network."""
    return net.decide.weight.detach().numpy().T, net.decide.bias.detach().numpy()
