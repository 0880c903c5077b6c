"""Writing a bank file: each text is on disk as soon as it is accepted, and an interrupted run resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import BinaryIO

from claver.errors import ClaverError
from claver.files import read_bytes, refuse_special
from claver.text.generator.answers import LanguageModel, Sampling
from claver.text.generator.forms import Form
from claver.text.record import KINDS, Kind, Prompt, Source, parse_prompt, write_prompts


def sources_for(model: LanguageModel, forms: Mapping[Kind, Form], sampling: Sampling) -> dict[Kind, Source]:
    """What the records of each kind say about where they come from; no address, which may hold a password.

    Args:
        model: who writes the texts.
        forms: the command and the examples of each kind.
        sampling: how they are drawn.
    """
    settings = {"temperature": sampling.temperature, "top_p": sampling.top_p, "endpoint": model.endpoint}
    today = date.today().isoformat()
    return {kind: Source(model.name, today, settings | {"form": form.hash}) for kind, form in forms.items()}


class BankFile:
    """A bank file that texts are added to, one line each.

    There is no journal beside it: every line says what it was made with, so the file itself tells what is still to be
    asked for. Killed at any instant it is a bank, save that its last line may be torn; a torn line is dropped when the
    next run begins to write.

    Attributes:
        path: the file.
        name: the list that the actions are of.
        prompts: its texts, those of earlier runs first.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        actions: Sequence[str],
        sources: Mapping[Kind, Source],
        *,
        overwrite: bool = False,
    ) -> None:
        """Open a new file or resume one; nothing is written yet.

        Args:
            path: the file.
            name: what to call the list of actions.
            actions: the actions in the order that the finished file has.
            sources: for each kind of text that will be added what it is made with. Texts of other kinds that the file
                holds are kept.
            overwrite: whether a file made otherwise is to be replaced.

        Raises:
            ClaverError: it holds something else, and `overwrite` is not set; or it is no file but a pipe or a device.
        """
        refuse_special(path)
        self.path, self.name, self.actions, self.sources = path, name, tuple(actions), dict(sources)
        self.prompts: list[Prompt] = []
        self._file: BinaryIO | None = None
        self._sound = 0  # bytes of the existing file after which to resume
        try:
            found, sound = self._read()
            self._require_same(found)
        except ClaverError:
            if not overwrite:
                raise
        else:
            self.prompts, self._sound = found, sound

    def add(self, action: str, kind: Kind, text: str) -> Prompt:
        """Add a text; on disk when this returns.

        Raises:
            ClaverError: it cannot be written.
        """
        prompt = Prompt(self.name, action, kind, text, self.sources[kind])
        try:
            file = self._file or self._open()
            file.write(f"{prompt.to_json()}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise ClaverError(f"cannot write {self.path}: {error.strerror}") from error
        self.prompts.append(prompt)
        return prompt

    def finish(self) -> None:
        """Put the texts into the order of the actions, and of the kinds within each."""
        self.close()
        place = {action: number for number, action in enumerate(self.actions)}
        ordered = sorted(self.prompts, key=lambda prompt: (place[prompt.action], KINDS.index(prompt.kind)))
        if ordered:
            write_prompts(ordered, self.path)

    def close(self) -> None:
        """Close the file; adding opens it again."""
        if self._file is not None:
            self._sound = self._file.tell()
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        if not self.path.exists():
            self.path.touch()
        self._file = self.path.open("r+b")
        self._file.truncate(self._sound)
        self._file.seek(self._sound)
        if self.prompts and not self.path.read_bytes().endswith(b"\n"):  # as some editors leave it
            self._file.write(b"\n")
        return self._file

    def _read(self) -> tuple[list[Prompt], int]:
        """The texts that are there, and how many bytes they take."""
        if not self.path.exists():
            return [], 0
        content = read_bytes(self.path)
        last = content.rpartition(b"\n")[2]
        sound = len(content) - (len(last) if self._torn(last) else 0)
        try:
            lines = content[:sound].decode("utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            raise ClaverError(f"{self.path} is not UTF-8 text; choose another --output") from error
        rows = [(row, line) for row, line in enumerate(lines, 1) if line.strip()]
        return [parse_prompt(line, str(self.path), row) for row, line in rows], sound

    def _torn(self, line: bytes) -> bool:
        """Whether a line without an end is the beginning of one of ours, and not somebody else's file."""
        begin = f'{{"list": {json.dumps(self.name, ensure_ascii=False)}, "action": "'.encode()
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            return bool(line) and line[: len(begin)] == begin[: len(line)]
        return False

    def _require_same(self, prompts: Sequence[Prompt]) -> None:
        for prompt in prompts:
            if other := self._difference(prompt):
                raise ClaverError(
                    f"{self.path} holds texts of another {other}; choose another --output, or replace it with "
                    "--overwrite"
                )

    def _difference(self, prompt: Prompt) -> str | None:
        """What sets a text apart from those to be added; the day does not."""
        if prompt.list != self.name:
            return f"list ({prompt.list!r}, not {self.name!r})"
        if prompt.action not in self.actions:
            return f"list of actions ({prompt.action!r} is not asked for)"
        if (asked := self.sources.get(prompt.kind)) is None:
            return None
        if (made := prompt.source) is None or made.model != asked.model:
            return f"model ({made.model if made else 'unknown'!r}, not {asked.model!r})"
        other = [key for key in asked.settings if made.settings.get(key) != asked.settings[key]]
        values = [f"{key} ({made.settings.get(key)!r}, not {asked.settings[key]!r})" for key in other]
        return " and ".join(values) or None
