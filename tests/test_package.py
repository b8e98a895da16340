"""The package as a whole: quick to import, and as its README says."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers import write_annotated

import skcry
from skcry.datasets import make_cry_recordings

ROOT = Path(__file__).parents[1]


def test_import_loads_no_heavy_library():
    code = (
        "import sys, skcry; print([m for m in ('torch', 'skorch', 'librosa', 'sklearn', 'pandas') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "[]"


def test_every_public_name_exists():
    for name in skcry.__all__:
        assert getattr(skcry, name) is not None
    assert skcry.AlexNetClassifier.__name__ in dir(skcry)
    with pytest.raises(AttributeError):
        _ = skcry.nothing


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_ci_runs_the_test_commands_of_the_readme():
    readme, ci = ((ROOT / name).read_text() for name in ("README.md", ".ci/run"))
    commands = re.findall(r"```bash\n(.+?)\n```", readme, re.S)
    assert len(commands) == 2
    assert commands[1] in ci
    assert "`python -m pytest -m slow`" in readme
    assert "python -m pytest -m slow" in ci
    assert (ROOT / "examples" / "quickstart.py").exists()
    assert "examples/quickstart.py" in commands[0]


@pytest.mark.parametrize(
    ("script", "name"), [("/usr/bin/skcry", "skcry"), (str(ROOT / "skcry" / "__main__.py"), "python -m skcry")]
)
def test_command(monkeypatch, capsys, script, name):
    command = EntryPoint("skcry", project()["scripts"]["skcry"], "console_scripts").load()
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as end:
        command()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {name} [-h] [--version]")
    monkeypatch.setattr(sys, "argv", [script, "report", "nowhere"])
    assert command() == 2
    assert "nowhere" in capsys.readouterr().err


def test_pre_commit_has_the_ruff_of_the_tests():
    versions = dict(line.split("==") for line in (ROOT / "tests" / "constraints.txt").read_text().splitlines()[1:])
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.search(r"ruff-pre-commit\s+rev: v(.+)", hooks)[1] == versions["ruff"]


def test_oldest_constraints_are_the_bounds_of_the_project():
    extras = [project()["optional-dependencies"][name] for name in ("dask", "docs", "plot", "test", "transformers")]
    needed = sum(extras, project()["dependencies"])
    bounds = dict(one.split(">=") for one in needed if not one.startswith("skcry["))
    lines = (ROOT / "tests" / "constraints-oldest.txt").read_text().splitlines()
    oldest = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert set(oldest) == set(bounds)
    for name, version in oldest.items():
        assert name == "torch" or re.fullmatch(rf"{re.escape(bounds[name])}(\.0)*", version), name


def test_wheel_and_source_hold_weights_credits_and_page(tmp_path):
    pytest.importorskip("setuptools", minversion="77", reason="needs pip install 'skcry[test]'")
    shutil.copytree(ROOT / "skcry", tmp_path / "skcry", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    code = "from setuptools import build_meta; build_meta.build_sdist('dist'); build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
    (wheel,), (source,) = (tmp_path.glob(f"dist/*.{suffix}") for suffix in ("whl", "tar.gz"))
    with zipfile.ZipFile(wheel) as file:
        sizes = {one.filename: one.file_size for one in file.infolist()}
    with tarfile.open(source) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    data = {
        f"skcry/pretrained/{name}"
        for name in ("cry_cnn.safetensors", "speech.safetensors", "detector.skcry", "CREDITS.md")
    }
    page = {f"skcry/review/page.{suffix}" for suffix in ("html", "css", "js")}
    assert data | page | {"skcry/py.typed", "skcry/__init__.pyi"} <= sizes.keys()
    assert data | page <= names
    assert sum(sizes[name] for name in data) < 2.2e6
    assert not [name for name in sizes if name.endswith((".wav", ".flac", ".tflite"))]


# What a listener does with the page.
JUDGE = """
import json, re, pandas
about = json.loads(re.search('id="about">(.*?)</script>', open("review.html", encoding="utf-8").read(), re.S)[1])
clips = pandas.DataFrame(about["clips"]).assign(reviewer="AB", at="")
clips["judgement"] = ["cry" if float(score) > 0.5 else "not" for score in clips["score"]]
clips[about["columns"]].to_csv("review-AB.csv", index=False)
"""


@pytest.mark.slow
def test_readme_code_runs(tmp_path):
    """Word for word, on recordings of 20 s."""
    pytest.importorskip("av", reason="needs pip install 'skcry[test]'")
    recordings, annotations, _ = make_cry_recordings(6, duration=20, cry_fraction=0.4, random_state=0)
    (tmp_path / "recordings").mkdir()
    write_annotated(tmp_path / "recordings", recordings, annotations)
    soundfile.write(tmp_path / "monday.wav", recordings[0], 16000)
    soundfile.write(tmp_path / "tuesday.flac", np.stack([recordings[1]] * 2, axis=1), 16000)
    write_m4a(tmp_path / "baby.m4a", recordings[0])
    (tmp_path / "days").mkdir()
    soundfile.write(tmp_path / "days" / "monday.wav", recordings[2], 16000)
    soundfile.write(tmp_path / "days" / "tuesday.flac", recordings[3], 16000)
    (tmp_path / "start.csv").write_text("file,start\nmonday.wav,2024-05-06 07:30\ntuesday.flac,2024-05-07 08:05\n")

    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.+?)```", readme, re.S)
    assert len(blocks) == 8
    commands = re.findall(r"^\$ skcry (.+)$", readme, re.M)
    assert len(commands) == 8
    last = "\nfrom skcry.__main__ import main\n"
    for command in commands:
        last += JUDGE if command.startswith("estimate") else ""
        last += f"assert main({command.split()}) == 0\n"
    subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", "\n".join(blocks) + last],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
    )
    assert (tmp_path / "review.html").stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / "hours.csv")) == 2
    assert list(pd.read_csv(tmp_path / "found" / "baby.m4a.events.csv")) == ["onset", "offset", "label", "score"]
    assert len(pd.read_csv(tmp_path / "found" / "baby.m4a.timeline.csv")) in (20, 21)  # encoders pad


def write_m4a(path, y):
    """Write a recording as a phone does."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(y[np.newaxis].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)


@pytest.mark.slow
def test_quickstart_runs_small(tmp_path):
    command = [sys.executable, ROOT / "examples" / "quickstart.py", "--out", tmp_path]
    out = subprocess.run(
        [*command, "--recordings", "10", "--duration", "30"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    for word in ("Data", "Untrained", "Search", "Model", "Reloaded", "Kept apart", "Events", "Picture", "Done"):
        assert re.search(f"^{word} ", out.stdout, re.M), out.stdout
    assert (tmp_path / "detection.png").stat().st_size > 10_000
    assert out.stderr == ""
    too_few = subprocess.run(
        [*command, "--recordings", "4", "--duration", "20"], capture_output=True, text=True, cwd=ROOT
    )
    assert "too few" in too_few.stderr
