"""Bringing an index up to date with folders: what is new or changed is encoded, and nothing else is decoded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional as F

from claver.errors import ClaverError
from claver.index.files import Changes, FoundFile, Scan, compare, scan
from claver.index.registry import FileRecord, Registry, State
from claver.index.store import Rows, WindowStore
from claver.inference.many_videos import EncodedVideo, Glance, Unencoded
from claver.video.damage import OnDamage

FLUSH_WINDOWS, FLUSH_SECONDS = 2000, 30.0
"""Windows of finished files are written when there are so many, or so long after the first: a kill loses no more."""
_CAUSE = "it changed while it was read, and is left for the next time"


@dataclass(frozen=True)
class AddProgress:
    """How far an index has come.

    Attributes:
        files: that are finished, of `total` that are encoded.
        total: files that are to be encoded.
        windows: made so far.
        seconds: of video, looked through so far.
        share: of the bytes of all files that are to be encoded, the part that is finished.
        path: the file that was looked at last.
    """

    files: int
    total: int
    windows: int
    seconds: float
    share: float
    path: str = ""


Progress = Callable[[AddProgress], None]
Encode = Callable[[Sequence[str], Glance], Iterable[EncodedVideo | Unencoded]]
"""Paths in, an answer for each out, in any order; meanwhile told how far each has come."""
_Done = tuple[FoundFile, str, EncodedVideo]
_Failed = tuple[FoundFile, str, State, str]


@dataclass(frozen=True)
class AddReport:
    """What bringing an index up to date has changed.

    Attributes:
        added: files that were encoded, those that had changed included.
        changed: how many of them the index had other contents of.
        moved: files whose path alone changed.
        copied: files with the same contents as another one, whose windows were taken over.
        touched: files with another time and the same contents.
        removed: files that are gone.
        unchanged: files that are as they were.
        windows: that were made.
        seconds: of video that were looked through.
        failed: files without windows, each with the reason; they are not tried again until they change.
        damaged: files that have windows although they are damaged, each with what is wrong.
        kept: files whose folder is gone or empty; they are still in the index.
        unreadable: folders that could not be listed, each with the reason.
    """

    added: int = 0
    changed: int = 0
    moved: int = 0
    copied: int = 0
    touched: int = 0
    removed: int = 0
    unchanged: int = 0
    windows: int = 0
    seconds: float = 0.0
    failed: tuple[tuple[str, str], ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


def repair(registry: Registry, store: WindowStore) -> None:
    """Undo what a killed run left half done, so that no window is in twice, or without its file, or missing.

    Windows of files that are not known are removed; a file of which not all windows are there is forgotten, and so
    encoded again.
    """
    there, known = store.counts(), {record.id: record.windows for record in registry.records()}
    wrong = [number for number, windows in known.items() if there.get(number, 0) != windows]
    registry.change(remove=wrong)
    store.delete([number for number in there if number not in known or number in set(wrong)])


@dataclass
class Builder:
    """One run over some folders; what it has done so far is in the fields of the report.

    Attributes:
        registry: the files of the index.
        store: its windows.
        damaged: what is done with damaged videos.
        retry: whether files that failed are tried again although they have not changed.
        forget: whether files are removed whose folder is gone or empty.
        encode: gives each of some files with its windows, or why it has none, and its digest as a note.
        progress: called as files come and go.
    """

    registry: Registry
    store: WindowStore
    damaged: OnDamage
    retry: bool
    forget: bool
    encode: Encode
    progress: Progress
    _done: list[_Done] = field(default_factory=list)
    _failed: list[_Failed] = field(default_factory=list)
    _told: list[tuple[str, str]] = field(default_factory=list)
    _harmed: list[tuple[str, str]] = field(default_factory=list)
    _since: float = 0.0
    _files: int = 0
    _windows: int = 0
    _bytes: int = 0
    _seconds: float = 0.0
    _under_way: dict[str, float] = field(default_factory=dict)

    def run(self, inputs: Sequence[str]) -> AddReport:
        """Bring the index up to date with folders and files.

        Raises:
            ClaverError: an input that is not there.
        """
        repair(self.registry, self.store)
        found = scan(inputs)
        changes = compare(found, self.registry.records(), again=self._again, forget=self.forget)
        self._apply(changes)
        try:
            self._encode(changes.encode)
        finally:
            self._flush()  # what is finished is kept, whatever ends the run
        return self._report(found, changes)

    def _again(self, record: FileRecord) -> bool:
        return (record.state == "failed" and self.retry) or (
            record.state == "skipped" and (self.retry or self.damaged != "skip")
        )

    def _apply(self, changes: Changes) -> None:
        """What needs no decoding."""
        removed = [record.id for record in changes.removed]
        self.registry.change(put=[*changes.moved, *changes.touched], remove=removed)
        self.store.delete(removed)
        for file, record in changes.copied:
            rows, number = self.store.of_files([record.id]), self.registry.next_id(1)
            self.store.append(Rows(np.full(len(rows), number, np.int32), rows.starts, rows.stops, rows.vectors))
            known = (record.digest, record.state, record.windows, record.seconds, record.reason)
            self._replace([FileRecord(number, file.path, file.root, file.size, file.mtime, *known)])

    def _replace(self, records: Sequence[FileRecord]) -> None:
        """Make files known whose windows are there, and remove those that they had before."""
        paths = {record.path for record in records}
        old = [record.id for record in self.registry.of_paths(paths)]
        self.registry.change(put=records, remove=old)
        self.store.delete(old)

    def _encode(self, files: Sequence[FoundFile]) -> None:
        by_path = {file.path: file for file in files}
        total, weight = len(files), max(sum(file.size for file in files), 1)

        def tell(path: str) -> None:
            seconds = self._seconds + sum(self._under_way.values())
            share = self._bytes / weight
            self.progress(AddProgress(self._files, total, self._windows, seconds, share, path))

        def glance(path: str, seconds: float) -> None:
            self._under_way[path] = seconds
            tell(path)

        self._since = time.monotonic()
        for result in self.encode(list(by_path), glance):
            self._take(by_path[result.path], result)
            tell(result.path)
            if self._waiting() >= FLUSH_WINDOWS or time.monotonic() - self._since > FLUSH_SECONDS:
                self._flush()

    def _take(self, file: FoundFile, result: EncodedVideo | Unencoded) -> None:
        self._files += 1
        self._bytes += file.size
        self._under_way.pop(file.path, None)
        digest = result.note
        if isinstance(result, Unencoded):
            self._told.append((file.path, str(result.error)))
            if not result.passing and _as_found(file):
                self._failed.append((file, digest, "failed", str(result.error)))
        elif not _as_found(file):
            self._told.append((file.path, f"{file.path}: {_CAUSE}."))
        elif result.damage is not None and result.damage.forbids(self.damaged):
            self._refuse(file, digest, result)
        else:
            self._windows += len(result.windows)
            self._seconds += result.duration
            self._done.append((file, digest, result))
            if result.damage is not None:
                self._harmed.append((file.path, str(result.damage)))

    def _refuse(self, file: FoundFile, digest: str, result: EncodedVideo) -> None:
        skipped = self.damaged == "skip"
        why = f"{file.path}: it is damaged ({result.damage}) and {'was skipped' if skipped else 'not indexed'}."
        self._told.append((file.path, why))
        self._failed.append((file, digest, "skipped" if skipped else "failed", why))

    def _waiting(self) -> int:
        return sum(len(result.windows) for _, _, result in self._done)

    def _flush(self) -> None:
        """Write the windows of finished files, then that they are finished.

        Killed in between, the windows belong to no file, and are removed when the index is next written.
        """
        done, failed = self._done, self._failed
        self._done, self._failed, self._since = [], [], time.monotonic()
        if not done and not failed:
            return
        try:
            self._write(done, failed)
        except BaseException:  # also Ctrl-C: it is written by the last flush, under other ids
            self._done, self._failed = [*done, *self._done], [*failed, *self._failed]
            raise

    def _write(self, done: Sequence[_Done], failed: Sequence[_Failed]) -> None:
        first = self.registry.next_id(len(done) + len(failed))
        records, parts = [], []
        for number, (file, digest, result) in enumerate(done, start=first):
            parts.append(_rows(number, result))
            reason = "" if result.damage is None else str(result.damage)
            facts = (len(result.windows), result.duration, reason)
            records.append(FileRecord(number, file.path, file.root, file.size, file.mtime, digest, "done", *facts))
        for number, (file, digest, state, why) in enumerate(failed, start=first + len(done)):
            known = (file.path, file.root, file.size, file.mtime)
            records.append(FileRecord(number, *known, digest, state, reason=why))
        if parts:
            self.store.append(Rows.joined(parts))
        self._replace(records)

    def _report(self, found: Scan, changes: Changes) -> AddReport:
        refused = {path for path, _ in self._told}
        return AddReport(
            added=len(changes.encode) - len(refused),
            changed=len(changes.changed - refused),
            moved=len(changes.moved),
            copied=len(changes.copied),
            touched=len(changes.touched),
            removed=len(changes.removed),
            unchanged=changes.unchanged,
            windows=self._windows,
            seconds=self._seconds,
            failed=tuple(self._told),
            damaged=tuple(self._harmed),
            kept=tuple(record.path for record in changes.kept),
            unreadable=tuple(found.unreadable),
        )


def _rows(number: int, result: EncodedVideo) -> Rows:
    windows = result.windows
    vectors = F.normalize(windows.embeddings, dim=-1).to(torch.float16).numpy()
    starts, stops = windows.starts.astype(np.float32), windows.stops.astype(np.float32)
    return Rows(np.full(len(windows), number, np.int32), starts, stops, vectors)


def _as_found(file: FoundFile) -> bool:
    """Whether a file is still what was listed."""
    try:
        now = os.stat(file.path)
    except OSError:
        return False
    return (now.st_size, now.st_mtime_ns) == (file.size, file.mtime)


def checked_inputs(folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """One folder or many, as a list.

    Raises:
        ClaverError: there is none.
    """
    given = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
    if not given:
        raise ClaverError("no folder is given; name those that hold the videos")
    return [os.fspath(folder) for folder in given]
