"""Memory: what reading holds, and that it lets go of it without the help of the garbage collector."""

import gc
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from claver.data.clips import ClipDecoder, ClipLocation
from claver.errors import VideoError
from claver.video import Preprocess, load_views
from tests.video.video_files import write_video
from tests.videos import write_big_gif

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


def alive() -> set[int]:
    """The frames that the collector knows; other tests may keep pictures, which keep the frames they are of."""
    return {id(thing) for thing in gc.get_objects() if type(thing) is av.VideoFrame}


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "libx264"), ("clip.avi", "mpeg4")])
def test_two_hundred_reads_leave_nothing_in_reference_cycles(
    tmp_path: Path, no_collector: None, name: str, codec: str
) -> None:
    path = write_video(tmp_path / name, 6, codec=codec, size=(360, 640))
    read(path)
    before, known = resident() if Path("/proc/self/statm").exists() else 0, alive()
    for _ in range(200):
        read(path)
    assert not alive() - known
    if before:
        assert resident() - before < 16 * 2**20  # one frame of each read would be 70 MB


def test_a_damaged_file_leaves_nothing_in_reference_cycles(tmp_path: Path, no_collector: None) -> None:
    path = write_video(tmp_path / "clip.mp4", 60, size=(360, 640), options={"g": "12"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(600)
    path.write_bytes(content)
    known = alive()
    for _ in range(3):
        read(path)
    assert not alive() - known


def peak(task: str, path: Path) -> int:
    """The most bytes that a process of its own had in memory beyond what it had before the task."""
    code = (
        "import resource, sys, torch; from claver.video import load_views\n"
        "from claver.data.clips import Place, Reading\n"
        "torch.set_num_threads(1); used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"before = used(); path = sys.argv[1]; {task}\nprint(used() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no peak of memory to ask for")
@pytest.mark.parametrize(
    "task",
    [
        "load_views(path, frames=8, temporal_views=4, normalized=False, threads=1)",
        "Reading(32, sampling='centre').frames_of(Place(path, path))",
    ],
)
def test_frames_are_resized_as_they_arrive(tmp_path: Path, task: str) -> None:
    path = write_big_gif(tmp_path / "big.gif", frames=32, height=2000, width=3000)
    assert peak(task, path) < 400 * 2**20  # 32 frames are 576 MB in RGB, and as many more where they are copied


@pytest.mark.skipif(sys.platform == "win32", reason="there is no peak of memory to ask for")
def test_a_narrow_video_is_cropped_as_it_arrives(tmp_path: Path) -> None:
    path = write_big_gif(tmp_path / "narrow.gif", frames=12, height=16, width=8000)  # 128,000 × 256 when resized
    assert peak("load_views(path, frames=8, temporal_views=4, normalized=False, threads=1)", path) < 500 * 2**20


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
def test_a_video_too_narrow_to_be_resized_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_big_gif(tmp_path / "line.gif", frames=2, height=size[0], width=size[1])
    with pytest.raises(VideoError, match=rf"^{path}: frames of {size[0]} × {size[1]} pixels are too narrow") as caught:
        load_views(path, frames=2)
    assert str(caught.value).endswith(".")
    with pytest.raises(VideoError, match=rf"^<frames>: frames of {size[0]} × {size[1]} pixels are too narrow"):
        load_views(np.zeros((2, *size, 3), np.uint8), frames=2)
    with pytest.raises(VideoError, match="too narrow"):
        ClipDecoder(2, sampling="centre").frames_of(ClipLocation(str(path), str(path)))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no peak of memory to ask for")
def test_huge_frames_do_not_pile_up(tmp_path: Path) -> None:
    path = write_big_gif(tmp_path / "huge.gif", frames=6, height=4000, width=6000)  # a frame has 96 MB as the decoder's
    assert peak("load_views(path, frames=6, normalized=False, threads=1)", path) < 450 * 2**20


def write_png(path: Path, *, height: int, width: int) -> None:
    """A black picture of few bytes."""
    rows = zlib.compress(bytes(height * (1 + 3 * width)), 1)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no peak of memory to ask for")
@pytest.mark.parametrize("name", ["huge.gif", "huge.png"])
def test_a_video_of_too_large_frames_is_refused_before_any_is_decoded(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".gif":
        write_big_gif(path, frames=2, height=8192, width=8193)
    else:
        write_png(path, height=8192, width=8193)
    what = "its frames are 8193 × 8192 pixels, more than the 67,108,864 that are read; scale it down."
    with pytest.raises(VideoError, match=rf"^{path}: {what}$"):
        load_views(path, frames=2)
    task = "\ntry: load_views(path, frames=2)\nexcept ValueError: pass"
    assert peak(task, path) < 100 * 2**20
