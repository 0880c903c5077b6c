"""From curves to segments: hysteresis at several levels, scores, soft non-maximum suppression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from claver.errors import ClaverError

Floats = npt.NDArray[np.float64]
Runs = list[tuple[int, int]]

LOW = 0.5
"""The level at which a segment ends, as a share of that which it must reach: halfway where a boundary is crossed."""
_LEVELS = 6
_SIGMA = 0.5
_SAMPLES = 16  # of a curve, in a quarter of a segment


@dataclass(frozen=True, order=True)
class Segment:
    """A segment of time in which an action happens.

    Attributes:
        start: seconds from the first frame of the video on.
        stop: seconds.
        action: its name.
        score: how far its curve lies above the background within, less that just outside; comparable within one model.
    """

    start: float
    stop: float
    action: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, times to the millisecond."""
        times = {"start": round(self.start, 3), "stop": round(self.stop, 3)}
        return {"action": self.action, **times, "score": round(self.score, 6)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Segment:
        """What `to_dict` gave."""
        return cls(values["start"], values["stop"], values["action"], values["score"])


def hysteresis(curve_W: npt.ArrayLike, high: float, low: float) -> Runs:
    """Runs of windows at `low` or above that reach `high`, each as its first window and the one after its last.

    Raises:
        ClaverError: low above high.
    """
    if low > high:
        raise ClaverError(f"the low threshold, {low}, lies above the high one, {high}")
    curve = np.asarray(curve_W, dtype=np.float64)
    inside = np.concatenate([[False], curve >= low, [False]]).astype(np.int8)
    firsts, ends = np.flatnonzero(np.diff(inside) == 1), np.flatnonzero(np.diff(inside) == -1)
    runs = zip(firsts.tolist(), ends.tolist(), strict=True)
    return [(first, end) for first, end in runs if curve[first:end].max() >= high]


def bounds(curve_W: Floats, run: tuple[int, int], low: float, starts_W: Floats, stops_W: Floats) -> tuple[float, float]:
    """The seconds at which a curve, a line through the middles of the windows, crosses `low` at the ends of a run.

    A run that begins with the first window begins with the video, and one that ends with the last ends with it.
    """
    first, end = run
    middles = (starts_W + stops_W) / 2
    start = float(starts_W[0]) if first == 0 else _crossing(curve_W, middles, first - 1, low)
    stop = float(stops_W[-1]) if end == len(curve_W) else _crossing(curve_W, middles, end - 1, low)
    return start, stop


def _crossing(curve_W: Floats, middles_W: Floats, window: int, level: float) -> float:
    """When the line from a window to the next is at a level that lies between the two."""
    before, after = curve_W[window], curve_W[window + 1]
    share = (level - before) / (after - before)
    return float(middles_W[window] + share * (middles_W[window + 1] - middles_W[window]))


def overlap(one: npt.ArrayLike, others: npt.ArrayLike) -> Floats:
    """Intersection over union in time of a segment with N others, [N].

    Args:
        one: start and stop [2].
        others: starts and stops [N, 2].
    """
    (start, stop), pairs = np.asarray(one, dtype=np.float64), np.asarray(others, dtype=np.float64).reshape(-1, 2)
    shared = np.clip(np.minimum(stop, pairs[:, 1]) - np.maximum(start, pairs[:, 0]), 0, None)
    union = (stop - start) + (pairs[:, 1] - pairs[:, 0]) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def soft_nms(spans_N2: npt.ArrayLike, scores_N: npt.ArrayLike, sigma: float = _SIGMA) -> Floats:
    """Scores lowered by the overlap with better segments, [N] (Bodla et al., 2017, Gaussian).

    The best keeps its score; every other is multiplied by exp(−IoU² / sigma) for each one that is better than it, by
    the scores lowered so far. What overlaps nothing is left alone.

    Args:
        spans_N2: starts and stops.
        scores_N: scores, none below 0.
        sigma: how much overlap is borne; the smaller, the less.

    Raises:
        ClaverError: a sigma that is not above 0, or a score below 0.
    """
    spans = np.asarray(spans_N2, dtype=np.float64).reshape(-1, 2)
    scores = np.array(scores_N, dtype=np.float64)
    if not sigma > 0:
        raise ClaverError(f"sigma of soft-NMS is above 0, not {sigma}")
    if len(scores) and scores.min() < 0:
        raise ClaverError(f"soft-NMS lowers scores of 0 and above, not {scores.min():g}")
    waiting = np.arange(len(scores))
    while len(waiting) > 1:
        best = int(scores[waiting].argmax())
        chosen, waiting = waiting[best], np.delete(waiting, best)
        scores[waiting] *= np.exp(-(overlap(spans[chosen], spans[waiting]) ** 2) / sigma)
    return scores


def candidates(
    curves_WC: npt.ArrayLike,
    starts_W: npt.ArrayLike,
    stops_W: npt.ArrayLike,
    actions: Sequence[str],
    thresholds: Sequence[float],
    *,
    sigma: float = _SIGMA,
) -> list[Segment]:
    """Segments of every action at every threshold, overlapping ones lowered by soft-NMS within their action.

    Args:
        curves_WC: smoothed scores relative to the background.
        starts_W: seconds of the windows.
        stops_W: likewise.
        actions: C names.
        thresholds: levels that a segment must reach, above 0; it ends where its curve falls to half of that.
        sigma: as of `soft_nms`.

    Returns:
        The segments, best first.

    Raises:
        ClaverError: a threshold that is not above 0.
    """
    if bad := [level for level in thresholds if not 0 < level < np.inf]:
        raise ClaverError(f"a threshold lies above 0, the background, and not at {bad[0]}")
    curves, starts, stops = (np.asarray(values, dtype=np.float64) for values in (curves_WC, starts_W, stops_W))
    found: list[Segment] = []
    for name, curve in zip(actions, curves.T, strict=True):
        spans = sorted({span for level in thresholds for span in _spans(curve, starts, stops, level)})
        lowered = soft_nms([span[:2] for span in spans], [span[2] for span in spans], sigma)
        found += [Segment(*span[:2], name, float(score)) for span, score in zip(spans, lowered, strict=True)]
    return sorted(found, key=lambda segment: (-segment.score, segment))


def _spans(curve_W: Floats, starts_W: Floats, stops_W: Floats, level: float) -> Iterator[tuple[float, float, float]]:
    for run in hysteresis(curve_W, level, LOW * level):
        start, stop = bounds(curve_W, run, LOW * level, starts_W, stops_W)
        if stop > start:
            yield start, stop, contrast(curve_W, starts_W, stops_W, start, stop)


def contrast(curve_W: Floats, starts_W: Floats, stops_W: Floats, start: float, stop: float) -> float:
    """The mean of a curve within a segment, less that just before and after it, 0 or above.

    Before and after are a quarter of the segment each (Shou et al., 2018, AutoLoc); below the background, and beyond
    the ends of the video, counts as the background. So a whole segment scores more than its peak alone, or its
    surroundings.
    """
    margin = (stop - start) / 4
    times = np.linspace(start - margin, stop + margin, 6 * _SAMPLES)
    values = np.interp(times, (starts_W + stops_W) / 2, curve_W)
    within = (times >= start) & (times <= stop)
    outside = np.where((times < starts_W[0]) | (times > stops_W[-1]), 0.0, np.clip(values, 0, None))
    return max(float(values[within].mean() - outside[~within].mean()), 0.0)


def levels(curves_WC: npt.ArrayLike, threshold: float) -> list[float]:
    """The threshold and levels between it and the highest value, in even ratios: long segments and their peaks."""
    highest = float(np.max(curves_WC, initial=threshold))
    return np.unique(np.geomspace(threshold, max(highest, threshold), _LEVELS)).tolist()


def chosen(found: Sequence[Segment], threshold: float) -> list[Segment]:
    """The best segments that do not overlap another of their action, in order of time.

    Args:
        found: segments, as of `candidates`.
        threshold: of those that score less, none is chosen.
    """
    selected: dict[str, list[Segment]] = {}
    for segment in sorted(found, key=lambda segment: (-segment.score, segment)):
        same = selected.setdefault(segment.action, [])
        apart = all(segment.stop <= other.start or other.stop <= segment.start for other in same)
        if segment.score >= threshold and apart:
            same.append(segment)
    return sorted(segment for own in selected.values() for segment in own)
