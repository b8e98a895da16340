"""Synthetic recordings of crying infants, for tests, examples and documentation.

They are as difficult as recordings at home: cries have any level and distance, other sounds are often louder and have
the same pitch and rhythm, and recorders differ. A threshold on the energy does not find the cries; their spectrum finds
most of them. They do not replace a test on real recordings.
"""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real

import numpy as np
import pandas as pd
from scipy.signal import butter, oaconvolve, sosfilt
from sklearn.utils import check_random_state

from .._compat import Interval, validate_params
from .._typing import RandomState

TABLE_LENGTH = 4096  # timepoints of one stored period; the rounding error is 60 dB below the tone
CRY_BAND = (350, 3000)  # Hz, from below the pitch to above the first formants
LOWEST_SNR = -5.0  # dB in this band, over a bout
ALWAYS_BOTH = 20.0  # seconds; recordings of at least this length hold both crying and time without


# Building blocks: arrays of n timepoints


def _wander(n, rate, sr, rng):
    """Random curve with ``rate`` independent normal values per second, linearly interpolated."""
    values = rng.standard_normal(int(n * rate / sr) + 3)
    return np.interp(np.arange(n) * (rate / sr), np.arange(len(values)), values)


def _tone(f0, slope, sr):
    """Harmonics of ``f0`` (Hz, one value per timepoint), with ``slope`` dB per octave, all below Nyquist."""
    n_harmonics = int(np.clip(0.48 * sr / f0.max(), 1, TABLE_LENGTH // 4))
    spectrum = np.zeros(TABLE_LENGTH // 2 + 1, dtype=complex)
    spectrum[1 : n_harmonics + 1] = -1j * np.arange(1.0, n_harmonics + 1) ** (slope / (20 * np.log10(2)))
    period = np.fft.irfft(spectrum)
    return period[(np.cumsum(f0) * (TABLE_LENGTH / sr)).astype(np.int64) % TABLE_LENGTH]


def _resonate(y, formants, sr, bandwidth=0.12):
    """Filter by resonances at ``formants`` (Hz), with ``bandwidth`` relative to their frequency."""
    formants = np.asarray([f for f in formants if f < 0.45 * sr])
    radius = np.exp(-np.pi * bandwidth * formants / sr)
    sos = np.zeros((len(formants), 6))
    sos[:, 3], sos[:, 4], sos[:, 5] = 1, -2 * radius * np.cos(2 * np.pi * formants / sr), radius**2
    sos[:, 0] = sos[:, 3:].sum(axis=1)  # gain 1 at 0 Hz
    return sosfilt(sos, y)


def _noise(n, low, high, sr, rng):
    """Noise between two frequencies in Hz."""
    high = min(high, 0.45 * sr)
    band = butter(1, [min(low, high / 2), high], "bandpass", fs=sr, output="sos")
    return sosfilt(band, rng.standard_normal(n, dtype=np.float32))


def _fade(y, seconds, sr):
    """Fade in and out, in place."""
    n = min(int(seconds * sr), len(y) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, n)) ** 2
    y[:n] *= ramp
    y[len(y) - n :] *= ramp[::-1]
    return y


def _at_level(y, decibels):
    """Scale to a root mean square, in dB relative to full scale."""
    return y * (10 ** (decibels / 20) / (np.sqrt(np.mean(y**2)) + 1e-12))


def _steps(n, shortest, longest, sr, rng):
    """Random steps of limited length in seconds: for each of n timepoints its step, and the seconds since it began."""
    lengths = (rng.uniform(shortest, longest, int(n / sr / shortest) + 1) * sr).astype(int)
    step = np.repeat(np.arange(len(lengths)), lengths)[:n]
    since = np.arange(n) - (np.cumsum(lengths) - lengths)[step]
    return step, since / sr


def _expiration(n, voice, sr, rng):
    """One cry: melody, clear or hoarse voice, and sometimes hyperphonation."""
    t = np.linspace(0, 1, n)
    # Melody arcs as in Wermke & Mende (2009), in octaves: mostly one rise and fall, some two.
    arc = rng.choice(
        [np.sin(np.pi * t ** rng.uniform(0.5, 1.2)), np.sin(2 * np.pi * t) ** 2, 1 - t, np.zeros(n)],
        p=[0.6, 0.15, 0.15, 0.1],
    )
    octaves = rng.normal(-0.1, 0.12) + rng.uniform(0.1, 0.6) * arc - rng.uniform(0, 0.4) * t**4
    f0 = voice["f0"] * 2 ** (octaves + 0.03 * _wander(n, 8, sr, rng))
    if rng.random() < 0.07:  # a sudden shift to 1000-2000 Hz (LaGasse et al. 2005)
        f0 = np.where(t > rng.uniform(0, 0.6), f0 * rng.uniform(2, 2.6), f0)
    f0 *= 1 + voice["jitter"] * _wander(n, 150, sr, rng).clip(-3, 3)
    tone = _tone(f0, voice["slope"], sr)
    hoarse = rng.random() < voice["hoarse"]
    if hoarse:  # every other period weaker, and noise: subharmonics and turbulence
        tone *= 1 + 0.5 * np.sin(np.pi * np.cumsum(f0) / sr)
    noise = rng.standard_normal(n) * (0.4 * _wander(n, 3, sr, rng).clip(0.1, 2) if hoarse else 0.02)
    opening = voice["formants"] * rng.normal(1, 0.12)
    y = _resonate(tone / tone.std() + noise, opening, sr) * (1 + 0.1 * _wander(n, 60, sr, rng))
    return _at_level(_fade(y * (0.6 + np.sin(np.pi * t**0.7)), 0.05, sr), rng.normal(0, 2.5))


def _calls(n, voice, length, pause, sr, rng):
    """Single sounds of a voice of about ``length`` seconds, and pauses of about ``pause`` seconds."""
    y, start = np.zeros(n), 0
    while start < n:
        call = _expiration(int(length * rng.uniform(0.6, 1.5) * sr), voice, sr, rng)
        _add(y, call, start)
        start += len(call) + int(pause * rng.uniform(0.5, 2) * sr)
    return y


# Other sounds: functions of (n, sr, rng)


def _speech(n, sr, rng, f0=None, size=1.0):
    """Voice with syllables, pauses between phrases and hisses; ``size`` scales the formants up from an adult's."""
    f0 = rng.uniform(100, 250) if f0 is None else f0
    step, since = _steps(n, 0.12, 0.32, sr, rng)
    loud = rng.uniform(0.3, 1, step[-1] + 1) * (rng.random(step[-1] + 1) > 0.18)
    syllables = loud[step] * np.minimum(since / 0.03, np.exp(-np.maximum(since - 0.1, 0) / 0.06)).clip(0, 1)
    voice = _tone(f0 * 2 ** (0.2 * _wander(n, 2.5, sr, rng).clip(-3, 3)), -9, sr)
    open_mouth = _resonate(voice, size * np.array([750, 1250, 2600]), sr)
    closed_mouth = _resonate(voice, size * np.array([320, 2100, 2900]), sr)
    mix = np.clip(0.5 + 0.6 * _wander(n, 5, sr, rng), 0, 1)
    hiss = _noise(n, 3000, 7000, sr, rng) * (since < 0.07) * (rng.random(step[-1] + 1) < 0.3)[step]
    voice = syllables * (mix * open_mouth / open_mouth.std() + (1 - mix) * closed_mouth / closed_mouth.std())
    return voice + 0.5 * hiss


def _babble(n, sr, rng):
    """Several people who speak at the same time."""
    return sum(_at_level(_speech(n, sr, rng), -3 * i) for i in range(3))


def _child(n, sr, rng):
    """Child who talks, at the pitch of the cries."""
    return _speech(n, sr, rng, f0=rng.uniform(260, 520), size=rng.uniform(1.2, 1.5))


def _laughter(n, sr, rng):
    """Short voiced puffs of falling pitch, four to six per second."""
    rate = rng.uniform(4, 6)
    phase = np.arange(n) * (rate / sr)
    since_breath = phase % rng.integers(5, 10)
    puff = np.exp(-(((phase % 1) - 0.35) ** 2) / 0.02) * (since_breath > 1) * np.exp(-since_breath / 10)
    f0 = rng.uniform(220, 480) * 2 ** (0.25 * np.sin(2 * np.pi * phase) - 0.06 * since_breath)
    voice = _resonate(_tone(f0, -9, sr), rng.uniform(1, 1.3) * np.array([800, 1500, 2800]), sr)
    return puff * (voice / voice.std() + 0.4 * _noise(n, 800, 4000, sr, rng))


def _music(n, sr, rng):
    """Melody of held or plucked notes on a major scale with an accompanying voice, some of it sung."""
    scale = rng.uniform(200, 400) * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 14]) / 12)
    decay, slope = rng.uniform(0.2, 3), rng.uniform(-18, -6)
    y = np.zeros(n)
    for octave, gain in ((1, 1.0), (0.5, 0.6)):
        step, since = _steps(n, 0.2 / octave, 0.6 / octave, sr, rng)
        notes = np.abs(np.cumsum(rng.integers(-2, 3, step[-1] + 1)) + 4) % len(scale)
        vibrato = 1 + rng.uniform(0, 0.02) * np.sin(2 * np.pi * 5.5 * np.arange(n) / sr)
        pluck = np.minimum(since / 0.02, np.exp(-since / decay))
        y += gain * pluck * _tone(octave * scale[notes][step] * vibrato, slope, sr)
    sung = rng.random() < 0.5
    return _resonate(y, rng.uniform(0.8, 1.4) * np.array([800, 1400, 2800]), sr) if sung else y


def _alarm(n, sr, rng):
    """Beeps of one or two alternating pitches, or a siren or toy that glides between them."""
    t = np.arange(n) / sr
    if rng.random() < 0.5:
        glide = 0.5 - 0.5 * np.cos(2 * np.pi * t / rng.uniform(0.5, 3))
        return _tone(rng.uniform(300, 700) * rng.uniform(1.2, 2.5) ** glide, rng.uniform(-12, -2), sr)
    period, (first, second) = rng.uniform(0.15, 0.8), rng.uniform(450, 2500, 2)
    f0 = np.where((t // period) % 2 < rng.integers(1, 3), first, second)
    return _tone(f0, rng.uniform(-18, -6), sr) * (t % period < rng.uniform(0.4, 0.95) * period)


def _bangs(n, sr, rng):
    """Doors, toys and dishes: bursts with decaying resonances."""
    strokes = np.where(rng.random(n) < rng.uniform(1, 4) / sr, rng.uniform(0.1, 1, n), 0)
    strokes[rng.integers(n)] = 1
    t = np.arange(int(0.4 * sr)) / sr
    ring = np.sin(2 * np.pi * rng.uniform(150, 2500) * t) + rng.uniform(0.5, 3) * rng.standard_normal(len(t))
    return oaconvolve(strokes, ring * np.exp(-t / rng.uniform(0.01, 0.08)))[:n]


def _rain(n, sr, rng):
    """Rain, taps, vacuum cleaners, hands and cloth on the recorder: noise of changing level."""
    low = rng.choice([30, 80, 400, 1000])
    return _noise(n, low, low * rng.uniform(4, 12), sr, rng) * 10 ** (0.3 * _wander(n, rng.uniform(0.5, 8), sr, rng))


def _animal(n, sr, rng):
    """Cat, gull or playing child: calls with the pitch and rhythm of crying."""
    voice = {"f0": rng.uniform(300, 900), "formants": np.array([1000, 2400, 4500]) * rng.uniform(0.6, 1.6, 3)}
    voice |= {"slope": rng.uniform(-16, -2), "hoarse": rng.beta(1, 3), "jitter": rng.uniform(0.001, 0.01)}
    return _calls(n, voice, rng.uniform(0.2, 0.8), rng.uniform(0.4, 1.5), sr, rng)


OTHER_SOUNDS = (_speech, _babble, _child, _laughter, _music, _alarm, _bangs, _rain, _animal)


def _bed(n, sr, rng, home):
    """Background of the whole recording: mains hum, and rumble and hiss of the room."""
    hum = _tone(np.full(n, home["mains"]), home["hum_slope"], sr)
    rumble = _noise(n, 40, home["rumble"], sr, rng) * 10 ** (0.1 * _wander(n, 0.3, sr, rng))
    return _at_level(hum, home["hum_level"]) + _at_level(rumble, -44) + _at_level(rng.standard_normal(n), -65)


# Crying


def _infant(rng):
    """Voice and home of one infant, the same in all recordings of the infant."""
    return {
        # Mean F0 400-600 Hz in healthy infants, first formants near 1100 and 3300 Hz (LaGasse et al. 2005).
        "f0": rng.uniform(350, 580),
        "formants": np.array([1100, 3300, 5500]) * rng.normal(1, 0.15, 3).clip(0.65, 1.5),
        "slope": rng.uniform(-9, -1),
        "hoarse": rng.beta(1, 3),
        "jitter": rng.uniform(0.002, 0.015),
        "mains": rng.choice([50.0, 60.0]),
        "hum_slope": rng.uniform(-15, -5),
        "hum_level": rng.uniform(-60, -32),
        "rumble": rng.uniform(150, 900),
        "reverberation": rng.uniform(0.2, 0.8),
        "other_sounds": rng.dirichlet(np.full(len(OTHER_SOUNDS) + 1, 6.0)),
    }


def _coo(infant, n, sr, rng):
    """Coos, babbles and short whines of the infant, with pauses; not crying."""
    voice = {**infant, "f0": infant["f0"] * rng.uniform(0.6, 1.1), "slope": infant["slope"] - rng.uniform(0, 8)}
    return _calls(n, voice, rng.uniform(0.2, 0.7), rng.uniform(0.5, 2), sr, rng)


def _breath(n, infant, sr, rng):
    """Pause with the inspiration: weak noise, sometimes voiced and high."""
    y = np.zeros(n)
    part = y[int(0.2 * n) : int(0.85 * n)]
    if len(part):
        part += _fade(_noise(len(part), 1000, 5000, sr, rng), 0.03, sr)
        if rng.random() < 0.25:
            part += 0.3 * _fade(_tone(np.full(len(part), 1.5 * infant["f0"]), -12, sr), 0.03, sr)
    return _at_level(y, rng.uniform(-30, -14))


def _bout(n, infant, sr, rng):
    """Cries of 0.4-2 s with breaths between them; begins and ends with a cry."""
    seconds: list = []
    while sum(seconds) < n / sr:
        seconds += [rng.uniform(0.2, 0.6)] * bool(seconds) + [np.clip(rng.lognormal(-0.1, 0.4), 0.4, 2.0)]
    if len(seconds) > 1 and sum(seconds) * sum(seconds[:-2]) > (n / sr) ** 2:  # one cry less is closer to n
        seconds = seconds[:-2]
    edges = np.round(np.cumsum([0, *seconds]) * n / sum(seconds)).astype(int)
    parts = [(_breath if i % 2 else _expiration)(edges[i + 1] - edges[i], infant, sr, rng) for i in range(len(seconds))]
    return np.concatenate(parts) * 10 ** (0.15 * _wander(n, 0.3, sr, rng).clip(-2, 2))


def _through_the_room(y, seconds, distance, sr, rng):
    """Add reverberation of ``seconds``; ``distance`` (0 to 1) scales it and lowers the high frequencies."""
    t = np.arange(int(0.6 * seconds * sr)) / sr
    response = rng.standard_normal(len(t)) * np.exp(-6.9 * t / seconds)  # 60 dB after `seconds`
    response *= distance / np.sqrt(np.sum(response**2))
    response[0] = 1
    y = oaconvolve(y, response)
    if distance < 0.3:
        return y
    return sosfilt(butter(1, min(4000 * (1.2 - distance), 0.45 * sr), fs=sr, output="sos"), y)


# Recordings


def _plan_bouts(number, duration, cry_fraction, rng):
    """Onsets and offsets of the bouts of one recording, in seconds: array of shape (n_bouts, 2)."""
    share = cry_fraction * rng.uniform(0.7, 1.3)
    if duration >= ALWAYS_BOTH:
        crying = np.clip(share * duration, 2, duration - 2)
        n_bouts = max(1, round(crying / rng.uniform(5, 15)))
    else:
        # Too short for both at a natural length: some recordings hold mostly crying, the others none. Which ones is not
        # random, so that the proportion is kept, and the first always holds crying.
        crying, n_bouts = max(0.6, cry_fraction) * duration, 1
        chance = cry_fraction / max(0.6, cry_fraction)
        if np.ceil((number + 1) * chance) == np.ceil(number * chance):
            n_bouts = 0
    if cry_fraction == 0 or n_bouts == 0:
        return np.empty((0, 2))
    lengths, gaps = rng.uniform(0.4, 1.6, n_bouts), rng.uniform(0.4, 1.6, n_bouts + 1)
    lengths, gaps = lengths * crying / lengths.sum(), gaps * (duration - crying) / gaps.sum()
    onsets = np.cumsum(gaps[:-1]) + np.cumsum(lengths) - lengths
    return np.round(np.column_stack([onsets, onsets + lengths]), 3)


def _add(y, sound, start):
    """Add a sound in place from timepoint ``start`` on, cut at the end."""
    part = y[start : start + len(sound)]
    part += sound[: len(part)]


def _make_recording(duration, bouts, infant, sr, rng):
    """One recording: background, other sounds, cries, then microphone and dropouts of the recorder."""
    n = round(duration * sr)
    y = _bed(n, sr, rng, infant)
    sounds = (*OTHER_SOUNDS, partial(_coo, infant))
    for _ in range(2):
        t = rng.uniform(0, 2)
        while t < duration:
            length = rng.uniform(1, 7)
            overlaps = ((bouts[:, 0] < t + length) & (bouts[:, 1] > t)).any()
            kind = rng.choice(len(sounds), p=infant["other_sounds"])
            coos = kind == len(OTHER_SOUNDS)
            if not overlaps or (rng.random() < 0.3 and not coos):
                sound = sounds[kind](int(length * sr), sr, rng)
                if rng.random() < 0.3:
                    sound = _through_the_room(sound, infant["reverberation"], rng.uniform(0.2, 1), sr, rng)
                sound = _fade(sound, rng.uniform(0.02, 0.5), sr)
                _add(y, _at_level(sound, rng.uniform(-40, -8) - 12 * coos), int(t * sr))
            t += length + rng.exponential(2.0)
    cry_band = butter(2, CRY_BAND, "bandpass", fs=sr, output="sos")
    for onset, offset in bouts:
        start = round(onset * sr)
        cry = _bout(max(1, round(offset * sr) - start), infant, sr, rng)
        beside = y[start : start + len(cry)]
        distance = rng.uniform(0, 0.25) if rng.random() < 0.5 else rng.uniform(0.4, 1)
        cry = _through_the_room(cry, infant["reverberation"], distance, sr, rng)
        cry = _at_level(cry, rng.uniform(-30, -8) - 8 * distance)
        own, other = (np.std(sosfilt(cry_band, part)) for part in (cry[: len(beside)], beside))
        # Annotators mark only audible cries, so cries below LOWEST_SNR are raised to it.
        _add(y, cry * max(1.0, 10 ** (LOWEST_SNR / 20) * other / own), start)
    microphone = [rng.uniform(20, 250), min(rng.uniform(3000, 8000), 0.45 * sr)]
    y = sosfilt(butter(1, microphone, "bandpass", fs=sr, output="sos"), y)
    edges = np.concatenate([[0], bouts.ravel(), [duration]])
    for onset, offset in edges.reshape(-1, 2):
        if rng.random() < 0.25:
            length = min(rng.uniform(1, 4), (offset - onset) / 2)
            start = rng.uniform(onset + 0.2 * length, offset - 1.2 * length)
            y[int(start * sr) : int((start + length) * sr)] = 0
    # Recorders differ in gain; peaks stay below full scale.
    return (y * (10 ** (rng.uniform(-18, -0.5) / 20) / np.abs(y).max())).astype(np.float32)


@validate_params(
    {
        "n_recordings": [Interval(Integral, 1, None, closed="left")],
        "duration": [Interval(Real, 1, None, closed="left")],
        "n_infants": [Interval(Integral, 1, None, closed="left"), None],
        "sr": [Interval(Integral, 8000, None, closed="left")],
        "cry_fraction": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_cry_recordings(
    n_recordings: int = 12,
    duration: float = 60.0,
    *,
    n_infants: int | None = None,
    sr: int = 16000,
    cry_fraction: float = 0.25,
    random_state: RandomState = None,
) -> tuple[list[np.ndarray], list[pd.DataFrame], np.ndarray]:
    """Make recordings of several infants at home, with annotations of their crying.

    Crying consists of bouts: expirations of 0.4-2 s with a rising and falling melody around the pitch of the infant,
    some hoarse or hyperphonated, with breaths between them, near or distant, at levels up to 30 dB apart. Other sounds
    are hum, speech, a child's voice, laughter, song, alarms, sirens, animals, bangs, noise, digital silence, and the
    infant's cooing and whining, which is not annotated. They are often louder, but in no bout by more than 5 dB between
    350 and 3000 Hz. Each recording has its own microphone. On new infants, an SVC on :class:`~skcry.StatFeatures` of
    5 s windows has an average precision of about 0.8 (0.7-0.9, depending on ``random_state``), the energy of each
    second 0.3.

    Parameters
    ----------
    n_recordings : int, default=12
        Number of recordings.
    duration : float, default=60.0
        Length of each in seconds, at least 1.
    n_infants : int or None, default=None
        Number of infants, who take turns. Each has its own voice, room and surroundings. With None, every two
        successive recordings are of one infant.
    sr : int, default=16000
        Sampling rate in Hz, at least 8000.
    cry_fraction : float, default=0.25
        Share of crying in the duration, on average over the recordings; 0 means none. At home it is much smaller; a
        quarter makes small examples balanced enough to learn from.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same recordings every time. Recording ``i`` does not depend on ``n_recordings``, only on
        ``n_infants``.

    Returns
    -------
    recordings : list of ndarray of float32 of shape (n_timepoints,)
        Sound in [-1, 1].
    annotations : list of DataFrame of shape (n_bouts, 3)
        Columns ``onset, offset`` in seconds and ``label``, always "cry", with one row per bout. Recordings of at least
        20 s hold at least 2 s of crying and 2 s without; shorter ones hold mostly crying (always the first) or none.
    groups : ndarray of int of shape (n_recordings,)
        The infant in each recording.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or there are more infants than recordings.

    References
    ----------
    .. [1] L. L. LaGasse, A. R. Neal & B. M. Lester (2005). Assessment of infant cry: acoustic cry analysis and
       parental perception. Mental Retardation and Developmental Disabilities Research Reviews, 11(1), 83-93.
       (Pitch, formants, hyperphonation.)
    .. [2] K. Wermke & W. Mende (2009). Musical elements in human infants' cries: in the beginning is the melody.
       Musicae Scientiae, 13(2 suppl), 151-175. (Melody arcs.)

    Examples
    --------
    >>> from skcry.datasets import make_cry_recordings
    >>> recordings, annotations, groups = make_cry_recordings(4, duration=30, random_state=0)
    >>> recordings[0].shape, recordings[0].dtype
    ((480000,), dtype('float32'))
    >>> list(annotations[0].columns)
    ['onset', 'offset', 'label']
    >>> groups
    array([0, 0, 1, 1])
    """
    if n_infants is not None and n_infants > n_recordings:
        raise ValueError(
            f"n_infants={n_infants} must be at most n_recordings={n_recordings}. Lower n_infants, or raise "
            "n_recordings."
        )
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    number = np.arange(n_recordings)
    groups = number // 2 if n_infants is None else number % n_infants
    infants = [_infant(np.random.default_rng([seed, 0, i])) for i in range(groups.max() + 1)]
    recordings, annotations = [], []
    for i in number:
        rng = np.random.default_rng([seed, 1, i])
        bouts = _plan_bouts(i, duration, cry_fraction, rng)
        recordings.append(_make_recording(duration, bouts, infants[groups[i]], sr, rng))
        annotations.append(pd.DataFrame(bouts, columns=["onset", "offset"]).assign(label="cry"))
    return recordings, annotations, groups
