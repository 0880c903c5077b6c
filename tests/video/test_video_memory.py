"""Memory: what reading holds, and that it lets go of it without the help of the garbage collector."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from claver.video import Preprocess, load_views
from tests.video.video_files import write_video

PREPROCESS = Preprocess(size=32, short_side=32)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def read(path: Path) -> None:
    load_views(path, frames=4, preprocess=PREPROCESS, normalized=False, threads=1)


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "libx264"), ("clip.avi", "mpeg4")])
def test_two_hundred_reads_leave_nothing_in_reference_cycles(
    tmp_path: Path, no_collector: None, name: str, codec: str
) -> None:
    path = write_video(tmp_path / name, 6, codec=codec, size=(360, 640))
    read(path)
    before = resident() if Path("/proc/self/statm").exists() else 0
    for _ in range(200):
        read(path)
    assert not [thing for thing in gc.get_objects() if type(thing) is av.VideoFrame]
    if before:
        assert resident() - before < 16 * 2**20  # one frame of each read would be 70 MB


def test_a_damaged_file_leaves_nothing_in_reference_cycles(tmp_path: Path, no_collector: None) -> None:
    path = write_video(tmp_path / "clip.mp4", 60, size=(360, 640), options={"g": "12"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(600)
    path.write_bytes(content)
    for _ in range(3):
        read(path)
    assert not [thing for thing in gc.get_objects() if type(thing) is av.VideoFrame]
