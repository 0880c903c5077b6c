"""Check of the clips of a manifest: each is decoded to its end, every frame of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from claver.data.shards import file_digest
from claver.errors import VideoError
from claver.processes import going_on
from claver.video.prefetch import DECODE_TIMEOUT, GivenUpError, prefetch
from claver.video.reader import VideoReader

Record = dict[str, Any]
"""`{"path", "status", "frames", "listed", "seconds", "height", "width", "codec", "sha256", "cause"}`.

The status is `ok`, `irregular` (all of it decodes, but its time stamps jump), `missing`, `broken` (nothing of it
decodes), `damaged` (some of it does not) or `timeout` (given up, perhaps sound); `short` comes in by `judged`.
`frames` is the number that decode, `listed` that of the container.
"""


def check_clips(
    paths: Iterable[str], *, workers: int, decode_timeout: float | None = DECODE_TIMEOUT
) -> Iterator[Record]:
    """A record for each file, in order; files are decoded in processes of their own, and one may be killed by its file.

    Args:
        paths: the files.
        workers: processes; 0 decodes in this one.
        decode_timeout: seconds without a further frame, after which a worker gives a file up; None for never.
    """
    for path, result in prefetch(paths, check_clip, workers=workers, timeout=decode_timeout):
        if isinstance(result, VideoError):
            status = "timeout" if isinstance(result, GivenUpError) else "broken"
            yield {"path": path, "status": status, "cause": str(result)}
        else:
            yield result


def check_clip(path: str) -> Record:
    """Decode a file to its end; see `Record`."""
    if not os.path.exists(path):
        return {"path": path, "status": "missing", "cause": f"{path}: there is no such file."}
    try:
        with VideoReader(path, survey=True, threads=1, progress=going_on) as video:
            about, damage = _about(video), video.damage(range(video.info.frames))
            odd = video.info.irregular
        about["sha256"] = file_digest(path, progress=going_on)
    except VideoError as error:
        return {"path": path, "status": "broken", "cause": str(error)}
    except OSError as error:
        return {"path": path, "status": "broken", "cause": f"{path}: it cannot be read ({error.strerror})."}
    if damage is None:
        return {"path": path, "status": "ok", **about} | (
            {"status": "irregular", "cause": f"{path}: {odd}."} if odd else {}
        )
    cause = f"{path}: {damage.describe('its frames')}; {about['frames']} frames decode."
    return {"path": path, "status": "damaged", **about, "cause": cause}


def _about(video: VideoReader) -> Record:
    info = video.info
    about: Record = {"frames": info.frames, "listed": max(info.frames, video.listed)}
    return about | {"seconds": round(info.duration, 3), "height": info.height, "width": info.width, "codec": info.codec}


def judged(record: Record, frames: int) -> Record:
    """The record, `short` if all of the file decodes but it has fewer than `frames` frames."""
    if record["status"] not in ("ok", "irregular") or record["frames"] >= frames:
        return record
    cause = f"{record['path']}: it has {record['frames']} frames, fewer than {frames}."
    return record | {"status": "short", "cause": cause}
