"""The sample tables of MP4 and MOV files: what FFmpeg knows of them but does not hand out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

# The boxes of one level; no writer makes more, but for fragments, which have no such tables.
MOST_BOXES = 10_000
CONTAINERS = (b"mdia", b"minf", b"stbl")  # each in the one before
TABLES = (b"tkhd", b"stsz", b"stts", b"ctts")


class Readable(Protocol):
    """A binary stream, whole in length."""

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Move to a place."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""


class ContradictionError(Exception):
    """The tables of a track do not fit together: one of them is damaged. Never reaches the user."""


@dataclass(frozen=True)
class Samples:
    """The N samples of a track in decoding order: `sizes` [N] bytes, `offsets` [N] ticks from decoding to showing."""

    sizes: Ints
    offsets: Ints


@dataclass(frozen=True)
class _Box:
    kind: bytes
    start: int
    end: int


def samples(stream: Readable, track: int, count: int) -> Samples | None:
    """The tables of the track with this number; None where they are absent, of another kind, or not `count` long.

    Raises `ContradictionError` where they count different numbers of samples, which FFmpeg does not mind.
    """
    for movie in _boxes(stream, _Box(b"", 0, stream.seek(0, 2))):
        for trak in _boxes(stream, movie) if movie.kind == b"moov" else ():
            tables = dict(_tables(stream, trak)) if trak.kind == b"trak" else {}
            if _track_number(tables.get(b"tkhd", b"")) == track and b"stsz" in tables:
                return _samples(tables, count)
    return None


def _tables(stream: Readable, track: _Box) -> Iterator[tuple[bytes, bytes]]:
    """The track's header and its tables, each where it belongs: a file may nest boxes to any depth."""
    level: _Box | None = track
    for inner in (*CONTAINERS, b""):
        boxes = [] if level is None else list(_boxes(stream, level))
        for box in boxes:
            if box.kind in TABLES:
                stream.seek(box.start)
                yield box.kind, stream.read(box.end - box.start)
        level = next((box for box in boxes if box.kind == inner), None)


def _boxes(stream: Readable, parent: _Box) -> Iterator[_Box]:
    start = parent.start
    for _ in range(MOST_BOXES):
        stream.seek(start)
        head = stream.read(16)
        size, header = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        end = parent.end if size == 0 else start + size
        if len(head) < header or end < start + header or end > parent.end:
            return
        yield _Box(head[4:8], start + header, end)
        start = end


def _track_number(header: bytes) -> int:
    place = 20 if header[:1] == b"\1" else 12
    return int.from_bytes(header[place : place + 4], "big")


def _samples(tables: dict[bytes, bytes], count: int) -> Samples | None:
    sizes, listed = tables[b"stsz"], int.from_bytes(tables[b"stsz"][8:12], "big")
    steps, offsets = (_pairs(tables[kind]) if kind in tables else None for kind in (b"stts", b"ctts"))
    for runs in (steps, offsets):
        if runs is not None and ((runs[:, 0] < 0).any() or runs[:, 0].sum() != listed):
            raise ContradictionError
    each = int.from_bytes(sizes[4:8], "big")
    sizes_N = np.full(count, each) if each else np.frombuffer(sizes[12 : 12 + 4 * count], dtype=">u4").astype(np.int64)
    if listed != count or len(sizes_N) != count:
        return None
    none = np.zeros(count, dtype=np.int64)
    return Samples(sizes_N, none if offsets is None else offsets[:, 1].repeat(offsets[:, 0]))


def _pairs(offsets: bytes) -> Ints:
    """Rows of how many samples, and the offset of each of them."""
    whole = min(int.from_bytes(offsets[4:8], "big"), (len(offsets) - 8) // 8)
    return np.frombuffer(offsets[8 : 8 + 8 * max(whole, 0)], dtype=">i4").astype(np.int64).reshape(-1, 2)
