"""Names that differ only in what people do not see."""

import pytest

from skcry._similar import similar


@pytest.mark.parametrize(
    "names",
    [
        ["cry", "Cry", "CRY "],
        ["Ada", " ada", "a\u200bda", "A\u00a0da"],
        ["Zoë", "Zoe", "Zoe\u0308"],
        ["Straße", "STRASSE"],
        ["ﬁn", "fin"],
        ["1", "\uff11"],
        ["not crying", "notcrying", "not\tcrying"],
        ["が", "か\u3099"],
    ],
)
def test_names_that_look_the_same(names):
    assert similar(["other", *names, *names]) == [names]


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["cry", "cry"],
        ["cry", "cries", "crying"],
        ["01", "1", "10"],
        ["not_crying", "not-crying", "crying"],
        ["か", "が"],
        ["कु", "क", "की"],
        ["กิ", "กี", "ก"],
        ["泣く", "泣"],
    ],
)
def test_names_that_are_different(names):
    assert similar(names) == []


def test_numbers_and_texts_that_are_written_alike():
    assert similar([1, "1", "1 "]) == [["1", "1 "]]
