"""Which class is crying, which are reported as events, and which is background."""

from dataclasses import dataclass

from .._warnings import warn


@dataclass(frozen=True)
class Roles:
    """Parts that the classes of a detector play, by number.

    Parameters
    ----------
    interesting : list of int
        Classes whose events are reported.
    positive : int or None
        The class that is crying; None where there is no one such class.
    background : int or None
        The class of time in which nothing is heard; None where no class is.
    """

    interesting: list
    positive: int | None
    background: int | None


def assign_roles(classes, label_map, *, annotated, gated):
    """Find out what the classes are.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Classes that windows bear.
    label_map : LabelMap
        What the user calls crying.
    annotated : bool
        Whether the classes come from annotations, rather than from labels of whole recordings.
    gated : bool
        Whether a gate will declare seconds background.

    Returns
    -------
    Roles

    Raises
    ------
    ValueError
        If all labels mean crying, or a gate has no class for what it closes.
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
            f"None of the classes {classes.tolist()} is what a closed gate means: {label_map.background!r} is not "
            "among them. Name the label of quiet seconds first in negative=(...), or leave the gate out."
        )
    return Roles(interesting, None, background)


def _find_positive(classes, names, interesting, label_map, annotated):
    if len(classes) > 2 or (annotated and len(interesting) == 2):
        return None
    if len(interesting) == 1:
        return interesting[0]
    if label_map.positive is not None and set(names) <= set(label_map.positive):
        raise ValueError(
            f"All labels, {classes.tolist()}, are in positive={label_map.positive!r}: there is nothing to tell from "
            "crying. Add recordings of another label."
        )
    if classes.dtype.kind in "OU":
        warn(
            f"positive={label_map.positive!r} names neither of the labels {classes.tolist()}; {classes.tolist()[1]!r} "
            "is taken for crying. Pass positive=(...) to say which is."
        )
    return 1
