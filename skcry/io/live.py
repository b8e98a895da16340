"""Sound in blocks while it is recorded, with gaps, at any rate: read as recordings are."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np

from .audio import CLIPPED_SHARE, FULL_SCALE, LOUDEST, as_floating

LONGEST_GAP = 7 * 86400  # s; longer ones are probably in other units
MOST_CHANNELS = 64
ZEROS_DURATION = 60  # s of a gap that are filled at a time
LEAST_UNSCALED = 10.0  # no float of a recorder, however far above full scale, is as high
CHECK_DURATION = 60  # s of sound that are checked together for clipping and silence
SAY_AGAIN_DURATION = 3600  # s of sound until the same problem is told again


@dataclass(frozen=True)
class Gap:
    """Sound that a source lost.

    A source yields it between two blocks, so that later times stay right.

    Parameters
    ----------
    duration : float
        Length in seconds, at most a week, 0 if it is not known. All seconds of which any is missing are not usable;
        what is missing is scored as silence.
    reason : str, default="the source lost sound"
        What happened, for the message.

    See Also
    --------
    skcry.CryDetector.listen : Takes blocks of sound and gaps.

    Examples
    --------
    >>> from skcry.io import Gap
    >>> Gap(2.5, "the network was down")
    Gap(duration=2.5, reason='the network was down')
    """

    __module__ = "skcry.io"

    duration: float
    reason: str = "the source lost sound"


class SoundBlocks(Iterable):
    """Blocks of sound that know their rate ``sr``, in Hz: what :func:`read_pipe` and its likes return.

    ``recorded`` is the number of seconds that a file held when it was opened.
    """

    __module__ = "skcry.io"

    def __init__(self, blocks: Generator, sr: int, recorded: float = 0.0) -> None:
        self._blocks, self.sr, self.recorded = blocks, sr, recorded

    def __iter__(self):
        return self._blocks

    def close(self) -> None:
        """Stop reading, and close what is read from."""
        self._blocks.close()


class BlockSource:
    """Sound in blocks of any sizes, read as :func:`read_stretches` does: float32 at the rate ``sr``.

    ``blocks`` yields arrays (n_timepoints,) or (n_timepoints, n_channels) at ``rate``, and :class:`Gap`. If it raises,
    the sound ends there and ``error`` is set. ``problems`` collects messages, and ``gaps`` the seconds of all gaps.
    """

    def __init__(self, blocks, rate, sr, channel=None):
        self._blocks, self._rate, self._channel = iter(blocks), rate, channel
        self.error: Exception | None = None
        self.problems: list[str] = []
        self.gaps: deque[tuple[float, float]] = deque()
        self._resampler = None
        if rate != sr:
            import soxr

            self._resampler = soxr.ResampleStream(rate, sr, 1, dtype="float32", quality="HQ")
        self._waiting, self._at_end = np.empty(0, dtype=np.float32), False
        self._n_read, self._n_zeros, self._n_channels = 0, 0, None
        self._n_checked, self._n_clipped, self._low, self._high = 0, 0.0, np.inf, -np.inf
        self._told: dict = {}  # problem -> timepoint at which it was told

    def read(self, most, least):
        """Read from ``least`` to ``most`` timepoints, as many as there are; fewer than ``least`` only at the end."""
        parts, total = [self._waiting], len(self._waiting)
        while total < least and not self._at_end:
            parts.append(self._next())
            total += len(parts[-1])
        sound = np.concatenate(parts)
        self._waiting = sound[most:].copy()
        return sound[:most]

    def is_missing(self, second):
        """Tell whether any of a second is missing; ask for one after the other, in order."""
        while self.gaps and self.gaps[0][1] <= second:
            self.gaps.popleft()
        return bool(self.gaps) and self.gaps[0][0] < second + 1

    def _next(self):
        """Return the next block, mixed down and resampled."""
        if self._n_zeros:
            n = min(self._n_zeros, ZEROS_DURATION * self._rate)
            self._n_zeros -= n
            y = np.zeros(n, dtype=np.float32)
        else:
            y = self._next_block()
        self._n_read += len(y)
        return y if self._resampler is None else self._resampler.resample_chunk(y, last=self._at_end)

    def _next_block(self):
        block = None
        try:
            block = next(self._blocks)
            if isinstance(block, Gap):
                return self._skip(block)
            y = self._mix(block)
            self._check(y)
            return y
        except StopIteration:
            pass
        except Exception as error:  # what was heard before is still scored
            self.error = error
        self._at_end = True
        return np.empty(0, dtype=np.float32)

    def _skip(self, gap):
        if not 0 <= gap.duration <= LONGEST_GAP:
            raise ValueError(
                f"A gap of {gap.duration} s must last from 0 to {LONGEST_GAP} s (a week). After a longer one, listen "
                "anew."
            )
        n, now = round(gap.duration * self._rate), self._n_read / self._rate
        self._n_zeros = n
        self.gaps.append((now, now + n / self._rate))
        lasting = f"{gap.duration:.1f} s are missing" if n else "an unknown time is missing"
        self.problems.append(f"{lasting} at {now:.1f} s: {gap.reason}.")
        return np.empty(0, dtype=np.float32)

    def _mix(self, block):
        y, place = as_floating(np.asarray(block)), f"at {self._n_read / self._rate:.3f} s"
        if isinstance(block, (bytes, bytearray, memoryview)) or y.dtype.kind not in "fiu" or y.ndim not in (1, 2):
            raise TypeError(
                f"The source gave a {type(block).__name__} of dtype {y.dtype} and shape {y.shape} {place}, but must "
                "give arrays of numbers of shape (n_timepoints,) or (n_timepoints, n_channels), or Gap. For bytes, use "
                "skcry.io.read_pipe; of a single array make a list, [sound]."
            )
        n_channels = 1 if y.ndim == 1 else y.shape[1]
        if y.size and n_channels != (self._n_channels or n_channels):
            raise ValueError(
                f"The source gave {n_channels} channels {place}, but {self._n_channels} before. Keep their number."
            )
        if n_channels > MOST_CHANNELS:
            raise ValueError(
                f"The source gave a block of shape {y.shape} {place}, which is (n_timepoints, n_channels), with at "
                f"most {MOST_CHANNELS} channels. Transpose it."
            )
        if y.size and self._channel is not None and not 0 <= self._channel < n_channels:
            raise ValueError(
                f"channel={self._channel} must be from 0 to {n_channels - 1}: the source has {n_channels} channels. "
                "Choose one of them, or None to mix them down."
            )
        if y.size == 0:
            return np.empty(0, dtype=np.float32)
        self._n_channels = n_channels
        if not (np.abs(y) <= LOUDEST).all():  # or NaN
            raise ValueError(
                f"The source gave NaN, infinity or a value above {LOUDEST:g} {place}, where full scale is 1. Mend the "
                "source."
            )
        self._n_clipped += int(np.count_nonzero(np.abs(y) >= FULL_SCALE)) / n_channels
        if y.ndim == 2:
            y = y.mean(axis=1) if self._channel is None else y[:, self._channel]
        return np.ascontiguousarray(y, dtype=np.float32)

    def _check(self, y):
        """Note clipping and silence, a minute at a time; say the same at most once an hour."""
        if not len(y):
            return
        self._n_checked += len(y)
        self._low, self._high = min(self._low, y.min()), max(self._high, y.max())
        if self._n_checked < CHECK_DURATION * self._rate:
            return
        share = self._n_clipped / self._n_checked
        if (peak := max(self._high, -self._low)) > LEAST_UNSCALED:
            self._tell("unscaled", f"values reach {peak:.4g}, where full scale is 1. Divide them, such as by 32768.")
        elif share >= CLIPPED_SHARE:
            self._tell("clipped", f"{share:.0%} of the values of a minute are at full scale. Lower the gain.")
        if self._low == self._high:
            self._tell("silent", "a minute held digital silence only. Check microphone and source.")
        self._n_checked, self._n_clipped, self._low, self._high = 0, 0, np.inf, -np.inf

    def _tell(self, kind, text):
        if self._n_read - self._told.get(kind, -np.inf) >= SAY_AGAIN_DURATION * self._rate:
            self._told[kind] = self._n_read
            self.problems.append(f"At {self._n_read / self._rate:.0f} s {text}")
