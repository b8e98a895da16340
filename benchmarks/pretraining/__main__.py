"""Train the network that ships, and the detector around it.

    python -m benchmarks.pretraining SOUND/files.csv yamnet.tflite --measure DATA --out OUT [--step NAME ...]

The steps, each of which goes on where it was stopped:

- "scenes": mix scenes from the free sound, with the judgement of the teacher;
- "apart": train a network without the groups of DATA (see ``groups_of``), to measure on DATA;
- "shipped": train the network that ships in the same way on all groups;
- "measure": fit the detector that ships around "apart", and score it and the default pipeline on DATA;
- "package": fit the detector that ships around "shipped", and write both into the package;
- "speech": fit the plane that tells adult speech on embeddings of the network in the package, measure it, and write it
  into the package.
"""

import argparse
import json
import logging
import os
import pickle
import warnings
from pathlib import Path

import pandas as pd
import torch

import skcry
from skcry.nn.cry_cnn import CryCNN
from skcry.pretrained import FOLDER, write_speech_plane, write_weights

from . import speech
from .credits import make_credits
from .detector import fit_detector
from .measure import QUICK, measure_clips, measure_fitted, measure_untrained, weights_of
from .mix import write_scenes
from .scenes import Cast
from .sources import groups_of, is_held, read_sources
from .teacher import Teacher
from .train import train

LOG = logging.getLogger("pretraining")
STEPS = ("scenes", "apart", "shipped", "measure", "package", "speech")
HOURS = {"apart": 24.0, "all": 24.0, "apart_held": 1.5, "all_held": 2.5}
N_STEPS, SEED = 6500, 0  # of training
N_FITTED = 300  # scenes that the detector is fitted to


def main(arguments=None):
    """Run the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", type=Path, help="table of the free sound, files.csv")
    parser.add_argument("teacher", type=Path, help="yamnet.tflite")
    parser.add_argument("--measure", type=Path, required=True, help="folder with soundscapes, clips and textgrid")
    parser.add_argument("--out", type=Path, required=True, help="folder for scenes, networks and states of training")
    parser.add_argument("--step", choices=STEPS, nargs="+", default=STEPS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes that mix scenes")
    parser.add_argument("--threads", type=int, default=1, help="threads that train")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    for step in STEPS:
        if step in args.step:
            globals()[f"run_{step}"](args)


def all_sources(args):
    """Return all sources, which are read once."""
    kept = args.out / "sources.pickle"
    if not kept.exists():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # clips that are clipped
            kept.write_bytes(pickle.dumps(read_sources(args.sound, Teacher(args.teacher))))
    return pickle.loads(kept.read_bytes())


def choose(args, name):
    """Return the sources of a set of scenes: with or without the groups of the measuring data, to train on or held."""
    shared = groups_of(args.measure)
    return [
        one
        for one in all_sources(args)
        if is_held(one.group) == name.endswith("held") and ("all" in name or one.group not in shared)
    ]


def run_scenes(args):
    """Write the four sets of scenes."""
    for seed, (name, hours) in enumerate(HOURS.items()):
        chosen = choose(args, name)
        LOG.info("%s: %d sources, %g hours of scenes", name, len(chosen), hours)
        write_scenes(Cast.of(chosen), args.teacher, args.out / name, hours, seed, args.jobs)


def run_apart(args):
    """Train without the groups of the measuring data."""
    _train(args, "apart", ["apart"])


def run_shipped(args):
    """Train on all groups."""
    _train(args, "shipped", ["apart", "all"])


def _train(args, name, sets):
    paths = [path for one in sets for path in sorted((args.out / one).glob("*.npz"))]
    held = sorted((args.out / "apart_held").glob("*.npz"))[:6]
    folder = args.out / f"net_{name}"
    net = train(paths, held, folder, N_STEPS, SEED, args.threads)
    LOG.info("%s: checksum %s", name, write_weights(net, folder))


def _fit(args, name):
    """Fit the detector on a set of sources that its network was not trained on."""
    return fit_detector(Cast.of(choose(args, name)), N_FITTED, SEED)


def run_measure(args):
    """Score the network without the groups of the measuring data on it."""
    with weights_of(args.out / "net_apart"):
        detector = _fit(args, "apart_held")
        skcry.save(detector, args.out / "apart.skcry")
        sounds, rows = args.measure / "soundscapes", {}
        for name, without in {"untrained": (), "untrained, without soundscape_00": ("soundscape_00.flac",)}.items():
            rows[name] = measure_untrained(detector, sounds, without)
        rows["fitted to others"] = measure_fitted(sounds)
        for name in ("pretrained+svc", "pretrained+stats+svc"):
            rows[f"{name} --quick"] = measure_fitted(sounds, name, QUICK)
        rows["clips"] = measure_clips(args.measure / "clips.csv")
    for name, numbers in rows.items():
        LOG.info("%s: %s", name, numbers)
    (args.out / "measured.json").write_text(json.dumps(rows, indent=1))


def _notes(args):
    """Return what the card tells beside the scores on held-out scenes."""
    rows = json.loads((args.out / "measured.json").read_text())
    found, fitted = rows["untrained"], rows["fitted to others"]
    low, high = found["interval"]
    return {
        "Measured elsewhere": "A detector that was made in the same way, but around a network without any of the "
        "families and clips in them, was scored on 40 minutes of soundscapes with 8 families: average precision "
        f"{found['average precision']:.2f} (from {low:.2f} to {high:.2f}, 90 % interval), F1 {found['F1']:.2f} at its "
        "own threshold. Fitted to six of the soundscapes and scored on the other two: "
        f"{fitted['average precision'][0]:.2f} and {fitted['F1']:.2f}.",
        "Limits": "It was trained on mixtures of cries that parents uploaded from phones, not on days at home. "
        "Threshold and calibration are those of mixtures in which a fifth of the seconds are crying: where it is rare, "
        "expect a larger share of false alarms, and fit or calibrate on annotated sound of your own.",
    }


def run_package(args):
    """Write weights, detector and credits into the package."""
    net = CryCNN()
    net.load_state_dict(torch.load(args.out / "net_shipped" / "net.pt"))
    checksum = write_weights(net.eval())
    with weights_of(FOLDER):
        skcry.save(_fit(args, "all_held"), FOLDER / "detector.skcry", notes=_notes(args))
    (FOLDER / "CREDITS.md").write_text(make_credits(pd.read_csv(args.sound)))
    LOG.info('Set SHA256 = "%s" in skcry/pretrained/__init__.py', checksum)


def run_speech(args):
    """Fit, measure and write the plane that tells adult speech."""
    sources = all_sources(args)
    folds = speech.make_folds(sources, args.teacher, args.jobs)
    rows, plane = speech.measure(folds), speech.fit_plane(folds)
    thresholds = [one["threshold"] for one in rows.values() if isinstance(one, dict)]
    heard = {one.group for one in sources}
    rows["clips without speech"] = speech.measure_clips(args.measure / "clips.csv", heard, *plane, thresholds)
    rows["soundscapes"] = speech.measure_soundscapes(args.measure / "soundscapes", *plane, thresholds)
    write_speech_plane(*plane)
    (args.out / "speech.json").write_text(json.dumps(rows, indent=1))
    LOG.info("speech: %s", json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
