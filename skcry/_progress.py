"""A progress bar in hours of sound."""

import contextlib
import os

from .io.audio import AudioFile, load_recording


class Progress(contextlib.AbstractContextManager):
    """Progress bar over recordings (files, or arrays at the rate ``sr``); shows nothing unless ``wanted``."""

    def __init__(self, wanted, recordings, sr=None):
        self._bar = None
        if wanted:
            from tqdm.auto import tqdm

            hours = sum(_duration(one, sr) for one in recordings) / 3600
            layout = "{l_bar}{bar}| {n:.1f}/{total:.1f} h [{elapsed}<{remaining}{postfix}]"
            self._bar = tqdm(total=hours, desc="Detecting", bar_format=layout)

    def __call__(self, seconds):
        """Advance by ``seconds`` of sound."""
        if self._bar is not None:
            self._bar.update(seconds / 3600)

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()


def _duration(recording, sr):
    """Return the length of a recording in seconds, 0 if the file cannot be read or does not say."""
    try:
        if isinstance(recording, (str, os.PathLike)):
            with AudioFile(recording) as file:
                return file.duration or 0.0
        # What is no array, such as a pair of rate and array, is loaded for it.
        return len(recording if hasattr(recording, "shape") else load_recording(recording, sr, "recording")) / sr
    except (OSError, TypeError, ValueError):
        return 0.0
