"""Records of bank files: one text about one action with its origin, as a line of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from claver.errors import ClaverError
from claver.files import read_text, write_whole
from claver.json_text import parse_json

Kind = Literal["template", "decomposition", "synonym", "body"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Prefix and suffix forms, and the three aspects of Sec. 3.3: decomposition, synonyms, body parts."""
_HALF, _HALF_READ = re.compile(r"\\ud[89a-f]", re.I), re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Source:
    """The origin of a text.

    Attributes:
        model: the language model, or what else wrote it.
        date: the day, `2026-11-22`.
        settings: what it was asked with: temperature, top-p, the command and its examples by their hash, …
    """

    model: str
    date: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prompt:
    """A text about an action.

    Attributes:
        list: the dataset or list of actions that the action is of.
        action: its name in that list.
        kind: what the text says about it.
        text: the text.
        source: where it came from, if that is known.
    """

    list: str
    action: str
    kind: Kind
    text: str
    source: Source | None = None

    def to_json(self) -> str:
        """The line of a bank file, without its end."""
        record: dict[str, Any] = {"list": self.list, "action": self.action, "kind": self.kind, "text": self.text}
        if self.source is not None:
            source = self.source
            record["source"] = {"model": source.model, "date": source.date, "settings": dict(source.settings)}
        return json.dumps(record, ensure_ascii=False)


def read_prompts(path: str | Path) -> list[Prompt]:
    """All texts of a bank file, in its order.

    Raises:
        ClaverError: no such file, or a line that is not such a record; the sentence names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise ClaverError(f"there is no bank of prompts {path}")
    lines = read_text(path).split("\n")  # U+2028 is a line to splitlines
    return [parse_prompt(line, str(path), row) for row, line in enumerate(lines, 1) if line.strip()]


def parse_prompt(line: str, where: str, row: int) -> Prompt:
    """One line of a bank file.

    Args:
        line: its JSON.
        where: how an error names the file.
        row: the number of the line.

    Raises:
        ClaverError: not JSON, a field that is missing, empty or not text, an unknown kind, or an unpaired surrogate.
    """
    record = parse_json(line, where, row)
    where = f"{where}, line {row}"
    if not isinstance(record, dict):
        raise ClaverError(f"{where}: expected an object with list, action, kind and text, not {type(record).__name__}")
    if _HALF.search(line) and _HALF_READ.search(json.dumps(record, ensure_ascii=False)):
        raise ClaverError(f"{where}: holds half a character (a lone surrogate such as \\ud83d)")
    for name in ("list", "action", "kind", "text"):
        if not isinstance(record.get(name), str) or not record[name].strip():
            raise ClaverError(f"{where}: {name!r} is missing, empty or not text")
    if record["kind"] not in KINDS:
        raise ClaverError(f"{where}: kind {record['kind']!r} is none of {', '.join(KINDS)}")
    own = record["list"], record["action"].strip(), cast(Kind, record["kind"]), " ".join(record["text"].split())
    return Prompt(*own, _source(record.get("source"), where))


def _source(record: Any, where: str) -> Source | None:
    if record is None:
        return None
    if not isinstance(record, dict) or not {"model", "date"} <= record.keys():
        raise ClaverError(f"{where}: 'source' should be an object with model, date and settings")
    if not isinstance(settings := record.get("settings") or {}, dict):
        raise ClaverError(f"{where}: the settings of 'source' should be an object")
    return Source(str(record["model"]), str(record["date"]), settings)


def write_prompts(prompts: Iterable[Prompt], path: str | Path) -> Path:
    """Write a bank file, whole or not at all."""
    write_whole(Path(path), "".join(f"{prompt.to_json()}\n" for prompt in prompts))
    return Path(path)
