"""The benchmark of exported models measures all three ways."""

import importlib
from pathlib import Path

import pytest


@pytest.mark.slow
def test_compares(monkeypatch, tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="needs pip install 'skcry[onnx]'")
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    bench = importlib.import_module("benchmarks.bench_export")
    out = tmp_path / "out.md"
    table = bench.main(["--minutes", "0.2", "--runs", "1", "--out", str(out)])
    assert table.index.tolist() == ["Python", "float32", "int8"]
    assert (table[["block, ms/s", "live, ms"]] > 0).all(axis=None)
    assert table.loc["int8", "MB"] < table.loc["float32", "MB"]
    assert out.read_text() == capsys.readouterr().out
