"""Previews that every browser plays: H.264 in MP4, without sound, bounded in length, size and pixels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from claver.app.limits import Limits
from claver.processes import going_on
from claver.video import VideoReader
from claver.video.packets import video_stream
from claver.video.source import Media

_MOST_RATE = 16.0
"""Frames of a preview in a second."""
_CONTAINERS = {"mp4": "video/mp4", "webm": "video/webm"}
_CODECS = frozenset(["h264", "vp8", "vp9", "av1"])
_COLORS = frozenset(["yuv420p", "yuvj420p"])


def plays_as(path: str) -> str | None:
    """The media type under which browsers play a file as it is; None if they may not."""
    media = Media(path)
    container = media.open()
    try:
        context = video_stream(media, container).codec_context
        names = container.format.name.split(",")
        kind = next((kind for name, kind in _CONTAINERS.items() if name in names), None)
        if kind == "video/webm" and not _is_webm(path):
            return None
        return kind if context.name in _CODECS | {"libdav1d"} and context.pix_fmt in _COLORS else None
    finally:
        container.close()


def _is_webm(path: str) -> bool:
    """FFmpeg has one name for Matroska and for WebM; the file says which it is."""
    with Path(path).open("rb") as file:
        return b"webm" in file.read(64)


def write_preview(path: str, target: str, limits: Limits, start: float = 0.0, stop: float | None = None) -> float:
    """Convert a part of a video.

    Args:
        path: of the video.
        target: of the preview.
        limits: its length, bytes and pixels.
        start: seconds, from which on.
        stop: seconds; None for the end.

    Returns:
        The seconds that the preview lasts: fewer than asked for where a limit was reached.

    Raises:
        VideoError: the video cannot be read, or has no frame there.
    """
    last = start + limits.preview_seconds
    with VideoReader(path, threads=1, progress=going_on) as video:
        rate = Fraction(max(1.0, min(video.info.fps, _MOST_RATE))).limit_denominator(1000)
        size = _size(video.info.width, video.info.height, limits.preview_side)
        frames = video.frames(fps=float(rate), start=start, stop=last if stop is None else min(stop, last))
        with av.open(target, "w", format="mp4", options={"movflags": "faststart"}) as container:
            count = _encode(container, frames, size, rate, limits.preview_bytes)
    return float(count / rate)


def _encode(container: Any, frames: Any, size: tuple[int, int], rate: Fraction, most: int) -> int:
    """Write frames until there are no more or the file is full; how many."""
    stream = container.add_stream("libx264", rate=rate, options={"crf": "25", "preset": "veryfast"})
    (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
    stream.codec_context.thread_count = 1
    written = count = 0
    for frame in frames:
        going_on()
        picture = av.VideoFrame.from_ndarray(frame.pixels, "rgb24").reformat(*size, format="yuv420p")
        picture.pts, picture.time_base = count, 1 / rate
        count += 1
        for packet in stream.encode(picture):
            written += packet.size
            container.mux(packet)
        if written > most:
            break
    container.mux(stream.encode())
    return count


def _size(width: int, height: int, most: int) -> tuple[int, int]:
    """Width and height of the same shape, even, neither more than so many pixels."""
    scale = min(1.0, most / max(width, height))
    return tuple(max(2, 2 * round(side * scale / 2)) for side in (width, height))  # type: ignore[return-value]
