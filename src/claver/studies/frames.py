"""Table 8: patch size and frame length, where T·N tokens come to exceed the width of a head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claver.plotting import new_figure, save_figure
from claver.studies.bench import base, verbs, written
from claver.studies.drawing import INK, PALE, plain_axes, set_title
from claver.studies.real_data import train_and_evaluate
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Cell, Measured, Table

KINDS = {"joint": "joint attention", "kmt": "KMTA", "kmct": "KMCTA"}
PATCHES, FRAMES = (16, 8), (4, 8, 16)
PAPER = {
    ("joint", 32, 8): (67.9, 93.3),
    ("kmt", 32, 8): (68.8, 94.1),
    ("kmct", 32, 8): (68.7, 93.9),
    ("joint", 32, 16): (68.0, 93.6),
    ("kmt", 32, 16): (69.1, 94.2),
    ("kmct", 32, 16): (69.4, 94.8),
    ("joint", 16, 8): (72.2, 96.2),
    ("kmt", 16, 8): (73.2, 96.3),
    ("kmct", 16, 8): (72.2, 96.1),
    ("joint", 16, 16): (72.1, 96.3),
    ("kmt", 16, 16): (72.3, 96.6),
    ("kmct", 16, 16): (72.8, 96.4),
}
"""Top-1 on HMDB-51 and UCF-101 by kind, patch and frames (Table 8)."""
_SIZE = 32  # pixels of a frame
_USUAL_PATCH, _USUAL_FRAMES = 8, 8  # the recipes'


def settings_of(kind: str, patch: int, frames: int) -> Settings:
    """What tells a run from the others; what the recipes say anyway is left out, so that studies share their runs."""
    tower: Settings = {"motion.temporal.kind": kind, "motion.temporal.layers": 2, "motion.temporal.init": "sinusoidal"}
    tower |= {"motion.temporal.frames": frames} if frames != _USUAL_FRAMES else {}
    return tower | ({"stills.model.patch": patch} if patch != _USUAL_PATCH else {})


def tokens(patch: int, frames: int) -> int:
    """T·N of a clip."""
    return frames * ((_SIZE // patch) ** 2 + 1)


def runs(options: Options) -> list[Settings]:
    """The cheapest first."""
    shapes = sorted(((patch, frames) for patch in PATCHES for frames in FRAMES), key=lambda shape: tokens(*shape))
    chosen = [(patch, frames) for patch, frames in shapes if not options.quick or frames < 16]
    return [
        {**base(options), "seed": seed, **settings_of(kind, patch, frames)}
        for patch, frames in chosen
        for kind in KINDS
        for seed in options.seeds
    ]


def run(settings: Settings, cache: Path) -> Figures:
    """Train the tower and measure it on held-out clips."""
    return verbs(settings, cache).figures


def table(records: Sequence[Record]) -> Table:
    """Top-1 by patch and frames, a column for each kind; below, the paper's."""
    ours: list[list[Cell]] = [
        [f"{patch} of {_SIZE}", frames, tokens(patch, frames), *(_top1(records, kind, patch, frames) for kind in KINDS)]
        for patch in PATCHES
        for frames in FRAMES
    ]
    paper: list[list[Cell]] = [
        [f"paper: {patch} of 224", frames, frames * ((224 // patch) ** 2 + 1), *map(_pair, _paper(patch, frames))]
        for patch in (32, 16)
        for frames in (8, 16)
    ]
    return Table(
        f"Patch size and frame length: twelve motion verbs, top-1 %, {spread_of(records)}; the paper's rows are "
        "of other datasets, HMDB-51 and UCF-101",
        ("patch, pixels", "frames T", "tokens T·N", *KINDS.values()),
        [*ours, *paper],
        note="Heads are 64 wide: T·N exceeds that everywhere but in the rows of 20 and 40 tokens.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Top-1 over frames, a panel for each patch size, a line for each kind."""
    figure = new_figure(9.2, 3.6)
    title = "Patch size and frame length (Table 8), rendered motion"
    set_title(figure, title, records)
    panels = figure.subplots(1, len(PATCHES), sharey=True)
    for axes, patch in zip(panels, PATCHES, strict=True):
        _draw_panel(axes, records, patch)
    panels[0].set_ylabel("top-1, %")
    figure.legend(
        *panels[0].get_legend_handles_labels(), frameon=False, fontsize=9, ncols=3, loc="outside lower center"
    )
    save_figure(figure, path)


def _draw_panel(axes: Any, records: Sequence[Record], patch: int) -> None:
    styles = {"joint": ("s", ":"), "kmt": ("o", "-"), "kmct": ("^", "--")}
    for place, (kind, title) in enumerate(KINDS.items()):
        values = [_top1(records, kind, patch, frames) for frames in FRAMES]
        known = [
            (2 ** (0.06 * (place - 1)) * frames, value)
            for frames, value in zip(FRAMES, values, strict=True)
            if value.values
        ]
        if not known:
            continue
        x, y = zip(*known, strict=True)
        marker, line = styles[kind]
        axes.errorbar(
            x,
            [v.mean for v in y],
            [v.std for v in y],
            marker=marker,
            linestyle=line,
            color=INK,
            markerfacecolor="white" if kind == "joint" else INK,
            capsize=3,
            linewidth=1.2,
            markersize=6,
            label=title,
        )
    plain_axes(axes)
    axes.set_xscale("log", base=2)
    axes.margins(x=0.12)
    axes.set_xticks(FRAMES, [f"{frames}\n{tokens(patch, frames)} tokens" for frames in FRAMES])
    axes.set_title(f"patches of {patch} pixels", fontsize=10, loc="left", color=INK)
    axes.set_xlabel("frames", color=PALE)


def _top1(records: Sequence[Record], kind: str, patch: int, frames: int) -> Measured:
    absent = {"motion.temporal.frames": None, "stills.model.patch": None}
    return measured(records, "top1", absent | settings_of(kind, patch, frames), scale=100)


def _paper(patch: int, frames: int) -> list[tuple[float, float]]:
    return [PAPER[kind, patch, frames] for kind in KINDS]


def _pair(values: tuple[float, float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def commands(options: Options) -> list[str]:
    """The same on real clips, with the paper's patches and frames; --model is the weights of the first patch size."""
    lines = []
    for kind, patch, frames in PAPER:
        weights = {} if patch == 32 else {"init_from": "openai/clip-vit-base-patch16"}
        for seed in options.seeds:
            changes = {"temporal.kind": kind, "seed": seed, **weights}
            name = f"frames_{kind}_patch{patch}_{frames}_seed{seed}"
            lines += train_and_evaluate(options, f"k400_b{patch}_{frames}_kmt", name, changes)
    return lines


STUDY = Study("frames", "Patch size and frame length", "Table 8", runs, run, table, draw, commands, made_of=written)
