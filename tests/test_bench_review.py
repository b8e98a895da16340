"""The benchmark of review compares strategies on the same seconds, and counts intervals that hold."""

import importlib
from pathlib import Path

import pandas as pd
import pytest
from helpers import make_quick_detector, make_timeline, write_annotated

from skcry import save
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


@pytest.mark.slow
def test_correction_of_a_detector(bench, tmp_path, monkeypatch):
    recordings, annotations, _ = make_cry_recordings(4, 60, random_state=0)
    (tmp_path / "data").mkdir()
    write_annotated(tmp_path / "data", recordings, annotations)
    save(make_quick_detector().fit(recordings, annotations), tmp_path / "own.skcry")
    monkeypatch.setattr(bench, "DRAWS", {"together": (4, 8), "each home": (2,)})
    arguments = ["--data", str(tmp_path / "data"), "--detector", str(tmp_path / "own.skcry"), "--seeds", "2"]
    table = bench.main(arguments)["corrected"]
    assert table["clips"].tolist() == [4, 8, 2]
    assert table[["before", "after"]].ge(0).all(axis=None)
    assert table[["before", "after"]].le(1).all(axis=None)
    assert ((table["low"] <= table["gain"]) & (table["gain"] <= table["high"])).all()
    assert (table["worst draw"] <= table["gain"] + 0.05).all()


def test_scores_only_what_is_far_from_judged_clips(bench):
    index = make_timeline({"a": [0.5] * 30, "b": [0.5] * 3}).index
    clips = pd.DataFrame({"recording": ["a"], "onset": [10], "offset": [15]})
    far = bench.unheard(index, clips)
    assert far.tolist() == [True] * 5 + [False] * 15 + [True] * 10 + [True] * 3


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name --data"),
        (["--simulate", "5", "--out", "a/b"], "Make"),
        (["--simulate", "5", "--detector", "a.skcry"], "with --data"),
        (["--data", ".", "--network", "."], "with --detector"),
    ],
)
def test_refuses(bench, capsys, arguments, message):
    with pytest.raises(SystemExit):
        bench.main(arguments)
    assert message in capsys.readouterr().err
