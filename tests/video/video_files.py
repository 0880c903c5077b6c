"""Videos written for the tests, and the reference reader: PyAV decoding everything, in its simplest form."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

Picture = npt.NDArray[np.uint8]


def decode_all(source: Any) -> list[tuple[float | None, Picture]]:
    """Time and upright RGB picture of every frame that a full decode delivers, damaged packets passed over."""
    frames: list[tuple[float | None, Picture]] = []
    with av.open(source, metadata_errors="ignore") as container:
        stream = container.streams.best("video")
        stream.codec_context.thread_count = 1  # with more, damaged parts of H.264 show what was in memory before
        for packet in _packets(container, stream):
            try:
                decoded = packet.decode() if packet is not None else stream.codec_context.decode(None)
            except (av.FFmpegError, ValueError):
                continue
            frames += [(frame.time, _shown(frame, stream)) for frame in decoded]
    return frames


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """With an empty one at the end, or None at an error: the decoder is to give what it holds back, as players do."""
    try:
        yield from container.demux(stream)
    except av.FFmpegError:
        yield None


def decode_some(path: Path, indices: Iterable[int]) -> tuple[int, dict[int, Picture]]:
    """How many frames a full decode delivers, and the pictures of those at `indices`."""
    wanted, found, count = set(indices), {}, 0
    with av.open(path) as container:
        stream = container.streams.best("video")
        for frame in container.decode(stream):
            if count in wanted:
                found[count] = _shown(frame, stream)
            count += 1
    return count, found


def pictures(source: Any) -> list[Picture]:
    return [picture for _, picture in decode_all(source)]


def _shown(frame: Any, stream: Any) -> Picture:
    """With square pixels, each moved to where the display matrix sends it, signs only: a quarter turn, a mirror image,
    or both."""
    aspect = float(stream.sample_aspect_ratio or 1)
    square = 0.98 <= aspect <= 1.02 or not 0.25 <= aspect <= 4
    width = frame.width if square else round(frame.width * aspect)
    picture = frame.to_ndarray(format="rgb24", width=width)
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return picture
    (a, b), (c, d) = np.frombuffer(data, dtype=np.int32, count=9).reshape(3, 3)[:2, :2].tolist()
    turned = abs(a) + abs(d) < abs(b) + abs(c)
    y, x = np.indices(picture.shape[:2])
    xs, ys = (np.copysign(y, c), np.copysign(x, b)) if turned else (np.copysign(x, a), np.copysign(y, d))
    upright = np.empty((picture.shape[1], picture.shape[0], 3) if turned else picture.shape, dtype=np.uint8)
    upright[(ys - ys.min()).astype(int), (xs - xs.min()).astype(int)] = picture
    return upright


def moving_pictures(count: int, height: int = 96, width: int = 128) -> Iterable[Picture]:
    """`count` different pictures: a texture that slides, over it a square that moves the other way."""
    noise = np.random.default_rng(7).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    texture = noise.repeat(8, axis=0).repeat(8, axis=1)
    for number in range(count):
        picture = np.roll(texture, 2 * number, axis=1)
        left = (width - 24 - 3 * number) % (width - 24)
        picture[30:54, left : left + 24] = (number * 5 % 256, 255, 0)
        yield picture


def write_video(
    path: Path,
    count: int,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (96, 128),
) -> Path:
    """Write `count` moving pictures at 25 frames per second, or at `ticks` (1/1000 s)."""
    if codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no {codec}")
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, picture in enumerate(moving_pictures(count, *size)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if ticks is None else ticks[number]
            frame.time_base = Fraction(1, 25) if ticks is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
