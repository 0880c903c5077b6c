"""From labelled clips to the threshold of "none of these", see `claver.inference.calibration`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from claver.data.classes import ClassFinder
from claver.data.clips import Clips
from claver.errors import ClaverError
from claver.inference.calibration import Calibration, conformal_threshold
from claver.inference.encoder import Failure, VideoEmbedding
from claver.inference.recognizer import Recognizer


@dataclass(frozen=True)
class Calibrated:
    """A calibration, with the scores of all clips.

    Attributes:
        calibration: what `Recognizer(…, calibration=…)` takes.
        known: of each clip of one of the actions how far the best action stands above the bar, in logits, by path.
        others: the same of the clips of other classes, which the threshold does not depend on.
        failures: the clips that could not be used, with the cause.
    """

    calibration: Calibration
    known: Mapping[str, float]
    others: Mapping[str, float]
    failures: Mapping[str, str]

    def rejected(self, scores: Mapping[str, float]) -> float:
        """The share of some clips that the threshold rejects; 0 of none."""
        below = [score < self.calibration.threshold for score in scores.values()]
        return sum(below) / len(below) if below else 0.0


def calibrate(
    recognizer: Recognizer,
    clips: Clips,
    alpha: float = 0.05,
    *,
    on_clip: Callable[[], None] = lambda: None,
    **loading: Any,
) -> Calibrated:
    """Choose the threshold below which none of the actions is said to apply.

    Args:
        recognizer: one that compares its actions with others (`unknown=True`).
        clips: labelled clips that nothing was learned from; those of other classes than the actions are only counted.
        alpha: the share of further clips of the actions that may be rejected at most.
        on_clip: called after each clip.
        loading: as of `VideoEncoder.stream`.

    Raises:
        ClaverError: nothing to compare with, or too few clips of the actions for this alpha.
    """
    conditions, open_set = recognizer.conditions, recognizer.open_set
    assert open_set is not None
    _check_enough(recognizer, clips, alpha)
    finder, manifest = ClassFinder(recognizer.actions), clips.manifest
    found: tuple[dict[str, float], dict[str, float]] = ({}, {})
    failures: dict[str, str] = {}
    results = recognizer.encoder.stream(clips.locations, **loading)
    for result, label in zip(results, manifest.labels.tolist(), strict=True):
        score = _standing(recognizer, result)
        if isinstance(score, str):
            failures[result.source] = score
        else:
            found[finder.find(manifest.classes[label]) is None][result.source] = score
        on_clip()
    known, others = found
    threshold = conformal_threshold(tuple(known.values()), alpha)
    return Calibrated(Calibration(threshold, alpha, len(known), conditions), known, others, failures)


def _standing(recognizer: Recognizer, result: VideoEmbedding | Failure) -> float | str:
    """Score of the best action above the bar, or why it is not known."""
    if isinstance(result, Failure):
        return result.error
    score = recognizer.standing(result)
    return score if score == score else f"{result.source}: the model gives non-finite scores for it"


def _check_enough(recognizer: Recognizer, clips: Clips, alpha: float) -> None:
    """Too few clips, and labels that are none of the actions, are found before any clip is read."""
    finder, manifest = ClassFinder(recognizer.actions), clips.manifest
    known = [finder.find(manifest.classes[label]) is not None for label in manifest.labels.tolist()]
    if not any(known):
        raise ClaverError(f"no clip is of one of the actions: the first is of {manifest.classes[manifest.labels[0]]!r}")
    conformal_threshold([0.0] * sum(known), alpha)
