"""Odd files end in FFmpeg's errors, whatever PyAV makes of them, and give the same at every reading."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from claver.errors import VideoError
from claver.video import VideoReader, library, read_video
from tests.video.video_files import write_video


class Odd:
    """A container and decoder that yield one packet and then raise."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def demux(self, stream: Any) -> Iterator[Any]:
        yield SimpleNamespace(size=1)
        raise self.error

    def decode(self, packet: Any) -> list[Any]:
        raise self.error

    def to_ndarray(self, **_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [KeyError("x"), UnicodeDecodeError("utf-8", b"", 0, 1, "odd"), AssertionError()])
def test_foreign_errors_become_ffmpegs(error: Exception) -> None:
    packets = library.demux(Odd(error), None)
    assert next(packets).size == 1
    for call in (
        lambda: next(packets),
        lambda: library.decode(Odd(error), None),
        lambda: library.to_rgb(Odd(error), 1, 1),
    ):
        with pytest.raises(av.FFmpegError, match=type(error).__name__):
            call()


@pytest.mark.parametrize("error", [VideoError("the disk fails"), MemoryError()])
def test_a_disk_and_memory_are_not_the_files_fault(error: Exception) -> None:
    with pytest.raises(type(error)):
        library.decode(Odd(error), None)
    with pytest.raises(type(error)):
        list(library.demux(Odd(error), None))


def test_streams_that_appear_late_end_no_reading() -> None:
    assert len(list(library.demux(Odd(IndexError()), None))) == 1


def test_a_stream_that_appears_late(shared: Path) -> None:
    with VideoReader(shared / "cases" / "hostile" / "indexerror.ts") as video:
        assert video.info.frames == 61  # as many as the ffmpeg program shows
        assert video.read([60]).shape[0] == 1


def test_damaged_ffv1_gives_the_same_at_every_reading(tmp_path: Path) -> None:
    options = {"level": "3", "slices": "4", "slicecrc": "0", "g": "10"}
    data = bytearray(write_video(tmp_path / "clip.mkv", 20, codec="ffv1", options=options).read_bytes())
    for place in np.random.default_rng(0).integers(len(data) // 5, len(data), 5):
        data[place] ^= 16
    readings = {read_video(bytes(data), [10, 19], threads=threads).tobytes() for threads in (4, 0, 4, 1, 4, 4, 4, 4)}
    assert len(readings) == 1


@pytest.mark.parametrize(("codec", "count"), [("libwebp_anim", 5), ("libwebp", 1)])
def test_an_animated_webp_is_refused_with_the_reason(tmp_path: Path, codec: str, count: int) -> None:
    path = write_video(tmp_path / "clip.webp", count, codec=codec)
    if count == 1:
        assert read_video(path).shape == (1, 96, 128, 3)
        return
    with pytest.raises(
        VideoError, match="it is an animated WebP, which FFmpeg cannot decode; convert it to GIF or MP4"
    ):
        read_video(path)


def test_a_picture_is_converted_by_one_thread_to_the_same_pixels(tmp_path: Path) -> None:
    """swscale would start and end a thread per core for each picture, which takes longer than the conversion."""
    told: list[dict[str, Any]] = []

    class Recorded:
        def to_ndarray(self, **how: Any) -> Any:
            told.append(how)
            return frame.to_ndarray(**how)

    with av.open(write_video(tmp_path / "a.mp4", 2)) as container:
        frame = next(container.decode(video=0))
    for width, height in ((frame.width, frame.height), (frame.width + 16, frame.height)):
        ours = library.to_rgb(Recorded(), width, height)
        np.testing.assert_array_equal(ours, frame.to_ndarray(format="rgb24", width=width, height=height))
    assert [how["threads"] for how in told] == [1, 1]
