"""Which files a command is asked to work on."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from claver.data.tree import VIDEO_SUFFIXES
from claver.errors import ClaverError


def find_videos(inputs: Sequence[str]) -> list[str]:
    """Files, the video files below folders, and what patterns such as `clips/**/*.mp4` match; each once, in order.

    Raises:
        ClaverError: an input that names nothing.
    """
    return list(dict.fromkeys(path for given in inputs for path in _expand(given)))


def _expand(given: str) -> list[str]:
    path = Path(given)
    if path.is_dir():
        below = (file for file in path.rglob("*") if file.name.lower().endswith(VIDEO_SUFFIXES))
        found = sorted(str(file) for file in below if file.is_file() and not _hidden(file, path))
        if not found:
            raise ClaverError(f"the folder {given} holds no video file ({' '.join(VIDEO_SUFFIXES)})")
        return found
    if path.exists() or not glob.has_magic(given):
        return [given]  # a missing file is reported where the others that cannot be read are
    matches = sorted(match for match in glob.glob(given, recursive=True) if Path(match).is_file())
    if not matches:
        raise ClaverError(f"no file matches {given}")
    return matches


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
