"""Which files lie below folders, and how they differ from those that an index has."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from claver.data.layouts.tree import VIDEO_SUFFIXES
from claver.errors import ClaverError
from claver.index.registry import FileRecord


@dataclass(frozen=True)
class FoundFile:
    """A video file that was found.

    Attributes:
        path: absolute, without links: a file that is reached in two ways is found once.
        root: the folder or file given, the same way.
        size: bytes.
        mtime: when it was changed last, in nanoseconds.
    """

    path: str
    root: str
    size: int
    mtime: int


@dataclass
class Scan:
    """What lies below some folders.

    Attributes:
        roots: the folders and files given, absolute, without links.
        files: by path.
        unreadable: folders that could not be listed, with the reason.
    """

    roots: list[str] = field(default_factory=list)
    files: dict[str, FoundFile] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def scan(inputs: Sequence[str]) -> Scan:
    """List the video files below folders, by their suffix; hidden ones are left out, links are followed, circles end.

    Raises:
        ClaverError: an input is neither a folder nor a file.
    """
    found = Scan()
    for given in inputs:
        if not given or "\0" in given or not os.path.exists(given):
            raise ClaverError(f"there is no folder or file {given!r}; give the folders that hold the videos")
        root = os.path.realpath(given)
        found.roots.append(root)
        for path in _walk(root, found.unreadable) if os.path.isdir(root) else [root]:
            _note(path, root, found.files)
    return found


def _walk(root: str, unreadable: list[tuple[str, str]]) -> Iterator[str]:
    """Video files; each folder once, though links may lead to it again and again."""
    seen: set[str] = set()

    def failed(error: OSError) -> None:
        unreadable.append((str(error.filename), error.strerror or str(error)))

    for folder, below, files in os.walk(root, onerror=failed, followlinks=True):
        real = os.path.realpath(folder)
        below[:] = sorted(name for name in below if not name.startswith(".")) if real not in seen else []
        if real not in seen:
            seen.add(real)
            videos = (name for name in sorted(files) if not name.startswith("."))
            yield from (os.path.join(real, name) for name in videos if name.lower().endswith(VIDEO_SUFFIXES))


def _note(path: str, root: str, files: dict[str, FoundFile]) -> None:
    real = os.path.realpath(path)
    try:
        found = os.stat(real)
    except OSError:  # a link to nothing, or removed since it was listed
        return
    if stat.S_ISREG(found.st_mode):  # a pipe with the name of a video would be waited for without end
        files.setdefault(real, FoundFile(real, root, found.st_size, found.st_mtime_ns))


def is_below(path: str, folder: str) -> bool:
    """Whether a path is that of a folder or of something in it; both absolute."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def digest_of(path: str) -> str:
    """SHA-256 of a file's contents.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Changes:
    """What is to be done so that an index agrees with folders.

    Attributes:
        encode: files that are new, changed, or tried again.
        changed: those of them that the index has other contents of.
        moved: records under their new path.
        touched: records with their new time: the contents are the same.
        copied: found files with the record that has the same contents.
        removed: records of files that are gone.
        kept: records of files in folders that are gone or empty, as when a disk is not mounted.
        unchanged: files that are as they were.
    """

    encode: list[FoundFile] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    moved: list[FileRecord] = field(default_factory=list)
    touched: list[FileRecord] = field(default_factory=list)
    copied: list[tuple[FoundFile, FileRecord]] = field(default_factory=list)
    removed: list[FileRecord] = field(default_factory=list)
    kept: list[FileRecord] = field(default_factory=list)
    unchanged: int = 0


def compare(
    found: Scan,
    records: Iterable[FileRecord],
    *,
    again: Callable[[FileRecord], bool] = lambda record: False,
    forget: bool = False,
) -> Changes:
    """How folders differ from what an index has. A file is read only if size or time say that it may be another.

    Args:
        found: the folders.
        records: what the index has.
        again: whether a file that failed is to be tried again although it is as it was.
        forget: whether files are removed whose folder is gone or empty.
    """
    return _Comparison(found, list(records), again, forget).changes()


class _Comparison:
    def __init__(
        self, found: Scan, records: list[FileRecord], again: Callable[[FileRecord], bool], forget: bool
    ) -> None:
        self._found, self._again, self._forget = found, again, forget
        self._by_path = {record.path: record for record in records}
        self._by_size: dict[int, list[FileRecord]] = {}
        for record in records:
            if record.state == "done":
                self._by_size.setdefault(record.size, []).append(record)
        self._moved: set[int] = set()
        self._changes = Changes()

    def changes(self) -> Changes:
        for file in self._found.files.values():
            record = self._by_path.get(file.path)
            if record is None:
                self._unknown(file)
            else:
                self._known(file, record)
        self._gone()
        return self._changes

    def _known(self, file: FoundFile, record: FileRecord) -> None:
        same_size = file.size == record.size
        same = same_size and file.mtime == record.mtime
        if not same and same_size and _digest_or_none(file.path) == record.digest:
            same, record = True, replace(record, mtime=file.mtime)
            self._changes.touched.append(record)
        elif same:
            self._changes.unchanged += 1
        if not same or self._again(record):
            self._changes.encode.append(file)
            if not same:
                self._changes.changed.add(file.path)

    def _unknown(self, file: FoundFile) -> None:
        """A new path: perhaps a file under another name, or a copy of one."""
        alike = self._by_size.get(file.size, [])
        digest = _digest_or_none(file.path) if alike else None
        same = [record for record in alike if record.digest == digest and record.id not in self._moved]
        gone = [record for record in same if not os.path.lexists(record.path) and self._has_left(record)]
        if gone:
            self._moved.add(gone[0].id)
            self._changes.moved.append(replace(gone[0], path=file.path, root=file.root, mtime=file.mtime))
        elif usable := [record for record in same if self._stands(record) or not os.path.lexists(record.path)]:
            self._changes.copied.append((file, usable[0]))
        else:
            self._changes.encode.append(file)

    def _has_left(self, record: FileRecord) -> bool:
        """Whether a file that is not there is gone for good, and not just on a disk that is not mounted."""
        folder = os.path.dirname(record.path)
        return self._scanned(record) and (self._forget or not os.path.isdir(folder) or self._folder_stands(record.path))

    def _stands(self, record: FileRecord) -> bool:
        """Whether a file is as the index has it, so that its windows are not about to be replaced."""
        try:
            now = os.stat(record.path)
        except OSError:
            return False
        return (now.st_size, now.st_mtime_ns) == (record.size, record.mtime)

    def _gone(self) -> None:
        """Files that the folders had and have no more."""
        for path, record in self._by_path.items():
            if path in self._found.files or record.id in self._moved or not self._scanned(record):
                continue
            if os.path.lexists(path):  # in a folder that could not be read, or hidden by now
                continue
            unread = any(is_below(path, folder) for folder, _ in self._found.unreadable)
            if not unread and (self._forget or self._folder_stands(path)):
                self._changes.removed.append(record)
            else:
                self._changes.kept.append(record)

    def _scanned(self, record: FileRecord) -> bool:
        roots = self._found.roots
        return record.root in roots or any(is_below(record.path, root) for root in roots)

    def _folder_stands(self, path: str) -> bool:
        """Whether the folder of a file is there and holds something; that of a disk that is not mounted does not."""
        try:
            with os.scandir(os.path.dirname(path)) as entries:
                return next(entries, None) is not None
        except OSError:
            return False


def _digest_or_none(path: str) -> str | None:
    try:
        return digest_of(path)
    except OSError:
        return None
