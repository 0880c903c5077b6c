"""The packets of a video stream and the frames they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from av.stream import Disposition

from claver.video.ffmpeg_log import Messages
from claver.video.library import demux
from claver.video.source import Media
from claver.video.times import MAX_REORDER, NO_TIME, FrameTimes, frame_times

# Two days at 24 frames per second; more are a flood that is meant to fill memory.
MAX_PACKETS = 2**22
# Containers that store the presentation time of every frame. For AVI, raw streams and others FFmpeg guesses it.
MP4, MATROSKA = TIMED_CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
# Codecs of which every packet shows exactly one frame. (VP8 has packets that show none.)
ONE_FRAME_CODECS = ("h264", "hevc", "av1", "libdav1d", "vp9", "mpeg4", "mjpeg", "ffv1", "prores")
DEFAULT_RATE = 25.0
STILLS = Disposition.attached_pic | Disposition.timed_thumbnails

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PacketTable:
    """What the container says of its P packets, in decoding order.

    Attributes:
        pts: [P] when each is shown, in ticks of `time_base` seconds from any beginning, `NO_TIME` for unknown.
        key, shown: [P] flags.
        time_base, rate: seconds, and frames per second.
        codec: FFmpeg's name.
        trusted: whether the table alone tells the frames and their order.
        dts: [P] when each is decoded, as FFmpeg finds packets in MP4 files; None where it finds them by `pts`.
        seekable: whether a packet can be found in the file without reading those before.
        packets: the packets themselves, None where they are too many to keep, or are left in the file.
        complaints: what FFmpeg wrote to its log when the packets were listed.
        others_end: seconds where the last packet of the other tracks ends, as far as they went by.
    """

    pts: Ints
    key: Bools
    shown: Bools
    time_base: float
    rate: float
    codec: str
    trusted: bool = False
    dts: Ints | None = None
    seekable: bool = False
    packets: list[Any] | None = None
    complaints: Messages = field(default_factory=list)
    others_end: float = 0.0

    @classmethod
    def of(cls, stream: Any, pts: Ints, key: Bools, shown: Bools, **more: Any) -> PacketTable:
        """The table of a stream, with what FFmpeg says of it as a whole."""
        time_base = float(stream.time_base or 0) or 1 / DEFAULT_RATE
        rate = float(stream.average_rate or stream.guessed_rate or 0) or DEFAULT_RATE
        return cls(pts, key, shown, time_base, rate, stream.codec_context.codec.canonical_name, **more)


@dataclass(frozen=True)
class FrameTable:
    """The F frames in presentation order.

    `tags` [F] say how a frame is recognised when it leaves the decoder: by the number of its packet, or, where packets
    and frames do not pair, by its position in a full decode. `rank` [P] is each packet's frame index, -1 for none.
    """

    tags: Ints
    rank: Ints
    by_position: bool = False

    @classmethod
    def by_container(cls, table: PacketTable) -> FrameTable:
        """The shown packets in the order of their times."""
        order = np.argsort(table.pts, kind="stable")
        return cls._of_packets(order[table.shown[order]], len(table.pts))

    @classmethod
    def by_survey(cls, table: PacketTable, numbers: list[int | None]) -> FrameTable:
        """The frames as a full decode delivered them, `numbers` their packets."""
        known = [number for number in numbers if number is not None]
        if len(set(known)) == len(numbers):
            return cls._of_packets(np.array(known, dtype=np.int64), len(table.pts))
        nothing = np.full(len(table.pts), -1, dtype=np.int64)
        return cls(np.arange(len(numbers), dtype=np.int64), nothing, by_position=True)

    def times(self, table: PacketTable) -> FrameTimes:
        """The seconds of the frames; by the frame rate where the container has no sound times."""
        ticks = np.full(len(self.tags), NO_TIME) if self.by_position else table.pts[self.tags]
        return frame_times(ticks, table.time_base, table.rate)

    @classmethod
    def _of_packets(cls, packets: Ints, total: int) -> FrameTable:
        rank = np.full(total, -1, dtype=np.int64)
        rank[packets] = np.arange(len(packets))
        return cls(packets, rank)


def video_stream(media: Media, container: Any) -> Any:
    """The video that a player shows: FFmpeg's best stream, which is the default one, never a cover or a preview.

    Raises `VideoError` when there is none, or when it lists more packets than the file has bytes, or than are read.
    """
    best = moving_stream(container)
    if best is None:
        raise media.error("it has no video stream that can be decoded; give a file with pictures, not sound alone")
    listed, size = len(best.index_entries), media.size()
    if listed > min(size, MAX_PACKETS):
        raise media.error(f"it lists {listed:,} packets in {size:,} bytes; it is damaged, or meant to fill memory")
    return best


def moving_stream(container: Any) -> Any | None:
    """FFmpeg's best stream of a container, or the default or largest one where that is a still; None without any."""
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    moving = [stream for stream in streams if not stream.disposition & STILLS]
    best = container.streams.best("video")
    if best is not None and best.index in [stream.index for stream in moving]:
        return best
    default = [stream for stream in moving if stream.disposition & Disposition.default]
    return max(default or moving, key=lambda each: each.width * each.height, default=None)


def tagged_packets(
    container: Any, stream: Any, beside: Callable[[Any], None] | None = None
) -> Iterator[tuple[Any, int]]:
    """Demux `stream`; the pts of each packet becomes its number, so that a decoded frame says which packet it was.

    Yields each packet that has data with the pts it had (`NO_TIME` for none). `beside` as for `demux`.
    """
    for number, packet in enumerate(demux(container, stream, beside)):
        pts = NO_TIME if packet.pts is None else packet.pts
        packet.pts = number
        yield packet, pts


def orderly(pts: Ints, key: Bools, shown: Bools, reorder: int) -> bool:
    """Whether the times tell the order of the frames: each packet has its own, nothing is shown before the first key
    frame (it might not decode), and frames overtake others exactly where the codec says that they may.

    `reorder`: how many frames the decoder holds back. With B-frames, times that rise with the order of the file are
    those of decoding, copied from AVI or a raw stream; times that step back further are those of a splice.
    """
    if not shown.any() or not key[0] or (pts == NO_TIME).any() or len(np.unique(pts)) != len(pts):
        return False
    if pts[shown].min() < pts[0] or (pts[MAX_REORDER:] < np.maximum.accumulate(pts)[:-MAX_REORDER]).any():
        return False
    overtaken = np.zeros(len(pts), dtype=np.int64)
    for distance in range(1, min(MAX_REORDER, len(pts))):
        overtaken[distance:] += pts[distance:] < pts[:-distance]
    return bool(overtaken.max() <= reorder and (overtaken.any() or reorder == 0))
