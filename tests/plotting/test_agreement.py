import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skcry.metrics import agreement
from skcry.plotting import AgreementDisplay

ADA = {"a.wav": [(60, 180), (400, 460)], "b.wav": [(30, 90)], "c.wav": [(300, 420)]}
BEN = {"a.wav": [(70, 180), (400, 450)], "b.wav": [(30, 100)], "c.wav": [(310, 400), (500, 520)]}
FOUND = {"a.wav": [(100, 180)], "b.wav": [(30, 200)], "c.wav": [(300, 440)]}
SETTINGS = {"unit": "5 min", "durations": dict.fromkeys(ADA, 600), "n_resamples": 20, "random_state": 0}

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}") for text in (r"\d+ of \d+ resamples", "The intervals are NaN")
]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_dots_lines_and_bands_are_the_numbers():
    display = AgreementDisplay.from_predictions(ADA, FOUND, names=("Ada", "detector"), **SETTINGS)
    measures = agreement(ADA, FOUND, **SETTINGS)
    pd.testing.assert_frame_equal(display.measures, measures)
    points = np.asarray(display.points_.get_offsets())
    # Ada hears 120 s in the first 5 minutes of a.wav, the detector 80: 24 and 16 minutes per hour.
    np.testing.assert_allclose(points[0], [20, -8])
    assert points[:, 1].mean() == pytest.approx(measures["value"]["mean_difference"])
    for name, line in display.lines_.items():
        assert line.get_ydata()[0] == pytest.approx(measures["value"][name])
        band = display.bands_[name].get_extents().transformed(display.ax_.transData.inverted())
        np.testing.assert_allclose([band.y0, band.y1], measures.loc[name, ["low", "high"]].astype(float), atol=1e-9)
    assert list(display.lines_) == ["upper_limit", "mean_difference", "lower_limit"]
    assert texts(display.ax_) == ["detector - Ada (6 units of 5 min)"]
    assert display.ax_.get_ylabel() == "detector - Ada (minutes per hour)"
    assert display.ax_.get_title().startswith(f"ICC(A,1) {measures['value']['icc_agreement']:.2f} (")
    assert display.ceiling_points_ is None
    display.figure_.canvas.draw()


def test_two_annotators_are_the_ceiling():
    names = {"names": ("Ada", "detector"), "ceiling_names": ("Ada", "Ben")}
    display = AgreementDisplay.from_predictions(ADA, FOUND, ceiling=(ADA, BEN), **names, **SETTINGS)
    alone = AgreementDisplay.from_predictions(ADA, BEN, **SETTINGS)
    pd.testing.assert_frame_equal(display.ceiling.measures, alone.measures)
    np.testing.assert_allclose(display.ceiling_points_.get_offsets(), alone.points_.get_offsets())
    assert texts(display.ax_)[1:] == ["Ben - Ada (6 units of 5 min)", "limits of Ben - Ada"]
    assert display.ax_.get_title().endswith(f"; Ada and Ben {alone.measures['value']['icc_agreement']:.2f}")
    dotted = [line.get_ydata()[0] for line in display.ax_.lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(dotted, alone.measures.loc[["lower_limit", "upper_limit"], "value"])
    # On other axes, and a second pair of which fewer recordings were annotated.
    figure, ax = plt.subplots()
    assert display.plot(ax, marker="^").figure_ is figure
    fewer = [{name: side[name] for name in ("a.wav", "b.wav")} for side in (ADA, BEN)]
    display = AgreementDisplay.from_predictions(ADA, FOUND, ceiling=fewer, **SETTINGS)
    assert len(display.ceiling_points_.get_offsets()) == 4


def test_little_to_draw():
    one = {"unit": "5 min", "durations": [300], "n_resamples": 20}
    with pytest.warns(UserWarning, match="undefined"):
        display = AgreementDisplay.from_predictions([[(0, 60)]], [[(0, 90)]], ceiling=([[]], [[]]), **one)
    assert list(display.lines_) == ["mean_difference"]
    assert display.bands_ == {}
    assert display.ax_.get_title() == "ICC(A,1) undefined"
    assert texts(display.ax_) == ["b - a (1 unit of 5 min)", "annotator 2 - annotator 1 (1 unit of 5 min)"]
    display.figure_.canvas.draw()


def test_bad_input():
    with pytest.raises(ValueError, match="unit='second' must be one of"):
        AgreementDisplay.from_predictions(ADA, BEN, **{**SETTINGS, "unit": "second"})
    with pytest.raises(TypeError, match=r"ceiling must be a pair of sides, got dict. Pass \(first, second\)"):
        AgreementDisplay.from_predictions(ADA, BEN, ceiling=BEN, **SETTINGS)
    with pytest.raises(ValueError, match="b: nothing for recording 'c.wav'"):
        AgreementDisplay.from_predictions(ADA, {name: BEN[name] for name in ("a.wav", "b.wav")}, **SETTINGS)
    with pytest.raises(TypeError, match="unexpected keyword argument 'group'"):
        AgreementDisplay.from_predictions(ADA, BEN, group={}, **SETTINGS)
