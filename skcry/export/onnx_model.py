"""A detector as one model of ONNX, from samples to scores of seconds."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import __version__
from .._compat import HasMethods, StrOptions, validate_params
from .._typing import PathLike, Recordings
from ..datasets import make_cry_recordings
from ..detector import CryDetector
from ..detector.training import check_rules
from ..io.audio import as_recordings, load_recording, name_of
from ..io.text_files import atomic_path
from .graph import Graph, import_onnx
from .networks import add_windows
from .parts import Parts, read_parts
from .seconds import add_log_odds, add_probabilities, add_seconds

CREDITS = (
    "The network that comes with skcry was trained on free sound, and contains information from the Donate-a-Cry "
    "corpus, which is made available under the Open Database License (ODbL); the targets of its training came from "
    "YAMNet (Google, Apache License 2.0). Authors, sources and licences: skcry/pretrained/CREDITS.md in the package "
    "skcry (MIT License)."
)


@validate_params(
    {
        "detector": [HasMethods(["fit"])],
        "path": [str, os.PathLike],
        "dtype": [StrOptions({"float32", "int8"})],
        "calibration": "no_validation",  # as recordings
        "overwrite": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def export_onnx(
    detector: CryDetector,
    path: PathLike,
    *,
    dtype: Literal["float32", "int8"] = "float32",
    calibration: Recordings | None = None,
    overwrite: bool = False,
) -> None:
    """Write a detector as a model of ONNX, from samples to scores of seconds.

    The model needs neither skcry nor torch, only a runtime of ONNX, such as ``onnxruntime`` with numpy on a small
    device, or others in browsers and phones. Spectrogram, network, pooling and calibration are all inside. Its input
    ``sound``, float32 of shape (n_timepoints,), is mono sound with full scale at 1, at the rate of the detector, of any
    length: sound shorter than a window is padded with zeros, as in Python. Its output ``score``, float32, has shape
    (n_seconds,), and is that of :meth:`CryDetector.timeline`; for detectors of several classes, and those for which no
    single class is crying, it has shape (n_seconds, n_classes), and holds probabilities.

    Needs ``pip install 'skcry[onnx]'``.

    Parameters
    ----------
    detector : CryDetector
        Fitted, such as that of :func:`skcry.load_pretrained`; or a search around one. With the default pipeline
        (``make_cry_pipeline()``), ``features="frames"``, or a pipeline of the same kinds of parts, and without gate.
    path : str or path-like
        File to write; by convention its name ends in ``.onnx``.
    dtype : {"float32", "int8"}, default="float32"
        "int8" rounds weights and values of the network's convolutions to 8 bits, for a smaller file and less computing
        where the processor supports it. The spectrogram stays float32.
    calibration : list of ndarray or path, or None, default=None
        Recordings from which the ranges of values are learned, for "int8": some minutes, with crying. None means
        synthetic recordings at several levels, with noise.
    overwrite : bool, default=False
        Whether to replace an existing file.

    Raises
    ------
    TypeError
        If it is no CryDetector.
    ValueError
        If a part of the detector cannot be exported (the message names it), or there is ``calibration`` without
        ``dtype="int8"``.
    FileExistsError
        If the file exists and ``overwrite`` is False.
    ImportError
        If onnx, or onnxruntime for "int8", is not installed.
    OSError
        If the file cannot be written.

    See Also
    --------
    save : Write a detector for Python.
    CryDetector.timeline : Scores in Python.

    Notes
    -----
    Metadata of the model: ``card`` (the model card), ``classes`` (JSON), ``positive`` (number of the class that is
    crying, -1 if there is none), ``threshold``, ``merge_gap``, ``min_duration``, ``sr``, ``window_duration``,
    ``hop_duration``, ``dtype``, ``skcry_version`` and ``credits``. ``context_before`` and ``latency`` are whole
    seconds: a score depends on so many before its second and after it. So a device passes ``context_before + 1 +
    latency`` seconds for each score, from a multiple of ``hop_duration`` on (the user guide has a loop). Memory grows
    with the sound that is passed at once: by some 30 MB per minute with the default pipeline, and 80 MB with "frames";
    a day must be passed in blocks of minutes.

    Scores equal those of Python within 1e-4. There are two exceptions: near ties of the votes of an SVC for more than
    two classes, and tones some 100 dB above all other sound, as only computers make them. Between their harmonics there
    is nothing but what float32 rounds, in Python as well, and scores differ by up to 0.0003.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import skcry
    >>> import onnxruntime
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skcry.export_onnx(skcry.load_pretrained(), Path(folder, "detector.onnx"))
    ...     session = onnxruntime.InferenceSession(Path(folder, "detector.onnx"))
    >>> session.run(None, {"sound": np.zeros(16000 * 60, dtype=np.float32)})[0].shape
    (60,)
    """
    detector = getattr(detector, "best_estimator_", detector)
    if not isinstance(detector, CryDetector):
        raise TypeError(
            f"export_onnx takes a fitted CryDetector, got a {type(detector).__name__}. Pass "
            "CryDetector(estimator).fit(recordings, annotations), or skcry.load_pretrained()."
        )
    check_is_fitted(detector, "estimator_")
    check_rules(detector)
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists. Give another name, or pass overwrite=True.")
    if calibration is not None and dtype != "int8":
        raise ValueError(f'calibration is for dtype="int8" only, but dtype="{dtype}". Leave it out.')
    parts = read_parts(detector)
    onnx = import_onnx()
    model = _build(detector, parts)
    if dtype == "int8":
        model = _quantize(model, _calibration_sounds(calibration, detector.windower_))
    about = _metadata(detector, parts) | {"dtype": dtype}
    onnx.helper.set_model_props(model, about)
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


def _build(detector, parts: Parts):
    graph = Graph()
    length, padded_length, n_windows = add_windows(graph, "sound", parts.cut)
    embedding = parts.embedding.add(graph, "sound", padded_length, n_windows, parts.cut)
    scores = parts.classifier.add(graph, embedding)
    pooled = add_seconds(graph, scores, length, n_windows, parts.cut, parts.target)
    pooled = add_log_odds(graph, pooled, parts.classifier, detector.smooth_duration)
    score = add_probabilities(graph, pooled, detector.operating_point_)
    single = detector.positive_index_ is not None
    shape = ["n_seconds"] if single else ["n_seconds", len(detector.classes_)]
    return graph.model(score, shape, "Scores of seconds of sound, from samples; see metadata.")


def _context(parts: Parts, smooth_duration):
    """Return how many whole seconds before and after a second its score depends on."""
    cut, offset = parts.cut, (parts.cut.window_length - parts.target) // 2
    hop, sr, side = cut.hop_length, cut.sr, smooth_duration // 2
    if sr % hop:  # windows start anywhere in a second
        before, after = parts.target + offset, cut.window_length - offset
    else:  # the first and the last window whose middles cover any of the second
        before = (-(-(parts.target + offset) // hop) - 1) * hop
        after = cut.window_length - offset - (-offset % hop or hop)
    # A last window that is padded has its middle moved into the sound.
    return -(-before // sr) + side, -(-max(after, parts.target) // sr) + side


def _metadata(detector, parts: Parts):
    """Return what a program on the device, and its user, must know: a dict of str."""
    before, after = _context(parts, detector.smooth_duration)
    windower = detector.windower_
    return {
        "card": str(detector.card()),
        "classes": json.dumps(detector.classes_.tolist()),
        "positive": str(-1 if detector.positive_index_ is None else detector.positive_index_),
        "threshold": repr(float(detector.threshold_)),
        "merge_gap": repr(float(detector.merge_gap)),
        "min_duration": repr(float(detector.min_duration)),
        "sr": str(windower.sr),
        "window_duration": repr(float(windower.window_duration)),
        "hop_duration": repr(float(windower.hop_duration)),
        "context_before": str(before),
        "latency": str(after),
        "skcry_version": __version__,
        "credits": CREDITS,
    }


def _calibration_sounds(calibration, windower):
    """Return recordings, a list of float32 arrays of shape (n_timepoints,)."""
    if calibration is None:
        return _synthetic_sounds(windower.sr)
    items = as_recordings(calibration)
    return [
        load_recording(one, windower.sr, name_of(one, i), windower.channel).astype(np.float32)
        for i, one in enumerate(items)
    ]


def _synthetic_sounds(sr):
    """Make crying, speech-like sounds and noise at several levels, and digital silence."""
    rng = np.random.default_rng(0)
    recordings, _, _ = make_cry_recordings(6, duration=40, cry_fraction=0.5, sr=sr, random_state=0)
    levels = 10.0 ** rng.uniform(-2, 0, len(recordings))
    sounds = [level * y / max(1e-6, np.abs(y).max()) for level, y in zip(levels, recordings, strict=True)]
    sounds += [10.0**level * rng.normal(size=20 * sr) for level in (-4, -2, -1)]
    sounds.append(np.concatenate([np.zeros(10 * sr), sounds[0][: 10 * sr]]))
    return [one.astype(np.float32) for one in sounds]


def _quantize(model, sounds):
    """Round weights and values of the trunk of the network to 8 bits, with ranges from these sounds."""
    import_onnx("onnxruntime")
    quantization = import_onnx("onnxruntime.quantization")
    preparation = import_onnx("onnxruntime.quantization.shape_inference")
    onnx = import_onnx()
    inputs = iter([{"sound": one} for one in sounds])
    reader = type("Reader", (quantization.CalibrationDataReader,), {"get_next": lambda _: next(inputs, None)})
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, source)
        preparation.quant_pre_process(source, source, skip_optimization=True, skip_symbolic_shape=True)
        quantization.quantize_static(
            source,
            target,
            reader(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            nodes_to_quantize=[node.name for node in model.graph.node if node.name.startswith("trunk/")],
        )
        return onnx.load(target)
