"""Adapting the scores of a detector to a new home, by one number that is added to log-odds."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

# A home shifts log-odds by about so much: on 8 real soundscapes, left out, 0.5 did no harm with 30 s of annotations and
# gained most with two minutes; 1.0 lost up to 0.03 of F1 with one minute or less.
LEVEL_SCALE = 0.5
# Crying and background last, so neighbouring seconds say the same: three of them count as one.
SECONDS_PER_OBSERVATION = 3.0
# Crying is rare, so this share of a home's scores tells of its background only. A median also moves with how much an
# infant cries, and costs F1.
BACKGROUND_QUANTILE = 0.1
# Seconds without annotations after which half of the difference is believed.
HALF_TRUST_DURATION = 100.0


def annotated_level(log_odds, crying):
    """Level that fits annotated seconds best, held near zero by a normal prior.

    Parameters
    ----------
    log_odds : ndarray of shape (n_seconds,)
        Log-odds of crying, finite.
    crying : ndarray of bool of shape (n_seconds,)
        Whether it was crying; may all be the same.

    Returns
    -------
    float
        To be added to the log-odds.
    """
    sign = np.where(crying, 1.0, -1.0)

    def slope(level):  # of the negative log-posterior, which is convex
        misfit = -(sign * expit(-sign * (log_odds + level))).sum() / SECONDS_PER_OBSERVATION
        return misfit + level / LEVEL_SCALE**2

    furthest = 1.0 + LEVEL_SCALE**2 * len(log_odds) / SECONDS_PER_OBSERVATION
    return float(brentq(slope, -furthest, furthest, xtol=1e-9))


def background_quantile(log_odds):
    """Log-odds below which there is hardly any crying.

    Parameters
    ----------
    log_odds : ndarray of shape (n_seconds,)
        Log-odds of crying.

    Returns
    -------
    float
    """
    return float(np.quantile(log_odds, BACKGROUND_QUANTILE))


def background_level(log_odds, expected):
    """Level that brings the background of unannotated seconds towards that of the training recordings.

    Parameters
    ----------
    log_odds : ndarray of shape (n_seconds,)
        Log-odds of crying.
    expected : float
        What :func:`background_quantile` gave for recordings that were left out of training.

    Returns
    -------
    float
        To be added to the log-odds: a part of the difference that grows with the number of seconds, half of it for 100.
    """
    trust = len(log_odds) / (len(log_odds) + HALF_TRUST_DURATION)
    return trust * (expected - background_quantile(log_odds))
