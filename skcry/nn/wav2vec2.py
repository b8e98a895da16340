"""Embeddings of windows by a pretrained model of speech: wav2vec 2.0 (Baevski et al., 2020), HuBERT or WavLM."""

from __future__ import annotations

import contextlib
import copy
import numbers
import os
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, check_feature_names_in, fit_context
from .._transformer import SoundTransformer, tabulate
from .._typing import Labels, PathLike
from ..features.stats import STATISTICS
from ..windows import Windows
from .base import resolve_device
from .weights import fetch, keep

MODEL_TYPES = ("wav2vec2", "hubert", "wavlm")  # the types with the same layout of layers and weights
REMEDY = (
    "Pass a folder with config.json, preprocessor_config.json and model.safetensors, as written by save_pretrained, or "
    "the name of a wav2vec 2.0, HuBERT or WavLM model on huggingface.co."
)


def import_transformers():
    """Import the package transformers, or tell how to install it."""
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            "Wav2Vec2Embedding needs the package transformers. Install it: pip install 'skcry[transformers]'"
        ) from error
    return transformers


@contextlib.contextmanager
def quiet(logging):
    """Turn off progress bars of transformers, and its reports on weights that embeddings do not use."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_pretrained(model):
    """Return configuration, weights in float32 (dict of tensors) and feature extractor of a model (folder or name).

    Never runs code that comes with a model.
    """
    transformers = import_transformers()
    folder = Path(model).expanduser()
    is_folder = folder.is_dir()
    if not is_folder and (not isinstance(model, str) or model.startswith((".", "~")) or folder.is_absolute()):
        raise OSError(f"model={str(model)!r}: no such folder. {REMEDY}")
    source = str(folder) if is_folder else model
    options = {"trust_remote_code": False, "local_files_only": is_folder}
    try:
        with quiet(transformers.utils.logging), torch.random.fork_rng(devices=[]):
            config = transformers.AutoConfig.from_pretrained(source, **options)
            if config.model_type not in MODEL_TYPES:
                raise ValueError(f"it is a {config.model_type!r} model")
            extractor = transformers.AutoFeatureExtractor.from_pretrained(source, **options)
            module, info = transformers.AutoModel.from_pretrained(
                source, config=config, weights_only=True, output_loading_info=True, **options
            )
    except Exception as error:  # of many types, from torch, safetensors, transformers and huggingface_hub
        reason = (str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")
        raise OSError(f"model={str(model)!r} could not be loaded: {reason}. {REMEDY}") from error
    missing = [name for name in info["missing_keys"] if name != "masked_spec_embed"]  # used in training only
    if missing:
        raise OSError(
            f"model={str(model)!r} lacks {len(missing)} weights, such as {min(missing)}; they would be random. {REMEDY}"
        )
    return config, {name: value.to(torch.float32, copy=True) for name, value in module.state_dict().items()}, extractor


def trim(config, weights, layer):
    """Return the weights that hidden state ``layer`` depends on; changes the configuration in place.

    Hidden state 0 is the input of the first transformer layer, k the output of layer k.
    """
    config.add_adapter = False
    left_out = ["adapter.", *(f"encoder.layers.{i}." for i in range(layer, config.num_hidden_layers))]
    if config.do_stable_layer_norm and layer < config.num_hidden_layers:
        left_out.append("encoder.layer_norm.")  # follows the last layer
    config.num_hidden_layers = layer
    return {name: value for name, value in weights.items() if not name.startswith(tuple(left_out))}


def build(config, weights):
    """Return the model in evaluation mode, on the CPU, with these weights (not copied); reads no files."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # does not draw random weights
        module = import_transformers().AutoModel.from_config(config)
    if "encoder.layer_norm.weight" not in weights:
        module.encoder.layer_norm = torch.nn.Identity()
    module.load_state_dict(weights, assign=True)
    return module.eval()


def receptive_field(kernels, strides):
    """Return the number of timepoints that one output of a stack of convolutions depends on."""
    length = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        length = (length - 1) * stride + kernel
    return length


def prepare(sound, *, normalize, min_length):
    """Normalise windows (n_windows, n_timepoints) if requested, and pad them with zeros to at least ``min_length``.

    Equals transformers' ``Wav2Vec2FeatureExtractor``.
    """
    out = np.zeros((len(sound), max(sound.shape[1], min_length)), dtype=sound.dtype)
    if normalize:
        sound = sound.astype(np.float64)
        # 1e-7 as in transformers
        sound = (sound - sound.mean(axis=1, keepdims=True)) / np.sqrt(sound.var(axis=1, keepdims=True) + 1e-7)
    out[:, : sound.shape[1]] = sound
    return out


class Wav2Vec2Embedding(SoundTransformer, auto_wrap_output_keys=("transform",)):
    """Describe each window by a hidden state of a pretrained model of speech, pooled over time.

    Models such as wav2vec 2.0 [1]_, HuBERT [2]_ and WavLM [3]_ were trained on many hours of unlabelled sound; ``fit``
    does not change their weights. Each window is computed on its own, because attention covers the whole window; its
    embedding is the same alone, in a batch, and inside its recording, up to rounding. These models expect sound at
    16 kHz that is not filtered. They are large, and slow without a GPU; a lower ``layer``, a longer ``hop_duration`` of
    the :class:`Windower` or an :class:`EnergyGate` saves time. Needs ``pip install 'skcry[transformers]'``.

    Parameters
    ----------
    model : str or path-like, default="facebook/wav2vec2-base"
        A folder, as written by ``save_pretrained``, or the name of a model on huggingface.co, which the first ``fit``
        downloads into the cache of transformers. Weights are read from safetensors, or from other files without
        running code that they contain.
    layer : int, default=-1
        Hidden state: 0 is the input of the first transformer layer, ``k`` the output of layer ``k``; negative numbers
        count from the end. Later layers are neither computed nor kept.
    pooling : str or array-like of str, default="mean"
        Statistics of the hidden state over the frames of a window: "mean", "median", "std", "min", "max".
    batch_size : int, default=8
        Number of windows computed at a time. Eight windows of 5 s take about 0.8 GB with the base models.
    device : str or torch.device, default="auto"
        Torch device. "auto" is a GPU if there is one.
    sr : int or None, default=None
        Sampling rate in Hz, which must be that of the model. None takes the rate of the windows, and 16000 for arrays.

    Attributes
    ----------
    model_ : transformers.PreTrainedModel
        The model up to the chosen hidden state, on the CPU. A pickle holds its weights, and loads without network and
        folder.
    layer_ : int
        Number of the hidden state, counted from 0.
    pooling_ : list of str
        Names of the statistics.
    do_normalize_ : bool
        Whether windows are normalised to zero mean and unit variance, as the model expects.
    min_length_ : int
        Number of timepoints to which shorter windows are padded with zeros.
    sr_ : int
        Sampling rate in Hz.
    n_features_in_ : int
        Number of timepoints in a window.

    See Also
    --------
    StatFeatures : Statistics of short-term features, without a network.
    FrameCNNClassifier : A small network that is trained on your recordings.

    Notes
    -----
    Embeddings are computed in the dtype of the sound, as in :class:`AlexNetClassifier`; float64 is more accurate and
    takes about four times as long as float32. A base model (95 million weights) takes 0.35 s for a window of 5 s in
    float32 on two cores, which is twenty minutes per hour of sound with one window per second.

    References
    ----------
    .. [1] A. Baevski, H. Zhou, A. Mohamed and M. Auli (2020). wav2vec 2.0: A framework for self-supervised learning of
       speech representations. NeurIPS 33. https://arxiv.org/abs/2006.11477
    .. [2] W.-N. Hsu et al. (2021). HuBERT: Self-supervised speech representation learning by masked prediction of
       hidden units. IEEE/ACM TASLP 29, 3451-3460. https://arxiv.org/abs/2106.07447
    .. [3] S. Chen et al. (2022). WavLM: Large-scale self-supervised pre-training for full stack speech processing.
       IEEE JSTSP 16(6), 1505-1518. https://arxiv.org/abs/2110.13900

    Examples
    --------
    Not run here, because it downloads 380 MB:

    >>> import numpy as np
    >>> from skcry import Wav2Vec2Embedding, Windower
    >>> X = Windower().fit_transform([np.random.default_rng(0).normal(size=16000 * 6)])
    >>> Wav2Vec2Embedding(layer=6, pooling=["mean", "std"]).fit_transform(X).shape  # doctest: +SKIP
    (2, 1536)
    """

    __module__ = "skcry"
    _parameter_constraints = {
        "model": [str, os.PathLike],
        "layer": [Interval(numbers.Integral, None, None, closed="neither")],
        "pooling": [str, "array-like"],
        "batch_size": [Interval(numbers.Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "sr": [Interval(numbers.Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        model: PathLike = "facebook/wav2vec2-base",
        *,
        layer: int = -1,
        pooling: Labels = "mean",
        batch_size: int = 8,
        device: str | torch.device = "auto",
        sr: int | None = None,
    ) -> None:
        self.model = model
        self.layer = layer
        self.pooling = pooling
        self.batch_size = batch_size
        self.device = device
        self.sr = sr

    # Unlike sound and spectrograms, embeddings are a table, so set_output(transform="pandas") works.
    set_output = TransformerMixin.set_output

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Windows | ArrayLike, y: object = None) -> Self:
        """Load the model; the sound is only checked.

        Parameters
        ----------
        X : Windows or ndarray of shape (n_windows, n_timepoints)
            Sound.
        y : None
            Ignored.

        Returns
        -------
        Wav2Vec2Embedding
            Returns self.

        Raises
        ------
        ImportError
            If transformers is not installed.
        OSError
            If the model cannot be found, downloaded or read.
        ValueError
            If ``sr`` is not that of the model, or ``layer`` or ``pooling`` does not exist.
        """
        self._validate_sound(X, reset=True)
        self.pooling_ = [self.pooling] if isinstance(self.pooling, str) else list(self.pooling)
        unknown = [name for name in self.pooling_ if name not in STATISTICS]
        if unknown or not self.pooling_:
            problem = f"has unknown names {unknown}" if unknown else "is empty"
            raise ValueError(f"pooling={self.pooling!r} {problem}. Use any of {list(STATISTICS)}.")
        config, weights, extractor = load_pretrained(self.model)
        if self.sr_ != extractor.sampling_rate:
            raise ValueError(
                f"sr={self.sr_} Hz is not the rate of model={str(self.model)!r}, which was trained at "
                f"{extractor.sampling_rate} Hz. Resample, for files by Windower(sr={extractor.sampling_rate})."
            )
        n_layers = config.num_hidden_layers
        if not -n_layers - 1 <= self.layer <= n_layers:
            raise ValueError(
                f"layer={self.layer} must be from 0 to {n_layers}, or from {-n_layers - 1} to -1 counted from the end: "
                f"model={str(self.model)!r} has {n_layers} layers."
            )
        self.layer_ = int(self.layer) % (n_layers + 1)
        self.do_normalize_ = bool(extractor.do_normalize)
        self.min_length_ = receptive_field(config.conv_kernel, config.conv_stride)
        weights = trim(config, weights, self.layer_)
        self.model_ = build(config, weights)
        return self

    def transform(self, X: Windows | ArrayLike) -> np.ndarray:
        """Compute the embedding of each window.

        Parameters
        ----------
        X : Windows or ndarray of shape (n_windows, n_timepoints)
            Sound.

        Returns
        -------
        ndarray of shape (n_windows, n_outputs)
            Columns as in :meth:`get_feature_names_out`, dtype as in ``X``: 768 per statistic with the base models.
        """
        check_is_fitted(self)
        return tabulate(self._validate_sound(X, reset=False), self._embed)

    def _embed(self, X):
        module, device = self.model_, resolve_device(self.device)
        if device.type != "cpu" or X.dtype == np.float64:
            # A copy, because other threads may use the fitted model.
            module = copy.deepcopy(module).to(device, torch.float64 if X.dtype == np.float64 else torch.float32)
        out = np.empty((len(X), self._n_outputs), dtype=X.dtype)
        with torch.inference_mode():
            for rows in gen_batches(len(X), self.batch_size):
                sound = prepare(np.asarray(X[rows]), normalize=self.do_normalize_, min_length=self.min_length_)
                hidden = module(torch.as_tensor(sound, device=device)).last_hidden_state.cpu().numpy()
                out[rows] = np.stack([STATISTICS[name](hidden, axis=1) for name in self.pooling_], axis=-1).reshape(
                    len(hidden), -1
                )
        return out

    @property
    def _n_outputs(self):
        return self.model_.config.hidden_size * len(self.pooling_)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Name the outputs, such as "wav2vec2_0__mean".

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Checked against the input of ``fit``, then ignored.

        Returns
        -------
        ndarray of str of shape (n_outputs,)
            Unit and statistic, separated by two underscores.
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features, generate_names=False)
        n_units = self.model_.config.hidden_size
        return np.array([f"wav2vec2_{i}__{name}" for i in range(n_units) for name in self.pooling_], dtype=object)

    # torch cannot pickle parametrized weights, and pickled models of transformers depend on its version.

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "model_" in state:
            weights = keep(state["model_"])
            config = state["model_"].config.to_dict().items()
            state["model_"] = ({name: value for name, value in config if not name.startswith("_")}, weights)
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "model_" in state:
            config, weights = state["model_"]
            if config["model_type"] not in MODEL_TYPES:
                raise ValueError(f"model_type={config['model_type']!r} must be one of {sorted(MODEL_TYPES)}.")
            self.model_ = build(import_transformers().AutoConfig.for_model(**config), fetch(weights))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags
