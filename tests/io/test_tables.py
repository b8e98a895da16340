"""Tables of annotations as the tools of the field write them: names of columns, separators, notations of time."""

import re

import numpy as np
import pandas as pd
import pytest

from skcry.events import mark_unknown
from skcry.io import csv_tables, read_annotations, write_annotations
from skcry.io.columns import elan_names, find_separator, role_of, to_seconds
from skcry.io.text_files import read_table

ROWS = [[1.5, 2.5, "cry"], [4.0, 6.25, "fuss"]]
CHILDPROJECT = "segment_onset,segment_offset,speaker_type,vcm_type,range_onset,range_offset,recording_filename\n"
CHAT = """@UTF8
@Begin
@Participants:\tCHI Target_Child, MOT Mother
@Media:\tday1, audio
*CHI:\t0 [=! cries] . \x151500_2500\x15
%com:\twith \x15no_times\x15
*MOT:\twhat is it \x15500_900\x15
\tlittle one ? \x15900_1400\x15
*CHI:\t&=cries \x154000_6250\x15
*CHI:\tmama &=cries . \x157000_7500\x15
@End
"""
BORIS = """Observation id,Observation date,Subject,Behavior,Behavioral category,Modifier #1,Behavior type,Time,Comment
day1,2024-05-01,infant,cry,,loud,START,1.5,
day1,2024-05-01,infant,cry,,soft,START,2.0,
day1,2024-05-01,infant,cry,,loud,STOP,2.5,
day1,2024-05-01,infant,cry,,soft,STOP,3.5,
day1,2024-05-01,infant,fuss,,,START,4.0,
day1,2024-05-01,infant,fuss,,,STOP,6.25,
"""


@pytest.fixture
def put(tmp_path):
    def put(text, name="day1.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return put


def rows_of(path, **kwargs):
    return read_annotations(path, **kwargs).to_numpy().tolist()


# Names of columns, separators, notations of time


@pytest.mark.parametrize(
    "header",
    [
        *("start,end,label", "begin,end,label", "start_time,end_time,label", "onset_s,offset_s,event_label"),
        *("start_seconds,end_seconds,label", "start_time_seconds,end_time_seconds,label", "Start (s),End (s),Class"),
        *("start [s],stop [s],annotation", "startTime,endTime,class_name", "tmin,tmax,text", "Onset,Offset,Behavior"),
        *("Begin Time,End Time,Common name", '"start","end","label"'),
    ],
)
@pytest.mark.parametrize(
    ("sep", "name"), [(",", "day1.csv"), ("\t", "day1.tsv"), ("\t", "day1.txt"), (";", "day1.csv")]
)
def test_names_of_columns_and_separators(put, header, sep, name):
    text = header.replace(",", sep) + "\n" + "".join(sep.join(map(str, row)) + "\n" for row in ROWS)
    assert rows_of(put(text, name)) == ROWS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "onset,duration,label\n1.5,1,cry\n4,2.25,fuss\n"),
        ("a.csv", "onset_ms,offset_ms,label\n1500,2500,cry\n4000,6250,fuss\n"),
        ("a.csv", "start_ms,duration_ms,label\n1500,1000,cry\n4000,2250,fuss\n"),
        ("a.csv", "start,end,label\n00:00:01.5,0:00:02.500,cry\n00:00:04,00:00:06.25,fuss\n"),
        ("a.csv", "00:00:01.5,0:00:02.500,cry\n00:00:04,00:00:06.25,fuss\n"),
        ("a.csv", "start;end;label\n1,5;2,5;cry\n4;6,25;fuss\n"),
        ("a.csv", "1,5;2,5;cry\n4;6,25;fuss\n"),
        ("a.csv", "1.5;2.5;cry\n4;6.25;fuss\n"),
        ("a.tsv", "1.5\t2.5\tcry\n4\t6.25\tfuss\n"),
        ("a.csv", "sep=;\nstart;end;label\n1,5;2,5;cry\n4;6,25;fuss\n"),
        ("a.csv", 'start,end,label,note\n1.5,2.5,cry,"a, b\nc, d, e"\n4,6.25,fuss,\n'),
        ("a.csv", "# by Ada\n#start,end,label\nstart,end,label\n1.5,2.5,cry\n# a pause\n4,6.25,fuss\n#7,8,cry\n"),
        ("a.csv", "label,start,end,note,duration\ncry,1.5,2.5,,1\nfuss,4,6.25,loud,2.25\n"),
        # An index as pandas writes it.
        ("a.csv", ",start,end,label\n0,1.5,2.5,cry\n1,4,6.25,fuss\n"),
        # More than 32 columns.
        (
            "a.csv",
            "start,end,"
            + "x," * 0
            + ",".join(f"x{i}" for i in range(40))
            + ",label\n"
            + "".join(f"{on},{off}{',0' * 40},{label}\n" for on, off, label in ROWS),
        ),
    ],
)
def test_notations_of_time(put, name, text):
    assert rows_of(put(text, name)) == ROWS


def test_a_label_may_start_with_a_hash(put):
    assert rows_of(put("label,start,end\n#1,2,3\n#2,4,5\n")) == [[2.0, 3.0, "#1"], [4.0, 5.0, "#2"]]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Begin Time - hh:mm:ss.ms", ("onset", "clock")),
        ("End Time - msec", ("offset", 1e-3)),
        ("Duration - ss.msec", ("duration", 1.0)),
        ("Begin Time - PAL", ("other time", None)),
        ("start_frame", (None, None)),
        ("File Offset (s)", (None, None)),
        ("endpoint", (None, None)),
        ("Media file name", ("recording", None)),
    ],
)
def test_roles(name, role):
    assert role_of(name) == role


@pytest.mark.parametrize("text", ["", "1_0", "0x10", "\u0661", "1:05", "1:60:00", "1,234.5", "--1", "1e", "1 2"])
def test_texts_that_are_no_time(text):
    assert np.isnan(to_seconds(text))


def test_milliseconds_are_divided():
    assert [to_seconds(text, 1e-3) for text in ("1250", "35999999", "0.5")] == [1.25, 35999.999, 0.0005]


# Exports of ELAN


ELAN_ROWS = [("CHI", 1500, 2500, "cry"), ("CHI", 4000, 6250, "fuss")]
NOTATIONS = {
    "hh:mm:ss.ms": lambda ms: f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}",
    "ss.msec": lambda ms: f"{ms / 1000:.3f}",
    "msec": str,
}


def elan_export(rows, notations, *, tier=True, participant=True, duration=True, header=True):
    """Lines of ELAN's tab-delimited export."""
    times = ["Begin Time", "End Time", "Duration"][: 2 + duration]
    names = ["Tier"] * tier + ["Participant"] * participant + [f"{t} - {n}" for t in times for n in notations]
    lines = ["\t".join([*names, "Annotation"])] if header else []
    for name, onset, offset, label in rows:
        values = [onset, offset, offset - onset][: 2 + duration]
        fields = [name] * tier + [""] * participant + [NOTATIONS[n](v) for v in values for n in notations]
        lines.append("\t".join([*fields, label]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("tier", [True, False])
@pytest.mark.parametrize(
    "notations",
    [["hh:mm:ss.ms"], ["ss.msec"], ["msec"], ["hh:mm:ss.ms", "ss.msec"], ["ss.msec", "msec"], list(NOTATIONS)],
    ids=" ".join,
)
def test_exports_of_elan(put, notations, tier, header):
    text = elan_export(ELAN_ROWS, notations, tier=tier, participant=tier, header=header)
    if notations == ["msec"] and not tier and not header:
        # Whole numbers without names may be seconds.
        with pytest.raises(ValueError, match="line 1: "):
            rows_of(put(text, "a.txt"))
    else:
        assert rows_of(put(text, "a.txt")) == ROWS
        assert rows_of(put(text, "a.tsv")) == ROWS


def test_tiers_of_an_export_of_elan(put):
    rows = [*ELAN_ROWS, ("MOT", 2000, 3000, "hush")]
    for header in (True, False):
        path = put(elan_export(rows, ["hh:mm:ss.ms", "ss.msec"], header=header), "a.txt")
        assert rows_of(path, tier="CHI") == ROWS
        assert rows_of(path, tier="MOT") == [[2.0, 3.0, "hush"]]
        with pytest.raises(ValueError, match=r"a.txt holds 2 tiers: 'CHI', 'MOT'. Choose one with tier="):
            rows_of(path)


def test_a_column_per_tier(put):
    text = "Begin Time - ss.msec\tEnd Time - ss.msec\tBegin Time - PAL\tCHI\tMOT\n"
    text += "1.5\t2.5\tx\tcry\t\n2\t3\tx\t\thush\n4\t6.25\tx\tfuss\twhat\n"
    path = put(text, "a.txt")
    assert rows_of(path, tier="CHI") == ROWS
    assert rows_of(path, tier="MOT") == [[2.0, 3.0, "hush"], [4.0, 6.25, "what"]]
    with pytest.raises(ValueError, match="holds 2 tiers: 'CHI', 'MOT'"):
        rows_of(path)
    with pytest.raises(ValueError, match="no tier 'FAT', but 'CHI', 'MOT'"):
        rows_of(path, tier="FAT")
    empty = put(text.replace("hush", "").replace("what", ""), "b.txt")
    with pytest.raises(ValueError, match="the tier 'MOT' has no text, so that its rows cannot be told from"):
        rows_of(empty, tier="MOT")
    # With one tier, a row without text is an annotation of it.
    with pytest.raises(ValueError, match="line 3: .*A line holds start and end"):
        rows_of(put("Begin Time - msec\tEnd Time - msec\tCHI\n1500\t2500\tcry\n4000\t5000\t\n", "c.txt"))


def test_annotations_of_elan_without_text(put):
    rows = [(tier, onset, offset, "") for tier, onset, offset, _ in ELAN_ROWS]
    for header in (True, False):
        text = elan_export(rows, ["ss.msec"], header=header)
        assert rows_of(put(text, "a.txt")) == [[1.5, 2.5, "CHI"], [4.0, 6.25, "CHI"]]
        with pytest.raises(ValueError, match=r"a.txt, line \d: .*CHI.*A line holds start and end"):
            rows_of(put(elan_export([ELAN_ROWS[0], rows[1]], ["ss.msec"], header=header), "a.txt"))


@pytest.mark.parametrize(
    "rows",
    [
        [["cry", "10.0", "20.0", "a note"]],  # a table that starts with the label
        [["cry", "1.5", "2.5", "1.0"]],  # label, start, end, duration or score
        [["cry", "10", "20", "loud"]],
        [["1.5", "2.5", "cry"]],
        [["1.5", "2.5", "7.0", "cry"]],  # the third is no duration
        [["0", "1.5", "2.5", "cry"]],
        [["CHI", "", "1.5", "cry"]],
        [["CHI", "", "1.5", "2.5", "1.0", "cry", "a.eaf"]],
        [["CHI", "", "1.5", "2.5", "cry"], ["CHI", "", "1.5", "2.5"]],
        [],
    ],
)
def test_tables_that_are_no_export_of_elan(rows):
    assert elan_names(rows) is None


def test_audacity_stays(put):
    for text in ("1.5\t2.5\tcry\n4\t6.25\tfuss\n", "1.5\t2.5\tcry\n\\\t100\t200\n4\t6.25\tfuss\n"):
        assert rows_of(put(text, "a.txt")) == ROWS
    assert rows_of(put("1.500\t2.500\t7\n", "a.txt")) == [[1.5, 2.5, "7"]]


# Several recordings in a table


DCASE = (
    "filename\tonset\toffset\tevent_label\na.wav\t1.5\t2.5\tcry\na.wav\t4\t6.25\tfuss\nb.wav\t\t\t\nc.wav\t0\t1\tx\n"
)


def test_the_recording_is_chosen(put):
    path = put(DCASE, "a.tsv")
    assert (
        rows_of(path, recording="a.wav") == rows_of(path, recording="a") == rows_of(path, recording="/x/a.flac") == ROWS
    )
    assert rows_of(path, recording="b.wav") == []
    with pytest.raises(ValueError, match=r"a.tsv holds 3 recordings: 'a.wav', 'b.wav', 'c.wav'. Choose one with rec"):
        rows_of(path)
    with pytest.raises(ValueError, match="no recording 'd.wav'"):
        rows_of(path, recording="d.wav")
    assert rows_of(put("".join(line + "\n" for line in DCASE.splitlines()[:3]), "a.tsv")) == ROWS


@pytest.mark.parametrize(
    "name", ["file", "filename", "recording", "File", "audio_file", "segment_id", "filepath", "path", "clip"]
)
def test_columns_that_name_the_recording(put, name):
    text = f"{name},start,end,label\nx/a.wav,1.5,2.5,cry\nx/b.wav,1,2,cry\nx/a.wav,4,6.25,fuss\n"
    assert rows_of(put(text), recording="a.wav") == ROWS
    with pytest.raises(ValueError, match="holds 2 recordings"):
        rows_of(put(text))


def test_a_column_of_files_names_the_recording_unless_another_does(put):
    text = "recording,video,start,end,label\na,a.mp4,1.5,2.5,cry\na,b.mp4,4,6.25,fuss\n"
    assert rows_of(put(text)) == ROWS
    with pytest.raises(ValueError, match="holds 2 recordings: 'a.mp4', 'b.mp4'"):
        rows_of(put(text.replace("recording", "coder")))


def test_a_name_of_two_recordings_is_none(put):
    text = "file,start,end,label\nx/a.wav,1.5,2.5,cry\ny/a.wav,1,2,cry\n"
    assert rows_of(put(text), recording="y/a.wav") == [[1.0, 2.0, "cry"]]
    with pytest.raises(ValueError, match="no recording 'a.wav', but 'x/a.wav', 'y/a.wav'"):
        rows_of(put(text), recording="a.wav")


# What tools write


def test_labels_of_the_published_scripts(put):
    names = [f"{time} - {n}" for time in ("Begin Time", "End Time", "Duration") for n in ("hh:mm:ss.ms", "ss.msec")]
    text = ",".join([*names, "detection/no-detection"]) + "\n00:00:01.500,1.5,00:00:02.500,2.5,00:00:01.000,1.0,cry\n"
    assert rows_of(put(text)) == ROWS[:1]


def test_tables_of_praat(put):
    text = "tmin\ttier\ttext\ttmax\n1.5\tCHI\tcry\t2.5\n2\tMOT\thush\t3\n4\tCHI\tfuss\t6.25\n"
    assert rows_of(put(text, "a.tsv"), tier="CHI") == ROWS


def test_audioset(put):
    text = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\nb0_30000\t1.5\t2.5\t/m/07qz6j3\n"
    assert rows_of(put(text, "a.tsv")) == [[1.5, 2.5, "/m/07qz6j3"]]


def test_birdnet(put):
    text = "Start (s),End (s),Scientific name,Common name,Confidence,File\n"
    text += "0.0,3.0,Homo sapiens,Human vocal,0.9,/data/a.wav\n3.0,6.0,Homo sapiens,Human vocal,0.5,/data/b.wav\n"
    assert rows_of(put(text), recording="b.wav") == [[3.0, 6.0, "Human vocal"]]


def test_opensoundscape(put):
    head = "file,start_time,end_time,cry,fuss\n"
    path = put(head + "a.wav,0.0,3.0,1,0\na.wav,3.0,6.0,1.0,True\na.wav,6.0,9.0,0,False\n")
    assert rows_of(path) == [[0.0, 3.0, "cry"], [3.0, 6.0, "cry"], [3.0, 6.0, "fuss"]]
    assert rows_of(path, tier="fuss") == [[3.0, 6.0, "fuss"]]
    with pytest.raises(
        ValueError, match="scores of the classes 'cry', 'fuss', not labels. Keep the rows above a thresh"
    ):
        rows_of(put(head + "a.wav,0.0,3.0,-1.2,0.3\n"))
    assert rows_of(put("file,start_time,end_time\na.wav,1.5,2.5\n")) == ROWS[:1]
    boxes = "audio_file,annotation_file,annotation,start_time,end_time,low_f,high_f\na.wav,a.txt,cry,1.5,2.5,0,8000\n"
    assert rows_of(put(boxes)) == ROWS[:1]


@pytest.mark.parametrize("above", ["", "Observation id,day1\n\nMedia file(s)\nPlayer #1,day1.mp4\n\n"])
def test_boris(put, above):
    rows = [[1.5, 2.5, "cry"], [2.0, 3.5, "cry"], [4.0, 6.25, "fuss"]]
    text = above + BORIS
    assert rows_of(put(text)) == rows
    assert rows_of(put(text.replace(",", "\t"), "a.tsv")) == rows
    assert rows_of(put(text.replace("Behavior type", "Status"))) == rows
    two = put(text + "day1,2024-05-01,mother,sing,,,POINT,7,\nday2,2024-05-01,infant,cry,,,START,7,\n")
    assert rows_of(two, recording="day1", tier="infant") == rows
    with pytest.raises(ValueError, match="holds 2 recordings: 'day1', 'day2'"):
        rows_of(two)
    with pytest.raises(ValueError, match="holds 2 tiers: 'infant', 'mother'"):
        rows_of(two, recording="day1")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("STOP,2.5", "STOP,1.0", r"line 2: 'cry' START at 1.5 s; line 4: 'cry' STOP at 1 s. Each START needs"),
        ("soft,STOP", "soft,START", r"line 3: 'cry' START at 2 s; line 5: 'cry' START at 3.5 s"),
        ("STOP,2.5", "STOP,x", "line 4: 'cry' STOP at 'x'"),
        ("STOP,2.5", "MAYBE,2.5", "line 4: 'cry' MAYBE at '2.5'"),
        ("STOP,2.5,", "STOP,2.5,,x", "line 4: .*There are 9 columns"),
    ],
)
def test_faulty_boris(put, old, new, message):
    assert old in BORIS
    with pytest.raises(ValueError, match=message):
        rows_of(put(BORIS.replace(old, new, 1)))


def test_boris_aggregated(put):
    text = "Observation id\tSubject\tBehavior\tBehavioral category\tBehavior type\tStart (s)\tStop (s)\tDuration (s)\n"
    text += "day1\tinfant\tcry\t\tSTATE\t1.5\t2.5\t1\nday1\tinfant\tfuss\t\tSTATE\t4\t6.25\t2.25\n"
    assert rows_of(put(text, "a.tsv")) == ROWS


def test_boris_needs_its_columns(put):
    with pytest.raises(
        ValueError, match="no line names the columns 'Time', 'Behavior' and 'Behavior type' or 'Status'"
    ):
        rows_of(put("start,end,label\n1,2,cry\n"), format="boris")


# CHAT


def test_chat(put):
    path = put(CHAT, "day1.cha")
    assert rows_of(path, tier="CHI") == [[1.5, 2.5, "cries"], [4.0, 6.25, "cries"], [7.0, 7.5, "mama &=cries"]]
    assert rows_of(path, tier="MOT") == [[0.5, 1.4, "what is it little one"]]
    with pytest.raises(ValueError, match=r"day1.cha holds 2 tiers: 'CHI', 'MOT'"):
        rows_of(path)
    old = '@Begin\n*CHI:\tmama +... \x15%snd:"a_b"_1500_2500\x15\n'
    assert rows_of(put(old, "a.CHA")) == [[1.5, 2.5, "mama"]]
    assert rows_of(put("@Begin\n@End\n", "a.cha")) == rows_of(put("", "a.cha")) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("*CHI:\tmama .\n*CHI:\tda . \x151_2\x15\n", r"a.cha, line 1: '\*CHI:\\tmama .'. An utterance ends with"),
        ("*CHI:\tmama . \x151_x\x15\n", "line 1: "),
        ("*CHI:\tmama . \x151_2\x15 \x153\n", "line 1: "),
        ("*CHI:\tmama . \x152000_1000\x15\n", "ends before it starts"),
        ("1,2,cry\n", "a.cha cannot be read as CHAT"),
    ],
)
def test_faulty_chat(put, text, message):
    with pytest.raises(ValueError, match=message):
        rows_of(put(text, "a.cha"))


# Unknown time


@pytest.mark.parametrize(
    ("ranges", "unknown"),
    [
        ([(0, 10000)], [(10.0, np.inf)]),
        ([(2000, 10000)], [(0.0, 2.0), (10.0, np.inf)]),
        ([(20000, 30000), (2000, 10000), (9000, 12000)], [(0.0, 2.0), (12.0, 20.0), (30.0, np.inf)]),
        ([("NA", "NA")], []),
    ],
)
def test_time_outside_of_childprojects_ranges_is_unknown(put, ranges, unknown):
    text = CHILDPROJECT + "".join(f"3000,4000,CHI,Y,{on},{off},a.wav\n" for on, off in ranges)
    path = put(text + "50000,60000,CHI,Y,50000,90000,b.wav\n")
    rows = csv_tables.read_childproject(path, recording="a.wav")
    assert rows == [*[(3.0, 4.0, "cry")] * len(ranges), *((on, off, "unknown") for on, off in unknown)]


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (["0,9000", "NA,NA"], "line 3: .*Other rows have range_onset and range_offset. Fill them in"),
        (["0,9000", "0,x"], "line 3: .*numbers in milliseconds"),
        (["9000,0", "0,9000"], "line 2: "),
        (["0,9000", "-5,9000"], "line 3: "),
    ],
)
def test_faulty_ranges_of_childproject(put, ranges, message):
    text = CHILDPROJECT + "".join(f"3000,4000,CHI,Y,{pair},a.wav\n" for pair in ranges)
    with pytest.raises(ValueError, match=message):
        csv_tables.read_childproject(put(text))


@pytest.mark.parametrize("sep", [",", "\t"])
def test_unknown_to_the_end_survives_a_table(tmp_path, sep):
    table = pd.DataFrame({"onset": [0.0, 9.5], "offset": [1 / 3, np.inf], "label": ["cry, loud", "unknown"]})
    csv_tables.write_csv(table, tmp_path / "a.csv", sep=sep)
    pd.testing.assert_frame_equal(csv_tables.read_csv(tmp_path / "a.csv"), table, check_dtype=False, check_names=False)
    with pytest.raises(ValueError, match="an offset is infinite.*Pass duration="):
        csv_tables.write_childproject(table, tmp_path / "a.csv", "a")


def test_tables_are_written_with_the_separator_of_their_extension(tmp_path):
    for suffix, sep in ((".csv", ","), (".tsv", "\t")):
        write_annotations(ROWS, tmp_path / f"a{suffix}")
        assert (tmp_path / f"a{suffix}").read_text().startswith(f"start{sep}end{sep}label\n")
        assert rows_of(tmp_path / f"a{suffix}") == ROWS


# What is asked about or refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start,end,label,label\n1,2,cry,fuss\n", r"more than one column 'label'. Rename or drop all but one"),
        ("start,onset,end,label\n1,2,3,cry\n", "which column holds the onset, of 'start', 'onset'"),
        ("start,end,label,event_label\n1,2,cry,x\n", r"which column holds the labels, of \['label', 'event_label'\]"),
        (
            "start,end,label\n1,2,cry,loud\n3,4,cry\n",
            "line 2: '1,2,cry,loud'. There are 3 columns .'start', 'end', 'lab",
        ),
        ("start,end,label\n1,2,cry\n3,4,,cry\n", "line 3: '3,4,,cry'. There are 3 columns"),
        ("start,end_ms,end_s,label\n1,2000,3,cry\n", "'end_ms', 'end_s' differ"),
        ("start;end;label\n1,5;2.5;cry\n", "line 2: '1,5;2.5;cry'. Other times have decimal points"),
        ("start,end,label\n1:05,1:10,cry\n", "line 2: '1:05,1:10,cry'. A line holds start and end, in seconds or hh"),
        ("start,end,score\n1,2,0.5\n", r"no column is called 'label', but there are others: \['score'\]. Name the one"),
        (
            "file,recording,start,end\na,x,1,2\na,y,1,2\nb,x,1,2\n",
            "names recordings in the columns 'file', 'recording'",
        ),
        ("file,start,end\na,1,2\n,1,2\n", "line 3: ',1,2'. 'file' names no recording. Fill it in"),
        ("participant,start,end\nAda,1,2\nBen,1,2\n", "holds 2 tiers: 'Ada', 'Ben'"),
        ("0,0\n1,1\n2,1\n", 'line 3: .*ends before it starts.*pass format="seconds"'),
        ("0,0\n1,1\n", 'lasts no time.*pass format="seconds"'),
        ("0\n1\n2\n", "line 3: '2'. A line holds.*or pass format=\"seconds\" for a value per second"),
        ("0,1,cry\n\n2,x,cry\n", "line 3: '2,x,cry'"),
        (
            'start,end,label\n1,2,"oh\n3,4,no"\n5,6,cry\n',
            "line 2: 'oh.*3,4,no'. A quote is opened here that is closed in",
        ),
        ("time,second,label\n0,0,cry\n", r"which column holds the seconds, of \['time', 'second'\]"),
        ("second,label,cry\n0,fuss,1\n", r"which column holds the values, of \['label', 'cry'\]"),
        ("second,label\n0,fuss,1\n", "line 2: '0,fuss,1'. There are 2 columns"),
    ],
)
def test_nothing_is_guessed_or_dropped(put, text, message):
    with pytest.raises(ValueError, match=message) as error:
        rows_of(put(text))
    assert len(str(error.value)) <= 250


def test_the_column_of_labels_can_be_chosen(put):
    path = put("start,end,category,event_label,class\n1,2,dog,cry,x\n")
    assert rows_of(path, tier="category") == [[1.0, 2.0, "dog"]]
    assert rows_of(path, tier="class") == [[1.0, 2.0, "x"]]
    # A table without tiers ignores the name of a tier that it does not have.
    assert rows_of(put("start,end,label\n1,2,cry\n"), tier="CHI") == [[1.0, 2.0, "cry"]]


def test_label_goes_before_other_names(put):
    path = put("start,end,text,label\n1,2,what is it,cry\n")
    assert rows_of(path) == [[1.0, 2.0, "cry"]]
    assert rows_of(path, tier="text") == [[1.0, 2.0, "what is it"]]
    with pytest.raises(ValueError, match=r"which column holds the labels, of \['text', 'class'\]\? Name it with tier="):
        rows_of(put("start,end,text,class\n1,2,what is it,cry\n"))


def test_sets_of_childproject_are_chosen(put):
    text = CHILDPROJECT.replace("\n", ",set\n") + "3000,4000,CHI,Y,NA,NA,a.wav,its\n3100,4100,CHI,Y,NA,NA,a.wav,vtc\n"
    assert rows_of(put(text), tier="vtc") == [[3.1, 4.1, "cry"]]
    with pytest.raises(ValueError, match="holds 2 tiers: 'its', 'vtc'"):
        rows_of(put(text))


def test_raven_is_not_read_without_its_offsets(put):
    text = "Begin Time (s),End Time (s),File Offset (s),Begin File,Annotation\n70,71,10,b.wav,cry\n"
    for name, sep in (("a.csv", ","), ("a.tsv", "\t")):
        with pytest.raises(ValueError, match='selection table of Raven.*pass format="raven"'):
            rows_of(put(text.replace(",", sep), name))


@pytest.mark.parametrize(
    ("head", "name"), [("", "a.csv"), ("start,end,label\n", "a.csv"), ("", "a.txt"), ("", "a.tsv")]
)
def test_milliseconds_are_asked_about(put, head, name):
    sep = "," if name == "a.csv" else "\t"
    text = "1500,2500,cry\n4000,4850,cry\n".replace(",", sep)
    with pytest.raises(ValueError, match=r"milliseconds\? .* last 850 s. Name the columns start_ms, end_ms, label"):
        rows_of(put(head + text, name))
    assert rows_of(put(sep.join(("start_ms", "end_ms", "label\n")) + text, name))[0] == [1.5, 2.5, "cry"]
    assert rows_of(put(sep.join(("start_s", "end_s", "label\n")) + text, name))[0] == [1500.0, 2500.0, "cry"]


@pytest.mark.parametrize(
    "text",
    [
        "start_s,end_s,label\n1500,2500,cry\n4000,4850,cry\n",
        "start,end,label\n1500,2500,cry\n4000,4850.5,cry\n",
        "start,end,label\n1500,2500,cry\n4000,4050,cry\n",
        "start,end,label\n0,3600,awake\n3600,7200,asleep\n",
        "start,end,label\n0,600,cry\n",
        "start,end,label\n00:00:01,02:00:05,asleep\n",
        "start,end,label\n1,5,cry\n5000,9999,unknown\n",
    ],
)
def test_seconds_are_not_asked_about(put, text):
    assert rows_of(put(text))[0][0] in (0, 1, 1500)


def test_values_per_second_in_other_separators(put):
    for name, text in (("a.tsv", "second\tprediction\n0\t0\n1\t1\n"), ("a.csv", "# note\nsecond;label\n0;0\n1;cry\n")):
        assert rows_of(put(text, name)) == [[1.0, 2.0, "cry"]]
    assert rows_of(put("# note\n0\n1\n")) == [[1.0, 2.0, "cry"]]


@pytest.mark.parametrize(
    ("lines", "sep"), [(["a;b", "1;2"], ","), (["1;2"], ";"), (["1\t2\t3;4"], "\t"), ([], ","), (["x,start,end;"], ",")]
)
def test_find_separator(lines, sep):
    assert find_separator(lines) == sep


def test_a_longer_first_row_is_no_row(put):
    path = put("file,start\na.wav,2024-05-01,x\n")
    with pytest.raises(ValueError, match=r"day1.csv has 2 columns, but its first row 3 fields. Correct the row"):
        read_table(path)
    assert read_table(put("file,start\na.wav,2024-05-01,\n")).to_numpy().tolist() == [["a.wav", "2024-05-01"]]


def test_long_messages_are_short(put):
    names = ",".join(f"{'x' * 60}{i}" for i in range(200))
    with pytest.raises(ValueError, match="no column is called 'label'") as error:
        rows_of(put(f"start,end,{names}\n1,2{',0' * 200}\n"))
    assert len(str(error.value)) < 500
    assert re.search("Name the one", str(error.value))


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_unknown_time_to_the_end_is_written_and_read(tmp_path, suffix):
    table = mark_unknown([(2, 4, "cry")], [(0, 10)])
    write_annotations(table, tmp_path / f"a{suffix}")
    assert read_annotations(tmp_path / f"a{suffix}").equals(table)
    with pytest.raises(ValueError, match="unknown to the end of the recording. Pass its duration"):
        write_annotations(table, tmp_path / "a.txt")


def test_a_time_of_many_digits_is_refused_at_once(tmp_path):
    (tmp_path / "a.csv").write_text(f"start,end,label\n{'0' * 60000}x,2,cry\n")
    with pytest.raises(ValueError, match="a.csv, line 2"):
        read_annotations(tmp_path / "a.csv")
