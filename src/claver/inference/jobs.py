"""Jobs over many items: one record for each, a journal, and only what is missing done again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from claver.closing import Closing
from claver.errors import ClaverError
from claver.files import only_writer, read_bytes, write_whole
from claver.json_text import parse_json, to_json

_MOST = 2**32  # bytes of a journal: ours, of any length, and still no endless file

Record = dict[str, Any]
"""Plain values about one item, which `path` names. One that could not be done has `error`, a sentence, and one that was
left out as requested `skipped`; what else there is, is the job's own matter."""
Work = Callable[[Sequence[str]], Iterable[Record]]
"""Items in, a record for each out, in any order and as soon as it is known."""


def run_job(
    items: Sequence[str],
    work: Work,
    *,
    output: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    write: Callable[[Sequence[Record]], object] | None = None,
    is_done: Callable[[Record], bool] = lambda record: "error" not in record,
    on_resume: Callable[[int], object] = lambda done: None,
    on_record: Callable[[Record], object] = lambda record: None,
) -> list[Record]:
    """Process every item, with a journal: interrupted, the same call resumes.

        >>> run_job(paths, for_each(measure, workers=4), output=Path("sizes.jsonl"), settings={"version": 1})

    Args:
        items: the names of what is to be done, such as paths.
        work: gives a record for each item that it is given, wherever it does them; it is not called when all are done.
            `for_each` makes it of a function of one item.
        output: what the job writes; as long as it is not written, `OUTPUT.partial` beside it holds what is done.
            Without one nothing is kept.
        settings: what the records depend on; records made with others are not resumed.
        write: called with all records in the end, and then the journal goes; if not given, they are written to `output`
            as JSON lines.
        is_done: whether the item of this record, of an earlier run, is done; others are tried again.
        on_resume: called with the number of items that an earlier run has done, if there are any.
        on_record: called with each new record.

    Returns:
        A record for each item, in the order of the items.

    Raises:
        ClaverError: the output cannot be written or is being written, `OUTPUT.partial` is of other settings or
            somebody else's, or `work` left out an item.
    """
    with ExitStack() as stack:
        journal = None if output is None else stack.enter_context(Journal(output, settings or {}))
        records = {} if journal is None else {item: record for item, record in journal.done.items() if is_done(record)}
        left = [item for item in items if item not in records]
        if len(left) < len(items):
            on_resume(len(items) - len(left))
        for record in work(left) if left else ():
            records[record["path"]] = record
            if journal is not None:
                journal.add(record)
            on_record(record)
        if missing := [item for item in items if item not in records]:
            raise ClaverError(f"no record came of {len(missing)} of {len(items)} items, such as {missing[0]}")
        ordered = [records[item] for item in items]
        if write is not None:
            write(ordered)
        elif output is not None:
            write_whole(output, "".join(to_json(record, allow_nan=False) for record in ordered))
        if journal is not None:
            journal.finish()
    return ordered


def for_each(function: Callable[[str], Record], *, workers: int = 0, timeout: float | None = None) -> Work:
    """The work of a job that does one item after another, in order, in this process or in several.

    Args:
        function: what is done with an item. A `VideoError` becomes the record `{"path", "error"}`, and so does whatever
            ends a worker, as a crash in a decoder; other errors end the job.
        workers: processes, for which `function` must pickle; 0 works in this one.
        timeout: seconds after which a worker gives an item up, None for never.
    """

    def work(items: Sequence[str]) -> Iterator[Record]:
        from claver.video.prefetch import prefetch

        for item, result in prefetch(items, function, workers=workers, timeout=timeout):
            yield error_record(item, str(result)) if isinstance(result, Exception) else result

    return work


def error_record(item: str, error: str) -> Record:
    """The record of an item that could not be done."""
    return {"path": item, "error": error}


class Journal(Closing):
    """Records of finished files, one JSON line each, after a first line with the settings they were made with.

    As long as it is open no other command writes the same output.

    Attributes:
        done: the records by path, those of an earlier run included.
    """

    def __init__(self, output: Path, settings: Mapping[str, Any]) -> None:
        """Open or resume `OUTPUT.partial`.

        Raises:
            ClaverError: it exists but was made with other settings, or is no file of ours; it cannot be written; or it
                is in use.
        """
        self.path = output.with_name(output.name + ".partial")
        self.done: dict[str, Record] = {}
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
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
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

    def _parse(self, whole: bytes) -> list[Record]:
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

    def add(self, record: Record) -> None:
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

    def close(self) -> None:
        """Let go of the output; what was added is kept."""
        self._stack.close()


def _appending(path: Path) -> Any:
    """The file, opened at its end, and not through a link that lies in its place."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)

    return open(path, "a", encoding="utf-8", errors="surrogateescape", opener=opener)
