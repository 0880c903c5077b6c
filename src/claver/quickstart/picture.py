"""The quickstart's picture: frames of clips beside what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from claver.plotting import new_figure, save_figure

if TYPE_CHECKING:
    from claver.inference.prediction import Answer

_FRAMES = 6
_INCHES_WIDE, _INCHES_PER_CLIP = 13.6, 1.12
_RIGHT, _WRONG, _OTHER, _INK, _PALE = "#12805c", "#d9480f", "#d4d4d8", "#27272a", "#71717a"


class Shown(NamedTuple):
    """A clip in the picture: what it shows, its frames uint8 [T, H, W, 3], and the best answers, best first."""

    verb: str
    frames: NDArray[np.uint8]
    answers: Sequence[Answer]


def draw_picture(clips: Sequence[Shown], path: Path) -> Path:
    """Frames in time order and bars of the best answers, two clips a row, so that reversed verbs stand side by side.

    The bar of the right answer is green; a wrong best answer is orange.

    Args:
        clips: in the order of reading.
        path: the suffix gives the format.

    Raises:
        ClaverError: matplotlib is missing.
    """
    rows = (len(clips) + 1) // 2
    height = _INCHES_PER_CLIP * rows + 0.35
    figure = new_figure(_INCHES_WIDE, height, laid_out=False)
    top = 1 - 0.45 / height
    grid = figure.add_gridspec(rows, 2, left=0.008, right=0.995, top=top, bottom=0.012, wspace=0.03, hspace=0.36)
    for place, clip in enumerate(clips):
        _draw_clip(figure, grid[place // 2, place % 2], clip)
    figure.text(0.008, 1 - 0.13 / height, "time →", fontsize=8.5, color=_PALE, va="center")
    save_figure(figure, path, dpi=120)
    return path


def _draw_clip(figure: Any, place: Any, clip: Shown) -> None:
    cells = place.subgridspec(1, _FRAMES + 1, width_ratios=[1] * _FRAMES + [2.9], wspace=0.05)
    for column in range(_FRAMES):
        axes = figure.add_subplot(cells[column])
        axes.imshow(clip.frames[round(column * (len(clip.frames) - 1) / (_FRAMES - 1))])
        axes.set_axis_off()
        if column == 0:
            axes.set_title(clip.verb, fontsize=10.5, loc="left", color=_INK, fontweight="bold", pad=3)
    _draw_answers(figure.add_subplot(cells[_FRAMES]), clip)


def _draw_answers(axes: Any, clip: Shown) -> None:
    """Each answer's words above its bar, so that words of any length have room."""
    for place, answer in enumerate(clip.answers):
        color = _RIGHT if answer.action == clip.verb else _WRONG if place == 0 else _OTHER
        axes.barh(place, 1, height=0.24, color="#f4f4f5")
        axes.barh(place, answer.probability, height=0.24, color=color)
        style = {"fontsize": 8, "color": _INK if place == 0 else _PALE, "va": "bottom"}
        axes.text(0, place - 0.18, answer.action, ha="left", **style)
        axes.text(1, place - 0.18, f"{answer.probability:.0%}", ha="right", **style)
    axes.set(xlim=(-0.06, 1.02), ylim=(len(clip.answers) - 0.75, -0.75))
    axes.set_axis_off()
