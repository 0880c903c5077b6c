"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from claver.names import plain

ALIKE = 0.7
"""Two spellings as alike as this, of 1, may be meant for each other: a letter in four may be wrong."""
_SHOWN = 3


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one probably means; case, blanks, underscores and punctuation do not count."""
    spelt: dict[str, str] = {}
    for other in known:
        spelt.setdefault(plain(other) or other, other)
    near = get_close_matches(plain(name) or name, spelt, n=1, cutoff=ALIKE)
    return spelt[near[0]] if near else None


def hint(name: str, known: Iterable[str]) -> str:
    """The end of a message: `; did you mean 'x'?`, or nothing where no known name is near."""
    near = nearest(name, known)
    return "" if near is None else f"; did you mean {near!r}?"


def hint_or_some(name: str, known: Iterable[str], most: int = _SHOWN) -> str:
    """The same, but the first few of the known names where none is near: ` (a, b, c, …)`."""
    names = list(known)
    more = ", …" if len(names) > most else ""
    return hint(name, names) or f" ({', '.join(names[:most])}{more})"
