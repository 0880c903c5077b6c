"""Errors meant for the person at the keyboard: one sentence that says what is wrong, where, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike

_LONGEST_NAME = 400
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^\s/]*@")
_QUERY = re.compile(r"(?<=://)([^\s?]*\?)[^\s'\"]+")


class ClaverError(ValueError):
    """Bad input. The command line prints its message alone and exits with a code other than 0."""


class VideoError(ClaverError):
    """A video that cannot be read; the message names the file and the cause."""


class CheckpointError(ClaverError):
    """Weights or a model folder that cannot be used as requested."""


class PeerError(CheckpointError):
    """A model of somebody else's that is run as a peer, by `claver evaluate` alone."""


@contextmanager
def told_of(place: PathLike[str]) -> Iterator[None]:
    """Within this context what is wrong is said of a checkpoint at this place, unless it says where itself."""
    try:
        yield
    except ClaverError as error:
        if str(place) in str(error):
            raise
        raise CheckpointError(f"{place}: {error}") from error


def in_short(name: str) -> str:
    """A name as messages show it: of an endless one, which no file has, the beginning and the end.

    Of an address neither a password nor what follows `?`, where stores have signatures.
    """
    if _ADDRESS.match(name):
        place, asked, _ = _USER.sub("", name).partition("?")
        name = f"{place}?…" if asked else place
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME // 2]} … {name[-_LONGEST_NAME // 4 :]}"


def without_secrets(text: str) -> str:
    """A text of others, such as an error of a library's, in which addresses have neither a password nor a query."""
    return _QUERY.sub(r"\1…", _USER.sub("", text))
