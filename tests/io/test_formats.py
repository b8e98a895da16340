"""Every annotation format: there and back, told from the others, and faults that name the file and the remedy."""

import builtins
import sys

import numpy as np
import pandas as pd
import pytest

from skcry.io import read_annotations, read_its_clock, write_annotations
from skcry.io.annotations import FORMATS
from skcry.io.text_files import atomic_path

# Touching rows, millisecond times, letters that are not ASCII, one label that is no word.
ROWS = [(0.001, 1.25, "cry"), (1.25, 2.003, "brüllen-λ"), (35999.5, 35999.999, "-")]
SECONDS = [(1.0, 3.0, "cry"), (3.0, 4.0, "brüllen, λ"), (7.0, 8.0, "cry")]
EXTENSIONS = {name: known.suffixes[0] for name, known in FORMATS.items() if known.write}
CHILDPROJECT = "segment_onset,segment_offset,speaker_type,vcm_type,raw_filename\n"
RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 10
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "näh"
        xmin = 0
        xmax = 10
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 5e-1
            text = ""
        intervals [1]:
            xmin = 5e-1
            xmax = 3.25
            text = "say ""hé"" item [7] xmin = 3"
        intervals [1]:
            xmin = 3.25
            xmax = 10
            text = "two
lines"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 10
        points: size = 1
        points [1]:
            number = 2.5
            mark = "click"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
10
<exists>
2
"IntervalTier"
"näh"
0
10
3
0
0.5
""
0.5
3.25
"say ""hé"" item [7] xmin = 3"
3.25
10
"two
lines"
"TextTier"
"clicks"
0
10
1
2.5
"click"
"""
CHRONOLOGICAL = """"Praat chronological TextGrid text file"
0 10   ! Time domain.
2   ! Number of tiers.
"IntervalTier" "näh" 0 10
"TextTier" "clicks" 0 10

! näh:
1 0 0.5
""

! näh:
1 0.5 3.25
"say ""hé"" item [7] xmin = 3"

! clicks:
2 2.5
"click"

! näh:
1 3.25 10
"two
lines"
"""
TEXTGRID_ROWS = [[0.5, 3.25, 'say "hé" item [7] xmin = 3'], [3.25, 10.0, "two lines"]]
ITS = """<?xml version="1.0" encoding="UTF-8"?>
<ITS fileName="e1"><ProcessingUnit>
<Recording num="2" startClockTime="2024-05-01T13:30:00Z" startTime="PT100.00S" endTime="PT1H40M0.5S">
<Pause num="1"><Segment spkr="CHN" startTime="PT120.00S" endTime="PT125.00S" startVfx1="PT121S" endVfx1="PT122S"
 startCry1="PT122.50S" endCry1="PT123.00S" startCry2="PT124.00S" endCry2="PT124.60S"/></Pause></Recording>
<Recording num="1" startClockTime="2024-05-01T08:00:00Z" startTime="PT0.00S" endTime="PT100.00S">
<Conversation num="1"><Segment spkr="FAN" startTime="PT0.00S" endTime="PT12.00S"/>
<Segment spkr="CHN" startTime="PT12.00S" endTime="PT14.00S" startUtt1="PT12S" endUtt1="PT12.4S"
 startCry1="PT12.34S" endCry1="PT13.20S"/></Conversation></Recording>
</ProcessingUnit></ITS>
"""


@pytest.fixture
def put(tmp_path):
    def put(content, name):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return put


def rows_of(path, **kwargs):
    return read_annotations(path, **kwargs).to_numpy().tolist()


# There and back


@pytest.mark.parametrize("name", EXTENSIONS)
def test_round_trip(tmp_path, name):
    path = tmp_path / f"day1{EXTENSIONS[name]}"
    for rows in ([], SECONDS if name == "seconds" else ROWS):
        write_annotations(rows, path, format=name, duration=36000 if name != "seconds" else 9.5)
        # The extension and what the file holds tell which format it is.
        table = read_annotations(path)
        assert list(table.columns) == ["onset", "offset", "label"]
        assert table.to_numpy().tolist() == [list(row) for row in rows]
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
        assert b"\r" not in path.read_bytes()


@pytest.mark.parametrize("name", sorted(set(EXTENSIONS) - {"textgrid", "elan", "seconds"}))
def test_overlaps_stay(tmp_path, name):
    path = tmp_path / f"day1{EXTENSIONS[name]}"
    write_annotations([(0, 3, "cry"), (1, 2, "talk")], path, format=name)
    assert rows_of(path) == [[0.0, 3.0, "cry"], [1.0, 2.0, "talk"]]


def test_by_extension_each_format_has_its_own(tmp_path):
    heads = {
        ".csv": b"start,end,label\n",
        ".txt": b"0.5",
        ".TEXTGRID": b'File type = "ooTextFile"',
        ".RTTM": b"SPEAKER",
    }
    for suffix, head in {**heads, ".Eaf": b"<?xml"}.items():
        write_annotations(pd.DataFrame({"start": [0.5], "end": [1.0]}), tmp_path / f"day{suffix}")
        assert (tmp_path / f"day{suffix}").read_bytes().startswith(head)
        assert rows_of(tmp_path / f"day{suffix}") == [[0.5, 1.0, "cry"]]


def test_numbers_of_every_size_survive_a_textgrid(tmp_path):
    rows = [[0.000002, 0.00005, "a"], [1.1, 2.2, 'b "c" !d <e>'], [2.2, 1e5, "f"]]
    write_annotations(rows, tmp_path / "a.TextGrid", tier='t"1"')
    assert rows_of(tmp_path / "a.TextGrid", tier='t"1"') == rows


def test_praatio_reads_what_is_written(tmp_path):
    textgrid = pytest.importorskip("praatio.textgrid")
    write_annotations(ROWS, tmp_path / "a.TextGrid", duration=36000, tier="näh")
    tier = textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=True).getTier("näh")
    entries = [tuple(entry) for entry in tier.entries]
    assert [entry for entry in entries if entry[2]] == ROWS
    assert entries[0] == (0.0, 0.001, "")
    assert entries[-1] == (35999.999, 36000.0, "")


def test_seconds_by_half_of_each(tmp_path):
    write_annotations([(0.4, 2.6), (3.7, 4.3), (8.9, 9.3)], tmp_path / "a.csv", format="seconds", duration=9.4)
    assert (tmp_path / "a.csv").read_text().split() == ["1", "1", "1", "0", "0", "0", "0", "0", "0", "1"]


def test_childproject_columns(tmp_path):
    write_annotations(
        [(0, 1), (1, 2, "FEM"), (2, 3.5, "laughing"), (4, 5, "dog")], tmp_path / "a.csv", format="childproject"
    )
    table = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    assert table["segment_offset"].tolist() == [1000, 2000, 3500, 5000]
    assert table["speaker_type"].tolist() == ["CHI", "FEM", "CHI", "NA"]
    assert table["vcm_type"].tolist() == ["Y", "NA", "L", "NA"]
    assert table["recording_filename"].unique().tolist() == ["a"]


FOUND = pd.DataFrame({"recording": 3, "onset": [7.0, 1.0], "offset": [9.5, 2.0], "score": [0.25, 0.875]})


@pytest.mark.parametrize("name", sorted(set(EXTENSIONS) - {"seconds"}))
def test_events_of_a_detector(tmp_path, name):
    path = tmp_path / f"a{EXTENSIONS[name]}"
    write_annotations(FOUND, path, format=name)
    assert rows_of(path) == [[1.0, 2.0, "cry"], [7.0, 9.5, "cry"]]
    text = path.read_text("utf-8")
    assert ("0.875" in text) == (name not in ("audacity", "childproject", "elan", "textgrid"))
    write_annotations(FOUND.iloc[:0], path, format=name, duration=10)
    assert rows_of(path) == []
    write_annotations(FOUND.assign(label=["fuss", "cry"]), path, format=name)
    assert rows_of(path) == [[1.0, 2.0, "cry"], [7.0, 9.5, "fuss"]]
    for table in (FOUND.assign(recording=[0, 1]), FOUND.assign(recording=[0, 1], label="cry")):
        with pytest.raises(ValueError, match=r"'recording' names 2 recordings: \[0, 1\]. Pass the rows of one, as in"):
            write_annotations(table, path, format=name)


def test_scores_stay_with_their_annotations(tmp_path):
    rows = FOUND.assign(label=["fuss", "cry"])
    rows.loc[2] = [3, 4.0, 4.0, 0.5, "a point"]
    rows.loc[3] = [3, 10.05, 10.06, 0.6, "past the end"]
    rows.loc[4] = [3, 3.0, 3.5, np.nan, "whine"]
    for name, texts in {
        "csv": ["start,end,label,score", "1.0,2.0,cry,0.875", "3.0,3.5,whine,", "7.0,9.5,fuss,0.25"],
        "raven": [RAVEN.strip() + "\tScore", "\tcry\t0.875", "\twhine\t", "\tfuss\t0.25"],
        "rttm": ["cry 0.875 <NA>", "whine <NA> <NA>", "fuss 0.25 <NA>"],
    }.items():
        path = tmp_path / f"a{EXTENSIONS[name]}"
        with pytest.warns(UserWarning, match="1 of 5 annotations end when they start"):
            write_annotations(rows, path, format=name, duration=10)
        lines = path.read_text().splitlines()
        assert [line.endswith(text) for line, text in zip(lines, texts, strict=True)] == [True] * len(texts)
        assert rows_of(path) == [[1.0, 2.0, "cry"], [3.0, 3.5, "whine"], [7.0, 9.5, "fuss"]]
    with pytest.raises(ValueError, match="scores must be numbers"):
        write_annotations(FOUND.assign(score="high"), tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", [".TextGrid", ".eaf"])
def test_several_tiers(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    tiers = {"Ada": [(0.5, 1)], "Ben ": [(0.25, 1, "fuss"), (1, 2)], "none": [], "detector": FOUND}
    write_annotations(tiers, path)
    assert rows_of(path, tier="Ada") == [[0.5, 1.0, "cry"]]
    assert rows_of(path, tier="Ben") == [[0.25, 1.0, "fuss"], [1.0, 2.0, "cry"]]
    assert rows_of(path, tier="none") == []
    assert rows_of(path, tier="detector") == [[1.0, 2.0, "cry"], [7.0, 9.5, "cry"]]
    for rows, message in {
        "overlaps": ({"Ada": [(0, 2), (1, 3)]}, "overlaps 'cry' from 1 s to 3 s.*Write a tier per label .a dict"),
        "same": ({"Ada": [(0, 2)], " Ada": [(1, 3)]}, "names of tiers differ only by blanks"),
        "blank": ({" ": [(0, 2)]}, "the name of a tier '' is empty"),
        "swapped": ({"Ada": [(0, 2)], "Ben": [(3, 2)]}, "annotations of 'Ben': 'cry' from 3 s to 2 s ends before"),
        "columns": ({"onset": [0, 2], "offset": [1, 3]}, "annotations of 'onset': 0 is not an"),
        "none": ({}, "a dict of 0 tiers cannot be written"),
    }.values():
        with pytest.raises((TypeError, ValueError), match=message):
            write_annotations(rows, tmp_path / f"b{suffix}")
    with pytest.raises(ValueError, match="cannot be written in the format '.*' with tier='x'"):
        write_annotations(tiers, path, tier="x")
    with pytest.raises(ValueError, match="a dict of 4 tiers cannot be written in the format 'csv'.* as .eaf or .TextG"):
        write_annotations(tiers, tmp_path / "a.csv")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", sorted(set(EXTENSIONS) - {"seconds", "csv", "tsv"}))
def test_unknown_time_ends_with_the_recording(tmp_path, name):
    path = tmp_path / f"a{EXTENSIONS[name]}"
    rows = [(0, 2, "unknown"), (4, 5, "cry"), (8, np.inf, "unknown")]
    with pytest.raises(ValueError, match="unknown to the end of the recording. Pass its duration="):
        write_annotations(rows, path, format=name)
    write_annotations(rows, path, format=name, duration=10)
    assert rows_of(path) == [[0.0, 2.0, "unknown"], [4.0, 5.0, "cry"], [8.0, 10.0, "unknown"]]


# What each format may look like


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.csv", "0\n1\n1\n0\ncry\n", [[1.0, 3.0, "cry"], [4.0, 5.0, "cry"]]),
        ("a.CSV", "1\r\n1\r\n0", [[0.0, 2.0, "cry"]]),
        ("a.txt", "0.000e+00\n1.000e+00\n", [[1.0, 2.0, "cry"]]),
        ("a.csv", "\n\nprediction\n0\n1\n", [[1.0, 2.0, "cry"]]),
        ("a.csv", "is_crying\n0\n1\n", [[1.0, 2.0, "cry"]]),
        ("a.csv", "noise\nnoise\ncry\n0\n", [[0.0, 2.0, "noise"], [2.0, 3.0, "cry"]]),
        ("a.csv", "\ufeffsecond,prediction\n0,1\n1,0\n2,fuss\n", [[0.0, 1.0, "cry"], [2.0, 3.0, "fuss"]]),
        ("a.csv", "Time,state\n0,0\n1,1\n", [[1.0, 2.0, "cry"]]),
        ("a.csv", "value,time\n1,0\n0,1\n", [[0.0, 1.0, "cry"]]),
        ("a.csv", "recording,second,score,cry\n0,0,0.9,True\n0,1,0.2,False\n", [[0.0, 1.0, "cry"]]),
        ("a.csv", "second,prediction\n", []),
        # Two columns without names are start and end, whatever they hold.
        ("a.csv", "0,1\n1,2\n", [[0.0, 1.0, "cry"], [1.0, 2.0, "cry"]]),
        ("a.txt", "0,1,fuss\n", [[0.0, 1.0, "fuss"]]),
        ("a.csv", "0,1,it is 0 or 1\n", [[0.0, 1.0, "it is 0 or 1"]]),
        ("a.csv", "time,start,end,label\nx,0,1,a\n", [[0.0, 1.0, "a"]]),
    ],
)
def test_seconds_and_rows_are_told_apart(put, name, text, rows):
    assert rows_of(put(text, name)) == rows


def test_format_overrides_what_a_file_looks_like(put):
    path = put("0,0\n1,1\n2,1\n", "a.csv")
    assert rows_of(path, format="seconds") == [[1.0, 3.0, "cry"]]
    with pytest.raises(ValueError, match="ends before it starts"):
        rows_of(path)
    assert rows_of(put("1\t2\tx\n", "labels.dat"), format="audacity") == [[1.0, 2.0, "x"]]


def test_audacity_with_frequencies_and_points(put):
    text = "0.5\t1.5\tcry baby\n\\\t100.0\t2000.0\n2.0\t2.0\tclick\n\n3\t4\tfuss\t\n"
    with pytest.warns(UserWarning, match=r"a.txt: 1 of 3 annotations end when they start, such as 'click' at 2 s"):
        assert rows_of(put(text, "a.txt")) == [[0.5, 1.5, "cry baby"], [3.0, 4.0, "fuss"]]
    assert rows_of(put("0.0\t3.0\tHuman vocal\t0.9071\n", "a.txt")) == [[0.0, 3.0, "Human vocal"]]  # of BirdNET
    assert rows_of(put("0.5\t1.5\n2\t3\t\n", "a.txt")) == [[0.5, 1.5, "cry"], [2.0, 3.0, "cry"]]


def test_raven_counts_a_selection_once(put):
    text = RAVEN
    for view in ("Waveform 1", "Spectrogram 1"):
        text += f'1\t{view}\t1\t0.5\t1.5\t0\t8000\tcry\n2\t{view}\t1\t0.5\t1.5\t0\t8000\ta "b\n'
    assert rows_of(put(text, "a.txt")) == [[0.5, 1.5, "cry"], [0.5, 1.5, 'a "b']]


def test_raven_columns_of_labels(put):
    text = "Selection\tBegin Time (s)\tEnd Time (s)\tDelta Time (s)\tKind\tNote\n1\t1\t2\t1\tcry\tloud\n"
    assert rows_of(put(text, "a.txt"), tier="Note") == [[1.0, 2.0, "loud"]]
    with pytest.raises(ValueError, match=r"which column holds the labels, of \['Kind', 'Note'\]\? Name it with tier="):
        rows_of(put(text, "a.txt"))
    with pytest.raises(ValueError, match="no tier 'Notes'"):
        rows_of(put(text, "a.txt"), tier="Notes")
    own = "Selection\tView\tBegin Time (s)\tEnd Time (s)\tDelta Time (s)\n1\tW\t1\t2\t1\n1\tS\t1\t2\t1\n"
    assert rows_of(put(own, "a.txt")) == [[1.0, 2.0, "cry"]]


BIRDNET = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tCommon Name\t"
BIRDNET += "Species Code\tConfidence\tBegin Path\tFile Offset (s)\n"
BIRDNET += "1\tS\t1\t3\t6\t0\t9\tHuman\thum1\t0.7\t/data/a.wav\t3\n"
TWO_FILES = "2\tS\t1\t63.5\t66.5\t0\t9\tDog\tdog1\t0.8\tC:\\data\\b.wav\t3.5\n"


def test_raven_selections_of_a_sequence_of_files(put):
    assert rows_of(put(BIRDNET, "a.txt")) == [[3.0, 6.0, "Human"]]
    path = put(BIRDNET + TWO_FILES, "a.txt")
    assert rows_of(path, recording="a.wav") == [[3.0, 6.0, "Human"]]
    assert rows_of(path, recording="b.wav") == rows_of(path, recording="C:\\data\\b.wav") == [[3.5, 6.5, "Dog"]]
    assert rows_of(path, recording="b.wav", tier="Species Code") == [[3.5, 6.5, "dog1"]]
    second = put(BIRDNET.replace("\t3\t6\t", "\t63\t66\t"), "a.txt")
    assert rows_of(second) == [[3.0, 6.0, "Human"]]
    same = put(BIRDNET + TWO_FILES.replace("b.wav", "a.wav"), "a.txt")
    assert rows_of(same, recording="/data/a.wav") == [[3.0, 6.0, "Human"]]
    for recording, message in {
        None: "holds 2 recordings: '/data/a.wav'",
        "a.wav": "no recording 'a.wav', but",
        "c.wav": "no recording 'c.wav', but",
    }.items():
        with pytest.raises(ValueError, match=message):
            rows_of(same, recording=recording)


def test_raven_selections_of_files_in_another_column(put):
    text = "Begin Time (s)\tEnd Time (s)\tFile\tAnnotation\n1\t2\ta.wav\tcry\n3\t4\tb.wav\tfuss\n"
    with pytest.raises(ValueError, match=r"a.txt holds selections of 2 recordings: 'a.wav', 'b.wav'. Their times"):
        rows_of(put(text, "a.txt"))
    one = put(text.replace("b.wav", "a.wav"), "a.txt")
    assert rows_of(one) == rows_of(one, recording="a") == [[1.0, 2.0, "cry"], [3.0, 4.0, "fuss"]]


def test_raven_tables_in_which_times_would_shift(put):
    head = "Begin Time (s)\tEnd Time (s)\tFile Offset (s)"
    with pytest.raises(ValueError, match=r"is 0 to 60 s later than 'File Offset .s.', so .* several recordings"):
        rows_of(put(f"{head}\n1\t2\t1\n61\t62\t1\n", "a.txt"))
    with pytest.raises(ValueError, match=r"line 3: from 'a.wav' to 'b.wav'. The selection starts in one recording and"):
        rows_of(put(f"{head}\tBegin File\tEnd File\n1\t2\t1\ta.wav\ta.wav\n5\t7\t5\ta.wav\tb.wav\n", "a.txt"))
    with pytest.raises(ValueError, match="line 2: from '1' to '2'. Times are numbers"):
        rows_of(put(f"{head}\n1\t2\tx\n", "a.txt"))
    two = "Begin Time (s)\tEnd Time (s)\tBegin File\n0\t1\ta.wav\n5\t6\tb.wav\n"
    with pytest.raises(ValueError, match=r"2 recordings: .* start at the first recording. .*'File Offset .s.'"):
        rows_of(put(two, "a.txt"), recording="b.wav")


@pytest.mark.parametrize(
    ("columns", "values", "label"),
    [
        ("Kind", "cry", "cry"),
        ("annotation\tConfidence\taudio_file", "cry\t0.5\ta.wav", "cry"),
        ("Annotation\tKind", "\twhine", "whine"),
        ("Peak\tKind", "12.5\tfuss", "fuss"),
        ("Score", "0.5", "cry"),
        ("Annotation", "1", "1"),
        ("Annotation\tLabel", "a\tb", ["'Annotation', 'Label'"]),
        ("Kind\tNote", "a\tb", ["'Kind', 'Note'"]),
        ("Peak", "12.5", ["'Peak'"]),
    ],
)
def test_raven_column_of_labels_without_a_question(put, columns, values, label):
    path = put(f"Selection\tBegin Time (s)\tEnd Time (s)\t{columns}\n1\t1\t2\t{values}\n", "a.txt")
    if isinstance(label, str):
        assert rows_of(path) == [[1.0, 2.0, label]]
    else:
        with pytest.raises(ValueError, match=rf"which column holds the labels, of .{label[0]}.\? Name it with tier="):
            rows_of(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        LONG,
        SHORT,
        CHRONOLOGICAL,
        SHORT.rstrip(),
        LONG.replace("\n", "\r\n"),
        LONG.replace("    ", "\t"),
        SHORT.replace("\n\n", "\n"),
    ],
)
def test_textgrid_in_every_spelling(put, text, encoding):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    with pytest.warns(UserWarning, match=r"points on 'clicks' \(1 in all\) cover no time.* Pass tier='näh'"):
        assert rows_of(put(mark + text.encode(encoding), "a.textgrid")) == TEXTGRID_ROWS


def test_tiers_of_a_textgrid(put):
    assert rows_of(put(LONG, "a.TextGrid"), tier="näh") == TEXTGRID_ROWS
    two = put(LONG.replace("TextTier", "IntervalTier").replace("number = 2.5", "0 4"), "b.TextGrid")
    with pytest.raises(ValueError, match=r"b.TextGrid holds 2 tiers: 'näh', 'clicks'. Choose one with tier="):
        read_annotations(two)
    assert rows_of(two, tier="clicks") == [[0.0, 4.0, "click"]]
    with pytest.raises(ValueError, match=r"no tier 'cry', but 'näh'. Correct tier="):
        read_annotations(put(LONG, "a.TextGrid"), tier="cry")
    with pytest.raises(ValueError, match="'clicks' holds points, which cover no time"):
        read_annotations(put(LONG, "a.TextGrid"), tier="clicks")
    with pytest.raises(ValueError, match="more than one tier 'näh'"):
        read_annotations(put(two.read_text("utf-8").replace("clicks", "näh"), "a.TextGrid"), tier="näh")
    with pytest.raises(ValueError, match="holds no tier"):
        read_annotations(put(LONG[: LONG.index("<exists>")] + "<absent>", "a.TextGrid"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LONG.replace("xmin = 0\n", "xmin = 10\n"), r"xmin = 10 s, .* at 0. .* Shift times to.* Extend time"),
        (SHORT.replace("0\n10\n<exists>", "10\n20\n<exists>"), "starts at xmin = 10 s"),
        (CHRONOLOGICAL.replace("0 10   !", "-2 10   !"), "starts at xmin = -2 s"),
        (CHRONOLOGICAL[: CHRONOLOGICAL.index("1 3.25")], "tier 'näh' should go on to 10 s. The file looks truncated"),
        (CHRONOLOGICAL[: CHRONOLOGICAL.index('"two')], "ends where a text should follow"),
        (CHRONOLOGICAL.replace("2 2.5", "3 2.5"), "has 2 tiers, but something on tier 3"),
        (b"ooBinaryFile\x08TextGrid\0\0", "is a binary TextGrid.* choose Save > Save as text file"),
        (LONG.replace("IntervalTier", "TextTier").replace("0\n            xmax", "0"), "a text is expected"),
        (SHORT.replace('3\n0\n0.5\n""', '2\n0\n0.5\n""'), "a text is expected, but '3.25' follows"),
        (LONG + "0 5", "line 37: the end is expected, but '0' follows"),
        (
            LONG[: LONG.index("    item [1]")].replace("size = 2", "size = 1") + LONG[LONG.index("    item [2]") :],
            "a.TextGrid holds tiers of points only: 'clicks'. Points cover no time. Mark",
        ),
        (
            LONG.replace('"two\nlines"', '" "').replace('"say ""hé"" item [7] xmin = 3"', '""'),
            "tier 'näh' has 3 intervals, none with a label",
        ),
    ],
)
def test_textgrids_that_would_lose_or_shift_labels(put, text, message):
    with pytest.raises(ValueError, match=message) as error:
        read_annotations(put(text, "a.TextGrid"), tier="näh" if "näh" in str(text) else None)
    assert str(error.value).startswith("a.TextGrid")


def elan(path, *, bare=False):
    """Give an ELAN file with a tier, one that refers to it, and an empty one."""
    from pympi import Eaf

    document = Eaf(author="test")
    document.add_linguistic_type("ref", constraints="Symbolic_Association")
    document.add_tier("CHI")
    document.add_annotation("CHI", 1500, 2500, "wäh")
    if not bare:
        document.add_tier("vcm@CHI", ling="ref", parent="CHI")
        document.add_ref_annotation("vcm@CHI", "CHI", 2000, "Y")
    document.to_file(path)
    return path


def test_tiers_of_elan(tmp_path):
    path = elan(tmp_path / "a.eaf")
    assert rows_of(path, tier="CHI") == [[1.5, 2.5, "wäh"]]
    assert rows_of(path, tier="vcm@CHI") == [[1.5, 2.5, "Y"]]
    assert rows_of(path, tier="default") == []
    with pytest.raises(ValueError, match=r"a.eaf holds 2 tiers: 'CHI', 'vcm@CHI'. Choose"):
        read_annotations(path)
    # The empty tier which ELAN gives every file is no choice.
    assert rows_of(elan(tmp_path / "b.eaf", bare=True)) == [[1.5, 2.5, "wäh"]]


def marked(path, texts, media=()):
    """Give an ELAN file with annotations of two seconds on one tier, and linked media: name and TIME_ORIGIN."""
    from pympi import Eaf

    document = Eaf(author="test")
    document.rename_tier("default", "crying")
    for place, text in enumerate(texts):
        document.add_annotation("crying", 10000 * place, 10000 * place + 2000, text)
    for name, origin in media:
        document.add_linked_file(f"file:///D:/{name}", mimetype="audio/x-wav", time_origin=origin)
    document.header["TIME_UNITS"] = "milliseconds"
    document.to_file(path)
    return path


def test_elan_annotations_without_text(tmp_path):
    expected = [[0.0, 2.0, "crying"], [10.0, 12.0, "crying"]]
    assert rows_of(marked(tmp_path / "a.eaf", ["", " "])) == expected
    assert rows_of(marked(tmp_path / "b.eaf", [])) == []
    with pytest.raises(ValueError, match=r"c.eaf: 2 of 3 annotations on tier 'crying' have no text, .* 10 s to 12 s"):
        read_annotations(marked(tmp_path / "c.eaf", ["fuss", "", " "]))


def test_elan_media_that_start_later(tmp_path):
    path = marked(tmp_path / "a.eaf", ["x"], [("a.wav", 20000)])
    assert rows_of(path) == [[20.0, 22.0, "x"]]
    path = marked(tmp_path / "b.eaf", ["x"], [("a.mp4", None), ("a.wav", 20000)])
    assert rows_of(path, recording="a.wav") == [[20.0, 22.0, "x"]]
    assert rows_of(path, recording="a.mp4") == [[0.0, 2.0, "x"]]
    with pytest.raises(ValueError, match="b.eaf holds 2 recordings: 'a.mp4', 'a.wav'. Choose one with recording="):
        read_annotations(path)
    assert rows_of(marked(tmp_path / "c.eaf", ["x"], [("a.mp4", 0), ("a.wav", 0)])) == [[0.0, 2.0, "x"]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('TIME_ORIGIN="20000"', 'TIME_ORIGIN="soon"', "TIME_ORIGIN='soon' is no number"),
        ('TIME_ORIGIN="20000"', 'TIME_ORIGIN="-3000"', "starts before the recording"),
        ('TIME_UNITS="milliseconds"', 'TIME_UNITS="PAL-frames"', "times are in PAL-frames, not milliseconds"),
        ("</TIER>", '</TIER><TIER TIER_ID="crying" LINGUISTIC_TYPE_REF="default-lt"/>', "more than one tier 'crying'"),
    ],
)
def test_what_would_shift_or_merge_in_elan(tmp_path, old, new, message):
    path = marked(tmp_path / "a.eaf", ["x"], [("a.wav", 20000)])
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(ValueError, match=message):
        read_annotations(path)


def test_elan_of_a_version_that_pympi_does_not_know(tmp_path, capsys, recwarn):
    path = elan(tmp_path / "a.eaf", bare=True)
    path.write_text(path.read_text("utf-8").replace('VERSION="2.8"', 'VERSION="3.1"'), "utf-8")
    assert len(read_annotations(path)) == 1
    assert capsys.readouterr() == ("", "")
    assert len(recwarn) == 0


def test_recordings_of_rttm(put):
    text = (
        ";; a comment\nSPKR-INFO a 1 <NA> <NA> <NA> unknown KCHI <NA>\nSPEAKER a 1 0.1 0.2 <NA> <NA> KCHI <NA> <NA>\n"
    )
    assert rows_of(put(text, "x.rttm")) == [[0.1, 0.3, "KCHI"]]
    two = put(text + "SPEAKER b 1 4 1 <NA> <NA> CRY\n", "x.rttm")
    assert rows_of(two, recording="b") == [[4.0, 5.0, "CRY"]]
    with pytest.raises(ValueError, match=r"x.rttm holds 2 recordings: 'a', 'b'. Choose one with recording="):
        read_annotations(two)
    with pytest.raises(ValueError, match="no recording 'c', but 'a', 'b'"):
        read_annotations(two, recording="c")


def test_rttm_lines_that_would_vanish(put):
    noscore = "NOSCORE a 1 5 2 <NA> <NA> <NA> <NA>\n"
    speaker = "SPEAKER a 1 0.5 0.2 <NA> <NA> KCHI 0.7 <NA>\nNON-SPEECH a 1 3 1 <NA> noise <NA> <NA>\n"
    assert rows_of(put(noscore + speaker, "x.rttm")) == [[0.5, 0.7, "KCHI"], [5.0, 7.0, "unknown"]]
    assert rows_of(put(";; nothing was heard\n", "x.rttm")) == []
    for text, message in {
        "NON-SPEECH a 1 3 1 <NA> other <NA> <NA>\n": "x.rttm holds no SPEAKER line, but lines of type NON-SPEECH",
        speaker.replace("KCHI", "<NA>"): "line 1: no label from 0.5 s to 0.7 s. Write the name .* as eighth field",
        "NOSCORE a 1 5\n": "line 1: 'NOSCORE a 1 5'",
    }.items():
        with pytest.raises(ValueError, match=message):
            read_annotations(put(text, "x.rttm"))


def test_childproject_labels(put):
    text = (
        CHILDPROJECT + "1000,2000,CHI,Y ,a\n2000,2500,CHI,L,a\n3000,3500,FEM,NA,a\n4000,4100,CHI,C,a\n5000,5500,NA,,a\n"
    )
    assert rows_of(put(text, "a.csv")) == [
        [1.0, 2.0, "cry"],
        [2.0, 2.5, "laughing"],
        [3.0, 3.5, "FEM"],
        [4.0, 4.1, "canonical"],
        [5.0, 5.5, "unknown"],
    ]
    two = put(text + "0,1000,CHI,Y,b\n", "a.csv")
    assert rows_of(two, recording="b") == [[0.0, 1.0, "cry"]]
    with pytest.raises(ValueError, match="holds 2 recordings: 'a', 'b'"):
        read_annotations(two)


def test_childproject_names_recordings_in_other_columns(put):
    path = put("segment_onset,segment_offset,vcm_type,filename\n1000,2000,Y,a.wav\n3000,4000,Y,b.wav\n", "a.csv")
    assert rows_of(path, recording="b") == [[3.0, 4.0, "cry"]]
    with pytest.raises(ValueError, match="holds 2 recordings: 'a.wav', 'b.wav'"):
        rows_of(path)


def test_childproject_from_lena(put):
    text = "segment_onset,segment_offset,speaker_type,cries\n"
    text += "0,9000,CHI,\"[{'start': 1.5, 'end': 2.5}]\"\n9000,9500,FEM,[]\n"
    assert rows_of(put(text, "a.csv")) == [[1.5, 2.5, "cry"], [9.0, 9.5, "FEM"]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<ITS ", '<!DOCTYPE ITS SYSTEM "its.dtd" >\n<ITS '),
        ("<ITS ", '<!DOCTYPE ITS PUBLIC "-//LENA//ITS//EN" "http://127.0.0.1:1/its.dtd">\n<ITS '),
        # The same recordings, by periods of 5 minutes.
        ("</ProcessingUnit>", "<Bar>" + "".join(ITS.splitlines(keepends=True)[2:-1]) + "</Bar></ProcessingUnit>"),
    ],
)
def test_lena_as_lena_writes_it(put, old, new):
    path, plain = put(ITS.replace(old, new.replace("</ProcessingUnit></Bar>", "</Bar>")), "e2.its"), put(ITS, "e1.its")
    assert rows_of(path) == rows_of(plain)
    pd.testing.assert_frame_equal(read_its_clock(path), read_its_clock(plain))


def test_lena_cries_are_found_whatever_their_number(put):
    path = put(ITS.replace("Cry1", "Cry7"), "e1.its")
    assert rows_of(path) == [[12.34, 13.2, "cry"], [122.5, 123.0, "cry"], [124.0, 124.6, "cry"]]
    with pytest.raises(ValueError, match='spkr="CHN" startTime="PT12.00S"> has startCry1=None'):
        read_annotations(put(ITS.replace('startCry1="PT12.34S"', ""), "e1.its"))
    with pytest.raises(ValueError, match="holds no <Recording>"):
        read_annotations(put(ITS.replace("Recording", "Rec"), "e1.its"))


@pytest.mark.parametrize(
    "declared",
    ['<!DOCTYPE ITS [<!ENTITY a "b">]>', '<!DOCTYPE ITS SYSTEM "its.dtd" [<!ELEMENT ITS ANY>]>', "<!DOCTYPE ITS []>"],
)
def test_declarations_in_xml_are_refused(put, declared):
    with pytest.raises(ValueError, match="it declares a document type with content of its own, which may be harmful"):
        read_annotations(put(ITS.replace("<ITS ", declared + "<ITS "), "a.its"))


@pytest.mark.parametrize(("old", "new"), [("CHN", "C&a;HN"), ("</Pause>", "&a;</Pause>")])
def test_entities_in_xml_are_refused(put, old, new):
    typed = ITS.replace("<ITS ", '<!DOCTYPE ITS SYSTEM "its.dtd"><ITS ')
    for text in (ITS, typed):
        with pytest.raises(ValueError, match="no complete XML .undefined entity|entity of its document type"):
            read_annotations(put(text.replace(old, new), "a.its"))
    assert len(read_annotations(put(typed.replace("CHN", "&lt;C&#72;N&amp;"), "a.its"))) == 3


def test_lena(put):
    path = put(ITS, "e1.its")
    assert rows_of(path) == [[12.34, 13.2, "cry"], [122.5, 123.0, "cry"], [124.0, 124.6, "cry"]]
    clock = read_its_clock(path)
    assert clock["onset"].tolist() == [0.0, 100.0]
    assert clock["offset"].tolist() == [100.0, 6000.5]
    assert clock["start"].tolist() == [pd.Timestamp("2024-05-01 08:00Z"), pd.Timestamp("2024-05-01 13:30Z")]


# Faults


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "content", [bytes(range(256)) * 4, b"\x00\x01\x02\x03", b"\xff\xfe\x00\xd8"], ids=["all", "nul", "utf16"]
)
def test_binary_junk_in_every_format(put, name, content):
    path = put(content, f"a{FORMATS[name].suffixes[0]}")
    for chosen in (name, None):
        with pytest.raises(ValueError, match=r"^a\.\w+ cannot be read as .*\. (Save|Copy)"):
            read_annotations(path, format=chosen)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"textgrid", "elan", "lena"}))
def test_latin_1_in_every_text_format(put, name):
    with pytest.raises(ValueError, match=r"cannot be read as .* Save it as \w+ in UTF-8"):
        read_annotations(put("1,2,brüllen\n".encode("latin-1"), f"a{FORMATS[name].suffixes[0]}"), format=name)


@pytest.mark.parametrize("name", FORMATS)
def test_missing_files_and_folders_in_every_format(tmp_path, name):
    suffix = FORMATS[name].suffixes[0]
    with pytest.raises(FileNotFoundError, match="no such file. Check the path"):
        read_annotations(tmp_path / f"a{suffix}")
    (tmp_path / f"b{suffix}").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_annotations(tmp_path / f"b{suffix}", format=name)
    with pytest.raises(IsADirectoryError, match="is a folder"), atomic_path(tmp_path / f"b{suffix}"):
        pass


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.rttm"])
@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_empty_text_says_that_nothing_was_heard(put, name, text):
    assert read_annotations(put(text, name)).shape == (0, 3)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "0\n1\n\n1\n", r"a.csv, line 4: '1'. With a value per second"),
        ("a.csv", "0\n1\n2\n", "line 1: '0'; line 2: '1'; line 3: '2'. A line holds start and end"),
        ("a.csv", "12.5\n14\n", "line 1: '12.5'"),
        ("a.csv", "1.0 2.0 cry\n", "neither starts with a time"),
        ("a.csv", "second,prediction\n0,1\n2,1\n", "line 3: '2,1'. With a value per second"),
        ("a.csv", "second,prediction\n1,1\n", "line 2: '1,1'"),
        ("a.csv", "second,prediction\n0,0.7\n1,\n", "line 2: '0,0.7'; line 3: '1'"),
        ("a.csv", "recording,second,cry\n0,0,1\n1,0,1\n", "holds 2 recordings: '0', '1'"),
        ("a.csv", CHILDPROJECT + "1000,x,CHI,Y,a\n5,6\n7,8,CHI,Y,a\n", "line 2: '1000,x,CHI,Y,a'"),
        ("a.csv", CHILDPROJECT + "2000,1000,CHI,Y,a\n", "'cry' from 2 s to 1 s ends before it starts"),
        ("a.csv", "segment_onset,segment_offset\n1,2\n", r"the columns are .* vcm_type, speaker_type"),
        (
            "a.txt",
            "1\t2\tcry\none\ttwo\tcry\n3\n",
            r"a.txt, line 2: 'one\\ttwo\\tcry'; line 3: '3'. A line of Audacity",
        ),
        ("a.txt", "1,5\t2,5\tcry\n", "with a decimal point"),
        ("a.txt", "1\t2\tcry\n\\\tcry\t5\n", r"line 2: .*A line of Audacity"),
        ("a.txt", "\\\t100\t200\n1\t2\tcry\n", r"line 1: .*A line of Audacity"),
        ("a.txt", "3.0\t3.0\tcry\n", "1 of 1 annotations end when they start, such as 'cry' at 3 s. Points cover"),
        ("a.csv", "3.0,3.0,cry\n", "a.csv: 1 of 1 annotations end when they start"),
        ("a.txt", "1\t2\tcry\n3\t4\n", "line 2: no label from 3 s to 4 s. Others have one"),
        ("a.txt", "2\t1\tcry\n", "ends before it starts"),
        ("a.txt", "Selection\tBegin Time (s)\n1\t2\n", r"'End Time \(s\)' are needed"),
        (
            "a.txt",
            RAVEN + "1\tW\t1\t0\t1\t0\t8\tcry\n2\tW\t1\tx\t1\t0\t8\tcry\n",
            "a.txt, line 3: from 'x' to '1'. Times",
        ),
        ("a.txt", RAVEN + "1\tW\t1\t0\t1\t0\t8\tcry\n2\tW\t1\t1\t2\t0\t8\t\n", "line 3: no label from 1 s to 2 s"),
        (
            "a.txt",
            "Begin Time (s)\tEnd Time (s)\tBegin File\n0\t1\ta.wav\n5\t6\tb.wav\n",
            "selections of 2 recordings: 'a.wav', 'b.wav'",
        ),
        ("a.rttm", "SPEAKER a 1 0 1 <NA> <NA> x\nSPEAKER a 1 zero 1 <NA> <NA> x\n", "line 2: 'SPEAKER a 1 zero"),
        ("a.rttm", "hello world\n", "a.rttm, line 1: 'hello world'. A line of RTTM reads"),
        ("a.rttm", "SPEAKER a 1 5 -1 <NA> <NA> x\n", "'x' from 5 s to 4 s ends before it starts"),
        ("a.TextGrid", "", "a.TextGrid ends where a text should follow. The file looks truncated"),
        ("a.TextGrid", "1,2,cry\n", "line 1: a text is expected, but '1,2,cry' follows"),
        ("a.TextGrid", '"Praat chronological TextGrid text file"\n0 1', "ends where a count should follow"),
        ("a.TextGrid", LONG.replace("TextGrid", "Sound"), "does not start like a TextGrid. Save it from Praat"),
        (
            "a.TextGrid",
            LONG[: LONG.index("xmax = 3.25")],
            "ends where a number should follow. The file looks truncated",
        ),
        ("a.TextGrid", LONG[: LONG.index("intervals [1]")], "ends where a number should follow"),
        ("a.TextGrid", SHORT[: SHORT.index("lines")], "line 21: a quote is never closed"),
        ("a.TextGrid", SHORT[: SHORT.index("3.25\n10")], "looks truncated"),
        ("a.TextGrid", LONG.replace("3.25", "x.25"), "line 22: a number is expected, but '\"say"),
        ("a.TextGrid", LONG.replace("3.25", "3.2.5"), "line 21: a number is expected, but '3.2.5' follows"),
        ("a.TextGrid", LONG.replace("xmin = 5e-1", "xmin = -1"), "starts before the recording"),
        ("a.TextGrid", LONG.replace("xmax = 3.25", "xmax = 0.2"), "ends before it starts"),
        ("a.TextGrid", LONG.replace("size = 3", "size = 3.5"), "line 14: a count is expected, but '3.5' follows"),
        ("a.eaf", "", "a.eaf cannot be read as an ELAN file: it is no complete XML"),
        ("a.eaf", "<html></html>", "<html> where <ANNOTATION_DOCUMENT>"),
        ("a.eaf", "<ANNOTATION_DOCUMENT/>", "a.eaf cannot be read as an ELAN file .*Save it from ELAN again"),
        ("a.its", ITS[:-40], "a.its cannot be read as LENA's .its file: it is no complete XML"),
        ("a.its", "<its/>", "<its> where <ITS>"),
        ("a.its", ITS.replace("PT13.20S", "13.20"), "has endCry1='13.20', which is no time such as 'PT12.34S'"),
        ("a.its", ITS.replace('endCry2="PT124.60S"', ""), 'spkr="CHN" startTime="PT120.00S"> has endCry2=None'),
        ("a.its", ITS.replace("PT13.20S", "PT3.20S"), "ends before it starts"),
    ],
)
def test_faults_name_file_place_and_remedy(put, name, text, message):
    with pytest.raises(ValueError, match=message) as error:
        read_annotations(put(text, name))
    assert str(error.value).startswith(name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('TIME_VALUE="1500"', 'TIME_VALUE="x"', "cannot be read as an ELAN file .*Save it from ELAN again"),
        ('TIME_VALUE="1500"', "", "has no time of its own .start None ms"),
        ("TIME_SLOT_REF1", "TIME_SLOT_REFX", "KeyError.*Save it from ELAN again"),
        ('TIME_VALUE="1500"', 'TIME_VALUE="3500"', "ends before it starts"),
        # Cut off.
        ("</ANNOTATION_DOCUMENT>", None, "a.eaf cannot be read as an ELAN file: it is no complete XML"),
        ("<TIER", None, "it is no complete XML"),
        ("<ANNOTATION_VALUE>", None, "it is no complete XML"),
    ],
)
def test_faulty_elan(tmp_path, old, new, message):
    path = elan(tmp_path / "a.eaf", bare=True)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text[: text.index(old)] if new is None else text.replace(old, new), "utf-8")
    with pytest.raises(ValueError, match=message):
        read_annotations(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('startClockTime="2024-05-01T08:00:00Z"', "", "from 0 s to 100 s has no startClockTime"),
        ("2024-05-01T08:00:00Z", "this morning", "from 0 s to 100 s has no startClockTime"),
        ('endTime="PT100.00S"', "", '<Recording num="1" startTime="PT0.00S"> has endTime=None'),
        ("Recording", "Rec", "holds no <Recording>"),
    ],
)
def test_faulty_clock(put, old, new, message):
    with pytest.raises(ValueError, match=message):
        read_its_clock(put(ITS.replace(old, new), "a.its"))


def test_unknown_formats_list_the_known(tmp_path, put):
    known = r"Known: audacity \(.txt\); csv \(.csv, .txt\); .*textgrid \(.TextGrid\); .*lena \(.its\)"
    with pytest.raises(ValueError, match=r"a.docx: the extension '.docx' is of no known.*" + known):
        read_annotations(put("", "a.docx"))
    with pytest.raises(ValueError, match="the extension '' is of no known"):
        write_annotations([], tmp_path / "a")
    with pytest.raises(ValueError, match="format='praat' is of no known.*" + known):
        read_annotations(put("", "a.csv"), format="praat")
    with pytest.raises(ValueError, match="'lena' is only read. Write one of audacity, csv"):
        write_annotations([], tmp_path / "a.its")


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("a.csv", [(0, 1, " ")], "label '' from 0 s to 1 s is empty"),
        ("a.txt", [(0, 1, "a\tb")], r"holds tabs, line breaks"),
        ("a.eaf", [(0, 1, "a\nb")], r"holds tabs, line breaks"),
        ("a.csv", [(2, 1, "a")], "ends before it starts"),
        ("a.csv", [(2, 12, "a")], "ends after the recording, which lasts 10 s"),
        ("a.eaf", [(1, 1.0004, "a")], "'a' from 1 s to 1.0004 s is too short for the format 'elan'"),
        ("a.eaf", [(0, 2, "a"), (1, 3, "b")], "'a' from 0 s to 2 s overlaps 'b' from 1 s to 3 s"),
        ("a.TextGrid", [(0, 2, "a"), (1, 3, "b")], "which a tier of a TextGrid cannot hold"),
        ("a.rttm", [(0, 2, "a b")], "label 'a b' holds blanks.*Replace them by '_'"),
    ],
)
def test_what_a_format_cannot_hold(put, tmp_path, name, rows, message):
    put("as it was", name)
    with pytest.raises(ValueError, match=message):
        write_annotations(rows, tmp_path / name, duration=10)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {name: "as it was"}


def test_what_needs_a_duration(tmp_path):
    for name, rows, chosen in (("a.TextGrid", [], None), ("a.csv", [(0, 1)], "seconds")):
        with pytest.raises(ValueError, match="Pass duration="):
            write_annotations(rows, tmp_path / name, format=chosen)
    with pytest.raises(ValueError, match="contradicts"):
        write_annotations([(0, 2, "a"), (1, 3, "b")], tmp_path / "a.csv", format="seconds", duration=5)
    assert list(tmp_path.iterdir()) == []


# Whole files or none


def test_atomic_path(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail_halfway():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail_halfway()
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "before"
    with atomic_path(str(path)) as temporary:
        temporary.write_text("after")
        assert temporary.parent == tmp_path
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "after"
    with (
        pytest.raises(FileNotFoundError, match="no such folder to write a.txt to"),
        atomic_path(tmp_path / "x" / "a.txt"),
    ):
        pass


def test_pympi_is_imported_for_elan_only(put, tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("pympi"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "pympi", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    write_annotations(ROWS, tmp_path / "a.TextGrid")
    assert len(read_annotations(tmp_path / "a.TextGrid")) == 3
    with pytest.raises(ImportError, match="pympi"):
        write_annotations(ROWS, tmp_path / "a.eaf")


@pytest.mark.real
def test_shared_textgrids_are_read_as_praatio_reads_them(shared):
    textgrid = pytest.importorskip("praatio.textgrid")
    paths = sorted((shared / "data" / "textgrid").glob("*.TextGrid"))
    assert len(paths) == 135
    labels = set()
    for path in paths:
        table = read_annotations(path)
        tier = textgrid.openTextgrid(str(path), includeEmptyIntervals=True).getTier("silences")
        assert table.to_numpy().tolist() == [list(entry) for entry in tier.entries]
        assert len(table) == path.read_text().count("intervals [1]:")
        labels |= set(table["label"])
    assert labels == {"cry", "-"}


def test_blanks_in_a_files_name_are_no_obstacle_and_notes_no_labels(tmp_path):
    write_annotations([(0, 2, "cry")], tmp_path / "my day.rttm")
    assert (tmp_path / "my day.rttm").read_text().split()[1] == "my_day"
    assert len(read_annotations(tmp_path / "my day.rttm")) == 1
    (tmp_path / "day.txt").write_text("slept badly\nvisitor at noon\n")
    with pytest.raises(ValueError, match=r"day\.txt, line 1: 'slept badly' neither starts with a time"):
        read_annotations(tmp_path / "day.txt")
    write_annotations([(0, 2, "fuss")], tmp_path / "day.csv", format="seconds", duration=2)
    assert read_annotations(tmp_path / "day.csv")["label"].tolist() == ["fuss"]
