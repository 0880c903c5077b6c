"""The card of a model that is published: what it is, how it was made, how good it is, what it cannot do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from claver.errors import ClaverError
from claver.suggest import hint

if TYPE_CHECKING:
    from claver.models.checkpoint.folder import Pretrained
    from claver.models.learned import Learned

CARD = "README.md"  # the name under which the Hub shows it
_PACKAGE = Path(__file__).parents[2]
_INSTALLED, _CHECKOUT = _PACKAGE / "model_card_template.md", _PACKAGE.parents[1] / "docs" / "model_card_template.md"
_SHOWN = 10
_LICENSES = re.compile(
    r"apache-2\.0|mit|bsd(-[23]-clause)?|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[34]\.0|a?gpl-3\.0|gpl-2\.0|lgpl-(2\.1|3\.0)|"
    r"mpl-2\.0|openrail|unlicense|unknown|other"
)
"""Identifiers of the Hub; whatever else is told as a sentence, and the Hub shows `other`."""
UNTOLD = "not said by whoever published this model."
TOLD = {
    "data": "the clips it was trained on, and their split",
    "recipe": "the recipe, and what differs from it",
    "seeds": "of training, and of anything drawn",
    "texts": "who wrote the texts about the actions, and how many there are",
    "protocol": "clips, views, folds and classes of the test",
    "names": "plain, or rewritten, in the test",
    "results": "measured, with their spread",
    "limits": "of this model in particular",
    "license": "an identifier of the Hub, such as `mit`, or a sentence",
}
"""What only the publisher knows, in Markdown."""


def model_card(model: Pretrained, repo: str, told: Mapping[str, str] | None = None) -> str:
    """The card of a model, from `docs/model_card_template.md`; what nobody told is marked as such.

    Args:
        model: its sizes and the actions that it was trained on are told by itself.
        repo: its name on the Hub.
        told: values for some of the names of `TOLD`.

    Raises:
        ClaverError: a name that is not one of them, or an empty value.
    """
    told = dict(told or {})
    if unknown := [name for name in told if name not in TOLD]:
        near = hint(unknown[0], TOLD) or f"; it has {', '.join(TOLD)}"
        raise ClaverError(f"a card has no part {unknown[0]!r}{near}")
    if empty := [name for name, value in told.items() if not value.strip()]:
        raise ClaverError(f"{empty[0]!r} of the card is empty; leave it out where nothing is known")
    template = Template((_INSTALLED if _INSTALLED.is_file() else _CHECKOUT).read_text(encoding="utf-8"))
    values = {name: told.get(name, UNTOLD) for name in TOLD} | {"limits": told.get("limits", "")}
    return template.substitute(values | _known(model, repo, told.get("license")))


def _known(model: Pretrained, repo: str, license: str | None) -> dict[str, str]:
    example = ("waves", "sits down") if model.learned is None else model.learned.names[:3]
    return {
        "name": _plain(repo.rpartition("/")[2]),
        "repo": repo,
        "front": f"license: {license}" if license is not None and _is_identifier(license) else "license: other",
        "architecture": _architecture(model),
        "example": json.dumps(example, ensure_ascii=False),
        "actions": _actions(model.learned),
    }


def _architecture(model: Pretrained) -> str:
    image, temporal, text = model.config.image, model.config.temporal, model.config.text
    count = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{count / 1e6:,.1f} million parameters; an image tower of {image.layers} layers of width {image.width} on "
        f"frames of {image.size} pixels in patches of {image.patch}; the temporal tower `{temporal.kind}` of "
        f"{temporal.layers} layers over {temporal.frames} frames; a text tower of {text.layers} layers; a joint "
        f"space of {model.config.embedding} numbers"
    )


def _actions(learned: Learned | None) -> str:
    if learned is None:
        return "It is not known here which actions it was trained on."
    first = ", ".join(f"*{_plain(name)}*" for name in learned.names[:_SHOWN])
    more = len(learned.names) - _SHOWN
    rest = f" and {more:,} more" if more > 0 else ""
    texts = sum(map(len, learned.texts))
    return (
        f"It was trained on {len(learned.names):,} actions, by {texts:,} texts, on clips of {learned.frames} frames "
        f"(views {learned.views}): {first}{rest}. Other words can be given; how well it knows them is another matter."
    )


def _is_identifier(license: str) -> bool:
    return _LICENSES.fullmatch(license) is not None


def _plain(words: str) -> str:
    """Words in which Markdown and HTML see nothing but words."""
    line = " ".join(words.split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#&|~$" else letter for letter in line)
