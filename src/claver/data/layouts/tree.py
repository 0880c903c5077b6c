"""The files below a folder, listed once, and matched with listed clips under the names they may have."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from claver.data.manifest import SPLITS, normal_split
from claver.errors import ClaverError
from claver.names import composed, plain

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
        return _grouped((composed(stem(file)).casefold(), file) for file in self.videos)

    def find(self, wanted: Wanted) -> list[Found]:
        """The files that a listed clip may be: the path as it is listed, or else those of its name that suit it best.

        A file of the name suits where it does not lie in the folder of another class or split, and where the list
        names a folder, in that folder or in one of the class, or with the class in its name. One file is an answer;
        several are none.
        """
        if (self.root / wanted.listed).is_file():
            return [Found(wanted.listed, exact=True)]
        plain_stems = [composed(name).casefold() for name in wanted.stems]
        for table, names in ((self._by_stem, wanted.stems), (self._by_plain_stem, plain_stems)):
            for name in names:
                fitting = [file for file in table.get(name, ()) if wanted.suits(file)]
                agreement = {file: wanted.agreement(file) for file in fitting}
                if fitting:
                    best = max(agreement.values())
                    return [Found(file, agreement[file]) for file in fitting if agreement[file] == best]
        return []


@dataclass(frozen=True)
class Found:
    """A file that may be a listed clip, relative to the root: it is what was listed, or how well it agrees."""

    file: str
    agreement: tuple[int, bool] = (0, False)
    exact: bool = False


@dataclass(frozen=True)
class Wanted:
    """A listed clip that is looked for.

    Attributes:
        listed: its path as the list gives it.
        stems: file names without suffix that it may have, the likeliest first; the case of letters comes last.
        own: the spellings of its class, `plain`.
        classes: the spellings of all classes, `plain`.
        split: its part of the dataset, or empty.
        told_by_name: whether its file names are of this clip alone, wherever it lies, as those of Kinetics are.
    """

    listed: str
    stems: tuple[str, ...]
    own: frozenset[str]
    classes: frozenset[str]
    split: str = ""
    told_by_name: bool = False

    def suits(self, file: str) -> bool:
        """Whether a file of the name may be the clip, by the folders it is in."""
        folders = file.split("/")[:-1]
        known = [plain(folder) for folder in folders]
        if any(folder in self.classes and folder not in self.own for folder in known):
            return False
        if self.told_by_name:
            return True
        if self.split in SPLITS and not {normal_split(folder) for folder in folders} & {*SPLITS} <= {self.split}:
            return False
        *_, parent = ("", *self.listed.split("/")[:-1])
        if not parent or plain(parent) in known or self._names_class(file, known):
            return True
        return not folders and plain(parent) not in self.classes

    def agreement(self, file: str) -> tuple[int, bool]:
        """How well a file agrees: folders in common with the list, class and split; and the same suffix."""
        hints = self.own | {plain(part) for part in (self.split, *self.listed.split("/")[:-1])}
        name = file.rpartition("/")[2]
        shared = sum(plain(folder) in hints for folder in file.split("/")[:-1])
        return shared, name == self.listed.rpartition("/")[2]

    def _names_class(self, file: str, folders: list[str]) -> bool:
        name = plain(stem(file))
        return any(own in folders or own in name for own in self.own)


def stem(file: str) -> str:
    """The name of a file without folders and video suffixes; `a/b.mp4.mkv` gives `b`, as some tools name files."""
    name = file.rpartition("/")[2]
    for _ in range(2):
        head, dot, tail = name.rpartition(".")
        if head and f"{dot}{tail}".lower() in VIDEO_SUFFIXES:
            name = head
    return name


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
