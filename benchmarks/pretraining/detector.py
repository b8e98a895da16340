"""Fit the detector that ships: on scenes of families and sources that the network was not trained on."""

import logging

import numpy as np

from skcry import CryDetector, make_cry_pipeline

from .scenes import make_scene
from .sources import STEP, SR

LOG = logging.getLogger("pretraining")


def annotate(crying):
    """Return annotations (onset, offset, label) from crying in steps of 0.1 s; -1 becomes "unknown"."""
    edges = np.flatnonzero(np.diff(crying)) + 1
    edges = [0, *edges.tolist(), len(crying)]
    names = {1: "cry", -1: "unknown"}
    seconds = STEP / SR
    return [
        (first * seconds, last * seconds, names[crying[first]])
        for first, last in zip(edges[:-1], edges[1:], strict=True)
        if crying[first] in names
    ]


def fit_detector(cast, n_scenes, seed):
    """Fit the default detector on scenes, grouped by family; scenes without crying are groups of their own."""
    rng = np.random.default_rng([seed, 1])
    scenes, annotations, infants = [], [], []
    for number in range(n_scenes):
        y, crying, infant = make_scene(cast, rng)
        # Levels of recorders: the detector hears quiet ones, too.
        scenes.append(y * np.float32(10 ** (rng.uniform(-35, 0) / 20)))
        annotations.append(annotate(crying))
        infants.append(infant or f"nobody {number}")
    LOG.info("Fitting on %d scenes of %d infants", n_scenes, len({one for one in infants if "nobody" not in one}))
    detector = CryDetector(make_cry_pipeline(features="pretrained", random_state=0), cv=5, random_state=0)
    return detector.fit(scenes, annotations, groups=infants)
