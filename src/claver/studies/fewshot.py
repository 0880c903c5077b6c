"""Table 13: 2, 4, 8 or 16 clips of each verb, for models that know twelve other verbs, and for such as know none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claver.models import Claver
from claver.motion.unseen import UNSEEN_VERBS
from claver.plotting import new_figure, save_figure
from claver.studies.drawing import INK, KINETICS, PALE, plain_axes, set_title
from claver.studies.prompt_studies import (
    EVERYTHING,
    fresh,
    learned,
    made_of,
    measure,
    recipe_of,
    settings_of,
    train,
    unseen,
)
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Cell, Measured, Table
from claver.training.recipe import Recipe
from claver.training.tokens import TokenClips

SHOTS = (0, 2, 4, 8, 16)
KINDS = {"kmt": "KMTA", "kmct": "KMCTA"}
STARTS = {"verbs": "after twelve other verbs", "stills": "after stills alone"}
ROWS = (("verbs", "kmt"), ("verbs", "kmct"), ("stills", "kmt"))
"""Starts and kinds; the last shows what the other verbs are worth."""
PAPER = {
    "kmt": {"HMDB-51": (58.6, 63.9, 68.0, 72.5), "UCF-101": (89.7, 92.9, 96.1, 98.0)},
    "kmct": {"HMDB-51": (58.3, 64.5, 68.6, 72.9), "UCF-101": (90.0, 92.9, 96.6, 98.1)},
}
"""Top-1 for K = 2, 4, 8, 16; CLAVER-B/16 trained on Kinetics-400 first."""
CHANCE = 100 / len(UNSEEN_VERBS)
_STEPS, _QUICK_STEPS, _BATCH = 100, 20, 32
_LINES = {"kmt": ("o", "-"), "kmct": ("s", "--")}


def runs(options: Options) -> list[Settings]:
    """Every row with every number of clips; no clip at all means zero-shot, for models that know verbs."""
    steps = _QUICK_STEPS if options.quick else _STEPS
    return [
        {**settings_of(options, seed, kind), "start": start, "shots": shots, "shots.steps": steps}
        for start, kind in ROWS
        for shots in (SHOTS if start == "verbs" else SHOTS[1:])
        for seed in options.seeds
    ]


def run(settings: Settings, cache: Path) -> Figures:
    """Learn the unseen verbs from some clips of each, and measure them on others."""
    own = {key: value for key, value in settings.items() if key not in ("start", "shots", "shots.steps")}
    model: Claver = learned(own, cache) if settings["start"] == "verbs" else fresh(own, cache)
    if shots := settings["shots"]:
        every = unseen(own, cache, "train", max(SHOTS) * len(UNSEEN_VERBS))
        count = shots * len(UNSEEN_VERBS)
        clips = TokenClips(every.tokens[:count], every.labels[:count])
        train(_short(recipe_of(own), settings["shots.steps"], count), model, clips, EVERYTHING, UNSEEN_VERBS)
    return measure(model, unseen(own, cache, "test", own["motion.data.test"] // 2), EVERYTHING, UNSEEN_VERBS)


def _short(recipe: Recipe, steps: int, clips: int) -> Recipe:
    """A recipe for few clips: a short run at half the rate."""
    changes: dict[str, Any] = {"steps": steps, "warmup": steps // 10, "batch_size": min(_BATCH, clips)}
    return recipe.model_copy(update=changes | {"lr": recipe.lr / 2})


def table(records: Sequence[Record]) -> Table:
    """A row for each start and kind, a column for each number of clips; below, the paper's."""
    body: list[list[Cell]] = [
        [f"{KINDS[kind]}, {STARTS[start]}", *(_top1(records, start, kind, shots) for shots in SHOTS)]
        for start, kind in ROWS
    ]
    paper: list[list[Cell]] = [
        [f"the paper, {benchmark}: {KINDS[kind]}", None, *PAPER[kind][benchmark]]
        for benchmark in ("HMDB-51", "UCF-101")
        for kind in KINDS
    ]
    return Table(
        f"Few clips of each of twelve verbs, top-1 %, {spread_of(records)}, above the paper's (other datasets)",
        ("", *(f"K={shots}" if shots else "zero-shot" for shots in SHOTS)),
        [*body, *paper],
        note=f"Chance is {CHANCE:.1f} %. After stills alone: the temporal tower starts from nothing.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Two panels of lines: measured here, and the paper's."""
    figure = new_figure(9.6, 3.8)
    title = "Few clips of each verb (Table 13)"
    set_title(figure, title, records)
    left, right = figure.subplots(1, 2)
    for start, kind in ROWS:
        name, color = f"{KINDS[kind]}, {STARTS[start]}", INK if start == "verbs" else PALE
        _draw_line(left, [_top1(records, start, kind, k) for k in SHOTS[1:]], kind, color, name)
    left.axhline(CHANCE, color=INK, linestyle=":", linewidth=1)
    left.annotate("chance", (0, CHANCE), xytext=(0, 3), textcoords="offset points", fontsize=8, color=INK)
    left.set_title("measured: rendered motion", fontsize=10, color=INK, loc="left")
    for benchmark, color in zip(("HMDB-51", "UCF-101"), (INK, PALE), strict=True):
        for kind, name in KINDS.items():
            numbers = [Measured((value,)) for value in PAPER[kind][benchmark]]
            _draw_line(right, numbers, kind, color, f"{name}, {benchmark}")
    right.set_title(
        KINETICS.replace("Kinetics-400, another dataset", "other datasets"), fontsize=10, color=INK, loc="left"
    )
    for axes in (left, right):
        axes.set(ylim=(0, 100), xlabel="clips of each class", ylabel="top-1, %")
        axes.set_xticks(range(len(SHOTS) - 1), [f"K={shots}" for shots in SHOTS[1:]])
        plain_axes(axes)
        axes.legend(fontsize=8, frameon=False, loc="lower right")
    save_figure(figure, path)


def _draw_line(axes: Any, values: Sequence[Measured], kind: str, color: str, label: str) -> None:
    marker, style = _LINES[kind]
    deviations = [value.std for value in values]
    places, means = range(len(values)), [value.mean for value in values]
    axes.errorbar(
        places, means, deviations, marker=marker, linestyle=style, color=color, capsize=3, label=label, markersize=5
    )


def _top1(records: Sequence[Record], start: str, kind: str, shots: int) -> Measured:
    where = {"start": start, "motion.temporal.kind": kind, "shots": shots}
    return measured(records, "top1", where, scale=100)


STUDY = Study("fewshot", "Few clips of each verb", "Table 13", runs, run, table, draw, made_of=made_of)
