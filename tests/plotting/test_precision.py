"""The display of precision draws the table."""

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skcry.plotting import PrecisionDisplay
from skcry.review import precision_by_threshold


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def review():
    table = pd.DataFrame({"recording": "monday.wav", "onset": range(0, 300, 5), "score": [0.2, 0.6, 0.9] * 20})
    return table.assign(
        offset=table["onset"] + 5, stratum=0, probability=0.1, judgement=["not", "not", "cry", "not", "cry", "cry"] * 10
    )


def test_draws_the_table(review):
    display = PrecisionDisplay.from_predictions(review, threshold=0.5, level=0.8)
    table = precision_by_threshold(review, level=0.8)
    np.testing.assert_allclose(display.line_.get_xdata(), table.index)
    np.testing.assert_allclose(display.line_.get_ydata(), table["precision"])
    heights = display.band_.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(table["low"].min())
    assert heights.max() == pytest.approx(table["high"].max())
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["Precision", "80% interval", "Threshold 0.50"]
    assert display.ax_.get_xlabel() == "Threshold"


def test_draws_again_on_other_axes(review):
    display = PrecisionDisplay.from_predictions(review, color="black")
    assert display.threshold_line_ is None
    assert display.line_.get_color() == "black"
    _, ax = plt.subplots()
    assert display.plot(ax).ax_ is ax
