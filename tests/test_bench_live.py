"""The benchmark of live listening plays and compares what it says; how fast that is, is no test."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

import skcry
from skcry import read_timelines

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return importlib.import_module("benchmarks.bench_live")


def test_what_is_played_gets_the_scores_of_the_file(bench, cry_data, quick_detector, tmp_path):
    soundfile.write(tmp_path / "sound.wav", np.concatenate(cry_data[0]), 16000)
    skcry.save(quick_detector, tmp_path / "quick.skcry")
    rows, wall = bench.play(tmp_path / "sound.wav", [str(tmp_path / "quick.skcry")], tmp_path / "found")
    expected = quick_detector.timeline([tmp_path / "sound.wav"])["score"]
    np.testing.assert_allclose(read_timelines(tmp_path / "found")["score"], expected, atol=1e-5)
    assert rows[-1, 0] == pytest.approx(240 / 3600)
    assert (rows[:, 1:] > 0).all()
    assert wall > 0
    assert bench.listen_in_blocks(quick_detector) > 0
