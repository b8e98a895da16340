"""The benchmark of review compares strategies on the same seconds, and counts intervals that hold."""

import importlib
from pathlib import Path

import pandas as pd
import pytest
from helpers import make_quick_detector, make_timeline, write_annotated

from skcry.datasets import make_cry_recordings


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return importlib.import_module("benchmarks.bench_review")


@pytest.mark.slow
def test_strategies(bench, tmp_path, monkeypatch, capsys):
    recordings, annotations, _ = make_cry_recordings(4, 120, random_state=0)
    write_annotated(tmp_path, recordings, annotations)
    monkeypatch.setattr(bench, "CryDetector", lambda **about: make_quick_detector())
    monkeypatch.setattr(bench, "STRATEGIES", ("random", "stratified", "uncertain"))
    monkeypatch.setattr(bench, "MINUTES", (1,))
    out = tmp_path / "out.md"
    table = bench.main(["--data", str(tmp_path), "--seeds", "1", "--out", str(out)])["strategies"]
    assert len(table) == 2 * 2 * 3
    assert table["F1"].between(0, 1).all()
    assert (table["gain"][table["strategy"] == "random"] == 0).all()
    assert ((table["low"] <= table["gain"]) & (table["gain"] <= table["high"])).all()
    assert table[table["minutes"] == 0].groupby("way")["F1"].nunique().eq(1).all()
    assert out.read_text() == capsys.readouterr().out


def test_judges_by_half(bench):
    truth = {0: pd.Series([True, True, True, False, False, False, False, True, True, False])}
    clips = pd.DataFrame({"recording": [0, 0], "onset": [0, 5], "offset": [5, 10]})
    assert bench.judge(clips, truth)["judgement"].tolist() == ["cry", "not"]


def test_scores_only_the_last_seconds_of_minutes(bench):
    timeline = make_timeline({"a": [0.9] * 60})
    counts = bench.counts(timeline, [True] * 50 + [False] * 10)
    assert counts.loc["a"].tolist() == [10, 10, 0]
    assert bench.f1(counts) == pytest.approx(2 / 3)


def test_simulation(bench):
    table = bench.simulate(5, shares=(0.2,), qualities={"good": 3.0}, sizes=(50,), hours=2)
    assert table["strategy"].tolist() == ["random", "stratified"]
    assert table[bench.TRIED].to_numpy().min() >= 0
    assert (table[[f"width of {name}" for name in bench.TRIED]] > 0).all(axis=None)


@pytest.mark.parametrize(("arguments", "message"), [([], "name --data"), (["--simulate", "5", "--out", "a/b"], "Make")])
def test_refuses(bench, capsys, arguments, message):
    with pytest.raises(SystemExit):
        bench.main(arguments)
    assert message in capsys.readouterr().err
