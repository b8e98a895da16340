"""Commands about clips that a person judges: write a page, estimate, correct a detector."""

import itertools
import sys
import warnings
from pathlib import Path

from .shared import load_detector, refuse_existing, set_channel, show, sources_of, write_detector

LEVEL = 0.9  # of intervals of estimates
THRESHOLDS = [round(0.1 * step, 1) for step in range(1, 10)]


def review(options):
    """Write a page in which a person judges clips of recordings in which crying was detected."""
    from .._clock import is_pattern
    from ..files import read_manifest, read_timelines
    from ..files.report import read_start
    from ..review import select_clips, write_review

    refuse_existing(options)
    recordings = options.recordings or sources_of(read_manifest(options.results))
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
    from ..datasets.folders import read_columns
    from ..files import read_timelines
    from ..review import estimate_crying, precision_by_threshold, read_review

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
    show(table, options.out, 2)


def _compared(judged, one, other):
    """Say in a line how well two listeners agree."""
    from ..metrics import agreement
    from ..review import review_annotations
    from ..review.judgements import CLIP

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
    from ..files import read_manifest, read_timelines
    from ..files.manifest import describe, is_of
    from ..review import read_review
    from ..review.correction import agreed_clips, compare_found, level_annotations
    from ..review.sounds import find_recordings

    refuse_existing(options)
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
    detector = load_detector(options.detector, options.trusted)
    if detector.positive_index_ is None:
        names = ", ".join(map(repr, detector.classes_.tolist()))
        raise ValueError(
            f"{options.detector} tells several classes apart, {names}, and a level is of crying alone. Train with "
            "--positive naming the labels that are crying."
        )
    set_channel(detector, options.channel)
    if not is_of(options.results, describe(detector)):
        raise ValueError(
            f"{options.results} holds results of another detector than {options.detector or 'the one of skcry'}. Name "
            "the one that found them with --detector, and the channel that it read with --channel; or detect again, "
            "into another folder."
        )
    ours = manifest[manifest["file"].isin(review["recording"])]
    names = ours["file"].tolist()
    paths = find_recordings(options.recordings or sources_of(ours), names, "judgements")
    label = detector.crying_labels_ if isinstance(detector.crying_labels_, str) else detector.crying_labels_[0]
    annotations = level_annotations(review, dict(zip(names, ours["duration"], strict=True)), label)
    seconds = read_timelines(options.results, names)
    compared = compare_found(seconds, clips, detector.threshold_, detector.level_)

    print(f"Listening to {len(names)} recordings, {ours['duration'].sum() / 3600:.2f} h ...", file=sys.stderr)
    detector.calibrate(list(paths.values()), [annotations[name] for name in names])
    write_detector(detector, options.out)
    left = n_clips - len(clips)
    more = f"; left out, because unsure or judged differently: {left}" if left else ""
    print(f"{len(clips)} clips, {clips['crying'].sum()} of them crying{more}")
    print(compared.round(2).to_string())
    print("Corrected: each clip is told by what the other clips teach, so that none is its own judge")
    if compared["F1"]["corrected"] < compared["F1"]["before"]:
        print("On these clips the correction is no gain. Judge more, or keep the detector that you have")
    print(f"The level is {detector.level_:+.2f}: it is added to the log-odds of crying")
    print(f"Written to {options.out}; next: skcry detect {options.out} RECORDINGS --out corrected")
