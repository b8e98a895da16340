"""Files of judgements: as the page writes them, as spreadsheets and people change them, and as annotations."""

import numpy as np
import pandas as pd
import pytest

from skcry import CryDetector
from skcry.events import LabelMap, class_intervals
from skcry.metrics import second_truth
from skcry.review import read_review, review_annotations

HEADER = "recording,onset,offset,judgement,reviewer,score,stratum,probability,at,stratum_size,stratum_drawn"
ROWS = [
    "b.wav,20,25,cry,AB,0.91,2,0.25,2024-05-31T08:05:00.000Z,4,1",
    "a.wav,10,15,not,AB,0.02,0,0.015625,2024-05-31T08:05:05.000Z,64,1",
    "a.wav,5,10,unsure,AB,0.4,1,0.1,2024-05-31T08:05:09.000Z,10,1",
]


@pytest.fixture
def write(tmp_path):
    def write(rows=ROWS, header=HEADER, name="review.csv", newline="\r\n", encoding="utf-8-sig"):
        path = tmp_path / name
        path.write_bytes("".join(line + newline for line in [header, *rows]).encode(encoding))
        return path

    return write


def test_the_file_of_the_page_is_read(write):
    review = read_review(write())
    assert list(review)[:9] == HEADER.split(",")[:9]
    assert review[["recording", "onset", "offset", "judgement"]].to_numpy().tolist() == [
        ["a.wav", 5.0, 10.0, "unsure"],
        ["a.wav", 10.0, 15.0, "not"],
        ["b.wav", 20.0, 25.0, "cry"],
    ]
    assert review["probability"].tolist() == [0.1, 0.015625, 0.25]
    assert review["stratum_size"].tolist() == [10, 64, 4]
    assert review["at"].iloc[2] == pd.Timestamp("2024-05-31 08:05", tz="UTC")
    assert set(review["reviewer"]) == {"AB"}


def test_spreadsheets_of_another_locale_change_nothing(write):
    review = read_review(write())
    semicolons = [
        row.replace(",", ";").replace(".", ",").replace("a,wav", "a.wav").replace("b,wav", "b.wav") for row in ROWS
    ]
    times = ["05:00,000Z", "05:05,000Z", "05:09,000Z"]
    semicolons = [row.replace(time, time.replace(",", ".")) for row, time in zip(semicolons, times, strict=True)]
    header = HEADER.replace(",", ";")
    for about in ({}, {"newline": "\n", "encoding": "utf-8"}, {"encoding": "utf-16"}):
        pd.testing.assert_frame_equal(read_review(write(semicolons, header, **about)), review)
    tabs = [row.replace(",", "\t") for row in ROWS]
    pd.testing.assert_frame_equal(read_review(write(tabs, HEADER.replace(",", "\t"))), review)
    # Columns in another order, names in other letters, one more column, a blank line, quotes.
    table = pd.read_csv(write(), dtype=str, encoding="utf-8-sig").iloc[:, ::-1].assign(note="x; y")
    table.columns = [name.title() for name in table]
    path = write()
    table.to_csv(path, sep=";", index=False, quoting=1)
    path.write_text(path.read_text() + "\n;;;;;;;;;;;\n")
    pd.testing.assert_frame_equal(read_review(path), review)
    quoted = write([row.replace("0.4,", '"0,4",') for row in ROWS])
    pd.testing.assert_frame_equal(read_review(quoted), review)
    spaced = write([row.replace("cry", " CRY ") for row in ROWS])
    pd.testing.assert_frame_equal(read_review(spaced), review)


def test_small_numbers_of_spreadsheets_are_read(write):
    rows = [row.replace(",", ";").replace("0.02", "7,8E-06").replace("0.91", "9,1e-1") for row in ROWS]
    review = read_review(write(rows, HEADER.replace(",", ";")))
    assert review["score"].tolist() == [0.4, 7.8e-6, 0.91]


def test_four_columns_are_enough(write):
    review = read_review(write(["a.wav,5,10,cry", "a.wav,10.5,15,not"], "recording,onset,offset,judgement"))
    assert review["onset"].tolist() == [5, 10.5]
    assert review[["score", "stratum", "probability", "at", "stratum_size"]].isna().all(axis=None)
    assert review["reviewer"].tolist() == ["", ""]
    numbers = read_review(write(["1,5,10,cry", "0,10,15,not"], "recording,onset,offset,judgement"))
    assert numbers["recording"].tolist() == [0, 1]
    names = read_review(write(["1,5,10,cry", "01,10,15,not"], "recording,onset,offset,judgement"))
    assert names["recording"].tolist() == ["01", "1"]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (ROWS, HEADER.replace("judgement", "verdict"), "judgement is not there"),
        (ROWS, HEADER.replace("onset", "start"), "onset is not there"),
        (ROWS, HEADER.replace("score", "Onset"), "each once"),
        ([ROWS[0].replace("cry", "yes"), ROWS[1]], HEADER, r"line 2: .*cry, not, unsure\. Correct it"),
        ([ROWS[0].replace(",20,", ",early,")], HEADER, "onset must be a number"),
        ([ROWS[0].replace(",20,", ",,")], HEADER, "onset must be a number"),
        ([ROWS[0].replace("0.91", "high")], HEADER, "score must be a number"),
        ([ROWS[0].replace("0.91", "91")], HEADER, "score must be from 0 to 1"),
        ([ROWS[0].replace(",20,", ",26,")], HEADER, "0 <= onset < offset"),
        ([ROWS[0].replace("b.wav", "")], HEADER, "recording is missing"),
        ([ROWS[0] + ",x"], HEADER, "more fields here"),
        ([], HEADER, "none of 0 clips"),
        ([row.replace("cry", "").replace("not", "").replace("unsure", "") for row in ROWS], HEADER, "none of 3 clips"),
        ([ROWS[0].replace(",4,", ",1.2,")], HEADER, "stratum_size must count"),
        ([ROWS[0].replace(",4,", ",inf,")], HEADER, "stratum_size must count"),
        ([ROWS[0].replace(",2,0.25", ",-2,0.25")], HEADER, "stratum must count"),
        ([ROWS[0].replace(",20,", ",20. Mai,")], HEADER, "spreadsheets make dates of some"),
        (ROWS, "sep=,\r\n" + HEADER, "Delete that line"),
    ],
)
def test_bad_files_are_refused(write, rows, header, message):
    with pytest.raises(ValueError, match=message):
        read_review(write(rows, header))


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_review(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="paths is empty"):
        read_review([])


def test_half_finished_files_say_how_much_is_missing(write):
    rows = [ROWS[0], ROWS[1].replace("not,AB", ",AB").replace("2024-05-31T08:05:05.000Z", ""), ROWS[2]]
    with pytest.warns(UserWarning, match="1 of 3 clips are not judged"):
        assert len(read_review(write(rows))) == 2


def test_deleted_rows_are_told(write):
    rows = [ROWS[0][:-1] + "3", *ROWS[1:]]
    with pytest.warns(UserWarning, match=r"review\.csv: 2 clips that the page saved are not there"):
        read_review(write(rows))


def test_judgements_of_other_recordings_are_refused(write, tmp_path):
    path = write()
    assert len(read_review(path, recordings={"a.wav": None, "b.wav": None})) == 3
    assert len(read_review(path, recordings=["days/a.wav", "days/b.wav", "days/c.wav"])) == 3
    with pytest.raises(ValueError, match="judgements name 1 recordings that are not among .*'b.wav'"):
        read_review(path, recordings=["a.wav", "c.wav"])


def test_of_two_judgements_by_one_listener_the_later_counts(write):
    again = ROWS[0].replace("cry", "not").replace("08:05:00", "09:00:00")
    for rows in ([*ROWS, again], [again, *ROWS]):
        review = read_review(write(rows))
        assert len(review) == 3
        assert review["judgement"].iloc[2] == "not"
    both = read_review([write(), write([again], name="later.csv")])
    assert both["judgement"].iloc[2] == "not"
    with pytest.raises(ValueError, match=r"does not tell which .*review\.csv, line 2: cry; review\.csv, line 5: not"):
        read_review(write([*ROWS, again.replace("09:00:00", "08:05:00")]))
    for time in ("", "31.05.2024 08:05"):
        rows = [*ROWS, again.replace("2024-05-31T09:00:00.000Z", time)]
        path = write(rows)
        if time:
            with (
                pytest.warns(UserWarning, match=r"such as '31\.05\.2024 08:05'"),
                pytest.raises(ValueError, match="which"),
            ):
                read_review(path)
        else:
            with pytest.raises(ValueError, match="which"):
                read_review(path)
    # The same judgement twice, without a time: nothing is contradicted.
    assert len(read_review(write([*ROWS, ROWS[0].replace("2024-05-31T08:05:00.000Z", "")]))) == 3


def test_two_listeners_are_kept_and_must_agree(write):
    other = [row.replace(",AB,", ",CD,").replace("cry", "not") for row in ROWS]
    review = read_review([write(), write(other, name="cd.csv")])
    assert len(review) == 6
    found = review_annotations(review, {"a.wav": 20, "b.wav": 30})
    assert found["a.wav"].to_numpy().tolist() == [[0, 10, "unknown"], [10, 15, "other"], [15, 20, "unknown"]]
    assert found["b.wav"].to_numpy().tolist() == [[0, 30, "unknown"]]


def test_annotations_hold_what_was_judged_and_nothing_else(write):
    found = review_annotations(read_review(write()), {"b.wav": 24.5, "a.wav": 60.0, "c.wav": 7})
    assert list(found) == ["b.wav", "a.wav", "c.wav"]
    assert found["b.wav"].to_numpy().tolist() == [[0, 20, "unknown"], [20, 24.5, "cry"]]
    assert found["a.wav"].to_numpy().tolist() == [[0, 10, "unknown"], [10, 15, "other"], [15, 60, "unknown"]]
    assert found["c.wav"].to_numpy().tolist() == [[0, 7, "unknown"]]


def test_clips_that_overlap_must_agree():
    rows = [(0, 10, 20, "cry"), (0, 15, 25, "not"), (0, 25, 30, "not"), (0, 30, 35, "cry"), (0, 35, 40, "cry")]
    review = pd.DataFrame(rows, columns=["recording", "onset", "offset", "judgement"])
    (table,) = review_annotations(review, [50]).values()
    assert table.to_numpy().tolist() == [
        [0, 10, "unknown"],
        [10, 15, "cry"],
        [15, 20, "unknown"],
        [20, 30, "other"],
        [30, 40, "cry"],
        [40, 50, "unknown"],
    ]
    # Nothing overlaps: where crying overlaps unknown time, it would count.
    covered = np.concatenate(list(class_intervals(table, LabelMap(), duration=50).values()))
    assert np.diff(covered, axis=1).sum() == 50


def test_bad_reviews_are_refused(write):
    review = read_review(write())
    with pytest.raises(ValueError, match="durations lacks, such as 'b.wav'"):
        review_annotations(review, {"a.wav": 60})
    with pytest.raises(ValueError, match="a clip begins at 10 s"):
        review_annotations(review, {"a.wav": 10, "b.wav": 60})
    with pytest.raises(ValueError, match="lasts nan s"):
        review_annotations(review, {"a.wav": 60, "b.wav": 60, "c.wav": np.nan})
    with pytest.raises(ValueError, match="no 'judgement'"):
        review_annotations(review.drop(columns="judgement"), {"a.wav": 60, "b.wav": 60})
    with pytest.raises(ValueError, match="'maybe' is not one of"):
        review_annotations(review.replace("cry", "maybe"), {"a.wav": 60, "b.wav": 60})
    for name, value, message in (
        ("onset", "early", "onset 'early' is no number"),
        ("onset", np.nan, "onset nan must be 0 or more"),
        ("offset", 1.0, "offset 1.0 must be above the onset"),
        ("recording", None, "is no name"),
    ):
        with pytest.raises(ValueError, match=message):
            review_annotations(review.assign(**{name: value}), {"a.wav": 60, "b.wav": 60})
    for wrong in ("long", None):
        with pytest.raises(ValueError, match=f"recording 'b.wav' lasts {wrong!r} s"):
            review_annotations(review, {"a.wav": 60, "b.wav": wrong})
    with pytest.raises(ValueError, match="'b.wav' is there twice"):
        review_annotations(review, pd.Series([60, 60, 60], ["a.wav", "b.wav", "b.wav"]))


def test_a_detector_learns_from_judgements(quick_detector, cry_data):
    """The truth as listener: annotations of its judgements are taken by fit, calibrate, score and metrics."""
    from helpers import make_quick_detector

    from skcry.review import select_clips

    recordings, annotations, infants = cry_data
    seconds = quick_detector.timeline(recordings)
    clips = select_clips(seconds, 30, "stratified", random_state=0)
    truth = second_truth(annotations, seconds).astype(float)
    share = [truth.loc[clip.recording].loc[clip.onset : clip.offset - 1].mean() for clip in clips.itertuples()]
    review = clips.assign(judgement=np.where(np.array(share) >= 0.5, "cry", "not"))
    judged = list(review_annotations(review, [len(y) / 16000 for y in recordings]).values())
    detector = make_quick_detector().fit(recordings, judged, groups=infants)
    assert isinstance(detector, CryDetector)
    assert detector.score(recordings, annotations) > 0.7
    assert 0 < detector.score(recordings, judged) <= 1
    assert second_truth(judged, seconds).notna().sum() == 30 * 5
    make_quick_detector().fit(recordings, annotations).calibrate(recordings, judged)
