"""Names of classes and actions: spellings that are the same, characters allowed, numbered lists."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_NUMBERED = (
    re.compile(r"(?P<number>\d+)(?P<sign>[ \t]*[,;:.)\t][ \t]*|[ \t]+)(?P<name>\S.*)"),
    re.compile(r"(?P<name>\S.*?)(?P<sign>[ \t]*[,;\t][ \t]*)(?P<number>\d+)"),
)
"""A number and a name, in either order; behind a name a blank is no sign, or `gear 1`, `gear 2` would lose theirs."""
_HEADER = re.compile(r"\W*(id|index|idx|number|no|label|class|name|action|category)\W.*", re.IGNORECASE)


def composed(name: str) -> str:
    """The name with letters and their marks composed (NFC): `ü` from some file systems is two signs, and one here."""
    return unicodedata.normalize("NFC", name)


def plain(name: str) -> str:
    """What is left of a name whose case, blanks, underscores and punctuation differ from place to place."""
    if name.isascii():
        return re.sub(r"[\W_]+", "", name.casefold())
    signs = unicodedata.normalize("NFC", name.casefold())
    return "".join(sign for sign in signs if unicodedata.category(sign)[0] in "LNM")  # with the vowel signs of letters


def fault(name: str) -> str:
    """What a name holds that no text does, control characters and unpaired surrogates; empty where there is nothing.

    Everything else is text: joiners between letters, marks, blanks of any kind.
    """
    for sign in name:
        if unicodedata.category(sign) == "Cs":
            return f"{name!r} is not UTF-8 text; save the file as UTF-8"
        if unicodedata.category(sign) == "Cc":
            return f"{name!r} holds a control character ({sign!r}); take it out"
    return ""


def text_lines(text: str) -> list[str]:
    """The lines of a text; unlike `splitlines` at ends of lines alone, not at signs that a name may hold."""
    return _LINE_ENDS.split(text)


def without_numbers(lines: Sequence[str]) -> tuple[list[str], int | None]:
    """The names of a list whose lines may be numbered, as `0 abseiling` or `archery,1`, and the first number.

    Numbered is a list of which every line has one number more than another, from 0 or 1 on, and the same sign beside
    it; perhaps below a header such as `class_id,name`. So `100 meters running` stays what it is. Names come in the
    order of their numbers. Of a list that is not numbered all lines come as they are, and None.
    """
    for found in _with_numbers(lines):
        pairs = sorted((int(one["number"]), one["name"].strip()) for one in found)
        numbers = [number for number, _ in pairs]
        if numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return [name for _, name in pairs], numbers[0]
    return list(lines), None


def seems_numbered(lines: Sequence[str]) -> bool:
    """Whether every line has a number as in a numbered list, from 0 or 1 on, but they do not count without a gap."""
    starts = [min(int(one["number"]) for one in found) for found in _with_numbers(lines)]
    return without_numbers(lines)[1] is None and any(start in (0, 1) for start in starts)


def _with_numbers(lines: Sequence[str]) -> Iterator[list[re.Match[str]]]:
    """The lines in each of the forms of numbered ones that all of them have, with the same sign; without a header."""
    for form in _NUMBERED if len(lines) > 1 else ():
        titled = form.fullmatch(lines[0]) is None and (len(lines) > 2 or _HEADER.fullmatch(_apart(lines[0])))
        found = [one for line in lines[bool(titled) :] if (one := form.fullmatch(line))]
        if len(found) == len(lines) - bool(titled) and len({one["sign"].strip() for one in found}) == 1:
            yield found


def _apart(header: str) -> str:
    return header.replace("_", " ")
