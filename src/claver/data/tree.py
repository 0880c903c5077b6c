"""The files below a folder, listed once, and found again under the names they may have come to bear."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

from claver.data.classes import plain
from claver.errors import ClaverError

VIDEO_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
ANNOTATION_SUFFIXES = (".csv", ".json", ".txt")
ANNOTATION_DEPTH = 3  # folders and file name: lists lie near the top, and a million files below need no look


class Tree:
    """A folder with all its files.

    Attributes:
        root: the folder.
        files: every file that is not hidden, relative to the root, with slashes, sorted; links are followed.
    """

    def __init__(self, root: str | Path) -> None:
        """List the folder. Raises `ClaverError` where there is none."""
        self.root = Path(root)
        if not self.root.is_dir():
            raise ClaverError(f"there is no folder {root}; give the one the dataset was unpacked into")
        self.files = sorted(_walk(self.root))

    @cached_property
    def videos(self) -> list[str]:
        """The files that are videos by their suffix."""
        return [file for file in self.files if file.lower().endswith(VIDEO_SUFFIXES)]

    @cached_property
    def annotations(self) -> list[Path]:
        """The lists near the top: CSV, JSON and text files."""
        near = (PurePosixPath(file) for file in self.files if file.lower().endswith(ANNOTATION_SUFFIXES))
        return [self.root / path for path in near if len(path.parts) <= ANNOTATION_DEPTH]

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped((stem(file), file) for file in self.videos)

    @cached_property
    def _by_plain_stem(self) -> dict[str, list[str]]:
        return _grouped((stem(file).casefold(), file) for file in self.videos)

    def find(self, listed: str, stems: Iterable[str], folders: Iterable[str]) -> str | None:
        """The file of a clip, relative to the root, or None.

        Args:
            listed: the path as a list gives it, relative to the root; taken if it exists.
            stems: file names without suffix that it may have, the likeliest first; the case of letters comes last.
            folders: names of folders it may be in (class, split), which decide between files of one name.
        """
        if (self.root / listed).is_file():
            return listed
        wanted = list(stems)
        hints = {plain(folder) for folder in folders}
        for table, names in ((self._by_stem, wanted), (self._by_plain_stem, [name.casefold() for name in wanted])):
            for name in names:
                if found := table.get(name):
                    return max(found, key=lambda file: _shared(file, hints))
        return None


def stem(file: str) -> str:
    """The name of a file without folders and video suffixes; `a/b.mp4.mkv` gives `b`, as some tools name files."""
    name = file.rpartition("/")[2]
    for _ in range(2):
        head, dot, tail = name.rpartition(".")
        if head and f"{dot}{tail}".lower() in VIDEO_SUFFIXES:
            name = head
    return name


def _shared(file: str, hints: set[str]) -> int:
    return sum(plain(part) in hints for part in file.split("/")[:-1])


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for key, value in pairs:
        table.setdefault(key, []).append(value)
    return table


def _walk(root: Path) -> Iterator[str]:
    """Files with slashes; each folder once, though links may lead to it again and again."""
    seen: set[str] = set()
    for folder, below, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        below[:] = sorted(name for name in below if not name.startswith(".")) if real not in seen else []
        if real in seen:
            continue
        seen.add(real)
        relative = Path(folder).relative_to(root).as_posix()
        yield from (name if relative == "." else f"{relative}/{name}" for name in files if not name.startswith("."))
