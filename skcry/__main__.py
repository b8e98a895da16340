"""Train, detect and report from the command line: ``skcry --help`` or ``python -m skcry --help``."""

import argparse
import sys
import time
import warnings
from pathlib import Path

PICKLES = (".joblib", ".pickle", ".pkl")  # what is not named so holds data only


def _train(options):
    import joblib

    from . import CryDetector, EnergyGate, Windower, save
    from .datasets import load_annotated

    if options.out.exists() and not options.overwrite:
        raise ValueError(f"{options.out} exists. Give another name, or pass --overwrite.")
    options.out.parent.mkdir(parents=True, exist_ok=True)  # rather now than after the training
    data = load_annotated(options.folder, channel=options.channel)
    hours = sum(map(len, data.recordings)) / 16000 / 3600
    print(f"Training on {len(data.recordings)} recordings in {len(set(data.groups.tolist()))} groups, {hours:.2f} h")
    detector = CryDetector(
        windower=Windower(channel=options.channel),
        gate=EnergyGate() if options.gate else None,
        positive=tuple(options.positive),
        negative=None if options.negative is None else tuple(options.negative),
        random_state=options.seed,
    )
    detector.fit(data.recordings, data.annotations, groups=data.groups)
    from .io.text_files import atomic_path

    if options.out.suffix in PICKLES:
        with atomic_path(options.out) as temporary:
            joblib.dump(detector, temporary)
    else:
        save(detector, options.out)
    print(f"Seconds with a score of {detector.threshold_:.3f} or more count as crying")
    print(f"Written to {options.out}")


def _detect(options):
    import joblib

    from . import detect_files, load

    if not options.detector.is_file():
        raise FileNotFoundError(f"{options.detector}: no such file. Train a detector first: skcry train.")
    try:
        detector = (joblib.load if options.detector.suffix in PICKLES else load)(options.detector)
    except Exception as error:
        raise ValueError(
            f"{options.detector} cannot be opened as a detector ({type(error).__name__}: {error}). It must be what "
            f"train or skcry.save wrote, or a pickle, named {' or '.join(PICKLES)}, of the same versions."
        ) from None
    if not hasattr(detector, "timeline"):
        raise ValueError(f"{options.detector} holds a {type(detector).__name__}, not a detector.")
    if options.channel is not None:
        for part in filter(None, (detector.windower_, detector.gate_)):
            part.set_params(channel=options.channel)
    recordings = options.recordings[0] if len(options.recordings) == 1 else options.recordings
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
    print(f"Crying: {manifest['cry_duration'].sum() / 60:.1f} min in {manifest['n_bouts'].sum()} bouts")
    print(f"Written to {options.out}")
    return 1 if (manifest["status"] == "error").any() else 0


def _report(options):
    from .files import report

    table = report(options.results, by=options.by, start=options.start)
    if options.out is not None:
        table.to_csv(options.out, float_format="%.6g")
        print(f"Written to {options.out}")
        return
    print(table.round(2).to_string())


def _parser():
    prog = "python -m skcry" if Path(sys.argv[0]).name == "__main__.py" else "skcry"
    parser = argparse.ArgumentParser(
        prog=prog, description="Detect infant crying in long recordings.", allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="{train,detect,report}")

    train = commands.add_parser("train", help="fit a detector on a folder of annotated recordings")
    train.add_argument("folder", type=Path, help="audio files, each with an annotation file of the same name")
    train.add_argument(
        "--out", type=Path, default=Path("detector.skcry"), help="file for the detector; a pickle if it ends in .joblib"
    )
    train.add_argument(
        "--positive", nargs="+", default=["cry"], metavar="LABEL", help="labels that mean crying (after the folder)"
    )
    train.add_argument("--negative", nargs="+", metavar="LABEL", help="the only other labels that may occur")
    train.add_argument("--gate", action="store_true", help="leave seconds without energy above 350 Hz out")
    train.add_argument("--seed", type=int, default=0, help="seed of the training")
    train.add_argument("--overwrite", action="store_true", help="replace an existing detector")
    train.set_defaults(run=_train)

    detect = commands.add_parser("detect", help="detect crying in recordings; goes on where it was interrupted")
    detect.add_argument("detector", type=Path, help="what train wrote; a .joblib runs code, so trust its author")
    detect.add_argument("recordings", nargs="+", help="a folder, or files")
    detect.add_argument("--out", type=Path, default=Path("results"), help="folder for the results")
    detect.add_argument("--jobs", type=int, default=1, help="number of files at a time")
    detect.add_argument("--on-error", choices=["warn", "raise"], default="warn", help="what to do on unreadable files")
    detect.add_argument("--overwrite", action="store_true", help="begin anew")
    detect.add_argument("--progress", action=argparse.BooleanOptionalAction, help="show a bar (default: in a terminal)")
    detect.set_defaults(run=_detect)
    for command in (train, detect):
        command.add_argument("--channel", type=int, help="channel to read, from 0 (default: mix them down)")

    report = commands.add_parser("report", help="summarise results per recording or per hour")
    report.add_argument("results", type=Path, help="folder that detect wrote")
    report.add_argument("--by", choices=["recording", "hour"], default="recording", help="a row for each ...")
    report.add_argument("--start", type=Path, help="CSV file with columns file,start: hours are then clock hours")
    report.add_argument("--out", type=Path, help="CSV file for the table (default: print it)")
    report.set_defaults(run=_report)
    return parser


def main(arguments=None):
    """Run a command.

    Parameters
    ----------
    arguments : list of str or None, default=None
        As on the command line. None means those of this process.

    Returns
    -------
    int
        0, or 1 where some recordings could not be read, 2 where nothing could be done, 130 when interrupted.
    """
    options = _parser().parse_args(arguments)

    def show(message, category, filename, lineno, file=None, line=None):
        print(f"Warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        try:
            return options.run(options) or 0
        except KeyboardInterrupt:
            print("Interrupted. What is finished is kept; the same command goes on with the rest.", file=sys.stderr)
            return 130
        except (OSError, ValueError) as error:
            print(f"Error: {error}", file=sys.stderr)
            for note in getattr(error, "__notes__", ()):
                print(note, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
