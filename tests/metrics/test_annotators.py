import inspect

import numpy as np
import pandas as pd
import pytest
from helpers import make_timeline
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import cohen_kappa_score

from skcry.events import mark_unknown
from skcry.io import write_annotations
from skcry.metrics import agreement, event_truth, second_truth
from skcry.metrics.annotators import compare, gwet_ac1, icc

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}") for text in (r"\d+ of \d+ resamples", "The intervals are NaN")
]

QUICK = {"n_resamples": 20, "random_state": 0}
# Shrout and Fleiss (1979), table 2: six targets, four judges.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
# Bland and Altman (1986), table 1: first peak flow of 17 people by a Wright meter and by a mini meter, l/min.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]

ADA = {"a.wav": [(60, 180), (400, 460)], "b.wav": [(30, 90)], "c.wav": [(300, 420)]}
BEN = {"a.wav": [(70, 180), (400, 450)], "b.wav": [(30, 100)], "c.wav": [(310, 400), (500, 520)]}
DURATIONS = dict.fromkeys(ADA, 600)


def measure(a, b, **settings):
    return agreement(a, b, **{"durations": DURATIONS, **QUICK, **settings})


def of_cells(both, only_a, only_b, neither):
    """Two lists of annotations of one recording with so many seconds of each kind, and its duration."""
    a, b = [(0.0, both + only_a)], [(0.0, both), (both + only_a, both + only_a + only_b)]
    return [[row for row in side if row[1] > row[0]] for side in (a, b)], both + only_a + only_b + neither


# Published examples


def test_icc_of_shrout_and_fleiss():
    np.testing.assert_allclose(icc(SHROUT_FLEISS), [0.29, 0.71], atol=0.005)


def test_ac1_and_kappa_of_gwets_package():
    """The overview of the R package irrCAC 1.0, by Gwet, has these counts, and prints these coefficients."""
    counts = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]
    assert gwet_ac1(counts) == pytest.approx(0.8493305, abs=5e-8)


def test_paradox_of_kappa():
    """The table on which the paradox is often shown: of 125 ratings 118 and 0 are alike. Expected: worked by hand.

    Chance agreement of kappa: 0.984 * 0.96 + 0.016 * 0.04 = 0.94528; of AC1: 2 * 0.972 * 0.028 = 0.054432.
    """
    (a, b), duration = of_cells(118, 5, 2, 0)
    with pytest.warns(UserWarning, match="there is only one, 0"):
        values = agreement([a], [b], durations=[duration], **QUICK)["value"]
    assert values["percent_agreement"] == pytest.approx(94.4)
    assert values["cohen_kappa"] == pytest.approx((0.944 - 0.94528) / (1 - 0.94528))
    assert values["gwet_ac1"] == pytest.approx((0.944 - 0.054432) / (1 - 0.054432))


def test_limits_of_bland_and_altman():
    """Peak flow as minutes of crying: a twentieth of it per hour, in a recording of one hour."""
    mini, wright = ([[(0, 3 * flow)] for flow in side] for side in (MINI, WRIGHT))
    table = agreement(mini, wright, unit="hour", durations=[3600] * 17, **QUICK)
    values = 20 * table["value"]
    assert values["mean_difference"] == pytest.approx(-2.1, abs=0.05)
    deviation = (values["upper_limit"] - values["lower_limit"]) / (2 * 1.96)
    assert deviation == pytest.approx(38.8, abs=0.05)
    # The paper takes two standard deviations, and prints -79.7 and 75.5.
    assert values["mean_difference"] - 2 * deviation == pytest.approx(-79.7, abs=0.1)
    assert values["mean_difference"] + 2 * deviation == pytest.approx(75.5, abs=0.1)
    assert table["value"]["pearson"] == pytest.approx(0.94, abs=0.005)
    assert (table["n"] == 17).all()


def test_kappa_is_that_of_seconds():
    timeline = pd.DataFrame(index=pd.MultiIndex.from_product([ADA, range(600)], names=["recording", "second"]))
    a, b = second_truth(ADA, timeline), second_truth(BEN, timeline)
    table = measure(ADA, BEN)
    assert table["value"]["cohen_kappa"] == pytest.approx(cohen_kappa_score(a, b))
    assert table["value"]["percent_agreement"] == pytest.approx(100 * (a == b).mean())
    assert (table["n"] == 1800).all()


# Properties


@pytest.mark.parametrize("unit", ["second", "5 min"])
def test_sides_can_be_swapped(unit):
    there, back = measure(ADA, BEN, unit=unit), measure(BEN, ADA, unit=unit)
    symmetric = [name for name in there.index if not name.endswith(("difference", "limit"))]
    pd.testing.assert_frame_equal(there.loc[symmetric], back.loc[symmetric])
    if unit == "5 min":
        assert there["value"]["mean_difference"] == -back["value"]["mean_difference"]
        assert there["value"]["lower_limit"] == pytest.approx(-back["value"]["upper_limit"])


def test_perfect_agreement():
    values = measure(ADA, ADA)
    assert values["value"].tolist() == values["low"].tolist() == values["high"].tolist() == [1, 1, 100]
    values = measure(ADA, ADA, unit="5 min")["value"]
    np.testing.assert_allclose(values, [1, 1, 1, 1, 0, 0, 0], atol=1e-12)
    assert measure(ADA, ADA)["form"]["cohen_kappa"] == "unweighted, per second"


def test_a_side_that_always_hears_more():
    """Consistency does not see it, agreement does."""
    a = {one: [(0, 30 * number)] for number, one in enumerate("pqrs", 1)}
    b = {one: [(0, 30 * number + 60)] for number, one in enumerate("pqrs", 1)}
    values = agreement(a, b, unit="5 min", durations=dict.fromkeys(a, 300), **QUICK)["value"]
    assert values["icc_consistency"] == values["pearson"] == pytest.approx(1)
    assert values["icc_agreement"] < 0.7
    assert values["mean_difference"] == values["lower_limit"] == pytest.approx(12)


def test_one_class_only():
    with pytest.warns(UndefinedMetricWarning, match="cohen_kappa: undefined and set to NaN"):
        table = agreement([[], []], [[], []], durations=[60, 60], **QUICK)
    assert table["value"].isna().tolist() == [True, False, False]
    assert table.loc["gwet_ac1", ["value", "low", "high"]].tolist() == [1, 1, 1]
    with pytest.warns(UndefinedMetricWarning, match="icc_agreement, icc_consistency, pearson, spearman: undefined"):
        table = agreement([[], []], [[], []], unit="5 min", durations=[300, 300], **QUICK)
    assert table["value"]["mean_difference"] == 0
    # One side hears nothing: kappa is 0, as scikit-learn has it.
    table = agreement([[], []], [[(0, 5)], [(2, 9)]], durations=[60, 60], **QUICK)
    assert table["value"]["cohen_kappa"] == 0


def test_a_single_unit():
    with (
        pytest.warns(UndefinedMetricWarning, match="lower_limit, upper_limit: undefined"),
        pytest.warns(UserWarning, match="The intervals are NaN"),
    ):
        table = agreement([[(0, 60)]], [[(0, 90)]], unit="5 min", durations=[300], **QUICK)
    assert table["value"]["mean_difference"] == 6
    assert table["low"].isna().all()


def test_icc_of_odd_ratings():
    assert np.isnan(icc([[1, 1], [1, 1]])).all()
    agreed, consistent = icc([[1.1, 2.3], [1.1, 2.3], [1.1, 2.3]])
    assert agreed == pytest.approx(0)
    assert np.isnan(consistent)
    agreed, consistent = icc([[0, 1], [1, 0]])
    assert np.isnan(agreed)
    assert consistent == -1


# Forms of the sides


def test_all_forms_are_the_same(tmp_path):
    expected = measure(ADA, BEN)
    timeline = pd.DataFrame(index=pd.MultiIndex.from_product([ADA, range(600)], names=["recording", "second"]))
    truth = second_truth(BEN, timeline)
    paths = {}
    for name, rows in BEN.items():
        paths[name] = tmp_path / name.replace(".wav", ".csv")
        write_annotations(rows, paths[name])
    events = event_truth(BEN, merge_gap=0.0)
    detected = pd.DataFrame(events.to_dict("list"))  # without the list of recordings
    files = [str(path) for path in paths.values()]
    for other in (paths, events, detected, truth, timeline.assign(cry=truth), pd.Series(BEN)):
        pd.testing.assert_frame_equal(measure(ADA, other), expected)
    for b in (truth, timeline.assign(cry=truth)):
        for a in (ADA, list(ADA.values())):
            pd.testing.assert_frame_equal(agreement(a, b, **QUICK), expected)
    lists = agreement(list(ADA.values()), files, durations=[600] * 3, groups=["x", "y", "z"], **QUICK)
    pd.testing.assert_frame_equal(lists, expected)


def test_files_of_detections():
    """Recordings without events have no row in tables of events."""
    a = pd.DataFrame({"recording": ["a.wav"], "onset": [10.0], "offset": [20.0]})
    b = pd.DataFrame({"recording": ["b.wav"], "onset": [10.0], "offset": [20.0]})
    table = measure(a, b, durations={"a.wav": 100, "b.wav": 100, "c.wav": 100})
    assert table["n"]["cohen_kappa"] == 300
    assert table["value"]["percent_agreement"] == pytest.approx(100 * 280 / 300)


def test_labels_mean_the_same_everywhere():
    """Tables of events hold crying, whatever crying is called."""
    a = {"x": [(0, 10, "wail"), (20, 30, "unsure")], "y": [(5, 9, "wail")]}
    b = pd.DataFrame({"recording": ["x", "y"], "onset": [0.0, 5.0], "offset": [10.0, 9.0]})
    table = measure(a, b, positive="wail", ignore="unsure", durations={"x": 60, "y": 60})
    assert table["value"]["percent_agreement"] == 100
    assert table["n"]["percent_agreement"] == 110


def test_unknown_time_counts_on_neither_side():
    a, b = dict(ADA), dict(BEN)
    a["a.wav"] = mark_unknown(ADA["a.wav"], [(0, 500)])
    b["b.wav"] = [*BEN["b.wav"], (200, 250, "unknown")]
    whole, part = measure(ADA, BEN), measure(a, b)
    assert part["n"]["cohen_kappa"] == whole["n"]["cohen_kappa"] - 100 - 50
    wrong = 18 * (100 - whole["value"]["percent_agreement"])
    assert 1650 * (100 - part["value"]["percent_agreement"]) / 100 == pytest.approx(wrong)
    minutes = compare(a, b, unit="5 min", durations=DURATIONS, **QUICK).minutes
    assert minutes["hours"].mul(3600).round().tolist() == [300, 200, 250, 300, 300, 300]
    # What the other side hears there does not count.
    a["a.wav"] = [*ADA["a.wav"], (490, 600, "unknown")]
    b["a.wav"] = [*BEN["a.wav"], (500, 600)]
    assert measure(a, b)["value"]["percent_agreement"] > 95


def test_recordings_that_are_all_unknown_are_left_out():
    a, b = {**ADA, "d.wav": [(0, 60, "unknown")]}, {**BEN, "d.wav": [(0, 30)]}
    for unit in ("second", "5 min"):
        table = measure(a, b, unit=unit, durations={**DURATIONS, "d.wav": 60})
        pd.testing.assert_frame_equal(table, measure(ADA, BEN, unit=unit))


def test_seconds_without_sound_are_unknown():
    silent = {"x": [True] * 50 + [False] * 10, "y": [True] * 60}
    timeline = make_timeline({"x": [0.9] * 60, "y": [0.1] * 60}, usable=silent)
    table = agreement({"x": [(0, 50)], "y": []}, timeline, **QUICK)
    assert table["n"]["percent_agreement"] == 110
    assert table["value"]["percent_agreement"] == 100


def test_pauses_can_be_closed_on_both_sides():
    a, b = {"x": [(0, 20)], "y": []}, make_timeline({"x": [0.9] * 8 + [0.1] * 4 + [0.9] * 8, "y": [0.1] * 20})
    assert agreement(a, b, **QUICK)["value"]["percent_agreement"] == 90
    assert agreement(a, b, merge_gap=4, **QUICK)["value"]["percent_agreement"] == 100


# Units


def minutes_of(a, b, **settings):
    return compare(a, b, **{**QUICK, **settings}).minutes


def test_units_begin_with_the_recording():
    minutes = minutes_of(ADA, BEN, unit="5 min", durations=DURATIONS)
    assert list(minutes.index.names) == ["recording", "unit"]
    assert minutes.loc["a.wav", "a"].tolist() == pytest.approx([24, 12])
    assert minutes.loc["a.wav", "b"].tolist() == pytest.approx([22, 10])


def test_units_known_in_part():
    a, b = {"x": [(0, 30), (3600, 3660)], "y": [(0, 600)]}, {"x": [(0, 30), (3600, 3720)], "y": [(0, 300)]}
    settings = {"unit": "hour", "durations": {"x": 3600 + 1200, "y": 899}}
    minutes = minutes_of(a, b, **settings)
    # The second hour of x counts by its rate, the quarter of an hour of y that lacks a second does not.
    assert minutes.index.tolist() == [("x", 0), ("x", 1)]
    assert minutes["a"].tolist() == pytest.approx([0.5, 3])
    with pytest.warns(UserWarning, match="The intervals are NaN"):
        measures = agreement(a, b, **settings, **QUICK)
    assert measures.attrs == {"unit": "hour", "level": 0.9, "n_left_out": 1}
    assert len(minutes_of(a, b, **settings, min_observed=0.2)) == 3
    with pytest.raises(ValueError, match="no unit is known for at least 25% of its 86400 s; .* 4800 s. Use a shorter"):
        agreement(a, b, unit="day", durations=settings["durations"])


def test_units_of_the_clock():
    a, b = {"x": [(0, 600)], "y": [(1800, 2400)]}, {"x": [(0, 600)], "y": [(1800, 2100)]}
    settings = {"unit": "hour", "durations": {"x": 7200, "y": 7200}}
    minutes = minutes_of(a, b, start={"x": "2024-05-06 07:30", "y": "2024-05-06 07:30"}, **settings)
    assert minutes.loc["x"].index.hour.tolist() == [7, 8, 9]
    assert minutes.loc["y", "a"].tolist() == pytest.approx([0, 10, 0])
    # An infant's files of one hour are joined.
    groups = {"x": "ada", "y": "ada"}
    start = {"x": "2024-05-06 07:30", "y": "2024-05-06 09:30"}
    joined = minutes_of(a, b, start=start, groups=groups, **settings)
    assert joined.index.names[0] == "group"
    assert joined.loc["ada", "hours"].tolist() == pytest.approx([0.5, 1, 1, 1, 0.5])
    clock = pd.DataFrame({"onset": [0.0], "offset": [3600.0], "start": ["2024-05-06 07:30"]})
    with pytest.raises(ValueError, match="start: the clock of recording 'x' ends at 3600 s"):
        minutes_of(a, b, start={"x": clock, "y": clock}, **settings)


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25)])
def test_days_of_the_change_to_summer_time(day, hours):
    start = pd.Timestamp(f"{day} 00:00", tz="Europe/Vienna")
    settings = {"durations": [hours * 3600 + 9 * 3600], "start": [start]}
    minutes = minutes_of([[(0, 3600)]], [[(0, 3600)]], unit="day", **settings)
    assert minutes["hours"].tolist() == [hours, 9]
    of_hours = minutes_of([[(0, 3600)]], [[(0, 3600)]], unit="hour", **settings)
    assert (of_hours["hours"] == 1).all()


# Intervals


def test_intervals_resample_infants():
    """The annotators differ by infant: by 0, 20, 40 or 60 s in each of its five recordings."""
    a, b, groups = {}, {}, {}
    for infant in range(4):
        for number in range(5):
            name, end = f"{infant}-{number}.wav", 50 + 20 * number
            a[name], b[name], groups[name] = [(0, end)], [(0, end + 20 * infant)], f"infant {infant}"
    settings = {"durations": dict.fromkeys(a, 300), "n_resamples": 100, "random_state": 0}
    for unit, one in (("5 min", "mean_difference"), ("second", "cohen_kappa")):
        infants, listed, recordings = (
            agreement(a, b, unit=unit, groups=by, **settings).loc[one] for by in (groups, [*groups.values()], None)
        )
        assert infants.tolist() == listed.tolist()
        assert infants["value"] == recordings["value"]
        assert infants["high"] - infants["low"] > 1.5 * (recordings["high"] - recordings["low"])
    # Infants have differences of 0, 4, 8 and 12 minutes per hour: means of four drawn ones are whole minutes.
    one = agreement(a, b, unit="5 min", groups=groups, **settings, level=0.98).loc["mean_difference"]
    seen = {
        agreement(a, b, unit="5 min", groups=groups, **{**settings, "n_resamples": 1, "random_state": seed}).loc[
            "mean_difference", "low"
        ]
        for seed in range(5)
    }
    assert all(value == pytest.approx(round(value)) for value in seen)
    assert one["low"] <= min(seen) <= max(seen) <= one["high"]


def test_a_wider_level_and_a_seed():
    wide, narrow = measure(ADA, BEN, level=0.99, n_resamples=100), measure(ADA, BEN, level=0.5, n_resamples=100)
    assert (wide["low"] < narrow["low"]).all()
    assert (wide["high"] > narrow["high"]).all()
    pd.testing.assert_frame_equal(wide, measure(ADA, BEN, level=0.99, n_resamples=100))


# Bad input

SECONDS = make_timeline({"a.wav": [0.9] * 5, "b.wav": [0.1] * 5})


@pytest.mark.parametrize(
    ("a", "b", "settings", "message"),
    [
        (ADA, {"a.wav": []}, {}, r"b: nothing for recording 'b.wav' \(2 recordings\), which a holds"),
        ({"a.wav": []}, ADA, {}, r"a: nothing for recording 'b.wav' \(2 recordings\), which b holds"),
        ([[], []], [[]], {"durations": [5, 5]}, r"b: nothing for recording 1 \(1 recordings\), which a holds"),
        (ADA, list(BEN.values()), {}, "b is a list of 3 recordings, but a names them"),
        ([[]], SECONDS, {"durations": None}, r"a is a list of 1 recordings, but b names them: .* \(2 recordings\)"),
        (ADA, BEN, {"durations": None}, "durations are needed, because"),
        (ADA, BEN, {"durations": {"a.wav": 600}}, "durations: nothing for recording 'b.wav'"),
        (ADA, BEN, {"durations": dict.fromkeys(ADA, -1)}, "durations: -1 for recording 'a.wav' is not a duration"),
        (
            ADA,
            BEN,
            {"durations": dict.fromkeys(ADA, 300)},
            "a: .*recording 'a.wav': 'cry' from 400 s to 460 s ends after",
        ),
        (BEN, {**BEN, "b.wav": [(700, 710)]}, {}, "b: .*recording 'b.wav': 'cry' from 700 s to 710 s ends after"),
        (SECONDS, SECONDS.iloc[:-1], {"durations": None}, "'b.wav' is of seconds 0 to 4 in b, but of 0 to 5 in a"),
        (SECONDS, SECONDS, {"durations": [5, 7]}, "'b.wav' is of seconds 0 to 5 in a, but of 0 to 7 in durations"),
        (SECONDS[["score"]], SECONDS, {"durations": None}, "a is a timeline with columns .*, but 'cry'"),
        ({}, {}, {"durations": {}}, "a and b hold no recordings"),
        ([[(0, 9, "unknown")]], [[]], {"durations": [9]}, "no known second in common: 0 of 9 .* in a, 9 in b"),
        (ADA, BEN, {"groups": ["ada", "ben"]}, "groups holds 2 entries for 3 recordings"),
        (ADA, BEN, {"groups": {"a.wav": "ada"}}, "groups: nothing for 'b.wav'"),
        (ADA, BEN, {"groups": ["ada", None, "ben"]}, "groups: 1 recordings have none"),
        (ADA, {**BEN, "a.wav": [(5, 3)]}, {}, "b: .*'a.wav': 'cry' from 5 s to 3 s ends before it starts"),
        (ADA, BEN, {"unit": "week"}, "'unit' parameter of agreement must be a str among"),
        (ADA, BEN, {"min_observed": 2}, "'min_observed' parameter of agreement"),
    ],
)
def test_bad_input(a, b, settings, message):
    with pytest.raises(ValueError, match=message):
        measure(a, b, **settings)


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ("ada.csv", r"b must be a list with one entry per recording, .* pass \[b\]"),
        (pd.DataFrame({"onset": [0], "offset": [1]}), r"b must be a list .* For a single recording pass \[b\]"),
        (SECONDS["score"], "b is a Series of dtype float64, but seconds must be True or False"),
        ({"a.wav": 5, "b.wav": []}, "b: annotations of recording 'a.wav': got 5"),
    ],
)
def test_sides_of_a_wrong_type(side, message):
    with pytest.raises(TypeError, match=message):
        agreement(SECONDS, side, **QUICK)


def test_a_missing_file():
    with pytest.raises(FileNotFoundError):
        measure(ADA, dict.fromkeys(ADA, "missing.csv"))


def test_defaults_are_in_two_places():
    defaults = [{n: p.default for n, p in inspect.signature(f).parameters.items()} for f in (agreement, compare)]
    assert defaults[0] == defaults[1]
