"""Pipeline from windows of sound to decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import imblearn.pipeline
import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from joblib import Memory
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import check_memory

from ._base import BaseEstimator
from ._compat import HasMethods, StrOptions, validate_params
from ._typing import Labels, RandomState
from ._warnings import warn
from .features import MelSpectrogram, StatFeatures
from .limit import MAX_WINDOWS, LimitWindows
from .nn.alexnet_classifier import AlexNetClassifier
from .nn.frame_cnn import FrameCNNClassifier
from .nn.pretrained_embedding import PretrainedEmbedding
from .nn.wav2vec2 import Wav2Vec2Embedding
from .signal import Denoise, HighPassFilter

UNFILTERED = {"pretrained", "frames", "wav2vec2"}  # families for which the high-pass filter is off
TRAINED = {"frames", "embedding"}  # families with a network that is trained, on all windows
LINEAR = (("pretrained",), ("frames",))  # families whose SVC is linear and strongly regularised
MANY_ROWS = 20_000  # from where an SVC tells what its support vectors cost


@dataclass(frozen=True)
class FeatureMemory:
    """Cache of the steps that are slow and whose results are small: all but those that return sound.

    joblib's Memory would also store the filtered sound of each training set.
    """

    memory: str | Memory

    @property
    def location(self):
        """Folder of the cache."""
        return check_memory(self.memory).location

    def cache(self, function, **options):
        """Return ``function(transformer, ...)``, cached unless the transformer returns sound."""
        cached = check_memory(self.memory).cache(function, **options)

        def call(transformer, *args, **kwargs):
            sound = isinstance(transformer, (LimitWindows, HighPassFilter, Denoise))
            return (function if sound else cached)(transformer, *args, **kwargs)

        return call


class NotedSMOTE(SMOTE):
    """SMOTE whose error about too few rows says what to do."""

    def fit_resample(self, X, y, **params):
        """Resample; see :class:`imblearn.over_sampling.SMOTE`."""
        try:
            return super().fit_resample(X, y, **params)
        except ValueError as error:
            counts = dict(zip(*(part.tolist() for part in np.unique(y, return_counts=True)), strict=True))
            error.add_note(
                f"SMOTE needs k_neighbors + 1 windows of each class (k_neighbors={self.k_neighbors}), but there are, "
                f"per class {counts}. Pass more recordings, shorten the windower's hop_duration, or choose "
                "resample='weight' in make_cry_pipeline."
            )
            raise


class CompactSVC(SVC):
    """SVC whose predictions with a linear kernel cost the same after any amount of training.

    With a linear kernel and two classes, the sum over support vectors is a plane, and ``fit`` keeps the plane only:
    ``support_vectors_`` is its normal vector ``coef_``, of shape (1, n_features), ``dual_coef_`` is 1, ``n_support_``
    is 0 and 1, and ``support_`` is 0 and means no row. All else, probabilities included, is that of
    :class:`sklearn.svm.SVC`. Models with other kernels keep their support vectors; after many rows, ``fit`` tells what
    these cost.
    """

    support_vectors_: np.ndarray

    def fit(self, X, y, sample_weight=None):
        """Fit the model; see :class:`sklearn.svm.SVC`."""
        super().fit(X, y, sample_weight)
        if not self._keep_plane() and self.shape_fit_[0] > MANY_ROWS:
            # The text is the same in each fold, so that it can be shown once.
            warn(
                f"An SVC was fitted to more than {MANY_ROWS} rows, and not to two classes with a linear kernel. "
                "Prediction sums over all support vectors, mostly a third to all of the rows: an hour of sound, with a "
                "window per second, takes some 3 s for each 10000 of them and 100 features. Fit it to fewer rows (a "
                'smaller max_windows), or use a linear kernel: SVC(kernel="linear", C=3e-4).'
            )
        return self

    def _keep_plane(self):
        """Replace the support vectors by the plane; return whether there is one."""
        if self.kernel != "linear" or len(self.classes_) != 2 or issparse(self.support_vectors_):
            return False
        self.support_vectors_ = np.array(self.coef_)
        self.support_ = np.zeros(1, dtype=np.int32)
        self._n_support = np.array([0, 1], dtype=np.int32)
        self.dual_coef_ = np.ones((1, 1))
        self._dual_coef_ = -self.dual_coef_  # libsvm's sign
        return True

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "support_vectors_"):  # of earlier versions, which saved them
            self._keep_plane()


PrimalSVC = CompactSVC  # name of the class in models that earlier versions saved


@validate_params(
    {
        "classifier": [HasMethods(["fit", "predict"]), None],
        "features": [str, tuple, list],
        "select": [HasMethods(["fit", "transform"]), None],
        "resample": [StrOptions({"smote", "under", "weight"}), None],
        "max_windows": LimitWindows._parameter_constraints["max_windows"],
    },
    prefer_skip_nested_validation=True,
)
def make_cry_pipeline(
    classifier: BaseEstimator | None = None,
    *,
    features: Labels = "pretrained",
    select: BaseEstimator | None = None,
    resample: Literal["smote", "under", "weight"] | None = "smote",
    max_windows: int | None = MAX_WINDOWS,
    memory: str | Memory | None = None,
    random_state: RandomState = None,
    verbose: bool = False,
) -> imblearn.pipeline.Pipeline:
    """Build the pipeline from windows to decisions.

    Its steps can be reached by ``set_params``, and replaced by other estimators or by ``"passthrough"``:

    ``limit``
        :class:`LimitWindows`, or ``"passthrough"`` with ``max_windows=None``. With "frames" and "embedding" it comes
        after ``features``, because the network is trained on all windows.
    ``highpass``
        :class:`HighPassFilter`. ``"passthrough"`` with the features "pretrained" and "wav2vec2", whose models were
        trained on unfiltered sound, and with "frames", whose network learns to use low frequencies.
    ``denoise``
        ``"passthrough"``. Use :class:`Denoise` here for recordings with steady noise. It is off by default because
        with it a window depends on the sound around it.
    ``features``
        ``FeatureUnion`` of the families in ``features``.
    ``scale``
        ``StandardScaler``.
    ``select``
        ``"passthrough"``, or the selection of features.
    ``resample``
        SMOTE, random undersampling or nothing, applied to the features of training rows.
    ``classify``
        ``SVC``.

    Parameters
    ----------
    classifier : classifier or None, default=None
        Last step. None means ``SVC()``, and for "pretrained" or "frames" alone ``SVC(kernel="linear", C=3e-4)``. Strong
        regularisation, because homes differ, and with "frames" also because the SVC sees embeddings of the network's
        own training windows. Average precision per second on held-out soundscapes: for "pretrained" 0.77 with
        ``SVC()``, and with a linear kernel 0.81 at ``C=1e-3``, 0.83 at ``C=3e-4`` and at ``C=1e-4``; for "frames" 0.71
        with ``SVC()``, 0.77 at ``C=0.01`` and 0.82 at ``C=3e-4``.
    features : str or tuple of str, default="pretrained"
        One or more families of features:

        - "pretrained": :class:`PretrainedEmbedding`, the network that ships with skcry. It is not trained further, so
          fitting takes seconds.
        - "frames": :class:`MelSpectrogram` as ``mel`` (64 bands from 200 to 4000 Hz, the range of cries that all
          recorders cover, within 50 dB), and embeddings of a :class:`FrameCNNClassifier` as ``net``.
        - "embedding": the published network, :class:`MelSpectrogram` with 195 bands as ``mel``, and embeddings of an
          :class:`AlexNetClassifier` as ``net`` with a quarter of the published width. On real soundscapes this is as
          accurate as half the width, and trains three times as fast.
        - "stats": :class:`StatFeatures`, which is quick to train because it has no network.
        - "wav2vec2": :class:`Wav2Vec2Embedding`, a large pretrained model of speech.
    select : transformer or None, default=None
        Selection of scaled features, such as ``SelectKBest()`` or ``SelectFromModel(...)``, fitted before resampling.
        None keeps all.
    resample : {"smote", "under", "weight"} or None, default="smote"
        How the classes are balanced. "weight" sets ``class_weight="balanced"`` of the classifier.
    max_windows : int or None, default=2500
        Largest number of windows that the classifier is fitted to, see :class:`LimitWindows`. None means all. SMOTE
        sees these windows only, and at most doubles them if a class is rare. The cost of an SVC is quadratic in their
        number: 2500 take 0.2 s with "pretrained", 20000 some 15 s. More do not pay, because the regularisation
        ``C=3e-4`` was chosen for so many. Average precision per second on soundscapes after training on 14 hours of
        synthetic scenes, 48 infants: 0.81 with 2500, 0.79 with 5000, 0.78 with 20000 (0.02 [0.01, 0.04] less than with
        2500); 8 infants: 0.79, 0.74 and 0.69; "stats", whose SVC has a radial kernel: 0.73 with 2500, 0.74 with 5000
        and 10000 (``benchmarks/bench_rows.py``).
    memory : str, joblib.Memory or None, default=None
        Cache of the fitted features. With it, a search over parameters of the classifier fits the network once per
        split. Set ``random_state`` as well, because the cache keeps the result of the first training. A split takes
        the size of the fitted network and of the features (some 3 MB for 10 minutes of sound and "frames"); filtered
        sound is not stored. Delete the folder after changes to code of your own, which the cache cannot see.
    random_state : int, RandomState instance or None, default=None
        Seed of network, sampler and SVC.
    verbose : bool, default=False
        Whether to print the losses of the network after each epoch.

    Returns
    -------
    imblearn.pipeline.Pipeline
        Takes ``Windows``, or an array of shape (n_clips, n_timepoints).

    Raises
    ------
    ValueError
        If a family of features is unknown, or the classifier has no ``class_weight`` for ``resample="weight"``.

    Examples
    --------
    >>> from sklearn.feature_selection import SelectKBest
    >>> from skcry import make_cry_pipeline
    >>> pipeline = make_cry_pipeline(resample="under", random_state=0)
    >>> list(pipeline.named_steps)
    ['limit', 'highpass', 'denoise', 'features', 'scale', 'select', 'resample', 'classify']
    >>> pipeline.set_params(select=SelectKBest(k=40), classify__C=0.1).get_params()["classify__C"]
    0.1

    With a network that is trained on the recordings:

    >>> pipeline = make_cry_pipeline(features=("frames", "stats"), random_state=0)
    >>> pipeline = pipeline.set_params(features__frames__net__width=0.5)

    Boosted trees on the best 40 statistics of cepstrum, chroma and spectral contrast:

    >>> from sklearn.ensemble import GradientBoostingClassifier
    >>> from skcry import Windower
    >>> from skcry.datasets import make_cry_recordings
    >>> recordings, annotations, infants = make_cry_recordings(4, duration=30, random_state=0)
    >>> X = Windower().fit_transform(recordings, groups=infants)
    >>> trees = make_cry_pipeline(
    ...     GradientBoostingClassifier(n_estimators=20, random_state=0), features="stats", select=SelectKBest(k=40)
    ... ).set_params(features__stats__features=["mfcc", "chroma", "spectral_contrast"])
    >>> trees.fit(X, X.label(annotations))[:-2].transform(X).shape
    (104, 40)
    """
    band: dict = {"fmin": 200.0, "fmax": 4000.0, "top_db": 50.0}
    nets: dict = {"random_state": random_state, "verbose": int(verbose)}
    frames = [("mel", MelSpectrogram(n_mels=64, **band)), ("net", FrameCNNClassifier(**nets))]
    images = [("mel", MelSpectrogram(n_mels=195, **band)), ("net", AlexNetClassifier(width=0.25, **nets))]
    known = {  # with pipelines of scikit-learn, which report to callbacks
        "pretrained": PretrainedEmbedding(),
        "frames": Pipeline(frames),
        "embedding": Pipeline(images),
        "stats": StatFeatures(),
        "wav2vec2": Wav2Vec2Embedding(),
    }
    families = (features,) if isinstance(features, str) else tuple(features)
    unknown = [name for name in families if name not in list(known)]
    if unknown or not families or len(set(families)) < len(families):
        problem = f"has unknown names {unknown}" if unknown else "names a family twice" if families else "is empty"
        raise ValueError(f"features={features!r} {problem}. Use one or more of {list(known)}.")
    if classifier is None:
        classifier = CompactSVC(kernel="linear", C=3e-4) if families in LINEAR else CompactSVC()
        classifier.set_params(random_state=random_state)
    if resample == "weight":
        if "class_weight" not in classifier.get_params():
            raise ValueError(
                f"resample='weight' needs a classifier with a class_weight parameter; {type(classifier).__name__} has "
                "none. Choose 'smote' or 'under'."
            )
        classifier = clone(classifier).set_params(class_weight="balanced")
    samplers: dict = {
        "smote": NotedSMOTE(random_state=random_state),
        "under": RandomUnderSampler(random_state=random_state),
    }
    limit = [("limit", "passthrough" if max_windows is None else LimitWindows(max_windows))]
    first = not TRAINED & set(families)
    return imblearn.pipeline.Pipeline(
        [
            *(limit if first else []),
            ("highpass", "passthrough" if UNFILTERED & set(families) else HighPassFilter()),
            ("denoise", "passthrough"),
            ("features", FeatureUnion([(name, known[name]) for name in families])),
            *([] if first else limit),
            ("scale", StandardScaler()),
            ("select", "passthrough" if select is None else select),
            ("resample", samplers.get(resample, "passthrough")),
            ("classify", classifier),
        ],
        memory=None if memory is None else FeatureMemory(memory),
    )
