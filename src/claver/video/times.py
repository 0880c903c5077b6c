"""From time stamps to reliable seconds: increasing, from 0, and without the jumps of spliced files."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NO_TIME = int(np.iinfo(np.int64).min)
# A gap is a jump if it is as long as this many usual spacings, and this many seconds: a pause of a recorder that saves
# frames only when something moves is real time, an hour between two frames of a clip is not.
JUMP_SPACINGS = 50
JUMP_SECONDS = 2.0
# Number of steps whose median is the usual step, where frames come one by one.
RECENT_STEPS = 64
# No codec keeps a frame back for longer than this many frames; times further out of order are those of a splice.
MAX_REORDER = 32


@dataclass(frozen=True)
class FrameTimes:
    """`seconds` [F] increasing, the first 0; `jumps`: the frames before which the time stamps jump, ahead or back."""

    seconds: Floats
    jumps: tuple[int, ...] = ()


def frame_times(ticks: Ints, time_base: float, rate: float) -> FrameTimes:
    """The times of F frames in presentation order.

    A jump, a gap far above the usual spacing or a step back, counts as one usual spacing. Where a frame has no time,
    or two have the same, all are spaced by `rate`.

    Args:
        ticks: [F] time stamps in units of `time_base` seconds; `NO_TIME` for none.
        time_base: seconds.
        rate: frames per second.
    """
    ticks = _reordered(ticks)
    steps = np.diff(ticks)
    if (ticks == NO_TIME).any() or (steps == 0).any():
        return FrameTimes(np.arange(len(ticks), dtype=np.float64) / rate)
    usual = _usual(steps, time_base, rate)
    spacing = steps * time_base
    jumps = (spacing < 0) | ((spacing > JUMP_SPACINGS * usual) & (spacing > JUMP_SECONDS))
    if not jumps.any():  # in one step from whole ticks, so that nothing accumulates
        return FrameTimes(np.asarray((ticks - ticks[:1]) * time_base, dtype=np.float64))
    spacing[jumps] = usual
    return FrameTimes(np.concatenate([[0.0], np.cumsum(spacing)]), tuple((np.flatnonzero(jumps) + 1).tolist()))


class PassingTimes:
    """The seconds of frames that come one by one, from the first on: as `frame_times`, by what has passed of them.

    A frame without a time, and one after a jump, comes one usual spacing after the frame before. So do frames whose
    times are a little behind, as FFmpeg guesses some of B-frames, until these have caught up.

    Args:
        time_base: seconds of a tick.
        rate: frames per second, until frames have told their spacing.
    """

    def __init__(self, time_base: float, rate: float) -> None:
        self._time_base, self._rate = time_base, rate
        self._steps: deque[int] = deque(maxlen=RECENT_STEPS)
        self._from: tuple[int, float] | None = None  # a tick and its seconds, from which the others are told
        self._tick, self._seconds, self._behind = 0, -math.inf, 0
        self.jumps = 0

    @property
    def usual(self) -> float:
        """The usual spacing of the last frames in seconds."""
        return _usual(np.array(self._steps, dtype=np.int64), self._time_base, self._rate)

    def seconds_of(self, tick: int | None) -> float:
        """When a frame is shown whose time stamp is `tick`; None for one that has none."""
        after = max(self._seconds + self.usual, 0.0)
        self._seconds = after if tick is None else self._timed(tick, after)
        return self._seconds

    def _timed(self, tick: int, after: float) -> float:
        told = after if self._from is None else self._from[1] + (tick - self._from[0]) * self._time_base
        if self._from is not None and self._is_behind(told):
            return after
        jumps = told <= self._seconds or told - self._seconds > max(JUMP_SECONDS, JUMP_SPACINGS * self.usual)
        if self._from is None or jumps:
            self.jumps += self._from is not None
            told, self._from = after, (tick, after)
        else:
            self._steps.append(tick - self._tick)
        self._tick = tick
        return told

    def _is_behind(self, told: float) -> bool:
        """Whether a frame's time is before that of the last, but not by more than frames may overtake each other."""
        back = self._seconds - MAX_REORDER * self.usual < told <= self._seconds
        self._behind = self._behind + 1 if back else 0
        return 0 < self._behind <= MAX_REORDER


def _reordered(ticks: Ints) -> Ints:
    """Files that carry decoding times give frames around a B-frame each other's: only their order is to be mended."""
    order = np.argsort(ticks, kind="stable")
    return ticks[order] if np.abs(order - np.arange(len(ticks))).max(initial=0) <= MAX_REORDER else ticks


def _usual(steps: Ints, time_base: float, rate: float) -> float:
    """The usual spacing in seconds: the median of the steps ahead, the lower one of two."""
    ahead = np.sort(steps[steps > 0])
    return float(ahead[(len(ahead) - 1) // 2]) * time_base if len(ahead) else 1 / rate
