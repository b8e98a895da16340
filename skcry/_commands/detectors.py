"""Commands about detectors: train, evaluate, print the card, export as a model."""

import sys
import warnings
from pathlib import Path

from .shared import PICKLES, is_detector, load_detector, refuse_existing, show, write_detector

N_RESAMPLES = 200


def train(options):
    """Fit a detector."""
    from .. import CryDetector, EnergyGate, Windower, make_cry_pipeline
    from .._progress import Stages

    refuse_existing(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)  # rather now than after the training
    data, size = _annotated(options)
    print(f"Training on {size}")
    about: dict = {}
    if options.features != "pretrained":
        about["estimator"] = make_cry_pipeline(features=options.features, random_state=options.seed)
    if options.features in ("embedding", "stats"):
        about["target_duration"] = None  # features of whole windows need labels of whole windows
    detector = CryDetector(
        windower=Windower(channel=options.channel),
        gate=EnergyGate() if options.gate else None,
        positive=tuple(options.positive),
        negative=None if options.negative is None else tuple(options.negative),
        ignore=tuple(options.ignore),
        random_state=options.seed,
        **about,
    )
    with Stages():
        detector.fit(data.recordings, data.annotations, groups=data.groups)
    write_detector(detector, options.out)
    (scores,) = (paragraphs for heading, paragraphs in detector.card().sections if heading == "Scores on left-out data")
    for paragraph in scores:
        lines = [f"  {name}: {value}" for name, value in paragraph.items()] if isinstance(paragraph, dict) else None
        print("\n".join(lines) if lines else f"Scores on left-out data: {paragraph}")
    print(f"Seconds with a score of {detector.threshold_:.3f} or more count as crying")
    print(f"Written to {options.out}; see skcry card {options.out}")


def _annotated(options):
    """Load a folder of annotated recordings, and tell how many there are."""
    from ..datasets import load_annotated
    from ..datasets.folders import READ_BY_WINDOWER

    print("Reading the recordings ...", file=sys.stderr)
    about = {name: getattr(options, name) for name in ("channel", "format", "tier", "recording")}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f".*{READ_BY_WINDOWER}")  # which has the channel as well
        data = load_annotated(options.folder, **about)
    hours = data.durations.sum() / 3600
    return data, f"{len(data.recordings)} recordings in {len(set(data.groups.tolist()))} groups, {hours:.2f} h"


def evaluate(options):
    """Compare a detector with annotated recordings that it was not trained on."""
    *paths, folder = map(Path, options.names)
    if paths and is_detector(folder) and not is_detector(paths[0]):
        raise ValueError(f"The detector comes first: {folder} {paths[0]}")
    options.folder = folder
    detector = load_detector(paths[0] if paths else None, options.trusted)
    label = options.label
    name = paths[0] if paths else "The detector"
    if detector.positive_index_ is None and label is None:
        names = ", ".join(map(repr, detector.classes_.tolist()))
        raise ValueError(f"{name} tells several classes apart, {names}. Choose one with --label.")
    if detector.positive_index_ is not None and label is not None:
        raise ValueError(f"{name} detects crying alone, so --label {label} has no meaning. Leave it out.")
    data, size = _annotated(options)
    print(f"Evaluating on {size}")
    known = set(detector.training_["recordings"]) & set(data.names)
    if known:
        print(
            f"Warning: {len(known)} of these recordings have the name of a training recording, such as "
            f"{min(known)}. If they are the same, the scores are too good.",
            file=sys.stderr,
        )
    scores = score_detector(detector, data, label)
    print("Ranges: 90 % bootstrap intervals over the groups; too narrow with ten groups or fewer")
    show(scores, options.out, 3)


def score_detector(detector, data, label=None):
    """Score a detector on annotated recordings: DataFrame of scores with ``value``, ``low`` and ``high``."""
    import pandas as pd

    from .. import metrics
    from ..metrics.scorers import Evaluation

    rules = {"merge_gap": detector.merge_gap, "min_duration": detector.min_duration}
    found = Evaluation(detector, data.recordings, data.annotations, label=label, **rules)
    counts, minutes = found.counts, found.minutes
    known = found.truth.notna()
    truth, timeline = found.truth[known].astype(bool), found.timeline[known]
    seconds = pd.DataFrame({"true": truth, "found": timeline["cry"], "both": truth & timeline["cry"]})
    seconds = seconds.groupby(level="recording").sum()

    group = pd.Series(data.groups)
    of_second = group[timeline.index.get_level_values("recording")]
    rows = truth.to_numpy(), timeline["score"].to_numpy()
    scores = {"seconds: average precision": _scored(_average_precision, of_second, *rows)}
    for name in ("F1", "precision", "recall"):
        scores[f"seconds: {name}"] = _scored(_picked(_rates, name), group, seconds)
    for name in ("f1", "precision", "recall", "false_alarms_per_hour"):
        shown = name.replace("_", " ").replace("f1", "F1")
        scores[f"events: {shown}"] = _scored(_picked(metrics.event_metrics, name), group, counts)
    for name in ("bias", "mean_absolute_error"):
        metric = _picked(metrics.cry_minutes_metrics, name)
        scores[f"cry minutes per hour: {name.replace('_', ' ')}"] = _scored(metric, group[minutes.index], minutes)
    return pd.DataFrame(scores).T.rename_axis("score")


def _scored(metric, groups, *arrays):
    """Return a score and the bounds of its interval over groups; NaN for a single group."""
    from ..metrics import bootstrap_interval

    low = high = float("nan")
    if len(groups.unique()) > 1:
        about = {"n_resamples": N_RESAMPLES, "random_state": 0}
        low, high = bootstrap_interval(metric, *arrays, groups=groups.to_numpy(), **about)
    return {"value": float(metric(*arrays)), "low": low, "high": high}


def _picked(metrics, name):
    """Return the metric ``name`` of a function that computes several."""
    return lambda table: metrics(table)[name]


def _average_precision(truth, score):
    from sklearn.metrics import average_precision_score

    return average_precision_score(truth, score) if truth.any() else float("nan")


def _rates(seconds):
    """Return F1, precision and recall of counts of seconds (n_recordings, 3); NaN where they are undefined."""
    true, found, both = seconds[["true", "found", "both"]].sum().astype(float)
    rates = {"F1": (2 * both, true + found), "precision": (both, found), "recall": (both, true)}
    return {name: part / whole if whole else float("nan") for name, (part, whole) in rates.items()}


def export_model(options):
    """Write a detector as a model of ONNX."""
    from .. import export_onnx

    refuse_existing(options)
    export_onnx(load_detector(options.detector), options.out, dtype=options.dtype, overwrite=options.overwrite)
    print(f"Written to {options.out}, {options.out.stat().st_size / 1e6:.1f} MB, {options.dtype}")


def card(options):
    """Print the model card of a detector."""
    from ..sharing import PRETRAINED, read_about

    path = PRETRAINED if options.detector is None else options.detector
    if not path.is_file() or path.suffix in PICKLES:
        print(load_detector(options.detector).card())
        return
    about = read_about(path)
    if about["card"] is None:
        raise ValueError(f"{path} holds a {about['type']} without a model card.")
    print(about["card"])
