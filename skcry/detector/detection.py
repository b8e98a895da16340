"""One recording, scored by a detector."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..events import find_events
from .pooling import recording_score


@dataclass(frozen=True, eq=False)
class Detection:
    """One recording, scored second by second: what :meth:`CryDetector.iter_detections` yields.

    Holds no sound, so that the detections of a thousand days fit in memory.

    Parameters
    ----------
    recording : int
        Place of the recording in what was passed.
    name : str
        File name, or place of an array.
    probabilities : ndarray of shape (n_seconds, n_classes)
        Probability of each class in each second.
    classes : ndarray of shape (n_classes,)
        Classes of the detector.
    positive_index : int or None
        Number of the class that is crying; None if there is no single one.
    event_classes : list of int
        Numbers of the classes that are reported as events.
    threshold : float
        Score from which a second counts as crying.
    merge_gap, min_duration : float
        Rules of events in seconds, see :func:`skcry.events.find_events`.
    duration : float
        Length in seconds.
    usable : ndarray of bool of shape (n_seconds,)
        False in seconds of digital silence or of a stuck recorder.
    problems : list of str
        Faults of the file, such as clipping.
    error : Exception or None
        Reason why the recording could not be read; there are then no seconds.

    See Also
    --------
    CryDetector.timeline : Timelines of all recordings in one table.
    CryDetector.detect : Events of all recordings in one table.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import Detection
    >>> crying = np.repeat([0.1, 0.8], [20, 10])
    >>> detection = Detection(
    ...     recording=0, name="day.wav", probabilities=np.column_stack([1 - crying, crying]), classes=np.array([0, 1]),
    ...     positive_index=1, event_classes=[1], threshold=0.5, merge_gap=5.0, min_duration=5.0,
    ...     duration=30.0, usable=np.ones(30, dtype=bool), problems=[], error=None,
    ... )
    >>> detection.events
       recording  onset  offset  score
    0          0   20.0    30.0    0.8
    >>> detection.score
    0.8
    """

    __module__ = "skcry"

    recording: int
    name: str
    probabilities: np.ndarray
    classes: np.ndarray
    positive_index: int | None
    event_classes: list[int]
    threshold: float
    merge_gap: float
    min_duration: float
    duration: float
    usable: np.ndarray
    problems: list[str]
    error: Exception | None

    @property
    def timeline(self) -> pd.DataFrame:
        """Scores of the seconds, DataFrame of shape (n_seconds, 3); columns as in :meth:`CryDetector.timeline`."""
        if self.positive_index is not None:
            score = self.probabilities[:, self.positive_index]
            columns = {"score": score, "cry": score >= self.threshold}
        else:
            columns = {str(name): self.probabilities[:, i] for i, name in enumerate(self.classes)}
            columns["label"] = self.classes[self.probabilities.argmax(axis=1)]
        index = pd.RangeIndex(len(self.probabilities), name="second")
        return pd.DataFrame({**columns, "usable": self.usable}, index=index)

    @property
    def events(self) -> pd.DataFrame:
        """Events, DataFrame of shape (n_events, 4); columns as in :meth:`CryDetector.detect`."""
        if self.positive_index is not None:
            score = self.probabilities[:, self.positive_index]
            found = [(None, score, score >= self.threshold)]
        else:
            winner = self.probabilities.argmax(axis=1)
            found = [(self.classes[i], self.probabilities[:, i], winner == i) for i in self.event_classes]
        rows = []
        for name, score, active in found:
            for onset, offset in find_events(active, **self._rules):
                mean = score[int(onset) : int(np.ceil(offset))].mean()
                rows.append((self.recording, onset, offset, mean, name))
        table = pd.DataFrame(rows, columns=["recording", "onset", "offset", "score", "label"])
        table = table.astype({"recording": int, "onset": float, "offset": float, "score": float})
        table = table.sort_values("onset", kind="stable", ignore_index=True)
        return table.drop(columns="label") if self.positive_index is not None else table

    @property
    def score(self) -> float | np.ndarray:
        """Score of the recording: the highest threshold, float, at which it still holds an event.

        With several classes, the mean probability of each, ndarray of shape (n_classes,).
        """
        if self.positive_index is None:
            return self.probabilities.mean(axis=0)
        return recording_score(self.probabilities[:, self.positive_index], **self._rules)

    @property
    def _rules(self):
        return {"merge_gap": self.merge_gap, "min_duration": self.min_duration, "duration": self.duration}
