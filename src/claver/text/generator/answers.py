"""What a language model answers, and the text that is in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from claver.text.generator.forms import Form

Endpoint = Literal["chat", "completion"]

_THOUGHT = re.compile(r"\A.*</think>|<think>.*\Z", re.S)
"""Reasoning, also where the chat template opened it or the limit cut it."""
_PREFACES = re.compile(
    r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great)\s*[,!.:]\s*"
    r"|here(?:'s|’s| is| are)\b[^:\n]{0,150}:\s*"
    r"|\(?\d{1,2}[.)](?:\s+|$)|[-*•–—]\s+|\#+\s+"
    r"|(?:action|answer|body(?: parts?)?|description|output|synonyms?|text)\s*:\s*",
    re.I,
)
_BRACKETS = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "*": "*", "_": "_", "`": "`"}


@dataclass(frozen=True)
class Sampling:
    """Sampling settings of a text.

    Attributes:
        temperature: 0.90 in the paper (Appendix E).
        top_p: 0.95 in the paper.
        max_tokens: where an answer is cut.
    """

    temperature: float = 0.90
    top_p: float = 0.95
    max_tokens: int = 200


@dataclass(frozen=True)
class TextRequest:
    """A request for one text.

    Attributes:
        form: command and examples.
        action: the action.
        taken: texts that must not come again.
    """

    form: Form
    action: str
    taken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Attributes:
        text: as the model wrote it.
        cut: whether it had not ended at the limit of tokens.
        tokens: how many were read and written; None where the server does not say.
    """

    text: str
    cut: bool
    tokens: tuple[int, int] | None


class UnansweredError(Exception):
    """A request that failed for a while or gave something unusable; others may succeed. The message says why."""


class LanguageModel(Protocol):
    """Interface of a language model that writes texts.

    Attributes:
        name: what records call it.
        endpoint: whether it answers in a chat or continues a text.
        batch: requests it takes at once.
        workers: how many may ask at the same time.
    """

    name: str
    endpoint: Endpoint
    batch: int
    workers: int

    async def ask(self, requests: Sequence[TextRequest]) -> list[Answer]:
        """An answer to each request.

        Raises:
            UnansweredError: not this time.
            ClaverError: never: asking again is of no use.
        """

    async def close(self) -> None:
        """Let go of connections, within the event loop that asked."""


def clean(answer: str, action: str, *, one_line: bool = False) -> str:
    """The text in an answer: no reasoning, preface, label, number, quotes or second paragraph.

    Args:
        answer: what the model wrote.
        action: a label `ACTION:` before the text is taken off too.
        one_line: whether the text ends with its line (a synonym) or may be wrapped (a sentence).

    Returns:
        The text on one line; empty if there is none.
    """
    paragraphs = re.split(r"\n\s*\n", _THOUGHT.sub("", answer).strip())
    texts = (_bare(_first(paragraph.strip(), one_line), action) for paragraph in paragraphs)
    text = next((text for text in texts if text), "")
    return text.rstrip(".") if one_line else text


def _first(paragraph: str, one_line: bool) -> str:
    """A list's first line; of prose, all lines. A line that only announces (`Here is one:`) is passed over."""
    lines = [line for line in paragraph.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].rstrip().endswith(":"):
        lines = lines[1:]
    listed = one_line or bool(lines and re.match(r"\s*(?:\(?\d{1,2}[.)]|[-*•–])\s", lines[0]))
    text = " ".join(" ".join(lines[:1] if listed else lines).split())
    return text.rstrip(".") if one_line else text


def _bare(text: str, action: str) -> str:
    label = re.compile(re.escape(action) + r"\s*(?::|\s[-–—])\s+", re.I)
    before = None
    while text != before:
        before = text
        for noise in (_PREFACES, label):
            if found := noise.match(text):
                text = text[found.end() :]
        if len(text) > 1 and _BRACKETS.get(text[0]) == text[-1]:
            text = text[1:-1].strip()
    return text
