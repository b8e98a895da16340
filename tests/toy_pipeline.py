"""A small pipeline, and the overlap of annotations with spans of time."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcry import HighPassFilter, StatFeatures


def fast(classifier=None, first=None):
    features = StatFeatures(["mfcc", "spectral_centroid"], ["mean", "std"], deltas=False)
    first = [HighPassFilter()] if first is None else first
    return make_pipeline(*first, features, StandardScaler(), classifier or LogisticRegression())


def covered(annotations, onset, duration):
    """Seconds that are annotated in each span; recordings by onsets."""
    return np.array(
        [
            sum(np.maximum(0, np.minimum(b, onset + duration) - np.maximum(a, onset)) for a, b in spans)
            + np.zeros(len(onset))
            for spans in (table[["onset", "offset"]].to_numpy() for table in annotations)
        ]
    )
