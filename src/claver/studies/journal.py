"""The journal of a study, `data.jsonl`: one line for each finished run, written at once."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from claver.errors import ClaverError
from claver.studies.study import Record, Settings, key_of


class Journal:
    """Finished runs, those of an earlier, interrupted command included.

    Each line carries the run's own settings, so runs of several sizes and seeds live in one file.
    """

    def __init__(self, path: Path) -> None:
        """Open or begin.

        Raises:
            ClaverError: the file holds something else.
        """
        self.path = path
        self._done: dict[str, Record] = {}
        for line in self._whole_lines():
            self._remember(line)

    def _whole_lines(self) -> list[str]:
        """All lines; what an interruption left of a last one is cut off."""
        if not self.path.exists():
            return []
        whole, newline, cut = self.path.read_bytes().rpartition(b"\n")
        if cut:
            os.truncate(self.path, len(whole) + len(newline))
        return whole.decode("utf-8").splitlines()

    def _remember(self, line: str) -> None:
        try:
            values = json.loads(line)
            record = Record(dict(values["settings"]), dict(values["figures"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ClaverError(f"{self.path} is in the way: it is no journal of a study; choose another --output") from (
                error
            )
        self._done[key_of(record.settings)] = record

    def missing(self, runs: Sequence[Settings]) -> list[Settings]:
        """The runs that are still to be done, each once."""
        by_key = {key_of(settings): settings for settings in runs}
        return [settings for key, settings in by_key.items() if key not in self._done]

    def records(self, runs: Sequence[Settings]) -> list[Record]:
        """The finished ones of these runs, in their order."""
        return [self._done[key] for key in dict.fromkeys(map(key_of, runs)) if key in self._done]

    def add(self, record: Record) -> None:
        """Note a finished run; on disk when this returns."""
        self._done[key_of(record.settings)] = record
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"settings": record.settings, "figures": record.figures}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
