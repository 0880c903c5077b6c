"""Listing the packets of a video: by the file's own tables, or as they go by when it is demuxed."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import av
import numpy as np

from claver.video.ffmpeg_log import collected_errors
from claver.video.index import index_table
from claver.video.packets import (
    MATROSKA,
    MAX_PACKETS,
    MP4,
    ONE_FRAME_CODECS,
    TIMED_CONTAINERS,
    PacketTable,
    orderly,
    tagged_packets,
)
from claver.video.source import Media

# The packets of a clip are kept for decoding; those of a long video are demuxed again instead.
KEEP_BYTES = 64 * 2**20
PACKET_BYTES = 1024  # of a packet besides its data
MOST_COMPLAINTS = 100  # of a file that FFmpeg has millions about


class Recorder:
    """Makes a table of the packets that pass, and keeps those of a clip."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._pts, self._dts, self._key, self._shown = array("q"), array("q"), array("b"), array("b")
        self._kept: list[Any] | None = []
        self._size, self._corrupt, self._others_end = 0, False, 0.0

    def passing(self, packets: Iterator[tuple[Any, int]]) -> Iterator[Any]:
        """The packets, noted. Raises `VideoError` when they do not end."""
        for packet, pts in packets:
            self._note(packet, pts)
            yield packet

    def beside(self, packet: Any) -> None:
        """Note where a packet of another track ends: sound may continue when the pictures have ended."""
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None:
            self._others_end = max(self._others_end, float((time + (packet.duration or 0)) * packet.time_base))

    def table(self, container: Any, stream: Any, *, sound: bool = False) -> PacketTable:
        """The table of those that have passed; `sound`: all have, without an error."""
        pts = np.array(self._pts, dtype=np.int64)
        key, shown = np.array(self._key, dtype=np.bool_), np.array(self._shown, dtype=np.bool_)
        trusted = sound and not self._corrupt and orderly(pts, key, shown, stream.codec_context.reorder_depth)
        dts = np.array(self._dts, dtype=np.int64) if container.format.name == MP4 else None
        return PacketTable.of(
            stream,
            pts,
            key,
            shown,
            trusted=trusted,
            dts=dts,
            seekable=trusted and container.format.name in (MP4, MATROSKA),
            packets=self._kept,
            others_end=self._others_end,
        )

    def _note(self, packet: Any, pts: int) -> None:
        if len(self._pts) == MAX_PACKETS:
            raise self._media.error(f"it has more than {MAX_PACKETS:,} packets of video; cut it into shorter files")
        self._pts.append(pts)
        self._dts.append(packet.dts if packet.dts is not None else pts)
        self._key.append(packet.is_keyframe)
        self._shown.append(not packet.is_discard)
        self._corrupt = self._corrupt or packet.is_corrupt
        self._size += packet.size + PACKET_BYTES
        if self._kept is not None:
            self._kept.append(packet)
        if self._size > KEEP_BYTES:
            self._kept = None


def list_packets(media: Media, container: Any, stream: Any) -> PacketTable | None:
    """The table of a stream of which nothing has been read; None where only decoding can tell the frames.

    An error of the demuxer ends the list and makes it untrusted. Raises `VideoError` when the packets are too many.
    """
    table = index_table(media, stream) if container.format.name == MP4 else None
    if table is not None:
        return table
    if container.format.name not in TIMED_CONTAINERS or stream.codec_context.name not in ONE_FRAME_CODECS:
        return None
    recorder, ended = Recorder(media), False
    with collected_errors() as complaints, suppress(av.FFmpegError):
        for _ in recorder.passing(tagged_packets(container, stream, recorder.beside)):
            del complaints[MOST_COMPLAINTS:]
        ended = True
    return replace(recorder.table(container, stream, sound=ended), complaints=complaints)
