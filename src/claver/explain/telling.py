"""An explanation in words: its headline, what stands out, and where in a frame the light falls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from claver.explain.explanation import Explanation
from claver.models.config import Temporal

KIND_NAMES: dict[Temporal, str] = {
    "kmt": "KMTA",
    "kmct": "KMCTA",
    "joint": "joint",
    "pipeline": "pipeline",
    "class": "class token only",
    "mean": "none (mean of frames)",
}

MAPS = (
    ("spatial", "Spatial", "image tower alone"),
    ("temporal", "Temporal", "temporal tower alone"),
    ("combined", "Both", "through both towers"),
)
"""An explanation's maps: the attribute, its title, and what it is."""
_MOST_ACTIONS = 5


def headline(explanation: Explanation) -> str:
    """The question."""
    than = f" rather than “{explanation.against}”" if explanation.against else ""
    return f"Why “{explanation.action}”{than}?"


def summary(explanation: Explanation) -> str:
    """What stands out, in two or three sentences."""
    best = explanation.prediction.top(1)[0]
    count = len(explanation.prediction.actions)
    named = f"Of {count} actions the model names “{best.action}” ({best.probability:.0%})."
    sentences = [named if count > 1 else f"The score of “{best.action}” is {number(best.score)}."]
    moments = explanation.moments
    if len(moments) > 1 and moments.any():
        first, second = sorted(np.argsort(-moments, kind="stable")[:2])
        share = moments[[first, second]].sum()
        sentences.append(
            f"Frames {first + 1} and {second + 1} brought {share:.0%} of the relevance to what is explained here."
        )
    words = explanation.texts[0].words
    if len(words) > 1:
        strongest = max(words, key=lambda word: word.share)
        sentences.append(f"In “{explanation.texts[0].text}”, “{strongest.text}” weighs most ({strongest.share:.0%}).")
    return " ".join(sentences)


def time_line_note(explanation: Explanation) -> str:
    """What a score after a frame is, and whether it knows what comes later."""
    if explanation.temporal_kind == "mean":
        return "Score after each frame, from the frames up to then; no frame knows of any other."
    if explanation.looks_ahead:
        return (
            "Score from the class tokens of the frames up to then. With this kind of attention they look ahead: each "
            "has already seen the later frames."
        )
    return "Score after each frame. The attention is causal: no score knows of later frames."


def place_words(values_hw: NDArray[np.float32], maps_Thw: NDArray[np.float32]) -> str:
    """Where a frame's relevance is strongest, and how much of the row's it is: the map for who cannot see it."""
    total = float(maps_Thw.sum())
    if float(values_hw.sum()) <= 0 or total <= 0:
        return "none"
    row, column = np.unravel_index(int(values_hw.argmax()), values_hw.shape)
    vertical = ("top", "middle", "bottom")[int(3 * (row + 0.5) / values_hw.shape[0])]
    horizontal = ("left", "centre", "right")[int(3 * (column + 0.5) / values_hw.shape[1])]
    return f"{float(values_hw.sum()) / total:.0%} of the row, strongest at the {vertical} {horizontal}"


def number(value: float, digits: int = 1) -> str:
    """A number with a true minus sign, and none before a zero."""
    return f"{value:z.{digits}f}".replace("-", "−")


def role(explanation: Explanation, action: str) -> str:
    """An action's part: `chosen`, `rival` or nothing."""
    return "chosen" if action == explanation.action else "rival" if action == explanation.against else ""


def shown_actions(explanation: Explanation, count: int = _MOST_ACTIONS) -> list[str]:
    """The best actions, best first, with what is explained and what it is compared with among them."""
    ranked = [answer.action for answer in explanation.prediction.top(len(explanation.prediction.actions))]
    named = [name for name in ranked if role(explanation, name)]
    best = [name for name in ranked if name not in named][: max(count - len(named), 0)]
    return [name for name in ranked if name in (*named, *best)]
