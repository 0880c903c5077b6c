"""How actions are worded: a number says little without it, for models answer better to rewritten names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from claver.text.actions import Actions
from claver.text.templates import DEFAULT_TEMPLATES, NAME_ONLY, PLAIN_TEMPLATES, fill

Wording = Literal["plain", "rewritten", "described"]
"""`plain`: names, perhaps in templates; `rewritten`: `name: sentence`; `described`: whatever else is said of them."""
_BETWEEN = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
_TEMPLATES = (NAME_ONLY, DEFAULT_TEMPLATES, PLAIN_TEMPLATES)


def rewritten(name: str, sentences: Iterable[str]) -> tuple[str, ...]:
    """A name rewritten by each of some sentences about it: `name: sentence`."""
    return tuple(f"{name}: {sentence}" for sentence in sentences)


def wording(actions: Actions) -> Wording:
    """How the texts of some actions are worded, told by the texts themselves.

    Templates are those of the package, and any that every action is put into; of a single action the latter cannot be
    told from a description.
    """
    said = list(zip(actions.names, actions.texts, strict=True))
    forms = [{form for text in own for form in _forms(name, text)} for name, own in said]
    shared: set[str] = set.intersection(*forms) if len(forms) > 1 else set()
    if all(_is_plain(name, own, shared) for name, own in said):
        return "plain"
    return "rewritten" if all(_is_rewritten(name, own) for name, own in said) else "described"


def _is_plain(name: str, texts: Sequence[str], shared: set[str]) -> bool:
    known = {_joined(text) for templates in _TEMPLATES for text in fill(name, templates)}
    return all(_joined(text) in known or not shared.isdisjoint(_forms(name, text)) for text in texts)


def _joined(text: str) -> str:
    """Without case, and without what is between words: `ApplyEyeMakeup` and `apply eye makeup` are one name."""
    return _BETWEEN.sub("", text.casefold())


def _forms(name: str, text: str) -> set[str]:
    """The text with a gap for the name, in every place where it stands, however it is spelled."""
    pattern, folded = r"[\s_-]*".join(map(re.escape, _joined(name))), text.casefold()
    return {f"{folded[: found.start()]}{{}}{folded[found.end() :]}" for found in re.finditer(pattern, folded)}


def _is_rewritten(name: str, texts: Sequence[str]) -> bool:
    return all(text.startswith(f"{name}: ") and text.removeprefix(f"{name}: ").strip() for text in texts)
