"""The benchmark of numbers of windows selects and scores what it says; how good that is, is no test."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from helpers import write_annotated

from skcry.datasets import make_cry_recordings


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return importlib.import_module("benchmarks.bench_rows")


@pytest.fixture
def folders(tmp_path):
    for number, name in enumerate(("training", "scoring")):
        (tmp_path / name).mkdir()
        write_annotated(tmp_path / name, *make_cry_recordings(3, 30, random_state=number)[:2])
    return [str(tmp_path / "training"), str(tmp_path / "scoring")]


def test_table(bench, folders, tmp_path, capsys):
    out = tmp_path / "rows.md"
    found = bench.main([*folders, "--sizes", "40", "0", "--seeds", "1", "--out", str(out)])
    assert list(found["pretrained"]) == [found_all := max(found["pretrained"]), 40]
    assert found_all > 60
    assert all(0 < score <= 1 for score in found["pretrained"].values())
    lines = out.read_text().splitlines()
    assert lines == capsys.readouterr().out.splitlines()
    assert [line.count("|") for line in lines[-4:]] == [9] * 4
    assert lines[-1].startswith("| 40 | 45% | 44 | ")
    assert "+0.000 [" in lines[-2] or "0.000 [0.000, 0.000]" in lines[-2]


def test_rows_are_those_of_the_pipeline(bench, folders):
    learner = bench.Learner("stats", bench.load_annotated(folders[0]))
    assert list(dict(learner.before.steps)) == ["highpass", "denoise", "features"]
    assert list(dict(learner.after.steps)) == ["scale", "select", "resample", "classify"]
    assert (learner.rows(20) == bench.select_rows(learner.y, 20)).all()
    at_random = learner.rows(20, seed=0)
    assert (np.diff(at_random) > 0).all()
    assert len(at_random) == 20
    model, n_rows, seconds = learner.fit(np.arange(len(learner.y)))
    assert n_rows == 2 * np.bincount(learner.y).max()
    assert seconds > 0
    assert model[:-2].transform(bench.load_annotated(folders[1]).recordings[0][None, :80000]).shape[0] == 1


def test_refuses(bench, capsys):
    with pytest.raises(SystemExit):
        bench.main([".", ".", "--out", "missing/rows.md"])
    assert "Make it first" in capsys.readouterr().err
