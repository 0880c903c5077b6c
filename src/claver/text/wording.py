"""How actions are worded: a number says little without it, for models answer better to rewritten names."""

from __future__ import annotations

from typing import Literal

from claver.text.actions import Actions
from claver.text.templates import DEFAULT_TEMPLATES, NAME_ONLY, PLAIN_TEMPLATES, fill

Wording = Literal["plain", "rewritten", "described"]
"""`plain`: names, perhaps in templates; `rewritten`: `name: sentence`; `described`: whatever else is said of them."""
_PLAIN = (NAME_ONLY, DEFAULT_TEMPLATES, PLAIN_TEMPLATES)


def wording(actions: Actions) -> Wording:
    """How the texts of some actions are worded, by the texts themselves."""
    said = list(zip(actions.names, actions.texts, strict=True))
    if all(text in plain for name, own in said for plain in [_plain(name)] for text in own):
        return "plain"
    return "rewritten" if all(text.startswith(f"{name}: ") for name, own in said for text in own) else "described"


def _plain(name: str) -> set[str]:
    return {text for templates in _PLAIN for text in fill(name, templates)}
