"""Sounds and detectors that tests share; the shared recordings for those marked ``real``."""

import os
from pathlib import Path

# Toy-sized networks lose more than they gain by a second thread. To be set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test asks the network for a model. To be set before huggingface_hub is imported.
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def sr():
    return 16000


@pytest.fixture
def chirps(rng, sr):
    """Four recordings of 8 to 11 s: harmonic chirps over faint noise, loud in the second half of each."""
    recordings = []
    for duration in (8, 9, 10, 11):
        t = np.arange(duration * sr) / sr
        phase = 2 * np.pi * np.cumsum(450 + 50 * np.sin(2 * np.pi * t)) / sr
        voice = sum(np.sin(k * phase) / k for k in range(1, 6)) * (t > duration / 2)
        recordings.append((0.2 * voice + 0.01 * rng.normal(size=t.size)).astype(np.float32))
    return recordings


@pytest.fixture
def chirp_annotations(chirps, sr):
    return [[(len(y) / sr / 2, len(y) / sr, "cry")] for y in chirps]


@pytest.fixture(scope="session")
def cry_data():
    """Six recordings of 40 s, their annotations and infants. No test may change them."""
    from skcry.datasets import make_cry_recordings

    recordings, annotations, infants = make_cry_recordings(6, duration=40, random_state=0)
    for y in recordings:
        y.flags.writeable = False
    return recordings, annotations, infants


@pytest.fixture(scope="session")
def quick_detector(cry_data):
    """A detector fitted on ``cry_data``. No test may change it."""
    from helpers import make_quick_detector

    recordings, annotations, infants = cry_data
    return make_quick_detector().fit(recordings, annotations, groups=infants)


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory):
    """Folder of a tiny wav2vec 2.0 model with random weights."""
    pytest.importorskip("transformers", reason="needs pip install 'skcry[transformers]'")
    from helpers import save_toy_model

    return save_toy_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def shared():
    """Folder of the shared recordings and golden values."""
    folder = Path(os.environ.get("SKCRY_DATA", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("no shared data at ../shared or $SKCRY_DATA")
    return folder
