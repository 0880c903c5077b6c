"""The quickstart's picture: frames of clips beside what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claver.errors import ClaverError
from claver.prediction import Prediction

_FRAMES, _ANSWERS = 6, 3
_RIGHT, _WRONG, _OTHER, _INK = "#1a7f5a", "#c2410c", "#d4d4d8", "#27272a"


def draw_picture(verbs: Sequence[str], predictions: Sequence[Prediction], path: Path) -> Path:
    """Frames in time order and bars of the best answers, two clips a row, so that reversed verbs stand side by side.

    Args:
        verbs: what each clip shows; its bar is green, a wrong best answer orange.
        predictions: one per clip.
        path: the suffix gives the format.

    Raises:
        ClaverError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ClaverError("pictures need matplotlib; pip install 'claver[train,explain]'") from error
    rows = (len(verbs) + 1) // 2
    figure = Figure(figsize=(14, 1.42 * rows + 0.5), facecolor="white")
    grid = figure.add_gridspec(rows, 2, left=0.012, right=0.985, top=0.93, bottom=0.02, wspace=0.05, hspace=0.42)
    for place, (verb, prediction) in enumerate(zip(verbs, predictions, strict=True)):
        _draw_clip(figure, grid[place // 2, place % 2], verb, prediction)
    figure.text(0.012, 0.975, "time →", fontsize=9, color="#71717a", va="center")
    figure.savefig(path, dpi=130)
    return path


def _draw_clip(figure: Any, place: Any, verb: str, prediction: Prediction) -> None:
    widths = [1] * _FRAMES + [0.95, 1.9]
    cells = place.subgridspec(1, _FRAMES + 2, width_ratios=widths, wspace=0.06)
    count = len(prediction.frames)
    for column in range(_FRAMES):
        axes = figure.add_subplot(cells[column])
        axes.imshow(prediction.frames[round(column * (count - 1) / (_FRAMES - 1))], interpolation="nearest")
        axes.set_axis_off()
        if column == 0:
            axes.set_title(verb, fontsize=11, loc="left", color=_INK, fontweight="bold", pad=4)
    _draw_answers(figure.add_subplot(cells[_FRAMES + 1]), verb, prediction)


def _draw_answers(axes: Any, verb: str, prediction: Prediction) -> None:
    answers = prediction.top(_ANSWERS)
    best_is_wrong = answers[0].action != verb
    colours = [_RIGHT if a.action == verb else _WRONG if i == 0 and best_is_wrong else _OTHER for i, a in enumerate(answers)]
    axes.barh(range(len(answers)), [answer.probability for answer in answers], color=colours, height=0.62)
    for place, answer in enumerate(answers):
        axes.text(-0.04, place, answer.action, ha="right", va="center", fontsize=8.5, color=_INK)
        axes.text(answer.probability + 0.03, place, f"{answer.probability:.0%}", va="center", fontsize=8, color=_INK)
    axes.set(xlim=(0, 1.25), ylim=(_ANSWERS - 0.5, -0.5))
    axes.set_axis_off()
