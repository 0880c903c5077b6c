"""Frames one by one, each with its seconds: every frame, or evenly spaced in time, of a video of any length.

All of this holds a few frames at a time, and makes RGB only of those that are given.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from claver.closing import Closing
from claver.errors import ClaverError
from claver.video.damage import Damage, PassingSigns

# Containers round their time stamps, Matroska to milliseconds: what is due within a tick of them is on screen.
MOST_ROUNDED = 0.001

Frames = npt.NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True)
class TimedFrame:
    """A frame of a video.

    Attributes:
        seconds: when it is shown, from the first frame of the video on.
        pixels: RGB, uint8 [H, W, 3], upright.
        damaged: it is concealed, or may inherit what was since the last key frame.
        reopened: it is the first since a live source that was lost came back; what was before is another clip.
    """

    seconds: float
    pixels: Frames = field(repr=False)
    damaged: bool = False
    reopened: bool = False


@dataclass(frozen=True)
class Decoded:
    """A frame as the decoder gave it, and whether damage is known of it."""

    frame: Any
    damaged: bool = False


Timed = Generator[tuple[float, Decoded], None, None]


@dataclass(frozen=True)
class Pace:
    """Which frames of a video are given: all, or those on screen at evenly spaced times.

    Attributes:
        fps: how many in a second; None for every frame.
        start: seconds, from which on.
        stop: seconds, before which; None for the end.
        rounding: seconds by which time stamps may be late.

    Raises:
        ClaverError: a rate that is not above 0, or a time that is below 0 or not finite.
    """

    fps: float | None = None
    start: float = 0.0
    stop: float | None = None
    rounding: float = 0.0

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ClaverError(f"fps is a number of frames per second above 0, or None for every frame, not {self.fps}")
        for name, time in (("start", self.start), ("stop", self.stop)):
            if time is not None and not 0 <= time < math.inf:
                raise ClaverError(f"{name} is a time in seconds, 0 or above, not {time}")

    def of(self, timed: Iterator[tuple[float, T]], end: Callable[[], float]) -> Iterator[tuple[float, T]]:
        """Those of `timed` that are given, each with its seconds; `end` tells when the last one leaves the screen.

        At a rate, the one on screen at each of the times start, start + 1 / fps, … is given once for each of them. No
        more is taken from `timed` than is needed to tell.
        """
        return self._every(timed) if self.fps is None else self._on_screen(timed, self.ticks(), end)

    def ticks(self) -> Iterator[float]:
        """The times at which a frame is taken, at a rate."""
        assert self.fps is not None
        times = (self.start + number / self.fps for number in count())
        return takewhile(lambda time: self.stop is None or time + self.rounding < self.stop, times)

    def needed(self, seconds: npt.NDArray[np.float64], end: float) -> npt.NDArray[np.int64]:
        """The indices of the frames that `of` gives, each once, where all times are known: [frames] seconds, rising."""
        stop = end if self.stop is None else min(self.stop, end)
        first, last = np.searchsorted(seconds + self.rounding, [self.start, stop])
        if self.fps is None:
            return np.arange(first, last)
        ticks = max((stop - self.start) * self.fps, 0)
        if ticks > 4 * len(seconds):  # more often than frames change
            return np.arange(max(first - 1, 0), last)
        times = self.start + np.arange(math.ceil(ticks)) / self.fps
        return np.unique(np.searchsorted(seconds, times + self.rounding, side="right") - 1)

    def _every(self, timed: Iterator[tuple[float, T]]) -> Iterator[tuple[float, T]]:
        for seconds, item in timed:
            if self.stop is not None and seconds + self.rounding >= self.stop:
                return
            if seconds + self.rounding >= self.start:
                yield seconds, item

    def _on_screen(
        self, timed: Iterator[tuple[float, T]], ticks: Iterator[float], end: Callable[[], float]
    ) -> Iterator[tuple[float, T]]:
        shown: tuple[float, T] | None = None
        tick = next(ticks, None)
        for seconds, item in timed:
            while tick is not None and tick + self.rounding < seconds:
                if shown is not None:
                    yield shown
                tick = next(ticks, None)
            if tick is None:
                return
            shown = seconds, item
        while shown is not None and tick is not None and tick + self.rounding < end():
            yield shown
            tick = next(ticks, None)


class FrameIterator(Iterator[TimedFrame], Closing):
    """Gives `TimedFrame`s until the video ends or `close` is called, as the end of a `with` block does.

    Damage is passed over: what decodes is given, and `damage` tells at any time what was wrong until then.

    Args:
        frames: what is given.
        judged: the damage that is known, given the share of damaged frames.
    """

    def __init__(self, frames: Generator[TimedFrame, None, None], judged: Callable[[float], Damage | None]) -> None:
        self._frames, self._judged = frames, judged
        self._given = self._damaged = 0

    def __next__(self) -> TimedFrame:
        frame = next(self._frames)
        self._given += 1
        self._damaged += frame.damaged
        return frame

    @property
    def damage(self) -> Damage | None:
        """What is known to be wrong with the frames given until now, and with the video; None when nothing is."""
        return self._judged(self._damaged / max(self._given, 1))

    def close(self) -> None:
        """Release the file and the decoder; there are no more frames after that."""
        self._frames.close()


def timed_frames(
    timed: Timed, pace: Pace, end: Callable[[], float], picture: Callable[[Any], Frames | None]
) -> Generator[TimedFrame, None, None]:
    """The frames that `pace` takes of `timed`, as pictures; those that cannot be converted are left out.

    Args:
        timed: decoded frames in the order in which they are shown.
        pace: which of them.
        end: when the last one leaves the screen, asked for when there are no more.
        picture: makes a frame RGB.
    """
    with closing(timed):
        for seconds, decoded in pace.of(timed, end):
            pixels = picture(decoded.frame)
            if pixels is not None:
                yield TimedFrame(seconds, np.ascontiguousarray(pixels), decoded.damaged)


def judged_in_passing(frames: Iterable[Any], signs: PassingSigns) -> Iterator[Decoded]:
    """The frames of a plain decode, each when it is known whether it is damaged: a few packets later at most."""
    waiting: deque[tuple[Any, tuple[int, int]]] = deque()
    for frame in frames:
        waiting.append((frame, signs.place(frame)))
        while waiting and not signs.undecided:
            yield _judged(*waiting.popleft(), signs)
    for frame, place in waiting:
        yield _judged(frame, place, signs)


def _judged(frame: Any, place: tuple[int, int], signs: PassingSigns) -> Decoded:
    return Decoded(frame, signs.inherits(*place))
