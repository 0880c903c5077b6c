"""The packets of an MP4 or MOV file from its own tables, which FFmpeg has read when it is open: nothing is demuxed."""

from __future__ import annotations

from typing import Any

import numpy as np

from claver.video.boxes import ContradictionError, Samples, samples
from claver.video.packets import ONE_FRAME_CODECS, Ints, PacketTable, orderly
from claver.video.source import Media

# Flags of FFmpeg's index entries.
KEY, DISCARD = 1, 2
# In a row, of the usual encoders.
MOST_B_FRAMES = 16


def index_table(media: Media, stream: Any) -> PacketTable | None:
    """The table of a stream; None where there is no complete index (fragments, rare kinds of tables).

    Not to be trusted where the file ends before its packets do, or where its tables contradict each other.
    """
    entries, size = stream.index_entries, media.size()
    rows = np.fromiter(
        ((entry.timestamp, entry.pos, entry.size, entry.flags) for entry in entries),
        dtype=[("ticks", np.int64), ("pos", np.int64), ("size", np.int64), ("flags", np.int64)],
        count=len(entries),
    )
    try:
        listed = _samples(media, stream)
    except ContradictionError:
        return PacketTable.of(stream, rows["ticks"], rows["flags"] & KEY > 0, rows["flags"] & DISCARD == 0)
    if listed is None or not np.array_equal(listed.sizes, rows["size"]) or not _usable(rows):
        return None
    pts, key, shown = rows["ticks"] + listed.offsets, rows["flags"] & KEY > 0, rows["flags"] & DISCARD == 0
    whole = bool((rows["pos"] + rows["size"] <= size).all())
    sound = whole and stream.codec_context.name in ONE_FRAME_CODECS and _even(rows["ticks"], listed.offsets)
    trusted = sound and orderly(pts, key, shown, stream.codec_context.reorder_depth)
    return PacketTable.of(stream, pts, key, shown, trusted=trusted, dts=rows["ticks"], seekable=True)


def _samples(media: Media, stream: Any) -> Samples | None:
    with media.stream() as file:
        return samples(file, stream.id, len(stream.index_entries))


def _even(ticks: Ints, offsets: Ints) -> bool:
    """Whether frames that overtake others are shown as evenly as they are decoded, if they are decoded evenly.

    A damaged offset puts a frame beside the beat, or leaves a hole in it. Where a copy was cut there may be holes among
    the last frames, whose B-frames would have followed them in the file.
    """
    steps = np.diff(ticks)
    if not np.ptp(offsets) or (steps != steps[:1]).any():
        return True
    order = np.argsort(ticks + offsets, kind="stable")
    off = np.diff((ticks + offsets)[order]) != steps[0]
    return bool((order[1:][off] >= len(ticks) - MOST_B_FRAMES - 1).all())


def _usable(rows: Any) -> bool:
    """Each packet holds data and has its own time of decoding, by which it can be found."""
    return len(rows) > 0 and bool((rows["size"] > 0).all()) and bool((np.diff(rows["ticks"]) > 0).all())
