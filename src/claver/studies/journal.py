"""The journal of a study, `data.jsonl`: one line for each finished run, written at once."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from claver.errors import ClaverError
from claver.files import read_bytes
from claver.studies.study import Record, Settings, key_of

_BEGINNING = b'{"settings": {'


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
        if path.exists():
            self._read()

    def _read(self) -> None:
        """All whole lines; what an interruption left of a last one is cut off, once the file is known to be ours."""
        whole, newline, cut = read_bytes(self.path).rpartition(b"\n")
        try:
            if not _BEGINNING.startswith(cut[: len(_BEGINNING)]):
                raise ValueError("the last line was not begun by a study")
            for line in whole.decode("utf-8").split("\n") if newline else ():
                values = json.loads(line)
                self._remember(Record(dict(values["settings"]), dict(values["figures"])))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ClaverError(f"{self.path} is in the way: it is no journal of a study; choose another --output") from (
                error
            )
        if cut:
            os.truncate(self.path, len(whole) + len(newline))

    def _remember(self, record: Record) -> None:
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
        self._remember(record)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"settings": record.settings, "figures": record.figures}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
