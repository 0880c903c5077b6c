"""The journal of a study, `data.jsonl`: one line for each finished run, written at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from claver.errors import ClaverError
from claver.files import read_bytes
from claver.log import logger
from claver.studies.study import Record, Settings, as_now, key_of

_BEGINNING = b'{"settings": {'


class Journal:
    """Finished runs, those of an earlier, interrupted command included.

    Each line carries the run's own settings, so runs of several sizes and seeds live in one file.
    """

    def __init__(self, path: Path, made_of: Callable[[Settings], str] = lambda settings: "") -> None:
        """Open or begin.

        Args:
            path: the file.
            made_of: see `Study`; runs that were made of something else are to be done again, which is logged.

        Raises:
            ClaverError: the file holds something else.
        """
        self.path, self._made_of = path, made_of
        self._done: dict[str, Record] = {}
        self._stale: set[str] = set()
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
                self._remember(
                    Record(as_now(dict(values["settings"])), dict(values["figures"])), str(values.get("made_of", ""))
                )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ClaverError(f"{self.path} is in the way: it is no journal of a study; choose another --output") from (
                error
            )
        if cut:
            os.truncate(self.path, len(whole) + len(newline))

    def _remember(self, record: Record, made_of: str) -> None:
        key = key_of(record.settings)
        if made_of == self._now(record.settings):
            self._done[key] = record
        else:
            self._stale.add(key)

    def _now(self, settings: Settings) -> str | None:
        """What a run of these settings would be made of; None if none could be made."""
        try:
            return self._made_of(settings)
        except ClaverError:
            return None

    def missing(self, runs: Sequence[Settings]) -> list[Settings]:
        """The runs that are still to be done, each once."""
        by_key = {key_of(settings): settings for settings in runs}
        missing = [settings for key, settings in by_key.items() if key not in self._done]
        if stale := sum(key_of(settings) in self._stale for settings in missing):
            logger.warning("%d runs in %s were made by other recipes or texts and are done again", stale, self.path)
        return missing

    def records(self, runs: Sequence[Settings]) -> list[Record]:
        """The finished ones of these runs, in their order."""
        return [self._done[key] for key in dict.fromkeys(map(key_of, runs)) if key in self._done]

    def add(self, record: Record) -> None:
        """Note a finished run; on disk when this returns."""
        made_of = self._made_of(record.settings)
        self._remember(record, made_of)
        line = {"settings": record.settings, "made_of": made_of, "figures": record.figures}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
