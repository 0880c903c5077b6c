"""The folder of a run: one run at a time writes there, and what an earlier one left is moved aside, never mixed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from claver.errors import CheckpointError
from claver.files import only_writer
from claver.log import logger

_RESULTS = ("last", "last.old", "best", "best.old", "logs", "inspect")
_held: set[tuple[int, Path]] = set()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Within this context nobody else trains into the folder; whoever holds it may ask again.

    Raises:
        ClaverError: another command does already.
    """
    key = threading.get_ident(), folder.absolute()
    if key in _held:
        yield
        return
    with only_writer(folder):
        _held.add(key)
        try:
            yield
        finally:
            _held.discard(key)


def results_in(folder: Path) -> list[Path]:
    """What an earlier run left."""
    return [folder / name for name in _RESULTS if (folder / name).exists()]


def set_aside(folder: Path) -> Path | None:
    """Move the results of an earlier run to `folder/earlier-N`, which is said; returns it, or None if there were none.

    Raises:
        CheckpointError: they cannot be moved.
    """
    if not (found := results_in(folder)):
        return None
    place = next(place for number in count(1) if not (place := folder / f"earlier-{number}").exists())
    try:
        place.mkdir()
        for path in found:
            os.rename(path, place / path.name)
    except OSError as error:
        raise CheckpointError(f"earlier results in {folder} cannot be moved aside: {error}") from error
    logger.warning("the results of an earlier run are now in %s", place)
    return place
