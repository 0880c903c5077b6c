"""Records of a job as Parquet files in a folder, each written whole; a job resumes with the items none of them has."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from claver.closing import Closing
from claver.errors import ClaverError
from claver.files import as_bytes, only_writer, read_text, replacing, write_whole
from claver.inference.jobs import Record, Work
from claver.json_text import parse_json, to_json

ROWS, SECONDS = 2000, 30.0
"""A part is written when there are so many rows, or so long after the first of them: a kill loses no more."""
_SETTINGS = "_settings.json"  # readers of Parquet folders pass over what begins with an underscore
Ids = npt.NDArray[np.int64]


def id_of(item: str) -> int:
    """64 bits that stand for an item: of a hundred million, two are alike with a probability of 0.03 %."""
    return int.from_bytes(blake2b(as_bytes(item), digest_size=8).digest(), "little", signed=True)


class Parts(Closing):
    """A folder of records: columns `id`, `path`, `error` (null where there is none) and `record`, JSON.

    As long as it is open no other command of ours writes there.

    Attributes:
        folder: where the parts are.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], *, rows: int = ROWS, seconds: float = SECONDS
    ) -> None:
        """Open the folder, or make it.

        Args:
            folder: of the parts.
            settings: what the records depend on. A setting that an earlier version did not have is no difference, but
                one that the records have and these have not is.
            rows: of a part.
            seconds: after which a part is written however few rows it has.

        Raises:
            ClaverError: pyarrow is not installed, the folder holds something else or records of other settings, or
                another command is writing there.
        """
        self._arrow, self._parquet = _arrow()
        self.folder, self._rows, self._seconds = folder, rows, seconds
        self._waiting: list[Record] = []
        self._since = 0.0
        with ExitStack() as stack:
            stack.enter_context(only_writer(folder))
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise ClaverError(f"cannot write {folder}: {error.strerror}; name a new folder") from error
            self._check(dict(settings))
            self._number = max((int(path.stem.partition("-")[2]) for path in self._files()), default=0)
            self._stack = stack.pop_all()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("part-[0-9]*.parquet"))

    def _check(self, settings: dict[str, Any]) -> None:
        place = self.folder / _SETTINGS
        settings = json.loads(json.dumps(settings))
        if not place.exists():
            if any(self.folder.iterdir()):
                raise ClaverError(f"{self.folder} is there already and holds no records of claver; name a new folder")
            write_whole(place, to_json(settings))
            return
        earlier = parse_json(read_text(place, keep_bytes=True), str(place))
        if not isinstance(earlier, dict):
            raise ClaverError(f"{place} holds no settings of claver; name a new folder")
        differing = [key for key in earlier if key not in settings or earlier[key] != settings[key]]
        if differing:
            raise ClaverError(
                f"{self.folder} holds records made with other {' and '.join(differing)}; repeat that command to go on, "
                "or name a new folder"
            )
        if settings != earlier:  # so that what is new here is compared from now on
            write_whole(place, to_json(settings))

    def forget_errors(self) -> None:
        """Remove the rows of items that could not be done, so that they are tried again."""
        for path in self._files():
            table = self._read(path, ["id", "path", "error", "record"])
            sound = table.filter(table.column("error").is_null())
            if not len(sound):
                path.unlink()
            elif len(sound) < len(table):
                self._write(path, sound)

    def missing(self, items: Sequence[str]) -> list[str]:
        """The items that no part has a row of, in their order."""
        known = [self._read(path, ["id"]).column("id").to_numpy() for path in self._files()]
        if not known:
            return list(items)
        ids: Ids = np.fromiter(map(id_of, items), np.int64, len(items))
        new = ~np.isin(ids, np.concatenate(known))
        return [item for item, is_new in zip(items, new.tolist(), strict=True) if is_new]

    def add(self, record: Record) -> None:
        """Take a record; on disk when `flush` returns, or with the part that it fills."""
        self._since = self._since if self._waiting else time.monotonic()
        self._waiting.append(record)
        if len(self._waiting) >= self._rows or time.monotonic() - self._since >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Write what waits as a part."""
        if self._waiting:
            self._number += 1
            self._write(self.folder / f"part-{self._number:06}.parquet", self._table(self._waiting))
            self._waiting = []

    def _table(self, records: Sequence[Record]) -> Any:
        columns = {
            "id": self._arrow.array([id_of(record["path"]) for record in records], self._arrow.int64()),
            "path": self._arrow.array([_printable(record["path"]) for record in records], self._arrow.string()),
            "error": self._arrow.array([_error(record) for record in records], self._arrow.string()),
            "record": self._arrow.array([json.dumps(record) for record in records], self._arrow.string()),
        }
        return self._arrow.table(columns)

    def _write(self, path: Path, table: Any) -> None:
        try:
            with replacing(path) as beside:
                self._parquet.write_table(table, beside, compression="zstd")
        except OSError as error:
            raise ClaverError(f"cannot write {path}: {error.strerror or error}; what is there is kept") from error

    def _read(self, path: Path, columns: Sequence[str]) -> Any:
        try:
            return self._parquet.read_table(path, columns=list(columns)).select(list(columns))
        except (OSError, KeyError, self._arrow.ArrowException) as error:
            what = " ".join(str(error).split())[:200]
            raise ClaverError(
                f"{path} is damaged ({what}); delete it, and the same command does again what it held"
            ) from error

    def records(self, *, errors_only: bool = False) -> Iterator[Record]:
        """All records on disk, part by part."""
        for path in self._files():
            table = self._read(path, ["error", "record"])
            kept = table.filter(table.column("error").is_valid()) if errors_only else table
            yield from map(json.loads, kept.column("record").to_pylist())

    def remove(self) -> None:
        """Remove the folder, when the output that it stood in for is written; what is not of ours stays."""
        for path in [*self._files(), self.folder / _SETTINGS]:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # somebody's file is in it: the output is written all the same
            self.folder.rmdir()

    def close(self) -> None:
        """Let go of the folder; what was flushed is kept."""
        self._stack.close()


def run_parts(
    items: Sequence[str],
    work: Work,
    parts: Parts,
    *,
    on_resume: Callable[[int], object] = lambda done: None,
    on_record: Callable[[Record], object] = lambda record: None,
) -> None:
    """As `run_job`, with parts in the place of a journal, and no record kept in memory.

    Args:
        items: the names of what is to be done.
        work: gives a record for each item that it is given; it is not called when all are done.
        parts: where the records go. Items that failed in an earlier run are tried again.
        on_resume: called with the number of items that an earlier run has done, if there are any.
        on_record: called with each new record.

    Raises:
        ClaverError: `work` left out an item, or a part cannot be read or written.
    """
    parts.forget_errors()
    left = parts.missing(items)
    if len(left) < len(items):
        on_resume(len(items) - len(left))
    try:
        for record in work(left) if left else ():
            parts.add(record)
            on_record(record)
    finally:
        parts.flush()  # what is done is kept, whatever ends the run
    if missing := parts.missing(left):
        raise ClaverError(f"no record came of {len(missing)} of {len(items)} items, such as {missing[0]}")


def _error(record: Record) -> str | None:
    return None if record.get("error") is None else _printable(str(record["error"]))


def _printable(text: str) -> str:
    """Text that is UTF-8: bytes of file names that are not stand as escapes; the record has them as they are."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ClaverError("Parquet needs pyarrow; pip install 'claver[scale]'") from None
    return pyarrow, parquet
