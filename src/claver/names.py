"""Names of classes and actions as people write them: which may be one, what they may hold, how lists number them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_NUMBER = re.compile(r"(?P<number>\d+)(?P<sign>[ \t]*[,;:.)\t][ \t]*|[ \t]+)(?P<name>\S.*)")
_HEADER = re.compile(r"\W*(id|index|idx|number|no|label|class)\W+\W*(name|action|label|class)\W*", re.IGNORECASE)


def composed(name: str) -> str:
    """The name with letters and their marks composed (NFC): `ü` from some file systems is two signs, and one here."""
    return unicodedata.normalize("NFC", name)


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
    """The names of a list whose lines may be numbered, as `0 abseiling` or `1,archery`, and the first number.

    Numbered is a list of which every line has one number more than another, from 0 or 1 on, and the same sign behind
    it; perhaps below a header such as `id,name`. So `100 meters running` stays what it is. Names come in the order of
    their numbers. Of a list that is not numbered all lines come as they are, and None.
    """
    titled = len(lines) > 1 and _HEADER.fullmatch(lines[0]) is not None
    found = [_NUMBER.fullmatch(line) for line in lines[titled:]]
    pairs = sorted((int(one["number"]), one["name"].strip()) for one in found if one)
    numbers, signs = [number for number, _ in pairs], {one["sign"].strip() for one in found if one}
    whole = len(pairs) == len(found) and len(signs) == 1 and numbers[0] in (0, 1)
    if not whole or numbers != list(range(numbers[0], numbers[0] + len(numbers))) or len(lines) < 2:
        return list(lines), None
    return [name for _, name in pairs], numbers[0]
