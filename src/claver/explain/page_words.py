"""The part of a page that shows which words weighed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from claver.explain.explanation import ExplainedText, Explanation
from claver.explain.markup import bar, tag, text
from claver.explain.words import KINDS, Kind, Word, share_of, word_spans
from claver.prediction import share_scale

_PLURALS: dict[Kind, str] = {"verb": "verbs", "noun": "nouns", "other": "other words and marks"}
_LINES: dict[Kind, str] = {"verb": "solid line", "noun": "dotted line", "other": "no line"}


def words_section(explanation: Explanation) -> str:
    """The texts of the action, and of the one it is compared with, word by word."""
    parts = [_texts(explanation.action, explanation.texts)]
    if explanation.against:
        parts.append(_texts(explanation.against, explanation.against_texts))
    return tag("section", [text("h2", "Which words"), _key(), *parts])


def _key() -> str:
    samples = " · ".join(
        f"{text('span', kind, cls=f'word {kind}', style='--share:.45')} {line}" for kind, line in _LINES.items()
    )
    meaning = "The deeper a word's background, the larger its share of its text's relevance, printed below it."
    return tag("p", f"{samples}. {meaning}", cls="key")


def _texts(action: str, texts: Sequence[ExplainedText]) -> str:
    first, *others = texts
    left = tag("div", [_sentence(first), _bars(first.words)])
    more = [text("h4", "Other texts of this action, less similar to the clip"), *map(_sentence, others)]
    right = tag("div", more, cls="more") if others else ""
    return text("h3", f"Speaking for “{action}”") + tag("div", left + right, cls="halves")


def _sentence(text: ExplainedText) -> str:
    """The text as it is written, spaces and all."""
    parts, before = [], 0
    for word, (start, stop) in zip(text.words, word_spans(text.text), strict=True):
        parts.append(escape(text.text[before:start]) + _word(word))
        before = stop
    return tag("p", parts, cls="sentence")


def _word(word: Word) -> str:
    if word.is_mark:
        return tag("span", escape(word.text), cls="mark", title=f"{word.share:.0%}")
    share = text("small", f"{word.share:.0%}")
    return tag(
        "span", escape(word.text) + share, cls=f"word {word.kind}", style=f"--share:{word.share:.3f}", title=word.kind
    )


def _bars(words: Sequence[Word]) -> str:
    scale = share_scale(max((word.share for word in words), default=1))
    rows = [
        bar(f"{word.text} ({word.kind})", word.share, word.kind, f"{word.share:.0%}", scale=scale)
        for word in words
        if not word.is_mark
    ]
    present = [kind for kind in KINDS if any(word.kind == kind for word in words)]
    totals = ", ".join(f"{_PLURALS[kind]} {share_of(kind, words):.0%}" for kind in present)
    return tag("ol", rows, cls="bars") + text("p", f"Together: {totals}.", cls="key")
