"""Which frames to look at: pure index arithmetic, no video.

Sparse sampling cuts a video into T segments of equal length and takes one frame of each; dense sampling takes T frames
at a fixed stride. Without a `generator` every choice is deterministic.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Timed(Protocol):
    """Properties of a video that `clip_indices` needs; `VideoInfo` has them."""

    @property
    def frames(self) -> int:
        """Number of frames."""

    @property
    def duration(self) -> float:
        """Seconds."""

    @property
    def timestamps(self) -> Floats:
        """Seconds from the first frame, [frames], increasing."""

    @property
    def variable_rate(self) -> bool:
        """Whether frames are spaced unevenly in time."""


def sparse_indices(total: int, frames: int, *, generator: np.random.Generator | None = None) -> Ints:
    """One frame of each of `frames` equal segments of a video of `total` frames: `int64 [frames]`, sorted.

    The centre of each segment, or with a `generator` a random position in each (training). Shorter videos repeat
    frames. Raises `ValueError` when `total` or `frames` is less than 1.
    """
    return _to_indices(_view_positions(frames, 1, generator)[0], total)


def view_indices(total: int, frames: int, views: int, *, generator: np.random.Generator | None = None) -> Ints:
    """Several sparse samplings, `int64 [views, frames]`: view v takes the position (v + ½)/views of each segment.

    The views are spread evenly and, where the video is long enough, share no frame; one view is `sparse_indices`. With
    a `generator` every view takes random positions instead.
    """
    return _to_indices(_view_positions(frames, views, generator), total)


def dense_indices(
    total: int,
    frames: int,
    *,
    stride: int,
    start: int | None = None,
    generator: np.random.Generator | None = None,
) -> Ints:
    """A window of `frames` frames, `stride` apart: `int64 [frames]`.

    The window begins at `start`; without one it is centred, or with a `generator` at random among the places where it
    fits. Where it is longer than the video it wraps around to the start (index modulo `total`).
    """
    _check(total=total, frames=frames, stride=stride)
    room = max(total - (frames - 1) * stride - 1, 0)
    if start is None:
        start = room // 2 if generator is None else int(generator.integers(room + 1))
    if not 0 <= start < total:
        raise ValueError(f"start must be in 0 ... {total - 1}, not {start}")
    return np.asarray((start + stride * np.arange(frames)) % total, dtype=np.int64)


def indices_at(timestamps: Floats, times: npt.ArrayLike) -> Ints:
    """The frame nearest to each of `times` (seconds): `int64`, of the shape of `times`; the earlier of two as near.

    `timestamps` [frames] must increase. Times before the first or after the last frame give that frame.
    """
    wanted = np.asarray(times, dtype=np.float64)
    if len(timestamps) == 0:
        raise ValueError("timestamps must hold at least one frame")
    between = (timestamps[1:] + timestamps[:-1]) / 2
    return np.asarray(np.searchsorted(between, wanted, side="left"), dtype=np.int64)


def clip_indices(video: Timed, frames: int, *, views: int = 1, generator: np.random.Generator | None = None) -> Ints:
    """Sparse sampling of a video, `int64 [views, frames]`, in segments of equal *time*.

    At a constant rate these are `view_indices`; at a variable rate the frame on screen at each moment is looked up.
    With a `generator` each view takes random positions of its own.
    """
    positions = _view_positions(frames, views, generator)
    if not video.variable_rate:
        return _to_indices(positions, video.frames)
    on_screen = np.searchsorted(video.timestamps, positions * video.duration, side="right") - 1
    return np.asarray(on_screen.clip(0, video.frames - 1), dtype=np.int64)


def _view_positions(frames: int, views: int, generator: np.random.Generator | None) -> Floats:
    """Where each view samples each segment, as a part of the whole video in [0, 1): `[views, frames]`."""
    _check(frames=frames, views=views)
    positions = (np.arange(views)[:, None] + 0.5) / views if generator is None else generator.random((views, frames))
    return np.asarray((np.arange(frames) + positions) / frames, dtype=np.float64)


def _to_indices(positions: Floats, total: int) -> Ints:
    _check(total=total)
    # The small term keeps a position that is a whole frame in exact arithmetic from falling to the frame before.
    return np.minimum(np.floor(positions * total + 1e-9), total - 1).astype(np.int64)


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
