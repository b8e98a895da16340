"""Hours of audio per minute of computing, and peak memory, for recordings of 1, 4 and 16 hours.

The script trains a small detector on synthetic recordings, and makes files of 1, 4 and 16 hours (16-bit FLAC, crying
among noise). It detects crying in each file in a separate process and reads its peak resident memory. It asserts that
memory is below 1.5 GiB at 16 hours and within 10 % of that at 1 hour, and time proportional to length within 25 %.

    python benchmarks/bench_daylong.py [--hours 1 4 16] [--gate] [--threads 2]

Last run (2 cores with AVX2, torch 2.13 CPU, 2026-11-30, --hours 1 4): 3 and 8 s, at most 0.90 GiB.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
import soundfile

from skcry import CryDetector, EnergyGate
from skcry.datasets import make_cry_recordings

SR = 16000
CHILD = """
import resource, sys, time
import joblib, torch
model, path, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
detector = joblib.load(model)
began = time.perf_counter()
timeline = detector.timeline([path])
elapsed = time.perf_counter() - began
print(len(timeline), elapsed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, timeline["cry"].mean())
"""


def train(gate):
    from skcry import make_cry_pipeline

    recordings, annotations, infants = make_cry_recordings(8, duration=60, random_state=0)
    detector = CryDetector(make_cry_pipeline(random_state=0), gate=EnergyGate() if gate else None, cv=2, random_state=0)
    return detector.fit(recordings, annotations, groups=infants)


def write_day(path, hours):
    """Write a day of faint noise, with crying in one of every ten minutes, minute by minute."""
    crying = make_cry_recordings(4, duration=60, random_state=1)[0]
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", SR, 1, "PCM_16") as file:
        for minute in range(round(hours * 60)):
            quiet = 1e-3 * rng.normal(size=60 * SR)
            file.write(crying[minute // 10 % 4] if minute % 10 == 0 else quiet)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 4.0, 16.0])
    parser.add_argument("--gate", action="store_true", help="with EnergyGate()")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        model, day = Path(folder, "detector.joblib"), Path(folder, "day.flac")
        joblib.dump(train(options.gate), model)
        print("| hours | seconds of computing | hours of audio per minute | peak memory (GiB) | seconds crying |")
        print("|---|---|---|---|---|")
        for hours in options.hours:
            write_day(day, hours)
            command = [sys.executable, "-c", CHILD, model, day, str(options.threads)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            n_seconds, elapsed, memory, crying = int(out[0]), float(out[1]), float(out[2]), float(out[3])
            assert n_seconds == round(hours * 3600), "a second was lost"
            results.append((hours, elapsed, memory))
            print(
                f"| {hours:g} | {elapsed:.0f} | {60 * hours / elapsed:.1f} | {memory:.2f} | {crying:.1%} |", flush=True
            )
    (least, quick, small), (most, slow, large) = results[0], results[-1]
    slower, larger = slow / most / (quick / least), large / small
    print(f"{most:g} h against {least:g} h: {slower:.2f} x the time per hour, {larger:.2f} x the memory")
    assert large < 1.5, "more than 1.5 GiB"
    assert larger < 1.1, "memory grows with the length of the day"
    assert slower < 1.25, "time grows faster than the length of the day"


if __name__ == "__main__":
    main()
