"""Time of ``import skcry`` compared with ``import sklearn``, each in new processes, in turn.

Run: ``python benchmarks/bench_import.py``. Asserts that the median is less than 1.5 times that of scikit-learn.
"""

import subprocess
import sys
from statistics import median

CODE = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def seconds(module):
    out = subprocess.run([sys.executable, "-c", CODE.format(module)], capture_output=True, text=True, check=True)
    return float(out.stdout)


if __name__ == "__main__":
    times = {"sklearn": [], "skcry": []}
    for _ in range(7):
        for module, taken in times.items():
            taken.append(seconds(module))
    ratio = median(times["skcry"]) / median(times["sklearn"])
    for module, taken in times.items():
        print(f"import {module:8s} {median(taken):.3f} s")
    print(f"ratio           {ratio:.2f}")
    assert ratio < 1.5
