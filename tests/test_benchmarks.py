"""The suite of benchmarks runs and compares results; how fast it is, is not for a test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.slow
def test_quick_rows(tmp_path):
    out = run("--quick", "--out", tmp_path / "found.json", "denoise", "mel")
    assert out.returncode == 0, out.stderr
    assert len(out.stdout.splitlines()) == 4
    found = json.loads((tmp_path / "found.json").read_text())
    assert list(found["rows"]) == ["denoise", "mel"]
    for row in found["rows"].values():
        assert 0 < row["difference"] < row["allowed"]
    assert found["versions"]["numpy"]


@pytest.mark.slow
def test_unknown_row():
    out = run("quick")
    assert out.returncode == 2
    assert "unknown rows ['quick']; choose from features, denoise" in out.stderr


@pytest.mark.slow
def test_scaling_runs_small():
    pytest.importorskip("distributed", reason="needs pip install 'skcry[dask]'")
    command = [sys.executable, "-m", "benchmarks.bench_scaling", "--quick"]
    out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.count("| ") == 20
    assert "Model " in out.stdout


@pytest.mark.slow
def test_training_scale_runs_small():
    command = [sys.executable, "-m", "benchmarks.bench_training_scale", "--duration", "30", "--pipelines", "default"]
    command += ["--hours", "0.025", "0.05", "--search", "0.05"]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 0, out.stderr
    assert out.stdout.count("| default | 0.0") == 2
    assert "Grid of 10 settings x 5 folds" in out.stdout
