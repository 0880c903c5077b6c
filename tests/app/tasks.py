"""What worker processes are given to do in tests; importing it takes no time."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from claver.errors import VideoError


def fill(size: int) -> int:
    return len(bytearray(size))


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def fail() -> None:
    raise VideoError("clip.mp4: it is damaged.")


def count(upto: int, mark: str) -> Iterator[int]:
    """Numbers, and how far it came in a file."""
    for number in range(upto):
        Path(f"{mark}.new").write_text(f"{os.getpid()} {number}")
        Path(f"{mark}.new").replace(mark)
        yield number
