"""Whether a file ends before the length that its container declares."""

from __future__ import annotations

from os import SEEK_END
from typing import Any

import av
import numpy as np

from claver.video.damage import Ending
from claver.video.packets import PacketTable
from claver.video.source import Media
from claver.video.times import NO_TIME

# Containers whose header or tables hold the length. For others FFmpeg takes that of what it finds.
DECLARING = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "asf")
FRAME_TABLES = DECLARING[0]
# Writers round, leave out the last frame's own time, or count what another track has more.
TOLERATED_SECONDS = 0.3
# Containers with a mark at their end, and those that declare how many bytes they are.
MARKED_ENDS, DECLARED_BYTES = ("gif", "ogg"), ("avi", "asf")
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
HEAD_BYTES = 4096
OGG_PAGE = 65307
END_OF_STREAM = 4


def early_end(media: Media, container: Any, stream: Any, table: PacketTable) -> Ending | None:
    """How the file ends too early; None where it does not, or where its container does not tell.

    Args:
        media: to read the head or the tail, if need be.
        container: as opened.
        stream: the video.
        table: its packets.
    """
    name, packets = container.format.name, len(table.pts)
    if name == FRAME_TABLES and stream.frames:  # the tables list every frame: no other track needs to be looked at
        lacking = stream.frames > packets
        told = f"{packets} of the {stream.frames} frames it lists are there"
        return Ending(told, packets / stream.frames) if lacking else None
    if name in MARKED_ENDS:
        return _by_mark(name, media.tail(2 * OGG_PAGE))
    declared = _declared_seconds(container, stream) if name in DECLARING else 0.0
    ending = _by_time(declared, table) if declared else None
    return ending or (_by_bytes(media, name) if name in DECLARED_BYTES else None)


def _by_mark(name: str, tail: bytes) -> Ending | None:
    if name == "gif":
        return None if _gif_ends(tail) else Ending("it ends without a GIF's trailer")
    return None if _ogg_ends(tail) else Ending("it ends without the last page of an Ogg file")


def _by_bytes(media: Media, name: str) -> Ending | None:
    with media.stream() as stream:
        head, total = stream.read(HEAD_BYTES), stream.seek(0, SEEK_END)
    declared = _riff_bytes(head) if name == "avi" else _asf_bytes(head)
    return Ending("it is shorter than it declares", total / declared) if total < declared else None


def _riff_bytes(head: bytes) -> int:
    """The length of the first part of an AVI file, or 0; a recorder that was cut off leaves none, or all ones."""
    length = int.from_bytes(head[4:8], "little")
    return length + 8 if 0 < length < 2**32 - 8 else 0


def _asf_bytes(head: bytes) -> int:
    """The length by the file properties of WMV, or 0."""
    at = head.find(ASF_PROPERTIES)
    return int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else 0


def _declared_seconds(container: Any, stream: Any) -> float:
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)  # FFmpeg shortens the duration of one that was cut
    return float((container.duration or 0) / av.time_base)


def _by_time(declared: float, table: PacketTable) -> Ending | None:
    found = max(_seconds(table), table.others_end)
    if found >= declared - TOLERATED_SECONDS - _longest_spacing(table):
        return None
    return Ending(f"{found:.1f} of the {declared:.1f} s it declares are there", found / declared)


def _seconds(table: PacketTable) -> float:
    """Where the video ends, by its last time stamp or, where there is none, by the number of frames."""
    counted = len(table.pts) / table.rate
    timed = table.pts[table.pts != NO_TIME]
    return max(counted, (float(timed.max()) * table.time_base + 1 / table.rate) if len(timed) else 0.0)


def _longest_spacing(table: PacketTable) -> float:
    """A slide show's last picture may stand as long as any other."""
    timed = np.sort(table.pts[table.pts != NO_TIME])
    return float(np.diff(timed).max()) * table.time_base if len(timed) > 1 else 0.0


def _gif_ends(tail: bytes) -> bool:
    return tail.rstrip(b"\0\r\n ").endswith(b";")


def _ogg_ends(tail: bytes) -> bool:
    """Whether the last page is whole and says that its stream ends with it."""
    at = tail.rfind(b"OggS")
    page = tail[at:]
    if at < 0 or len(page) < 27 or len(page) < 27 + page[26]:
        return False
    return bool(page[5] & END_OF_STREAM) and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
