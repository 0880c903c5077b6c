"""Frames of cameras and network streams, which have no known end and cannot be indexed first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av

from claver.errors import VideoError
from claver.video.damage import REACH, Damage, PassingSigns, judge
from claver.video.decoding import decode_plainly
from claver.video.iterating import (
    MOST_ROUNDED,
    Decoded,
    FrameIterator,
    Frames,
    Pace,
    Timed,
    judged_in_passing,
    timed_frames,
)
from claver.video.library import to_rgb
from claver.video.orientation import Orientation, shown_width
from claver.video.packets import DEFAULT_RATE, moving_stream
from claver.video.source import MAX_PIXELS
from claver.video.times import NO_TIME, PassingTimes

# Streams of pictures alone: the times that FFmpeg makes up for them are not those of showing.
UNTIMED = ("h264", "hevc", "m4v", "mpegvideo", "mjpeg", "obu")


def iterate_stream(container: Any, *, fps: float | None = None) -> FrameIterator:
    """The frames of an open stream as they come, for as long as it lasts: `for frame in iterate_stream(av.open(…))`.

    Seconds count from the first frame by the stream's time stamps; a jump of these, and a frame without one, counts as
    one usual spacing of the frames before. Packets that do not decode are passed over and counted in `damage`, which
    may be asked for at any time. Frames of another size are scaled to the first. Where there is a rate, a frame is
    given when the next has come, for only then is it known until when it is shown.

    Args:
        container: a PyAV input container of which nothing was decoded; the caller has opened it, and closes it.
        fps: frames a second, evenly spaced, each the one on screen at its time; None for every frame.

    Returns:
        An iterator of `TimedFrame`; it ends where the stream does.

    Raises:
        VideoError: there is no video in it, its frames are too large, or, while iterating, the stream broke off.
        ClaverError: `fps` is no rate.
    """
    stream = moving_stream(container)
    if stream is None:
        raise VideoError(f"{_name(container)}: it has no video stream that can be decoded.")
    live = _Live(container, stream)
    pace = Pace(fps, rounding=min(float(stream.time_base or 0), MOST_ROUNDED))
    return FrameIterator(timed_frames(live.timed(), pace, live.end, live.picture), live.judged)


class _Live:
    """A stream in passing: its times, its damage, and the shape of its first frame."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        rate = float(stream.average_rate or stream.guessed_rate or 0) or DEFAULT_RATE
        self._times = PassingTimes(float(stream.time_base or 0) or 1 / DEFAULT_RATE, rate)
        self._notes, self._signs = _RecentTimes(), PassingSigns()
        self._orientation, self._size = Orientation(), dict[str, int]()
        self._last = 0.0

    def timed(self) -> Timed:
        """The decoded frames with their seconds. Raises `VideoError` at the end of a stream that broke off."""
        frames = decode_plainly(self._container, self._stream, self._signs, self._notes)
        for decoded in judged_in_passing(frames, self._signs):
            self._last = self._times.seconds_of(self._tick(decoded))
            yield self._last, decoded
        if self._notes.broke_off is not None:
            raise VideoError(f"{_name(self._container)}: the stream broke off ({self._notes.broke_off}).")

    def end(self) -> float:
        """Seconds at which the last frame leaves the screen."""
        return self._last + self._times.usual

    def judged(self, share: float) -> Damage | None:
        return judge(self._signs, share, None, whole=True)

    def picture(self, frame: Any) -> Frames | None:
        """RGB of the size of the first frame, upright; None for a frame that cannot be converted."""
        if not self._size:
            self._take_shape(frame)
        try:
            return self._orientation.apply(to_rgb(frame, **self._size))
        except (av.FFmpegError, MemoryError):
            return None

    def _take_shape(self, frame: Any) -> None:
        self._orientation = Orientation.of_frame(frame)
        width = shown_width(frame.width, self._stream.sample_aspect_ratio)
        if width * frame.height > MAX_PIXELS:
            limit = f"more than the {MAX_PIXELS:,} that are read"
            raise VideoError(f"{_name(self._container)}: its frames are {width} × {frame.height} pixels, {limit}.")
        self._size = {"width": width, "height": frame.height}

    def _tick(self, decoded: Decoded) -> int | None:
        known = None if decoded.frame.pts is None else self._notes.times.get(decoded.frame.pts)
        return None if self._container.format.name in UNTIMED else known


class _RecentTimes:
    """The time stamps of the packets whose frames may still come, and how the stream broke off."""

    beside: Callable[[Any], None] | None = None

    def __init__(self) -> None:
        self.times: dict[int, int] = {}
        self.broke_off: str | None = None

    def passing(self, packets: Iterator[tuple[Any, int]]) -> Iterator[Any]:
        try:
            for packet, pts in packets:
                if pts != NO_TIME:
                    self.times[packet.pts] = pts
                self.times.pop(packet.pts - REACH, None)
                yield packet
        except av.FFmpegError as error:
            self.broke_off = error.strerror or str(error)
            raise


def _name(container: Any) -> str:
    return str(container.name or "<stream>")
