"""Texts as words: comparison of two texts, and whether a text names its action."""

from __future__ import annotations

import re

_FUNCTION_WORDS = """
a an the and or not but then while of to in on into with for from at by as up out off down over under it its is are be
was one two some s t his her their they she he human person people someone
"""
_EMPTY = frozenset(_FUNCTION_WORDS.split())
_ENDINGS = re.compile(r"(ings|ing|ers|ed|es|er|ies|s|y|e)$")
_NEARLY_ALL = 0.6
"""Share of common words from which two sentences say nearly the same."""


def words(text: str) -> list[str]:
    """The words of a text in lower case, in their order."""
    return re.findall(r"[^\W_]+", text.casefold())


def normalized(text: str) -> str:
    """A text's words alone: equal for texts that differ in case, punctuation or spaces only."""
    return " ".join(words(text))


def stem(word: str) -> str:
    """`juggling`, `juggles` and `juggler` to `juggl`; rough, which suffices to find a verb again in a sentence."""
    before = ""
    while before != word and len(word) > 3:
        before, word = word, _ENDINGS.sub("", word)
        word = word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
    return word


def stems(text: str) -> frozenset[str]:
    """Stems of the words that carry meaning; of all words where none does."""
    own = words(text)
    return frozenset(stem(word) for word in own if word not in _EMPTY) or frozenset(map(stem, own))


def share_a_stem(first: frozenset[str], second: frozenset[str]) -> bool:
    """Whether some word occurs in both, also within a compound (`ball`, `basketball` do not, `snow`, `snowy` do)."""
    return any(_akin(a, b) for a in first for b in second)


def _akin(first: str, second: str) -> bool:
    long_enough = min(len(first), len(second)) >= 4
    return first == second or (long_enough and (first.startswith(second) or second.startswith(first)))


def nearly_equal(first: str, second: str) -> bool:
    """Whether two texts have the same words, or, as sentences of six words and more, most of their words in common."""
    a, b = words(first), words(second)
    if sorted(a) == sorted(b):
        return True
    common, all_words = len(set(a) & set(b)), len(set(a) | set(b))
    return min(len(a), len(b)) >= 6 and common > _NEARLY_ALL * all_words


def longest_common_run(first: str, second: str) -> int:
    """How many words in a row two texts have in common."""
    a, b = words(first), words(second)
    before, longest = [0] * (len(b) + 1), 0
    for word in a:
        row = [0] + [before[place] + 1 if word == other else 0 for place, other in enumerate(b)]
        before, longest = row, max(longest, *row)
    return longest
