"""Ways to learn that are said to keep what a model knew, what it becomes before it is asked, and the plane of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from claver.plotting import new_figure, save_figure
from claver.studies.drawing import INK, OURS, PALE, plain_axes, set_title
from claver.studies.study import Figures, Record, measured
from claver.studies.table import Measured

START = "start"
WEIGHTS = (1.0, 0.75, 0.5, 0.25)
GATES = (0.05, 0.5)  # τ: MoTE's, and one for texts that are less alike than CLIP's
_FEATURE, _RELATIONAL, _BETWEEN = {"kind": "feature"}, {"kind": "relational"}, {"up_to": 0.6, "weight": 0.5}
REWRITTEN = "plain, by `name: sentence`"
WAYS: Mapping[str, dict[str, Any]] = {
    "plain": {},
    "interpolated weights": {"interpolate": _BETWEEN},
    "feature distillation": {"distill": _FEATURE},
    "relational distillation": {"distill": _RELATIONAL},
    "feature, interpolated": {"distill": _FEATURE, "interpolate": _BETWEEN},
    "relational, interpolated": {"distill": _RELATIONAL, "interpolate": _BETWEEN},
    REWRITTEN: {},
}
"""How actions are learned: keys of the recipe. Texts are plain but for the last way, whose texts are rewritten."""
PARTS = 10  # of a run, at the ends of which weights are averaged from the second on


class Variant(NamedTuple):
    """What becomes of a trained model before it is asked.

    Attributes:
        averaged: the mean of its weights in place of the last.
        weight: of the trained model in a blend with the start.
        gate: τ of the gate behind its temporal tower; None for no gate.
    """

    averaged: bool = False
    weight: float = 1.0
    gate: float | None = None

    @property
    def label(self) -> str:
        """As in figures and tables."""
        parts = ["mean of weights" if self.averaged else "last weights"]
        parts += [] if self.weight == 1 else [f"blend {self.weight:g}"]
        return ", ".join([*parts, *([] if self.gate is None else [f"gate {self.gate:g}"])])

    def name(self, figures: Figures) -> Figures:
        """The figures under names that say of which variant they are."""
        return {f"{name} @ {self.label}": value for name, value in figures.items()}


VARIANTS = tuple(Variant(a, w, g) for a in (False, True) for w in WEIGHTS for g in (None, *GATES))
SHOWN = (
    Variant(),
    *(Variant(gate=tau) for tau in GATES),
    Variant(weight=0.5),
    *(Variant(True, weight) for weight in WEIGHTS),
    *(Variant(True, 1.0, tau) for tau in GATES),
    Variant(True, 0.5, GATES[1]),
)
"""The rows of a table for each way; `data.jsonl` has all."""


def average(steps: int) -> dict[str, int]:
    """The key `average` of a run of so many steps: over the ends of tenths, from the second on."""
    return {"from_epoch": 2, "every": max(1, steps // PARTS)}


def lost(records: Sequence[Record], way: str, variant: Variant) -> Measured:
    """Points of what the start knew that are gone, seed by seed."""
    before = {r.settings["seed"]: r.figures["knew"] for r in records if r.settings["way"] == START}
    after = {r.settings["seed"]: r.figures[f"knew @ {variant.label}"] for r in records if r.settings["way"] == way}
    return Measured(tuple(100 * (before[seed] - after[seed]) for seed in before if seed in after))


def done(records: Sequence[Record]) -> list[str]:
    """The ways that were run."""
    return [way for way in WAYS if any(record.settings["way"] == way for record in records)]


def percent(records: Sequence[Record], way: str, name: str, variant: Variant | None = None) -> Measured:
    """A figure of a way, in per cent; that of the start has no variant."""
    figure = name if variant is None else f"{name} @ {variant.label}"
    return measured(records, figure, {"way": way}, scale=100)


def draw_plane(records: Sequence[Record], path: Path, title: str, *, figure: str, gained: str, forgotten: str) -> None:
    """The plane of gain against forgetting: for each way a line over the weights of the blend, and its gate.

    Args:
        records: of the start and the ways.
        path: of the picture, PNG.
        title: above it.
        figure: what is gained, such as `new`.
        gained: what its axis is called.
        forgotten: what the axis of `lost` is called.
    """

    def point(way: str, variant: Variant) -> tuple[float, float]:
        return lost(records, way, variant).mean, percent(records, way, figure, variant).mean

    drawing = new_figure(9.6, 5.2)
    set_title(drawing, title, records)
    axes = drawing.subplots()
    markers = ("o", "s", "^", "D", "v", "P", "X")
    for place, (way, marker) in enumerate(zip(done(records), markers, strict=False)):
        color, style = (INK, OURS, PALE)[place % 3], ("-", "--", ":")[place // 3]
        points = [point(way, Variant(True, weight)) for weight in WEIGHTS]
        axes.plot(*zip(*points, strict=True), marker=marker, linestyle=style, color=color, label=way, markersize=6)
        for tau in GATES:
            axes.plot(*point(way, Variant(True, 1.0, tau)), marker=marker, color="white", mec=color, mew=1.4)
        whole = [point(way, variant) for variant in (Variant(), Variant(True))]
        axes.plot(*zip(*whole, strict=True), linestyle=":", color=color, linewidth=1)
        axes.plot(*whole[0], marker="x", color=color, markersize=7, linewidth=0)
    axes.axhline(percent(records, START, figure).mean, color=INK, linestyle=":", linewidth=1)
    axes.axvline(0, color=INK, linestyle=":", linewidth=1)
    axes.set(xlabel=forgotten, ylabel=gained)
    note = (
        "lines: mean of weights, blended with the start at 1, 0.75, 0.5, 0.25; ×: last weights; hollow: gates 0.05, 0.5"
    )
    axes.set_title(note, fontsize=9, color=INK, loc="left")
    plain_axes(axes)
    axes.legend(fontsize=8.5, frameon=False, loc="best")
    save_figure(drawing, path)
