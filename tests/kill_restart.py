"""A batch that is killed again and again ends with the results of one that was left alone, byte for byte.

``python tests/kill_restart.py --kills 50`` kills `detect_files` (SIGKILL) at random moments, with one job and with two,
and starts it again each time, until so many kills have been made and everything is finished.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile
from helpers import make_quick_detector

from skcry import detect_files, read_timelines
from skcry.datasets import make_cry_recordings
from skcry.files.manifest import MANIFEST


def make_detector(**options):
    """Fit a detector that takes milliseconds."""
    recordings, annotations, infants = make_cry_recordings(4, duration=20, random_state=0)
    return make_quick_detector(**options).fit(recordings, annotations, groups=infants)


def make_days(folder, n_files, duration=20):
    """Write recordings, in folders, some with long and odd names."""
    recordings, *_ = make_cry_recordings(4, duration=duration, random_state=1)
    for number in range(n_files):
        name = [f"{number}.wav", f"home {number % 3}/{number} ü.wav", f"{'long' * 30}/{number:0>150}.wav"][number % 3]
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.roll(recordings[number % 4], 1000 * number), 16000)


def contents(out):
    """Bytes of every file of results; of the manifest its lines in order of name, for two jobs finish in any order."""
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}
    files[MANIFEST] = b"\n".join(sorted(files[MANIFEST].splitlines()))
    return files


def _detect(detector, days, out, options):
    # In a group of its own, as a shell starts it. Its workers are left alone when it is killed.
    os.setpgid(0, 0)
    detect_files(detector, days, out, **options)


def run_with_kills(detector, days, out, n_kills, rng, **options):
    """Kill and restart a batch; return how many files had results after each kill, and the time it took."""
    context, finished, began = multiprocessing.get_context("fork"), [], time.perf_counter()
    longest = 1.0 if options["n_jobs"] == 1 else 10.0  # workers need seconds to start
    while True:
        process, start = context.Process(target=_detect, args=(detector, days, out, options)), time.perf_counter()
        process.start()
        process.join(rng.uniform(0, longest) if len(finished) < n_kills else None)
        if process.exitcode is None:
            process.kill()
            process.join()
            finished.append(len(list(Path(out).rglob("*.timeline.csv"))))
            continue
        assert process.exitcode == 0
        if len(finished) == n_kills:
            return finished, time.perf_counter() - began
        # It finished before it was to be killed: sooner the next time, and some of it again.
        longest = max(0.05, min(longest, time.perf_counter() - start))
        for path in sorted(Path(out).rglob("*.timeline.csv"))[::3]:
            path.unlink()


def check(n_kills, n_files, n_jobs, seed=0, duration=20):
    """Compare a batch that is killed with one that is not."""
    detector, rng = make_detector(), np.random.default_rng(seed)
    with tempfile.TemporaryDirectory(prefix="kills") as folder:
        days = Path(folder, "days")
        make_days(days, n_files, duration)
        whole = detect_files(detector, days, Path(folder, "whole"))
        finished, seconds = run_with_kills(detector, days, Path(folder, "killed"), n_kills, rng, n_jobs=n_jobs)
        time.sleep(0.5 if n_jobs > 1 else 0)  # for workers whose parents are dead, and what they might still write
        killed = detect_files(detector, days, Path(folder, "killed"))
        assert killed.equals(whole), "the manifests differ"
        assert read_timelines(Path(folder, "killed")).equals(read_timelines(Path(folder, "whole")))
        expected, found = contents(Path(folder, "whole")), contents(Path(folder, "killed"))
        assert found.keys() == expected.keys(), sorted(found.keys() ^ expected.keys())
        differing = [name for name in expected if found[name] != expected[name]]
        assert not differing, differing
    return finished, seconds


def check_overwriting(n_kills, n_files, n_jobs, seed=0):
    """Kill one detector's batch, begin anew with another: nothing of the first may stay or come back."""
    first, second = make_detector(), make_detector(min_duration=1.0, merge_gap=0.0)
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory(prefix="kills") as folder:
        days, out = Path(folder, "days"), Path(folder, "killed")
        make_days(days, n_files)
        detect_files(second, days, Path(folder, "whole"))
        expected = contents(Path(folder, "whole"))
        for _ in range(n_kills):
            process = multiprocessing.get_context("fork").Process(
                target=_detect, args=(first, days, out, {"n_jobs": n_jobs, "overwrite": True})
            )
            process.start()
            process.join(rng.uniform(0.2, 1.5 if n_jobs == 1 else 10))
            process.kill()
            process.join()
            detect_files(second, days, out, overwrite=True)
            time.sleep(0.3)
            assert contents(out) == expected


def main(arguments=None):
    """Run with one job and with two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for n_jobs in options.jobs:
        finished, seconds = check(options.kills, options.files, n_jobs, options.seed)
        print(
            f"n_jobs={n_jobs}: {len(finished)} kills in {seconds:.0f} s, after {finished} files: the same results",
            flush=True,
        )
        check_overwriting(max(1, options.kills // 10), options.files // 4, n_jobs, options.seed)
        print(f"n_jobs={n_jobs}: another detector's batch, killed, leaves nothing", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
