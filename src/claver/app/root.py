"""The one folder whose videos visitors may name: nothing outside of it is opened, by whatever way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from claver.data.layouts.tree import VIDEO_SUFFIXES
from claver.errors import ClaverError
from claver.terminal import shown

MOST_LISTED = 2000


class Root:
    """Videos below a folder.

    Args:
        folder: what is open to visitors.

    Raises:
        ClaverError: there is no such folder.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            self.folder = Path(folder).resolve(strict=True)
        except OSError as error:
            raise ClaverError(f"--root {shown(str(folder))}: there is no such folder") from error
        if not self.folder.is_dir():
            raise ClaverError(f"--root {shown(str(folder))} is no folder; name one that holds videos")

    def holds(self, path: str | Path) -> bool:
        """Whether a path, with all links followed, is that of a file below the folder."""
        try:
            real = Path(path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            return False
        return real.is_relative_to(self.folder) and real.is_file()

    def find(self, given: str) -> Path:
        """The file that a visitor names, relative to the folder.

        Raises:
            ClaverError: there is no such file, or it lies outside, perhaps by way of a link. Which of the two is not
                said.
        """
        name = given.strip()
        if not name or "\0" in name or not self.holds(self.folder / name):
            raise ClaverError(f"there is no file {shown(name)[:200]!r} in the folder that is open here")
        return (self.folder / name).resolve(strict=True)

    def videos(self) -> list[str]:
        """Names of the video files below the folder, in order, at most so many as a list can show."""
        found = []
        for name in self._walk():
            found.append(name)
            if len(found) == MOST_LISTED:
                break
        return sorted(found)

    def _walk(self) -> Iterator[str]:
        for place, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(place, name)
                if path.suffix.lower() in VIDEO_SUFFIXES and not name.startswith(".") and self.holds(path):
                    yield path.relative_to(self.folder).as_posix()
