"""Decoding chosen packets of a stream: sparsely where that is exact, plainly from the start where it may not be.

Frames are recognised by the number of their packet (see `tagged_packets`), never by counting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import av
import numpy as np

from claver.video.damage import Signs
from claver.video.library import decode
from claver.video.packets import Bools, Ints, tagged_packets
from claver.video.source import MAX_PIXELS

# A jump empties the decoder's pipeline, which costs about as much as decoding this many packets.
WORTH_A_JUMP = 8
# Decoders that can be told to pass over a frame without disturbing the next. (MPEG-4 Part 2 in AVI packs two frames
# in a packet, and loses track.)
SKIPPING_DECODERS = ("h264", "hevc")
# Decoders that make other pixels of a damaged file at each reading, unless they have one thread; with more, MPEG-4
# gives concealed frames without the error that it met.
ONE_THREAD_DECODERS = ("ffv1", "mpeg4")

Since = Callable[[int], Iterator[tuple[int, Any]]]


class Notes(Protocol):
    """What is written down of the packets of a plain decode as they go by."""

    @property
    def beside(self) -> Callable[[Any], None] | None:
        """Takes the packets of other tracks; None where they are not needed."""

    def passing(self, packets: Iterator[tuple[Any, int]]) -> Iterator[Any]:
        """The packets, given with the times they had."""


class InexactError(Exception):
    """Sparse decoding met something it cannot vouch for; decode plainly instead. Never reaches the user."""


class DisorderedError(InexactError):
    """Frames left the decoder in another order than that of their times."""


@dataclass
class Segment:
    """Packets `start` (a key frame, or 0) to `last`, the highest of `wanted`, are fed; frames of `wanted` are taken."""

    start: int
    wanted: list[int]
    last: int


def plan(wanted: Iterable[int], key: Bools, rank: Ints) -> list[Segment]:
    """Split packet numbers into segments, starting each at the last key frame from which it decodes exactly.

    The segments and what is wanted of them are in the order in which the frames are shown.

    `key` [P] marks key frames, `rank` [P] is each packet's index in presentation order, -1 for a packet not shown.
    """
    segments: list[Segment] = []
    keys = np.flatnonzero(key & (rank >= 0))
    for packet in sorted(wanted, key=lambda packet: int(rank[packet])):
        start = _entry(packet, keys, rank)
        if segments and start < segments[-1].last + WORTH_A_JUMP:
            segments[-1].wanted.append(packet)
            segments[-1].last = max(segments[-1].last, packet)
        else:
            segments.append(Segment(start, [packet], packet))
    return segments


def _entry(packet: int, keys: Ints, rank: Ints) -> int:
    """The last key frame at or before `packet` that is also shown before it: open GOPs have frames shown earlier."""
    for key in reversed(keys[: np.searchsorted(keys, packet, side="right")].tolist()):
        if rank[key] <= rank[packet]:
            return int(key)
    return 0


def decode_sparse(context: Any, since: Since, segments: Sequence[Segment], rank: Ints) -> Iterator[Any]:
    """Decode the segments, not spending time on unwanted frames that no other frame refers to.

    Yields the wanted frames in the order of the segments. `since(number)` gives packets with their numbers, from that
    number or one before; `rank` [P] is as for `plan`. Raises `InexactError` at any sign that the pixels might differ
    from those of a full decode.
    """
    for segment in segments:
        missing = set(segment.wanted)
        numbered = since(segment.start)
        for frame in in_order(_decode_segment(context, numbered, segment), rank):
            if frame.is_corrupt or frame.pts is None:
                raise InexactError
            if frame.pts in missing:
                missing.remove(frame.pts)
                yield frame
        if missing:
            raise InexactError


def in_order(frames: Iterator[Any], rank: Ints) -> Iterator[Any]:
    """The frames, as long as their packets' `rank` rises. Raises `DisorderedError`."""
    last = -1
    for frame in frames:
        if frame.pts is not None and rank[frame.pts] >= 0:
            if rank[frame.pts] < last:
                raise DisorderedError
            last = int(rank[frame.pts])
        yield frame


def _decode_segment(context: Any, numbered: Iterator[tuple[int, Any]], segment: Segment) -> Iterator[Any]:
    wanted = frozenset(segment.wanted)
    entered = segment.start == 0
    if context.is_open:
        context.flush_buffers()
    for frame in _feed(context, numbered, segment.start, wanted, segment.last):
        # A packet that is only called a key frame would give pictures made of missing references.
        entered = entered or (frame.pts == segment.start and frame.key_frame)
        if frame.pts in wanted and not entered:
            raise InexactError
        yield frame


def _feed(
    context: Any, numbered: Iterator[tuple[int, Any]], start: int, wanted: frozenset[int], last: int
) -> Iterator[Any]:
    unwanted = "NONREF" if context.name in SKIPPING_DECODERS else "DEFAULT"
    try:
        for number, packet in numbered:
            if number >= start:
                context.skip_frame = "DEFAULT" if number in wanted or number == start else unwanted
                yield from decode(context, packet)
            if number == last:
                yield from _finish(context, packet)
                return
    except av.FFmpegError as error:
        raise InexactError from error


def _finish(context: Any, packet: Any) -> Iterator[Any]:
    """Drain the decoder, the last `packet` being fed.

    With frame threads a picture leaves a draining decoder before its own thread has marked it as damaged. The packet,
    given once more to each thread to be passed over, makes the draining wait for them.
    """
    if context.name in SKIPPING_DECODERS:
        context.skip_frame = "ALL"
        for _ in range(context.thread_count if context.thread_count > 1 else 0):
            yield from decode(context, packet)
    yield from decode(context, None)


def sparse_context(stream: Any, threads: int) -> Any:
    """The decoder of a stream, set to stop at damage rather than to conceal it."""
    context = stream.codec_context
    if not context.is_open:
        context.thread_type = "AUTO"
        context.thread_count = 1 if context.name in ONE_THREAD_DECODERS else threads
        context.options = {"err_detect": "explode+crccheck", "max_pixels": str(MAX_PIXELS)}
    return context


def decode_plainly(container: Any, stream: Any, signs: Signs, notes: Notes) -> Iterator[Any]:
    """Every frame a plain full decode delivers, in its order; damaged packets are passed over, damage is concealed.

    One thread: with more, FFmpeg's H.264 decoder leaves what was in memory before in the place of damaged parts.
    What goes wrong is noted in `signs`, the packets in `notes`.
    """
    context = _plain_context(stream)
    signs.demuxer = container.format.name
    for packet in _until_error(notes.passing(tagged_packets(container, stream, notes.beside)), signs):
        yield from _tolerant(context, packet, signs)
    yield from _tolerant(context, None, signs)


def _plain_context(stream: Any) -> Any:
    context = stream.codec_context
    if not context.is_open:
        context.thread_count = 1
        # The checksums of pictures that some encoders write are compared, and the frames delivered as without.
        checked = {"err_detect": "crccheck"} if context.name == "hevc" else {}
        context.options = {"max_pixels": str(MAX_PIXELS), **checked}
    return context


def _until_error(packets: Iterator[Any], signs: Signs) -> Iterator[Any]:
    try:
        while True:
            with signs.of_demuxing():
                packet = next(packets, None)
            if packet is None:
                return
            yield packet
    except av.FFmpegError:
        return


def _tolerant(context: Any, packet: Any, signs: Signs) -> Iterator[Any]:
    try:
        with signs.of_decoding(packet):
            frames = decode(context, packet)
    except av.FFmpegError:
        return
    for frame in frames:
        signs.deliver(frame)
        yield frame
