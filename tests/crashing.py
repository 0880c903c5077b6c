"""Decoders that crash, for worker processes of tests: each really ends its process, by the signal of a crash."""

import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from claver.index.files import digest_of
from claver.inference.far import Part, read_parts
from claver.video import Preprocess, VideoInfo

CRASHES, KILLED, HANGS = "crashes", "killed", "hangs"


def end_process(name: str) -> None:
    """What a file of such a name does to a worker process that reads it."""
    if multiprocessing.parent_process() is None:
        return
    if CRASHES in name:
        ctypes.string_at(0)  # a real segmentation fault
    if KILLED in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if HANGS in name:
        time.sleep(600)


@dataclass(frozen=True)
class CrashingPreprocess(Preprocess):
    """Crashes at a white frame, in the middle of a video."""

    def crop(self, frames: Any, *more: Any) -> Any:
        if np.asarray(frames).mean() > 240:
            ctypes.string_at(0)
        return super().crop(frames, *more)


def read_crashing(path: str, fps: float) -> Iterator[Part]:
    """As `read_parts`, until the first frame of a file whose name says so."""
    for part in read_parts(path, fps):
        if not isinstance(part, VideoInfo):
            end_process(path)
        yield part


def note_crashing(path: str) -> str:
    """A note of each file, or the end of the process."""
    end_process(path)
    return f"note of {path}"


def digest_crashing(path: str) -> str:
    """The digest of a file, or the end of the process."""
    end_process(path)
    return digest_of(path)
