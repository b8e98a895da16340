"""Save models to files that hold data only, and load them: nothing in such a file is executed.

A file is one of skops (a zip archive) after a line that names the format and a line with a checksum of the rest.
Beside what skops writes, the archive holds

- ``about.json``: type of the model, when it was saved, and with which versions of the libraries;
- ``weights.safetensors``: the weights of its networks;
- ``card.md``: the model card, if there is one.
"""

import copy
import datetime
import hashlib
import inspect
import io
import json
import os
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy
import skops.io
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from . import __version__
from ._base import library_versions
from ._compat import FIT_ONLY, SKLEARN_PARTS, HasMethods, StrOptions, validate_params
from ._typing import PathLike
from ._warnings import warn
from .detector import CryDetector
from .detector.card import ModelCard
from .io.text_files import atomic_path
from .nn.weights import WeightStore
from .pretrained import FOLDER

__all__ = ["ModelCard", "load", "load_pretrained", "read_about", "save"]

FORMAT = 2  # format 1 held what skops writes in an archive of its own
FIRST_LINE = re.compile(rb"skcry model, format ([1-9]\d{0,8})\n")
DIGEST_LENGTH = 64
PRETRAINED = FOLDER / "detector.skcry"  # what `load_pretrained` loads

# Types that may be built, by the module that users import them from. Each was reviewed: to build it sets attributes and
# calls nothing that a file chooses. Plain data, numpy and the estimators of scikit-learn are trusted by skops.
REVIEWED = {
    "skcry": (
        "AlexNet AlexNetClassifier CryCNN CryDetector Denoise EnergyGate FrameCNN FrameCNNClassifier HighPassFilter "
        "LimitWindows MelSpectrogram PretrainedEmbedding StatFeatures Wav2Vec2Embedding Windower"
    ),
    "skcry.detector": "OperatingPoint Roles",
    "skcry.pipeline": "CompactSVC FeatureMemory NotedSMOTE",
    "imblearn.combine": "SMOTEENN SMOTETomek",
    "imblearn.ensemble": (
        "BalancedBaggingClassifier BalancedRandomForestClassifier EasyEnsembleClassifier RUSBoostClassifier"
    ),
    "imblearn.over_sampling": "ADASYN BorderlineSMOTE KMeansSMOTE RandomOverSampler SMOTE SVMSMOTE",
    "imblearn.pipeline": "Pipeline",
    "imblearn.under_sampling": "EditedNearestNeighbours RandomUnderSampler TomekLinks",
    "pathlib": "PosixPath WindowsPath",
    "sklearn.feature_selection": "chi2 f_classif mutual_info_classif",
    "sklearn.metrics": (
        "accuracy_score average_precision_score balanced_accuracy_score f1_score log_loss matthews_corrcoef "
        "precision_score recall_score roc_auc_score"
    ),
    "sklearn.model_selection": (
        "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeavePGroupsOut RepeatedKFold RepeatedStratifiedKFold "
        "ShuffleSplit StratifiedGroupKFold StratifiedKFold StratifiedShuffleSplit"
    ),
    "sklearn.utils": "Bunch",
    **SKLEARN_PARTS,
}
TRUSTED = {f"{module}.{name}" for module, names in REVIEWED.items() for name in names.split()}

# Types that earlier versions had elsewhere or by other names, other than below the modules above.
MOVED = {
    ("skcry.pipeline", "CryPipeline"): ("imblearn.pipeline", "Pipeline"),
    ("skcry.pipeline", "PrimalSVC"): ("skcry.pipeline", "CompactSVC"),
    ("skcry.roles", "Roles"): ("skcry.detector", "Roles"),
}


def _rename(node):
    """Name the reviewed types in a schema of skops by their public modules, wherever below these they are defined."""
    if isinstance(node, dict):
        name = node.get("__class__")
        if isinstance(name, str):
            module, name = MOVED.get((node["__module__"], name), (node["__module__"], name))
            public = [one for one in REVIEWED if f"{module}.".startswith(f"{one}.") and f"{one}.{name}" in TRUSTED]
            node["__module__"], node["__class__"] = public[0] if public else module, name
        node = list(node.values())
    for one in node if isinstance(node, list) else ():
        _rename(one)


def _renamed(schema):
    schema = json.loads(schema)
    _rename(schema)
    return json.dumps(schema).encode()


def _archive(parts):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return archive.getvalue()


def _parts(archive):
    """Return the content of an archive by name; refuse compression, so that it cannot be larger than the archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        members = file.infolist()
        if any(one.compress_type != zipfile.ZIP_STORED for one in members):
            raise zipfile.BadZipFile("a part is compressed")
        if sum(one.file_size for one in members) > len(archive):
            raise zipfile.BadZipFile("its parts are larger than the whole")
        return {one.filename: file.read(one) for one in members}


def _objects(part):
    """Yield an estimator and the objects of these libraries in it, also those in lists, dicts and arrays."""
    if type(part).__module__.partition(".")[0] in ("skcry", "sklearn", "imblearn") and hasattr(part, "__dict__"):
        yield part
        part = vars(part)
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, np.ndarray):
        part = part.ravel().tolist() if part.dtype == object else ()
    if isinstance(part, (list, tuple)):
        for one in part:
            yield from _objects(one)


def _without_fit_only(estimator):
    """Copy an estimator without the metadata requests and callbacks that only ``fit`` uses."""
    estimator = copy.deepcopy(estimator)
    for part in _objects(estimator):
        for name in FIT_ONLY:
            vars(part).pop(name, None)
    return estimator


def _complete(estimator):
    """Set the parameters that did not exist in the version that saved an estimator to their defaults."""
    for part in _objects(estimator):
        if isinstance(part, BaseEstimator):
            for name, parameter in inspect.signature(type(part)).parameters.items():
                if parameter.default is not parameter.empty and not hasattr(part, name):
                    setattr(part, name, parameter.default)


def _paragraphs(notes):
    """Return notes with a list of paragraphs under each heading, in types that a file holds."""
    notes = {str(heading): [told] if isinstance(told, (str, dict)) else list(told) for heading, told in notes.items()}
    wrong = [one for told in notes.values() for one in told if not isinstance(one, (str, dict))]
    if wrong:
        raise ValueError(
            f"notes hold {wrong[0]!r}, a {type(wrong[0]).__name__}. Pass a text (str), a table (dict), or a list of "
            "these, for each heading."
        )
    return notes


@validate_params(
    {
        "estimator": [HasMethods(["get_params", "fit"])],
        "path": [str, os.PathLike],
        "weight_dtype": [StrOptions({"float16"}), None],
        "notes": [Mapping, None],
    },
    prefer_skip_nested_validation=True,
)
def save(
    estimator: BaseEstimator,
    path: PathLike,
    *,
    weight_dtype: Literal["float16"] | None = None,
    notes: Mapping[str, str | Sequence[str | dict]] | None = None,
) -> None:
    """Write an estimator to a file that others can open safely.

    Loading a pickle can run any code. This file holds data only: :func:`skcry.load` builds the types that it trusts,
    and refuses all others by name. The file of a detector includes its model card.

    Parameters
    ----------
    estimator : estimator
        A detector, a pipeline or any other estimator of skcry, scikit-learn or imbalanced-learn; fitted or not; a
        search or a calibration around one.
    path : str or path-like
        File to write; by convention its name ends in ``.skcry``.
    weight_dtype : {"float16"} or None, default=None
        "float16" rounds the weights of networks, for half the size. None keeps them bit for bit.
    notes : dict or None, default=None
        What else the model card tells, such as ``{"Recorder": "Worn, in a pocket of a vest."}``: headings, each with a
        text or a list of texts and tables (a dict is a table of two columns). Under a heading that the card has, such
        as "Limits", they come after what is there. A later ``fit`` removes them. None keeps those of a detector that
        was loaded from a file with notes.

    Raises
    ------
    TypeError
        If the estimator holds something that only a pickle can save, such as a function defined in a notebook.
    ValueError
        If there are notes of another kind, or there is no card: the estimator is no fitted detector.
    OSError
        If the file cannot be written.

    Warns
    -----
    UserWarning
        If the estimator holds types that :func:`skcry.load` does not trust by default. Decision trees are among them,
        because a forged one could crash Python.

    See Also
    --------
    load : Read the file.

    Notes
    -----
    Metadata requests (``set_fit_request``) and callbacks are not kept.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skcry
    >>> pipeline = skcry.make_cry_pipeline(features="stats", random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skcry.save(pipeline, Path(folder, "pipeline.skcry"))
    ...     skcry.load(Path(folder, "pipeline.skcry")).named_steps["classify"]
    CompactSVC(random_state=0)
    """
    if notes is not None and not hasattr(getattr(estimator, "best_estimator_", estimator), "training_"):
        raise ValueError(
            f"notes={list(notes)} are for the model card, but this {type(estimator).__name__} has none. Save a fitted "
            "CryDetector, or leave the notes out."
        )
    told = None if notes is None else _paragraphs(notes)
    store = WeightStore(dtype=weight_dtype)
    try:
        estimator_only = _without_fit_only(estimator)  # before the store is open: a copy would keep its weights too
        detector = getattr(estimator_only, "best_estimator_", estimator_only)
        if told is not None:
            detector.training_["notes"] = told
        with store.open():
            parts = _parts(skops.io.dumps(estimator_only))
        parts["schema.json"] = _renamed(parts["schema.json"])
        needed = sorted(set(skops.io.get_untrusted_types(data=_archive(parts))) - TRUSTED)
        if local := [name for name in needed if "<" in name]:
            raise TypeError(f"it holds {local}, which cannot be imported by name")
    except Exception as error:  # of any kind, depending on what the estimator holds
        what = str(error) or type(error).__name__
        if "TensorBase" in what:
            what = "it holds tensors or networks of torch, other than AlexNet and FrameCNN"
        raise TypeError(
            f"This {type(estimator).__name__} cannot be saved as data: {what}. Replace what is neither an estimator "
            "nor plain data (a tensor by its array), or pickle the estimator with joblib."
        ) from error
    if needed:
        warn(
            f"This {type(estimator).__name__} holds {needed}, which skcry.load does not trust. To load the file, pass "
            f"trusted={needed}."
        )
    about = {
        "type": type(estimator).__name__,
        "saved": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": library_versions(),
        "weight_dtype": weight_dtype,
        "not trusted": needed,
    }
    parts["about.json"] = json.dumps(about, indent=2).encode()
    parts["weights.safetensors"] = safetensors.numpy.save(store.tensors)
    if hasattr(detector, "training_"):
        parts["card.md"] = str(detector.card()).encode()
    archive = _archive(parts)
    with atomic_path(path) as temporary:
        temporary.write_bytes(
            b"skcry model, format %d\n%s\n%s" % (FORMAT, hashlib.sha256(archive).hexdigest().encode(), archive)
        )


def _open(path):
    """Check a file, and return its parts (bytes) by name."""
    with Path(path).open("rb") as file:
        first, digest = file.readline(64), file.read(DIGEST_LENGTH + 1)
        found = FIRST_LINE.fullmatch(first)
        if found is None:
            raise ValueError(f"{path}: no skcry model (it begins with {first[:20]!r}). Was it written by skcry.save?")
        if (number := int(found[1])) > FORMAT:
            raise ValueError(
                f"{path}: written in format {number}, newer than format {FORMAT} of skcry {__version__}. Update skcry."
            )
        archive = file.read()
    if digest != hashlib.sha256(archive).hexdigest().encode() + b"\n":
        raise ValueError(f"{path}: damaged, its checksum is wrong. Copy it again.")
    try:
        parts = _parts(archive)
        if number == 1:
            parts.update(_parts(parts.pop("estimator.skops")))
        return parts
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path}: not as skcry.save writes it ({error}). Do not use it.") from error


def read_about(path: PathLike) -> dict[str, Any]:
    """Read what a saved model is, without building it.

    Parameters
    ----------
    path : str or path-like
        File that :func:`skcry.save` wrote.

    Returns
    -------
    dict
        ``type`` of the estimator, when it was ``saved``, ``versions`` of the libraries, ``weight_dtype``, types that
        are ``not trusted``, and the model ``card`` as markdown (None where there is none).

    Raises
    ------
    ValueError
        As :func:`skcry.load`.
    OSError
        If there is no such file.
    """
    parts = _open(path)
    try:
        card = parts.get("card.md")
        return {**json.loads(parts["about.json"]), "card": None if card is None else card.decode()}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not as skcry.save writes it ({error}). Do not use it.") from error


@validate_params(
    {"path": [str, os.PathLike], "trusted": [list, tuple]},
    prefer_skip_nested_validation=True,
)
def load(path: PathLike, *, trusted: Sequence[str] = ()) -> BaseEstimator:
    """Read an estimator that :func:`skcry.save` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like
        File.
    trusted : list or tuple of str, default=()
        Full names of further types that may be built, such as ``"sklearn.tree._tree.Tree"``. Only name types that you
        know, and only if the file comes from someone you trust.

    Returns
    -------
    estimator
        It predicts the same as the one that was saved, bit for bit, unless weights were rounded.

    Raises
    ------
    ValueError
        If the file is no model, is damaged, comes from a newer skcry, or holds types that are not trusted.
    OSError
        If there is no such file.

    Warns
    -----
    UserWarning
        If it was saved by another version of skcry or scikit-learn. Detectors of the usual parts predict the same in
        all versions of scikit-learn that skcry supports.

    See Also
    --------
    save : Write the file.
    skcry.sharing.read_about : Look at it first.
    """
    parts = _open(path)
    try:
        weights = parts.pop("weights.safetensors")
        built = _archive({**parts, "schema.json": _renamed(parts["schema.json"])})
        unknown = sorted(set(skops.io.get_untrusted_types(data=built)) - TRUSTED - set(trusted))
        if not unknown:
            with WeightStore(safetensors.numpy.load(weights)).open():
                estimator = skops.io.loads(built, trusted=[*TRUSTED, *trusted])
    except Exception as error:  # of any kind, if the file is forged
        raise ValueError(f"{path}: cannot be built ({type(error).__name__}: {error}). Do not use it.") from error
    if unknown:
        raise ValueError(
            f"{path}: holds {unknown}, which is not trusted. If you know these types and trust the source of the file, "
            f"pass trusted={unknown}."
        )
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(f"{path}: holds a {type(estimator).__name__}, no estimator. Do not use it.")
    _complete(estimator)
    return estimator


def load_pretrained() -> CryDetector:
    """Load the detector that comes with skcry: it detects crying without any training.

    Its network was trained once on free sound: uploads of crying from phones, speech, music, and sounds of households,
    animals and weather, mixed at many levels, in many rooms and for many recorders. Threshold and calibration were
    learned from sound of other families. ``detector.card()`` tells how much sound there was, how accurate the detector
    is, with intervals, and its limits.

    Returns
    -------
    CryDetector
        Fitted; a new one at each call. It can go on from there: ``calibrate`` adapts its level to a home, from a few
        minutes of sound; ``fit`` keeps its settings and learns all but the network from your own annotated recordings.

    Raises
    ------
    OSError, ValueError
        If the installed files are missing or damaged.

    See Also
    --------
    make_cry_pipeline : The pipeline in it, for your own annotations.
    load : Read a detector of your own.

    Notes
    -----
    The sound is under licences that allow this (CC0, CC BY, CC BY-SA, ODbL, public domain), and the targets of the
    training came from YAMNet (Google, Apache License 2.0). Authors, sources and licences are listed in
    ``skcry/pretrained/CREDITS.md``, a file of the package. No sound is part of the package.

    Infants, homes and recorders differ: listen to some of what it finds, and to some of the rest, before you use its
    results.

    Examples
    --------
    >>> import skcry
    >>> from skcry.datasets import make_cry_recordings
    >>> recordings, annotations, _ = make_cry_recordings(2, duration=30, random_state=0)
    >>> detector = skcry.load_pretrained()
    >>> list(detector.detect(recordings).columns)
    ['recording', 'onset', 'offset', 'score']
    >>> detector.calibrate(recordings[:1], annotations[:1]).timeline(recordings[1:]).shape
    (30, 3)
    """
    if not PRETRAINED.is_file():
        raise FileNotFoundError(
            f"{PRETRAINED}: no such file, though skcry comes with it. Install skcry again: pip install "
            "--force-reinstall --no-deps skcry"
        )
    with warnings.catch_warnings():
        # The file is tested with all versions of the libraries that this version supports.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        warnings.filterwarnings("ignore", ".* was saved by skcry")
        return load(PRETRAINED)
