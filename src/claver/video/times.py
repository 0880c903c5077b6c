"""From time stamps to seconds that can be relied on: increasing, from 0, and without the jumps of spliced files."""

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


def _reordered(ticks: Ints) -> Ints:
    """Files that carry decoding times give frames around a B-frame each other's: only their order is to be mended."""
    order = np.argsort(ticks, kind="stable")
    return ticks[order] if np.abs(order - np.arange(len(ticks))).max(initial=0) <= MAX_REORDER else ticks


def _usual(steps: Ints, time_base: float, rate: float) -> float:
    """The usual spacing in seconds: the median of the steps ahead, the lower one of two."""
    ahead = np.sort(steps[steps > 0])
    return float(ahead[(len(ahead) - 1) // 2]) * time_base if len(ahead) else 1 / rate
