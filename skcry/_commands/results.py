"""Commands about folders of results: detect, report, export."""

import sys
import time
from collections import Counter
from pathlib import Path

from .shared import load_detector, set_channel, show, split_names

SUFFIXES = {"audacity": ".txt", "textgrid": ".TextGrid", "elan": ".eaf", "csv": ".csv"}  # that `export` writes
N_SHOWN = 40  # events of a single recording


def detect(options):
    """Detect crying in files, and write the results of each."""
    from .. import detect_files
    from ..files.manifest import result_paths
    from ..files.recordings import list_recordings
    from ..io import read_annotations

    path, names = split_names(options.names)
    if not names:
        raise ValueError(f"{path} is a detector. Name recordings, or a folder of recordings, after it.")
    detector = load_detector(path, options.trusted)
    set_channel(detector, options.channel)
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


def report(options):
    """Summarise a folder of results."""
    from .._clock import is_pattern
    from ..files import report

    start = options.start if options.start is None or is_pattern(options.start) else Path(options.start)
    table = report(options.results, by=options.by, label=options.label, start=start)
    show(table, options.out, 2)


def export(options):
    """Write the events of a folder of results as annotation files."""
    from ..files import read_manifest
    from ..files.manifest import result_paths
    from ..io import read_annotations, write_annotations

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
