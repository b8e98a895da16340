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
from sklearn.utils import estimator_html_repr
from sklearn.utils.fixes import parse_version

import skcry._compat
from skcry import CryDetector, EnergyGate, MelSpectrogram, StatFeatures, Windower, make_cry_pipeline


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


def test_spectrograms_have_a_picture_and_no_player_and_sound_without_matplotlib_has_no_picture(chirps, monkeypatch):
    X = Windower().fit_transform(chirps)
    html = MelSpectrogram(n_mels=32).fit_transform(X)._repr_html_()
    assert embedded(html, "audio/wav") is None
    assert matplotlib.image.imread(embedded(html, "image/png")).shape[0] == 32
    monkeypatch.setitem(sys.modules, "matplotlib.image", None)
    assert "audio" in X._repr_html_()
    assert "image" not in X._repr_html_()


@pytest.mark.parametrize("y", [np.zeros(16000), np.full(300, 0.1), np.ones(40 * 16000)])
def test_silence_and_short_and_long_windows(y):
    X = Windower(window_duration=len(y) / 16000).fit_transform([y])
    assert "figure" in X._repr_html_()
    assert "figure" not in X[:0]._repr_html_()


def test_the_detector_shows_its_parts_in_order(quick_detector):
    detector = CryDetector(gate=EnergyGate())
    assert list(detector._sk_visual_block_().names) == ["windower: Windower", "gate: EnergyGate", "estimator: Pipeline"]
    assert "PretrainedEmbedding" in estimator_html_repr(detector)
    assert list(quick_detector._sk_visual_block_().estimators) == [quick_detector.windower_, quick_detector.estimator_]


OLD = parse_version(metadata.version("scikit-learn")) < parse_version("1.8")


@pytest.mark.skipif(OLD, reason="tooltips came with scikit-learn 1.8")
def test_parameters_have_tooltips(monkeypatch):
    several = (CryDetector(), StatFeatures(), EnergyGate(), Windower(), MelSpectrogram())
    names = [
        *((one, next(iter(one.get_params(deep=False)))) for one in several),
        (make_cry_pipeline(features="frames"), "n_mels"),
    ]
    for estimator, name in names:
        assert re.search(rf'param-doc-description"[^>]*>\s*{name}: ', estimator_html_repr(estimator)), estimator
    link = "Documentation for Windower"
    assert link not in estimator_html_repr(Windower())
    monkeypatch.setattr(skcry._compat, "documentation_url", lambda: "https://skcry.invalid")
    html = estimator_html_repr(Windower())
    assert 'href="https://skcry.invalid/generated/skcry.Windower.html"' in html
    assert link in html
