"""The request for each kind of text: a command, examples, the action (Sec. 3.3, Fig. 4)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any, cast

from claver.errors import ClaverError
from claver.files import MOST_DOCUMENT, read_text
from claver.text.record import Kind
from claver.yaml_text import parse_yaml

WRITTEN_KINDS: tuple[Kind, ...] = ("synonym", "decomposition", "body")
"""The kinds that a model writes, synonyms first: the others may name their action by one."""

STOPS = ("\n\n", "\nAction:")
"""Where a completion ends: what follows is the model's next example."""

_LAYOUT = "1"
"""Counted up when the layout below changes, since texts then come from another request."""


@dataclass(frozen=True)
class Form:
    """The request for texts of one kind.

    Attributes:
        command: what to write.
        examples: actions and a text for each.
    """

    command: str
    examples: Mapping[str, str]

    @property
    def hash(self) -> str:
        """A short name for command and examples, the same for the same words."""
        words = json.dumps([_LAYOUT, self.command, list(self.examples.items())], ensure_ascii=False)
        return sha256(words.encode()).hexdigest()[:12]

    def messages(self, action: str, taken: Sequence[str] = ()) -> list[dict[str, str]]:
        """The request as a chat, each example a turn.

        Args:
            action: the action that the text is about.
            taken: texts that must not come again.
        """
        messages = []
        for shown, text in self._shown(action).items():
            messages += [{"role": "user", "content": shown}, {"role": "assistant", "content": text}]
        messages.append({"role": "user", "content": _concept(action, taken)})
        # Not a system message, which some chat templates refuse.
        messages[0]["content"] = f"{self.command}\n\n{messages[0]['content']}"
        return messages

    def completion(self, action: str, taken: Sequence[str] = ()) -> str:
        """The request as a text to be continued; arguments as of `messages`."""
        shown = [f"Action: {concept}\nText: {text}" for concept, text in self._shown(action).items()]
        return "\n\n".join([self.command, *shown, f"Action: {_concept(action, taken)}\nText:"])

    def _shown(self, action: str) -> dict[str, str]:
        """The examples but for the action's own, which would be echoed."""
        return {name: text for name, text in self.examples.items() if name.casefold() != action.casefold()}


def _concept(action: str, taken: Sequence[str]) -> str:
    return f"{action} (in other words than: {' | '.join(taken)})" if taken else action


def load_forms(path: Path | None = None) -> dict[Kind, Form]:
    """Command and examples of each kind.

    Args:
        path: a YAML file like `forms.yaml` of this package; kinds that it leaves out stay as they come.

    Raises:
        ClaverError: no such file, or one of another shape.
    """
    forms = _parse(resources.files(__package__).joinpath("forms.yaml").read_text(encoding="utf-8"), "forms.yaml")
    if path is None:
        return forms
    return forms | _parse(read_text(path, MOST_DOCUMENT), str(path))


def _parse(text: str, where: str) -> dict[Kind, Form]:
    read = parse_yaml(text, where)
    if not isinstance(read, dict) or not read:
        raise ClaverError(f"{where} should hold command and examples under {', '.join(WRITTEN_KINDS)}")
    if unknown := [kind for kind in read if kind not in WRITTEN_KINDS]:
        raise ClaverError(f"{where}: {unknown[0]!r} is none of {', '.join(WRITTEN_KINDS)}")
    return {cast(Kind, kind): _form(form, f"{where}, {kind}") for kind, form in read.items()}


def _form(form: Any, where: str) -> Form:
    if not isinstance(form, dict) or form.keys() != {"command", "examples"}:
        raise ClaverError(f"{where}: should hold 'command' and 'examples', and nothing else")
    command, examples = form["command"], form["examples"]
    if not isinstance(command, str) or not command.strip():
        raise ClaverError(f"{where}: 'command' is empty or not text")
    if not isinstance(examples, dict) or len(examples) < 2:
        raise ClaverError(f"{where}: 'examples' should be two or more actions (three are usual), each with its text")
    for action, text in examples.items():
        if not isinstance(action, str) or not isinstance(text, str) or not action.strip() or not text.strip():
            raise ClaverError(f"{where}: the example {action!r} should be an action with a text")
    return Form(_line(command), {_line(action): _line(text) for action, text in examples.items()})


def _line(text: str) -> str:
    return " ".join(text.split())
