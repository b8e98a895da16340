"""Train, detect, review and report from the command line: ``skcry --help`` or ``python -m skcry --help``."""

import argparse
import datetime
import os
import sys
import warnings
from pathlib import Path

from . import __version__, _commands


def _path(text):
    """Return a path; ``Path("")`` would be the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return Path(text)


def _name(text):
    return str(_path(text))


def _time(text):
    """Return the time that a text names by the local clock, in seconds since 1970."""
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}. Write 2024-05-06T07:30:00.") from None


def _parser():
    prog = "python -m skcry" if Path(sys.argv[0]).name == "__main__.py" else "skcry"
    parser = argparse.ArgumentParser(
        prog=prog, description="Detect infant crying in long recordings.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"skcry {__version__}")
    commands = parser.add_subparsers(required=True, dest="command")

    def command(name, help):
        added = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.", allow_abbrev=False)
        added.set_defaults(run=getattr(_commands, name.replace("-", "_")))
        return added

    train = command("train", "fit a detector on a folder of annotated recordings")
    train.add_argument("folder", type=_path, help="audio files, each with an annotation file of the same name")
    train.add_argument(
        "--out",
        type=_path,
        default="detector.skcry",
        help="file for the detector; a pickle if it ends in .joblib (default: %(default)s)",
    )
    train.add_argument(
        "--positive",
        nargs="+",
        default=["cry"],
        metavar="LABEL",
        help="labels that mean crying, after the folder (default: cry)",
    )
    train.add_argument(
        "--negative", nargs="+", metavar="LABEL", help="the only other labels that may occur (default: any)"
    )
    train.add_argument(
        "--ignore",
        nargs="+",
        default=["unknown"],
        metavar="LABEL",
        help="labels of time that is not known to be crying or not, such as unsure (default: unknown)",
    )
    train.add_argument(
        "--features",
        choices=["pretrained", "frames", "embedding", "stats"],
        default="pretrained",
        help="pretrained: the network that ships with skcry; frames: a small network that is trained on FOLDER; "
        "embedding: the published network, trained on it; stats: statistics without a network (default: %(default)s)",
    )
    train.add_argument("--gate", action="store_true", help="leave seconds without energy above 350 Hz out")
    train.add_argument("--seed", type=int, default=0, help="seed of the training (default: %(default)s)")

    evaluate = command("evaluate", "score a detector on annotated recordings that it was not trained on")
    detector = "what train wrote; a .joblib runs code, so trust its author (default: the one that comes with skcry)"
    evaluate.add_argument("detector", type=_name, nargs="?", help=detector)
    evaluate.add_argument(
        "folder", type=_name, nargs=1, help="audio files, each with an annotation file of the same name"
    )
    evaluate.add_argument("--label", help="class to score, for a detector of several classes")
    evaluate.add_argument("--out", type=_path, help="CSV file for the scores (default: print them)")
    for one in (train, evaluate):
        one.add_argument("--format", help="format of the annotation files (default: by extension and content)")
        one.add_argument("--tier", help="tier of the annotation files (default: the only one)")
        one.add_argument(
            "--recording", help="recording in annotation files of several (default: the one of the audio file's name)"
        )

    detect = command("detect", "detect crying in recordings; goes on where it was interrupted")
    detect.add_argument("detector", type=_name, nargs="?", help=detector)
    detect.add_argument(
        "recordings", type=_name, nargs="+", help="folders, which are searched with all in them, or files"
    )
    detect.add_argument("--out", type=_path, default="results", help="folder for the results (default: %(default)s)")
    detect.add_argument("--jobs", type=int, default=1, help="number of files at a time (default: %(default)s)")
    detect.add_argument(
        "--on-error",
        choices=["warn", "raise"],
        default="warn",
        help="what to do on unreadable files (default: %(default)s)",
    )
    detect.add_argument("--progress", action=argparse.BooleanOptionalAction, help="show a bar (default: in a terminal)")

    listen = command("listen", "detect crying in sound while it is recorded")
    listen.add_argument("detector", type=_name, nargs="?", help=detector)
    listen.add_argument(
        "source",
        type=_name,
        nargs=1,
        help="- for standard input, raw samples or WAV; a WAV file that is being written; or microphone",
    )
    listen.add_argument("--out", type=_path, help="folder for results, as detect writes them, one recording a day")
    listen.add_argument("--jsonl", action="store_true", help="print a line of JSON for each second and event")
    listen.add_argument("--sr", type=int, help="sampling rate in Hz of raw samples, or of the microphone (16000)")
    listen.add_argument("--channels", type=int, help="number of channels of raw samples, or of the microphone (1)")
    listen.add_argument(
        "--dtype",
        choices=["uint8", "int16", "int24", "int32", "float32"],
        help="type of raw samples, little-endian (default: int16)",
    )
    listen.add_argument("--device", help="microphone, by name or number: see python -m sounddevice")
    listen.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        help="seconds without growth after which a file counts as finished (default: %(default)s)",
    )
    listen.add_argument(
        "--start",
        type=_time,
        help="clock time of the first second, such as 2024-05-06T07:30 (default: now, less what a file holds already)",
    )
    for one in (detect, evaluate, listen):
        one.add_argument(
            "--trusted", nargs="+", default=[], metavar="TYPE", help="further types that the detector may hold"
        )
    for one in (train, detect, evaluate, listen):
        one.add_argument("--channel", type=int, help="channel to read, from 0 (default: mix them down)")

    report = command("report", "summarise results per recording or per hour")
    report.add_argument("results", type=_path, help="folder that detect wrote")
    report.add_argument(
        "--by", choices=["recording", "hour"], default="recording", help="a row for each ... (default: %(default)s)"
    )
    report.add_argument(
        "--start",
        type=_name,
        help="for clock hours: a CSV file with columns file,start (and onset, for recorders that were paused); name, "
        "where names of files hold it, such as 20240501_080000.wav, or a pattern such as %%d-%%m-%%Y_%%Hh%%M",
    )
    report.add_argument("--label", nargs="+", help="classes to count, for a detector of several classes")
    report.add_argument("--out", type=_path, help="CSV file for the table (default: print it)")

    export = command("export", "write the events of results as annotation files")
    export.add_argument("results", type=_path, help="folder that detect wrote")
    export.add_argument(
        "--format",
        choices=list(_commands.SUFFIXES),
        default="audacity",
        help="Audacity's labels, Praat's TextGrid, ELAN, or start,end,label (default: %(default)s)",
    )
    export.add_argument("--out", type=_path, default="annotations", help="folder for the files (default: %(default)s)")
    review = command("review", "write a page with clips of recordings, in which a person judges them in a browser")
    review.add_argument("results", type=_path, help="folder that detect wrote")
    review.add_argument("--out", type=_path, default="review.html", help="file for the page (default: %(default)s)")
    review.add_argument("--n", type=int, default=50, help="number of clips (default: %(default)s)")
    review.add_argument(
        "--strategy",
        choices=["random", "stratified", "uncertain", "diverse"],
        default="random",
        help="random; stratified by score and hour; uncertain: scores near the threshold; diverse: sounds that differ "
        "(default: %(default)s)",
    )
    review.add_argument("--duration", type=int, default=5, help="seconds of each clip (default: %(default)s)")
    review.add_argument(
        "--context", type=float, default=2.0, help="seconds to play before and after (default: %(default)s)"
    )
    review.add_argument("--seed", type=int, default=0, help="seed of the draw (default: %(default)s)")
    review.add_argument(
        "--start",
        type=_name,
        help="for strata by clock hour: a CSV file, name or a pattern, as of report (default: hours since the start)",
    )
    review.add_argument("--label", nargs="+", help="class to listen for, for a detector of several classes")
    review.add_argument("--recordings", type=_path, help="folder of the recordings (default: where detect read them)")
    review.add_argument("--channel", type=int, help="channel to play, from 0 (default: mix them down)")
    review.add_argument(
        "--lowpass", type=float, metavar="HZ", help="remove the sound above, which makes speech harder to understand"
    )
    review.add_argument(
        "--max-speech",
        type=float,
        metavar="SCORE",
        help="leave out clips whose score of adult speech is above, such as 0.5; some speech stays",
    )
    review.add_argument("--show-score", action="store_true", help="show the score before a clip is judged")

    estimate = command("estimate", "estimate crying, and errors of the detector, from clips that a person judged")
    estimate.add_argument("results", type=_path, help="folder that detect wrote")
    estimate.add_argument("reviews", type=_path, nargs="+", metavar="review", help="CSV files that the page saved")
    estimate.add_argument("--label", nargs="+", help="class that review was told, for a detector of several classes")
    estimate.add_argument(
        "--groups", type=_path, help="CSV file with columns file,group (infant), for estimates of each group as well"
    )
    estimate.add_argument(
        "--thresholds",
        type=float,
        nargs="*",
        metavar="SCORE",
        help="print the precision at these scores instead (without scores: at 0.1 to 0.9)",
    )
    estimate.add_argument("--out", type=_path, help="CSV file for the table (default: print it)")
    correct = command("correct", "correct the level of a detector by the clips that a person judged")
    correct.add_argument("results", type=_path, help="folder that detect wrote, from which review drew the clips")
    correct.add_argument("reviews", type=_path, nargs="+", metavar="review", help="CSV files that the page saved")
    correct.add_argument(
        "--out", type=_path, default="home.skcry", help="file for the corrected detector (default: %(default)s)"
    )
    correct.add_argument(
        "--detector", type=_path, help="the one that found the results (default: the one that comes with skcry)"
    )
    correct.add_argument("--recordings", type=_path, help="folder of the recordings (default: where detect read them)")
    correct.add_argument("--channel", type=int, help="channel that detect read, from 0 (default: mix them down)")
    correct.add_argument(
        "--trusted", nargs="+", default=[], metavar="TYPE", help="further types that the detector may hold"
    )
    export_model = command("export-model", "write a detector as a model of ONNX, for small devices")
    export_model.add_argument("detector", type=_path, nargs="?", help=detector)
    export_model.add_argument(
        "--out", type=_path, default="detector.onnx", help="file for the model (default: %(default)s)"
    )
    export_model.add_argument(
        "--dtype", choices=["float32", "int8"], default="float32", help="of the network (default: %(default)s)"
    )

    what = {train: "an existing detector", detect: "all results, and begin anew", export: "existing files"}
    what[listen] = "all results, and begin anew"
    what[export_model] = "an existing file"
    what[review] = "an existing page; judgements stay in the browser"
    what[correct] = "an existing detector"
    for one, replaced in what.items():
        one.add_argument("--overwrite", action="store_true", help=f"replace {replaced}")

    card = command("card", "print the model card of a detector: training data, scores, limits")
    card.add_argument("detector", type=_path, nargs="?", help=detector)
    commands.metavar = f"{{{','.join(commands.choices)}}}"  # also in the error without a command
    return parser


def _parse(arguments):
    """Parse a command; collect the names that argparse leaves over where options stand between them."""
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    takes = {"detect": "recordings", "evaluate": "folder", "listen": "source"}.get(options.command)
    if takes is not None:
        names = [*filter(None, [options.detector]), *getattr(options, takes)]
        if not any(one.startswith("-") or not one.strip() for one in more):
            names, more = [*names, *more], []
        options.names, more = (names, more) if takes == "recordings" else (names[:2], [*names[2:], *more])
    if more:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    return options


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
    options = _parse(arguments)
    told = set()

    def show(message, category, filename, lineno, file=None, line=None):
        text = _commands.in_terms(" ".join(str(message).split()))
        if text not in told:
            told.add(text)
            print(f"Warning: {text}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        try:
            status = options.run(options) or 0
            sys.stdout.flush()
            return status
        except KeyboardInterrupt:
            kept = " What is finished is kept; the same command goes on with the rest."
            print(f"Interrupted.{kept if options.command == 'detect' else ''}", file=sys.stderr)
            return 130
        except BrokenPipeError:  # the reader of the output, such as head, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except (ImportError, OSError, ValueError) as error:  # ImportError of an extra that is missing
            print(f"Error: {_commands.in_terms(str(error))}", file=sys.stderr)
            for note in getattr(error, "__notes__", ()):
                print(_commands.in_terms(note), file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
