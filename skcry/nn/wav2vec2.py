"""Describe windows by a pretrained model of speech: wav2vec 2.0 (Baevski et al., 2020), HuBERT or WavLM."""

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
from .._transformer import SoundTransformer
from .._typing import Labels, PathLike
from ..features.stats import STATISTICS
from ..windows import Windows
from .base import resolve_device
from .weights import fetch, keep

MODEL_TYPES = ("wav2vec2", "hubert", "wavlm")  # alike in what follows; others may not be
REMEDY = (
    "Pass a folder with config.json, preprocessor_config.json and model.safetensors, as save_pretrained of model and "
    "feature extractor write them, or the name of a wav2vec 2.0, HuBERT or WavLM model on huggingface.co, which the "
    "first fit downloads."
)


def import_transformers():
    """Import the package transformers, or say how to get it."""
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            "Wav2Vec2Embedding needs the package transformers. Install it: pip install 'skcry[transformers]'"
        ) from error
    return transformers


@contextlib.contextmanager
def quiet(logging):
    """Keep progress bars, and reports on weights that an embedding has no use for, to transformers itself."""
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
    """Load a model and what it asks of its input. Never runs code that comes with a model.

    Parameters
    ----------
    model : str or path-like
        Folder or name.

    Returns
    -------
    config : transformers.PretrainedConfig
    weights : dict of str to torch.Tensor
        In single precision.
    extractor : transformers.FeatureExtractionMixin
        Knows ``sampling_rate`` and ``do_normalize``.

    Raises
    ------
    ImportError
        If transformers is not installed.
    OSError
        If there is no such model.
    """
    transformers = import_transformers()
    folder = Path(model).expanduser()
    is_folder = folder.is_dir()
    if not is_folder and (not isinstance(model, str) or model.startswith((".", "~")) or folder.is_absolute()):
        raise OSError(f"model={str(model)!r}: there is no such folder. {REMEDY}")
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
    except Exception as error:  # of a dozen kinds, from torch, safetensors, transformers and the hub
        reason = (str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")
        raise OSError(f"model={str(model)!r} could not be loaded: {reason}. {REMEDY}") from error
    missing = [name for name in info["missing_keys"] if name != "masked_spec_embed"]  # which training alone uses
    if missing:
        raise OSError(
            f"model={str(model)!r} lacks {len(missing)} weights, such as {min(missing)}; they would be random. {REMEDY}"
        )
    return config, {name: value.to(torch.float32, copy=True) for name, value in module.state_dict().items()}, extractor


def trim(config, weights, layer):
    """Leave out what hidden state number ``layer`` does not depend on.

    Parameters
    ----------
    config : transformers.PretrainedConfig
        Changed in place.
    weights : dict of str to torch.Tensor
        All weights.
    layer : int
        From 0, what enters the first transformer layer, to ``config.num_hidden_layers``, what the last one puts out.

    Returns
    -------
    dict of str to torch.Tensor
        The weights that stay.
    """
    config.add_adapter = False
    left_out = ["adapter.", *(f"encoder.layers.{i}." for i in range(layer, config.num_hidden_layers))]
    if config.do_stable_layer_norm and layer < config.num_hidden_layers:
        left_out.append("encoder.layer_norm.")  # comes after the last layer
    config.num_hidden_layers = layer
    return {name: value for name, value in weights.items() if not name.startswith(tuple(left_out))}


def build(config, weights):
    """Build the model of a configuration around given weights; needs neither network nor files.

    Parameters
    ----------
    config : transformers.PretrainedConfig
        See :func:`trim`.
    weights : dict of str to torch.Tensor
        See :func:`trim`. Not copied.

    Returns
    -------
    transformers.PreTrainedModel
        In evaluation mode, on the CPU.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # no time for random weights
        module = import_transformers().AutoModel.from_config(config)
    if "encoder.layer_norm.weight" not in weights:
        module.encoder.layer_norm = torch.nn.Identity()
    module.load_state_dict(weights, assign=True)
    return module.eval()


def receptive_field(kernels, strides):
    """Return the number of timepoints that the first frame of a stack of convolutions is computed from."""
    length = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        length = (length - 1) * stride + kernel
    return length


def prepare(sound, *, normalize, min_length):
    """Bring windows into the form that a model was trained on, as transformers' ``Wav2Vec2FeatureExtractor`` does.

    Parameters
    ----------
    sound : ndarray of shape (n_windows, n_timepoints)
        Sound.
    normalize : bool
        Whether each window gets zero mean and unit variance.
    min_length : int
        Shorter windows are padded with zeros to so many timepoints.

    Returns
    -------
    ndarray of shape (n_windows, max(n_timepoints, min_length))
        In the dtype of ``sound``.
    """
    out = np.zeros((len(sound), max(sound.shape[1], min_length)), dtype=sound.dtype)
    if normalize:
        sound = sound.astype(np.float64)
        # The small number is that of transformers.
        sound = (sound - sound.mean(axis=1, keepdims=True)) / np.sqrt(sound.var(axis=1, keepdims=True) + 1e-7)
    out[:, : sound.shape[1]] = sound
    return out


class Wav2Vec2Embedding(SoundTransformer, auto_wrap_output_keys=("transform",)):
    """Describe each window by a hidden state of a pretrained model of speech, pooled over time.

    Models like wav2vec 2.0 [1]_, HuBERT [2]_ and WavLM [3]_ learned from many hours of unlabelled sound; here their
    weights stay as they are. Each window is computed by itself, since attention sees all of it; a window has the same
    embedding alone, in a batch, and inside its recording, up to rounding. These models take sound at 16 kHz as it was
    recorded, not filtered. They are large, and slow without a GPU: a lower ``layer``, a longer ``hop_duration`` of the
    :class:`Windower` or an :class:`EnergyGate` save time. Needs ``pip install 'skcry[transformers]'``.

    Parameters
    ----------
    model : str or path-like, default="facebook/wav2vec2-base"
        A folder, as ``save_pretrained`` writes it, or the name of a model on huggingface.co, which the first ``fit``
        downloads and transformers keeps in its cache. Weights are read from safetensors, or from other files without
        running what they contain.
    layer : int, default=-1
        Which hidden state: 0 is what enters the first transformer layer, ``k`` what layer ``k`` puts out, negative
        numbers count from the end. Layers behind it are neither computed nor kept.
    pooling : str or array-like of str, default="mean"
        What to tell of a hidden state over the frames of a window: "mean", "median", "std", "min", "max".
    batch_size : int, default=8
        Windows computed at a time. Eight windows of 5 s take some 0.8 GB at the size of the base models.
    device : str or torch.device, default="auto"
        Torch device. "auto" takes a GPU where there is one.
    sr : int or None, default=None
        Sampling rate in Hz, which must be that of the model. None means that of the windows, and 16000 for arrays.

    Attributes
    ----------
    model_ : transformers.PreTrainedModel
        The model up to the chosen hidden state, on the CPU. A pickle holds its weights, and needs neither network nor
        folder to be loaded.
    layer_ : int
        Number of the hidden state, counted from 0.
    pooling_ : list of str
        Names of the statistics.
    do_normalize_ : bool
        Whether the model wants each window with zero mean and unit variance.
    min_length_ : int
        Shorter windows are padded with zeros to so many timepoints.
    sr_ : int
        Sampling rate in Hz.
    n_features_in_ : int
        Number of timepoints in a window.

    See Also
    --------
    StatFeatures : Describes a window in numbers without a network.
    FrameCNNClassifier : A small network, trained on the recordings at hand.

    Notes
    -----
    Embeddings are computed in the dtype of the sound, as in :class:`AlexNetClassifier`: double precision buys more
    digits for some four times the time. A window of 5 s in single precision takes a model of the base size (95 million
    weights) 0.35 s on two cores: with a window per second, twenty minutes per hour of sound.

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
    Not run here, for it downloads 380 MB:

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

    # Unlike sound and spectrograms, these are a table: set_output(transform="pandas") works.
    set_output = TransformerMixin.set_output

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Windows | ArrayLike, y: object = None) -> Self:
        """Load the model; nothing is learned from the sound.

        Parameters
        ----------
        X : Windows or ndarray of shape (n_windows, n_timepoints)
            Sound.
        y : None
            Ignored.

        Returns
        -------
        Wav2Vec2Embedding
            Itself, fitted.

        Raises
        ------
        ImportError
            If transformers is not installed.
        OSError
            If there is no such model, or it cannot be downloaded.
        ValueError
            If the rate is not that of the model, there is no such hidden state, or a statistic is unknown.
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
                f"{extractor.sampling_rate} Hz. Resample: Windower(sr={extractor.sampling_rate}) does so with files."
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
        X = self._validate_sound(X, reset=False)
        module, device = self.model_, resolve_device(self.device)
        if device.type != "cpu" or X.dtype == np.float64:
            # A copy: the fitted model stays as it is, whoever else is using it.
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
            Unit and statistic, with two underscores in between.
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features, generate_names=False)
        n_units = self.model_.config.hidden_size
        return np.array([f"wav2vec2_{i}__{name}" for i in range(n_units) for name in self.pooling_], dtype=object)

    # torch does not pickle a model with normalised weights, nor would that outlast a release of transformers.

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
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
