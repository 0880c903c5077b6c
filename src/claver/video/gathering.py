"""Decoded frames as they arrive: resized in small groups, so that only what is made of them stays in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

# Of decoded frames that wait to be prepared together, which is quicker for small ones.
HELD_BYTES = 32 * 2**20

Frames = npt.NDArray[np.uint8]
Prepare = Callable[[Any], Any]
"""Frames uint8 [n, H, W, 3] to an array or tensor [n, …]; what it makes of a frame does not depend on the others."""


class Gathering:
    """An array [count, …] of frames that come one by one, in any order.

    Args:
        count: places to be filled.
        shape: of a frame, [H, W, 3].
        prepare: applied to the frames; None keeps them as they are.
    """

    def __init__(self, count: int, shape: tuple[int, ...], prepare: Prepare | None = None) -> None:
        self._count, self._prepare = count, prepare
        self._waiting: list[tuple[list[int], Frames]] = []
        self._out: Frames | None = None if prepare is not None and count else np.empty((count, *shape), dtype=np.uint8)

    def put(self, places: list[int], frame: Frames) -> None:
        """Put a frame at each of its places; again, it takes the place of the one before."""
        self._waiting.append((places, frame))
        if self._prepare is None or len(self._waiting) * frame.nbytes >= HELD_BYTES:
            self._flush()

    def result(self) -> Frames:
        """The array, when all places are filled."""
        self._flush()
        assert self._out is not None
        return self._out

    def _flush(self) -> None:
        if not self._waiting:
            return
        frames: Any = [frame for _, frame in self._waiting]
        if self._prepare is not None:
            together = np.stack(frames) if len(frames) > 1 else np.ascontiguousarray(frames[0])[None]
            frames = np.asarray(self._prepare(together))
        if self._out is None and [places for places, _ in self._waiting] == [[place] for place in range(self._count)]:
            self._out = frames  # all of them, in order: nothing to copy
        elif self._out is None:
            self._out = np.empty((self._count, *frames[0].shape), dtype=frames[0].dtype)
        if self._out is not frames:
            for (places, _), frame in zip(self._waiting, frames, strict=True):
                self._out[places] = frame
        self._waiting.clear()
