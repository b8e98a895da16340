"""Warnings that name the line of the caller, however deep in the package they are issued."""

import contextlib
import contextvars
import sys
import warnings

# Packages whose frames are passed over, since estimators are called by them.
PASSED = {"skcry", "sklearn", "imblearn", "joblib", "contextlib"}


_told: contextvars.ContextVar = contextvars.ContextVar("told", default=None)


@contextlib.contextmanager
def once():
    """Issue each warning once inside the context: of several fits in one, all may have the same to say.

    Python would show them once as well, but forgets what it has shown whenever a library ignores a warning.
    """
    token = _told.set(set())
    try:
        yield
    finally:
        _told.reset(token)


def warn(message, category=UserWarning):
    """Issue a warning at the innermost frame outside of these packages."""
    told = _told.get()
    if told is not None:
        if message in told:
            return
        told.add(message)
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in PASSED:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
