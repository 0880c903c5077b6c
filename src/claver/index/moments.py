"""Windows of one video to moments: what overlaps and fits about as well is one."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

KEPT = 0.5
"""A moment reaches as far as windows score this share of its best one, as a segment of a time line does."""
_TOUCHING = 1e-3  # seconds, for times in single precision


@dataclass(frozen=True)
class Moment:
    """A part of one video.

    Attributes:
        start: seconds at which it begins.
        stop: seconds at which it ends.
        score: of its best window.
        best: seconds of the middle of that window.
    """

    start: float
    stop: float
    score: float
    best: float


def moments(
    starts: npt.NDArray[np.floating], stops: npt.NDArray[np.floating], scores: npt.NDArray[np.floating], most: int
) -> list[Moment]:
    """The best moments of one video, best first; no two overlap.

    The best window that overlaps no moment yet is the next one's. It is joined with its neighbours as long as they
    touch and score at least half as much; one at or below 0, the background, stays alone.

    Args:
        starts: seconds at which windows begin, in order [W].
        stops: seconds at which they end, in order [W].
        scores: relative to the background, which is 0 [W].
        most: how many moments are wanted.
    """
    free = np.ones(len(scores), dtype=bool)
    order = [(-score, index) for index, score in enumerate(scores.tolist())]
    heapq.heapify(order)
    found: list[Moment] = []
    while order and len(found) < most:
        _, peak = heapq.heappop(order)
        if not free[peak]:
            continue
        first, last = _reach(starts, stops, scores, free, peak)
        start, stop = float(starts[first]), float(stops[last])
        found.append(Moment(start, stop, float(scores[peak]), float(starts[peak] + stops[peak]) / 2))
        free &= (stops <= start + _TOUCHING) | (starts >= stop - _TOUCHING)
    return found


def _reach(
    starts: npt.NDArray[np.floating],
    stops: npt.NDArray[np.floating],
    scores: npt.NDArray[np.floating],
    free: npt.NDArray[np.bool_],
    peak: int,
) -> tuple[int, int]:
    """The first and the last window of the moment of a peak."""
    first = last = peak
    if scores[peak] <= 0:
        return first, last
    level = KEPT * scores[peak]
    while first and free[first - 1] and scores[first - 1] >= level and stops[first - 1] >= starts[first] - _TOUCHING:
        first -= 1
    after = last + 1
    while after < len(scores) and free[after] and scores[after] >= level and starts[after] <= stops[last] + _TOUCHING:
        last, after = after, after + 1
    return first, last
