import numpy as np
import pandas as pd
import pytest

from skcry.events import LabelMap, as_annotations, classify, coverage, find_events, merge


def test_events_at_the_very_edges():
    active = np.zeros(30, dtype=bool)
    active[:6] = active[-7:] = True
    np.testing.assert_array_equal(find_events(active), [[0, 6], [23, 30]])
    np.testing.assert_array_equal(find_events(np.ones(30)), [[0, 30]])
    assert find_events(np.zeros(30)).shape == (0, 2)
    assert find_events([]).shape == (0, 2)


@pytest.mark.parametrize(("gap", "n_events"), [(4, 1), (5, 1), (6, 2)])
def test_gap_of_exactly_merge_gap_is_closed(gap, n_events):
    active = np.r_[np.ones(6), np.zeros(gap), np.ones(6)]
    assert len(find_events(active, merge_gap=5)) == n_events


@pytest.mark.parametrize(("length", "n_events"), [(4, 0), (5, 1), (6, 1)])
def test_event_of_exactly_min_duration_is_kept(length, n_events):
    active = np.r_[np.zeros(10), np.ones(length), np.zeros(10)]
    assert len(find_events(active, min_duration=5)) == n_events


def test_gaps_are_closed_before_short_events_are_dropped():
    active = np.r_[np.ones(3), np.zeros(2), np.ones(3), np.zeros(8), np.ones(3)]
    np.testing.assert_array_equal(find_events(active), [[0, 8]])


def test_silence_at_the_edges_is_no_gap():
    np.testing.assert_array_equal(find_events(np.r_[np.zeros(3), np.ones(6), np.zeros(3)]), [[3, 9]])


def test_recording_shorter_than_an_event():
    np.testing.assert_array_equal(find_events([1, 1, 1], duration=2.5), [[0, 2.5]])
    assert len(find_events([1, 1, 0], duration=2.5)) == 0
    np.testing.assert_array_equal(find_events(np.r_[np.zeros(20), np.ones(6)], duration=25.4), [[20, 25.4]])


def test_no_merging_and_no_dropping():
    np.testing.assert_array_equal(find_events([1, 0, 1, 1, 0], merge_gap=0, min_duration=0), [[0, 1], [2, 4]])


def test_merge_joins_what_touches():
    np.testing.assert_array_equal(merge([(0, 1), (1, 2), (1.5, 1.7), (3, 4)]), [[0, 2], [3, 4]])


def test_coverage_against_counting(rng):
    edges = np.sort(rng.choice(1000, size=20, replace=False)).reshape(-1, 2) / 10
    onset = rng.uniform(0, 90, size=50)
    fine = np.arange(0, 100, 1e-3) + 5e-4
    inside = ((fine[:, None] >= edges[:, 0]) & (fine[:, None] < edges[:, 1])).any(axis=1)
    counted = [inside[(fine >= start) & (fine < start + 7)].sum() * 1e-3 for start in onset]
    np.testing.assert_allclose(coverage(edges, onset, onset + 7), counted, atol=5e-3)


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


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"start": [0], "end": [1], "category": ["dog"]}, "no column is called 'label'.*Rename"),
        ({"start": [0], "onset": [0], "end": [1]}, "name a time or label twice"),
    ],
)
def test_columns_that_would_be_misread(table, message):
    with pytest.raises(ValueError, match=message):
        as_annotations(pd.DataFrame(table))


def test_names_of_columns_in_any_case_and_labels_of_any_kind():
    table = as_annotations(pd.DataFrame({"Start": [0], "END": [1], "Label": [7]}))
    assert table["label"].tolist() == ["7"]
    assert LabelMap(7)(["7", "8"]) == LabelMap((7,))(["7", "8"]) == [1, 0]
