"""What a model was trained to tell apart and how it looked at clips: `actions.json` of its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claver.errors import CheckpointError, ClaverError
from claver.files import MOST_TEXT
from claver.json_text import read_json

ACTIONS = "actions.json"


@dataclass(frozen=True)
class Learned:
    """The actions that a model was trained on, in their order, which compete when nothing else is asked for.

    Attributes:
        names: the actions.
        texts: what was said of each, at least one text.
        frames: T, frames of a view.
        sampling: how these are chosen: `sparse`, one of each of T equal parts of the clip.
        views: temporal clips x crops that the model was measured on while it learned, such as `1x1`.
    """

    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    frames: int
    sampling: str = "sparse"
    views: str = "1x1"

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) < len(self.names):
            raise ClaverError("there must be an action, and none twice")
        if len(self.texts) != len(self.names) or not all(self.texts):
            raise ClaverError("every action needs a text")
        if self.sampling != "sparse":
            raise ClaverError(f"sampling {self.sampling!r} is not known; it is 'sparse'")
        if self.frames < 1:
            raise ClaverError("frames must be at least 1")

    def __repr__(self) -> str:
        return f"Learned({len(self.names)} actions: {', '.join(self.names[:3])}, …; {self.frames} frames, {self.views})"

    def json(self) -> str:
        """As the file has it."""
        actions = [{"action": name, "texts": list(texts)} for name, texts in zip(self.names, self.texts, strict=True)]
        values = {"actions": actions, "frames": self.frames, "sampling": self.sampling, "views": self.views}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def read_learned(folder: Path) -> Learned | None:
    """What the model of a folder was trained on; None if its folder does not say.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / ACTIONS
    if not path.is_file():
        return None
    try:
        values = read_json(path, MOST_TEXT)
    except ClaverError as error:
        raise CheckpointError(str(error)) from error
    try:
        return _learned(values)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not a list of actions as `claver train` writes it; remove it") from error
    except ClaverError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _learned(values: Any) -> Learned:
    actions = values["actions"]
    names, texts = tuple(one["action"] for one in actions), tuple(tuple(one["texts"]) for one in actions)
    words = [*names, *(text for own in texts for text in own), values["sampling"], values["views"]]
    if not all(isinstance(word, str) for word in words) or type(values["frames"]) is not int:
        raise TypeError
    return Learned(names, texts, values["frames"], values["sampling"], values["views"])
