"""What several commands need: names of detectors, their files, tables, and messages in terms of options."""

import re
import sys
from pathlib import Path

PICKLES = (".joblib", ".pickle", ".pkl")  # what is not named so holds data only
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


def split_names(names):
    """Return the path of the detector, None for the one that comes with skcry, and the other names.

    The first name is a detector if it ends like one or holds one; and as the first of several also if it is a file that
    is no sound, which is then an error rather than a recording that cannot be read.
    """
    from ..datasets.folders import AUDIO_SUFFIXES
    from ..io.file_kinds import sound_kind

    first, *others = map(Path, names)
    for one in others:
        if is_detector(one) and not is_detector(first):
            raise ValueError(f"The detector comes first: {one} {first}")
    if not first.exists() and not is_detector(first):
        raise FileNotFoundError(
            f"{first}: no such file or folder. The first name is a detector, such as detector.skcry, or a recording or "
            "a folder of recordings, for the detector that comes with skcry."
        )
    is_sound = first.suffix.lower() in AUDIO_SUFFIXES or (first.is_file() and sound_kind(first) is not None)
    if is_detector(first) or (others and first.is_file() and not is_sound):
        return first, names[1:]
    return None, names


def is_detector(path):
    """Tell whether a name is one of a detector, by its ending or the first bytes of its file."""
    if path.is_dir():
        return False
    if path.suffix in (".skcry", *PICKLES):
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(12) == b"skcry model,"


def load_detector(path, trusted=()):
    """Open a detector; None is the one that comes with skcry."""
    import joblib

    from .. import __version__, load, load_pretrained

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


def refuse_existing(options):
    """Refuse to write to a file that exists, unless it may be replaced."""
    if options.out.exists() and not options.overwrite:
        raise ValueError(f"{options.out} exists. Give another name, or pass --overwrite.")


def write_detector(detector, path):
    """Write a detector, as a pickle if the name ends like one."""
    import joblib

    from .. import save
    from ..io.text_files import atomic_path

    if path.suffix in PICKLES:
        with atomic_path(path) as temporary:
            joblib.dump(detector, temporary)
    else:
        save(detector, path)


def set_channel(detector, channel):
    """Have a detector read this channel; None leaves it as it is."""
    if channel is not None:
        for part in filter(None, (detector.windower_, detector.gate_)):
            part.set_params(channel=channel)


def show(table, out, decimals):
    """Write a table to a CSV file, or print it."""
    if out is None:
        print(table.round(decimals).to_string())
        return
    table.to_csv(out, float_format="%.6g")
    print(f"Written to {out}")


def sources_of(manifest):
    """Return the paths of recordings by name, from (rows of) a manifest; refuse them if one is gone."""
    from ..files.live import LIVE

    recordings = dict(zip(manifest["file"], manifest["source"], strict=True))
    gone = [path for path in recordings.values() if not Path(path).exists()]
    if LIVE in gone:
        raise ValueError(
            f"{gone.count(LIVE)} of {len(recordings)} recordings were heard live, and their sound was not kept. Record "
            "it as well, and name its folder with --recordings."
        )
    if gone:
        raise ValueError(
            f"{gone[0]} is no longer there ({len(gone)} of {len(recordings)} recordings). Name their folder with "
            "--recordings."
        )
    return recordings
