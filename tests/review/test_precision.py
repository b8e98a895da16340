"""Precision by threshold from judged clips, and the threshold for a stated precision."""

import pandas as pd
import pytest

from skcry.review import estimate_crying, precision_by_threshold, threshold_for_precision


def test_precision_by_threshold(seconds, review):
    table = precision_by_threshold(review, seconds)
    assert table.index.is_monotonic_increasing
    assert ((table["low"] <= table["precision"]) & (table["precision"] <= table["high"])).all()
    threshold = seconds["score"][seconds["cry"]].min()
    at = precision_by_threshold(review, seconds, thresholds=[threshold]).iloc[0]
    found = estimate_crying(seconds, review).loc["precision"]
    assert at[["precision", "low", "high"]].tolist() == pytest.approx(found[["value", "low", "high"]].tolist())


def test_precision_of_clips_is_weighted(review):
    table = precision_by_threshold(review, thresholds=[0.0])
    weight, cry = 1 / review["probability"], review["judgement"] == "cry"
    assert table["precision"].iloc[0] == pytest.approx(weight[cry].sum() / weight.sum())
    assert table["n_clips"].iloc[0] == 60


def test_precision_above_all_scores_is_unknown(seconds, review):
    assert precision_by_threshold(review, seconds, thresholds=[1.0]).iloc[0, :3].isna().all()
    with pytest.raises(ValueError, match="from 0 to 1"):
        precision_by_threshold(review, thresholds=[2.0])
    with pytest.raises(ValueError, match="from 0 to 1"):
        precision_by_threshold(review, thresholds=["high"])


def test_threshold_for_precision(seconds, review):
    table = precision_by_threshold(review, seconds)
    for bound, column in (("value", "precision"), ("low", "low")):
        threshold = threshold_for_precision(review, 0.6, seconds, bound=bound)
        assert table.loc[threshold, column] >= 0.6
        assert (table.loc[table.index < threshold, column] < 0.6).all()
    with pytest.raises(ValueError, match=r"precision=1.0 is not reached .* the highest is 0\.\d+"):
        threshold_for_precision(review, 1.0, seconds, bound="low")


def test_precision_of_one_of_several_classes(seconds, review):
    several = seconds.assign(cry=seconds["score"], fuss=0.0, label=seconds["cry"].map({True: "cry", False: "fuss"}))
    several = several.drop(columns="score")
    expected = precision_by_threshold(review, seconds)
    pd.testing.assert_frame_equal(precision_by_threshold(review, several, label="cry"), expected)
    assert threshold_for_precision(review, 0.6, several, label="cry") == threshold_for_precision(review, 0.6, seconds)
    with pytest.raises(ValueError, match="several classes"):
        precision_by_threshold(review, several)
