"""Score sound while it is recorded: seconds and events as soon as no later sound can change them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..io.live import BlockSource
from ..signal import Denoise
from ..windows.stretches import Seconds, is_usable, read_stretches
from ..windows.windows import middle_of

SILENCE_DB = -120.0  # level of digital silence, below the 24 bits of any recorder


@dataclass(frozen=True)
class LiveEvent:
    """An event that :meth:`skcry.CryDetector.listen` reports: once when it begins, and once when it has ended.

    It begins, with ``final=False``, as soon as it is long enough to be kept; ``offset`` and ``score`` are those so far.
    It has ended, with ``final=True``, when the gap after it is too long to be closed; no later sound changes it then.

    Parameters
    ----------
    onset, offset : float
        Seconds since the beginning.
    score : float
        Mean over its seconds.
    label : str
        Its class.
    final : bool
        Whether it has ended.

    See Also
    --------
    CryDetector.listen : Reports them.

    Examples
    --------
    >>> from skcry import LiveEvent
    >>> event = LiveEvent(onset=10.0, offset=15.0, score=0.8, label="cry", final=False)
    >>> event.offset - event.onset
    5.0
    """

    __module__ = "skcry"

    onset: float
    offset: float
    score: float
    label: str
    final: bool


@dataclass(frozen=True, eq=False)
class LiveSecond:
    """A second that :meth:`skcry.CryDetector.listen` reports.

    It comes as soon as no later sound can change its score.

    Parameters
    ----------
    second : int
        Number of the second since the beginning, from 0.
    score : float
        From 0 to 1, as in :meth:`skcry.CryDetector.timeline`; of several classes, the probability of ``label``.
    cry : bool or None
        Whether it counts as crying; None for a detector of several classes.
    label : object
        Its class, one of ``classes_``: by the threshold or, of several classes, the most probable one.
    usable : bool
        False in digital silence, and where the sound is stuck or missing.
    level : float
        Root mean square in dB re full scale, at least -120.
    events : tuple of LiveEvent
        Events that are known to begin or to have ended with this second.
    problems : tuple of str
        What is wrong with the sound that was read since the second before.
    probabilities : ndarray of shape (n_classes,)
        Probability of each class.
    duration : float, default=1.0
        Its length, which is less than 1 s for the last second of a source that ended within it.

    See Also
    --------
    CryDetector.listen : Yields them.

    Examples
    --------
    >>> import numpy as np
    >>> from skcry import LiveSecond
    >>> second = LiveSecond(7, 0.8, True, 1, True, -32.0, (), (), np.array([0.2, 0.8]))
    >>> second.second, second.cry
    (7, True)
    """

    __module__ = "skcry"

    second: int
    score: float
    cry: bool | None
    label: object
    usable: bool
    level: float
    events: tuple[LiveEvent, ...]
    problems: tuple[str, ...]
    probabilities: np.ndarray
    duration: float = 1.0


class RunningPool:
    """Pool the scores of windows, as they come, into scores of seconds: the same as :meth:`SecondScorer.pool`."""

    def __init__(self, scorer, hop_length):
        self._scorer, self._hop = scorer, hop_length
        about = scorer.window_length, np.inf, scorer.sr, scorer.target_duration
        (side,), self._target = middle_of(np.zeros(1, dtype=int), *about)
        self._side, self._half = int(side), scorer.smooth_duration // 2
        self._start, self._scores = np.empty(0, dtype=int), np.empty((0, 0))
        self._n_done = 0  # seconds

    def push(self, start, scores, length=None):
        """Add windows; return the scores (n_seconds, n_scores) of the next seconds.

        These are the seconds that no later window can change, or all that are left if ``length`` is given, in
        timepoints, of the whole recording.
        """
        sr = self._scorer.sr
        if len(start):
            self._start = np.concatenate([self._start, start])
            self._scores = np.concatenate([self._scores, scores]) if len(self._scores) else scores
        if length is not None:
            n_known = -(-length // sr)
        else:
            length = self._start[-1] + self._scorer.window_length
            # A second is known once windows cover it, and the next one begins after it.
            covered = self._start[-1] + self._side + self._target
            after = self._start[-1] + self._hop + self._side
            known = min(after // sr, -(-covered // sr)) - self._half
            # Short windows tell of a second before its sound has ended; and one stays for the end of the events.
            n_known = max(self._n_done, min(known, (length - 1) // sr))
        origin = max(0, self._n_done - self._half)
        pooled = self._scorer.pool(self._scores, self._start - origin * sr, length - origin * sr)
        pooled = pooled[self._n_done - origin : n_known - origin]
        self._n_done = n_known
        # Windows before the seconds to come, but for the last one of them, have no effect on these.
        begin = (n_known - self._half) * sr - self._side - self._target
        first = max(0, np.searchsorted(self._start, begin, side="right") - 1)
        self._start, self._scores = self._start[first:], self._scores[first:]
        return pooled


class EventTracker:
    """Join decisions per second to events, as they come: the same as :func:`skcry.events.find_events`."""

    def __init__(self, label, merge_gap, min_duration):
        self._label, self._merge_gap, self._min_duration = str(label), merge_gap, min_duration
        self._onset: float | None = None  # of the event that may go on
        self._offset, self._sum, self._n, self._mean, self._told = 0.0, 0.0, 0, 0.0, False

    def push(self, second, active, score, duration=1.0):
        """Add a second of ``duration``, and return an event that begins or has ended with it, or None."""
        if not active:
            if self._onset is None:
                return None
            self._sum += score
            self._n += 1
            return self.finish() if second + 1 - self._offset > self._merge_gap else None
        if self._onset is None:
            self._onset, self._sum, self._n = float(second), 0.0, 0
        self._sum += score
        self._n += 1
        self._offset, self._mean = second + duration, self._sum / self._n
        if self._told or self._offset - self._onset < self._min_duration - 1e-9:
            return None
        self._told = True
        return self._event(final=False)

    def finish(self, whole_duration=np.inf):
        """Return the event that has ended, None if it is too short; ``whole_duration`` is that of the recording."""
        if self._onset is None:
            return None
        kept = self._offset - self._onset >= min(self._min_duration, whole_duration) - 1e-9
        event = self._event(final=True) if kept else None
        self._onset, self._told = None, False
        return event

    def _event(self, final):
        return LiveEvent(float(self._onset or 0.0), float(self._offset), float(self._mean), self._label, final)


def check_live(detector):
    """Refuse a detector whose scores need sound from long after a second."""
    if detector.gate_ is not None:
        raise ValueError(
            "The detector's gate compares with the whole recording, which has no end yet. Fit a detector with "
            "gate=None to listen; detect_files works with this one on finished recordings."
        )
    steps = detector.estimator_.get_params().values() if hasattr(detector.estimator_, "get_params") else ()
    if any(isinstance(step, Denoise) for step in (detector.estimator_, *steps)):
        raise ValueError(
            "Denoise estimates noise from up to 75 s of sound after a second, so the detector cannot give its score "
            "soon. Fit a detector without it to listen; detect_files works with this one on finished recordings."
        )


def listen(detector, blocks, rate, channel) -> Iterator[LiveSecond]:
    """Score blocks of sound at ``rate`` Hz: yield each second as soon as its score is final."""
    windower, point = detector.windower_, detector.operating_point_
    sr, classes, positive = windower.sr, detector.classes_, detector.positive_index_
    threshold = detector.threshold_  # as the rest, not of a fit that comes meanwhile
    scorer = detector._scorer(detector.estimator_, detector._method)
    pool = RunningPool(scorer, windower.hop_length_)
    rules = detector.merge_gap, detector.min_duration
    trackers = {i: EventTracker(classes[i] if positive is None else "cry", *rules) for i in point.roles.interesting}
    source = BlockSource(blocks, rate, sr, channel)
    facts, second = Seconds(sr, _describe), 0
    waiting: deque = deque()  # facts of the seconds to come
    for stretch in read_stretches(source, windower.window_length_, windower.hop_length_, sr, live=True):
        waiting.extend(facts.push(stretch.sound[len(stretch.sound) - stretch.n_new :]))
        length = None
        if stretch.at_end:
            waiting.extend(facts.finish())
            length = stretch.first + len(stretch.sound)
            if length == 0:
                raise source.error or ValueError("The source ended before it gave any sound. Is it running?")
        start, scores = windower._starts_in(stretch), None
        if len(start):
            windows = windower._cut([stretch.sound], [start - stretch.first], names=["the source"])
            scores = scorer.score_windows(windows)
        for probabilities in point.predict_proba(pool.push(start, scores, length)):
            duration = 1.0 if length is None else min(1.0, length / sr - second)
            usable, level = waiting.popleft()
            winner = int(probabilities.argmax())
            if positive is not None:
                winner = positive if probabilities[positive] >= threshold else 1 - positive
            events = [tracker.push(second, winner == i, probabilities[i], duration) for i, tracker in trackers.items()]
            if length is not None and len(waiting) == 0:
                events += [tracker.finish(length / sr) for tracker in trackers.values()]
            problems, source.problems = tuple(source.problems), []
            yield LiveSecond(
                second=second,
                score=float(probabilities[winner if positive is None else positive]),
                cry=None if positive is None else winner == positive,
                label=classes[winner],
                usable=bool(usable) and not source.is_missing(second),
                level=float(level),
                events=tuple(event for event in events if event is not None),
                problems=problems,
                probabilities=probabilities,
                duration=duration,
            )
            second += 1
    if source.error is not None:
        raise source.error


def _describe(sound):
    """Return whether seconds (n_seconds, n_timepoints) are usable, and their level in dB: pairs."""
    level = 10 * np.log10(np.maximum(np.mean(np.square(sound, dtype=np.float64), axis=1), 10 ** (SILENCE_DB / 10)))
    return zip(is_usable(sound), level, strict=True)
