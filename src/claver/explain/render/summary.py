"""An explanation in words: its headline, what stands out, and where in a frame the relevance lies."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from claver.explain.evidence import Evidence
from claver.inference.prediction import percent
from claver.models.config import Temporal
from claver.models.temporal import KINDS

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


class Ranked(NamedTuple):
    """An action that is shown, with its rank among all that compete, and how many are left out before it."""

    action: str
    rank: int
    left_out: int


def headline(explanation: Evidence) -> str:
    """What is explained, as it is: whether the model's answer is the action, its rival, or another."""
    action, against, best = explanation.action, explanation.against, explanation.prediction.action
    count = len(explanation.prediction.actions)
    if count == 1:
        return f"What made the score of “{action}”?"
    if action == best:
        return f"Why “{action}”" + (f" rather than “{against}”?" if against else "?")
    if against == best:
        return f"The model names “{best}”, not “{action}”"
    if against:
        return f"The model names “{best}”; “{action}” scores {_above(explanation)} “{against}”"
    return f"The model names “{best}”; “{action}” is {ordinal(explanation.rank(action))} of {count}"


def _above(explanation: Evidence) -> str:
    return "above" if explanation.similarity > 0 else "below" if explanation.similarity < 0 else "the same as"


def ordinal(rank: int) -> str:
    """A rank in words: 1st, 2nd, 3rd, 11th, 229th."""
    last = {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank:,}" + ("th" if rank % 100 in (11, 12, 13) else last)


def summary(explanation: Evidence) -> str:
    """The main findings, in a few sentences."""
    parts = (_damage, _answer, _standing, _frames, _word)
    return " ".join(filter(None, [part(explanation) for part in parts]))


def _damage(explanation: Evidence) -> str:
    damaged = explanation.prediction.damaged
    return "" if damaged is None else f"The video is damaged: {damaged}."


def _answer(explanation: Evidence) -> str:
    best, count = explanation.prediction.top(1)[0], len(explanation.prediction.actions)
    if count == 1:
        return f"The score of “{best.action}” is {number(best.score)}."
    return f"Of {count} actions the model names “{best.action}” ({percent(best.probability)})."


def _standing(explanation: Evidence) -> str:
    """Where what is explained stands if it is not the answer."""
    prediction = explanation.prediction
    others = [name for name in (explanation.action, explanation.against) if name and name != prediction.action]
    each = [
        f"“{name}” is {ordinal(explanation.rank(name))} ({percent(explanation.probability(name))})" for name in others
    ]
    return f"{' and '.join(each)}." if each else ""


def _frames(explanation: Evidence) -> str:
    moments = explanation.moments
    if len(moments) < 2 or not moments.any():
        return ""
    first, second = sorted(np.argsort(-moments, kind="stable")[:2].tolist())
    share = moments[[first, second]].sum()
    when = [f"{frame + 1}{f' ({at})' if (at := seconds_of(explanation, frame)) else ''}" for frame in (first, second)]
    what = "the difference of the two scores" if explanation.against else f"the score of “{explanation.action}”"
    return f"Frames {' and '.join(when)} carry {share:.0%} of the relevance to {what}."


def _word(explanation: Evidence) -> str:
    """The word that weighs most; articles, prepositions and marks say nothing about an action."""
    text = explanation.texts[0]
    meant = [word for word in text.words if word.has_meaning]
    strongest = max(meant, key=lambda word: word.share, default=None)
    if strongest is None or len(meant) < 2 or strongest.share <= 0:
        return ""
    return f"In “{text.text}”, function words aside, “{strongest.text}” weighs most ({strongest.share:.0%})."


def seconds_of(explanation: Evidence, frame: int) -> str:
    """When a frame is shown, such as `1.2 s` (not to be broken); empty where that is not known."""
    seconds = explanation.seconds
    return "" if seconds is None else f"{seconds[frame]:.{1 if seconds[-1] < 1000 else 0}f}\u00a0s"


def time_line_note(explanation: Evidence) -> str:
    """What a score after a frame is, and whether it knows what comes later."""
    if KINDS[explanation.temporal_kind].mask is None:
        return "Score after each frame, from the frames up to then; no frame knows of any other."
    if explanation.looks_ahead:
        return (
            "Score from the class tokens of the frames up to then. With this kind of attention they look ahead: each "
            "has already seen the later frames."
        )
    return "Score after each frame. The attention is causal: no score knows of later frames."


def empty_note(explanation: Evidence) -> str:
    """Why the temporal maps show nothing, if they do not."""
    if explanation.temporal.any():
        return ""
    if not KINDS[explanation.temporal_kind].needs_patches:
        return "The temporal maps are empty: with this kind of attention no frame looks at a place of another."
    return (
        "The temporal maps are empty: the temporal tower adds nothing to this score, as one that has not been trained."
    )


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


def role(explanation: Evidence, action: str) -> str:
    """An action's part: `chosen`, `rival` or nothing."""
    return "chosen" if action == explanation.action else "rival" if action == explanation.against else ""


def shown_actions(explanation: Evidence, count: int = _MOST_ACTIONS) -> list[Ranked]:
    """The best actions, best first, what is explained and compared with among them, each with its rank."""
    ranked = [answer.action for answer in explanation.prediction.top(len(explanation.prediction.actions))]
    named = [name for name in ranked if role(explanation, name)]
    best = [name for name in ranked if name not in named][: max(count - len(named), 0)]
    ranks = [rank for rank, name in enumerate(ranked, start=1) if name in {*named, *best}]
    return [Ranked(ranked[rank - 1], rank, rank - before - 1) for before, rank in pairwise([0, *ranks])]
