"""Timelines with a truth, and a listener who tells it."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit


def make_seconds(rng, share=0.15, quality=3.0, n=7200, names=("ada.wav", "ben.wav")):
    """Make a timeline, and the truth of its seconds, in bouts of 30 s on average."""
    tables = {}
    for name in names:
        truth, place = np.zeros(n, dtype=bool), 0.0
        while place < n:
            place += rng.exponential(30 * (1 - share) / share)
            length = rng.exponential(30) + 2
            truth[int(place) : int(place + length)] = True
            place += length
        noise = np.repeat(rng.normal(size=n // 5), 5)
        score = expit(quality * (quality * truth + noise - quality / 2) + logit(share))
        tables[name] = pd.DataFrame({"score": score, "truth": truth})
    seconds = pd.concat(tables, names=["recording", "second"])
    seconds["cry"] = seconds["score"] >= seconds["score"].quantile(1 - share)
    return seconds


def judge(clips, seconds):
    heard = [seconds["truth"].loc[row.recording].iloc[row.onset : row.offset].mean() for row in clips.itertuples()]
    return clips.assign(judgement=np.where(np.array(heard) >= 0.5, "cry", "not"))
