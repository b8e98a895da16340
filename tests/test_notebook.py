"""What notebooks show of windows and estimators."""

import base64
import io
import re
import sys
from importlib import metadata

import matplotlib.image
import numpy as np
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.utils import estimator_html_repr
from sklearn.utils.fixes import parse_version

import skcry._compat
from skcry import CryDetector, EnergyGate, MelSpectrogram, StatFeatures, Windower, make_cry_pipeline
from skcry.datasets import make_cry_recordings

needs_tooltips = pytest.mark.skipif(
    parse_version(metadata.version("scikit-learn")) < parse_version("1.8"), reason="tooltips came with scikit-learn 1.8"
)
TOOLTIP = r'param-doc-description"[^>]*>\s*{name}: '


def embedded(html, kind):
    found = re.search(f'data:{kind};base64,([^"]*)', html)
    return found and io.BytesIO(base64.b64decode(found[1]))


def test_windows_show_a_table_and_the_first_window(chirps, sr):
    X = Windower().fit_transform(chirps, groups=["a", "a", "b", "<b>"])
    html = X[[7, 9]]._repr_html_()
    assert "Windows: 2 of 5 s from 2 recordings" in html
    assert "<td>recordings[1]</td>\n      <td>3</td>\n      <td>8</td>\n      <td>a</td>" in html
    assert "&lt;b&gt;" in X._repr_html_()
    assert "<b>" not in X._repr_html_()
    sound, rate = soundfile.read(embedded(html, "audio/wav"))
    assert rate == sr
    # 16 bits: steps of 3e-5 of full scale.
    np.testing.assert_allclose(sound / np.abs(sound).max(), X[7] / np.abs(X[7]).max(), atol=1e-4)


def test_axes_of_the_picture(sr):
    t = np.arange(5 * sr) / sr
    html = Windower().fit_transform([np.sin(2 * np.pi * 1000 * t) * (t > 2.5)])._repr_html_()
    picture = matplotlib.image.imread(embedded(html, "image/png"))[..., :3].sum(axis=2)
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    assert picture.shape[0] - 1 - row == pytest.approx(1000 / (sr / 2) * picture.shape[0], abs=2)
    assert column > picture.shape[1] / 2


def test_spectrograms_have_a_picture_and_no_player(chirps):
    html = MelSpectrogram(n_mels=32).fit_transform(Windower().fit_transform(chirps))._repr_html_()
    assert embedded(html, "audio/wav") is None
    assert matplotlib.image.imread(embedded(html, "image/png")).shape[0] == 32


@pytest.mark.parametrize("y", [np.zeros(16000), np.full(300, 0.1), np.ones(40 * 16000)])
def test_silence_and_short_and_long_windows(y):
    X = Windower(window_duration=len(y) / 16000).fit_transform([y])
    assert "figure" in X._repr_html_()
    assert "figure" not in X[:0]._repr_html_()


def test_without_matplotlib(chirps, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.image", None)
    html = Windower().fit_transform(chirps)._repr_html_()
    assert "audio" in html
    assert "image" not in html


def test_the_detector_shows_its_parts_in_order():
    detector = CryDetector(gate=EnergyGate())
    block = detector._sk_visual_block_()
    assert list(block.names) == ["windower: Windower", "gate: EnergyGate", "estimator: Pipeline"]
    assert "FrameCNNClassifier" in estimator_html_repr(detector)
    recordings, annotations, _ = make_cry_recordings(4, duration=20, random_state=0)
    pipeline = make_cry_pipeline(LogisticRegression(), features="stats", resample=None)
    fitted = CryDetector(pipeline, threshold=0.5).fit(recordings, annotations)
    assert list(fitted._sk_visual_block_().estimators) == [fitted.windower_, fitted.estimator_]


@needs_tooltips
def test_parameters_have_tooltips(monkeypatch):
    for estimator in (CryDetector(), StatFeatures(), EnergyGate(), Windower(), MelSpectrogram()):
        html = estimator_html_repr(estimator)
        name = next(iter(estimator.get_params(deep=False)))
        assert re.search(TOOLTIP.format(name=name), html), estimator
    assert re.search(TOOLTIP.format(name="n_mels"), estimator_html_repr(make_cry_pipeline()))
    assert "Documentation for Windower" not in estimator_html_repr(Windower())
    monkeypatch.setattr(skcry._compat, "documentation_url", lambda: "https://skcry.invalid")
    html = estimator_html_repr(Windower())
    assert 'href="https://skcry.invalid/generated/skcry.Windower.html"' in html
    assert "Documentation for Windower" in html
