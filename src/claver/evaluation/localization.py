"""Temporal action localization: mean average precision by the definition of ActivityNet.

Of each class all detections of all videos are ranked by score. In that order each takes, of the annotated instances of
its video that no better one has taken, the one it overlaps most, if their intersection over union in time (tIoU)
reaches the threshold; else it is false. AP is the area under the interpolated curve of precision over recall, where
each precision is the best at that recall or a higher one; mAP the mean over the classes that are annotated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from claver.errors import ClaverError

Floats = npt.NDArray[np.float64]

THUMOS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Thresholds over which results on THUMOS'14 are averaged."""
ACTIVITYNET = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Likewise on ActivityNet, 0.5 to 0.95."""


class Instance(NamedTuple):
    """An annotated action in a video, in seconds."""

    video: str
    label: str
    start: float
    stop: float


class Detection(NamedTuple):
    """A detected segment, in seconds, with its confidence."""

    video: str
    label: str
    start: float
    stop: float
    score: float


@dataclass(frozen=True)
class Localization:
    """Average precisions.

    Attributes:
        classes: the C annotated classes, sorted.
        thresholds: the R thresholds of tIoU.
        precisions: AP of each class at each threshold [C, R], in [0, 1].
    """

    classes: tuple[str, ...]
    thresholds: tuple[float, ...]
    precisions: Floats

    def mean(self, thresholds: Sequence[float] | None = None) -> float:
        """mAP averaged over thresholds, all if None.

        Raises:
            ClaverError: a threshold that was not measured.
        """
        wanted = self.thresholds if thresholds is None else tuple(thresholds)
        if unknown := [one for one in wanted if one not in self.thresholds]:
            raise ClaverError(f"tIoU {unknown[0]} was not measured; there are {', '.join(map(str, self.thresholds))}")
        return float(self.precisions[:, [self.thresholds.index(one) for one in wanted]].mean())

    def to_dict(self) -> dict[str, Any]:
        """Plain values: mAP at each threshold, over both sets of thresholds, and AP of each class."""
        means = {f"{one:g}": round(self.mean([one]), 6) for one in self.thresholds}
        classes = {name: own.round(6).tolist() for name, own in zip(self.classes, self.precisions, strict=True)}
        averages = {"thumos": round(self.mean(THUMOS), 6), "activitynet": round(self.mean(ACTIVITYNET), 6)}
        return {"map": means, "map_0.3_0.7": averages["thumos"], "map_0.5_0.95": averages["activitynet"]} | {
            "thresholds": list(self.thresholds),
            "per_class": classes,
        }


def localize(
    detections: Sequence[Detection],
    instances: Sequence[Instance],
    thresholds: Sequence[float] = tuple(sorted({*THUMOS, *ACTIVITYNET})),
) -> Localization:
    """Average precision of each annotated class; detections of other classes count nowhere.

    Args:
        detections: in any order; of equal scores the first comes first.
        instances: the annotations.
        thresholds: of tIoU, in (0, 1].

    Raises:
        ClaverError: no annotation, a segment that ends before it starts, or a threshold outside (0, 1].
    """
    _check(detections, instances, thresholds)
    classes = tuple(sorted({instance.label for instance in instances}))
    rows = [
        average_precisions(
            [detection for detection in detections if detection.label == name],
            [instance for instance in instances if instance.label == name],
            thresholds,
        )
        for name in classes
    ]
    return Localization(classes, tuple(thresholds), np.stack(rows))


def average_precisions(
    detections: Sequence[Detection], instances: Sequence[Instance], thresholds: Sequence[float]
) -> Floats:
    """AP of one class at each threshold, [R]."""
    ranked = sorted(detections, key=lambda detection: -detection.score)
    videos: dict[str, list[int]] = {}
    for number, instance in enumerate(instances):
        videos.setdefault(instance.video, []).append(number)
    spans = np.array([(instance.start, instance.stop) for instance in instances], dtype=np.float64)
    overlaps = [_overlaps(detection, spans[videos.get(detection.video, [])]) for detection in ranked]
    owners = [videos.get(detection.video, []) for detection in ranked]
    return np.array([_area(_hits(overlaps, owners, one), len(instances)) for one in thresholds])


def _overlaps(detection: Detection, spans_N2: Floats) -> Floats:
    """tIoU with each of N instances."""
    shared = np.minimum(detection.stop, spans_N2[:, 1]) - np.maximum(detection.start, spans_N2[:, 0])
    shared = np.clip(shared, 0, None)
    union = (detection.stop - detection.start) + (spans_N2[:, 1] - spans_N2[:, 0]) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _hits(overlaps: Sequence[Floats], owners: Sequence[Sequence[int]], threshold: float) -> npt.NDArray[np.bool_]:
    """Which detections, best first, take an instance that is free."""
    taken: set[int] = set()
    hits = np.zeros(len(overlaps), dtype=bool)
    for rank, (values, numbers) in enumerate(zip(overlaps, owners, strict=True)):
        for index in np.argsort(-values, kind="stable"):
            if values[index] < threshold:
                break
            if numbers[index] not in taken:
                taken.add(numbers[index])
                hits[rank] = True
                break
    return hits


def _area(hits: npt.NDArray[np.bool_], positives: int) -> float:
    """The area under interpolated precision over recall."""
    true = np.cumsum(hits)
    precision = np.concatenate([[0.0], true / np.arange(1, len(hits) + 1), [0.0]])
    recall = np.concatenate([[0.0], true / positives, [1.0]])
    best = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(np.diff(recall)) + 1
    return float(((recall[steps] - recall[steps - 1]) * best[steps]).sum())


def _check(detections: Sequence[Detection], instances: Sequence[Instance], thresholds: Sequence[float]) -> None:
    if not instances:
        raise ClaverError("there is no annotated action to be found")
    everything: list[Instance | Detection] = [*instances, *detections]
    for one in everything:
        if not one.start <= one.stop:
            raise ClaverError(f"{one.video}: a segment of {one.label!r} from {one.start} ends before it starts")
    if bad := [one for one in thresholds if not 0 < one <= 1]:
        raise ClaverError(f"a threshold of tIoU lies above 0 and up to 1, and is not {bad[0]}")
