"""Play hours of sound through a pipe to ``skcry listen``, faster than real time: speed, memory, equal scores.

    python benchmarks/bench_live.py [--hours 24] [--detector FILE]

Synthetic recordings of crying over noise, an hour of them again and again, are written to a temporary WAV file (115 MB
per hour), whose samples go through a pipe to a process on one thread. Its processor time is divided by the time of the
sound; its resident memory, all libraries included, is read after half an hour and then after each hour. The file is
then scored as a whole, and the scores are compared. Five minutes are also heard in blocks of 0.1 s, as a microphone
gives them, where every second is scored alone. Fails if scores differ by more than 1e-4, memory grew by more than 5 %,
or listening takes more than 1 % of real time on one core.

Last numbers, of November 2026, on one core of a busy server (AMD EPYC), 24 hours in 8 minutes: 0.09 % of real time, in
blocks of 0.1 s 0.75 % (with AVX2 alone, for one hour: 0.08 and 0.73 %), of the finished file 0.07 %. Resident after
half an hour 515 MB, at the end 524 MB, in between 502 to 524 MB; 333 and 341 MB of these are not shared with files. The
largest difference of 86400 scores is 5.8e-07.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

import skcry
from skcry import read_timelines
from skcry.datasets import make_cry_recordings

SR = 16000
BLOCK = 2**16  # bytes, what a pipe of Linux holds by default


def write_sound(path, hours):
    """Write hours of sound to a WAV file."""
    recordings, _, _ = make_cry_recordings(12, duration=300, random_state=0)
    hour = (np.concatenate(recordings) * 32767).astype(np.int16)
    with soundfile.SoundFile(path, "w", SR, 1) as file:
        for _ in range(hours):
            file.write(hour)


def memory(process):
    """Return the resident memory of a process, and the part of it that is not shared with files, in MB."""
    words = Path(f"/proc/{process.pid}/status").read_text().split()
    return tuple(int(words[words.index(name) + 1]) / 1000 for name in ("VmRSS:", "RssAnon:"))


def seconds_of(process):
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def play(path, detector, out):
    """Play a WAV file to a process that listens; return rows of hour, processor time and memory, and the wall time."""
    command = [sys.executable, "-m", "skcry", "listen", *detector, "-", "--sr", str(SR), "--out", str(out)]
    command += ["--start", "2024-05-06T00:00"]
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    rows, began = [], time.perf_counter()
    about = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": settings}
    with path.open("rb") as file, subprocess.Popen(command, **about) as process:
        file.seek(44)
        n_played = 0
        while content := file.read(BLOCK):
            process.stdin.write(content)
            n_played += len(content)
            hour = n_played / (2 * SR * 3600)
            if hour >= (round(rows[-1][0]) + 1 if rows else 0.5):
                rows.append((hour, seconds_of(process), *memory(process)))
                print(*np.round(rows[-1], 1), file=sys.stderr, flush=True)
        rows.append((hour, seconds_of(process), *memory(process)))
        process.stdin.close()
    if process.returncode:
        raise RuntimeError(f"skcry listen ended with {process.returncode}")
    return np.array(rows), time.perf_counter() - began


def listen_in_blocks(detector):
    """Return the share of real time that it takes to listen to blocks of 0.1 s."""
    recordings, _, _ = make_cry_recordings(2, duration=150, random_state=1)
    sound = np.concatenate(recordings)
    list(detector.listen([sound[: 10 * SR]]))  # loads what is loaded late
    began = time.process_time()
    n_seconds = len(list(detector.listen(np.split(sound, len(sound) * 10 // SR))))
    return (time.process_time() - began) / n_seconds


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hours", type=int, default=24, help="of sound (default: %(default)s)")
    parser.add_argument("--detector", type=Path, help="file of a detector (default: the one of the package)")
    options = parser.parse_args(arguments)
    detector = skcry.load_pretrained() if options.detector is None else skcry.load(options.detector)
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "sound.wav"), Path(folder, "found")
        write_sound(path, options.hours)
        rows, wall = play(path, [] if options.detector is None else [str(options.detector)], out)
        live = read_timelines(out)["score"].to_numpy()
        began = time.process_time()
        whole = detector.timeline([path])["score"].to_numpy()
        of_file = time.process_time() - began
    share = (rows[-1, 1] - rows[0, 1]) / ((rows[-1, 0] - rows[0, 0]) * 3600)
    alone = listen_in_blocks(detector)
    difference = np.abs(live - whole).max() if len(live) == len(whole) else np.inf
    growth = rows[-1, 2] / rows[0, 2] - 1
    print(
        f"{options.hours} h through a pipe in {wall:.0f} s. Share of real time on one core: {share:.2%}, in blocks of"
    )
    print(f"0.1 s {alone:.2%}, of the finished file {of_file / len(whole):.2%}")
    (first, first_own), (last, last_own) = rows[0, 2:], rows[-1, 2:]
    print(f"Resident after half an hour {first:.0f} MB ({first_own:.0f} MB of them not shared with files), at the end")
    print(f"{last:.0f} MB ({last_own:.0f} MB)")
    print(f"Largest difference of {len(live)} scores: {difference:.1e}")
    assert difference < 1e-4, "live scores differ from those of the file"
    assert growth < 0.05, "memory grows"
    assert max(share, alone) < 0.01, "too slow"
    return share, alone, growth, difference


if __name__ == "__main__":
    main()
