"""Displays of detectors in the form of scikit-learn's; they need the extra ``skcry[plot]``.

Class methods ``from_estimator`` and ``from_predictions`` (or ``from_embeddings``) draw and return a display. Its
``plot`` draws it again on other axes.

For curves over thresholds use the displays of scikit-learn, with the seconds of all recordings as rows:

>>> import matplotlib
>>> matplotlib.use("Agg")
>>> from sklearn.calibration import CalibrationDisplay
>>> from sklearn.linear_model import LogisticRegression
>>> from sklearn.metrics import DetCurveDisplay, PrecisionRecallDisplay
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> from skcry import CryDetector, StatFeatures
>>> from skcry.datasets import make_cry_recordings
>>> from skcry.metrics import second_truth
>>> recordings, annotations, infants = make_cry_recordings(8, duration=30, random_state=0)
>>> fast = make_pipeline(StatFeatures(["mfcc"]), StandardScaler(), LogisticRegression())
>>> detector = CryDetector(fast, random_state=0).fit(recordings[:6], annotations[:6], groups=infants[:6])
>>> timeline = detector.timeline(recordings[6:])
>>> truth = second_truth(annotations[6:], timeline)
>>> _ = PrecisionRecallDisplay.from_predictions(truth, timeline["score"], plot_chance_level=True)
>>> _ = DetCurveDisplay.from_predictions(truth, timeline["score"])
>>> _ = CalibrationDisplay.from_predictions(truth, timeline["score"])
"""

from .agreement import AgreementDisplay
from .day import DayDisplay
from .embedding import EmbeddingDisplay
from .event_match import EventMatchDisplay
from .precision import PrecisionDisplay
from .timeline import TimelineDisplay

__all__ = [
    "AgreementDisplay",
    "DayDisplay",
    "EmbeddingDisplay",
    "EventMatchDisplay",
    "PrecisionDisplay",
    "TimelineDisplay",
]
