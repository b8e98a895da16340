"""What a fitted detector consists of, as far as it can be part of a graph of ONNX."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.feature_selection import SelectKBest, SelectPercentile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from .._compat import copy_module
from ..features import MelSpectrogram
from ..nn.cry_cnn import SPECTROGRAM, SR, CryCNN, pretrained_net
from ..nn.frame_cnn import FrameCNNClassifier
from ..nn.pretrained_embedding import PretrainedEmbedding, mel_bank
from ..pipeline import CompactSVC
from .networks import CryCNNEmbedding, Cut, Embedding, FrameCNNEmbedding, decision
from .seconds import Classifier

SUPPORTED = (
    "Supported are PretrainedEmbedding, or MelSpectrogram and FrameCNNClassifier; then StandardScaler, SelectKBest or "
    "SelectPercentile; then LogisticRegression, an SVC with a linear kernel, or FrameCNNClassifier. Samplers and "
    "LimitWindows may be among them, as in make_cry_pipeline()"
)
INSTEAD = "Fit a detector of these, or run skcry itself on the device."


class Parts(NamedTuple):
    """Parts of a detector, in the order of sound."""

    cut: Cut
    embedding: Embedding
    classifier: Classifier
    target: int  # timepoints in the middle of a window that its score describes


def read_parts(detector) -> Parts:
    """Read the parts of a fitted detector; ValueError names the first one that is not supported."""
    if detector.gate_ is not None:
        raise ValueError(
            f"gate={detector.gate_} cannot be exported: it needs the levels of the whole recording. Fit with gate=None."
        )
    windower = detector.windower_
    cut = Cut(windower.window_length_, windower.hop_length_, windower.last, windower.sr)
    steps = list(_steps("estimator", detector.estimator_))
    embedding = _read_embedding(steps)
    _check_grid(embedding, windower, cut)
    classifier = _read_classifier(steps, embedding)
    if classifier.gives_probabilities != (detector._method == "predict_proba"):
        raise ValueError(f"The estimator gives scores by {detector._method}, which cannot be exported. {SUPPORTED}.")
    target = detector._target_duration
    return Parts(cut, embedding, classifier, cut.window_length if target is None else round(target * cut.sr))


def _steps(name, part):
    """Yield the names and steps of pipelines in one another that do something at prediction."""
    part = getattr(part, "best_estimator_", part)
    if part is None or (isinstance(part, str) and part in ("passthrough", "drop")) or hasattr(part, "fit_resample"):
        return
    if hasattr(part, "steps"):
        for inner, step in part.steps:
            yield from _steps(inner, step)
    elif type(part) is FeatureUnion:
        families = [(inner, step) for inner, step in part.transformer_list if step != "drop"]
        if len(families) != 1 or part.transformer_weights:
            names = ", ".join(inner for inner, _ in families)
            raise ValueError(
                f"{name} unites {names}, or weighs them, which cannot be exported. {SUPPORTED}: one family of features "
                f"without weights. {INSTEAD}"
            )
        yield from _steps(*families[0])
    else:
        yield name, part


def _refuse(name, step, why=""):
    shown = " ".join(repr(step).split())
    raise ValueError(f"{name}={shown} cannot be exported{why}. {SUPPORTED}. {INSTEAD}")


def _read_embedding(steps):
    """Take the steps from sound to embeddings off the list; a network that classifies stays in it."""
    name, step = steps.pop(0)
    if type(step) is PretrainedEmbedding:
        net = copy_module(pretrained_net())  # shares the layers
        net.middle = step.middle_
        return CryCNNEmbedding(net, mel_bank(np.dtype(np.float64)))
    if type(step) is not MelSpectrogram or not steps or type(steps[0][1]) is not FrameCNNClassifier:
        _refuse(name, step)
    name, classifier = steps[0] if len(steps) == 1 else steps.pop(0)
    if classifier.precision == "bfloat16":
        _refuse(name, classifier, ', because the model computes in float32. Set precision="auto"')
    net = classifier.net_.module_.folded().cpu().eval()
    if not isinstance(net, CryCNN):
        return FrameCNNEmbedding(net, step, float(classifier.mean_), float(classifier.scale_))
    settings = {name: getattr(step, name) for name in SPECTROGRAM}
    if settings != SPECTROGRAM or step.sr_ != SR:
        _refuse("mel", step, f", because the network was trained on {SPECTROGRAM} at {SR} Hz")
    return CryCNNEmbedding(net, step.mel_basis_)


def _check_grid(embedding, windower, cut):
    """Refuse windows that do not start where the network has an output."""
    grid, least = embedding.stride / cut.sr, embedding.n_least / cut.sr
    if cut.hop_length % embedding.stride:
        raise ValueError(
            f"hop_duration={windower.hop_duration} s of the windower must be a multiple of {grid:g} s, so that windows "
            "share what the network computes. Fit with another hop_duration."
        )
    if cut.window_length < embedding.n_least:
        raise ValueError(
            f"window_duration={windower.window_duration} s of the windower must be at least {least:g} s. Fit with "
            "longer windows."
        )


def _read_classifier(steps, embedding):
    """Read the steps from embeddings to scores of windows: all of them are linear, so they become one."""
    *before, (name, last) = steps
    linear = [_linear(inner, step) for inner, step in before]
    weights, bias, link, classes = _decide(name, last, embedding)
    for matrix, constant in reversed(linear):
        weights, bias = matrix @ weights, constant @ weights + bias
    return Classifier(weights, bias, link, len(classes))


def _linear(name, step):
    """Return matrix (n_values, n_new_values) and constant (n_new_values,) of a step between."""
    if type(step) is StandardScaler:
        scale = np.ones(step.n_features_in_) if step.scale_ is None else step.scale_
        mean = step.mean_ if step.with_mean else np.zeros(step.n_features_in_)
        return np.diag(1 / scale), -mean / scale
    if type(step) in (SelectKBest, SelectPercentile):
        matrix = np.eye(step.n_features_in_)[:, step.get_support()]
        return matrix, np.zeros(matrix.shape[1])
    return _refuse(name, step)


def _decide(name, step, embedding):
    """Return weights, biases, link and classes of the last step."""
    if type(step) is FrameCNNClassifier:
        return *decision(embedding.net), "softmax", step.classes_
    if type(step) is LogisticRegression:
        n_classes = len(step.classes_)
        if n_classes > 2 and (step.solver == "liblinear" or getattr(step, "multi_class", None) == "ovr"):
            _refuse(name, step, ", because it fits each class against the rest")
        link = "sigmoid" if n_classes == 2 else "softmax"
    elif type(step) in (SVC, CompactSVC):
        if step.kernel != "linear" or step.probability is True:
            _refuse(name, step)
        link = "plane" if len(step.classes_) == 2 else "pairs"
        if link == "pairs" and step.decision_function_shape != "ovr":
            _refuse(name, step, ', but for decision_function_shape="ovr"')
    else:
        _refuse(name, step)
    return step.coef_.T, np.asarray(step.intercept_), link, step.classes_
