"""Statistics of a bank of texts, and the differences between two banks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from statistics import fmean
from typing import TYPE_CHECKING

from claver.text.bank import PromptBank
from claver.text.record import Kind
from claver.text.words import words

if TYPE_CHECKING:
    from claver.models.tokenizer import Tokenizer

_CHANGED = 0.6
"""Share of two texts that is the same, from which one is the other rewritten."""


@dataclass(frozen=True)
class KindStatistics:
    """The texts of one kind.

    Attributes:
        kind: the kind.
        texts: how many there are.
        per_action: fewest, mean and most of any action.
        tokens: mean and most tokens of a text, start and end included; None without a tokenizer.
        distinct: distinct words as a share of all words.
    """

    kind: Kind
    texts: int
    per_action: tuple[int, float, int]
    tokens: tuple[float, int] | None
    distinct: float


@dataclass(frozen=True)
class Change:
    """A text that one bank has and another has not, or has in other words.

    Attributes:
        action: the action.
        kind: of the text.
        before: the text of the first bank; None if it was added.
        after: the text of the second; None if it was removed.
    """

    action: str
    kind: Kind
    before: str | None
    after: str | None


def statistics_of(bank: PromptBank, tokenizer: Tokenizer | None = None) -> list[KindStatistics]:
    """Statistics of each kind of text that the bank has."""
    counts, names = bank.counts(), bank.names
    found = []
    for kind in bank.kinds:
        texts = [prompt.text for prompt in bank.prompts if prompt.kind == kind]
        each = [counts[name, kind] for name in names]
        every_word = [word for text in texts for word in words(text)]
        lengths = [len(tokenizer.encode(text)) for text in texts] if tokenizer else []
        tokens = (fmean(lengths), max(lengths)) if lengths else None
        distinct = len(set(every_word)) / max(1, len(every_word))
        found.append(KindStatistics(kind, len(texts), (min(each), fmean(each), max(each)), tokens, distinct))
    return found


def openings(bank: PromptBank, most: int = 5) -> list[tuple[str, int]]:
    """The two words that most sentences (decompositions and body texts) begin with, and how many do."""
    sentences = bank.of_kinds({"decomposition", "body"}).prompts
    return Counter(" ".join(words(prompt.text)[:2]) for prompt in sentences).most_common(most)


def differences(first: PromptBank, second: PromptBank) -> list[Change]:
    """What was removed, changed and added, action by action and kind by kind."""
    before, after = _by_action(first), _by_action(second)
    return [
        change
        for action, kind in dict.fromkeys((*before, *after))
        for change in _changes(action, kind, before.get((action, kind), []), after.get((action, kind), []))
    ]


def _by_action(bank: PromptBank) -> dict[tuple[str, Kind], list[str]]:
    texts: dict[tuple[str, Kind], list[str]] = {}
    for prompt in bank.prompts:
        texts.setdefault((prompt.action, prompt.kind), []).append(prompt.text)
    return texts


def _changes(action: str, kind: Kind, before: Sequence[str], after: Sequence[str]) -> Iterator[Change]:
    added = [text for text in after if text not in before]
    for text in before:
        if text in after:
            continue
        rewritten = max(added, key=lambda other: _common(text, other), default="")
        if rewritten and _common(text, rewritten) >= _CHANGED:
            added.remove(rewritten)
            yield Change(action, kind, text, rewritten)
        else:
            yield Change(action, kind, text, None)
    yield from (Change(action, kind, None, text) for text in added)


def _common(first: str, second: str) -> float:
    return SequenceMatcher(None, words(first), words(second), autojunk=False).ratio()
