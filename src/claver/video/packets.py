"""The packets of a video stream, listed by one demuxing pass that decodes nothing."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

from claver.video.ffmpeg_log import Messages, collected_errors
from claver.video.library import demux
from claver.video.source import Media
from claver.video.times import MAX_REORDER, NO_TIME, FrameTimes, frame_times

# The packets of a clip are kept for decoding; those of a film are demuxed again instead.
KEEP_BYTES = 64 * 2**20
# Containers that store the presentation time of every frame. For AVI, raw streams and others FFmpeg guesses it.
TIMED_CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
# Codecs of which every packet shows exactly one frame. (VP8 has packets that show none.)
ONE_FRAME_CODECS = ("h264", "hevc", "av1", "libdav1d", "vp9", "mpeg4", "mjpeg", "ffv1", "prores")
MOST_COMPLAINTS = 100  # of a file that FFmpeg has millions about
DEFAULT_RATE = 25.0
STILLS = Disposition.attached_pic | Disposition.timed_thumbnails

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PacketTable:
    """What the container says of its P packets, in decoding order.

    `pts` [P] are ticks of `time_base` seconds, `key` and `shown` [P] flags, `packets` the packets themselves or None
    when they are too many to keep. `trusted`: the table alone tells the frames and their order.
    """

    pts: Ints
    key: Bools
    shown: Bools
    time_base: float
    rate: float
    codec: str
    trusted: bool
    packets: list[Any] | None
    complaints: Messages


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
    def by_container(cls, table: PacketTable) -> "FrameTable":
        """The shown packets in the order of their times."""
        order = np.argsort(table.pts, kind="stable")
        return cls._of_packets(order[table.shown[order]], len(table.pts))

    @classmethod
    def by_survey(cls, table: PacketTable, numbers: list[int | None]) -> "FrameTable":
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
    def _of_packets(cls, packets: Ints, total: int) -> "FrameTable":
        rank = np.full(total, -1, dtype=np.int64)
        rank[packets] = np.arange(len(packets))
        return cls(packets, rank)


def video_stream(media: Media, container: Any) -> Any:
    """The video that a player shows: FFmpeg's best stream, which is the default one, never a cover or a preview.

    Raises `VideoError` when there is none.
    """
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    moving = [stream for stream in streams if not stream.disposition & STILLS]
    best = container.streams.best("video")
    if best is not None and best.index in [stream.index for stream in moving]:
        return best
    if not moving:
        raise media.error("it has no video stream that can be decoded; give a file with pictures, not sound alone")
    return max(
        moving, key=lambda stream: (bool(stream.disposition & Disposition.default), stream.width * stream.height)
    )


def tagged_packets(container: Any, stream: Any) -> Iterator[tuple[Any, int]]:
    """Demux `stream`; the pts of each packet becomes its number, so that a decoded frame says which packet it was.

    Yields each packet that has data with the pts it had (`NO_TIME` for none).
    """
    for number, packet in enumerate(demux(container, stream)):
        pts = NO_TIME if packet.pts is None else packet.pts
        packet.pts = number
        yield packet, pts


def list_packets(container: Any, stream: Any) -> PacketTable:
    """Demux the whole stream once. An error of the demuxer ends the list and makes it untrusted."""
    rows: list[tuple[int, bool, bool]] = []
    kept: list[Any] | None = []
    ended, size, sound = (
        False,
        0,
        container.format.name in TIMED_CONTAINERS and stream.codec_context.name in ONE_FRAME_CODECS,
    )
    with collected_errors() as complaints, suppress(av.FFmpegError):
        for packet, pts in tagged_packets(container, stream):
            rows.append((pts, packet.is_keyframe, not packet.is_discard))
            sound = sound and not packet.is_corrupt
            size += packet.size
            if kept is not None:
                kept.append(packet)
            if size > KEEP_BYTES:
                kept = None
            del complaints[MOST_COMPLAINTS:]
        ended = True
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    pts_P, key_P, shown_P = columns[0], columns[1].astype(bool), columns[2].astype(bool)
    return PacketTable(
        pts=pts_P,
        key=key_P,
        shown=shown_P,
        time_base=float(stream.time_base or 0) or 1 / DEFAULT_RATE,
        rate=float(stream.average_rate or stream.guessed_rate or 0) or DEFAULT_RATE,
        codec=stream.codec_context.codec.canonical_name,
        trusted=sound and ended and _orderly(pts_P, key_P, shown_P, stream.codec_context.reorder_depth),
        packets=kept,
        complaints=complaints,
    )


def _orderly(pts: Ints, key: Bools, shown: Bools, reorder: int) -> bool:
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
