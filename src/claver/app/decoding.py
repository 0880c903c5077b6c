"""What worker processes do with a file: check it, convert it, look at it, or read it frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from claver.app.limits import Limits
from claver.app.preview import plays_as, write_preview
from claver.errors import VideoError
from claver.explain.render.heat_map import png
from claver.index.pictures import picture_at
from claver.inference.far import read_parts
from claver.inference.views import PackedViews, Views
from claver.processes import going_on
from claver.video import Damage, Preprocess, TimedFrame, VideoInfo, VideoReader, VideoViews
from claver.video.sampling import view_indices
from claver.video.views import read_views


@dataclass(frozen=True)
class Facts:
    """What is known of a video that was checked.

    Attributes:
        seconds: its length.
        width: pixels.
        height: pixels.
        codec: FFmpeg's name.
        plays_as: media type under which browsers play it as it is; None if they may not.
    """

    seconds: float
    width: int
    height: int
    codec: str
    plays_as: str | None


@contextmanager
def named(path: str, name: str) -> Iterator[None]:
    """Errors call the file by the name its owner knows; where it lies here is nobody's business."""
    try:
        yield
    except VideoError as error:
        raise VideoError(str(error).replace(path, name)) from None
    except MemoryError:
        raise VideoError(f"{name}: there is not enough memory for its frames.") from None


def inspect(path: str, name: str, limits: Limits) -> Facts:
    """Check that a file is a video within the limits. Raises `VideoError` if it is not."""
    with named(path, name):
        with VideoReader(path, threads=1, progress=going_on) as video:
            info = video.info
        limits.check(info, name)
        return Facts(info.duration, info.width, info.height, info.codec, plays_as(path))


def convert(path: str, name: str, target: str, limits: Limits, start: float = 0.0, stop: float | None = None) -> float:
    """`write_preview`, with the file's own name in errors."""
    with named(path, name):
        return write_preview(path, target, limits, start, stop)


def write_picture(path: str, name: str, target: str, seconds: float) -> None:
    """Write the frame at a time as a small PNG. Raises `VideoError` if there is none."""
    picture = picture_at(path, seconds)
    if picture is None:
        raise VideoError(f"{name}: no frame at {seconds:.1f} s could be read.")
    try:
        Path(target).write_bytes(png(picture))
    except OSError as error:  # as of a visitor who has left
        raise VideoError(f"{name}: its picture cannot be stored ({error.strerror}).") from error


def look(path: str, name: str, frames: int, views: Views, preprocess: Preprocess) -> PackedViews:
    """The views of a whole video, as a recogniser sees it."""
    with named(path, name):
        settings: dict[str, Any] = {"temporal_views": views.temporal, "crops": views.crops, "threads": 1}
        return PackedViews.of(read_views(path, frames=frames, preprocess=preprocess, normalized=False, **settings))


def look_between(path: str, name: str, start: float, stop: float, frames: int, preprocess: Preprocess) -> PackedViews:
    """One view of a part of a video, evenly spaced frames from `start` to `stop` seconds."""
    with named(path, name), VideoReader(path, threads=1, progress=going_on) as video:
        times = video.info.timestamps
        first, end = np.searchsorted(times, [start, stop])
        first = min(int(first), len(times) - 1)
        indices = first + view_indices(max(int(end) - first, 1), frames, 1)[0]
        pixels = preprocess.crop(video.read(indices))
        return PackedViews.of(VideoViews(pixels, times[indices][None], video.damage(indices)))


def read(path: str, name: str, fps: float) -> Iterator[VideoInfo | TimedFrame | Damage | None]:
    """`read_parts`, with the file's own name in errors."""
    with named(path, name):
        yield from read_parts(path, fps)
