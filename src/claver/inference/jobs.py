"""A journal beside the output file: what is done survives any interruption, and a second run goes on from there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from claver.errors import ClaverError
from claver.files import only_writer, read_bytes
from claver.json_text import parse_json

_MOST = 2**32  # bytes of a journal: ours, of any length, and still no endless file


class Journal:
    """Records of finished files, one JSON line each, after a first line with the settings they were made with.

    As long as it is open no other command writes the same output.

    Attributes:
        done: the records by path, those of an earlier run included.
    """

    def __init__(self, output: Path, settings: Mapping[str, Any]) -> None:
        """Open or go on with `OUTPUT.partial`.

        Raises:
            ClaverError: it exists but was made with other settings, cannot be written, or is in use.
        """
        self.path = output.with_name(output.name + ".partial")
        self.done: dict[str, dict[str, Any]] = {}
        with ExitStack() as stack:
            stack.enter_context(only_writer(output))
            try:
                self._read(settings)
                self._file = stack.enter_context(_appending(self.path))
            except OSError as error:
                raise ClaverError(f"cannot write {self.path}: {error.strerror}; choose another --output") from error
            if self._file.tell() == 0:
                self._write({"settings": dict(settings)})
            self._stack = stack.pop_all()

    def _read(self, settings: Mapping[str, Any]) -> None:
        if self.path.is_symlink():
            raise self._in_the_way()
        if not self.path.exists() or self.path.stat().st_size == 0:
            return
        whole = read_bytes(self.path, _MOST).rpartition(b"\n")[0]
        lines = self._parse(whole)
        if (earlier := lines[0]["settings"]) != settings:
            differing = [key for key in settings if earlier.get(key) != settings[key]]
            raise ClaverError(
                f"{self.path} is an unfinished run with other {' and '.join(differing) or 'settings'}; "
                "repeat that command to finish it, or delete the file to start anew"
            )
        self.done = {record["path"]: record for record in lines[1:]}
        os.truncate(self.path, len(whole) + 1)  # whatever a line cut short by the interruption left

    def _parse(self, whole: bytes) -> list[dict[str, Any]]:
        """The journal's lines; a file that is none is somebody else's and stays as it is."""
        text = whole.decode("utf-8", "surrogateescape")
        try:  # not splitlines, to which some signs in names of files are ends of lines
            lines = [parse_json(line, str(self.path)) for line in text.split("\n")]
            if isinstance(lines[0]["settings"], dict) and all(isinstance(record["path"], str) for record in lines[1:]):
                return lines
        except (ClaverError, LookupError, TypeError):
            pass
        raise self._in_the_way()

    def _in_the_way(self) -> ClaverError:
        return ClaverError(f"{self.path} is in the way: it is no journal of claver; choose another --output")

    def add(self, record: dict[str, Any]) -> None:
        """Note one finished file; on disk when this returns."""
        self.done[record["path"]] = record
        self._write(record)

    def _write(self, record: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise ClaverError(f"cannot write {self.path}: {error.strerror}; what it holds is kept") from error

    def finish(self) -> None:
        """Remove the journal: the output it stood in for is written."""
        self._file.close()
        self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()


def _appending(path: Path) -> Any:
    """The file, opened at its end, and not through a link that lies in its place."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)

    return open(path, "a", encoding="utf-8", errors="surrogateescape", opener=opener)
