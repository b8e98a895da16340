"""Classic short-term features of sound, vectorised over frames.

Own code, because pyAudioAnalysis computes frame by frame in Python and scales by the peak of the whole signal. The 34
classic features are equal to those of pyAudioAnalysis 0.3.14 (Giannakopoulos, 2015) up to rounding, so that results can
be compared; spectral contrast is that of Jiang et al. (2002) as in librosa. These properties of pyAudioAnalysis are
kept:

- Frames have no taper, and the spectrum ends one bin below the Nyquist frequency. Bins are numbered one too high, so
  the centroid of a tone is one bin (20 Hz in frames of 50 ms) too high.
- The mel filters are laid out for twice the true frequencies: they cover 67 to 3427 Hz instead of 133 to 6854 Hz.
- A chroma pitch is the power of the last bin that rounds to it, instead of all of them, divided by a number of bins
  with a wrong index. Bins below 27 Hz (in frames above 37 ms) go to arbitrary pitches.

Three differences are intended. The offset and the peak of the whole signal are not removed, so that a value does not
depend on the rest of the day. Frames below 200 timepoints (at 16 kHz) and rates below 6854 Hz, at which the chroma and
mel tables of pyAudioAnalysis overflow, work with empty bins. Spectral contrast has no ``top_db``, because in librosa it
is relative to the loudest of all frames passed.
"""

from itertools import pairwise

import numpy as np
import scipy.fft
import scipy.sparse

N_MFCC = 13
N_BLOCKS = 10  # blocks of a frame or spectrum for an entropy
EPS = float(np.finfo(np.float64).eps)
TEMPORAL = {"energy", "energy_entropy"}
SPECTRAL = {
    "spectral_centroid", "spectral_spread", "spectral_entropy", "spectral_flux", "spectral_rolloff", "mfcc", "chroma",
}  # fmt: skip


def power_of(frames, dtype):
    """Return power spectra (n_frames, n_bins) of frames (n_frames, frame_length)."""
    # In double precision: in single, rounding hides the quiet bands of muffled sound, 120 dB below the loud ones.
    spectrum = scipy.fft.rfft(frames.astype(np.float64), axis=1)
    return (spectrum.real**2 + spectrum.imag**2).astype(dtype)


def zero_crossing_rate(frames):
    """Return the share of adjacent values that differ in sign, shape (n_frames,); a step from or to 0 counts half."""
    above, below = frames > 0, frames < 0
    # A sum in small integers is three times as fast as count_nonzero.
    crossings = np.sum(above[:, 1:] != above[:, :-1], axis=1, dtype=np.uint32)
    crossings += np.sum(below[:, 1:] != below[:, :-1], axis=1, dtype=np.uint32)
    return crossings / 2 / (frames.shape[1] - 1)


def block_entropy(power):
    """Return the entropy in bits of the power (n_frames, n_values) of ten equal blocks, shape (n_frames,)."""
    length = power.shape[1] // N_BLOCKS
    blocks = power[:, : length * N_BLOCKS].reshape(len(power), N_BLOCKS, length).sum(axis=2)
    share = blocks / (power.sum(axis=1, keepdims=True) + EPS)
    return -np.sum(share * np.log2(share + EPS), axis=1)


def spectral_centroid_spread(magnitude):
    """Return mean and standard deviation of frequency, shape (n_frames,) each, as shares of the Nyquist frequency."""
    frequency = (np.arange(1, magnitude.shape[1] + 1) / magnitude.shape[1]).astype(magnitude.dtype)
    # The constant is scaled by the peak, so it has an effect in silence only.
    total = magnitude.sum(axis=1) + EPS * magnitude.max(axis=1)
    total[total == 0] = 1
    centroid = np.einsum("ij,j->i", magnitude, frequency) / total
    deviation = frequency - centroid[:, np.newaxis]
    deviation *= deviation
    return centroid, np.sqrt(np.einsum("ij,ij->i", magnitude, deviation) / total)


def spectral_flux(magnitude):
    """Return the squared distance of each spectrum, scaled to unit sum, from the one before, shape (n_frames - 1,)."""
    unit = magnitude / (magnitude.sum(axis=1, keepdims=True) + EPS * magnitude.shape[1])
    change = np.diff(unit, axis=0)
    return np.einsum("ij,ij->i", change, change)


def spectral_rolloff(power, share=0.9):
    """Return the bin below which ``share`` of the power lies, as a share of all bins, shape (n_frames,)."""
    # In double precision: in single, rounding would change the bin where the sum is close to the threshold.
    threshold = share * power.sum(axis=1, keepdims=True, dtype=np.float64)
    return np.argmax(np.cumsum(power, axis=1, dtype=np.float64) + EPS > threshold, axis=1) / power.shape[1]


def mel_bank(sr, n_bins):
    """Return 40 triangular filters of unit area, 13 linearly spaced and 27 logarithmically, sparse (40, n_bins)."""
    edges = 133.33 + np.arange(13) * 200 / 3
    edges = np.append(edges, edges[-1] * 1.0711703 ** np.arange(1, 30))[:, np.newaxis]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    # Bins reach to sr / 2, but are spaced as if to sr: the published layout, see the module docstring.
    frequency = np.arange(n_bins) * (sr / n_bins)
    triangles = np.minimum((frequency - low) / (centre - low), (high - frequency) / (high - centre))
    return scipy.sparse.csr_array(np.maximum(triangles, 0) * 2 / (high - low))


def mfcc(magnitude, bank):
    """Return mel-frequency cepstral coefficients of magnitude spectra, shape (n_frames, 13)."""
    # Sparse, for speed, and because rounding in a dense product depends on the number of frames.
    levels = np.log10(bank @ magnitude.T + EPS)
    return scipy.fft.dct(levels, axis=0, norm="ortho")[:N_MFCC].T


def chroma_bank(sr, n_bins):
    """Return weights of the bins in the 12 pitch classes from A to G sharp, sparse (12, n_bins)."""

    def pitch_of(bin_number):
        return np.round(12 * np.log2((bin_number + 1) * (sr / (2 * n_bins)) / 27.5)).astype(int)

    n_pitches = n_bins
    while pitch_of(n_pitches - 1) >= n_pitches:  # short frames: fewer bins than pitches
        n_pitches += 1
    pitch = pitch_of(np.arange(n_pitches)) % n_pitches
    _, inverse, counts = np.unique(pitch, return_inverse=True, return_counts=True)
    source = np.full(n_pitches, -1)
    np.maximum.at(source, pitch[:n_bins], np.arange(n_bins))
    filled = np.flatnonzero(source >= 0)
    # pyAudioAnalysis indexes counts[inverse] by pitch instead of by bin.
    weights = 1 / counts[inverse][pitch[filled]]
    return scipy.sparse.csr_array((weights, (filled % 12, source[filled])), shape=(12, n_bins))


def chroma(power, bank):
    """Return shares of power in 12 pitch classes, and their standard deviation, shape (n_frames, 13)."""
    total = power.sum(axis=1, keepdims=True)
    total[total == 0] = 1
    shares = np.ascontiguousarray((bank @ power.T).T) / total
    return np.column_stack([shares, shares.std(axis=1)])


def n_contrast_bands(sr, fmin=200.0):
    """Return the number of octaves from ``fmin`` that start below the Nyquist frequency, at most 6 as in librosa."""
    return sum(fmin * 2**octave < sr / 2 for octave in range(6))


def spectral_contrast(frames, sr, fmin=200.0, quantile=0.02):
    """Return the level of peaks above valleys in octaves, in dB as in librosa, shape (n_frames, n_bands + 1)."""
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frames.shape[1]) / frames.shape[1])
    magnitude = np.sqrt(power_of(frames * taper, frames.dtype))
    frequency = np.fft.rfftfreq(frames.shape[1], 1 / sr)
    n_bands = n_contrast_bands(sr, fmin)
    edges = np.append(0, fmin * 2.0 ** np.arange(n_bands + 1))
    contrast = np.empty((len(frames), n_bands + 1), dtype=frames.dtype)
    for band, (low, high) in enumerate(pairwise(edges)):
        start = max(0, np.searchsorted(frequency, low) - (band > 0))
        stop = np.searchsorted(frequency, high, side="right") if band < n_bands else len(frequency)
        n_extreme = max(1, int(np.rint(quantile * (stop - start))))
        # Octaves have no common bins, and at least one bin each, even if bins are wider than octaves.
        stop = max(start + 1, stop - (band < n_bands))
        ordered = np.sort(magnitude[:, start:stop], axis=1)
        extremes = [ordered[:, :n_extreme].mean(axis=1), ordered[:, -n_extreme:].mean(axis=1)]
        valley, peak = 10 * np.log10(np.maximum(extremes, 1e-10))
        contrast[:, band] = peak - valley
    return contrast


def short_term_names(sr):
    """Return the names of all short-term features at a sampling rate, as a dict from family to list."""
    singles = "zcr energy energy_entropy spectral_centroid spectral_spread spectral_entropy spectral_flux"
    names = {name: [name] for name in f"{singles} spectral_rolloff".split()}
    names["mfcc"] = [f"mfcc_{i}" for i in range(1, N_MFCC + 1)]
    names["chroma"] = [*(f"chroma_{i}" for i in range(1, 13)), "chroma_std"]
    names["spectral_contrast"] = [f"spectral_contrast_{i}" for i in range(1, n_contrast_bands(sr) + 2)]
    return names


def select_features(features, sr):
    """Return the names of features selected by name, family or "all", in the order of :func:`short_term_names`."""
    families = short_term_names(sr)
    wanted = [features] if isinstance(features, str) else [str(name) for name in features]
    known = {"all", *families, *(name for names in families.values() for name in names)}
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        problem = f"has unknown names {unknown!s:.60} at sr={sr} Hz" if unknown else "is empty"
        raise ValueError(
            f"features {problem}. Use 'all', single features such as 'mfcc_1', or families: {', '.join(families)}."
        )
    return [name for family, names in families.items() for name in names if {"all", family, name}.intersection(wanted)]


def short_term_features(y, sr, frame_length, hop_length, features="all"):
    """Compute features (..., n_features, n_frames) of sound (..., n_timepoints) in its dtype, in blocks of frames.

    Sound shorter than a frame is padded with zeros. ``spectral_flux`` is 0 in the first frame.
    """
    selected = select_features(features, sr)
    if frame_length < 2 * N_BLOCKS:
        raise ValueError(
            f"frame_length={frame_length} timepoints must be at least {2 * N_BLOCKS}. Lengthen the frames."
        )
    families = {family: names for family, names in short_term_names(sr).items() if set(names) & set(selected)}
    computed = [name for names in families.values() for name in names]
    columns = [computed.index(name) for name in selected]
    banks = {"mfcc": mel_bank(sr, frame_length // 2), "chroma": chroma_bank(sr, frame_length // 2)}

    *clips, n_timepoints = y.shape
    y = y.reshape(-1, n_timepoints)
    if n_timepoints < frame_length:
        y = np.pad(y, [(0, 0), (0, frame_length - n_timepoints)])
    views = np.lib.stride_tricks.sliding_window_view(y, frame_length, axis=1)[:, ::hop_length]
    n_clips, n_frames = views.shape[:2]
    out = np.empty((n_clips, len(selected), n_frames), dtype=y.dtype)

    # Blocks have a fixed size in whole SIMD registers, so that rounding of a frame does not depend on the length of the
    # sound. Row 0 is the previous frame, for the spectral flux.
    block = np.zeros((16 * max(1, 2**13 // frame_length), frame_length), dtype=y.dtype)
    for start in range(0, n_clips * n_frames, len(block) - 1):
        stop = min(start + len(block) - 1, n_clips * n_frames)
        clip, frame = np.divmod(np.maximum(np.arange(start - 1, stop), 0), n_frames)
        block[: len(frame)] = views[clip, frame]
        values = np.column_stack(_describe(block, sr, set(families), banks))[1 : len(frame), columns]
        clip, frame = clip[1:], frame[1:]
        if "spectral_flux" in selected:
            values[frame == 0, selected.index("spectral_flux")] = 0
        out[clip, :, frame] = values
    return out.reshape(*clips, len(selected), n_frames)


def _describe(frames, sr, families, banks):
    """Return one array of shape (n_frames,) or (n_frames, n_columns) per family."""
    if families & TEMPORAL:
        squares = frames**2
    if families & SPECTRAL:
        n_bins = frames.shape[1] // 2
        power = power_of(frames, frames.dtype)[:, :n_bins] / n_bins**2
        magnitude = np.sqrt(power)
    if families & {"spectral_centroid", "spectral_spread"}:
        centroid, spread = spectral_centroid_spread(magnitude)
    formulas = {
        "zcr": lambda: zero_crossing_rate(frames),
        "energy": lambda: squares.mean(axis=1),
        "energy_entropy": lambda: block_entropy(squares),
        "spectral_centroid": lambda: centroid,
        "spectral_spread": lambda: spread,
        "spectral_entropy": lambda: block_entropy(power),
        "spectral_flux": lambda: np.append(0, spectral_flux(magnitude)),
        "spectral_rolloff": lambda: spectral_rolloff(power),
        "mfcc": lambda: mfcc(magnitude, banks["mfcc"]),
        "chroma": lambda: chroma(power, banks["chroma"]),
        "spectral_contrast": lambda: spectral_contrast(frames, sr),
    }
    return [formula() for family, formula in formulas.items() if family in families]
