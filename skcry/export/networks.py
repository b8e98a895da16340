"""From sound to embeddings of windows, in a graph of ONNX: spectrogram and network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.signal

from ..features.mel import AMIN, MelSpectrogram
from ..nn.cry_cnn import FLOOR_DB, LEVEL_FRAMES, SCALE_DB, SPECTROGRAM, TRUNK_STRIDE, CryCNN, n_beside
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
    """Count the windows of sound.

    Returns
    -------
    length, padded_length, n_windows : str
        Values of shape (1,). The first is that of the sound, the second the least one that holds all windows.
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
    return length, graph("Max", length, span), n_windows


def add_range(graph: Graph, count: str) -> str:
    """Return the numbers from 0 to ``count`` (1,), without it."""
    return graph("Range", np.array(0), graph("Squeeze", count, [0]), np.array(1))


def add_frames(graph: Graph, sound: str, padded_length: str, n_fft: int, hop_length: int) -> str:
    """Cut sound into frames (n_frames, n_fft), at least all those in ``padded_length``; what is beyond it is zero."""
    n_parts = -(-n_fft // hop_length)  # steps that a frame touches
    n_rows = graph("Div", graph("Add", padded_length, [(n_parts + 1) * hop_length - 1]), [hop_length])
    missing = graph("Sub", graph("Mul", n_rows, [hop_length]), graph("Shape", sound))
    rows = graph("Reshape", graph("Pad", sound, graph("Concat", [0], missing, axis=0)), [-1, hop_length])
    parts = []
    for first in range(n_parts):
        last = first + 1 - n_parts if first + 1 < n_parts else np.iinfo(np.int64).max
        width = min(hop_length, n_fft - first * hop_length)
        parts.append(graph("Slice", rows, [first, 0], [last, width], [0, 1]))
    return graph("Concat", *parts, axis=1)


def add_mel(graph: Graph, frames: str, mel_basis: np.ndarray, smallest: float) -> str:
    """Compute mel power in dB re 1, of shape (n_mels, n_frames); power below ``smallest`` is raised to it.

    As products with matrices, because few runtimes have a Fourier transform: with timepoint ``n_b * a + b`` and bin
    ``n_a * c + d``, sums over ``a`` and then over ``b`` take a fifth of the products of one with all timepoints (Cooley
    and Tukey, 1965). Bins above the highest band are left out.
    """
    n_mels, n_bins = len(mel_basis), int(np.flatnonzero(mel_basis.any(axis=0))[-1]) + 1
    n_fft = 2 * (mel_basis.shape[1] - 1)
    n_a = max(one for one in range(1, math.isqrt(n_fft) + 1) if n_fft % one == 0)
    n_b, n_c = n_fft // n_a, -(-n_bins // n_a)
    d = np.arange(n_a // 2 + 1)  # of the others, the sums over a are conjugates, because sound is real
    x = graph("Mul", frames, scipy.signal.get_window("hann", n_fft))
    wave = np.exp(-2j * np.pi * np.outer(d, np.arange(n_a)) / n_a)
    wave = np.stack([wave.real, wave.imag], axis=1).reshape(-1, n_a)
    x = graph("MatMul", wave, graph("Reshape", x, [-1, n_a, n_b]))
    x = graph("Transpose", graph("Reshape", x, [-1, len(d), 2 * n_b]), perm=[1, 0, 2])
    bins = [n_a * np.arange(n_c) + one[:, np.newaxis] for one in (d, n_a - d)]
    steps = [np.exp(-2j * np.pi * np.arange(n_b)[:, np.newaxis] * one[:, np.newaxis] / n_fft) for one in bins]
    waves = np.block(
        [
            [steps[0].real, steps[0].imag, steps[1].real, steps[1].imag],
            [-steps[0].imag, steps[0].real, steps[1].imag, -steps[1].real],
        ]
    )
    x = graph("MatMul", x, waves)
    x = graph("Transpose", graph("Mul", x, x), perm=[1, 0, 2])
    x = graph("Reshape", x, [-1, len(d) * 4 * n_c])
    basis = np.zeros((n_mels, n_a * (n_c + 1)))
    basis[:, :n_bins] = mel_basis[:, :n_bins]
    weights = [basis[:, one] for one in bins]
    weights[1][:, (d == 0) | (2 * d == n_a)] = 0  # these have been counted
    weights = np.concatenate([weights[0], weights[0], weights[1], weights[1]], axis=2).reshape(n_mels, -1)
    power = graph("MatMul", x, weights.T)
    decibels = graph("Mul", graph("Log", graph("Max", power, smallest)), 10 / math.log(10))
    return graph("Transpose", decibels, perm=[1, 0])


class CryCNNEmbedding:
    """Embeddings by a :class:`CryCNN`, whose trunk is applied to the whole sound."""

    stride = TRUNK_STRIDE * SPECTROGRAM["hop_length"]  # timepoints between possible starts of windows
    n_least = SPAN  # timepoints in a window

    def __init__(self, net: CryCNN, mel_basis: np.ndarray) -> None:
        self.net, self.mel_basis = net, mel_basis

    def add(self, graph: Graph, sound: str, padded_length: str, n_windows: str, cut: Cut) -> str:
        """Compute embeddings of shape (n_windows, n_embedding)."""
        net = self.net
        x = add_frames(graph, sound, padded_length, SPECTROGRAM["n_fft"], SPECTROGRAM["hop_length"])
        x = graph("Unsqueeze", add_mel(graph, x, self.mel_basis, smallest=10 ** (FLOOR_DB / 10)), [0])
        level = graph("ReduceMean", x, axes=[1], keepdims=1)
        level = graph("AveragePool", level, kernel_shape=[LEVEL_FRAMES])
        side = LEVEL_FRAMES // 2
        x = graph("Sub", graph("Slice", x, [side], [-side], [2]), level)
        x = graph("Unsqueeze", graph("Div", x, SCALE_DB), [1])
        graph.part = "trunk/"
        x = graph.layers(x, net.trunk)
        graph.part = ""
        x = graph("Transpose", graph("Squeeze", x, [0, 2]), perm=[1, 0])
        n_outputs = 1 + (cut.window_length - self.n_least) // self.stride
        first = graph("Mul", add_range(graph, n_windows), cut.hop_length // self.stride)
        columns = graph("Add", graph("Unsqueeze", first, [1]), np.arange(n_outputs))
        x = graph("Transpose", graph("Gather", x, columns, axis=0), perm=[0, 2, 1])
        whole = graph.linear(graph("ReduceMean", x, axes=[2], keepdims=0), net.whole)
        near = graph.layers(x, net.near)
        x = graph("Relu", graph("Add", near, graph("Unsqueeze", whole, [2])))
        x = graph("Relu", graph("Add", graph.layers(x, net.far), x))
        return self._pool(graph, x, n_outputs)

    def _pool(self, graph, x, n_outputs):
        """Average over the middle, and take the maximum; see :meth:`CryCNN.pool`."""
        side = n_beside(n_outputs, self.net.middle)
        middle = graph("Slice", x, [side], [n_outputs - side], [2])
        parts = graph("ReduceMean", middle, axes=[2], keepdims=0), graph("ReduceMax", x, axes=[2], keepdims=0)
        return graph("Concat", *parts, axis=1)


class FrameCNNEmbedding:
    """Embeddings by a :class:`FrameCNN`, window by window, of a :class:`MelSpectrogram`."""

    def __init__(self, net: FrameCNN, mel: MelSpectrogram, mean: float, scale: float) -> None:
        self.net, self.mel, self.mean, self.scale = net, mel, mean, scale
        self.stride, self.n_least = mel.hop_length, mel.n_fft

    def add(self, graph: Graph, sound: str, padded_length: str, n_windows: str, cut: Cut) -> str:
        """Compute embeddings of shape (n_windows, n_embedding)."""
        mel, net = self.mel, self.net
        x = add_frames(graph, sound, padded_length, mel.n_fft, mel.hop_length)
        x = graph("Unsqueeze", add_mel(graph, x, mel.mel_basis_, smallest=AMIN), [0])
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


def decision(net: CryCNN | FrameCNN) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (n_embedding, n_classes) and the biases by which a network classifies embeddings."""
    weights = np.zeros((net.n_embedding, net.decide.out_features))
    weights[: net.decide.in_features] = net.decide.weight.detach().numpy().T  # not of the maxima of CryCNN
    return weights, net.decide.bias.detach().numpy()
