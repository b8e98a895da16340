"""Names that differ only by case, blanks or accents: typing errors in labels, or one infant under two names."""

import unicodedata
from collections.abc import Iterable


def fold(name: str) -> str:
    """Return a name without case, blanks and accents."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(one for one in letters if not (unicodedata.combining(one) or one.isspace()))


def similar(names: Iterable) -> list[list[str]]:
    """List the groups of different names that are equal but for case, blanks and accents, each sorted."""
    groups: dict = {}
    for name in sorted({str(name) for name in names}):
        groups.setdefault(fold(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
