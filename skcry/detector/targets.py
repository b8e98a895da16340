"""What the targets mean: labels or annotations, classes of seconds, and which class is crying."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._similar import fold
from .._warnings import warn
from ..events import as_annotations, classify_known

# Labels of what is not crying, without case and blanks.
OTHER_SOUND = {"other", "noise", "background", "silence", "nothing", "none", "quiet", "no", "negative", "rest"}


def holds_labels(y):
    """Tell whether ``y`` is one label per recording, rather than one table of annotations."""
    if hasattr(y, "__array__"):
        y = np.asarray(y)
        if y.dtype != object:
            return y.ndim < 3
    return not any(hasattr(one, "__len__") and not isinstance(one, (str, bytes)) for one in y)


def check_labels(y, label_map):
    """Return labels of recordings as an array (n_recordings,); refuse missing ones and names of files."""
    if pd.isna(np.asarray(y)).any():
        raise ValueError("y has missing labels. Give every recording a label, or leave it out.")
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    if all(str(label).lower().endswith((".csv", ".txt", ".textgrid")) for label in y):
        raise ValueError(
            f"y holds names of files, such as {str(y[0])!r}. Read the annotations first: "
            "[skcry.io.read_annotations(path) for path in y]."
        )
    if y.dtype.kind in "OU" and None in label_map(y, "y"):  # raises for labels in neither list
        raise ValueError(
            f"y labels recordings as unknown (ignore={label_map.ignore}). Leave these recordings out, or name their "
            "label in negative."
        )
    return y


def second_classes(annotations, label_map, duration, *, min_overlap, name):
    """Class of each second of a recording of so many seconds, and whether it is known, both of shape (n_seconds,)."""
    onset = np.arange(int(np.ceil(duration)), dtype=float)
    about = {"min_overlap": min_overlap, "duration": duration, "name": f"annotations of {name}"}
    found = classify_known(annotations, label_map, onset, onset + 1, **about)
    return found.chosen, found.known


def crying_labels(label_map, classes, roles):
    """Return the labels of annotations that count as crying, str or tuple of str; None if there is no single class."""
    if label_map.positive is not None:
        return label_map.positive
    return None if roles.positive is None else str(classes[roles.positive])


def warn_of_labels(y, positive, ignore):
    """Warn if there are labels and none of them is crying: a misspelt label would turn crying into background."""
    positive = {positive} if isinstance(positive, str) else set(positive)
    labels = {label for one in y for label in as_annotations(one)["label"]} - set(ignore)
    if labels and not labels & positive:
        warn(
            f"None of the labels {sorted(labels)} is crying (positive={sorted(positive)}), so all of this sound is "
            "taken for background. Check the labels, unless nothing was heard."
        )


@dataclass(frozen=True)
class Roles:
    """What the classes of a detector mean, by number."""

    __module__ = "skcry.detector"

    interesting: list  # classes that are reported as events
    positive: int | None  # class that is crying, if there is a single one
    background: int | None  # class of time without events, if there is one


def assign_roles(classes, label_map, *, annotated, gated):
    """Find the roles of ``classes`` (n_classes,), which come from annotations or from labels of recordings.

    Raises ValueError if all labels mean crying, or if a gate (``gated``) has no class for the seconds that it closes.
    """
    names = [str(name) for name in classes]
    if annotated and label_map.positive is not None:
        interesting = [1]
    else:
        interesting = [i for i, name in enumerate(names) if name in (label_map.positive or ())]
        if not interesting:
            interesting = [i for i, name in enumerate(names) if name not in map(str, label_map.uninteresting)]
    positive = _find_positive(classes, names, interesting, label_map, annotated)
    if positive is not None:
        return Roles(interesting, positive, 1 - positive)
    background = names.index(str(label_map.background)) if str(label_map.background) in names else None
    if gated and background is None:
        raise ValueError(
            f"The gate needs a class for closed seconds, but {label_map.background!r} is not among the classes "
            f"{classes.tolist()}. Name the label of quiet seconds first in negative=(...), or leave the gate out."
        )
    return Roles(interesting, None, background)


def _find_positive(classes, names, interesting, label_map, annotated):
    if len(classes) > 2 or (annotated and len(interesting) == 2):
        return None
    if len(interesting) == 1:
        return interesting[0]
    if label_map.positive is not None and set(names) <= set(label_map.positive):
        raise ValueError(
            f"All labels, {classes.tolist()}, are in positive={label_map.positive!r}, so there is a single class. Add "
            "recordings of another label."
        )
    if classes.dtype.kind in "OU":
        telling = [name for name in names if _tells_of_crying(name, label_map.positive or ("cry",))]
        if telling:
            raise ValueError(
                f"positive={label_map.positive!r} names neither of the labels {classes.tolist()}, so it is not known "
                "which of them is crying. Pass positive=(...) with the label of crying."
            )
        warn(
            f"positive={label_map.positive!r} names neither of the labels {classes.tolist()}; {classes.tolist()[1]!r} "
            "is taken for crying. Pass positive=(...) to say which is."
        )
    return 1


def _tells_of_crying(name, positive):
    """Tell whether a label looks as if it were crying or its opposite, so that the other class must not be guessed."""
    plain = fold(name)
    return plain in OTHER_SOUND or any(fold(one) in plain for one in positive)
