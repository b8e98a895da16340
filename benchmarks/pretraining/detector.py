"""Fit the detector that ships: on scenes of families and sources that the network was not trained on."""

import logging
from itertools import pairwise

import numpy as np

from skcry import CryDetector

from .scenes import make_scene
from .sources import SR, STEP

LOG = logging.getLogger("pretraining")


def annotate(crying):
    """Return annotations (onset, offset, label) from crying in steps of 0.1 s; -1 becomes "unknown"."""
    edges = np.flatnonzero(np.diff(crying)) + 1
    edges = [0, *edges.tolist(), len(crying)]
    names = {1: "cry", -1: "unknown"}
    seconds = STEP / SR
    return [
        (first * seconds, last * seconds, names[crying[first]])
        for first, last in pairwise(edges)
        if crying[first] in names
    ]


def make_scenes(cast, n_scenes, seed):
    """Return scenes, annotations and infants; a scene without crying has a name of its own in place of the infant."""
    rng = np.random.default_rng([seed, n_scenes])
    scenes, annotations, infants = [], [], []
    for number in range(n_scenes):
        y, crying, infant = make_scene(cast, rng)
        scenes.append(y * np.float32(10 ** (rng.uniform(-35, 0) / 20)))  # recorders differ in gain
        annotations.append(annotate(crying))
        infants.append(infant or f"nobody {seed} {number}")
    return scenes, annotations, infants


def fit_detector(trained, held, n_scenes, seed):
    """Fit the default detector: its SVC on scenes of some sources, its threshold and calibration on those of others.

    Afterwards the SVC is fitted on both.
    """
    parts = [make_scenes(cast, n_scenes, seed + number) for number, cast in enumerate((trained, held))]
    scenes, annotations, infants = (first + second for first, second in zip(*parts, strict=True))
    LOG.info("Fitting on %d scenes", len(scenes))
    cv = [(list(range(n_scenes)), list(range(n_scenes, 2 * n_scenes)))]
    return CryDetector(cv=cv, random_state=0).fit(scenes, annotations, groups=infants)
