"""An explanation as one picture: frames and maps, the time line, the answers and the words."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from claver.explain.evidence import Evidence
from claver.explain.render.drawing import (
    ACCENT,
    INK,
    SOFT,
    TOP,
    answer_rows,
    draw_bars,
    draw_scores,
    score_labels,
    word_rows,
)
from claver.explain.render.heat_map import enlarge, heat_picture, intensity
from claver.explain.render.labels import wrap
from claver.explain.render.summary import KIND_NAMES, MAPS, empty_note, headline, number, seconds_of, shown_actions
from claver.explain.words import Word
from claver.plotting import new_figure
from claver.terminal import shown

Box = tuple[float, float, float, float]
_COLUMNS = 8
_INCHES, _MARGIN, _LABELS, _GAP = 13.0, 0.3, 1.35, 0.05
_NOTE = 0.2
_MOST_WORDS = 9
_TITLE, _NAME, _LINE_NAME, _WORD = 78, 26, 30, 15
"""Characters of a line of the title, an action beside its bar, one beside its line, and a word."""


def draw_picture(explanation: Evidence) -> bytes:
    """The picture as a PNG file.

    Raises:
        ClaverError: matplotlib is missing.
    """
    frames = explanation.prediction.frames
    chosen = np.unique(np.linspace(0, len(frames) - 1, _COLUMNS).round().astype(int))
    side = min((_INCHES - 2 * _MARGIN - _LABELS) / len(chosen), 1.7)
    tall = side * frames.shape[1] / frames.shape[2]
    title, below = wrap(headline(explanation), _TITLE), _below_height(explanation)
    above = 0.95 + 0.3 * len(title) + (_NOTE if empty_note(explanation) else 0)
    height = above + (len(MAPS) + 1) * (tall + _GAP) + 0.85 + below + 1.45
    figure = new_figure(_INCHES, height, laid_out=False)
    _title(figure, explanation, title, height)
    at = height - above
    for name, row in (("", "Frame"), *((name, row) for name, row, _ in MAPS)):
        _label(figure, row, (at - tall / 2) / height)
        boxes = [_box(_MARGIN + _LABELS + n * side, at - tall, side - _GAP, tall, height) for n in range(len(chosen))]
        _row(figure, explanation, boxes, _pictures(explanation, name), chosen, numbered=not name)
        at -= tall + _GAP
    _moments(figure, explanation, chosen, side, at, height)
    _below(figure, explanation, below, height)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()


def _row(
    figure: Any,
    explanation: Evidence,
    boxes: Sequence[Box],
    pictures: Sequence[Any],
    chosen: Any,
    *,
    numbered: bool,
) -> None:
    for box, frame in zip(boxes, chosen, strict=True):
        axes = figure.add_axes(box)
        axes.imshow(pictures[frame])
        axes.set_axis_off()
        if numbered:
            when = seconds_of(explanation, frame)
            axes.set_title(f"{frame + 1}" + (f" · {when}" if when else ""), fontsize=9, color=SOFT, pad=3)


def _pictures(explanation: Evidence, name: str) -> list[Any]:
    frames = explanation.prediction.frames
    if not name:
        return [enlarge(frame) for frame in frames]
    shades = intensity(getattr(explanation, name))
    return [heat_picture(frame, shade) for frame, shade in zip(frames, shades, strict=True)]


def _title(figure: Any, explanation: Evidence, title: Sequence[str], height: float) -> None:
    place = {"x": _MARGIN / _INCHES, "va": "top", "parse_math": False}
    figure.text(y=1 - 0.22 / height, s="\n".join(title), fontsize=18, weight="bold", color=INK, **place)
    file = shown(PurePath(explanation.prediction.source).name)
    facts = f"{file} · temporal attention: {KIND_NAMES[explanation.temporal_kind]}"
    what = "difference of scores" if explanation.against else "score"
    facts += f" · {what} {number(explanation.similarity, 2)}"
    facts = "\n".join([facts, *filter(None, [empty_note(explanation)])])
    figure.text(y=1 - (0.33 + 0.3 * len(title)) / height, s=facts, fontsize=10, color=SOFT, **place)


def _label(figure: Any, title: str, y: float) -> None:
    figure.text(_MARGIN / _INCHES, y, title, fontsize=11, weight="bold", color=INK, va="center")


def _moments(figure: Any, explanation: Evidence, chosen: Any, side: float, at: float, height: float) -> None:
    moments = explanation.moments
    _label(figure, "Share of\nrelevance", (at - 0.35) / height)
    axes = figure.add_axes(_box(_MARGIN + _LABELS, at - 0.6, len(chosen) * side - _GAP, 0.55, height))
    axes.bar(range(len(chosen)), moments[chosen], width=1 - _GAP / side, color=ACCENT)
    for column, frame in enumerate(chosen):
        axes.text(column, -0.12 * max(moments.max(), 1e-6), f"{moments[frame]:.0%}", ha="center", va="top", fontsize=9)
    half = (1 - _GAP / side) / 2
    axes.set(xlim=(-half, len(chosen) - 1 + half), ylim=(0, max(float(moments.max()), 1e-6)))
    axes.set_axis_off()


def _strongest(explanation: Evidence) -> list[Word]:
    """Words of the first text that weigh most, in their order; marks are none."""
    words = [word for word in explanation.texts[0].words if not word.is_mark]
    strongest = sorted(range(len(words)), key=lambda n: -words[n].share)[:_MOST_WORDS]
    return [words[n] for n in sorted(strongest)]


def _below_height(explanation: Evidence) -> float:
    """Inches that the answers, the lines' labels and the words need, side by side."""
    bars = [answer_rows(explanation, _NAME)[0], word_rows(_strongest(explanation), _WORD)[0]]
    labels = score_labels(explanation, shown_actions(explanation, TOP), len(explanation.scores), _LINE_NAME)
    return max(2.05, *(sum(row.height for row in rows) for rows in bars), 0.165 * sum(map(len, labels)))


def _below(figure: Any, explanation: Evidence, tall: float, height: float) -> None:
    low = 0.6
    answers = figure.add_axes(_box(_MARGIN + 2.0, low, 1.25, tall, height))
    draw_bars(answers, *answer_rows(explanation, _NAME))
    scores = figure.add_axes(_box(4.75, low, 2.5, tall, height))
    draw_scores(scores, explanation, len(explanation.scores), _LINE_NAME)
    words = figure.add_axes(_box(10.95, low, 1.35, tall, height))
    draw_bars(words, *word_rows(_strongest(explanation), _WORD))
    titles = (_MARGIN, "Answers by rank"), (4.45, "Score after each frame"), (9.75, "Words")
    for x, title in titles:
        figure.text(x / _INCHES, (low + tall + 0.18) / height, title, fontsize=11, weight="bold", color=INK)


def _box(left: float, low: float, width: float, tall: float, height: float) -> Box:
    """Inches from the lower left corner as matplotlib's parts of the figure."""
    return left / _INCHES, low / height, width / _INCHES, tall / height
