"""Statistics of short-term features of each window; the features are computed once per recording."""

from __future__ import annotations

import numbers
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, check_feature_names_in
from .._transformer import SoundTransformer, apply, tabulate
from .._typing import Labels
from ..windows import Windows
from ..windows.windower import duration_to_length
from .short_term import N_BLOCKS, select_features, short_term_features


def median(values, axis):
    """Return the median of values without NaN; sorting all rows at once is nine times as fast as ``numpy.median``."""
    ordered, n = np.sort(values, axis=axis), values.shape[axis]
    return ordered.take([(n - 1) // 2, n // 2], axis=axis).mean(axis=axis)


STATISTICS: dict[str, Callable] = {"mean": np.mean, "median": median, "std": np.std, "min": np.min, "max": np.max}


def with_deltas(values):
    """Append the differences between frames, 0 in the first one; return shape (..., 2 * n_features, n_frames)."""
    return np.concatenate([values, np.diff(values, axis=-1, prepend=values[..., :1])], axis=-2)


class StatFeatures(SoundTransformer, auto_wrap_output_keys=("transform",)):
    """Compute statistics of short-term features per window: zero crossings, energy, spectrum, MFCCs, chroma.

    Each recording is cut into short frames, each frame is described by up to 41 features, and each window by statistics
    of these features over its frames. 34 features are those of pyAudioAnalysis [1]_, the others are spectral contrast
    [2]_. Unlike in pyAudioAnalysis, the sound is not normalised, so a window has the same features alone and in its
    recording. Energy and the first MFCC therefore depend on the gain of the recorder: use recordings of the same gain,
    or leave out these two.

    Parameters
    ----------
    features : str or array-like of str, default="all"
        Families: "zcr", "energy", "energy_entropy", "spectral_centroid", "spectral_spread", "spectral_entropy",
        "spectral_flux", "spectral_rolloff", "mfcc" (13), "chroma" (12 and their standard deviation),
        "spectral_contrast" (7, fewer below 12.8 kHz); or single features such as "mfcc_2". Order has no effect.
        Centroid, spread and rolloff are shares of ``sr / 2``.
    statistics : str or array-like of str, default=("mean", "median", "std")
        Statistics of a feature over the frames of a window: "mean", "median", "std", "min", "max".
    frame_duration : float, default=0.05
        Length of a frame in seconds, as in [1]_.
    hop_duration : float, default=0.025
        Step from one frame to the next in seconds, as in [1]_. Overlapping windows share frames if this step, in whole
        timepoints, divides the step of the windows (at 22050 Hz 0.02 s does, 0.025 s does not). Otherwise each window
        is computed separately, which is slower and gives the same values.
    deltas : bool, default=True
        Whether to add the differences of the features between frames, as in [1]_.
    sr : int or None, default=None
        Sampling rate in Hz. None means that of the windows, and 16000 for arrays.

    Attributes
    ----------
    sr_ : int
        Sampling rate in Hz.
    frame_length_, hop_length_ : int
        Both durations in audio timepoints.
    features_ : list of str
        Names of the short-term features, without deltas.
    statistics_ : list of str
        Names of the statistics.
    n_features_in_ : int
        Number of timepoints in a window.

    See Also
    --------
    MelSpectrogram : Computes an image of each window, for networks.
    Wav2Vec2Embedding : Computes embeddings of a pretrained model of speech.

    References
    ----------
    .. [1] T. Giannakopoulos (2015). pyAudioAnalysis: An open-source Python library for audio signal analysis.
       PLoS ONE 10(12): e0144610. https://doi.org/10.1371/journal.pone.0144610
    .. [2] D.-N. Jiang, L. Lu, H.-J. Zhang, J.-H. Tao and L.-H. Cai (2002). Music type classification by spectral
       contrast feature. IEEE International Conference on Multimedia and Expo 1, 113-116.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import StatFeatures, Windower
    >>> tone = np.sin(2 * np.pi * 800 * np.arange(16000 * 6) / 16000)
    >>> X = Windower().fit_transform([tone])
    >>> stats = StatFeatures(["zcr", "spectral_rolloff"], statistics="median", deltas=False).fit(X)
    >>> stats.transform(X).round(2)
    array([[0.1, 0.1],
           [0.1, 0.1]])
    >>> stats.get_feature_names_out()
    array(['zcr__median', 'spectral_rolloff__median'], dtype=object)
    """

    __module__ = "skcry"
    _parameter_constraints = {
        "features": [str, "array-like"],
        "statistics": [str, "array-like"],
        "frame_duration": [Interval(numbers.Real, 0, None, closed="neither")],
        "hop_duration": [Interval(numbers.Real, 0, None, closed="neither")],
        "deltas": ["boolean"],
        "sr": [Interval(numbers.Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        features: Labels = "all",
        statistics: Labels = ("mean", "median", "std"),
        *,
        frame_duration: float = 0.05,
        hop_duration: float = 0.025,
        deltas: bool = True,
        sr: int | None = None,
    ) -> None:
        self.features = features
        self.statistics = statistics
        self.frame_duration = frame_duration
        self.hop_duration = hop_duration
        self.deltas = deltas
        self.sr = sr

    # The output is a table, unlike sound and spectrograms, so set_output(transform="pandas") works.
    set_output = TransformerMixin.set_output

    def _set_up(self, X):
        at_least = 2 * N_BLOCKS
        self.frame_length_ = duration_to_length("frame_duration", self.frame_duration, self.sr_, at_least=at_least)
        self.hop_length_ = duration_to_length("hop_duration", self.hop_duration, self.sr_)
        self.features_ = select_features(self.features, self.sr_)
        self.statistics_ = [self.statistics] if isinstance(self.statistics, str) else list(self.statistics)
        unknown = [name for name in self.statistics_ if name not in STATISTICS]
        if unknown or not self.statistics_:
            problem = f"has unknown names {unknown}" if unknown else "is empty"
            raise ValueError(f"statistics={self.statistics!r} {problem}. Use any of {list(STATISTICS)}.")

    def transform(self, X: Windows | ArrayLike) -> np.ndarray:
        """Compute the statistics of each window.

        Parameters
        ----------
        X : Windows or ndarray of shape (n_windows, n_timepoints)
            Sound. Windows shorter than a frame are padded with zeros.

        Returns
        -------
        ndarray of shape (n_windows, n_outputs)
            Columns as in :meth:`get_feature_names_out`, dtype as in ``X``.
        """
        check_is_fitted(self)
        return tabulate(self._validate_sound(X, reset=False), self._tabulate)

    def _tabulate(self, X):
        frames = apply(X, self._short_term, frame_length=self.frame_length_, hop_length=self.hop_length_)
        out = np.empty((len(frames), len(self.get_feature_names_out())), dtype=frames.dtype)
        # Batches of 1 MiB in single precision fit the cache.
        for rows in gen_batches(len(frames), max(1, 2**18 // int(np.prod(frames.shape[1:])))):
            out[rows] = self._summarise(np.asarray(frames[rows]))
        return out

    def _short_term(self, y):
        return short_term_features(y, self.sr_, self.frame_length_, self.hop_length_, self.features_)

    def _summarise(self, values):
        """Return statistics (n_windows, n_outputs) of frames (n_windows, n_features, n_frames)."""
        if "spectral_flux" in self.features_:
            # The first frame of a window has no previous one, although its recording may have.
            values[:, self.features_.index("spectral_flux"), 0] = 0
        if self.deltas:
            values = with_deltas(values)
        statistics = [STATISTICS[name](values, axis=-1) for name in self.statistics_]
        return np.stack(statistics, axis=-1).reshape(len(values), -1)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the outputs, such as "mfcc_1__median" and "delta_mfcc_1__std".

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Checked against the input of ``fit``, then ignored.

        Returns
        -------
        ndarray of str of shape (n_outputs,)
            Feature and statistic, joined by two underscores.
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features, generate_names=False)
        names = self.features_ + [f"delta_{name}" for name in self.features_ if self.deltas]
        return np.array([f"{name}__{statistic}" for name in names for statistic in self.statistics_], dtype=object)
