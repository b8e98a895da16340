"""The benchmark of accuracy leaves out whole groups, and its tables hold what they say; how good it is, is no test."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import write_annotated

from skcry import CryDetector
from skcry.datasets import make_cry_recordings


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return importlib.import_module("benchmarks.bench_accuracy")


@pytest.fixture
def folder(tmp_path):
    """Four recordings of two infants, who take turns."""
    recordings, annotations, infants = make_cry_recordings(4, 30, n_infants=2, random_state=0)
    write_annotated(tmp_path, recordings, annotations)
    lines = ["file,group", *(f"day{number}.wav,infant{infant}" for number, infant in enumerate(infants))]
    (tmp_path / "groups.csv").write_text("\n".join(lines))
    return tmp_path


def spy(monkeypatch, method, seen):
    original = getattr(CryDetector, method)

    def spied(self, X, *args):
        seen.append((method, [float(np.abs(x).sum()) for x in X]))
        return original(self, X, *args)

    monkeypatch.setattr(CryDetector, method, spied)


@pytest.mark.slow
def test_seconds(bench, folder, monkeypatch, capsys, tmp_path):
    seen = []
    for method in ("fit", "timeline"):
        spy(monkeypatch, method, seen)
    out = tmp_path / "out.md"
    pipelines = ["energy", "stats+svc"]
    rows, chance = bench.main(["--data", str(folder), "--pipelines", *pipelines, "--quick", "--out", str(out)])[
        "seconds"
    ]
    assert 0 < chance < 1

    data = bench.load_annotated(folder)
    infant = {float(np.abs(x).sum()): group for x, group in zip(data.recordings, data.groups, strict=True)}
    assert [method for method, _ in seen] == ["fit", "timeline"] * 4
    for (_, train), (_, test) in zip(seen[::2], seen[1::2], strict=True):
        assert not {infant[x] for x in train} & {infant[x] for x in test}
    for scored in (seen[1:4:2], seen[5:8:2]):
        assert sorted(x for _, fold in scored for x in fold) == sorted(infant)

    assert list(rows) == pipelines
    for row in rows.values():
        for name in bench.INTERVALS:
            value, low, high = row[name]
            assert 0 <= low <= high <= 1
            assert 0 <= value <= 1
        for name in ("F1", "ROC AUC", "event F1", "recall at 2/h", "Brier score", "ECE"):
            assert 0 <= row[name] <= 1, name
        assert row["F1"] <= row["best F1"][0]
        assert -1 <= row["kappa"] <= 1
        assert 0 <= row["error (min/h)"] <= 60
        for name in ("training (s/fold)", "prediction (s/h)", "pickle (MB)"):
            assert row[name] > 0, name

    text = out.read_text()
    assert text == capsys.readouterr().out
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0] for line in table[2:]] == ["| energy", "| stats+svc"]
    assert len({line.count("|") for line in table}) == 1
    assert "stats+svc, average precision of windows: " in text


@pytest.mark.slow
def test_clips(bench, folder, tmp_path):
    recordings, annotations, _ = make_cry_recordings(30, 5, random_state=0)
    lines = ["file,label,source"]
    for i, (y, table) in enumerate(zip(recordings, annotations, strict=True)):
        soundfile.write(tmp_path / f"clip{i}.wav", y, 16000)
        lines.append(f"clip{i}.wav,{int(len(table) > 0)},source{i // 2}")
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    tables = bench.main(["--clips", str(tmp_path / "clips.csv"), "--pipelines", "energy", "--quick"])
    rows, _ = tables["clips"]
    assert 0 < rows["energy"]["average precision"][0] <= 1
    assert "event F1" not in rows["energy"]


@pytest.mark.parametrize(("n_groups", "n_folds"), [(2, 2), (3, 2), (8, 4), (9, 4), (25, 10)])
def test_splits(bench, n_groups, n_folds):
    groups = np.repeat([f"infant{i}" for i in range(n_groups)], 3)
    np.random.default_rng(0).shuffle(groups)
    splits = bench.group_splits(groups)
    assert len(splits) == n_folds
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(len(groups)))
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])


def test_calibration_error(bench):
    truth, score = np.array([0, 0, 1, 1]), np.array([0.25, 0.25, 0.25, 1.0])
    assert bench.calibration_error(truth, score) == pytest.approx(3 / 4 * (1 / 3 - 0.25))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "name --data, --clips"), (["--data", ".", "--pipelines", "wav2vec2+boosting"], "needs --wav2vec2")],
)
def test_refuses(bench, capsys, arguments, message):
    with pytest.raises(SystemExit):
        bench.main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_study_of_training(folder, monkeypatch, capsys):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    study = importlib.import_module("bench_training")
    monkeypatch.setitem(study.VARIANTS, "default", {study.NET + "min_steps": 1, study.NET + "max_epochs": 1})
    monkeypatch.setitem(study.VARIANTS, "SVC()", study.VARIANTS["default"] | {"classify__C": 10.0})
    rows = study.main(["--data", str(folder), "--variants", "SVC()"])
    assert list(rows) == ["default", "SVC()"]
    assert rows["default"][1:] == (0, 0, 0)
    value, difference, low, high = rows["SVC()"]
    assert 0 < value <= 1
    assert difference == pytest.approx(value - rows["default"][0])
    assert low <= difference <= high
    assert difference != 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_names_of_variants_are_parameters(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    study = importlib.import_module("bench_training")
    for changes in study.VARIANTS.values():
        study.make_cry_pipeline(features="frames").set_params(**changes)


def test_too_little_is_said_at_once(bench, folder):
    with pytest.raises(SystemExit, match="Only 1 group"):
        bench.group_splits(["a", "a"])
    with pytest.raises(SystemExit):
        bench.main(["--data", str(folder), "--out", str(folder / "missing" / "table.md")])
