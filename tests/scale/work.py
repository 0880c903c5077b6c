"""What actors do in tests: a record for each name, which may say what happens to who does it."""

import ctypes
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from claver.errors import ClaverError
from claver.inference.jobs import Record, error_record


def open_work(log: str, seconds: float = 0.0) -> Callable[[Sequence[str]], Iterable[Record]]:
    """Notes its process, and does items."""
    with open(f"{log}.opened", "a") as file:
        file.write(f"{os.getpid()}\n")
    return partial(do, log, seconds)


def do(log: str, seconds: float, items: Sequence[str]) -> Iterator[Record]:
    for item in items:
        with open(log, "a") as file:
            file.write(f"{item}\n")
        time.sleep(seconds)
        if item.startswith("crash"):
            ctypes.string_at(0)
        if item.startswith("bad"):
            yield error_record(item, f"{item}: it is no video.")
        else:
            yield {"path": item, "length": len(item), "process": os.getpid()}


def open_nothing() -> Any:
    raise ClaverError("there is no such model")


def die_opening() -> Any:
    ctypes.string_at(0)


def begun(log: Path) -> list[str]:
    """The items that were begun so far, again those that were begun again."""
    return log.read_text().splitlines() if log.exists() else []


def processes(log: Path) -> list[int]:
    """Of all actors that were opened."""
    return [int(line) for line in Path(f"{log}.opened").read_text().split()]
