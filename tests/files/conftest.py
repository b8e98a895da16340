import shutil

import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcry import CryDetector, StatFeatures, detect_files
from skcry.datasets import make_cry_recordings

NAMES = ["a.wav", "b with space.flac", "zweites Kind ä/a.wav", "zweites Kind ä/ü.ogg"]


@pytest.fixture(scope="session")
def data():
    return make_cry_recordings(4, duration=30, random_state=0)


@pytest.fixture(scope="session")
def detector(data):
    recordings, annotations, infants = data
    pipeline = make_pipeline(StatFeatures("mfcc", deltas=False), LogisticRegression(max_iter=2000))
    return CryDetector(pipeline, threshold=0.5).fit(recordings, annotations, groups=infants)


@pytest.fixture(scope="session")
def originals(data, tmp_path_factory):
    """Folder of four recordings, in two folders; not to be changed."""
    folder = tmp_path_factory.mktemp("originals")
    (folder / NAMES[2]).parent.mkdir()
    for name, y in zip(NAMES, data[0], strict=True):
        soundfile.write(folder / name, y, 16000)
    return folder


@pytest.fixture(scope="session")
def results(detector, originals, tmp_path_factory):
    """Folder of the results of ``originals``, computed in this process; not to be changed."""
    folder = tmp_path_factory.mktemp("results")
    detect_files(detector, originals, folder)
    return folder


@pytest.fixture
def days(originals, tmp_path):
    """Copy of ``originals``."""
    return shutil.copytree(originals, tmp_path / "days")
