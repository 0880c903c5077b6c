"""An explanation as one picture: frames and maps, the time line, the answers and the words."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from claver.explain.drawing import (
    ACCENT,
    INK,
    SOFT,
    answer_rows,
    draw_bars,
    draw_scores,
    new_figure,
    word_rows,
)
from claver.explain.heat import brightness, enlarge, heat_picture
from claver.explain.telling import KIND_NAMES, MAPS, headline, number

if TYPE_CHECKING:
    from claver.explain.explanation import Explanation

Box = tuple[float, float, float, float]
_COLUMNS = 8
_INCHES, _MARGIN, _LABELS, _GAP = 13.0, 0.3, 1.35, 0.05
_BELOW = 3.5
_MOST_WORDS = 9


def draw_picture(explanation: Explanation) -> bytes:
    """The picture as a PNG file.

    Raises:
        ClaverError: matplotlib is missing.
    """
    frames = explanation.prediction.frames
    chosen = np.unique(np.linspace(0, len(frames) - 1, _COLUMNS).round().astype(int))
    side = min((_INCHES - 2 * _MARGIN - _LABELS) / len(chosen), 1.7)
    tall = side * frames.shape[1] / frames.shape[2]
    height = 1.35 + (len(MAPS) + 1) * (tall + _GAP) + 0.85 + _BELOW
    figure = new_figure(_INCHES, height)
    _title(figure, explanation, height)
    at = height - 1.35
    for name, title in (("", "Frame"), *((name, title) for name, title, _ in MAPS)):
        _label(figure, title, (at - tall / 2) / height)
        boxes = [_box(_MARGIN + _LABELS + n * side, at - tall, side - _GAP, tall, height) for n in range(len(chosen))]
        _row(figure, boxes, _pictures(explanation, name), chosen, numbered=not name)
        at -= tall + _GAP
    _moments(figure, explanation, chosen, side, at, height)
    _below(figure, explanation, height)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()


def _row(figure: Any, boxes: Sequence[Box], pictures: Sequence[Any], chosen: Any, *, numbered: bool) -> None:
    for box, frame in zip(boxes, chosen, strict=True):
        axes = figure.add_axes(box)
        axes.imshow(pictures[frame])
        axes.set_axis_off()
        if numbered:
            axes.set_title(str(frame + 1), fontsize=9, color=SOFT, pad=3)


def _pictures(explanation: Explanation, name: str) -> list[Any]:
    frames = explanation.prediction.frames
    if not name:
        return [enlarge(frame) for frame in frames]
    lights = brightness(getattr(explanation, name))
    return [heat_picture(frame, light) for frame, light in zip(frames, lights, strict=True)]


def _title(figure: Any, explanation: Explanation, height: float) -> None:
    place = {"x": _MARGIN / _INCHES, "va": "top", "parse_math": False}
    figure.text(y=1 - 0.22 / height, s=headline(explanation), fontsize=18, weight="bold", color=INK, **place)
    facts = (
        f"{PurePath(explanation.prediction.source).name} · temporal attention: {KIND_NAMES[explanation.temporal_kind]}"
    )
    what = "difference of scores" if explanation.against else "score"
    facts += f" · {what} {number(explanation.similarity, 2)}"
    figure.text(y=1 - 0.68 / height, s=facts, fontsize=10, color=SOFT, **place)


def _label(figure: Any, title: str, y: float) -> None:
    figure.text(_MARGIN / _INCHES, y, title, fontsize=11, weight="bold", color=INK, va="center")


def _moments(figure: Any, explanation: Explanation, chosen: Any, side: float, at: float, height: float) -> None:
    moments = explanation.moments
    _label(figure, "Share of\nrelevance", (at - 0.35) / height)
    axes = figure.add_axes(_box(_MARGIN + _LABELS, at - 0.6, len(chosen) * side - _GAP, 0.55, height))
    axes.bar(range(len(chosen)), moments[chosen], width=1 - _GAP / side, color=ACCENT)
    for column, frame in enumerate(chosen):
        axes.text(column, -0.12 * max(moments.max(), 1e-6), f"{moments[frame]:.0%}", ha="center", va="top", fontsize=9)
    half = (1 - _GAP / side) / 2
    axes.set(xlim=(-half, len(chosen) - 1 + half), ylim=(0, max(float(moments.max()), 1e-6)))
    axes.set_axis_off()


def _below(figure: Any, explanation: Explanation, height: float) -> None:
    low, tall = 0.6, _BELOW - 1.45
    answers = figure.add_axes(_box(_MARGIN + 1.35, low, 1.45, tall, height))
    draw_bars(answers, answer_rows(explanation))
    scores = figure.add_axes(_box(4.35, low, 2.9, tall, height))
    draw_scores(scores, explanation, len(explanation.scores))
    words = figure.add_axes(_box(10.7, low, 1.55, tall, height))
    text = explanation.texts[0]
    strongest = sorted(sorted(range(len(text.words)), key=lambda n: -text.words[n].share)[:_MOST_WORDS])
    draw_bars(words, word_rows([text.words[n] for n in strongest]))
    for x, title in ((_MARGIN, "Top answers"), (4.05, "Score after each frame"), (9.35, "Words")):
        figure.text(x / _INCHES, (low + tall + 0.18) / height, title, fontsize=11, weight="bold", color=INK)


def _box(left: float, low: float, width: float, tall: float, height: float) -> Box:
    """Inches from the lower left corner as matplotlib's parts of the figure."""
    return left / _INCHES, low / height, width / _INCHES, tall / height
