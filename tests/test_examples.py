"""The gallery runs, shows what it promises, and leaves no files behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

# Runs a script as a user would, then saves its figures, where nothing else may have been left.
RUN = """
import runpy, sys, warnings
import matplotlib.pyplot as plt
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
runpy.run_path(sys.argv[1], run_name="__main__")
for number in plt.get_fignums():
    plt.figure(number).savefig(f"figure_{number}.png")
"""

# Name -> number of figures, and what it prints.
GALLERY = {
    "plot_first_pipeline": (1, ["672 of 5 s from 12 recordings", "Average precision on left-out infants: 0."]),
    "plot_choosing_parameters": (1, ["split by windows  estimated 0.9", "nested            estimated 0."]),
    "plot_swap_parts": (1, ["gradient boosting", "own features, SVC", "pretrained network, SVC"]),
    "plot_search_at_scale": (1, ["without memory: ", "with memory: ", "[4, 2, 1] candidates for [8, 16, 32] steps"]),
    "plot_embeddings": (1, ["embeddings: (328, 16)", "the nearest window of another infant", "by chance: "]),
    "plot_thresholds": (2, ["learned threshold: 0.", "at most 20 per hour", "at most 5 per hour"]),
    "plot_day": (2, ["ada.flac     ok", "2024-05-01 06:00:00", "in all 2.0 hours, "]),
    "plot_review": (1, ["50 clips in ", "draws of 20 whose interval holds the truth: ", "calibrated: kappa 0."]),
    "plot_new_home": (1, ["in a pocket none", "from annotations"]),
    "plot_cluster": (0, ["day0.wav     ok", "day7.wav     ok"]),
    "plot_published_scripts": (1, ["All keys matched", "25.68 million", "225 bands, 224 frames"]),
}


def run_script(code, *arguments, cwd):
    """Run code in a process of its own, from a folder of its own, with the warnings that the tests do not allow."""
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    strict = [f"-Werror::{name}" for name in ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning")]
    out = subprocess.run(
        [sys.executable, *strict, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
    )
    assert out.returncode == 0, out.stdout + out.stderr
    return out


def test_every_script_of_the_gallery_is_tested():
    assert {path.stem for path in EXAMPLES.glob("plot_*.py")} == set(GALLERY)


@pytest.mark.slow
@pytest.mark.parametrize("name", GALLERY)
def test_gallery_runs(name, tmp_path):
    n_figures, promised = GALLERY[name]
    out = run_script(RUN, EXAMPLES / f"{name}.py", cwd=tmp_path)
    for text in promised:
        assert text in out.stdout, out.stdout
    assert out.stderr == ""
    figures = [tmp_path / f"figure_{number + 1}.png" for number in range(n_figures)]
    assert sorted(tmp_path.iterdir()) == figures
    assert all(figure.stat().st_size > 5_000 for figure in figures)


@pytest.mark.slow
def test_notebooks_run_one_after_the_other(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="needs pip install 'skcry[test]'")
    nbformat = pytest.importorskip("nbformat", reason="needs pip install 'skcry[test]'")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shown = {}
    for name in ("training", "prediction"):
        notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code), "strip the outputs"
        nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
        outputs = [output for cell in code for output in cell.outputs]
        told = [output["text"] for output in outputs if output.get("name") == "stderr"]
        assert not [text for text in told if "IProgress not found" not in text]  # of tqdm without ipywidgets
        shown[name] = [kind for output in outputs for kind in output.get("data", {})]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["detector.joblib"]
    assert "image/png" in shown["training"]
    assert "image/png" in shown["prediction"]
    assert shown["prediction"].count("text/html") >= 3
