"""Fit and measure the linear plane that tells adult speech from the embeddings of the network that ships.

Clips as a review page plays them, of 9 s, are cut from scenes without speech. To half of them a voice is added for 0.5
to 8 s, in a room half of the time, at -10 to 30 dB relative to what else sounds meanwhile (from 200 to 3800 Hz). No
speaker, family or source is in two of the four folds, and each fold is judged by a plane that was fitted to the others.
"""

import hashlib
import logging
from itertools import pairwise

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.signal import butter, sosfilt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcry.datasets import load_annotated
from skcry.io import read_audio
from skcry.metrics import second_truth
from skcry.pretrained import WINDOW
from skcry.review.speech import embed, windows_of

from .scenes import Cast, _faded, _in_room, _recorder, _speed, make_scene
from .sources import CRIES, SR
from .teacher import SPEECH, Teacher

LOG = logging.getLogger("pretraining")
N_FOLDS, N_PARTS, N_SCENES = 4, 12, 50  # parts of a fold are made at a time, each of so many scenes
SPEAKERS = {"en_US_f_Allison": 0, "es_MX_f_Allison": 0, "fr_CA_f_June": 1, "it_IT_m_Carlo": 2}  # -> fold; others: 3
LENGTH, PLACES = 9 * SR, (0, 10 * SR, 20 * SR)  # of the clips in a scene
QUIET = 0.5  # the teacher's score of speech up to which an upload of crying is taken to hold none
LEAST = 0.3  # seconds of speech in a window that is to be told
AUDIBLE = 0.0  # dB
CRYING = 0.3  # share of a clip, from which it is one with crying
SHARES = (0.05, 0.1, 0.2)  # of clips without speech
LEVELS = (-10, -5, 0, 5, 10, 20, 30)


def fold_of(source):
    """Return the fold of a source, from 0 to 3."""
    if source.kind == "speech":
        return SPEAKERS.get(source.group, N_FOLDS - 1)
    return hashlib.sha256(f"f{source.group}".encode()).digest()[0] % N_FOLDS


def without_speech(sources, teacher):
    """Return sources without voices, and without uploads in which the teacher hears speech."""
    teacher = Teacher(teacher, score=SPEECH)
    return [
        one
        for one in sources
        if one.kind != "speech" and (one.kind not in CRIES or teacher(one.y, SR // 2)[0].max() <= QUIET)
    ]


def _sounding(y):
    """Return where a sound is at most 25 dB below its loud parts, in steps of 10 ms: bool (n_timepoints,)."""
    n, step = len(y) // 160, 160
    level = 10 * np.log10(np.square(y[: n * step]).reshape(n, step).mean(axis=1) + 1e-12)
    return np.pad(np.repeat(level > np.percentile(level, 95) - 25, step), (0, len(y) - n * step), mode="edge")


def add_speech(y, voices, rng):
    """Add a voice to half of the sounds: sound, where it is spoken (bool), level in dB (NaN without), and the voice."""
    y, spoken, snr, name = y.astype(np.float64), np.zeros(len(y), bool), np.nan, ""
    if rng.random() < 0.5:
        voice = voices[rng.integers(len(voices))]
        n = min(len(voice.y), int(SR * np.exp(rng.uniform(np.log(0.5), np.log(8)))))
        for _ in range(20):  # not a pause
            first = rng.integers(len(voice.y) - n + 1)
            said = voice.y[first : first + n].astype(np.float64)
            if _sounding(said).mean() > 0.5 and np.abs(said).max() > 0.05:
                break
        said = _in_room(_faded(_speed(said, rng)), rng)
        place = int(rng.integers(max(1, len(y) - len(said) + 1)))
        said = said[: len(y) - place]
        spoken[place : place + len(said)] = _sounding(said)
        voiced = np.zeros(len(y))
        voiced[place : place + len(said)] = said
        snr, name = rng.uniform(LEVELS[0], LEVELS[-1]), voice.group
        band = butter(4, [200, 3800], "bandpass", fs=SR, output="sos")
        power, rest = (np.square(sosfilt(band, one))[spoken].mean() for one in (voiced, y))
        y = y + voiced * np.sqrt((rest + 1e-8) / (power + 1e-12)) * 10 ** (snr / 20)
    y = _recorder(y, rng)
    gain = 10 ** (rng.uniform(-35, 0) / 20)
    return (y * gain * 0.7 / max(1e-6, np.abs(y).max())).astype(np.float32), spoken, snr, name


def make_part(cast, voices, seed):
    """Make clips: a table of them, and of their windows the embeddings and the seconds of speech."""
    rng = np.random.default_rng(seed)
    rows, embeddings, spoken_seconds = [], [], []
    for _ in range(N_SCENES):
        y, crying, _ = make_scene(cast, rng)
        for place in PLACES:
            clip, spoken, snr, voice = add_speech(y[place : place + LENGTH], voices, rng)
            truth = crying[place // (SR // 10) :][: LENGTH // (SR // 10)]
            rows.append((snr, voice, (truth == 1).mean(), spoken.mean() * LENGTH / SR))
            embeddings.append(embed(windows_of(clip)))
            spoken_seconds.append(windows_of(spoken).mean(axis=1) * WINDOW / SR)
    table = pd.DataFrame(rows, columns=["snr", "voice", "crying", "spoken"])
    return table, np.stack(embeddings), np.stack(spoken_seconds)


def make_folds(sources, teacher, n_jobs):
    """Make the clips of each fold: list of what ``make_part`` gives."""
    quiet, folds = without_speech(sources, teacher), []
    for fold in range(N_FOLDS):
        cast = Cast.of([one for one in quiet if fold_of(one) == fold])
        voices = [one for one in sources if one.kind == "speech" and fold_of(one) == fold]
        parts = Parallel(n_jobs)(delayed(make_part)(cast, voices, [fold, part]) for part in range(N_PARTS))
        table = pd.concat([part[0] for part in parts], ignore_index=True)
        folds.append((table, *(np.concatenate([part[which] for part in parts]) for which in (1, 2))))
        LOG.info("Fold %d: %d clips with %d voices", fold, len(table), len({one.group for one in voices}))
    return folds


def fit_plane(folds):
    """Fit to the windows of some folds: weights (n_embedding,) and bias, of the embedding as it is."""
    X = np.concatenate([embeddings.reshape(-1, embeddings.shape[-1]) for _, embeddings, _ in folds])
    spoken = np.concatenate([seconds.ravel() for _, _, seconds in folds])
    sure = (spoken == 0) | (spoken > LEAST)
    scale, plane = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(X[sure], spoken[sure] > 0)
    weights = plane.coef_[0] / scale.scale_
    return weights.astype(np.float32), np.float32(plane.intercept_[0] - weights @ scale.mean_)


def score(embeddings, weights, bias):
    """Return the scores of clips from the embeddings of their windows (n_clips, n_windows, n_embedding)."""
    return 1 / (1 + np.exp(-(embeddings @ weights + bias).max(axis=1)))


def _judge(y, weights, bias):
    """Return the score of a sound."""
    return score(embed(windows_of(y))[None], weights, bias)[0]


def measure(folds):
    """Judge each fold by a plane that was fitted to the others: a dict of numbers."""
    scores = [score(folds[one][1], *fit_plane(folds[:one] + folds[one + 1 :])) for one in range(len(folds))]
    table = pd.concat([fold[0].assign(fold=number) for number, fold in enumerate(folds)], ignore_index=True)
    table["score"] = np.concatenate(scores)
    silent, audible = table["snr"].isna(), table["snr"] >= AUDIBLE
    told = table[silent | audible]
    rows = {"AUC": roc_auc_score(told["snr"].notna(), told["score"])}
    for share in SHARES:
        threshold = float(table["score"][silent].quantile(1 - share))
        out = table["score"] > threshold
        rows[f"{share:.0%} of clips without speech left out"] = {
            "threshold": threshold,
            "audible": out[audible].mean(),
            "audible for a second or more": out[audible & (table["spoken"] >= 1)].mean(),
            "audible, by fold": out[audible].groupby(table["fold"]).mean().to_dict(),
            "audible, by voice": out[audible].groupby(table["voice"]).mean().to_dict(),
            "audible, with crying": out[audible & (table["crying"] > CRYING)].mean(),
            "by level": {
                f"{low} to {high} dB": out[table["snr"].between(low, high, inclusive="left")].mean()
                for low, high in pairwise(LEVELS)
            },
            "crying without speech": out[silent & (table["crying"] > CRYING)].mean(),
        }
    return rows


def measure_clips(path, heard, weights, bias, thresholds):
    """Return the share of clips above thresholds, by kind, of a table of clips without the groups ``heard``."""
    clips = pd.read_csv(path).query("source not in @heard")
    scores = [_judge(read_audio(path.parent / file, SR)[0], weights, bias) for file in clips["file"]]
    clips["kind"] = clips["category"].where(clips["category"].isin(["cry", "laugh", "silence"]), "other")
    found = clips.assign(**{f"{one:.2f}": np.greater(scores, one) for one in thresholds}, n=1).groupby("kind")
    return found[[f"{one:.2f}" for one in thresholds]].mean().assign(n=found["n"].sum()).to_dict("index")


def measure_soundscapes(folder, weights, bias, thresholds):
    """Return the share of clips of 9 s above thresholds, with and without crying, of annotated recordings."""
    data, rows = load_annotated(folder, SR), []
    for y, annotations, duration in zip(data.recordings, data.annotations, data.durations, strict=True):
        seconds = pd.MultiIndex.from_product([[0], range(int(duration))], names=["recording", "second"])
        truth = second_truth({0: annotations}, pd.DataFrame(index=seconds), durations=[duration]).to_numpy(dtype=float)
        for first in range(0, len(truth) - 8, 10):
            part = y[first * SR : first * SR + LENGTH]
            rows.append((truth[first : first + 9].mean(), _judge(part, weights, bias)))
    crying, scores = np.transpose(rows)
    return {
        name: {"n": int(which.sum())} | {f"{one:.2f}": (scores[which] > one).mean() for one in thresholds}
        for name, which in {"crying": crying > CRYING, "no crying": crying == 0}.items()
    }
