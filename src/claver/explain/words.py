"""Texts as words: relevance of sub-word tokens joined to them, and which of them are verbs and which nouns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple

from claver.models.tokenizer import Tokenizer
from claver.text.lexicon import (
    ADJECTIVE_ENDINGS,
    DETERMINERS,
    FUNCTION_WORDS,
    IRREGULAR,
    NOUNS,
    OTHERS,
    SUBJECTS,
    THINGS,
    VERBS,
)
from claver.text.phrases import bases

Kind = Literal["verb", "noun", "other"]
KINDS: tuple[Kind, ...] = ("verb", "noun", "other")
_WORDS = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]+")


class Word(NamedTuple):
    """A word or mark of a text: as written, what it is taken for, and its share of the text's relevance, in [0, 1]."""

    text: str
    kind: Kind
    share: float

    @property
    def is_mark(self) -> bool:
        """Whether it is punctuation alone."""
        return not any(letter.isalnum() for letter in self.text)

    @property
    def has_meaning(self) -> bool:
        """Whether it says something: no mark, no article, pronoun, preposition or the like."""
        return not self.is_mark and self.text.casefold() not in FUNCTION_WORDS


def weigh_words(text: str, scores: Sequence[float], tokenizer: Tokenizer) -> tuple[Word, ...]:
    """Words with their shares of the relevance of the text's tokens, start and end of text left out.

    Args:
        text: the text.
        scores: relevance of each of its tokens, start and end included, as the tokenizer gives them.
        tokenizer: which made the tokens.

    Returns:
        Its words and, apart from them, its punctuation marks, in order. Shares add up to 1, or are all 0 if no token
        has any relevance; a word beyond the context of the text tower has none.
    """
    words = [text[start:stop] for start, stop in word_spans(text)]
    before, after = tokenizer.ends
    inner = list(scores)[before : len(scores) - after]
    sums = [sum(inner[start:stop]) for start, stop in token_spans(text, tokenizer)]
    total = sum(sums)
    shares = [value / total if total > 0 else 0.0 for value in sums]
    return tuple(Word(*word) for word in zip(words, word_kinds(words), shares, strict=True))


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words and marks of a text begin and end; `counter-clockwise` and `it's` are one word each."""
    return [match.span() for match in _WORDS.finditer(text)]


def token_spans(text: str, tokenizer: Tokenizer) -> Iterator[tuple[int, int]]:
    """Which tokens each word or mark is made of, counted from the first after the start of text.

    A text up to the end of some word begins with the same tokens as the whole text, for any tokenizer that does not
    join words; so the number of tokens of each beginning tells where a word's tokens end.
    """
    special = sum(tokenizer.ends)
    ends = (len(tokenizer.encode(text[:stop])) - special for _, stop in word_spans(text))
    return pairwise([0, *accumulate(ends, max)])


def share_of(kind: Kind, words: Sequence[Word]) -> float:
    """The share of all words of a kind."""
    return sum(word.share for word in words if word.kind == kind)


def word_kinds(words: Sequence[str]) -> tuple[Kind, ...]:
    """Verb, noun or other for each word of an English text, by short lists, endings and the word before.

    Meant for texts about actions. It knows about 600 verbs; a word that no rule knows is taken for a noun, and of words
    that are both (a kick, to kick) the word before decides, which is wrong at times.
    """
    kinds: list[Kind] = []
    plain = [_plain(word) for word in words]
    for index, word in enumerate(plain):
        begins = index == 0 or words[index - 1].endswith((",", ";", ":")) or not plain[index - 1]
        kinds.append(_kind(word, "", None) if begins else _kind(word, plain[index - 1], kinds[-1]))
    return tuple(kinds)


def _kind(word: str, before: str, kind_before: Kind | None) -> Kind:
    if word in OTHERS or not re.search("[a-z]", word):
        return "other"
    if word in NOUNS or _singular(word) in NOUNS:
        return "noun"
    if word.endswith("ing") and len(word) > 4:
        return "noun" if word in THINGS and before in DETERMINERS else "verb"
    if (word in VERBS or any(base in VERBS for base in bases(word))) and _stands_as_verb(word, before, kind_before):
        return "verb"
    if word in IRREGULAR or (word.endswith("ed") and len(word) > 4):
        return "verb"
    return "other" if word.endswith(ADJECTIVE_ENDINGS) and len(word) > 4 and word not in VERBS else "noun"


def _stands_as_verb(word: str, before: str, kind_before: Kind | None) -> bool:
    """Whether a word that may be either is a verb here: not after a determiner, nor bare after one thing."""
    if before in DETERMINERS:
        return False
    if word in VERBS:
        several = kind_before == "noun" and before.endswith("s")
        return kind_before is None or several or before in SUBJECTS or before in ("and", "or", "not")
    return kind_before != "verb" or word.endswith("ed")


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") else word


def _plain(word: str) -> str:
    return word.casefold().strip(".,;:!?\"'()[]“”‘’…").removesuffix("'s")
