import sys

import numpy as np
import pandas as pd
import pytest

from skcry.events import (
    LabelMap,
    as_annotations,
    class_intervals,
    classify,
    classify_known,
    find_events,
    mark_unknown,
    merge,
)


def seconds(text):
    """A decision per second, from ``"#"`` and ``"."``."""
    return np.array(list(text)) == "#"


@pytest.mark.parametrize(
    ("text", "rules", "events"),
    [
        ("", {}, []),
        ("." * 30, {}, []),
        ("#" * 30, {}, [[0, 30]]),
        # At the very edges, where silence is no gap.
        ("######" + "." * 17 + "#######", {}, [[0, 6], [23, 30]]),
        ("...######...", {}, [[3, 9]]),
        # A gap of exactly merge_gap is closed.
        ("######....######", {"merge_gap": 5}, [[0, 16]]),
        ("######.....######", {"merge_gap": 5}, [[0, 17]]),
        ("######......######", {"merge_gap": 5}, [[0, 6], [12, 18]]),
        # An event of exactly min_duration is kept.
        ("..........####..........", {"min_duration": 5}, []),
        ("..........#####..........", {"min_duration": 5}, [[10, 15]]),
        ("..........######..........", {"min_duration": 5}, [[10, 16]]),
        # Gaps are closed before short events are dropped.
        ("###..###........###", {}, [[0, 8]]),
        # A recording shorter than an event, and one that ends within a second.
        ("###", {"duration": 2.5}, [[0, 2.5]]),
        ("##.", {"duration": 2.5}, []),
        ("." * 20 + "######", {"duration": 25.4}, [[20, 25.4]]),
        ("#.##.", {"merge_gap": 0, "min_duration": 0}, [[0, 1], [2, 4]]),
    ],
)
def test_events_of_seconds(text, rules, events):
    found = find_events(seconds(text), **rules)
    assert found.shape == (len(events), 2)
    assert found.tolist() == events


def test_merge_joins_what_touches():
    np.testing.assert_array_equal(merge([(0, 1), (1, 2), (1.5, 1.7), (3, 4)]), [[0, 2], [3, 4]])


def test_exact_half_counts_whatever_binary_fractions_make_of_it():
    for onset in np.arange(0, 3, 0.1):
        classes, _ = classify([(onset, onset + 0.5)], LabelMap(), [onset], [onset + 1.0])
        assert classes[0] == 1


def test_annotations_in_all_their_forms():
    expected = pd.DataFrame({"onset": [1.0, 4.0], "offset": [2.0, 5.0], "label": ["cry", "cry"]})
    for given in (
        [(4, 5), (1, 2)],
        [(4, 5, "cry"), (1, 2)],
        np.array([[4, 5], [1, 2]]),
        expected.iloc[::-1],
        expected.rename(columns={"onset": "start", "offset": "end"}).drop(columns="label"),
    ):
        pd.testing.assert_frame_equal(as_annotations(given), expected)
    assert as_annotations([]).shape == (0, 3)
    assert as_annotations(pd.DataFrame({"onset": [], "offset": []})).shape == (0, 3)
    for faulty in ("cry", 3, None):
        with pytest.raises(TypeError, match="DataFrame with columns onset, offset, label"):
            as_annotations(faulty)


def test_rounding_past_the_end_is_cut():
    assert as_annotations([(1, 5.05)], duration=5)["offset"][0] == 5
    assert len(as_annotations([(5.02, 5.05)], duration=5)) == 0


def test_points_are_counted_and_left_out():
    with pytest.warns(
        UserWarning, match=r"a.txt: 2 of 3 annotations end when they start, such as 'cry' at 3 s"
    ) as seen:
        table = as_annotations([(1, 2), (3, 3), (4, 4)], name="a.txt")
    assert table["onset"].tolist() == [1]
    assert seen[0].filename == __file__
    with pytest.raises(ValueError, match="2 of 3 annotations .* Points cover no time. Give each an end"):
        as_annotations([(3, 3), (4, 4), (5, 6, "unknown")])


def test_unknown_time_may_last_to_the_end(recwarn):
    rows = [(0, 0, "unknown"), (0, 2, "unknown"), (2, 3), (3, np.inf, "unknown"), (9, np.inf, "unknown")]
    assert as_annotations(rows)["offset"].tolist() == [2, 3, np.inf, np.inf]
    assert as_annotations(rows, duration=5)["offset"].tolist() == [2, 3, 5]
    assert len(recwarn) == 0
    for faulty in ((0, np.inf), (-np.inf, 0, "unknown"), (0, np.nan, "unknown"), (np.inf, np.inf, "unknown")):
        with pytest.raises(ValueError, match="missing or infinite"):
            as_annotations([faulty])


def test_tables_of_polars(monkeypatch):
    polars = pytest.importorskip("polars")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    table = polars.DataFrame({"start": [4.0, 1.0, 7.0], "end": [5.0, 2.0, 8.0], "label": ["cry", "fuss", "7"]})
    expected = [[1.0, 2.0, "fuss"], [4.0, 5.0, "cry"], [7.0, 8.0, "7"]]
    assert as_annotations(table).to_numpy().tolist() == expected
    assert as_annotations(table[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match="the label from 4.0 s to 5.0 s is missing"):
        as_annotations(table.with_columns(label=polars.lit(None, dtype=polars.String)))
    with pytest.raises(TypeError, match=r"a table of type polars.*LazyFrame cannot be read. Compute it"):
        as_annotations(table.lazy())


@pytest.mark.parametrize("missing", [False, True])
def test_tables_of_other_libraries(missing):
    class Table:
        column_names = ("start", "end")

        def to_pandas(self):
            if missing:
                raise ImportError("no pyarrow")
            return pd.DataFrame({"start": [4, 1], "end": [5, 2]})

    if missing:
        with pytest.raises(TypeError, match="Table cannot be read. .* pass it as a DataFrame of pandas"):
            as_annotations(Table())
    else:
        assert as_annotations(Table()).to_numpy().tolist() == [[1, 2, "cry"], [4, 5, "cry"]]


def test_labels_that_are_numbers():
    classes, _ = classify([(0, 2, 1), (2, 4, 0)], LabelMap(positive="1"), [0, 2], [2, 4])
    np.testing.assert_array_equal(classes, [1, 0])


def test_same_class_may_overlap():
    classes, mixed = classify([(0, 2, "cry"), (1, 4, "fuss")], LabelMap(("cry", "fuss")), [0], [4])
    assert classes[0] == 1
    assert not mixed[0]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_label_is_an_error(missing):
    with pytest.raises(ValueError, match="the label from 1 s to 2 s is missing"):
        as_annotations([(0, 1, "cry"), (1, 2, missing)])


def test_an_empty_label_is_an_error():
    with pytest.raises(ValueError, match="b.csv: the label '' from 1 s to 2 s is empty .2 of 3 annotations"):
        as_annotations([(0, 1, "cry"), (1, 2, ""), (2, 3, " ")], name="b.csv")


def test_rows_with_the_index_of_a_table_are_refused():
    table = pd.DataFrame({"onset": [4, 6], "offset": [5, 7]})
    assert len(as_annotations(list(table.itertuples(index=False)))) == 2
    with pytest.raises(TypeError, match=r"Pandas\(Index=0, onset=4, offset=5\) starts with the index of a table. Pass"):
        as_annotations(list(table.itertuples()))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"start": [0], "end": [1], "category": ["dog"]}, "no column is called 'label'.*Rename"),
        ({"start": [0], "onset": [0], "end": [1]}, "name a time or label twice"),
        (
            {"recording": ["a", "b"], "onset": [0, 1], "offset": [1, 2], "label": ["x", "y"]},
            r"'recording' names 2 recordings: \['a', 'b'\]. Pass the rows of one",
        ),
    ],
)
def test_columns_that_would_be_misread(table, message):
    with pytest.raises(ValueError, match=message):
        as_annotations(pd.DataFrame(table))


def test_names_of_columns_in_any_case_and_labels_of_any_kind():
    table = as_annotations(pd.DataFrame({"Start": [0], "END": [1], "Label": [7]}))
    assert table["label"].tolist() == ["7"]
    assert LabelMap(7)(["7", "8"]) == LabelMap((7,))(["7", "8"]) == [1, 0]


SPEECH_OVER_CRYING = [(0, 10, "cry"), (4, 6, "speech"), (8, 20, "FEM"), (12, 16, "fuss")]


def test_other_sounds_may_overlap_crying():
    label_map = LabelMap(("cry", "fuss"))
    np.testing.assert_array_equal(class_intervals(SPEECH_OVER_CRYING, label_map)[1], [[0, 10], [12, 16]])
    classes, _ = classify(SPEECH_OVER_CRYING, label_map, np.arange(20), np.arange(1, 21))
    assert np.flatnonzero(classes).tolist() == [*range(10), *range(12, 16)]


def test_contradictions_are_listed_together():
    overlaps = r"'speech' from 4 s to 6 s contradicts 'cry' from 0 s to 10 s; 'FEM' from 8 s .* 'fuss' from 12 s"
    with pytest.raises(ValueError, match=overlaps):
        class_intervals(SPEECH_OVER_CRYING, LabelMap(("cry", "fuss"), overlap="raise"))
    with pytest.raises(ValueError, match="'speech' from 4 s to 6 s contradicts"):  # classes of their own
        class_intervals(SPEECH_OVER_CRYING, LabelMap(None))
    many = [(0, 100, "cry"), *((10 * i, 10 * i + 1, "notcry") for i in range(9))]
    with pytest.raises(ValueError, match="and 4 more"):
        class_intervals(many, LabelMap())


@pytest.mark.parametrize("label", ["notcry", "not crying", "No-Cry", "non_cry"])
def test_a_label_that_denies_crying_contradicts_it(label):
    with pytest.raises(ValueError, match="contradicts"):
        class_intervals([(0, 10, "cry"), (5, 12, label)], LabelMap())
    # Drawn boundaries touch by rounding.
    assert class_intervals([(0, 10, "cry"), (9.96, 12, label)], LabelMap())[1].tolist() == [[0, 10]]


def test_unknown_time_has_no_class():
    table = [(0, 3, "cry"), (2, 6, "unsure"), (5.6, 8, "speech"), (9.4, np.inf, "unknown")]
    found = classify_known(table, LabelMap(ignore=("unsure", "unknown")), np.arange(12), np.arange(1, 13))
    # Crying counts within it; a second that is mostly background is known; one that is half unknown is not.
    assert found.chosen.tolist() == [1] * 3 + [0] * 9
    assert found.known.tolist() == [True] * 3 + [False] * 3 + [True] * 3 + [False] * 3
    with pytest.raises(ValueError, match="6 of 12 stretches lie in unknown time, the first from 3 s on"):
        classify(table, LabelMap(ignore=("unsure", "unknown")), np.arange(12), np.arange(1, 13))
    assert None not in class_intervals(table[:3], LabelMap(ignore=()))


def test_the_label_unknown_keeps_its_meaning_beside_others():
    assert LabelMap(ignore="unsure")(["unsure", "unknown", "speech"]) == [None, None, 0]
    assert LabelMap(negative="unknown", ignore="unsure")(["unsure", "unknown"]) == [None, 0]


def test_time_outside_the_annotated_ranges_is_unknown():
    table = mark_unknown([(20, 25, "cry")], ranges=[(200, 290), (10, 90), (90, 100)])
    assert table[table["label"] == "unknown"][["onset", "offset"]].to_numpy().tolist() == [
        [0, 10],
        [100, 200],
        [290, np.inf],
    ]
    faulty = [
        ([], "at least one pair"),
        (np.empty((0, 2)), "at least one pair"),
        ([(5, 5)], "onset < offset"),
        ([(0, 10)], "outside all ranges"),
    ]
    for ranges, message in (*faulty, ((0, 90), r"such as \[\(0, 90\)\]"), ([(0, np.nan)], "onset < offset")):
        with pytest.raises(ValueError, match=message):
            mark_unknown([(20, 25, "cry")], ranges)
    ranges = pd.DataFrame({"file": "a.wav", "onset": [10, 60], "offset": [90, 100]})
    assert mark_unknown([(20, 25, "cry")], ranges)["onset"].tolist() == [0, 20, 100]


@pytest.mark.parametrize("label", ["Cry", "cry ", "crý", "C r y"])
def test_labels_that_differ_only_in_spelling_are_an_error(label):
    with pytest.raises(ValueError, match="differs from 'cry' only by case, blanks or accents"):
        LabelMap()(["cry", label])
    with pytest.raises(ValueError, match="only by case, blanks or accents"):
        LabelMap(None)(["cry", label])
    assert LabelMap(("cry", label))(["cry", label]) == [1, 1]  # named: no error
    assert LabelMap()(["Dog", "dog"]) == [0, 0]  # neither has a role
