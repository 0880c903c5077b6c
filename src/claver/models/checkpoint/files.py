"""Files of a checkpoint, read only if they are regular files, and only up to a limit."""

from __future__ import annotations

import stat
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from claver.errors import CheckpointError, ClaverError
from claver.files import MOST_DOCUMENT
from claver.files import read_text as read_bounded
from claver.json_text import parse_json


def require_regular(path: Path) -> Path:
    """The path itself.

    Raises:
        CheckpointError: it is a pipe, a device or a socket: reading it might never end.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise CheckpointError(f"{path} is no regular file or folder; pipes and devices are not read")
    return path


def read_text(path: Path, most: int = MOST_DOCUMENT) -> str:
    """The contents of a regular file of at most `most` bytes.

    Raises:
        CheckpointError: it is larger, no regular file, not UTF-8, or cannot be read.
    """
    try:
        return read_bounded(require_regular(path), most)
    except ClaverError as error:
        raise CheckpointError(str(error)) from error


def read_list(path: Path, most: int = MOST_DOCUMENT) -> list[dict[str, Any]]:
    """The JSON objects of a list in a file.

    Raises:
        CheckpointError: it is none of objects, or cannot be read.
    """
    values = _parsed(path, most)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise CheckpointError(f"{path} should hold a list of JSON objects")
    return values


def read_json(path: Path, most: int = MOST_DOCUMENT) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CheckpointError: it is not one, or cannot be read.
    """
    values = _parsed(path, most)
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} should hold one JSON object")
    return values


def _parsed(path: Path, most: int) -> Any:
    text = read_text(path, most)
    try:
        return parse_json(text, str(path))
    except ClaverError as error:
        cause = error.__cause__
        told = f"{path} is not valid JSON: {cause}" if isinstance(cause, JSONDecodeError) else str(error)
        raise CheckpointError(told) from error
