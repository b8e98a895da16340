"""A bar for long work, in hours of sound."""

import contextlib
import os

from .io.audio import AudioFile


class Progress(contextlib.AbstractContextManager):
    """A bar in hours of sound; silent when not wanted.

    Parameters
    ----------
    wanted : bool
        Whether to show it.
    recordings : iterable of path or ndarray of shape (n_timepoints,)
        What is to be dealt with.
    sr : int or None, default=None
        Sampling rate of the arrays in Hz; None where there are only paths.
    """

    def __init__(self, wanted, recordings, sr=None):
        self._bar = None
        if wanted:
            from tqdm.auto import tqdm

            hours = sum(_duration(one, sr) for one in recordings) / 3600
            layout = "{l_bar}{bar}| {n:.1f}/{total:.1f} h [{elapsed}<{remaining}{postfix}]"
            self._bar = tqdm(total=hours, desc="Detecting", bar_format=layout)

    def __call__(self, seconds):
        """Move on by so many seconds of sound."""
        if self._bar is not None:
            self._bar.update(seconds / 3600)

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()


def _duration(recording, sr):
    if not isinstance(recording, (str, os.PathLike)):
        return len(recording) / sr
    try:
        with AudioFile(recording) as file:
            return file.duration
    except (OSError, ValueError):
        return 0.0
