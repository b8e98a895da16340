"""StatFeatures: facts about sound, windows that share frames exactly, and agreement with pyAudioAnalysis."""

import tracemalloc
from itertools import pairwise

import librosa
import numpy as np
import pytest
import scipy.fft
from numpy.testing import assert_allclose, assert_array_equal

from skcry import StatFeatures, Windower, Windows
from skcry.features.short_term import (
    block_entropy,
    chroma_bank,
    mel_bank,
    short_term_features,
    short_term_names,
    spectral_contrast,
)
from skcry.features.stats import with_deltas

CLASSIC = [family for family in short_term_names(16000) if family != "spectral_contrast"]


def tone(frequency, sr, duration=1.0):
    return np.sin(2 * np.pi * frequency * np.arange(round(duration * sr)) / sr)


def named(y, sr, features="all", **kwargs):
    """Return the features of one clip as a dict from name to output."""
    stats = StatFeatures(features, sr=sr, **kwargs).fit(y[np.newaxis])
    return dict(zip(stats.get_feature_names_out(), stats.transform(y[np.newaxis])[0], strict=True))


@pytest.mark.parametrize("frequency", [440, 1000, 5000])
def test_tone_lies_at_its_frequency(frequency, sr):
    values = named(tone(frequency, sr), sr)
    expected = {
        "spectral_centroid__median": pytest.approx(2 * (frequency + 20) / sr, abs=1e-5),  # bins counted from one
        "spectral_rolloff__median": pytest.approx(2 * frequency / sr),
        "zcr__mean": pytest.approx(2 * frequency / sr, rel=0.03),
        "energy__mean": pytest.approx(0.5),
        "spectral_spread__median": pytest.approx(0, abs=1e-3),
        "spectral_flux__mean": pytest.approx(0, abs=1e-12),
    }
    assert {name: values[name] for name in expected} == expected


def test_noise_is_flatter_than_a_tone(rng, sr):
    noise, pure = named(rng.standard_normal(sr), sr), named(tone(1000, sr), sr)
    assert noise["spectral_entropy__mean"] == pytest.approx(np.log2(10), abs=0.1)
    assert noise["energy_entropy__mean"] == pytest.approx(np.log2(10), abs=0.1)
    assert pure["spectral_entropy__mean"] == pytest.approx(0, abs=1e-6)
    assert noise["spectral_centroid__mean"] == pytest.approx(0.5, abs=0.02)
    # 1000 Hz lies in the fourth band, 800 to 1600 Hz.
    assert pure["spectral_contrast_4__mean"] > 3 * noise["spectral_contrast_4__mean"]


@pytest.mark.parametrize("frequency", [420, 880, 1780])
def test_octaves_share_their_chroma(frequency, sr):
    # Each the last bin that pyAudioAnalysis, which counts bins from one, rounds to an A; other bins it leaves out.
    values = named(tone(frequency, sr), sr, "chroma")
    chroma = [values[f"chroma_{i}__mean"] for i in range(1, 13)]
    assert np.argmax(chroma) == 0
    assert chroma[0] > 0.1 > 1e6 * max(chroma[1:])


def test_level_changes_energy_only(rng, sr):
    y = rng.standard_normal(sr)
    values, louder = named(y, sr), named(10 * y, sr)
    for name in values:
        feature = name.removeprefix("delta_").split("__")[0]
        if feature != "mfcc_1":
            gain = 100 if feature == "energy" else 1
            assert louder[name] == pytest.approx(gain * values[name], abs=1e-9), name


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("frame_duration", [0.005, 0.05, 1.0])
@pytest.mark.parametrize("sr", [4000, 8000, 16000, 22050])
def test_extreme_sounds_stay_finite(sr, frame_duration):
    click = np.eye(1, sr, sr // 2)[0]
    X = np.array([np.zeros(sr), np.ones(sr), click, np.sign(tone(100, sr)), np.full(sr, 1e-30)])
    stats = StatFeatures(sr=sr, frame_duration=frame_duration, statistics="max")
    for dtype in (np.float64, np.float32):
        out = stats.fit_transform(X.astype(dtype))
        assert out.dtype == dtype
        assert np.isfinite(out).all()


def test_silence_has_no_spectrum(sr):
    values = {name: value for name, value in named(np.zeros(sr), sr).items() if not name.startswith("mfcc_1_")}
    assert values == pytest.approx(dict.fromkeys(values, 0), abs=1e-12)


def test_float32_agrees_with_float64(rng, sr):
    muffled = np.cumsum(np.cumsum(rng.standard_normal(2 * sr)))
    for y, rtol in ((rng.standard_normal(2 * sr), 1e-3), (muffled / np.abs(muffled).max(), 1e-4)):
        y = y.astype(np.float32)
        single, double = (short_term_features(y.astype(dtype), sr, 800, 400) for dtype in (np.float32, np.float64))
        assert_allclose(single, double, rtol=rtol, atol=1e-5)


@pytest.mark.parametrize(
    ("sr", "hop_duration", "frame_duration"),
    [(16000, 1, 0.05), (22050, 1, 0.05), (16000, 0.3333, 0.05), (16000, 1, 0.5), (8000, 0.5, 0.021)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_window_is_the_same_alone_in_a_batch_and_in_its_recording(rng, sr, hop_duration, frame_duration, dtype):
    recordings = [rng.standard_normal(round(duration * sr)).astype(dtype) for duration in (7.3, 1.0, 5.1)]
    X = Windower(window_duration=2, hop_duration=hop_duration, sr=sr).fit_transform(recordings)
    stats = StatFeatures(frame_duration=frame_duration, hop_duration=0.025, sr=sr)
    inside = stats.fit_transform(X)
    assert inside.dtype == dtype
    assert_array_equal(stats.fit_transform(np.asarray(X)), inside)
    assert_array_equal(np.vstack([stats.transform(row[np.newaxis]) for row in X]), inside)
    assert_array_equal(stats.transform(X[::-1]), inside[::-1])


def test_recordings_are_framed_once(rng, sr, monkeypatch):
    lengths = []

    def counted(y, *args):
        lengths.append(y.shape)
        return short_term_features(y, *args)

    monkeypatch.setattr("skcry.features.stats.short_term_features", counted)
    StatFeatures("zcr").fit_transform(Windower().fit_transform([rng.standard_normal(9 * sr), np.ones(6 * sr)]))
    assert lengths == [(9 * sr,), (6 * sr,)]


def test_first_frame_has_no_past(rng, sr):
    X = Windows([rng.standard_normal(sr)], [0, 0], [0, 8000], 1600, sr=sr)
    assert_array_equal(StatFeatures("spectral_flux", "min", deltas=False).fit_transform(X), 0)
    assert_array_equal(with_deltas(np.array([[3.0, 5.0, 4.0]])), [[3, 5, 4], [0, 2, -1]])


def test_memory_is_bounded(sr):
    y = np.zeros(600 * sr, dtype=np.float32)
    tracemalloc.start()
    out = short_term_features(y, sr, 800, 400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < out.nbytes + 40 * 2**20


@pytest.mark.parametrize("n_timepoints", [1, 10, 799, 800, 801, 1199, 1200])
def test_short_windows_are_padded(rng, sr, n_timepoints):
    X = rng.standard_normal((2, n_timepoints))
    padded = np.pad(X, [(0, 0), (0, max(0, 800 - n_timepoints))])
    assert_array_equal(StatFeatures().fit_transform(X), StatFeatures().fit_transform(padded))
    n_frames = short_term_features(X, sr, 800, 400).shape[-1]
    assert n_frames == max(1, 1 + (n_timepoints - 800) // 400)


def test_names(rng, sr):
    X = rng.standard_normal((2, sr))
    stats = StatFeatures().fit(X)
    names = list(stats.get_feature_names_out())
    assert len(names) == len(set(names)) == stats.transform(X).shape[1] == 2 * 41 * 3
    assert names[:4] == ["zcr__mean", "zcr__median", "zcr__std", "energy__mean"]
    assert {"mfcc_1__median", "chroma_std__mean", "spectral_contrast_7__std", "delta_mfcc_1__std"} < set(names)
    assert list(stats.set_output(transform="pandas").transform(X).columns) == names


def test_statistics_are_those_of_the_frames(rng, sr):
    y = rng.standard_normal(sr)
    statistics = ["mean", "median", "std", "min", "max"]
    values = named(y, sr, "mfcc", statistics=statistics)
    frames = with_deltas(short_term_features(y, sr, 800, 400, "mfcc"))
    for name in statistics:
        assert values[f"mfcc_2__{name}"] == pytest.approx(getattr(np, name)(frames[1]))
        assert values[f"delta_mfcc_2__{name}"] == pytest.approx(getattr(np, name)(frames[14]))


@pytest.mark.parametrize("features", [*short_term_names(16000), "mfcc_3", "chroma_std", ["mfcc_1", "zcr", "chroma"]])
@pytest.mark.parametrize("deltas", [True, False])
def test_selection_gives_the_columns_of_all(rng, sr, features, deltas):
    y = rng.standard_normal(sr)
    everything, some = named(y, sr, deltas=deltas), named(y, sr, features, deltas=deltas, statistics=["std", "mean"])
    assert some == {name: everything[name] for name in some}
    assert len(some) < len(everything)


def test_contrast_bands_fit_below_nyquist():
    n_bands = {sr: len(short_term_names(sr)["spectral_contrast"]) for sr in (44100, 16000, 8000, 4000, 400)}
    assert n_bands == {44100: 7, 16000: 7, 8000: 6, 4000: 5, 400: 1}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"features": ["mfcc", "pitch"]}, r"unknown names \['pitch'\] at sr=16000 Hz.* zcr, energy,"),
        ({"features": "delta_mfcc_1"}, r"unknown names \['delta_mfcc_1'\]"),
        ({"features": []}, "is empty"),
        ({"features": ["spectral_contrast_7"], "sr": 8000}, "at sr=8000 Hz"),
        ({"statistics": ["mean", "mode"]}, r"unknown names \['mode'\].*'median'"),
        ({"statistics": ()}, "is empty"),
        ({"frame_duration": 0.001}, r"0.001 s is 16 timepoints at sr=16000 Hz, but must be at least 20"),
        ({"hop_duration": 1e-6}, "hop_duration=1e-06 s is 0 timepoints"),
        ({"deltas": "yes"}, "deltas"),
    ],
)
def test_errors_say_what_is_wrong(rng, params, message):
    with pytest.raises(ValueError, match=message):
        StatFeatures(**params).fit(rng.standard_normal((2, 1000)))


def test_rates_must_agree(rng):
    X = Windower(sr=8000).fit_transform([rng.standard_normal(50000)])
    assert StatFeatures().fit(X).frame_length_ == 400
    with pytest.raises(ValueError, match="contradicts"):
        StatFeatures(sr=16000).fit(X)
    with pytest.raises(ValueError, match="frame_length=10 timepoints must be at least 20"):
        short_term_features(np.zeros(100), 8000, 10, 5)


def reference(y, sr, frame_length, hop_length):
    """Compute some features frame by frame and bin by bin, as plainly as can be."""
    rows, before, n_bins, block = [], None, frame_length // 2, frame_length // 10
    bins = np.arange(1, n_bins + 1) / n_bins
    for start in range(0, len(y) - frame_length + 1, hop_length):
        frame = y[start : start + frame_length]
        magnitude = np.abs(np.fft.fft(frame))[:n_bins] / n_bins
        crossings = sum(abs(np.sign(b) - np.sign(a)) / 2 for a, b in pairwise(frame))
        share = magnitude / sum(magnitude)
        centroid = sum(bins * share)
        spread = sum((bins - centroid) ** 2 * share)
        flux = 0 if before is None else sum((share - before) ** 2)
        rolloff = next(k for k in range(n_bins) if sum(magnitude[: k + 1] ** 2) > 0.9 * sum(magnitude**2))
        shares = [sum(frame[i * block : (i + 1) * block] ** 2) / sum(frame**2) for i in range(10)]
        entropy = -sum(value * np.log2(value + np.finfo(float).eps) for value in shares)
        in_time = crossings / (frame_length - 1), sum(frame**2) / frame_length, entropy
        rows.append([*in_time, centroid, np.sqrt(spread), flux, rolloff / n_bins])
        before = share
    return np.transpose(rows)


@pytest.mark.parametrize(("frame_length", "hop_length"), [(400, 200), (333, 500)])
def test_agrees_with_a_plain_reference(rng, sr, frame_length, hop_length):
    y = rng.standard_normal(3000) * np.linspace(0, 1, 3000)
    y[100:200] = 0
    features = ["zcr", "energy", "energy_entropy", "spectral_centroid", "spectral_spread"]
    values = short_term_features(y, sr, frame_length, hop_length, [*features, "spectral_flux", "spectral_rolloff"])
    assert_allclose(values, reference(y, sr, frame_length, hop_length), rtol=1e-8, atol=1e-12)


def test_mfcc_is_the_cosine_transform_of_mel_levels(rng, sr):
    y = rng.standard_normal(800)
    levels = np.log10(mel_bank(sr, 400).toarray() @ np.abs(np.fft.rfft(y))[:400] / 400)
    expected = scipy.fft.dct(levels, norm="ortho")[:13]
    assert_allclose(short_term_features(y, sr, 800, 400, "mfcc")[:, 0], expected)


def test_mel_bank_has_the_published_layout(sr):
    bank = mel_bank(sr, sr).toarray()  # bins 1 Hz apart by the bank's own count
    assert bank.shape == (40, sr)
    assert_allclose(bank.sum(axis=1), 1, rtol=1e-3)
    used = np.flatnonzero(bank.any(axis=0))
    assert (used[0], used[-1]) == (134, 6853)


def test_chroma_bank_takes_one_bin_a_pitch(sr):
    bank = chroma_bank(sr, 400).toarray()
    assert (np.count_nonzero(bank, axis=0) <= 1).all()
    # 440 Hz, four octaves above 27.5 Hz, is the 22nd bin of 20 Hz, counted from one.
    assert bank[0, 21] > 0


def test_entropy_of_equal_blocks_is_log2_of_their_number():
    assert block_entropy(np.ones((1, 50)))[0] == pytest.approx(np.log2(10))
    # Values beyond the last whole block count in the total alone.
    assert block_entropy(np.ones((1, 57)))[0] < np.log2(10)


@pytest.mark.parametrize(("sr", "frame_length"), [(16000, 800), (22050, 1102), (22050, 1103), (8000, 400)])
def test_contrast_is_librosas(rng, sr, frame_length):
    frames = rng.standard_normal((20, frame_length))
    S = np.abs(np.fft.rfft(frames * librosa.filters.get_window("hann", frame_length))).T
    bands = {
        "n_bands": len(short_term_names(sr)["spectral_contrast"]) - 1,
        "freq": np.fft.rfftfreq(frame_length, 1 / sr),
    }
    assert_allclose(spectral_contrast(frames, sr), librosa.feature.spectral_contrast(S=S, sr=sr, **bands).T, atol=1e-9)


@pytest.mark.real
@pytest.mark.parametrize(("frame", "frame_duration"), [("1s", 1.0), ("50ms", 0.05)])
@pytest.mark.parametrize("rate", [16000, 22050])
def test_agrees_with_pyaudioanalysis(shared, rate, frame, frame_duration):
    golden = np.load(shared / "golden" / "short_term_features.npz")
    stats = StatFeatures(CLASSIC, frame_duration=frame_duration, hop_duration=frame_duration / 2, sr=rate)
    y = golden[f"signal_{rate}"].astype(np.float64) / 2**15  # pyAudioAnalysis takes its input for 16-bit integers
    y -= y.mean()
    y /= np.abs(y).max() + 1e-10
    stats.fit(y[np.newaxis])
    values = short_term_features(y, rate, stats.frame_length_, stats.hop_length_, CLASSIC)
    assert_allclose(with_deltas(values), golden[f"features_{rate}_{frame}"], rtol=1e-8, atol=1e-12)
    names = [name.removesuffix("__mean") for name in stats.get_feature_names_out() if name.endswith("__mean")]
    assert names == [name.replace("delta ", "delta_") for name in golden["names"]]
