"""The model card: what a detector was trained on, how well it does and what it is made of, also for non-programmers.

After M. Mitchell et al. (2019), Model cards for model reporting, FAT* '19.
"""

import html
from collections import defaultdict

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from ..events import as_annotations
from ..metrics import bootstrap_interval

N_RESAMPLES = 200
LEVEL = 0.9
MAX_NAMES = 20  # recordings; the others are counted


class ModelCard:
    """A title, and sections of sentences and tables.

    ``str`` gives markdown, a notebook shows HTML.

    Parameters
    ----------
    title : str
        First line.
    sections : list of tuple of (str, list)
        Headings, each with its paragraphs: a str is text, a dict a table of two columns, and a tuple of one str is
        code.

    See Also
    --------
    skcry.CryDetector.card : Makes one.

    Examples
    --------
    >>> from skcry.sharing import ModelCard
    >>> print(ModelCard("A detector", [("Threshold", ["A second counts from 0.4 on.", {"threshold": 0.4}])]))
    # A detector
    <BLANKLINE>
    ## Threshold
    <BLANKLINE>
    A second counts from 0.4 on.
    <BLANKLINE>
    | | |
    |---|---|
    | threshold | 0.4 |
    <BLANKLINE>
    """

    def __init__(self, title: str, sections: list[tuple[str, list]]) -> None:
        self.title = title
        self.sections = sections

    def __str__(self):
        parts = [f"# {self.title}"]
        for heading, paragraphs in self.sections:
            parts.append(f"## {heading}")
            for one in paragraphs:
                if isinstance(one, dict):
                    rows = [f"| {_one_line(name)} | {_one_line(value)} |" for name, value in one.items()]
                    parts.append("\n".join(["| | |", "|---|---|", *rows]))
                else:
                    parts.append(f"```\n{one[0]}\n```" if isinstance(one, tuple) else one)
        return "\n\n".join(parts) + "\n"

    def __repr__(self):
        return f"<ModelCard: {self.title}>"

    def to_html(self) -> str:
        """Give the card as HTML.

        Returns
        -------
        str
            A page fragment: headings, paragraphs and tables, with all that was given escaped.
        """
        parts = [f"<h1>{html.escape(self.title)}</h1>"]
        for heading, paragraphs in self.sections:
            parts.append(f"<h2>{html.escape(heading)}</h2>")
            for one in paragraphs:
                if isinstance(one, dict):
                    rows = (
                        f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
                        for name, value in one.items()
                    )
                    parts.append(f"<table>{''.join(rows)}</table>")
                else:
                    tag, text = ("pre", one[0]) if isinstance(one, tuple) else ("p", one)
                    parts.append(f"<{tag}>{html.escape(text)}</{tag}>")
        return "\n".join(parts)

    def _repr_html_(self):
        return self.to_html()


def _one_line(value):
    return str(value).replace("|", "\\|").replace("\n", " ")


def describe_labels(y, durations, annotated):
    """Count what the labels of the training recordings cover.

    Parameters
    ----------
    y : list of DataFrame or of list of tuples, or ndarray of shape (n_recordings,)
        Annotations, or one label per recording.
    durations : ndarray of shape (n_recordings,)
        In seconds.
    annotated : bool
        Whether ``y`` holds annotations.

    Returns
    -------
    dict of str to list of (int, float)
        For each label the number of stretches, or of recordings, and their duration in seconds.
    """
    found: dict[str, list] = defaultdict(lambda: [0, 0.0])
    for one, duration in zip(y, durations, strict=True):
        rows = [(one, duration)]
        if annotated:
            table = as_annotations(one)
            rows = list(zip(table["label"], table["offset"] - table["onset"], strict=True))
        for label, seconds in rows:
            found[str(label)][0] += 1
            found[str(label)][1] += float(seconds)
    return dict(sorted(found.items()))


def make_card(detector):
    """Describe a fitted detector.

    Parameters
    ----------
    detector : CryDetector
        Fitted.

    Returns
    -------
    ModelCard
    """
    training = detector.training_
    return ModelCard(
        "Model card: a detector of infant crying",
        [
            ("What it does", _purpose(detector)),
            ("What it was trained on", _data(training)),
            ("How well it does", _scores(detector)),
            ("When it says crying", _threshold(detector)),
            ("Limits", _limits(detector)),
            ("How it is made", _parameters(detector)),
            ("Versions", [{"trained on": training["date"], **training["versions"]}]),
        ],
    )


def _purpose(detector):
    names = ", ".join(map(str, detector.classes_))
    if detector.positive_index_ is None:
        return [f"For every second of a recording it says how probable each of these is: {names}."]
    return [
        "For every second of a recording it gives a score from 0 to 1 for whether an infant cries, and joins seconds "
        f"to events: gaps up to {detector.merge_gap:g} s are closed, and what is then shorter than "
        f"{detector.min_duration:g} s is dropped. It hears windows of {detector.windower_.window_duration:g} s at "
        f"{detector.windower_.sr} Hz."
    ]


def _data(training):
    names, n = training["recordings"], len(training["recordings"])
    shown = ", ".join(names[:MAX_NAMES]) + (f" and {n - MAX_NAMES} more" if n > MAX_NAMES else "")
    facts = {
        "recordings": n,
        "infants or homes": training["n_groups"] if training["grouped"] else "not known: every recording by itself",
        "sound": _time(training["seconds"]),
    }
    if training["crying_seconds"] is not None:
        share = training["crying_seconds"] / training["seconds"]
        facts["crying in it"] = f"{_time(training['crying_seconds'])} ({share:.0%})"
    unit = "stretches" if training["annotated"] else "recordings"
    for label, (count, seconds) in training["labels"].items():
        facts[f"labelled {label}"] = f"{count} {unit}, {_time(seconds)}"
    return [facts, f"Files: {shown}."]


def _time(seconds):
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _scores(detector):
    left_out = detector.left_out_
    if left_out is None:
        return ["Not measured: it was fitted without cross-validation. Ask for scores on recordings like your own."]
    truth, score, group = left_out["crying"], left_out["score"], left_out["group"]
    found = score >= detector.threshold_
    unit = "seconds" if detector.training_["annotated"] else "recordings"
    n_groups = len(np.unique(group))
    metrics = {
        "average precision (1 is best)": (average_precision_score, score),
        "F1 at the threshold (1 is best)": (f1_score, found),
        f"share of the {unit} that it calls crying that are": (precision_score, found),
        f"share of the {unit} of crying that it finds": (recall_score, found),
    }
    table = {f"chance: share of the {unit} that are crying": f"{truth.mean():.2f}"}
    for name, (metric, values) in metrics.items():
        low, high = _interval(metric, truth, values, group)
        table[name] = f"{metric(truth, values):.2f}, from {low:.2f} to {high:.2f}"
    return [
        f"Measured on {len(truth)} {unit} of {n_groups} infants, homes or recordings, each while it was left out of "
        f"training; ranges would cover other such sets of homes in {LEVEL:.0%} of cases, less surely where these are "
        "few. The threshold was chosen on the same scores, so what hangs on it is a little too good.",
        table,
    ]


def _interval(metric, truth, values, group):
    def defined(truth, values):
        return metric(truth, values) if truth.any() and (values > 0).any() else np.nan

    return bootstrap_interval(
        defined, truth, values, groups=group, level=LEVEL, n_resamples=N_RESAMPLES, random_state=0
    )


def _threshold(detector):
    if detector.positive_index_ is None:
        return ["The most probable class of each second is its label; no threshold is needed."]
    if detector.threshold != "cv":
        aim = "given by whoever trained it"
    elif detector.max_false_alarms is not None:
        aim = f"chosen for at most {detector.max_false_alarms:g} false alarms per hour on recordings left out"
    else:
        aim = "chosen for the best F1, a balance of finding crying and raising no false alarm, on recordings left out"
    parts = [f"A second counts as crying from a score of {detector.threshold_:.3g} on; {aim}."]
    if detector.level_:
        parts.append(f"It was then adapted to another home: {detector.level_:+.2f} on the log-odds of crying.")
    return parts


def _limits(detector):
    return [
        "It knows recorders, homes and infants like those it was trained on. Elsewhere, listen to some of what it "
        "finds and of what it leaves out before you believe its numbers. It tells sound, not distress, and is no "
        "medical device."
    ]


def _parameters(detector):
    given = {name: value for name, value in detector.get_params(deep=False).items() if not hasattr(value, "fit")}
    described = {name: repr(value) for name, value in given.items()}
    parts = [detector.windower_, *([] if detector.gate_ is None else [detector.gate_]), detector.estimator_]
    return [described, ("\n".join(part.__repr__(N_CHAR_MAX=10_000) for part in parts),)]
