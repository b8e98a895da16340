"""A progress bar in hours of sound, and the stages of training."""

import contextlib
import logging
import os
import sys
import time

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


class Stages(logging.Handler, contextlib.AbstractContextManager):
    """Show on stderr the stages of a training, which the logger "skcry" reports; on a terminal also the epochs."""

    def __init__(self):
        super().__init__()
        self._logger, self._bar, self._began = logging.getLogger("skcry"), None, time.perf_counter()
        if sys.stderr.isatty():
            from tqdm.auto import tqdm

            self._bar = tqdm(bar_format="{desc} [{elapsed}]", file=sys.stderr, leave=False)

    def __enter__(self):
        self._level = self._logger.level
        self._logger.addHandler(self)
        self._logger.setLevel(logging.DEBUG)
        return self

    def emit(self, record):
        """Show a stage (INFO), or an epoch of it (DEBUG)."""
        text, is_stage = record.getMessage(), record.levelno > logging.DEBUG
        if is_stage:
            self._stage = text
            write = print if self._bar is None else self._bar.write
            write(f"{text} (after {time.perf_counter() - self._began:.0f} s)", file=sys.stderr)
        if self._bar is not None:
            self._bar.set_description_str(text if is_stage else f"{self._stage}, {text}")

    def __exit__(self, *error):
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)
        if self._bar is not None:
            self._bar.close()
