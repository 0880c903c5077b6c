"""How actions are worded: a number says little without it, for models answer better to rewritten names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from claver.names import plain
from claver.text.actions import Actions
from claver.text.templates import DEFAULT_TEMPLATES, NAME_ONLY, PLAIN_TEMPLATES, fill

Wording = Literal["plain", "rewritten", "described"]
"""`plain`: names, perhaps in templates; `rewritten`: `name: sentence`; `described`: whatever else is said of them."""
_TEMPLATES = (NAME_ONLY, DEFAULT_TEMPLATES, PLAIN_TEMPLATES)


def wording(actions: Actions) -> Wording:
    """How the texts of some actions are worded, told by the texts themselves.

    Templates are those of the package, and any that every action is put into; of a single action the latter cannot be
    told from a description.
    """
    said = list(zip(actions.names, actions.texts, strict=True))
    forms = [{_form(name, text) for text in own} for name, own in said]
    shared: set[str] = set.intersection(*forms) if len(forms) > 1 else set()
    if all(_is_plain(name, own, shared) for name, own in said):
        return "plain"
    return "rewritten" if all(_is_rewritten(name, own) for name, own in said) else "described"


def _is_plain(name: str, texts: Sequence[str], shared: set[str]) -> bool:
    known = {plain(text) for templates in _TEMPLATES for text in fill(name, templates)}
    return all(_form(name, text) in shared or plain(text) in known for text in texts)


def _form(name: str, text: str) -> str:
    """The text with a place for the name, however that is spelled; without one nothing that a template could give."""
    pattern = r"[\W_]*".join(map(re.escape, plain(name)))
    form, places = re.subn(pattern, "{}", text.casefold(), count=1)
    return form if places and pattern else f"{name}: {text}"


def _is_rewritten(name: str, texts: Sequence[str]) -> bool:
    return all(text.startswith(f"{name}: ") and text.removeprefix(f"{name}: ").strip() for text in texts)
