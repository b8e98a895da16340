"""Embeddings of windows by the network that ships with trained weights."""

from __future__ import annotations

import copy
import functools
import numbers
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import ThreadpoolController

from .._compat import Interval, copy_module
from .._transformer import SoundTransformer, apply, tabulate
from ..features.mel import mel_decibels
from ..pretrained import SHA256
from ..windows import Windows
from .cry_cnn import SPECTROGRAM, SR, TRUNK_FRAMES, TRUNK_STRIDE, pretrained_net
from .training_data import step_of

HOP = TRUNK_STRIDE * SPECTROGRAM["hop_length"]  # timepoints from one output of the trunk to the next
SPAN = (TRUNK_FRAMES - 1) * SPECTROGRAM["hop_length"] + SPECTROGRAM["n_fft"]  # timepoints that an output depends on
BLOCK_OUTPUTS = 240  # computed at a time, from a minute of sound
HEAD_BATCH = 256  # windows


@functools.cache
def mel_bank(dtype):
    """Return the weights of the mel bands of the network, ndarray of shape (n_mels, 1 + n_fft // 2)."""
    import librosa  # here, since it takes long to import

    bands = {name: SPECTROGRAM[name] for name in ("n_fft", "n_mels", "fmin", "fmax")}
    return librosa.filters.mel(sr=SR, **bands).astype(dtype)


def in_threads(function, items):
    """Call a function with each item, in as many threads as torch would use for one call, without gradients.

    Each thread computes alone. This is faster than torch's own threads, which wait for each other after every layer,
    for long if other processes keep the processor busy.
    """

    def call(item):
        with torch.inference_mode():  # in each thread
            function(item)

    n_threads = min(torch.get_num_threads(), len(items))
    if n_threads < 2:
        for item in items:
            call(item)
        return
    with ThreadPoolExecutor(n_threads, initializer=_compute_alone) as pool:
        list(pool.map(call, items))


@functools.cache
def _controller():
    return ThreadpoolController()  # searches the loaded libraries, which takes milliseconds


def _compute_alone():
    """Have torch use only this thread for what is called in it."""
    torch.get_num_threads()  # torch sets the number for a new thread at its first use
    _controller().limit(limits=1, user_api="openmp")  # for this thread; torch.set_num_threads would for later ones too


def listen(y, net):
    """Return the outputs of the trunk for sound: (n_timepoints,) to (n_shared, n_outputs), or the same of many clips.

    Computed in blocks, so that memory does not grow with the length, and as many at a time as torch has threads.
    """
    clips = y[np.newaxis] if y.ndim == 1 else y
    n_outputs = max(1, 1 + (clips.shape[1] - SPAN) // HOP)
    out = np.empty((len(clips), net.n_shared, n_outputs), dtype=y.dtype)
    bank, lengths = mel_bank(y.dtype), {name: SPECTROGRAM[name] for name in ("n_fft", "hop_length")}

    def compute(block):
        rows, columns = block
        stretch = clips[rows, columns.start * HOP : (columns.stop - 1) * HOP + SPAN]
        decibels = torch.from_numpy(mel_decibels(stretch, mel_basis=bank, **lengths))
        out[rows, :, columns] = net.share(decibels[:, None]).numpy()

    in_threads(
        compute,
        [
            (rows, columns)
            for rows in gen_batches(len(clips), max(1, BLOCK_OUTPUTS // n_outputs))
            for columns in gen_batches(n_outputs, BLOCK_OUTPUTS)
        ],
    )
    return out[0] if y.ndim == 1 else out


class PretrainedEmbedding(ClassNamePrefixFeaturesOutMixin, SoundTransformer, auto_wrap_output_keys=("transform",)):
    """Describe each window of sound by the network that ships with skcry.

    The network, :class:`CryCNN`, was trained on many hours of crying and other sounds. ``fit`` does not change its
    weights, so a classifier on these embeddings needs few annotations, seconds of training, and no unseen windows of
    the network's own. For overlapping :class:`Windows` each second of sound is computed once. The recorder's gain does
    not matter, as long as sound at full scale is near 1: bands below -100 dB re 1, where the quantization noise of 16
    bits lies, count as -100 dB.

    Parameters
    ----------
    sr : int or None, default=None
        Sampling rate in Hz. None takes the rate of the windows, and 16000 for bare arrays. The network needs 16000.

    Attributes
    ----------
    middle_ : float
        Share of a window, in its middle, that its embedding describes; the rest is context. It is the step from one
        window to the next, and the whole window for clips without overlap.
    weights_ : str
        Checksum of the network's weights. Pickles and files hold it instead of the weights, which are in the package.
    sr_ : int
        Sampling rate in Hz.
    n_features_in_ : int
        Number of timepoints in a window.

    See Also
    --------
    CryCNN : The torch module.
    FrameCNNClassifier : Continues the training of this network with ``init="pretrained"``.
    Wav2Vec2Embedding : Embeddings of a large model of speech.

    Notes
    -----
    Embeddings are computed in the dtype of the sound; float64 takes about five times as long as float32. Where the
    steps between windows are not multiples of 0.25 s, each one is computed separately, with the same result in more
    time.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import PretrainedEmbedding, Windower
    >>> X = Windower().fit_transform([np.random.default_rng(0).normal(size=16000 * 8)])
    >>> PretrainedEmbedding().fit_transform(X).shape
    (4, 192)
    """

    __module__ = "skcry"
    _parameter_constraints = {"sr": [Interval(numbers.Integral, 1, None, closed="left"), None]}

    def __init__(self, *, sr: int | None = None) -> None:
        self.sr = sr

    # Unlike sound and spectrograms, embeddings are a table, so set_output(transform="pandas") works.
    set_output = TransformerMixin.set_output

    def _set_up(self, X):
        if self.sr_ != SR:
            raise ValueError(
                f"sr={self.sr_} Hz is not the rate of the pretrained network, which was trained at {SR} Hz. Resample, "
                f"for recordings by Windower(sr={SR})."
            )
        self.middle_ = step_of(X) / X.shape[1]
        self.weights_ = SHA256
        self._n_features_out = pretrained_net().n_embedding

    def transform(self, X: Windows | ArrayLike) -> np.ndarray:
        """Compute the embedding of each window.

        Parameters
        ----------
        X : Windows or array-like of shape (n_windows, n_timepoints)
            Sound.

        Returns
        -------
        ndarray of shape (n_windows, n_embedding)
            In the dtype of ``X``.
        """
        check_is_fitted(self)
        return tabulate(self._validate_sound(X, reset=False), self._embed)

    def _embed(self, X):
        net = copy_module(pretrained_net())  # shares the layers
        net.middle = self.middle_
        if X.dtype == np.float64:
            net = copy.deepcopy(net).double()
        shared = apply(X, functools.partial(listen, net=net), frame_length=SPAN, hop_length=HOP)
        out = np.empty((len(X), net.n_embedding), dtype=X.dtype)

        def describe(rows):
            out[rows] = net.pool(net.head(torch.from_numpy(np.asarray(shared[rows])))).numpy()

        in_threads(describe, list(gen_batches(len(X), HEAD_BATCH)))
        return out

    def __setstate__(self, state):
        weights = state.get("weights_", SHA256)
        if weights != SHA256:
            raise ValueError(
                f"This PretrainedEmbedding was fitted with other weights of the network ({weights:.12}...) than those "
                f"of this version of skcry ({SHA256:.12}...). Load it with version {state.get('_skcry_version')}, or "
                "fit it again."
            )
        super().__setstate__(state)
