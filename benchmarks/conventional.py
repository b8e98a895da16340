"""The conventional chain of other libraries, with which the benchmarks compare skcry.

It uses librosa for the mel spectrogram of each overlapping window, pyAudioAnalysis for short-term features, noisereduce
for whole recordings, and AlexNet in eager float32 torch, batch by batch. It is not optimised on purpose.
"""

import librosa
import noisereduce
import numpy as np
import torch
from scipy import signal

try:
    from pyAudioAnalysis import ShortTermFeatures
except ImportError as error:
    ShortTermFeatures, missing = None, error

SR = 16000
WINDOW, HOP = 5 * SR, SR
FRAME, FRAME_HOP = 800, 400
AMIN = 1e-18  # librosa's own, 1e-10, cuts the quiet parts of quiet windows


def windows_of(y):
    """Cut a recording into overlapping windows, as copies, (n_windows, 80000)."""
    return np.stack([y[start : start + WINDOW] for start in range(0, len(y) - WINDOW + 1, HOP)])


def highpass(y):
    return signal.sosfilt(signal.butter(10, 350, "highpass", fs=SR, output="sos"), y).astype(np.float32)


def denoise(y):
    return noisereduce.reduce_noise(y, SR)


def mel(windows, n_mels=225, top_db=80, **band):
    """Compute spectrograms, (n_windows, n_mels, 198); ``center`` and ``amin`` as in skcry."""
    settings = {"sr": SR, "n_fft": 1024, "hop_length": 400, "n_mels": n_mels, "center": False, **band}
    spectra = [librosa.feature.melspectrogram(y=one, **settings) for one in windows]
    return np.stack([librosa.power_to_db(one, ref=np.max, amin=AMIN, top_db=top_db) for one in spectra])


def short_term(y):
    """Compute 34 features and their deltas, (68, n_frames), of 16-bit integers as pyAudioAnalysis expects them."""
    if ShortTermFeatures is None:
        raise SystemExit(f"This row needs pyAudioAnalysis ({missing}): pip install -e '.[bench]'")
    return ShortTermFeatures.feature_extraction(y, SR, FRAME, FRAME_HOP)[0]


def mid_term(features):
    """Compute means and deviations over windows, as ``MidTermFeatures.mid_feature_extraction`` does."""
    length, step = 1 + (WINDOW - FRAME) // FRAME_HOP, HOP // FRAME_HOP
    starts = range(0, features.shape[1] - length + 1, step)
    return np.array(
        [
            [statistic(row[start : start + length]) for row in features for statistic in (np.mean, np.std)]
            for start in starts
        ]
    )


def predict(net, images, mean, scale):
    """Return probabilities (n_windows,) of the second class, in batches of 64."""
    net.eval()
    logits = []
    with torch.no_grad():
        for start in range(0, len(images), 64):
            batch = torch.as_tensor(images[start : start + 64])[:, None]
            logits.append(net((batch - mean) / scale))
    return torch.softmax(torch.cat(logits), dim=1)[:, 1].numpy()


def chain(y, net, mean, scale):
    """Go from a recording to probabilities and features of its windows."""
    sound = denoise(highpass(y))
    features = mid_term(short_term(2**15 * sound.astype(np.float64)))
    return predict(net, mel(windows_of(sound)), mean, scale), features


def train(net, optimizer, images, y, n_epochs):
    """Train in batches of 64."""
    net.train()
    for _ in range(n_epochs):
        order = torch.randperm(len(images))
        for rows in order.split(64):
            batch = torch.as_tensor(images[rows.numpy()])[:, None]
            loss = torch.nn.functional.cross_entropy(net((batch - batch.mean()) / batch.std()), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
