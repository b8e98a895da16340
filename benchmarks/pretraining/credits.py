"""Write the credits of the sound that the network was trained on, as its licences ask for.

``python -m benchmarks.pretraining.credits files.csv skcry/pretrained/CREDITS.md``, from the table of the free sound.
Its columns: file, duration in seconds, kind, group (original recording), licence, credit (the author) and url (where
the sound is from). The model card shows the part before the first heading.
"""

import re
import sys
import textwrap
from pathlib import Path

import pandas as pd

UPLOADS = "ODbL 1.0 / DbCL 1.0"
BY = "https://creativecommons.org/licenses/by"
# Licence in the table -> heading, and address of its text.
LICENCES = {
    "CC BY-SA 3.0": ("CC BY-SA 3.0", f"{BY}-sa/3.0/"),
    "CC BY 4.0": ("CC BY 4.0", f"{BY}/4.0/"),
    "CC BY 3.0": ("CC BY 3.0", f"{BY}/3.0/"),
    "CC-BY": ("CC BY, of a version that the page of each sound names, such as 3.0", f"{BY}/3.0/"),
    "CC0": ("CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    "public domain": ("Public domain", "https://creativecommons.org/publicdomain/mark/1.0/"),
}
# Where sound of other sites is from -> name of the source, and its address.
SOURCES = {
    "packages asterisk-core-sounds": ("Asterisk core sounds", "https://downloads.asterisk.org/pub/telephony/sounds/"),
    "package asterisk-moh-opsound": ("Asterisk music on hold", "https://downloads.asterisk.org/pub/telephony/sounds/"),
    "openslr.org/12": ("LibriSpeech", "https://www.openslr.org/12"),
    "github.com/librosa/data": ("examples of librosa", "https://github.com/librosa/data"),
}
TEXT = """
# Credits of the pre-trained network

The network that comes with skcry was trained once, on mixtures of free sound: {kinds}. Noise and echoes of rooms were
made by code. All recordings were cut, filtered, changed in level and mixed. The package holds the weights of the
network, and no sound.

The network learned to tell which parts of the mixtures are crying, and to give the scores and embeddings that YAMNet, a
tagger of sounds by Google (Apache License 2.0), gives for them.

## Adult speech

A linear classifier of adult speech on the embeddings of this network was fitted to mixtures of the same speech and
other sounds.

## Teacher

[YAMNet](https://github.com/tensorflow/models/tree/master/research/audioset/yamnet) by the TensorFlow Authors, Google,
under the [Apache License 2.0](https://www.apache.org/licenses/LICENSE-2.0): the origin of targets of the training. The
package does not hold it.

## Crying: Donate-a-Cry

Contains information from the [Donate-a-Cry corpus](https://github.com/gveres/donateacry-corpus), which is made
available here under the [Open Database License (ODbL)](https://opendatacommons.org/licenses/odbl/1-0/). Individual
contents of the database are under the
[Database Contents License (DbCL)](https://opendatacommons.org/licenses/dbcl/1-0/). Credit: {uploaders}. We thank the
parents who donated them.

## Recordings by author

By licence, each author with the recordings. Numbers are those of [freesound.org](https://freesound.org), by way of the
list in [ESC-50](https://github.com/karolpiczak/ESC-50). All were changed: cut, filtered, changed in level and mixed, to
train weights. The authors do not endorse this package. Those under CC0 and in the public domain ask for no credit; we
thank them as well.
"""


def make_credits(table):
    """Return the credits as markdown.

    Parameters
    ----------
    table : DataFrame
        A row per recording, with the columns named above.

    Returns
    -------
    str
        Summary, teacher, the notice that ODbL asks for, and all authors by licence.

    Raises
    ------
    ValueError
        If a licence or a source of the table is not among those above.
    """
    uploads, rest = table[table["licence"] == UPLOADS], table[table["licence"] != UPLOADS]
    unknown = sorted(set(rest["licence"]) - set(LICENCES))
    if unknown:
        raise ValueError(f"licence {unknown[0]!r} has no terms here. Add it to LICENCES, if it allows to ship weights.")
    parts = TEXT.strip().format(kinds=_kinds(table), uploaders=", ".join(sorted(set(uploads["credit"])))).split("\n\n")
    for licence, (heading, address) in LICENCES.items():
        rows = rest[rest["licence"] == licence]
        if len(rows):
            parts += [f"### {heading}", f"<{address}>"]
            authors = rows.groupby("credit")[["file", "group", "url"]]
            parts.append("\n".join(f"- {author}: {_works(works)}" for author, works in sorted(authors, key=_lower)))
    return "\n\n".join(one if one.startswith(("#", "<", "- ")) else _filled(one) for one in parts) + "\n"


def _kinds(table):
    """Tell how much sound of which kind there is."""
    uploads, speech, music = table["licence"] == UPLOADS, table["kind"] == "speech", table["kind"] == "music"
    others = ~(uploads | speech | music)
    minutes = [f"{table.loc[rows, 'duration'].sum() / 60:.0f} minutes of" for rows in (uploads, speech, music, others)]
    families, crying = table.loc[uploads, "group"].nunique(), (table.loc[others, "kind"] == "cry").sum()
    return (
        f"{minutes[0]} crying, uploaded from the phones of {families} families, {minutes[1]} speech, {minutes[2]} "
        f"music, and {minutes[3]} clips of households, streets, animals and weather, {crying} of which are crying"
    )


def _works(rows):
    """List the recordings of an author, linked to where they are from."""
    numbers, names = [], {}
    for file, group, url in rows.drop_duplicates(["group", "url"]).itertuples(index=False):
        if number := re.fullmatch(r"freesound\.org/people/.+/sounds/(\d+)/?", url):
            numbers.append(f"[{number[1]}](https://{url})")
        elif url in SOURCES:
            names.setdefault(url, []).append(group.replace("_", " "))
        else:
            raise ValueError(f"{file}: the source {url!r} is not known. Add it to SOURCES.")
    named = (f"{', '.join(some)}, from [{SOURCES[url][0]}]({SOURCES[url][1]})" for url, some in names.items())
    return ", ".join([*numbers, *named])


def _lower(author):
    return author[0].lower()


def _filled(text):
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(make_credits(pd.read_csv(sys.argv[1])), encoding="utf-8")
