"""The pipeline from windows of sound to a decision, as one estimator."""

from __future__ import annotations

from typing import Literal

from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from joblib import Memory
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion
from sklearn.pipeline import Pipeline as Chain
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ._base import BaseEstimator
from ._compat import HasMethods, StrOptions, validate_params
from ._typing import Labels, RandomState
from .features import MelSpectrogram, StatFeatures
from .nn.alexnet_classifier import AlexNetClassifier
from .nn.frame_cnn import FrameCNNClassifier
from .nn.wav2vec2 import Wav2Vec2Embedding
from .signal import HighPassFilter

FAMILIES = ("frames", "embedding", "stats", "wav2vec2")


@validate_params(
    {
        "classifier": [HasMethods(["fit", "predict"]), None],
        "features": [str, tuple, list],
        "select": [HasMethods(["fit", "transform"]), None],
        "resample": [StrOptions({"smote", "under", "weight"}), None],
    },
    prefer_skip_nested_validation=True,
)
def make_cry_pipeline(
    classifier: BaseEstimator | None = None,
    *,
    features: Labels = "frames",
    select: BaseEstimator | None = None,
    resample: Literal["smote", "under", "weight"] | None = "smote",
    memory: str | Memory | None = None,
    random_state: RandomState = None,
    verbose: bool = False,
) -> Pipeline:
    """Build the pipeline from windows to a decision.

    Its steps, all of them reachable by ``set_params``, replaceable by another estimator or by ``"passthrough"``:

    ``highpass``
        :class:`HighPassFilter`; ``"passthrough"`` where "frames" or "wav2vec2" is among the features: the one learns
        what to make of low frequencies, the other was trained on sound as it was recorded.
    ``denoise``
        ``"passthrough"``; put a :class:`Denoise` here for recordings with steady noise. It is off by default because
        it makes a window depend on the sound around it.
    ``features``
        A ``FeatureUnion`` of the families in ``features``.
    ``scale``
        ``StandardScaler``.
    ``select``
        ``"passthrough"``, or what chooses among the features.
    ``resample``
        SMOTE, random undersampling or nothing; on features of training rows, never on sound or images.
    ``classify``
        ``SVC``.

    Parameters
    ----------
    classifier : classifier or None, default=None
        Last step. None means ``SVC()``, and for "frames" alone ``SVC(kernel="linear", C=3e-4)``: the
        network was trained on the very windows whose embeddings the classifier sees, and a flexible one trusts these
        too much (average precision per second on soundscapes left out, two seeds: 0.71 with ``SVC()``, 0.77 and 0.78
        with a linear one at ``C=0.01``, 0.82 and 0.81 at ``C=3e-4``; the network alone 0.80 and 0.80).
    features : str or tuple of str, default="frames"
        What windows are described by, one or more families:

        - "frames": :class:`MelSpectrogram` as ``mel`` (64 bands from 200 to 4000 Hz, where cries are and all recorders
          hear, within 50 dB), and the embeddings of :class:`FrameCNNClassifier` as ``net``, trained on them.
        - "embedding": the published network, :class:`MelSpectrogram` with 195 bands as ``mel``, and the embeddings of
          :class:`AlexNetClassifier` as ``net``, a quarter as wide as published: on real soundscapes that is as accurate
          as half of it, and trained three times as fast.
        - "stats": :class:`StatFeatures`. Without a network, this is quick to train.
        - "wav2vec2": :class:`Wav2Vec2Embedding`, a large pretrained model of speech.
    select : transformer or None, default=None
        Chooses among the scaled features, such as ``SelectKBest()`` or ``SelectFromModel(...)``; fitted on training
        rows before they are resampled. None keeps all.
    resample : {"smote", "under", "weight"} or None, default="smote"
        How the classes are balanced. "weight" sets ``class_weight="balanced"`` of the classifier.
    memory : str, joblib.Memory or None, default=None
        Where fitted steps are cached. With it, a search over parameters of the classifier fits the network once per
        split; give the network a ``random_state`` as well, or the cache would make one random training permanent.
    random_state : int, RandomState instance or None, default=None
        Seed of network, sampler and SVC.
    verbose : bool, default=False
        Whether to print the network's losses after each epoch.

    Returns
    -------
    imblearn.pipeline.Pipeline
        Takes ``Windows``, or an array of shape (n_clips, n_timepoints).

    Raises
    ------
    ValueError
        If a family of features is unknown, or ``resample="weight"`` is asked of a classifier without ``class_weight``.

    Examples
    --------
    >>> from skcry import make_cry_pipeline
    >>> pipeline = make_cry_pipeline(resample="under", random_state=0)
    >>> list(pipeline.named_steps)
    ['highpass', 'denoise', 'features', 'scale', 'select', 'resample', 'classify']
    >>> pipeline.set_params(features__frames__net__width=0.5, classify__C=10).get_params()["classify__C"]
    10

    Without a network: the best 40 statistics of cepstrum, chroma and spectral contrast, and boosted trees.

    >>> from sklearn.ensemble import GradientBoostingClassifier
    >>> from sklearn.feature_selection import SelectKBest
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
    families = (features,) if isinstance(features, str) else tuple(features)
    unknown = [name for name in families if name not in FAMILIES]
    if unknown or not families or len(set(families)) < len(families):
        problem = f"has unknown names {unknown}" if unknown else "names a family twice" if families else "is empty"
        raise ValueError(f"features={features!r} {problem}. Use one or more of {list(FAMILIES)}.")
    if classifier is None:
        # An embedding of windows that the network has learned is too good to be true, and a flexible machine believes
        # it: so a stiff one.
        stiff = {"kernel": "linear", "C": 3e-4} if families == ("frames",) else {}
        classifier = SVC(random_state=random_state, **stiff)
    if resample == "weight":
        if "class_weight" not in classifier.get_params():
            raise ValueError(
                f"resample='weight' needs a classifier with a class_weight parameter; {type(classifier).__name__} has "
                "none. Choose 'smote' or 'under'."
            )
        classifier = clone(classifier).set_params(class_weight="balanced")
    samplers: dict = {"smote": SMOTE(random_state=random_state), "under": RandomUnderSampler(random_state=random_state)}
    band: dict = {"fmin": 200.0, "fmax": 4000.0, "top_db": 50.0}
    nets: dict = {"random_state": random_state, "verbose": int(verbose)}
    made = {
        "frames": Chain([("mel", MelSpectrogram(n_mels=64, **band)), ("net", FrameCNNClassifier(**nets))]),
        "embedding": Chain(
            [("mel", MelSpectrogram(n_mels=195, **band)), ("net", AlexNetClassifier(width=0.25, **nets))]
        ),
        "stats": StatFeatures(),
        "wav2vec2": Wav2Vec2Embedding(),
    }
    return Pipeline(
        [
            ("highpass", "passthrough" if {"frames", "wav2vec2"} & set(families) else HighPassFilter()),
            ("denoise", "passthrough"),
            ("features", FeatureUnion([(name, made[name]) for name in families])),
            ("scale", StandardScaler()),
            ("select", "passthrough" if select is None else select),
            ("resample", samplers.get(resample, "passthrough")),
            ("classify", classifier),
        ],
        memory=memory,
    )
