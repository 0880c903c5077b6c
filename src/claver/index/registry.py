"""The files of an index: what each is, and whether its windows are there. An SQLite file, `files.sqlite`.

What a transaction of it says is the truth: windows of a file that it does not know are none.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from claver.errors import ClaverError

State = Literal["done", "failed", "skipped"]
FORMAT = 1
_WAIT = 30.0  # seconds for another process to end its transaction
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, root BLOB NOT NULL, size INTEGER NOT NULL,
    mtime INTEGER NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL, windows INTEGER NOT NULL,
    seconds REAL NOT NULL, reason TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class FileRecord:
    """A file that was looked at.

    Attributes:
        id: by which windows name it; never given to another.
        path: absolute, without links.
        root: the folder or file given, by which it was found.
        size: bytes.
        mtime: when it was changed last, in nanoseconds.
        digest: SHA-256 of its contents.
        state: whether it has windows, or why not: it failed, or was left out as damaged, as requested.
        windows: how many it has.
        seconds: its duration.
        reason: why it failed or was left out, or what is damaged about it; else empty.
    """

    id: int
    path: str
    root: str
    size: int
    mtime: int
    digest: str
    state: State = "done"
    windows: int = 0
    seconds: float = 0.0
    reason: str = ""

    def row(self) -> tuple[Any, ...]:
        """The values of the table, paths as bytes: names of files need not be text."""
        known = (self.size, self.mtime, self.digest, self.state, self.windows, self.seconds)
        return (self.id, os.fsencode(self.path), os.fsencode(self.root), *known, as_text(self.reason))

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> FileRecord:
        """What `row` gave."""
        number, path, root, *rest = row
        return cls(number, os.fsdecode(path), os.fsdecode(root), *rest)


def as_text(words: str) -> str:
    """Words that SQLite can hold: bytes of file names that are no text become escapes."""
    return words.encode("utf-8", "backslashreplace").decode("utf-8")


class Registry:
    """The files of an index, in SQLite."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        """Open or, to write, make it.

        Raises:
            ClaverError: it is not there or not ours, or cannot be written.
        """
        self.path = path
        address = f"file:{_quoted(path)}?mode={'rwc' if write else 'ro'}"
        with self._told():
            self._db = sqlite3.connect(address, uri=True, timeout=_WAIT, isolation_level=None, check_same_thread=False)
            if write:
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.executescript(_TABLES)
            found = self.meta("format")
        if found is None and write:
            self.set_meta("format", FORMAT)
        elif found != FORMAT:
            raise ClaverError(f"{path.parent} has the format {found} of another version of claver, not {FORMAT}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ClaverError(f"{self.path} cannot be used as the list of an index's files: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def meta(self, key: str) -> Any:
        """A value that was set; None if none was."""
        with self._told(), closing(self._db.execute("SELECT value FROM meta WHERE key = ?", (key,))) as rows:
            row = rows.fetchone()
        return None if row is None else json.loads(row[0])

    def set_meta(self, key: str, value: Any) -> None:
        """Keep a plain value."""
        with self._told():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def records(self) -> list[FileRecord]:
        """All files, by path."""
        with self._told(), closing(self._db.execute("SELECT * FROM files ORDER BY path")) as rows:
            return [FileRecord.of_row(row) for row in rows]

    def of_paths(self, paths: Iterable[str]) -> list[FileRecord]:
        """The files at these paths, as far as they are known."""
        found = []
        with self._told():
            for path in paths:
                rows = self._db.execute("SELECT * FROM files WHERE path = ?", (os.fsencode(path),)).fetchall()
                found += [FileRecord.of_row(row) for row in rows]
        return found

    def next_id(self, count: int) -> int:
        """The first of so many ids that nobody else ever gets."""
        first = int(self.meta("next_id") or 1)
        self.set_meta("next_id", first + count)
        return first

    def change(self, *, put: Iterable[FileRecord] = (), remove: Iterable[int] = ()) -> None:
        """Remove files by id, then put others, a file of the same path being replaced; all of it or nothing."""
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("DELETE FROM files WHERE id = ?", [(number,) for number in remove])
                marks = ", ".join("?" * 10)
                self._db.executemany(f"INSERT OR REPLACE INTO files VALUES ({marks})", [one.row() for one in put])
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(os.fsencode(path.absolute()))
