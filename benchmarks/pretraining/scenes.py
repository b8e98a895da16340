"""Scenes of half a minute: ambience, events and bouts of crying at all levels, in rooms, through recorders."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from skcry.features.mel import MelSpectrogram
from skcry.nn.cry_cnn import SPECTROGRAM, TRUNK_FRAMES, TRUNK_STRIDE

from .sources import CRIES, SR, STEP

DURATION = 30  # seconds of a scene
CRY_SHARE = 0.75  # of the scenes hold crying
TEACHER_HOP = 8000  # timepoints: two outputs of the network
N_FFT, HOP = SPECTROGRAM["n_fft"], SPECTROGRAM["hop_length"]
# The middle of output k of the network is k quarter seconds after FIRST; the teacher's windows have the same middles.
FIRST = ((TRUNK_FRAMES - 1) // 2 * HOP + N_FFT // 2) / SR
TEACHER_START = round(FIRST * SR) - 7800
N_TIMEPOINTS = DURATION * SR
N_FRAMES = 1 + (N_TIMEPOINTS - N_FFT) // HOP
N_OUTPUTS = 1 + (N_FRAMES - TRUNK_FRAMES) // TRUNK_STRIDE


def spectrogram():
    """Return the spectrogram that the network takes."""
    return MelSpectrogram(**SPECTROGRAM, sr=SR)


@dataclass
class Cast:
    """The sources that scenes are mixed from, by their part in it."""

    cries: dict  # family -> sources
    clips: list
    music: list
    speech: list

    @classmethod
    def of(cls, sources):
        """Sort sources by kind."""
        cries: dict = {}
        for one in sources:
            if one.kind in CRIES:
                cries.setdefault(one.group, []).append(one)
        named = {name: [one for one in sources if one.kind == name] for name in ("music", "speech")}
        clips = [one for one in sources if one.kind not in (*CRIES, "music", "speech")]
        return cls(cries, clips, **named)


def make_scene(cast, rng):
    """Mix a scene: sound (n_timepoints,) with a peak of 0.7, its crying in steps of 0.1 s (1, 0 or -1), and the infant.

    The infant is the family of the cries, or None.
    """
    n_steps = N_TIMEPOINTS // STEP
    crying, infant = np.zeros(n_steps, int), None
    y = _ambience(cast, rng)
    floor = np.sqrt(np.mean(y**2)) + 1e-9
    for _ in range(rng.poisson(3)):
        _add(y, _in_room(_event(cast, rng), rng), floor, rng.uniform(-5, 25), rng.integers(N_TIMEPOINTS))
    if rng.random() < CRY_SHARE:
        families = list(cast.cries)
        infant = families[rng.integers(len(families))]
        for sound, truth, place, snr in _bout(cast.cries[infant], rng):
            _add(y, _in_room(sound, rng), floor, snr, place)
            step = place // STEP
            truth = truth[: n_steps - step]
            # An uncertain step stays uncertain unless another upload certainly cries there.
            old = crying[step : step + len(truth)]
            crying[step : step + len(truth)] = np.where((old == 1) | (truth == 0), old, truth)
    y = _recorder(y, rng)
    if rng.random() < 0.1:  # the recorder pauses: digital silence
        first, n = rng.integers(n_steps), rng.integers(5, 60)
        y[first * STEP : (first + n) * STEP] = 0
        crying[first : first + n] = 0
    return (0.7 / max(1e-6, np.abs(y).max()) * y).astype(np.float32), crying, infant


def labels_of(crying):
    """Return the label of each output of the network: 1, 0, or 2 if it is unknown."""
    step = np.round((FIRST + 0.25 * np.arange(N_OUTPUTS)) * SR / STEP - 0.5).astype(int)
    near = np.stack([crying[step + shift] for shift in (-1, 0, 1)])
    return np.where((near < 0).any(axis=0), 2, (near == 1).sum(axis=0) >= 2).astype(np.uint8)


def _piece(y, n, rng):
    """Return n timepoints from a random place of a sound, repeated if it is too short."""
    if len(y) < n:
        y = np.tile(y, -(-n // len(y)))
    first = rng.integers(len(y) - n + 1)
    return y[first : first + n].astype(np.float64)


def _coloured(n, rng, slope=None):
    """Return noise whose power falls by ``slope`` (0 is white, 2 brown) with frequency, with a random filter."""
    slope = rng.uniform(0, 2) if slope is None else slope
    spectrum = np.fft.rfft(rng.standard_normal(n))
    f = np.linspace(0, 1, len(spectrum))
    curve = np.interp(f, np.linspace(0, 1, 8) ** 2, rng.normal(0, 5, 8))
    spectrum *= np.maximum(f, 30 / 8000) ** (-slope / 2) * 10 ** (curve / 20)
    y = np.fft.irfft(spectrum, n)
    return y / (np.std(y) + 1e-9)


def _ambience(cast, rng):
    n = N_TIMEPOINTS
    y = _coloured(n, rng)
    if rng.random() < 0.3:  # wind, engines, machines: noise whose level moves
        y *= np.interp(np.arange(n), np.linspace(0, n, 40), np.exp(rng.normal(0, 0.6, 40)))
    choices = [(cast.clips, 0.5), (cast.music, 0.12), (cast.speech, 0.2)]
    for sources, share in choices:
        if sources and rng.random() < share:
            other = _in_room(_piece(sources[rng.integers(len(sources))].y, n, rng), rng)[:n]
            y += other / (np.std(other) + 1e-9) * 10 ** (rng.uniform(-10, 12) / 20)
    if rng.random() < 0.15:  # hum
        t = np.arange(n) / SR
        base = rng.choice([50, 60, 100, 120])
        y += sum(10 ** (-k / 4) * np.sin(2 * np.pi * base * k * t) for k in range(1, 6)) * rng.uniform(0.1, 2)
    return y * 0.01


def _event(cast, rng):
    sources = {"clip": cast.clips, "speech": cast.speech, "music": cast.music, "made": [None]}
    kinds = [("clip", 0.5), ("speech", 0.2), ("music", 0.08), ("made", 0.22)]
    shares = np.array([share if sources[kind] else 0.0 for kind, share in kinds])
    kind, _ = kinds[rng.choice(len(kinds), p=shares / shares.sum())]
    if kind == "made":
        return _made(rng)
    sources = sources[kind]
    return _faded(_speed(_piece(sources[rng.integers(len(sources))].y, int(SR * rng.uniform(0.5, 5)), rng), rng))


def _made(rng):
    """Return a sound made by code: beeps and melodies of toys, sirens and squeaks, knocks, or bursts of noise."""
    n = int(SR * rng.uniform(0.3, 4))
    t = np.arange(n) / SR
    kind = rng.integers(5)
    if kind == 0:  # notes
        length = int(SR * rng.uniform(0.08, 0.5))
        notes = rng.choice(220 * 2 ** (np.arange(36) / 12), -(-n // length))
        f = np.repeat(notes, length)[:n]
        decay = np.exp(-(np.arange(n) % length) / length * rng.uniform(0, 5))
        y = decay * sum(rng.uniform(0, 1) / k * np.sin(k * 2 * np.pi * np.cumsum(f) / SR) for k in range(1, 7))
    elif kind == 1:  # a siren or a squeak
        middle, depth, rate = rng.uniform(300, 2500), rng.uniform(0.02, 0.5), rng.uniform(0.2, 12)
        f = middle * (1 + depth * np.sin(2 * np.pi * rate * t + rng.uniform(0, 6)))
        y = sum(rng.uniform(0, 1) / k * np.sin(k * 2 * np.pi * np.cumsum(f) / SR) for k in range(1, 6))
    elif kind == 2:  # knocks and clicks
        hits = np.zeros(n)
        hits[rng.integers(n, size=rng.integers(1, 15))] = rng.uniform(0.3, 1)
        q, f = rng.uniform(0.9, 0.999), rng.uniform(100, 5000)
        y = lfilter([1], [1, -2 * q * np.cos(2 * np.pi * f / SR), q * q], hits)
    elif kind == 3:  # bursts of noise
        y = _coloured(n, rng) * (np.sin(2 * np.pi * rng.uniform(0.3, 8) * t) > rng.uniform(-0.5, 0.8))
    else:  # a buzz
        f = rng.uniform(40, 400) * np.interp(t, np.linspace(0, t[-1] + 1e-9, 6), np.exp(rng.normal(0, 0.15, 6)))
        y = 2 * (np.cumsum(f) / SR % 1) - 1
    return _faded(y)


def _faded(y):
    n = min(len(y) // 2, int(0.02 * SR))
    ramp = np.linspace(0, 1, n)
    y[:n] *= ramp
    y[len(y) - n :] *= ramp[::-1]
    return y


def _speed(y, rng, truth=None):
    """Play a sound up to 15 % faster or slower; ``truth``, if given, moves with it."""
    factor = np.exp(rng.uniform(-0.15, 0.15))
    n = max(2, round(len(y) / factor))
    fast = np.interp(np.linspace(0, len(y) - 1, n), np.arange(len(y)), y)
    if truth is None:
        return fast
    steps = np.minimum((np.arange(max(1, n // STEP)) * factor).astype(int), len(truth) - 1)
    return fast, truth[steps]


def _bout(uploads, rng):
    """Yield the cries of a bout of one infant: sound, crying per 0.1 s, place in timepoints and SNR in dB."""
    snr, place = rng.uniform(-2, 30), int(rng.uniform(-0.3, 0.7) * N_TIMEPOINTS)
    end = place + int(SR * rng.uniform(8, 35))
    gap = rng.exponential(rng.choice([0.3, 2.0, 5.0]))
    while place < min(end, N_TIMEPOINTS):
        source = uploads[rng.integers(len(uploads))]
        n_steps = len(source.crying)
        n = int(min(n_steps, rng.uniform(15, 80)))
        first = rng.integers(n_steps - n + 1)
        sound = source.y[first * STEP : (first + n) * STEP].astype(np.float64)
        if len(sound) > STEP:
            sound, truth = _speed(sound, rng, source.crying[first : first + n])
            skip = max(0, -place)
            skip += -skip % STEP
            place = -(-place // STEP) * STEP
            if place >= 0 or len(sound) > skip:
                if place < 0:
                    yield _faded(sound[skip:]), truth[skip // STEP :], 0, snr + rng.normal(0, 2)
                else:
                    yield _faded(sound), truth, place, snr + rng.normal(0, 2)
        place += len(sound) + int(SR * gap * rng.uniform(0.5, 1.5))


def _in_room(y, rng):
    """Return a sound in a random room, half of the time: decaying noise after the direct sound."""
    if rng.random() < 0.5:
        return y
    t60, n = rng.uniform(0.15, 0.9), int(0.5 * SR)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / SR / t60)
    tail = sosfilt(butter(1, rng.uniform(1500, 6000), fs=SR, output="sos"), tail)
    tail *= 10 ** (rng.uniform(-25, 3) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] += 1
    return fftconvolve(y, tail)[: len(y)]


def _add(y, sound, floor, snr, place):
    """Add a sound at a level in dB above the ambience; the level is that of its loud parts."""
    loud = np.sqrt(np.percentile(np.square(sound), 90)) + 1e-9
    sound = sound[: len(y) - place]
    y[place : place + len(sound)] += sound * (floor * 10 ** (snr / 20) / loud)


def _recorder(y, rng):
    """Return the scene as a recorder with a random filter, clipping, noise and bandwidth gives it."""
    spectrum = np.fft.rfft(y)
    curve = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, 9) ** 1.5, rng.normal(0, 4, 9))
    y = np.fft.irfft(spectrum * 10 ** (curve / 20), len(y))
    y /= np.abs(y).max() + 1e-9
    if rng.random() < 0.08:
        y = np.clip(y, -rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.9))
    y += rng.standard_normal(len(y)) * 10 ** (rng.uniform(-90, -40) / 20)
    if rng.random() < 0.4:
        y = sosfilt(butter(8, rng.uniform(3400, 4000), fs=SR, output="sos"), y)
    if rng.random() < 0.3:
        y = sosfilt(butter(2, rng.uniform(60, 400), "highpass", fs=SR, output="sos"), y)
    return y
