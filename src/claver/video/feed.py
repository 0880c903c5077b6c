"""Packets of a video from a chosen one on: out of memory, after a jump within the file, or from its start."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import av
import numpy as np

from claver.video.decoding import InexactError, sparse_context
from claver.video.interrupts import interruptible
from claver.video.library import demux
from claver.video.packets import PacketTable, tagged_packets, video_stream
from claver.video.source import Media
from claver.video.times import NO_TIME


class UnseekableError(InexactError):
    """A jump within the file did not lead where its table says; from now on it is read from its start."""


class PacketFeed:
    """The numbered packets of `table`, and the decoder they go to.

    Args:
        media: the file.
        table: its packets.
        threads: of the decoder, 0 for one per core.
        container: the file as it was opened, if it is still open.
    """

    def __init__(self, media: Media, table: PacketTable, threads: int, container: Any = None) -> None:
        self._media, self._table, self._threads = media, table, threads
        self._container = container
        self._seekable = table.seekable
        # By these times FFmpeg finds a packet in the file.
        self._marks = table.pts if table.dts is None else table.dts
        self._keys = {int(self._marks[key]): int(key) for key in np.flatnonzero(table.key)} if table.seekable else {}
        self._running: Iterator[tuple[int, Any]] | None = None

    def start(self) -> Any:
        """Get ready to read; returns the decoder."""
        if self._container is None or not (self._seekable or self._table.packets is not None):
            self.close()
            self._container = self._media.open()
        self._running = None
        self._stream = video_stream(self._media, self._container)
        return sparse_context(self._stream, self._threads)

    def since(self, number: int) -> Iterator[tuple[int, Any]]:
        """Packets with their numbers, from one at or before `number` on, after any that were given before.

        Raises `UnseekableError` once, when the file cannot be entered at `number`.
        """
        if self._table.packets is not None:
            return enumerate(islice(self._table.packets, number, None), number)
        if self._seekable:
            return self._jump(number)
        if self._running is None:
            packets = tagged_packets(self._container, self._stream)
            self._running = ((at, packet) for at, (packet, _) in enumerate(packets))
        return self._running

    def _jump(self, number: int) -> Iterator[tuple[int, Any]]:
        """The packets that a jump leads to, each checked against the table and tagged with its number."""
        marks = self._marks
        try:
            with interruptible:
                self._container.seek(int(marks[number]), stream=self._stream)
        except av.FFmpegError:
            raise self._unseekable() from None
        packets = demux(self._container, self._stream)
        first = next(packets, None)
        at = -1 if first is None else self._keys.get(self._mark(first), -1)
        if first is None or first.pts is None or not 0 <= at <= number:
            raise self._unseekable()
        # The file's own tables may count from another beginning than FFmpeg does.
        shift = first.pts - int(self._table.pts[at])
        for place, packet in enumerate(chain([first], packets), at):
            if (
                place >= len(marks)
                or self._mark(packet) != marks[place]
                or packet.pts != self._table.pts[place] + shift
            ):
                raise self._unseekable()
            packet.pts = place
            yield place, packet

    def _mark(self, packet: Any) -> int:
        time = packet.pts if self._table.dts is None else packet.dts
        return NO_TIME if time is None else int(time)

    def _unseekable(self) -> UnseekableError:
        self._seekable = False
        return UnseekableError()

    def close(self) -> None:
        """Release the file and the decoder."""
        if self._container is not None:
            # The decoder's threads may be about to log an error, for which they wait for Python: they must not be
            # waited for while Python waits.
            for stream in self._container.streams.video:
                if stream.codec_context is not None:
                    stream.codec_context.flush_buffers()
            self._container.close()
            self._container = None
