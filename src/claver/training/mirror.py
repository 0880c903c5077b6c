"""What a class becomes when its clips are mirrored: another class, itself, or nothing that has a name here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from claver.errors import ClaverError
from claver.log import logger
from claver.suggest import hint_or_some

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+|\d+")
_LEFT = ("left", "leftward", "lefthand", "lefthanded", "leftmost", "leftside", "clockwise")
_MIRRORED = {word: word.replace("left", "right") for word in _LEFT[:-1]} | {"clockwise": "counterclockwise"}
_MIRRORED |= {right: left for left, right in _MIRRORED.items()}
_SAME = {"leftwards": "leftward", "rightwards": "rightward", "anticlockwise": "counterclockwise"}
_SAME |= {"lefts": "left", "rights": "right"}
_GLUED = re.compile(r"(left|right)$")
_NO_SIDE = {"cleft", "bright", "fright", "wright", "playwright", "upright", "alright", "outright", "forthright"}
_NO_SIDE |= {"aright", "birthright", "copyright", "downright"}
_LETTERS = {"l", "r"}  # a side as often as a letter of the alphabet: nothing to guess by
_NAMED = 5


def mirror_of(classes: Sequence[str], given: Mapping[str, str]) -> Tensor:
    """The class that each class becomes when left and right change places, int64 [C].

    A class with a side in its name (`swipe_left`, `TurnLeft`, `leftward`, `counter-clockwise`) becomes the one with the
    sides changed, however that is spelt; where there is none such it is −1: its clips are not mirrored, which is said.
    Other classes stay what they are.

    Args:
        classes: C names.
        given: mirrored pairs that the names do not tell, in one direction or both.

    Raises:
        ClaverError: `given` names a class that there is not, or two mirror images of one class.
    """
    pairs = mirrored_pairs(given)
    for name in pairs:
        if name not in classes:
            raise ClaverError(f"augment.flip_labels: there is no class {name!r}{hint_or_some(name, classes)}")
    place, spelt = {name: row for row, name in enumerate(classes)}, _by_words(classes)
    found = [place[pairs[name]] if name in pairs else _partner(row, name, spelt) for row, name in enumerate(classes)]
    # A partner that flip_labels has given away is none.
    mirror = [other if other >= 0 and found[other] == row else -1 for row, other in enumerate(found)]
    _say_alone([name for name, other in zip(classes, mirror, strict=True) if other < 0])
    return torch.tensor(mirror)


def mirrored_pairs(given: Mapping[str, str]) -> dict[str, str]:
    """`flip_labels` in both directions.

    Raises:
        ClaverError: mirrored twice a class would not be itself.
    """
    pairs: dict[str, str] = {}
    for name, mirrored in given.items():
        for one, other in ((name, mirrored), (mirrored, name)):
            if pairs.setdefault(one, other) != other:
                raise ClaverError(
                    f"flip_labels: mirrored, {one!r} is {pairs[one]!r} and {other!r} at once; mirroring twice must "
                    "give the same class, so every class has one mirror image"
                )
    return pairs


def words_of(name: str) -> tuple[str, ...]:
    """A name's words in small letters, parted at blanks, signs, digits and changes of case; sides in one spelling."""
    joined = re.sub(r"(?i)\b(counter|anti)[\s_-]+(?=clockwise)", r"\1", name.replace("_", " "))
    joined = re.sub(r"(Counter|Anti|counter|anti)C(?=lockwise)", r"\1c", joined)
    words = (word.lower() for word in _WORD.findall(joined))
    return tuple(_SAME.get(word, word) for word in words)


def _by_words(classes: Sequence[str]) -> dict[tuple[str, ...], int]:
    """Places by words; −1 where two names have the same."""
    spelt: dict[tuple[str, ...], int] = {}
    for row, name in enumerate(classes):
        spelt[words_of(name)] = -1 if words_of(name) in spelt else row
    return spelt


def _partner(row: int, name: str, spelt: Mapping[tuple[str, ...], int]) -> int:
    """The place of a class's mirror image: its own if the name has no side, −1 if there is none."""
    words = words_of(name)
    if not any(_has_side(word) for word in words):
        return row
    return spelt.get(tuple(map(_other_side, words)), -1) if not _LETTERS & set(words) else -1


def _has_side(word: str) -> bool:
    return word in _MIRRORED or word in _LETTERS or (bool(_GLUED.search(word)) and word not in _NO_SIDE)


def _other_side(word: str) -> str:
    if word in _MIRRORED:
        return _MIRRORED[word]
    return _GLUED.sub(lambda side: _MIRRORED[side[1]], word) if _has_side(word) else word


def _say_alone(names: Iterable[str]) -> None:
    if names := list(names):
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        logger.warning(
            "clips of %s%s are not mirrored: the name has a side, and no class is known to be its mirror image; "
            "augment.flip_labels can name one",
            ", ".join(map(repr, names[:_NAMED])),
            more,
        )
