"""What picture and film have in common: an explanation's parts drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from claver.errors import ClaverError
from claver.explain.labels import apart, shorten
from claver.explain.telling import number, shown_actions
from claver.explain.words import Word

if TYPE_CHECKING:
    from claver.explain.explanation import Explanation

INK, SOFT, PALE, ACCENT, RIVAL, GREY = "#1c1b22", "#5d5a68", "#e9e6ee", "#7a1f7d", "#b4471c", "#8d8a99"
TOP = 5
_STYLES = ("-", "--", ":", "-.", (0, (5, 1.5)))
_MARKS = "os^Dv"
_HATCHES = {"verb": "", "noun": "////", "other": ""}
_LONGEST_NAME = 26


def new_figure(width: float, height: float) -> Any:
    """An empty white figure, in inches.

    Raises:
        ClaverError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ClaverError("pictures and films need matplotlib; pip install 'claver[explain]'") from error
    return Figure(figsize=(width, height), facecolor="white", dpi=100)


def draw_scores(axes: Any, explanation: Explanation, upto: int) -> None:
    """Scores of the best actions after each frame, drawn as far as frame `upto`; each named at its end."""
    actions, count = explanation.prediction.actions, len(explanation.scores)
    names = shown_actions(explanation, TOP)
    series = explanation.scores[:, [actions.index(name) for name in names]]
    frames = np.arange(1, count + 1)
    for place, name in enumerate(names):
        colour, width = colour_of(explanation, name), 2.6 if name == explanation.action else 1.5
        style = {"color": colour, "linewidth": width, "marker": _MARKS[place], "markersize": 4.5}
        axes.plot(frames[:upto], series[:upto, place], linestyle=_STYLES[place], markerfacecolor="white", **style)
    room = max(0.05 * float(np.ptp(series)), 0.1)
    low, high = float(series.min()) - room, float(series.max()) + room
    heights = apart(series[upto - 1].tolist(), (high - low) / 11, high)
    digits = 1 if np.ptp(series) > 2 else 2
    for place, name in enumerate(names):
        text = f"{shorten(name, _LONGEST_NAME)} {number(float(series[upto - 1, place]), digits)}"
        weight = "bold" if name == explanation.action else "normal"
        axes.text(
            upto + 0.25, heights[place], text, fontsize=9, color=INK, va="center", weight=weight, parse_math=False
        )
    axes.set(xlim=(0.6, count + 0.2), ylim=(low, high))
    axes.set_xticks(frames[:: -(-count // 16)])
    ahead = ", each with all later ones in sight" if explanation.looks_ahead else ""
    axes.set_xlabel(f"after frame{ahead}", fontsize=9, color=SOFT)
    axes.tick_params(labelsize=8.5, colors=SOFT, length=0)
    axes.grid(axis="y", color=PALE)
    axes.spines[:].set_visible(False)


def draw_bars(axes: Any, rows: Sequence[tuple[str, float, str, str, str]]) -> None:
    """Bars of shares: name, share, number, colour, hatch."""
    for place, (name, share, figure, colour, hatch) in enumerate(rows):
        axes.barh(place, 1, height=0.56, color=PALE)
        face = "white" if hatch else colour
        axes.barh(place, share, height=0.56, facecolor=face, edgecolor=colour, hatch=hatch, linewidth=0.8)
        axes.text(
            -0.02, place, shorten(name, _LONGEST_NAME), ha="right", va="center", fontsize=9, color=INK, parse_math=False
        )
        axes.text(1.02, place, figure, ha="left", va="center", fontsize=9, color=INK)
    axes.set(xlim=(0, 1), ylim=(max(len(rows), 4) - 0.4, -0.6))
    axes.set_axis_off()


def answer_rows(explanation: Explanation) -> list[tuple[str, float, str, str, str]]:
    """The best actions as rows of `draw_bars`."""
    prediction, rows = explanation.prediction, []
    for name in shown_actions(explanation, TOP):
        share = float(prediction.probabilities[prediction.actions.index(name)])
        hatch = "////" if name == explanation.against else ""
        rows.append((name, share, f"{share:.1%}", colour_of(explanation, name), hatch))
    return rows


def word_rows(words: Sequence[Word]) -> list[tuple[str, float, str, str, str]]:
    """Words as rows of `draw_bars`: verbs full, nouns hatched, others grey."""
    return [(f"{word.text} ({word.kind})", word.share, f"{word.share:.0%}", *_word_style(word)) for word in words]


def _word_style(word: Word) -> tuple[str, str]:
    return (GREY if word.kind == "other" else ACCENT), _HATCHES[word.kind]


def colour_of(explanation: Explanation, action: str) -> str:
    """An action's colour by its part in the explanation."""
    return ACCENT if action == explanation.action else RIVAL if action == explanation.against else GREY
