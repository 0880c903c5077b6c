"""Ctrl-C in the middle of FFmpeg's call for bytes ends the reading, and is not taken for the end of the file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from claver.video import VideoReader
from claver.video.interrupts import interruptible
from tests.videos import write_video


class Pressed(io.BytesIO):
    """A file of which the so-many-th piece is asked for as Ctrl-C is pressed, before anything of the call has run."""

    def __init__(self, contents: bytes, when: int) -> None:
        super().__init__(contents)
        self.left = when

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().read(size)


@pytest.mark.parametrize("when", [3, 5, 8])
def test_it_ends_the_reading(when: int, tmp_path: Path) -> None:
    contents = write_video(tmp_path / "a.mp4", seed=0, frames=60, height=240, width=320).read_bytes()

    def read() -> Any:
        with VideoReader(Pressed(contents, when)) as reader:
            return list(reader.frames())

    with pytest.raises(KeyboardInterrupt):
        read()
    with interruptible:  # it is told once
        pass
