"""Streams that cannot be listed or sought, through a pipe: times, rates, sizes, damage, and their end."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from claver.errors import ClaverError, VideoError
from claver.video import VideoReader, iterate_stream
from tests.video.video_files import Picture, moving_pictures, pictures, write_video

B_FRAMES = {"bf": "2", "g": "12"}


@contextmanager
def piped(data: bytes) -> Iterator[Any]:
    """A container that reads these bytes from a pipe."""
    reading, writing = os.pipe()

    def write() -> None:
        try:
            with open(writing, "wb") as stream:
                stream.write(data)
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        with open(reading, "rb", buffering=0) as stream, av.open(stream) as container:
            yield container
    finally:
        writer.join(10)


def same(given: list[Any], expected: list[Picture]) -> bool:
    return len(given) == len(expected) and all(
        np.array_equal(frame.pixels, one) for frame, one in zip(given, expected, strict=True)
    )


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_transport_stream_through_a_pipe(tmp_path: Path, codec: str) -> None:
    path = write_video(tmp_path / "clip.ts", 60, codec=codec, options=B_FRAMES)
    expected = pictures(path)
    assert len(expected) == 60
    with piped(path.read_bytes()) as container:
        iterator = iterate_stream(container)
        given = list(iterator)
        assert iterator.damage is None
    assert same(given, expected)
    assert [frame.seconds for frame in given] == pytest.approx(np.arange(60) / 25)
    with VideoReader(path) as video:
        assert [frame.seconds for frame in given] == pytest.approx(video.info.timestamps)


@pytest.mark.parametrize("name", ["clip.ts", "clip.mkv", "clip.flv", "clip.h264", "clip.avi", "clip.mpg"])
def test_at_a_rate_as_files(tmp_path: Path, name: str) -> None:
    codec = {"mpg": "mpeg2video", "avi": "mpeg4"}.get(name[-3:], "libx264")
    path = write_video(tmp_path / name, 60, codec=codec, options=B_FRAMES)
    with piped(path.read_bytes()) as container, VideoReader(path) as video:
        given = list(iterate_stream(container, fps=8))
        expected = list(video.frames(fps=8))
    assert [frame.seconds for frame in given] == pytest.approx([frame.seconds for frame in expected], abs=0.0011)
    assert same(given, [frame.pixels for frame in expected])


def test_a_camera_that_pauses_shows_its_last_frame(tmp_path: Path) -> None:
    ticks = [0, 40, 80, 1080, 1120, 3_600_000, 3_600_040]
    path = write_video(tmp_path / "clip.ts", len(ticks), ticks=ticks, options={"bf": "0"})
    expected = pictures(path)
    with piped(path.read_bytes()) as container:
        given = list(iterate_stream(container, fps=5))
    assert [frame.seconds for frame in given] == pytest.approx([0, *[0.08] * 5, 1.2])
    assert same(given, [expected[0], *[expected[2]] * 5, expected[6]])
    with piped(path.read_bytes()) as container:
        assert [frame.seconds for frame in iterate_stream(container)] == pytest.approx(
            [0, 0.04, 0.08, 1.08, 1.12, 1.16, 1.2]
        )


def test_sizes_that_change_are_scaled_to_the_first(tmp_path: Path) -> None:
    first = write_video(tmp_path / "first.ts", 20, options={"bf": "0"})
    second = write_video(tmp_path / "second.ts", 20, options={"bf": "0"}, size=(192, 160))
    with piped(first.read_bytes() + second.read_bytes()) as container:
        given = list(iterate_stream(container))
    assert {frame.pixels.shape for frame in given} == {(96, 128, 3)}
    assert same(given[:20], pictures(first))
    assert 38 <= len(given) <= 40
    assert np.diff([frame.seconds for frame in given]) == pytest.approx(0.04)


def test_corrupt_packets_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.ts", 60, options={"bf": "0", "g": "10", "sc_threshold": "0"})
    data = bytearray(path.read_bytes())
    start = len(data) // 2 // 188 * 188
    data[start : start + 10 * 188] = bytes(10 * 188)
    expected = {picture.tobytes() for picture in pictures(path)}
    with piped(bytes(data)) as container:
        iterator = iterate_stream(container)
        given = list(iterator)
    assert 30 < len(given) <= 60
    assert any(frame.damaged for frame in given)
    assert {frame.pixels.tobytes() for frame in given if not frame.damaged} <= expected
    assert iterator.damage is not None
    assert 0 < iterator.damage.share < 1


def test_a_stream_in_which_nothing_decodes_ends(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", 20)
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    for packet in packets:
        data = data.replace(packet, b"\xff" * len(packet))
    with piped(data) as container:
        iterator = iterate_stream(container)
        assert list(iterator) == []
        assert iterator.damage is not None
        assert "20 of its 20 packets give no frame" in iterator.damage.cause


def test_frames_come_before_the_stream_ends() -> None:
    """One that is written while it is read, as a camera is: what is left behind is what the decoder holds back."""
    reading, writing = os.pipe()
    ahead: list[int] = []
    sent = threading.Semaphore(0)

    def write() -> None:
        with open(writing, "wb", buffering=0) as stream, av.open(stream, "w", format="mpegts") as out:
            video = out.add_stream("libx264", rate=25, options={"bf": "0", "tune": "zerolatency"})
            video.height, video.width, video.pix_fmt = 96, 128, "yuv420p"
            for number, picture in enumerate(moving_pictures(400)):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                out.mux(video.encode(frame))
                ahead.append(number)
                if number > 200:
                    assert sent.acquire(timeout=30)
            out.mux(video.encode())

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    with open(reading, "rb", buffering=0) as stream, av.open(stream, options={"probesize": "20000"}) as container:
        for number, _ in enumerate(iterate_stream(container)):
            sent.release()
            assert number <= ahead[-1] + 1
    writer.join(10)
    assert number == 399


def test_a_stream_that_breaks_off_is_told_after_its_frames(tmp_path: Path) -> None:
    data = write_video(tmp_path / "clip.ts", 60, options={"bf": "0"}).read_bytes()

    class Broken:
        at = 0

        def read(self, size: int) -> bytes:
            if self.at > len(data) // 2:
                raise ConnectionResetError(104, "Connection reset by peer")
            part = data[self.at : self.at + size]
            self.at += len(part)
            return part

    given = []
    with (
        av.open(Broken(), options={"probesize": "5000"}, buffer_size=4096) as container,
        pytest.raises(VideoError, match=r"the stream broke off .*Connection reset by peer"),
    ):
        given.extend(iterate_stream(container))
    assert len(given) > 10


def test_memory_does_not_grow(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.ts", 3000, size=(64, 64), options={"bf": "2", "g": "50"})
    with piped(path.read_bytes()) as container:
        frames = iterate_stream(container)
        live = frames._frames.gi_frame.f_locals["timed"].gi_frame.f_locals["self"]
        assert sum(1 for _ in frames) == 3000
        assert len(live._notes.times) < 100
        assert len(live._signs._keys) < 100
        assert len(live._signs._shown) < 200
        assert not live._signs._frames


def test_what_is_no_video_or_no_rate(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(path, "w") as out:
        sound = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        part = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        part.sample_rate = 8000
        out.mux(sound.encode(part))
    with av.open(path) as container, pytest.raises(VideoError, match=r"it has no video stream that can be decoded\.$"):
        iterate_stream(container)
    with av.open(write_video(tmp_path / "clip.ts", 3)) as container, pytest.raises(ClaverError, match="fps is"):
        iterate_stream(container, fps=-1)
