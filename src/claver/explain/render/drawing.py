"""What picture and video have in common: an explanation's parts drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from claver.explain.evidence import Evidence
from claver.explain.render.labels import apart, wrap
from claver.explain.render.summary import Ranked, number, shown_actions
from claver.explain.words import Word
from claver.inference.prediction import percent, share_scale

INK, SOFT, PALE, ACCENT, RIVAL, GRAY = "#1c1b22", "#5d5a68", "#e9e6ee", "#7a1f7d", "#b4471c", "#8d8a99"
TOP = 5
_STYLES = ("-", "--", ":", "-.", (0, (5, 1.5)))
_MARKS = "os^Dv"
_HATCHES = {"verb": "", "noun": "////", "other": ""}
_LINE = 0.165
"""Inches of a line of a label."""


class BarRow(NamedTuple):
    """A bar: its name in lines, its share, the number beside it, colour and hatch; without a number only its name."""

    name: list[str]
    share: float
    number: str = ""
    color: str = SOFT
    hatch: str = ""

    @property
    def height(self) -> float:
        """In inches."""
        return _LINE * (len(self.name) - 1) + (0.3 if self.number else 0.22)


def draw_scores(axes: Any, explanation: Evidence, upto: int, longest: int) -> None:
    """Scores of the best actions after each frame, drawn as far as frame `upto`; each named at its end.

    Args:
        axes: where.
        explanation: whose.
        upto: frames that have been seen.
        longest: characters of a line of a name.
    """
    count, shown = len(explanation.scores), shown_actions(explanation, TOP)
    series = explanation.scores[:, [explanation.prediction.actions.index(one.action) for one in shown]]
    frames = np.arange(1, count + 1)
    for index, one in enumerate(shown):
        width = 2.6 if one.action == explanation.action else 1.5
        style = {"color": color_of(explanation, one.action), "linewidth": width, "marker": _MARKS[index]}
        line = {"linestyle": _STYLES[index], "markerfacecolor": "white", "markersize": 4.5}
        axes.plot(frames[:upto], series[:upto, index], **line, **style)
    room = max(0.05 * float(np.ptp(series)), 0.1)
    low, high = float(series.min()) - room, float(series.max()) + room
    axes.set(xlim=(0.6, count + 0.2), ylim=(low, high))
    labels = score_labels(explanation, shown, upto, longest)
    _name_ends(axes, explanation, shown, labels, series[upto - 1].tolist(), upto)
    axes.set_xticks(frames[:: -(-count // 16)])
    ahead = ", each with all later ones in sight" if explanation.looks_ahead else ""
    axes.set_xlabel(f"after frame{ahead}", fontsize=9, color=SOFT)
    axes.tick_params(labelsize=8.5, colors=SOFT, length=0)
    axes.grid(axis="y", color=PALE)
    axes.spines[:].set_visible(False)


def score_labels(explanation: Evidence, shown: Sequence[Ranked], upto: int, longest: int) -> list[list[str]]:
    """The whole names of lines with their scores after frame `upto`, wrapped."""
    columns = [explanation.prediction.actions.index(one.action) for one in shown]
    digits = 1 if np.ptp(explanation.scores[:, columns]) > 2 else 2
    values = explanation.scores[upto - 1, columns].tolist()
    return [
        wrap(f"{one.rank:,}. {one.action} {number(value, digits)}", longest)
        for one, value in zip(shown, values, strict=True)
    ]


def _name_ends(
    axes: Any,
    explanation: Evidence,
    shown: Sequence[Ranked],
    labels: Sequence[Sequence[str]],
    ends: list[float],
    upto: int,
) -> None:
    """Names at the ends of lines, smaller where there are too many lines for the height."""
    low, high = axes.get_ylim()
    inches = axes.get_position().height * axes.figure.get_figheight()
    lines = sum(map(len, labels))
    size = min(9.0, 72 * inches / (lines * 1.25))
    unit = size * 1.25 / 72 / inches * (high - low)
    heights = apart(ends, [unit * len(label) for label in labels], high)
    for one, label, height in zip(shown, labels, heights, strict=True):
        weight = "bold" if one.action == explanation.action else "normal"
        style = {"fontsize": size, "color": INK, "va": "center", "weight": weight, "linespacing": 1.05}
        axes.text(upto + 0.25, height, "\n".join(label), parse_math=False, **style)


def draw_bars(axes: Any, rows: Sequence[BarRow], scale: float) -> None:
    """Bars from the top, each as high as its name; a bar is full at a share of `scale`. The axes' height is inches."""
    inches, at = axes.get_position().height * axes.figure.get_figheight(), 0.0
    for row in rows:
        middle, at = at + row.height / 2, at + row.height
        name = {"ha": "right", "va": "center", "fontsize": 9, "color": INK if row.number else SOFT}
        axes.text(-0.03, middle, "\n".join(row.name), parse_math=False, linespacing=1.05, **name)
        if not row.number:
            continue
        axes.barh(middle, 1, height=0.17, color=PALE)
        face = "white" if row.hatch else row.color
        axes.barh(
            middle, row.share / scale, height=0.17, facecolor=face, edgecolor=row.color, hatch=row.hatch, linewidth=0.8
        )
        axes.text(1.03, middle, row.number, ha="left", va="center", fontsize=9, color=INK)
    axes.set(xlim=(0, 1), ylim=(max(inches, at), 0))
    axes.set_axis_off()


def answer_rows(explanation: Evidence, longest: int) -> tuple[list[BarRow], float]:
    """The best actions as rows of `draw_bars`, with gaps where others are left out; and the bars' scale."""
    rows = []
    for name, rank, left_out in shown_actions(explanation, TOP):
        if left_out:
            rows.append(BarRow([f"⋮ {left_out:,} more"], 0))
        share = explanation.probability(name)
        hatch = "////" if name == explanation.against else ""
        lines = wrap(f"{rank:,}. {name}", longest)
        rows.append(BarRow(lines, share, percent(share), color_of(explanation, name), hatch))
    return rows, share_scale(explanation.prediction.top(1)[0].probability)


def word_rows(words: Sequence[Word], longest: int) -> tuple[list[BarRow], float]:
    """Words as rows of `draw_bars`: verbs full, nouns hatched, others grey; and the bars' scale."""
    rows = [
        BarRow(wrap(f"{word.text} ({word.kind})", longest), word.share, f"{word.share:.0%}", *_word_style(word))
        for word in words
    ]
    return rows, share_scale(max((word.share for word in words), default=1))


def _word_style(word: Word) -> tuple[str, str]:
    return (GRAY if word.kind == "other" else ACCENT), _HATCHES[word.kind]


def color_of(explanation: Evidence, action: str) -> str:
    """An action's colour by its part in the explanation."""
    return ACCENT if action == explanation.action else RIVAL if action == explanation.against else GRAY
