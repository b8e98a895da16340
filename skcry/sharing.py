"""Models in files that can be opened without fear: nothing in them is executed.

One line that says what it is, one with a checksum of all the rest, and a zip archive of

- ``about.json``: when the model was saved, and with which versions of what;
- ``estimator.skops``: the estimator, by skops, which builds only types that it is told to trust;
- ``weights.safetensors``: the weights of its networks;
- ``card.md``: the model card, where there is one.
"""

import copy
import datetime
import hashlib
import inspect
import io
import json
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy
import skops.io
from sklearn.base import BaseEstimator

from . import __version__
from ._base import library_versions
from ._compat import HasMethods, StrOptions, validate_params
from ._typing import PathLike
from ._warnings import warn
from .detector.card import ModelCard
from .io.text_files import atomic_path
from .nn.weights import WeightStore

__all__ = ["ModelCard", "load", "read_about", "save"]

FORMAT = 1
FIRST_LINE = re.compile(rb"skcry model, format (\d{1,9})\n")
DIGEST_LENGTH = 64
MAX_ABOUT = 2**20  # bytes

# What may be built beside plain data, numpy and the estimators of scikit-learn, which skops trusts by itself. Each was
# looked at: to build it sets attributes and calls nothing that a file can choose.
OURS = (
    "skcry.AlexNetClassifier",
    "skcry.CryDetector",
    "skcry.Denoise",
    "skcry.EnergyGate",
    "skcry.FrameCNNClassifier",
    "skcry.HighPassFilter",
    "skcry.MelSpectrogram",
    "skcry.StatFeatures",
    "skcry.Wav2Vec2Embedding",
    "skcry.Windower",
    "skcry.detector.OperatingPoint",
    "skcry.detector.Roles",
)
IMBLEARN = (
    "imblearn.combine._smote_enn.SMOTEENN",
    "imblearn.combine._smote_tomek.SMOTETomek",
    "imblearn.ensemble._bagging.BalancedBaggingClassifier",
    "imblearn.ensemble._easy_ensemble.EasyEnsembleClassifier",
    "imblearn.ensemble._forest.BalancedRandomForestClassifier",
    "imblearn.ensemble._weight_boosting.RUSBoostClassifier",
    "imblearn.over_sampling._adasyn.ADASYN",
    "imblearn.over_sampling._random_over_sampler.RandomOverSampler",
    "imblearn.over_sampling._smote.base.SMOTE",
    "imblearn.over_sampling._smote.filter.BorderlineSMOTE",
    "imblearn.over_sampling._smote.filter.SVMSMOTE",
    "imblearn.over_sampling._smote.cluster.KMeansSMOTE",
    "imblearn.pipeline.Pipeline",
    "imblearn.under_sampling._prototype_selection._edited_nearest_neighbours.EditedNearestNeighbours",
    "imblearn.under_sampling._prototype_selection._random_under_sampler.RandomUnderSampler",
    "imblearn.under_sampling._prototype_selection._tomek_links.TomekLinks",
)
SCIKIT_LEARN = (
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.metrics._classification.accuracy_score",
    "sklearn.metrics._classification.balanced_accuracy_score",
    "sklearn.metrics._classification.f1_score",
    "sklearn.metrics._classification.log_loss",
    "sklearn.metrics._classification.matthews_corrcoef",
    "sklearn.metrics._classification.precision_score",
    "sklearn.metrics._classification.recall_score",
    "sklearn.metrics._ranking.average_precision_score",
    "sklearn.metrics._ranking.roc_auc_score",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.metrics._scorer._CurveScorer",
    *(
        f"sklearn.model_selection._split.{name}"
        for name in (
            "GroupKFold",
            "GroupShuffleSplit",
            "KFold",
            "LeaveOneGroupOut",
            "LeavePGroupsOut",
            "RepeatedKFold",
            "RepeatedStratifiedKFold",
            "ShuffleSplit",
            "StratifiedGroupKFold",
            "StratifiedKFold",
            "StratifiedShuffleSplit",
        )
    ),
    "sklearn.utils._bunch.Bunch",
)
PATHS = tuple(f"pathlib{part}.{kind}Path" for part in ("", "._local") for kind in ("Posix", "Windows"))
TRUSTED = (*OURS, *IMBLEARN, *SCIKIT_LEARN, *PATHS)


# Where skcry 0.1 had what has another module now.
MOVED = {
    ("skcry.pipeline", "CryPipeline"): ("imblearn.pipeline", "Pipeline"),
    ("skcry.roles", "Roles"): ("skcry.detector", "Roles"),
}


def _moved(node):
    """Give the types in a schema of skops the modules that they have in this version."""
    if isinstance(node, dict):
        old = node.get("__module__"), node.get("__class__")
        if old in MOVED:
            node["__module__"], node["__class__"] = MOVED[old]
        elif f"skcry.{old[1]}" in OURS and str(old[0]).startswith("skcry."):
            node["__module__"] = "skcry"
        node = list(node.values())
    for one in node if isinstance(node, list) else ():
        _moved(one)


def _up_to_date(built):
    """Rewrite what skops wrote for an older version of skcry."""
    parts = _parts(built)
    schema = json.loads(parts["schema.json"])
    _moved(schema)
    return _archive({**parts, "schema.json": json.dumps(schema).encode()})


def _archive(parts):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return archive.getvalue()


def _objects(part):
    """Yield what is of these libraries in an estimator, itself first, down to lists, dicts and arrays of more."""
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


def _bare(estimator):
    """Copy an estimator, but for metadata requests and callbacks: these matter to ``fit`` only."""
    estimator = copy.deepcopy(estimator)
    for part in _objects(estimator):
        for name in ("_metadata_request", "_skl_callbacks"):
            vars(part).pop(name, None)
    return estimator


def _complete(estimator):
    """Give parameters that the version that saved it did not know their defaults."""
    for part in _objects(estimator):
        if isinstance(part, BaseEstimator):
            for name, parameter in inspect.signature(type(part)).parameters.items():
                if parameter.default is not parameter.empty and not hasattr(part, name):
                    setattr(part, name, parameter.default)


@validate_params(
    {
        "estimator": [HasMethods(["get_params", "fit"])],
        "path": [str, os.PathLike],
        "weight_dtype": [StrOptions({"float16"}), None],
    },
    prefer_skip_nested_validation=True,
)
def save(estimator: BaseEstimator, path: PathLike, *, weight_dtype: Literal["float16"] | None = None) -> None:
    """Write an estimator to a file that others can open without fear.

    A pickle runs what is in it. This file holds data: :func:`skcry.load` builds from it the types that it trusts, and
    refuses all others by name. Detectors bring their model card along.

    Parameters
    ----------
    estimator : estimator
        A detector, a pipeline or any other estimator of skcry, scikit-learn or imbalanced-learn; fitted or not; a
        search or a calibration around one.
    path : str or path-like
        File to write; by convention its name ends in ``.skcry``.
    weight_dtype : {"float16"} or None, default=None
        "float16" rounds the weights of networks, for half the size. None keeps them bit for bit.

    Raises
    ------
    TypeError
        If the estimator holds something that can be saved by pickling only, such as a function defined in a notebook
        or a ``joblib.Memory``.
    OSError
        If the file cannot be written.

    Warns
    -----
    UserWarning
        If the estimator holds types that :func:`skcry.load` does not trust by itself. Trees are among them: a forged
        one could crash Python.

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
    SVC(random_state=0)
    """
    store = WeightStore(dtype=weight_dtype)
    try:
        with store.open():
            built = skops.io.dumps(_bare(estimator))
        needed = sorted(set(skops.io.get_untrusted_types(data=built)) - set(TRUSTED))
        if local := [name for name in needed if "<" in name]:
            raise TypeError(f"it holds {local}, which has no name to find it by")
    except Exception as error:  # of many kinds, from whatever is within
        raise TypeError(
            f"This {type(estimator).__name__} cannot be saved as data: {error or type(error).__name__}. Replace what "
            "is neither an estimator nor plain data, or pickle it with joblib, for those who trust you."
        ) from error
    if needed:
        warn(
            f"This {type(estimator).__name__} holds {needed}, which skcry.load does not trust. Whoever opens it has to "
            f"pass trusted={needed}."
        )
    about = {
        "type": type(estimator).__name__,
        "saved": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": library_versions(),
        "weight_dtype": weight_dtype,
        "not trusted": needed,
    }
    detector = getattr(estimator, "best_estimator_", estimator)
    parts = {
        "about.json": json.dumps(about, indent=2).encode(),
        "estimator.skops": built,
        "weights.safetensors": safetensors.numpy.save(store.tensors),
        **({"card.md": str(detector.card()).encode()} if hasattr(detector, "training_") else {}),
    }
    archive = _archive(parts)
    with atomic_path(path) as temporary:
        temporary.write_bytes(
            b"skcry model, format %d\n%s\n%s" % (FORMAT, hashlib.sha256(archive).hexdigest().encode(), archive)
        )


def _open(path):
    """Check a file and return its parts by name, as bytes."""
    path = Path(path)
    with path.open("rb") as file:
        first, digest = file.readline(64), file.read(DIGEST_LENGTH + 1)
        found = FIRST_LINE.fullmatch(first)
        if found is None:
            raise ValueError(f"{path}: no skcry model (it begins with {first[:20]!r}). Was it written by skcry.save?")
        if int(found[1]) > FORMAT:
            raise ValueError(
                f"{path}: written in format {int(found[1])}, newer than format {FORMAT} of skcry {__version__}. Update "
                "skcry."
            )
        archive = file.read()
    if digest != hashlib.sha256(archive).hexdigest().encode() + b"\n":
        raise ValueError(f"{path}: damaged, its checksum is wrong. Copy it again.")
    try:
        return _parts(archive)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path}: not as skcry.save writes it ({error}). Do not use it.") from error


def _parts(archive):
    """Contents of an archive that nothing is compressed in: what it holds is no larger than itself."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        members = file.infolist()
        if any(one.compress_type != zipfile.ZIP_STORED for one in members):
            raise zipfile.BadZipFile("a part is compressed")
        if sum(one.file_size for one in members) > len(archive):
            raise zipfile.BadZipFile("its parts are larger than the whole")
        return {one.filename: file.read(one) for one in members}


def read_about(path: PathLike) -> dict[str, Any]:
    """Tell what a saved model is, without building it.

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
        Full names of further types that may be built, such as ``"sklearn.tree._tree.Tree"``. Only name what you know
        and where the file comes from somebody that you trust.

    Returns
    -------
    estimator
        As it was saved; it predicts the same, bit for bit, unless weights were rounded.

    Raises
    ------
    ValueError
        If the file is no model, is damaged, comes from a newer skcry, or holds types that are not trusted.
    OSError
        If there is no such file.

    Warns
    -----
    UserWarning
        If it was saved by other versions of skcry or scikit-learn. Between versions of scikit-learn that skcry supports
        a detector made of the usual parts predicts the same all the same.

    See Also
    --------
    save : Write the file.
    skcry.sharing.read_about : Look at it first.
    """
    parts = _open(path)
    try:
        built = _up_to_date(parts["estimator.skops"])
        unknown = sorted(set(skops.io.get_untrusted_types(data=built)) - set(TRUSTED) - set(trusted))
        if not unknown:
            store = WeightStore(safetensors.numpy.load(parts["weights.safetensors"]))
            with store.open():
                estimator = skops.io.loads(built, trusted=[*TRUSTED, *trusted])
    except Exception as error:  # of many kinds, where somebody has forged what is within
        raise ValueError(f"{path}: cannot be built ({type(error).__name__}: {error}). Do not use it.") from error
    if unknown:
        raise ValueError(
            f"{path}: holds {unknown}, which is not trusted. Where the file comes from somebody that you trust, and "
            f"you know what these types are, pass trusted={unknown}."
        )
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(f"{path}: holds a {type(estimator).__name__}, no estimator. Do not use it.")
    _complete(estimator)
    return estimator
