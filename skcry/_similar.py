"""Names that people take for the same and programs do not."""

import re
import unicodedata

ACCENTS = re.compile("[\u0300-\u036f]")  # marks on Latin, Greek and Cyrillic letters; in other scripts marks are vowels
IGNORED = ("Zs", "Zl", "Zp", "Cf", "Cc")  # blanks, and characters that are not seen


def fold(name):
    """Return a name without case, accents, blanks and variants of characters."""
    text = unicodedata.normalize("NFKD", str(name)).casefold()
    text = ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return "".join(char for char in text if unicodedata.category(char) not in IGNORED)


def similar(names):
    """Return the groups of different names that differ only in case, accents, blanks or Unicode form.

    A list of lists of str, in the order of ``names``; empty if all names are clearly different.
    """
    groups: dict = {}
    for name in dict.fromkeys(map(str, names)):
        groups.setdefault(fold(name), []).append(name)
    return [same for same in groups.values() if len(same) > 1]
