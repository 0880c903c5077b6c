"""The packets of an MP4 or MOV file from its own tables, which FFmpeg has read when it is open: nothing is demuxed."""

from typing import Any

import numpy as np

from claver.video.boxes import samples
from claver.video.packets import ONE_FRAME_CODECS, PacketTable, orderly
from claver.video.source import Media

# Flags of FFmpeg's index entries.
KEY, DISCARD = 1, 2


def index_table(media: Media, stream: Any) -> PacketTable | None:
    """The table of a stream; None where there is no complete index (fragments, rare kinds of tables).

    Not to be trusted where the file ends before its packets do.
    """
    entries, size = stream.index_entries, media.size()
    rows = np.fromiter(
        ((entry.timestamp, entry.pos, entry.size, entry.flags) for entry in entries),
        dtype=[("ticks", np.int64), ("pos", np.int64), ("size", np.int64), ("flags", np.int64)],
        count=len(entries),
    )
    with media.stream() as file:
        listed = samples(file, stream.id, len(entries))
    if listed is None or not np.array_equal(listed.sizes, rows["size"]) or not _usable(rows):
        return None
    pts, key, shown = rows["ticks"] + listed.offsets, rows["flags"] & KEY > 0, rows["flags"] & DISCARD == 0
    whole = bool((rows["pos"] + rows["size"] <= size).all())
    sound = whole and stream.codec_context.name in ONE_FRAME_CODECS
    trusted = sound and orderly(pts, key, shown, stream.codec_context.reorder_depth)
    return PacketTable.of(stream, pts, key, shown, trusted=trusted, dts=rows["ticks"], seekable=True)


def _usable(rows: Any) -> bool:
    """Each packet holds data and has its own time of decoding, by which it can be found."""
    return len(rows) > 0 and bool((rows["size"] > 0).all()) and bool((np.diff(rows["ticks"]) > 0).all())
