"""Is every clip of a manifest sound? Each is decoded to its end, every frame of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import av

from claver.data.shards import file_digest
from claver.errors import VideoError
from claver.video.ahead import load_ahead
from claver.video.decoding import decode_plainly, sparse_context
from claver.video.packets import TIMED_CONTAINERS, tagged_packets, video_stream
from claver.video.source import Media

Record = dict[str, Any]
"""`{"path", "status", "frames", "listed", "seconds", "height", "width", "codec", "sha256", "cause"}`.

The status is `ok`, `missing`, `broken` (nothing of it decodes) or `damaged` (some of it does not); `short` comes in by
`judged`. `frames` is the number that decode, `listed` that of the container.
"""


@dataclass
class _Decoded:
    """What a decode to the end met: good and faulty frames, packets, and the first fault."""

    frames: int = 0
    packets: int = 0
    listed: int = 0
    fault: str = ""


def check_clips(paths: Iterable[str], *, workers: int) -> Iterator[Record]:
    """A record for each file, in order; files are decoded in processes of their own, and one may be killed by its file.

    Args:
        paths: the files.
        workers: processes; 0 decodes in this one.
    """
    for path, result in load_ahead(paths, check_clip, workers=workers):
        yield {"path": path, "status": "broken", "cause": str(result)} if isinstance(result, VideoError) else result


def check_clip(path: str) -> Record:
    """Decode a file to its end; see `Record`."""
    if not os.path.exists(path):
        return {"path": path, "status": "missing", "cause": f"{path}: there is no such file."}
    try:
        media = Media(path)
        strict, about = _run(media, _strictly)
        if not strict.fault:
            return {"path": path, "status": "ok", **about, "sha256": file_digest(path)}
        tolerant, about = _run(media, _tolerantly)
    except VideoError as error:
        return {"path": path, "status": "broken", "cause": str(error)}
    except OSError as error:
        return {"path": path, "status": "broken", "cause": f"{path}: it cannot be read ({error.strerror})."}
    if not tolerant.frames:
        cause = f"{path}: no frame of it decodes; it is damaged, truncated or not a video."
        return {"path": path, "status": "broken", "cause": cause}
    cause = f"{path}: {strict.fault}; {tolerant.frames} frames decode."
    return {"path": path, "status": "damaged", **about, "cause": cause, "sha256": file_digest(path)}


def judged(record: Record, frames: int) -> Record:
    """The record, `short` if all of the file decodes but it has fewer than `frames` frames."""
    if record["status"] != "ok" or record["frames"] >= frames:
        return record
    cause = f"{record['path']}: it has {record['frames']} frames, fewer than {frames}."
    return record | {"status": "short", "cause": cause}


def _run(media: Media, decode: Callable[[Any, Any], _Decoded]) -> tuple[_Decoded, Record]:
    with closing(media.open()) as container:
        stream = video_stream(media, container)
        seen = decode(container, stream)
        context = stream.codec_context
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        about: Record = {"frames": seen.frames, "listed": max(seen.listed, seen.packets)}
        about |= {"seconds": round(seen.frames / rate, 3) if rate else None}
        return seen, about | {"height": context.height, "width": context.width, "codec": context.codec.canonical_name}


def _strictly(container: Any, stream: Any) -> _Decoded:
    """Stop at the first sign of damage: an error, a frame marked as corrupt, a file that ends before its list."""
    seen = _Decoded(listed=_listed(container, stream))
    context = sparse_context(stream, 1)
    try:
        for packet, _ in tagged_packets(container, stream):
            if packet.is_corrupt:
                seen.fault = f"the file ends or is damaged within packet {seen.packets}"
                return seen
            seen.packets += 1
            _count(seen, context.decode(packet))
        _count(seen, context.decode(None))
    except (av.FFmpegError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        seen.fault = f"it does not decode beyond frame {seen.frames} ({reason})"
        return seen
    if not seen.fault and seen.packets < seen.listed:
        seen.fault = f"it ends after {seen.packets} of the {seen.listed} frames that it lists"
    if not seen.frames:
        seen.fault = "no frame of it decodes"
    return seen


def _count(seen: _Decoded, frames: Iterable[Any]) -> None:
    for frame in frames:
        if frame.is_corrupt and not seen.fault:
            seen.fault = f"frame {seen.frames} is damaged"
        seen.frames += 1


def _listed(container: Any, stream: Any) -> int:
    """Frames by the container's own count, where that can be trusted; 0 where not."""
    return int(stream.frames) if container.format.name == TIMED_CONTAINERS[0] else 0


def _tolerantly(container: Any, stream: Any) -> _Decoded:
    """All that decodes at all, faults passed over."""
    seen = _Decoded(listed=_listed(container, stream))
    for frame in decode_plainly(container, stream):
        seen.frames += not frame.is_corrupt
    return seen
