"""Exported models against Python: size, time, and how far scores and average precision change.

    python -m benchmarks.bench_export [--data FOLDER] [--minutes 1] [--runs 5] [--out FILE.md]

The detector that comes with skcry, exported as float32 and int8, on one thread of onnxruntime, and ``timeline`` on one
thread of torch, in the same process. "block" is a recording of so many minutes at once, in ms per second of sound;
"live" is a step of a device that passes 7 s for each score (the user guide has the loop), in ms. Each time is the best
of the runs. "live, MB" is the resident memory of a process of its own after it has listened for two minutes: numpy and
onnxruntime for models, ``detector.listen`` for Python. Recordings are synthetic, or, with ``--data``, annotated ones
(``load_annotated``), cut to blocks for scores: average precision is that of their seconds. The claims are asserted:
scores of float32 within 1e-4, average precision of int8 within 0.01.

Last numbers, of November 2026, one core of a busy server (AMD EPYC of the fourth generation with AVX-512 and VNNI;
onnxruntime 1.32, which cannot be told to do with AVX2), the eight soundscapes as ``--data``, ``--minutes 5 --runs 10``:

| | MB | block, ms/s | live, ms | live, MB | largest difference | average precision |
|---|---|---|---|---|---|---|
| Python | | 0.45 | 8.7 | 499 | 0 | 0.882 |
| float32 | 1.84 | 0.46 | 2.7 | 84 | 9e-7 | 0.882 |
| int8 | 1.02 | 0.30 | 1.8 | 81 | 0.028 | 0.883 |
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch
from sklearn.metrics import average_precision_score

import skcry
from skcry.datasets import load_annotated, make_cry_recordings
from skcry.io import read_audio
from skcry.metrics import second_truth

LIVE_SECONDS = 7
LISTEN = {  # programs that listen to noise, to measure their memory
    "Python": """
import skcry
list(skcry.load_pretrained().listen(noise))
""",
    "model": """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
for i in range(6, 120):
    session.run(None, {"sound": noise[i - 6 : i + 1].reshape(-1)})
""",
}


def processor():
    """Return the name of the processor, and those of its instructions that matter here."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    except OSError:
        return platform.processor()
    about = {name.strip(): value.strip() for name, value in lines.items()}
    flags = [name for name in ("avx2", "avx512f", "avx512_vnni") if name in about.get("flags", "").split()]
    return " ".join([about.get("model name", platform.machine()), *flags])


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options)


def best_times(functions, n_runs):
    """Return the least time of each function, in ms, of so many runs, each of all functions in turn."""
    times = np.empty((n_runs, len(functions)))
    for run in range(n_runs):
        for number, function in enumerate(functions):
            began = time.perf_counter()
            function()
            times[run, number] = 1e3 * (time.perf_counter() - began)
    return times.min(axis=0)


def memory(program, path):
    """Return the resident memory of a process that listens, in MB."""
    code = "import sys\nimport numpy as np\n"
    code += "noise = (0.01 * np.random.default_rng(0).normal(size=(120, 16000))).astype(np.float32)\n"
    code += f"{program}\nprint(open('/proc/self/status').read().split('VmRSS:')[1].split()[0])"
    about = {"check": True, "capture_output": True, "text": True, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    return int(subprocess.run([sys.executable, "-c", code, str(path)], **about).stdout) / 1000


def compare(recordings, annotations, *, minutes, n_runs, folder):
    """Measure the detector in Python and both models: DataFrame with a row for each."""
    detector = skcry.load_pretrained()
    sounds = [
        (one if isinstance(one, np.ndarray) else read_audio(one, sr=16000)[0]).astype(np.float32) for one in recordings
    ]
    truth = second_truth(annotations, detector.timeline(sounds))
    known = truth.notna().to_numpy()
    crying = truth[known].astype(bool)
    block = np.resize(np.concatenate(sounds), int(minutes * 60 * 16000))
    live = block[: LIVE_SECONDS * 16000]

    def in_python(sound):
        return detector.timeline([sound])["score"].to_numpy()

    ways = {"Python": (in_python, np.nan)}
    held = [memory(LISTEN["Python"], "")]
    for dtype in ("float32", "int8"):
        path = Path(folder, f"{dtype}.onnx")
        skcry.export_onnx(detector, path, dtype=dtype)
        session = open_session(path)
        ways[dtype] = (lambda sound, session=session: session.run(None, {"sound": sound})[0], path.stat().st_size / 1e6)
        held.append(memory(LISTEN["model"], path))
    scores = {name: np.concatenate([score(one) for one in sounds]) for name, (score, _) in ways.items()}
    block_times, live_times = (
        best_times([lambda score=score, one=one: score(one) for score, _ in ways.values()], n)
        for one, n in ((block, n_runs), (live, 5 * n_runs))
    )
    return pd.DataFrame(
        {
            "MB": [size for _, size in ways.values()],
            "block, ms/s": block_times / (60 * minutes),
            "live, ms": live_times,
            "live, MB": held,
            "largest difference": [np.abs(one - scores["Python"]).max() for one in scores.values()],
            "average precision": [average_precision_score(crying, one[known]) for one in scores.values()],
        },
        index=list(ways),
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of annotated recordings (default: synthetic ones)")
    parser.add_argument("--minutes", type=float, default=1.0, help="of the block (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="of which the best counts (default: %(default)s)")
    parser.add_argument("--out", help="file for the table as well")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.data is None:
        recordings, annotations, _ = make_cry_recordings(6, duration=120, random_state=1)
    else:
        data = load_annotated(options.data)
        recordings, annotations = data.recordings, data.annotations
    about = {"minutes": options.minutes, "n_runs": options.runs}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        table = compare(recordings, annotations, folder=folder, **about)
    lines = [f"{processor()}, onnxruntime {onnxruntime.__version__}, torch {torch.__version__}", ""]
    lines += ["| | " + " | ".join(table.columns) + " |", "|---" * (1 + len(table.columns)) + "|"]
    lines += [f"| {name} | " + " | ".join(f"{one:.3g}" for one in row) + " |" for name, row in table.iterrows()]
    text = "\n".join(lines)
    print(text)
    if options.out:
        Path(options.out).write_text(f"{text}\n")
    assert table.loc["float32", "largest difference"] < 1e-4, "scores of float32"
    change = table.loc["int8", "average precision"] - table.loc["float32", "average precision"]
    assert abs(change) < 0.01, "average precision of int8"
    return table


if __name__ == "__main__":
    sys.exit(main() is None)
