"""Train the network that ships: ``python -m benchmarks.pretraining SOUND TEACHER --measure DATA --out OUT``."""

import argparse
import logging
import os
import pickle
import warnings
from pathlib import Path

from .mix import write_scenes
from .scenes import Cast
from .sources import groups_of, is_held, read_sources
from .teacher import Teacher

LOG = logging.getLogger("pretraining")
HOURS = {"apart": 24.0, "all": 24.0, "apart_held": 1.5, "all_held": 2.5}


def main():
    """Run the steps; finished ones are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sound", help="table of the free sound, files.csv")
    parser.add_argument("teacher", help="yamnet.tflite")
    parser.add_argument("--measure", required=True, help="folder with clips and textgrid, whose groups are set apart")
    parser.add_argument("--out", required=True, help="folder for scenes, networks and states of training")
    parser.add_argument("--step", choices=["scenes", "apart", "shipped"], nargs="*", default=["scenes", "apart", "shipped"])
    parser.add_argument("--scenes", nargs="*", default=list(HOURS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    if "scenes" in args.step:
        make_all_scenes(args, out)


def make_all_scenes(args, out):
    """Write four sets of scenes: with and without the groups of the measuring data, to train on and held out."""
    kept = out / "sources.pickle"
    if not kept.exists():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # clipped clips
            kept.write_bytes(pickle.dumps(read_sources(args.sound, Teacher(args.teacher))))
    sources = pickle.loads(kept.read_bytes())
    shared = groups_of(args.measure)
    for seed, name in enumerate(HOURS):
        if name not in args.scenes:
            continue
        chosen = [
            one
            for one in sources
            if is_held(one.group) == name.endswith("held") and ("all" in name or one.group not in shared)
        ]
        LOG.info("%s: %d sources, %g hours of scenes", name, len(chosen), HOURS[name])
        write_scenes(Cast.of(chosen), args.teacher, out / name, HOURS[name], seed, args.jobs)


if __name__ == "__main__":
    main()
