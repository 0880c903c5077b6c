"""Which files a command is asked to work on."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from claver.data.tree import VIDEO_SUFFIXES, Tree
from claver.errors import ClaverError


def find_videos(inputs: Sequence[str]) -> list[str]:
    """Files, the video files below folders, and what patterns such as `clips/**/*.mp4` match; each once, in order.

    Raises:
        ClaverError: an input that names nothing.
    """
    return list(dict.fromkeys(path for given in inputs for path in _expand(given)))


def _expand(given: str) -> list[str]:
    if not given:
        raise ClaverError("an empty name is no video; give files, folders or patterns")
    path = Path(given)
    if path.is_dir():
        found = [str(path / file) for file in Tree(path).videos]
        if not found:
            raise ClaverError(f"the folder {given} holds no video file ({' '.join(VIDEO_SUFFIXES)})")
        return found
    if path.exists() or not glob.has_magic(given):
        return [given]  # a missing file is reported where the others that cannot be read are
    matches = sorted(match for match in glob.glob(given, recursive=True) if Path(match).is_file())
    if not matches:
        raise ClaverError(f"no file matches {given}")
    return matches
