"""Warnings that name the line of the caller, however deep in the package they are issued."""

import sys
import warnings

# Packages whose frames are passed over, since estimators are called by them.
PASSED = {"skcry", "sklearn", "imblearn", "joblib", "contextlib"}


def warn(message, category=UserWarning):
    """Issue a warning at the innermost frame outside of these packages."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in PASSED:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
