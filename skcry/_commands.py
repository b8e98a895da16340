"""The commands of the command line, each a function of its options; :mod:`skcry.__main__` parses these."""

import itertools
import re
import sys
import time
import warnings
from collections import Counter
from dataclasses import asdict
from pathlib import Path

PICKLES = (".joblib", ".pickle", ".pkl")  # what is not named so holds data only
SUFFIXES = {"audacity": ".txt", "textgrid": ".TextGrid", "elan": ".eaf", "csv": ".csv"}  # that `export` writes
N_RESAMPLES = 200
CLEAR = "\r\x1b[K"  # removes the line of the meter
N_SHOWN = 40  # events of a single recording
LEVEL = 0.9  # of intervals of estimates
THRESHOLDS = [round(0.1 * step, 1) for step in range(1, 10)]
# Options by the names of the parameters that they set.
OPTIONS = {name: f"--{name}" for name in ("channel", "features", "label", "negative", "overwrite", "positive", "start")}
OPTIONS |= {name: f"--{name}" for name in ("format", "ignore", "recording", "recordings", "strategy", "lowpass", "n")}
OPTIONS |= {"n_jobs": "--jobs", "on_error": "--on-error", "random_state": "--seed", "tier": "--tier"}
OPTIONS["max_speech"] = "--max-speech"
OPTIONS["trusted"] = "--trusted"


def in_terms(text):
    """Replace parameters of Python in a message, such as ``overwrite=True``, by options of the command line."""

    def option(found):
        value = re.sub(r"[()\[\]'\",]", " ", found[2] or "").split()
        if found[1] not in OPTIONS or value == ["None"]:
            return found[0]
        return " ".join([OPTIONS[found[1]], *(value if value != ["True"] else [])])

    return re.sub(r"\b([a-z_]+)=(\([^()]*\)|\[[^\[\]]*\]|'[^']*'|\"[^\"]*\"|\w+)?", option, text)


def _split(names):
    """Return the path of the detector, None for the one that comes with skcry, and the other names.

    The first name is a detector if it ends like one or holds one; and as the first of several also if it is a file that
    is no sound, which is then an error rather than a recording that cannot be read.
    """
    from .datasets.folders import AUDIO_SUFFIXES
    from .io.file_kinds import sound_kind

    first, *others = map(Path, names)
    for one in others:
        if _is_detector(one) and not _is_detector(first):
            raise ValueError(f"The detector comes first: {one} {first}")
    if not first.exists() and not _is_detector(first):
        raise FileNotFoundError(
            f"{first}: no such file or folder. The first name is a detector, such as detector.skcry, or a recording or "
            "a folder of recordings, for the detector that comes with skcry."
        )
    is_sound = first.suffix.lower() in AUDIO_SUFFIXES or (first.is_file() and sound_kind(first) is not None)
    if _is_detector(first) or (others and first.is_file() and not is_sound):
        return first, names[1:]
    return None, names


def _is_detector(path):
    """Tell whether a name is one of a detector, by its ending or the first bytes of its file."""
    if path.is_dir():
        return False
    if path.suffix in (".skcry", *PICKLES):
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(12) == b"skcry model,"


def _load(path, trusted=()):
    """Open a detector; None is the one that comes with skcry."""
    import joblib

    from . import __version__, load, load_pretrained

    if path is None:
        detector = load_pretrained()
        date = detector.training_["date"]
        print(f"The detector is the one that comes with skcry {__version__}, trained on {date}", file=sys.stderr)
        return detector
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. The detector comes first: the file that skcry train wrote.")
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. Train a detector first, by skcry train, or leave the name out to use the one that "
            "comes with skcry."
        )
    try:
        detector = joblib.load(path) if path.suffix in PICKLES else load(path, trusted=trusted)
    except Exception as error:
        raise ValueError(
            f"{path} cannot be opened as a detector ({type(error).__name__}: {error}). It must be what train or "
            f"skcry.save wrote, or a pickle, named {' or '.join(PICKLES)}, of the same versions."
        ) from None
    detector = getattr(detector, "best_estimator_", detector)
    if not hasattr(detector, "timeline"):
        raise ValueError(f"{path} holds a {type(detector).__name__}, not a detector.")
    return detector


def _write(detector, path):
    """Write a detector, as a pickle if the name ends like one."""
    import joblib

    from . import save
    from .io.text_files import atomic_path

    if path.suffix in PICKLES:
        with atomic_path(path) as temporary:
            joblib.dump(detector, temporary)
    else:
        save(detector, path)


def _set_channel(detector, channel):
    """Have a detector read this channel; None leaves it as it is."""
    if channel is not None:
        for part in filter(None, (detector.windower_, detector.gate_)):
            part.set_params(channel=channel)


def _annotated(options):
    """Load a folder of annotated recordings, and tell how many there are."""
    from .datasets import load_annotated
    from .datasets.folders import READ_BY_WINDOWER

    print("Reading the recordings ...", file=sys.stderr)
    about = {name: getattr(options, name) for name in ("channel", "format", "tier", "recording")}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f".*{READ_BY_WINDOWER}")  # which has the channel as well
        data = load_annotated(options.folder, **about)
    hours = data.durations.sum() / 3600
    return data, f"{len(data.recordings)} recordings in {len(set(data.groups.tolist()))} groups, {hours:.2f} h"


def train(options):
    """Fit a detector."""
    from . import CryDetector, EnergyGate, Windower, make_cry_pipeline
    from ._progress import Stages

    if options.out.exists() and not options.overwrite:
        raise ValueError(f"{options.out} exists. Give another name, or pass --overwrite.")
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
    _write(detector, options.out)
    (scores,) = (paragraphs for heading, paragraphs in detector.card().sections if heading == "Scores on left-out data")
    for paragraph in scores:
        lines = [f"  {name}: {value}" for name, value in paragraph.items()] if isinstance(paragraph, dict) else None
        print("\n".join(lines) if lines else f"Scores on left-out data: {paragraph}")
    print(f"Seconds with a score of {detector.threshold_:.3f} or more count as crying")
    print(f"Written to {options.out}; see skcry card {options.out}")


def detect(options):
    """Detect crying in files, and write the results of each."""
    from . import detect_files
    from .files.manifest import result_paths
    from .files.recordings import list_recordings
    from .io import read_annotations

    path, names = _split(options.names)
    if not names:
        raise ValueError(f"{path} is a detector. Name recordings, or a folder of recordings, after it.")
    detector = _load(path, options.trusted)
    _set_channel(detector, options.channel)
    recordings = names[0]
    if len(names) > 1:
        recordings = [path for one in names for path in list_recordings(one, options.out)[0]]
    began = time.perf_counter()
    manifest = detect_files(
        detector,
        recordings,
        options.out,
        n_jobs=options.jobs,
        on_error=options.on_error,
        overwrite=options.overwrite,
        progress=sys.stderr.isatty() if options.progress is None else options.progress,
    )
    counts = manifest["status"].value_counts()
    print(
        f"{len(manifest)} recordings, {manifest['duration'].sum() / 3600:.2f} h, in {time.perf_counter() - began:.0f} s"
        f": {counts.get('ok', 0)} ok, {counts.get('warning', 0)} with a warning, {counts.get('error', 0)} unreadable"
    )
    what = "Crying" if detector.positive_index_ is not None else "Events of all classes"
    print(f"{what}: {manifest['cry_duration'].sum() / 60:.1f} min in {manifest['n_bouts'].sum()} bouts")
    if len(manifest) == 1 and manifest["n_bouts"].sum():
        events = read_annotations(result_paths(options.out, manifest["file"][0])[1], format="csv")
        print(events.round(2).to_string(index=False, max_rows=N_SHOWN))
    print(f"Written to {options.out}")
    return 1 if (manifest["status"] == "error").any() else 0


def listen(options):
    """Detect crying in sound while it is recorded, and print events."""
    import contextlib
    import json
    import signal

    from .files.live import LiveResults

    *paths, name = options.names
    detector = _load(Path(paths[0]) if paths else None, options.trusted)
    source, before = _open_source(options, name)
    start = time.time() - before if options.start is None else options.start
    stop = _Stop()
    with contextlib.ExitStack() as stack:
        stack.callback(source.close)
        for one in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, one, signal.signal(one, stop))
        results = None
        if options.out is not None:
            results = stack.enter_context(LiveResults(detector, options.out, start, overwrite=options.overwrite))
        seconds = detector.listen(stop.until(source), sr=source.sr, channel=options.channel)
        print(f"Listening to {name} at {source.sr} Hz, from {_clock(start, 0)} on. End with Ctrl-C.", file=sys.stderr)
        meter = sys.stderr.isatty()
        for one in seconds:
            if results is not None:
                results.push(one)
            if meter:
                print(f"\r{_meter(one, start)}\x1b[K", end="", file=sys.stderr, flush=True)
            for problem in one.problems:
                print(f"{CLEAR if meter else ''}Warning: {problem}", file=sys.stderr)
            if options.jsonl:
                fields = ("second", "score", "cry", "label", "usable", "level", "problems")
                line = {name: getattr(one, name) for name in fields}
                line["label"] = str(line["label"])
                print(json.dumps({"time": _clock(start, one.second), **line}), flush=True)
            for event in one.events:
                if options.jsonl:
                    print(json.dumps({"event": "ended" if event.final else "began", **asdict(event)}), flush=True)
                else:
                    print(f"{CLEAR if meter else ''}{_event_line(event, start)}", flush=True)
        if meter:
            print(file=sys.stderr)
    if options.out is not None:
        print(f"Written to {options.out}", file=sys.stderr)
    if stop.is_set:
        print("Stopped. What was heard is scored to its end.", file=sys.stderr)


class _Stop:
    """Signal handler that ends a source, so that what it gave is still scored, instead of interrupting anywhere."""

    def __init__(self):
        self.is_set, self._waits = False, False

    def __call__(self, number, frame):
        again, self.is_set = self.is_set, True
        if self._waits or again:
            raise KeyboardInterrupt

    def until(self, blocks):
        """Yield blocks until the signal comes."""
        blocks = iter(blocks)
        while not self.is_set:
            self._waits = True
            try:
                block = next(blocks)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._waits = False
            yield block


def _open_source(options, name):
    """Open what to listen to; return it, and the seconds that were recorded before."""
    from .io import follow_wav, microphone, read_pipe

    raw = {"sr": options.sr, "channels": options.channels}
    given = [f"--{key}" for key, value in {**raw, "dtype": options.dtype}.items() if value is not None]
    raw["channels"] = 1 if options.channels is None else options.channels
    if name == "-":
        return read_pipe(sys.stdin.buffer, dtype=options.dtype or "int16", **raw), 0.0
    if name == "microphone":
        if options.dtype is not None:
            raise ValueError("--dtype has no meaning for a microphone. Leave it out.")
        device = int(options.device) if (options.device or "").isdigit() else options.device
        return microphone(device, **raw | {"sr": options.sr or 16000}), 0.0
    if given:
        raise ValueError(f"{', '.join(given)}: the header of {name} tells this. Leave it out.")
    source = follow_wav(name, timeout=options.timeout)
    return source, source.recorded


def _clock(start, second):
    import datetime

    return f"{datetime.datetime.fromtimestamp(start + second):%Y-%m-%d %H:%M:%S}"


def _event_line(event, start):
    onset, offset = (_clock(start, time) for time in (event.onset, event.offset))
    if not event.final:
        return f"{onset}  {event.label} began"
    return f"{onset}  {event.label} ended at {offset[11:]}, {event.offset - event.onset:.0f} s, score {event.score:.2f}"


def _meter(second, start):
    """Return a line with level, from -80 to 0 dB, and score."""
    loud, sure = round(max(0, second.level + 80) / 4), round(second.score * 20)
    what = "no sound" if not second.usable else second.label if second.cry is None else "cry" if second.cry else ""
    level, score = f"{second.level:4.0f} dB |{'=' * loud:20}|", f"{second.score:.2f} |{'#' * sure:20}|"
    return f"{_clock(start, second.second)[11:]} {level} {score} {what}"


def report(options):
    """Summarise a folder of results."""
    from ._clock import is_pattern
    from .files import report

    start = options.start if options.start is None or is_pattern(options.start) else Path(options.start)
    table = report(options.results, by=options.by, label=options.label, start=start)
    _show(table, options.out, 2)


def _show(table, out, decimals):
    """Write a table to a CSV file, or print it."""
    if out is None:
        print(table.round(decimals).to_string())
        return
    table.to_csv(out, float_format="%.6g")
    print(f"Written to {out}")


def evaluate(options):
    """Compare a detector with annotated recordings that it was not trained on."""
    *paths, folder = map(Path, options.names)
    if paths and _is_detector(folder) and not _is_detector(paths[0]):
        raise ValueError(f"The detector comes first: {folder} {paths[0]}")
    options.folder = folder
    detector = _load(paths[0] if paths else None, options.trusted)
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
    _show(scores, options.out, 3)


def score_detector(detector, data, label=None):
    """Score a detector on annotated recordings: DataFrame of scores with ``value``, ``low`` and ``high``."""
    import pandas as pd

    from . import metrics
    from .metrics.scorers import Evaluation

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
    from .metrics import bootstrap_interval

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


def export(options):
    """Write the events of a folder of results as annotation files."""
    from .files import read_manifest
    from .files.manifest import result_paths
    from .io import read_annotations, write_annotations

    manifest = read_manifest(options.results)
    manifest = manifest[manifest["status"] != "error"]
    suffix = SUFFIXES[options.format]
    targets = [Path(file).with_suffix(suffix) for file in manifest["file"]]
    # Recordings that differ only in their extension keep it.
    count = Counter(targets)
    targets = [
        options.out / (target if count[target] == 1 else f"{file}{suffix}")
        for file, target in zip(manifest["file"], targets, strict=True)
    ]
    there = [target for target in targets if target.exists()]
    if there and not options.overwrite:
        raise ValueError(f"{there[0]} exists. Give another folder, or pass --overwrite.")
    for row, target in zip(manifest.itertuples(), targets, strict=True):
        events = read_annotations(result_paths(options.results, row.file)[1], format="csv")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_annotations(events, target, format=options.format, duration=row.duration)
    print(f"Events of {len(targets)} recordings written to {options.out}")


def _sources(manifest):
    """Return the paths of recordings by name, from (rows of) a manifest; refuse them if one is gone."""
    recordings = dict(zip(manifest["file"], manifest["source"], strict=True))
    gone = [path for path in recordings.values() if not Path(path).exists()]
    if gone:
        raise ValueError(
            f"{gone[0]} is no longer there ({len(gone)} of {len(recordings)} recordings). Name their folder with "
            "--recordings."
        )
    return recordings


def review(options):
    """Write a page in which a person judges clips of recordings in which crying was detected."""
    from ._clock import is_pattern
    from .files import read_manifest, read_timelines
    from .files.report import read_start
    from .review import select_clips, write_review

    if options.out.exists() and not options.overwrite:
        raise ValueError(f"{options.out} exists. Give another name, or pass --overwrite.")
    recordings = options.recordings or _sources(read_manifest(options.results))
    about = {name: getattr(options, name) for name in ("n", "strategy", "duration", "context", "label")}
    about["start"] = options.start
    if options.start is not None and not is_pattern(options.start):
        about["start"] = read_start(Path(options.start))
    clips = select_clips(read_timelines(options.results), random_state=options.seed, recordings=recordings, **about)
    about = {name: getattr(options, name) for name in ("channel", "lowpass", "max_speech", "show_score", "overwrite")}
    write_review(clips, options.out, recordings=recordings, **about)
    minutes = (clips["offset"] - clips["onset"] + 2 * options.context).sum() / 60
    most = "" if options.max_speech is None else "at most "
    print(f"{len(clips)} clips of {clips['recording'].nunique()} recordings, {most}{minutes:.1f} min to listen to")
    print(f"Written to {options.out}, {options.out.stat().st_size / 1e6:.1f} MB: open it in a browser")
    print("It holds sound of the recordings: share and delete it as you would these")


def estimate(options):
    """Estimate crying, or precision by threshold, from judged clips of the recordings of a folder of results."""
    from .datasets.folders import read_columns
    from .files import read_timelines
    from .review import estimate_crying, precision_by_threshold, read_review

    judged = read_review(options.reviews)
    seconds, label = read_timelines(options.results), options.label
    groups = None if options.groups is None else read_columns(options.groups, ["file", "group"])
    groups = None if groups is None else groups.set_index("file")["group"]
    if options.thresholds is None:
        table = estimate_crying(seconds, judged, label=label, groups=groups, level=LEVEL)
        n_clips, n_unsure = table.attrs["n_clips"], table.attrs["n_unsure"]
        print(
            f"{n_clips} clips judged as cry or not, {n_unsure} unsure; from low to high: {100 * LEVEL:.0f} % intervals"
        )
    else:
        if groups is not None:
            raise ValueError("--groups is for estimates of crying, not for --thresholds. Leave one of them out.")
        thresholds = options.thresholds or THRESHOLDS
        table = precision_by_threshold(judged, seconds, label=label, thresholds=thresholds, level=LEVEL)
    for one, other in itertools.combinations(sorted(judged["reviewer"].unique()), 2):
        print(_compared(judged, one, other))
    _show(table, options.out, 2)


def _compared(judged, one, other):
    """Say in a line how well two listeners agree."""
    from .metrics import agreement
    from .review import review_annotations
    from .review.judgements import CLIP

    names = " and ".join(name or "the listener without a name" for name in (one, other))
    known = judged[judged["judgement"] != "unsure"]
    first, second = (known[known["reviewer"] == name] for name in (one, other))
    n_both = len(first.merge(second, on=CLIP))
    if not n_both:
        return f"{names} judged no clip in common as cry or not"
    lengths = judged.groupby("recording")["offset"].max()
    sides = (review_annotations(rows, lengths) for rows in (first, second))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of intervals, which are not shown, and of values that are NaN
        values = agreement(*sides, durations=lengths.to_dict(), n_resamples=1)["value"]
    return (
        f"{names} agree in {values['percent_agreement']:.0f} % of {n_both} clips that both judged as cry or not: "
        f"kappa {values['cohen_kappa']:.2f}, AC1 {values['gwet_ac1']:.2f}"
    )


def correct(options):
    """Correct the level of a detector by clips that a person judged."""
    from .files import read_manifest, read_timelines
    from .files.manifest import describe, is_of
    from .review import read_review
    from .review.correction import agreed_clips, compare_found, level_annotations
    from .review.sounds import find_recordings

    if options.out.exists() and not options.overwrite:
        raise ValueError(f"{options.out} exists. Give another name, or pass --overwrite.")
    manifest = read_manifest(options.results)
    manifest = manifest[manifest["status"] != "error"]
    review = read_review(options.reviews, recordings=dict.fromkeys(manifest["file"]))
    clips = agreed_clips(review)
    n_clips = len(review.drop_duplicates(["recording", "onset", "offset"]))
    if clips.empty:
        raise ValueError(
            f"Nothing can be learned from these {n_clips} clips: each is judged unsure, or differently by two "
            "listeners. Judge more."
        )
    detector = _load(options.detector, options.trusted)
    if detector.positive_index_ is None:
        names = ", ".join(map(repr, detector.classes_.tolist()))
        raise ValueError(
            f"{options.detector} tells several classes apart, {names}, and a level is of crying alone. Train with "
            "--positive naming the labels that are crying."
        )
    _set_channel(detector, options.channel)
    if not is_of(options.results, describe(detector)):
        raise ValueError(
            f"{options.results} holds results of another detector than {options.detector or 'the one of skcry'}. Name "
            "the one that found them with --detector, and the channel that it read with --channel; or detect again, "
            "into another folder."
        )
    ours = manifest[manifest["file"].isin(review["recording"])]
    names = ours["file"].tolist()
    paths = find_recordings(options.recordings or _sources(ours), names, "judgements")
    label = detector.crying_labels_ if isinstance(detector.crying_labels_, str) else detector.crying_labels_[0]
    annotations = level_annotations(review, dict(zip(names, ours["duration"], strict=True)), label)
    seconds = read_timelines(options.results, names)
    compared = compare_found(seconds, clips, detector.threshold_, detector.level_)

    print(f"Listening to {len(names)} recordings, {ours['duration'].sum() / 3600:.2f} h ...", file=sys.stderr)
    detector.calibrate(list(paths.values()), [annotations[name] for name in names])
    _write(detector, options.out)
    left = n_clips - len(clips)
    more = f"; left out, because unsure or judged differently: {left}" if left else ""
    print(f"{len(clips)} clips, {clips['crying'].sum()} of them crying{more}")
    print(compared.round(2).to_string())
    print("Corrected: each clip is told by what the other clips teach, so that none is its own judge")
    if compared["F1"]["corrected"] < compared["F1"]["before"]:
        print("On these clips the correction is no gain. Judge more, or keep the detector that you have")
    print(f"The level is {detector.level_:+.2f}: it is added to the log-odds of crying")
    print(f"Written to {options.out}; next: skcry detect {options.out} RECORDINGS --out corrected")


def export_model(options):
    """Write a detector as a model of ONNX."""
    from . import export_onnx

    if options.out.exists() and not options.overwrite:
        raise ValueError(f"{options.out} exists. Give another name, or pass --overwrite.")
    export_onnx(_load(options.detector), options.out, dtype=options.dtype, overwrite=options.overwrite)
    print(f"Written to {options.out}, {options.out.stat().st_size / 1e6:.1f} MB, {options.dtype}")


def card(options):
    """Print the model card of a detector."""
    from .sharing import PRETRAINED, read_about

    path = PRETRAINED if options.detector is None else options.detector
    if not path.is_file() or path.suffix in PICKLES:
        print(_load(options.detector).card())
        return
    about = read_about(path)
    if about["card"] is None:
        raise ValueError(f"{path} holds a {about['type']} without a model card.")
    print(about["card"])
