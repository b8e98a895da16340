"""From embeddings of windows to scores of seconds, in a graph of ONNX: classifier, pooling and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from ..detector.pooling import EPSILON
from .graph import Graph
from .networks import Cut, add_range


@dataclass(frozen=True)
class Classifier:
    """A linear classifier of windows.

    ``weights`` (n_embedding, n_values) and ``bias`` (n_values,) give a value per class, per pair of classes ("pairs":
    votes of an SVC), or one for two classes. They become probabilities by "softmax" or "sigmoid"; "plane" and "pairs"
    stay what they are.
    """

    weights: np.ndarray
    bias: np.ndarray
    link: Literal["sigmoid", "softmax", "plane", "pairs"]
    n_classes: int

    @property
    def gives_probabilities(self) -> bool:
        """Whether scores of windows are probabilities, bool."""
        return self.link in ("sigmoid", "softmax")

    def add(self, graph: Graph, embedding: str) -> str:
        """Score windows, of shape (n_windows, n_classes), or (n_windows, 1) for a plane."""
        x = graph("Gemm", embedding, self.weights, self.bias)
        if self.link == "sigmoid":
            return graph("Concat", graph("Sigmoid", graph("Neg", x)), graph("Sigmoid", x), axis=1)
        if self.link == "softmax":
            return graph("Softmax", x, axis=1)
        return x if self.link == "plane" else self._vote(graph, x)

    def _vote(self, graph, x):
        """Count the votes of the pairs; sums of their values decide ties, as in scikit-learn."""
        pairs = list(combinations(range(self.n_classes), 2))
        first, second = (np.array([np.eye(self.n_classes)[pair[side]] for pair in pairs]) for side in (0, 1))
        for_second = graph("Cast", graph("Less", x, 0.0), to=1)
        votes = graph("MatMul", graph("Sub", 1.0, for_second), first)
        votes = graph("Add", votes, graph("MatMul", for_second, second))
        total = graph("MatMul", x, first - second)
        return graph("Add", votes, graph("Div", total, graph("Mul", graph("Add", graph("Abs", total), 1.0), 3.0)))


def add_seconds(graph: Graph, scores: str, length: str, n_windows: str, cut: Cut, target: int) -> str:
    """Average scores of windows over seconds; see :func:`skcry.detector.pooling.second_scores`.

    ``target`` is the number of timepoints in the middle of a window that its score describes. Starts of windows are
    known, so that counts of them take the place of searches.
    """
    hop, offset = cut.hop_length, (cut.window_length - target) // 2
    tail = graph("Sub", length, [target])  # where the last middle starts at the latest

    def start_of(number):
        start = graph("Mul", number, [hop])
        middle = graph("Add", start, [offset])
        return graph("Min", middle, graph("Max", start, tail)) if target < cut.window_length else middle

    def begun(time):
        """Count the middles that start at ``time`` or before."""
        count = graph("Div", graph("Max", graph("Add", time, [hop - offset]), [0]), [hop])
        if target < cut.window_length:
            moved = graph("Div", graph("Max", graph("Add", time, [hop]), [0]), [hop])
            moved = graph("Where", graph("GreaterOrEqual", time, tail), moved, [0])
            count = graph("Max", count, moved)
        return graph("Min", count, n_windows)

    n_seconds = graph("Div", graph("Add", length, [cut.sr - 1]), [cut.sr])
    second = graph("Mul", add_range(graph, n_seconds), [cut.sr])
    first, last = begun(graph("Sub", second, [target])), begun(graph("Add", second, [cut.sr - 1]))
    # A second in no middle gets the score of the nearest one.
    before = graph("Max", graph("Sub", first, [1]), [0])
    after = graph("Min", first, graph("Sub", n_windows, [1]))
    to_earlier = graph("Sub", second, graph("Add", start_of(before), [target]))
    to_later = graph("Sub", start_of(after), graph("Add", second, [cut.sr]))
    is_earlier = graph("And", graph("Greater", first, [0]), graph("LessOrEqual", to_earlier, to_later))
    is_earlier = graph("Or", is_earlier, graph("Equal", first, n_windows))
    nearest = graph("Where", is_earlier, before, after)
    first = graph("Where", graph("Less", first, last), first, nearest)
    last = graph("Max", last, graph("Add", first, [1]))
    # In double precision: sums over hours would lose the digits of one second.
    running = graph("CumSum", graph("Cast", scores, to=11), np.array(0))
    running = graph("Pad", running, [1, 0, 0, 0])
    total = graph("Sub", graph("Gather", running, last, axis=0), graph("Gather", running, first, axis=0))
    count = graph("Cast", graph("Unsqueeze", graph("Sub", last, first), [1]), to=1)
    return graph("Div", graph("Cast", total, to=1), count)


def add_log_odds(graph: Graph, pooled: str, classifier: Classifier, smooth_duration: int) -> str:
    """Turn probabilities into log-odds, and smooth them: shape (n_seconds, n_scores)."""
    if classifier.gives_probabilities:
        pooled = graph("Log", graph("Max", pooled, EPSILON))
        if classifier.n_classes == 2:
            pooled = graph("Sub", graph("Slice", pooled, [1], [2], [1]), graph("Slice", pooled, [0], [1], [1]))
    if smooth_duration == 1:
        return pooled
    columns = graph("Unsqueeze", graph("Transpose", pooled, perm=[1, 0]), [0])
    side = smooth_duration // 2  # what lies outside is not counted
    columns = graph("AveragePool", columns, kernel_shape=[smooth_duration], pads=[side, side])
    return graph("Transpose", graph("Squeeze", columns, [0]), perm=[1, 0])


def add_probabilities(graph: Graph, scores: str, point) -> str:
    """Turn scores into probabilities by an operating point; see :class:`skcry.detector.threshold.OperatingPoint`.

    Of shape (n_seconds,) for one class that is crying, else (n_seconds, n_classes).
    """
    if point.calibrator_ is not None:
        scaler, regression = (step for _, step in point.calibrator_.steps)
        weights = (regression.coef_ / scaler.scale_).T
        scores = graph("Gemm", scores, weights, regression.intercept_ - scaler.mean_ @ weights)
    n_values = len(point.classes) if len(point.classes) > 2 else 1
    if point.roles.positive is not None:
        sign = 1.0 if point.roles.positive == 1 else -1.0
        odds = graph("Add", graph("Mul", graph("Squeeze", scores, [1]), sign), float(point.level_))
        return graph("Sigmoid", odds)
    if n_values == 1:
        return graph("Concat", graph("Sigmoid", graph("Neg", scores)), graph("Sigmoid", scores), axis=1)
    return graph("Softmax", scores, axis=1)
