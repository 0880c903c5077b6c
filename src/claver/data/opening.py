"""Clips from wherever they are listed: a manifest, or a folder of shards."""

from __future__ import annotations

from pathlib import Path

from claver.data.clips import ClipLocation, Clips
from claver.data.manifest import Manifest, Sample
from claver.data.manifest_file import read_manifest
from claver.data.shards import Member, Shard, read_index
from claver.errors import ClaverError


def open_clips(source: str | Path | Manifest, *, split: str | None = None, root: str | Path | None = None) -> Clips:
    """Clips of a manifest (a file, or read already) or of a folder of shards.

    Raises:
        ClaverError: neither is there, or it is malformed.
    """
    if isinstance(source, Manifest):
        return Clips.of_files(source.select(split))
    if Path(source).is_dir():
        return open_shards(source, split=split)
    return Clips.of_files(read_manifest(source, root=root, split=split))


def open_shards(folder: str | Path, *, split: str | None = None) -> Clips:
    """The clips of a folder of shards by random access, in the order of the manifest they were packed from.

    Raises:
        ClaverError: no shards, or one that is missing or of another size than it was written with.
    """
    folder = Path(folder)
    index, shards = read_index(folder)
    rows: list[tuple[Member, Shard]] = []
    for shard in shards:
        path = folder / shard.file
        if not path.is_file() or path.stat().st_size != shard.size:
            raise ClaverError(f"{path} is missing or not of {shard.size} bytes; copy or write the shards again")
        rows += [(member, shard) for member in shard.members]
    rows.sort(key=lambda pair: pair[0].row)
    samples = tuple(Sample(member.path, member.label, member.split) for member, _ in rows)
    manifest = Manifest(tuple(index["classes"]), samples, folder, index["dataset"], tuple(index["raw_classes"]))
    locations = [ClipLocation(m.path, str(folder / shard.file), m.offset, m.size) for m, shard in rows]
    return Clips(manifest, locations).select(split)
