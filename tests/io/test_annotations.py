"""Annotation files: every spelling of start,end,label, and faults quoted by line."""

import pytest

from skcry.io import read_annotations


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "day1.csv"
        path.write_bytes(text.encode())
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        "1.5,2.5,cry\n4,6,fuss\n",
        "start,end,label\n1.5,2.5,cry\n4,6,fuss\n",
        "onset,offset,label\n4,6,fuss\n1.5,2.5,cry\n",
        "Label, Start, End, note\r\ncry, 1.5, 2.5,\r\nfuss, 4, 6, loud\r\n",
        "\n\n1.5,2.5,cry\n\n4,6,fuss,\n\n",
        "\ufeffstart,end,label\n1.5,2.5,cry\n4,6,fuss",
    ],
    ids=["plain", "header", "unsorted", "other order", "blank lines", "byte order mark"],
)
def test_spellings_of_the_same_annotations(write, text):
    table = read_annotations(write(text))
    assert list(table.columns) == ["onset", "offset", "label"]
    assert table.to_numpy().tolist() == [[1.5, 2.5, "cry"], [4.0, 6.0, "fuss"]]


@pytest.mark.parametrize("text", ["1,2\n3,4\n", "start,end\n1,2\n3,4\n"])
def test_without_labels_everything_is_crying(write, text):
    assert read_annotations(write(text))["label"].tolist() == ["cry", "cry"]


@pytest.mark.parametrize("text", ["", "\n\n", "start,end,label\n"])
def test_empty_file_says_that_nothing_was_heard(write, text):
    table = read_annotations(write(text))
    assert table.shape == (0, 3)
    assert list(table.columns) == ["onset", "offset", "label"]


def test_labels_which_pandas_takes_for_missing_stay(write):
    assert read_annotations(write("1,2,NA\n3,4,None\n"))["label"].tolist() == ["NA", "None"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,cry\n3,four,cry\n", r"day1.csv, line 2: '3,four,cry'\. A line holds"),
        ("start,end,label\n1,2,cry\n\n3\n5,6,\n", r"line 4: '3'; line 5: '5,6'\."),
        ("1,2,cry,loud\n", "line 1: '1,2,cry,loud'"),
        ("1,2,cry\n3,4\n", "line 2: '3,4'"),
        ("1|2|cry\n", "line 1: '1.2.cry' neither starts with a time.*separated by commas"),
        ("from,to,label\n1,2,cry\n", "line 1: 'from,to,label' .* names the columns start, end"),
        ("0,1,cry\n" + "x,2,cry\n" * 9, "line 6: 'x,2,cry'; and 4 more"),
        ('1,2,"cry\n', "day1.csv cannot be read as CSV"),
        ("5,4,cry\n", "day1.csv: 'cry' from 5 s to 4 s ends before it starts"),
        ("-1,4,cry\n", "starts before the recording"),
        ("nan,4,cry\n", "missing or infinite"),
        ("start,end,category\n0,1,dog\n", r"day1\.csv: no column is called 'label'"),
    ],
)
def test_faults_are_quoted(write, text, message):
    with pytest.raises(ValueError, match=message):
        read_annotations(write(text))
