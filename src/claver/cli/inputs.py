"""The files and actions that a command works on."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from claver.errors import ClaverError
from claver.files import MOST_TEXT


def find_videos(inputs: Sequence[str]) -> list[str]:
    """Files, the video files below folders, and what patterns such as `clips/**/*.mp4` match; each once, in order.

    `-` stands for a list on stdin: a name a line, or names that end in null characters.

    Raises:
        ClaverError: an input that names nothing.
    """
    named = [name for given in inputs for name in (_listed() if given == "-" else [given])]
    return list(dict.fromkeys(path for name in named for path in _expand(name)))


def given_actions(given: str) -> str | tuple[str, ...]:
    """What `--actions` says; `-` stands for an action a line on stdin.

    Raises:
        ClaverError: there is none, or it is not UTF-8.
    """
    if given != "-":
        return given
    try:
        lines = _stdin().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ClaverError(f"the actions on stdin are not UTF-8 text (byte {error.start})") from error
    if not (names := tuple(line.strip() for line in lines if line.strip())):
        raise ClaverError("stdin names no action; give one a line")
    return names


def _listed() -> list[str]:
    content = _stdin()
    names = content.split(b"\0") if b"\0" in content else [line.removesuffix(b"\r") for line in content.split(b"\n")]
    if not any(names):
        raise ClaverError("stdin names no file; give one a line, such as `find clips -name '*.mp4'` prints")
    return [os.fsdecode(name) for name in names if name]


def _stdin() -> bytes:
    content = sys.stdin.buffer.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise ClaverError(f"stdin has more than {MOST_TEXT:,} bytes, too many for a list")
    return content


def _expand(given: str) -> list[str]:
    from claver.data.layouts.tree import VIDEO_SUFFIXES, Tree

    if not given:
        raise ClaverError("an empty name is no video; give files, folders or patterns")
    path = Path(given)
    if "\0" in given:
        raise ClaverError(f"a name of a file holds no null character, as {given!r} does")
    if os.path.isdir(path):
        found = [str(path / file) for file in Tree(path).videos]
        if not found:
            raise ClaverError(f"the folder {given} holds no video file ({' '.join(VIDEO_SUFFIXES)})")
        return found
    if os.path.exists(path) or "://" in given or not glob.has_magic(given):
        return [given]  # a missing file is reported where the others that cannot be read are
    matches = sorted(match for match in glob.glob(given, recursive=True) if Path(match).is_file())
    if not matches:
        raise ClaverError(f"no file matches {given}")
    return matches


class FilesCommand(TyperCommand):
    """A command on files; of one whose name begins with a dash, as some of Kinetics do, it says how it is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As every command, with a hint in the complaint about an option that there is not."""
        named = [arg for arg in args if arg.startswith("-") and ("." in arg or os.path.lexists(arg))]
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # of the copy of click that Typer brings, whose types are not public
            if named and hasattr(error, "option_name"):
                error.message = f"{error.message}; a file whose name begins with a dash is given as ./{named[0]}"  # type: ignore[attr-defined]
            raise
