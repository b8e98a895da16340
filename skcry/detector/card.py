"""The model card of a detector: training data, scores on left-out data, threshold, limits and parameters.

After M. Mitchell et al. (2019), Model cards for model reporting, FAT* '19.
"""

import html

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from ..events import as_annotations
from ..metrics import bootstrap_interval
from ..nn.frame_cnn import FrameCNNClassifier
from ..nn.pretrained_embedding import PretrainedEmbedding
from ..pretrained import FOLDER

N_RESAMPLES = 200
LEVEL = 0.9
MAX_NAMES = 20  # recordings that are listed by name
LIMITS = (
    "Expect these scores only with recorders, homes and infants that are similar to the training data. With others, "
    "listen to samples of the detected and the undetected sound before you use the results. The detector detects "
    "sound, not distress, and is not a medical device."
)


class ModelCard:
    """A title, and sections with text and tables.

    ``str(card)`` is markdown; a notebook shows HTML.

    Parameters
    ----------
    title : str
        First line.
    sections : list of tuple of (str, list)
        Headings and their paragraphs. A str is text, a dict is a table of two columns, a tuple of one str is code.

    See Also
    --------
    skcry.CryDetector.card : Card of a fitted detector.

    Examples
    --------
    >>> from skcry.sharing import ModelCard
    >>> print(ModelCard("A detector", [("Threshold", [{"threshold": 0.4}])]))
    # A detector
    <BLANKLINE>
    ## Threshold
    <BLANKLINE>
    | | |
    |---|---|
    | threshold | 0.4 |
    <BLANKLINE>
    """

    __module__ = "skcry.sharing"

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
        """Return the card as HTML.

        Returns
        -------
        str
            A page fragment with headings, paragraphs and tables. All text is escaped.
        """

        def tag(name, text):
            return f"<{name}>{html.escape(str(text))}</{name}>"

        parts = [tag("h1", self.title)]
        for heading, paragraphs in self.sections:
            parts.append(tag("h2", heading))
            for one in paragraphs:
                if isinstance(one, dict):
                    rows = (f"<tr>{tag('th', name)}{tag('td', value)}</tr>" for name, value in one.items())
                    parts.append(f"<table>{''.join(rows)}</table>")
                else:
                    parts.append(tag("pre", one[0]) if isinstance(one, tuple) else tag("p", one))
        return "\n".join(parts)

    _repr_html_ = to_html


def _one_line(value):
    return str(value).replace("|", "\\|").replace("\n", " ")


def name_recordings(names, y):
    """Return names of recordings (n_recordings,), of arrays those that `load_annotated` noted in the annotations."""
    return [getattr(one, "attrs", {}).get("recording", name) for one, name in zip(y, names, strict=True)]


def describe_labels(y, durations, annotated):
    """For each label, return the number of stretches (of recordings if not ``annotated``) and their seconds.

    ``y`` holds annotations, or one label per recording; ``durations`` is of shape (n_recordings,), in seconds.
    """
    found: dict[str, list] = {}
    for one, duration in zip(y, durations, strict=True):
        labels, lengths = [one], [duration]
        if annotated:
            table = as_annotations(one, duration=duration)
            labels, lengths = table["label"], table["offset"] - table["onset"]
        for label, length in zip(labels, lengths, strict=True):
            count, total = found.get(str(label), (0, 0.0))
            found[str(label)] = [count + 1, total + float(length)]
    return dict(sorted(found.items()))


def make_card(detector):
    """Return the ModelCard of a fitted CryDetector."""
    training = detector.training_
    sections = {
        "Purpose": _purpose(detector),
        "Training data": _data(training),
        "Pre-training": _pretraining(detector.estimator_),
        "Scores on left-out data": _scores(detector),
        "Threshold": _threshold(detector),
        "Limits": [LIMITS],
    }
    last = {
        "Parameters": _parameters(detector),
        "Versions": [{"trained on": training["date"], **training["versions"]}],
    }
    for heading, paragraphs in training.get("notes", {}).items():
        (last if heading in last else sections).setdefault(heading, []).extend(paragraphs)
    told = [(heading, paragraphs) for heading, paragraphs in {**sections, **last}.items() if paragraphs]
    return ModelCard("Model card: a detector of infant crying", told)


def _purpose(detector):
    if detector.positive_index_ is None:
        names = ", ".join(map(str, detector.classes_))
        return [f"For each second of a recording, the detector gives the probability of each class: {names}."]
    return [
        "For each second of a recording, the detector gives a score from 0 to 1 for infant crying. It then joins "
        f"seconds to events: it closes gaps of up to {detector.merge_gap:g} s, and drops events shorter than "
        f"{detector.min_duration:g} s. It scores windows of {detector.windower_.window_duration:g} s at "
        f"{detector.windower_.sr} Hz."
    ]


def _data(training):
    names, n = training["recordings"], len(training["recordings"])
    shown = ", ".join(names[:MAX_NAMES]) + (f" and {n - MAX_NAMES} more" if n > MAX_NAMES else "")
    facts = {
        "recordings": n,
        "infants or homes": training["n_groups"] if training["grouped"] else "unknown: each recording is a group",
        "sound": _time(training["seconds"]),
    }
    if training["crying_seconds"] is not None:
        share = training["crying_seconds"] / training["seconds"]
        facts["crying in it"] = f"{_time(training['crying_seconds'])} ({share:.0%})"
    unit = "stretches" if training["annotated"] else "recordings"
    for label, (count, seconds) in training["labels"].items():
        facts[f"labelled {label}"] = f"{count} {unit}, {_time(seconds)}"
    return [facts, f"Files: {shown}."]


def _pretraining(estimator):
    """Tell what the network that comes with the package was trained on; empty if the estimator does not use it."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    parts = [estimator, *estimator.get_params().values()]
    if not any(isinstance(one, PretrainedEmbedding) or _is_fine_tuned(one) for one in parts):
        return []
    text = (FOLDER / "CREDITS.md").read_text(encoding="utf-8")
    about = text.partition("\n## ")[0].split("\n\n")[1:]  # without the title
    about.append("Authors, sources and licences: skcry/pretrained/CREDITS.md, a file of the package.")
    return [" ".join(one.split()) for one in about]


def _is_fine_tuned(part):
    # Old pickles have no init.
    return isinstance(part, FrameCNNClassifier) and getattr(part, "init", None) == "pretrained"


def _time(seconds):
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _scores(detector):
    left_out = detector.left_out_
    if left_out is None:
        return ["Not measured: the detector was fitted without cross-validation. Score it on your own recordings."]
    truth, score, group = left_out["crying"], left_out["score"], left_out["group"]
    found = score >= detector.threshold_
    unit = "seconds" if detector.training_["annotated"] else "recordings"

    def cell(metric, values):
        def defined(truth, values):
            return metric(truth, values) if truth.any() and (values > 0).any() else np.nan

        about = {"groups": group, "level": LEVEL, "n_resamples": N_RESAMPLES, "random_state": 0}
        low, high = bootstrap_interval(defined, truth, values, **about)
        return f"{metric(truth, values):.2f}, from {low:.2f} to {high:.2f}"

    return [
        f"Measured on {len(truth)} {unit} of {len(np.unique(group))} infants, homes or recordings. Each was scored by "
        f"a model that was not trained on it. The ranges are {LEVEL:.0%} bootstrap intervals over these; with few of "
        "them, they are too narrow. The threshold was chosen on the same scores, so figures that depend on it are "
        "slightly optimistic.",
        {
            f"chance: share of the {unit} that are crying": f"{truth.mean():.2f}",
            "average precision (1 is best)": cell(average_precision_score, score),
            "F1 at the threshold (1 is best)": cell(f1_score, found),
            f"precision: share of the detected {unit} that are crying": cell(precision_score, found),
            f"recall: share of the crying {unit} that are detected": cell(recall_score, found),
        },
    ]


def _threshold(detector):
    if detector.positive_index_ is None:
        return ["The label of a second is its most probable class; there is no threshold."]
    if detector.threshold != "cv":
        aim = "set by the user"
    elif detector.max_false_alarms is not None:
        aim = f"chosen for at most {detector.max_false_alarms:g} false alarms per hour on left-out recordings"
    else:
        aim = "chosen for the best F1 (a balance of precision and recall) on left-out recordings"
    parts = [f"A second counts as crying if its score is at least {detector.threshold_:.3g}. This threshold was {aim}."]
    if detector.level_:
        parts.append(
            f"The detector was then calibrated to another home: {detector.level_:+.2f} on the log-odds of crying."
        )
    return parts


def _parameters(detector):
    parts = [part for part in (detector.windower_, detector.gate_, detector.estimator_) if part is not None]
    values = {name: repr(one) for name, one in detector.get_params(deep=False).items() if not hasattr(one, "fit")}
    return [values, ("\n".join(part.__repr__(N_CHAR_MAX=10_000) for part in parts),)]
