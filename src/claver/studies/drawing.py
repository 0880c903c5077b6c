"""Pictures of studies: readable in black and white, the paper's numbers in a panel of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claver.plotting import new_figure, save_figure
from claver.studies.size import size_of
from claver.studies.study import Record
from claver.studies.table import Measured

INK, PALE, OURS, PAPER = "#27272a", "#71717a", "#a1a1aa", "#f4f4f5"
MOTION = "measured: rendered motion"
KINETICS = "the paper: Kinetics-400, another dataset"


def set_title(figure: Any, title: str, records: Sequence[Record]) -> None:
    """Above all panels: what is shown, and how much was run for it."""
    size = size_of(records)
    text = f"{title} · {size}" if size else title
    figure.suptitle(text, fontsize=12, fontweight="bold", color=INK, x=0.01, ha="left")


def plain_axes(axes: Any) -> None:
    """No frame above and on the right, quiet ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(colors=PALE, labelcolor=INK, labelsize=9)


def bars(axes: Any, labels: Sequence[str], values: Sequence[Measured | float | None], *, hatch: str = "") -> None:
    """Horizontal bars, the first on top, each with its number; a line of one deviation and a dot for every run."""
    for place, value in enumerate(values):
        if value is None or (isinstance(value, Measured) and not value.values):
            continue
        mean, runs = (value.mean, value.values) if isinstance(value, Measured) else (value, ())
        face = OURS if isinstance(value, Measured) else PAPER
        axes.barh(place, mean, height=0.62, color=face, edgecolor=INK, linewidth=0.6, hatch=hatch)
        end = mean
        if isinstance(value, Measured) and len(runs) > 1:
            axes.errorbar(mean, place, xerr=value.std, color=INK, capsize=3, linewidth=1)
            axes.plot(runs, [place] * len(runs), "o", color="white", markeredgecolor=INK, markersize=3.5, linewidth=0)
            end = max(mean + value.std, *runs)
        axes.annotate(
            f"{mean:.1f}", (end, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9, color=INK
        )
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    plain_axes(axes)


def beside(
    path: Path,
    records: Sequence[Record],
    title: str,
    labels: Sequence[str],
    measured: Sequence[Measured],
    paper: Sequence[float | None],
    *,
    axis: str = "top-1, %",
    chance: float | None = None,
) -> None:
    """Two panels over the same labels: what was measured here, and what the paper printed, both from zero.

    Args:
        path: PNG.
        records: the runs; how many the title says.
        title: above both.
        labels: one a row.
        measured: this dataset's.
        paper: the paper's; None where it has none.
        axis: what the numbers are.
        chance: where guessing would be, a dotted line.
    """
    figure = new_figure(9.2, 0.42 * len(labels) + 1.3)
    set_title(figure, title, records)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.25, 1])
    bars(left, labels, measured)
    left.set(xlim=(0, _room(measured)), xlabel=axis)
    left.set_title(MOTION, fontsize=10, color=INK, loc="left")
    if chance is not None:
        left.axvline(chance, color=INK, linestyle=":", linewidth=1)
        left.annotate(
            "chance", (chance, -0.6), xytext=(3, -1), textcoords="offset points", fontsize=8, color=INK, va="top"
        )
    bars(right, labels, paper, hatch="////")
    numbers = [value for value in paper if value is not None]
    right.set(xlim=(0, 1.14 * max(numbers)), xlabel=axis)
    right.set_title(KINETICS, fontsize=10, color=INK, loc="left")
    save_figure(figure, path)


def _room(values: Sequence[Measured]) -> float:
    return 1.14 * max((v.mean + v.std for v in values if v.values), default=1.0)
