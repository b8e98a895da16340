"""The credits of the sound that the network that comes with the package was trained on."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.pretraining.credits import make_credits

CREDITS = Path(__file__).parents[1] / "skcry" / "pretrained" / "CREDITS.md"
ODBL = "made available here under the [Open Database License (ODbL)](https://opendatacommons.org/licenses/odbl/1-0/)"


@pytest.fixture
def table():
    cries = ["cries/a.flac", 120.0, "cry upload", "family", "ODbL 1.0 / DbCL 1.0", "The campaign", "github.com/corpus"]
    dog = ["dog_1.flac", 60.0, "dog", "1", "CC-BY", "ann", "freesound.org/people/ann/sounds/1/"]
    cat = ["cat_2.flac", 60.0, "cat", "2", "CC0", "ann", "freesound.org/people/ann/sounds/2/"]
    voice = ["voice_00.flac", 60.0, "speech", "en_f_Eve", "CC BY-SA 3.0", "Eve", "packages asterisk-core-sounds"]
    columns = ["file", "duration", "kind", "group", "licence", "credit", "url"]
    return pd.DataFrame([cries, dog, cat, cat, voice, voice], columns=columns)


def test_each_author_with_recordings_source_and_licence(table):
    text = make_credits(table)
    by, zero = text.index("### CC BY, "), text.index("### CC0")
    assert by < text.index("- ann: [1](https://freesound.org/people/ann/sounds/1/)\n") < zero
    assert text.index("- ann: [2](https://freesound.org/people/ann/sounds/2/)\n") > zero
    assert "<https://creativecommons.org/licenses/by-sa/3.0/>\n\n- Eve: en f Eve, from [Asterisk core sounds](" in text
    assert "### CC BY 4.0" not in text
    text = " ".join(text.split())
    assert (
        "2 minutes of crying, uploaded from the phones of 1 families, 2 minutes of speech, 0 minutes of music" in text
    )
    assert ODBL in text
    assert "Credit: The campaign." in text
    assert "changed: cut, filtered, changed in level and mixed" in text
    assert "YAMNet" in text


@pytest.mark.parametrize(("column", "value"), [("licence", "CC BY-NC 4.0"), ("url", "example.org/sounds")])
def test_unknown_terms_and_sources_are_refused(table, column, value):
    table.loc[1, column] = value
    with pytest.raises(ValueError, match=f"{value}.* Add it to"):
        make_credits(table)


@pytest.mark.real
def test_the_file_in_the_package_credits_all_of_the_table(shared):
    table = pd.read_csv(shared / "pretraining" / "files.csv")
    text = CREDITS.read_text(encoding="utf-8")
    assert text == make_credits(table)
    assert len(text) < 60_000
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    for author, url in set(zip(table["credit"], table["url"], strict=True)):
        if url.startswith("freesound.org"):
            assert any(line.startswith(f"- {author}: ") and f"(https://{url})" in line for line in lines), author
        else:
            assert author in text
