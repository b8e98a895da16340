"""What happens to sound on its way to a detector: gain, noise, band limits, MP3 and a room, made by code.

A condition takes a recording at 16 kHz (n_timepoints,), which of its seconds are crying, and a generator, and returns
the recording.
"""

import tempfile
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy.signal import butter, oaconvolve, sosfilt

from skcry.io import read_audio

from .bench_accuracy import SR

BIT_RATE = 48  # kbit/s
RT60 = 0.8  # seconds
AS_IS = "as is, up to 8 kHz"


def at_gain(decibels, y, crying, rng):
    """Return a recording as a recorder of 16 bit with another gain makes it."""
    return quantize(y * 10 ** (decibels / 20))


def quantize(y):
    return (np.clip(np.round(y * 2.0**15), -(2**15), 2**15 - 1) / 2**15).astype(np.float32)


def unclipped(y):
    return quantize(y / max(1.0, np.abs(y).max(initial=0.0)))


def with_noise(slope, snr, y, crying, rng):
    """Add noise whose power falls by ``slope`` with frequency; ``snr`` in dB is over the crying seconds."""
    spectrum = np.fft.rfft(rng.standard_normal(len(y)))
    f = np.linspace(0, SR / 2, len(spectrum))
    noise = np.fft.irfft(spectrum * (f >= 50) * np.maximum(f, 50) ** (-slope / 2), len(y))
    of_crying = np.repeat(crying, SR)[: len(y)]
    power = np.mean(np.square(y[: len(of_crying)][of_crying] if of_crying.any() else y, dtype=np.float64))
    return unclipped(y + noise * np.sqrt(power / 10 ** (snr / 10) / np.mean(noise**2)))


def below_4_khz(y, crying, rng):
    return soxr.resample(soxr.resample(y, SR, 8000), 8000, SR)[: len(y)]


def by_telephone(y, crying, rng):
    sos = butter(4, [300, 3400], "bandpass", fs=SR, output="sos")
    return sosfilt(sos, below_4_khz(y, crying, rng)).astype(np.float32)


def through_mp3(y, crying, rng):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording.mp3")
        write_mp3(path, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what is quiet or clipped
            return read_audio(path, SR)[0][: len(y)]


def write_mp3(path, y):
    # libsndfile's level of compression goes linearly from the highest rate to the lowest, 160 and 8 kbit/s at 16 kHz.
    about = {"bitrate_mode": "CONSTANT", "compression_level": (160 - BIT_RATE) / (160 - 8)}
    soundfile.write(path, y, SR, format="MP3", **about)


def in_room(y, crying, rng):
    """Add a tail of decaying noise, the same for all recordings, with the energy of the direct sound."""
    n = round(RT60 * SR)
    tail = np.random.default_rng(0).standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail = sosfilt(butter(1, 4000, fs=SR, output="sos"), tail)
    response = np.concatenate([[1.0], tail / np.sqrt(np.sum(tail**2))])
    return unclipped(oaconvolve(y, response)[: len(y)])


CONDITIONS = {
    AS_IS: lambda y, crying, rng: y,
    **{f"gain {decibels:+d} dB": partial(at_gain, decibels) for decibels in (-30, -20, -10, 10, 20)},
    **{f"pink noise, SNR {snr} dB": partial(with_noise, 1, snr) for snr in (20, 10, 0)},
    "white noise, SNR 10 dB": partial(with_noise, 0, 10),
    "up to 4 kHz": below_4_khz,
    "telephone": by_telephone,
    f"MP3, {BIT_RATE} kbit/s": through_mp3,
    f"room, RT60 {RT60:g} s": in_room,
}


def why_no_mp3():
    """Return why MP3 of the right rate cannot be written here, or None."""
    if "MP3" not in soundfile.available_formats():
        return f"libsndfile {soundfile.__libsndfile_version__} writes no MP3; 1.1 does"
    y = 0.1 * np.random.default_rng(0).standard_normal(10 * SR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "noise.mp3")
        try:
            write_mp3(path, y)
        except TypeError:
            return f"soundfile {soundfile.__version__} cannot set the bit rate; 0.13 can"
        rate = path.stat().st_size * 8 / 1000 / 10
    return None if abs(rate - BIT_RATE) < 2 else f"{BIT_RATE} kbit/s were asked for, and {rate:.0f} written"
