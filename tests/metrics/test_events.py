import numpy as np
import pandas as pd
import pytest
from helpers import make_timeline

from skcry.events import find_events
from skcry.metrics import (
    event_counts,
    event_metrics,
    event_truth,
    match_events,
    recall_at_false_alarms,
    threshold_counts,
)


def table(*pairs, recording=0):
    events = np.array(pairs, dtype=float).reshape(-1, 2)
    return pd.DataFrame({"recording": recording, "onset": events[:, 0], "offset": events[:, 1]})


def counted(true, found, **matching):
    counts = event_counts(table(*true), table(*found), [3600], **matching).loc[0]
    return counts["n_recalled"], counts["n_correct"]


def test_truth_joins_what_was_annotated_in_pieces():
    annotations = [[(0, 2), (7, 9), (14.1, 15)], [], [(3, 4, "fuss"), (4, 5, "cry")]]
    assert event_truth(annotations).to_numpy().tolist() == [[0, 0, 9], [0, 14.1, 15], [2, 4, 5]]
    assert len(event_truth(annotations, merge_gap=0)) == 4
    assert event_truth(annotations[2:], positive=("cry", "fuss")).to_numpy().tolist() == [[0, 3, 5]]
    assert event_truth({"a": [], "b": [(0, 1)]})["recording"].tolist() == ["b"]
    assert event_truth([[], []]).dtypes.tolist() == event_truth(annotations).dtypes.tolist()


def test_overlap_counted_by_hand():
    assert counted([(0, 20)], [(0, 5), (6, 10), (15, 30)]) == (0, 2)  # 9 s of 20 by events that are right
    assert counted([(0, 20)], [(0, 5), (5, 10), (15, 30)]) == (1, 2)
    assert counted([(0, 20), (30, 50)], [(0, 50)]) == (2, 1)
    assert counted([(0, 20)], [(0, 3600)]) == (0, 0)
    assert counted([(0, 20)], [(0, 3600)], min_overlap=20 / 3600) == (1, 1)
    assert counted([(0.1, 0.3)], [(0.2, 0.4)]) == (1, 1)  # half each, whatever binary fractions say


def test_iou_counted_by_hand():
    assert counted([(0, 10)], [(5, 10)], matching="iou") == (1, 1)
    assert counted([(0, 10)], [(5.1, 10)], matching="iou") == (0, 0)
    assert counted([(0, 10), (12, 22)], [(0, 22)], matching="iou", min_overlap=0.4) == (1, 1)
    # Taking the first fit for the first event would leave the second without one.
    assert counted([(0, 10), (1, 4)], [(0, 4), (0, 10)], matching="iou", min_overlap=0.4) == (2, 2)


def test_collars_counted_by_hand():
    def collar(true, found, **options):
        return counted([true], [found], matching="collar", **options)[0] == 1

    assert collar((10, 12), (11, 13))
    assert not collar((10, 12), (11.1, 13))
    assert not collar((10, 12), (11, 13.1))
    assert collar((10, 20), (11, 25))  # half of the true length
    assert not collar((10, 20), (11, 25), offset_share=0.4)
    assert not collar((10, 12), (11, 17))  # of the true one, not of the found one
    assert collar((10, 12), (11, 99), offset_collar=None)


@pytest.mark.parametrize("onset_collar", [0.2, 2.0])
@pytest.mark.parametrize("offset_share", [0.0, 0.5, None])
@pytest.mark.parametrize("seed", range(4))
def test_events_agree_with_sed_eval(sed_eval, onset_collar, offset_share, seed):
    rng = np.random.default_rng(seed)
    evaluation = sed_eval.sound_event.EventBasedMetrics(
        ["cry"],
        t_collar=onset_collar,
        percentage_of_length=offset_share or 0.0,
        evaluate_offset=offset_share is not None,
    )
    tables = [[], []]
    for recording in ("a", "b", "c"):
        lists = []
        for events, size in zip(tables, rng.integers(1, 15, size=2), strict=True):
            onset = rng.uniform(0, 30, size=size)  # crowded, so that matching is ambiguous
            pairs = np.column_stack([onset, onset + rng.uniform(0.5, 8, size=size)])
            events.append(table(*pairs, recording=recording))
            lists.append(
                [{"event_label": "cry", "event_onset": a, "event_offset": b, "file": recording} for a, b in pairs]
            )
        evaluation.evaluate(*lists)
    counts = event_counts(
        *map(pd.concat, tables),
        matching="collar",
        onset_collar=onset_collar,
        offset_collar=None if offset_share is None else onset_collar,
        offset_share=offset_share or 0.0,
    )
    assert counts["n_correct"].sum() == evaluation.overall["Ntp"]
    expected = evaluation.results_overall_metrics()["f_measure"]
    found = event_metrics(counts)
    assert found["f1"] == pytest.approx(expected["f_measure"])
    assert found["precision"] == pytest.approx(expected["precision"])
    assert found["recall"] == pytest.approx(expected["recall"])


@pytest.mark.parametrize("matching", ["overlap", "iou", "collar"])
def test_matches_are_those_that_are_counted(rng, matching):
    onset, late = rng.integers(0, 600, size=(2, 40)).astype(float)
    true, found = (
        pd.DataFrame({"recording": np.arange(40) % 3, "onset": onset, "offset": onset + 5})
        for onset in (onset, np.where(rng.random(40) < 0.5, onset + 0.5, late))
    )
    ours, theirs = match_events(true, found, matching=matching)
    counts = event_counts(true, found, matching=matching).sum()
    assert 0 < ours["recalled"].sum() == counts["n_recalled"] < 40
    assert 0 < theirs["correct"].sum() == counts["n_correct"] < 40


def test_rates_counted_by_hand():
    true = pd.concat([table((0, 20), (60, 80), recording="a"), table((0, 10), recording="b")])
    found = pd.concat([table((0, 20), (100, 110), (120, 130), recording="a")])
    counts = event_counts(true, found, {"a": 1800, "b": 1800, "c": 3600})
    assert counts.index.tolist() == ["a", "b", "c"]
    rates = event_metrics(counts)
    assert rates.to_dict() == pytest.approx(
        {"f1": 1 / 3, "precision": 1 / 3, "recall": 1 / 3, "false_alarms_per_hour": 1.0}
    )
    single = event_metrics(counts, by="recording")
    np.testing.assert_allclose(single["false_alarms_per_hour"], [4, 0, 0])
    np.testing.assert_allclose(single["precision"], [1 / 3, np.nan, np.nan])
    np.testing.assert_allclose(single["recall"], [0.5, 0, np.nan])
    np.testing.assert_allclose(single["f1"], [0.4, 0, np.nan])
    assert np.isnan(event_metrics(event_counts(true, found))["false_alarms_per_hour"])
    assert event_metrics(event_counts(true[:0], found[:0])).isna().all()


def test_tables_that_do_not_belong_together_are_errors():
    with pytest.raises(ValueError, match="call recordings differently"):
        event_counts(table((0, 1)), table((0, 1), recording="a"))
    with pytest.raises(ValueError, match="events in recording 'a', but durations are for"):
        event_counts(table((0, 1), recording="a"), table(recording="a"), {"b": 10})
    with pytest.raises(TypeError, match="found_events must be a DataFrame"):
        event_counts(table((0, 1)), [(0, 1)])
    with pytest.raises(ValueError, match="found_events.* ends before it starts"):
        event_counts(table((0, 1)), table((3, 1)))


def test_thresholds_follow_the_decisions(rng):
    score = np.convolve(rng.random(630), np.ones(31) / 31, "valid")
    timeline = make_timeline({"a": score[:400], "b": score[400:]})
    true = event_truth({"a": [(20, 60), (200, 230)], "b": [(50, 90)]})
    counts = threshold_counts(true, timeline, n_thresholds=50, merge_gap=3, min_duration=4, matching="iou")
    thresholds = counts.index.unique("threshold")
    assert 20 < len(thresholds) <= 50
    assert thresholds.is_monotonic_decreasing
    assert thresholds[[0, -1]].tolist() == [score.max(), score.min()]
    for threshold in thresholds[::7]:
        found = [
            table(*find_events(rows["score"] >= threshold, merge_gap=3, min_duration=4), recording=name)
            for name, rows in timeline.groupby(level="recording")
        ]
        expected = event_counts(true, pd.concat(found), {"a": 400, "b": 200}, matching="iou")
        pd.testing.assert_frame_equal(counts.loc[threshold], expected)


def test_recall_at_false_alarms_counted_by_hand():
    score = np.full(7200, 0.01)
    for onset, value in ((100, 0.9), (200, 0.8), (300, 0.7), (400, 0.6), (500, 0.5), (600, 0.4)):
        score[onset : onset + 10] = value
    timeline = make_timeline({0: score[:3600], 1: score[3600:]})
    true = event_truth([[(100, 110), (300, 310), (600, 610)], [(50, 60)]])
    counts = threshold_counts(true, timeline)
    # Recall by threshold: 1, 1, 2, 2, 2, 3 of 4; false alarms in two hours: 0, 1, 1, 2, 3, 3.
    assert recall_at_false_alarms(counts, 0) == 0.25
    assert recall_at_false_alarms(counts, 0.5) == 0.5
    assert recall_at_false_alarms(counts, 1) == 0.5
    assert recall_at_false_alarms(counts, 1.5) == 0.75
    assert np.isnan(recall_at_false_alarms(threshold_counts(true[:0], timeline), 1))
    hopeless = threshold_counts(event_truth([[(3000, 3100)], []]), timeline)
    assert recall_at_false_alarms(hopeless, 0) == 0
    with pytest.raises(ValueError, match="'score' are needed"):
        threshold_counts(true, timeline[["cry"]])
    with pytest.raises(ValueError, match="events in recording 1"):
        threshold_counts(true, timeline.loc[[0]])
