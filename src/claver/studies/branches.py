"""Table 11, right: which of the pretrained towers learn beside the temporal one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from claver.studies.bench import base, verbs, written
from claver.studies.drawing import beside
from claver.studies.real_data import train_and_evaluate
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Table


class Row(NamedTuple):
    """What is frozen; the image branch is the image tower and its read-out."""

    label: str
    freeze: list[str]
    paper: float | None


ROWS = (
    Row("temporal tower only", ["image", "readout", "text"], 78.7),
    Row("and text tower", ["image", "readout"], None),
    Row("and image tower", ["text"], None),
    Row("all", [], 81.5),
    Row("all but image tower (the recipe)", ["image"], None),
)
"""The paper's two rows with one branch frozen read 81.0 and 80.8."""


def runs(options: Options) -> list[Settings]:
    """KMTA with each choice; half the usual steps, for with the image tower each costs four times as much."""
    shorter = {} if options.quick else {"motion.steps": 150, "motion.warmup": 20}
    return [
        {**base(options), **shorter, "seed": seed, "motion.temporal.init": "sinusoidal", "motion.freeze": row.freeze}
        for row in ROWS
        for seed in options.seeds
    ]


def run(settings: Settings, cache: Path) -> Figures:
    """Train what is not frozen and measure it on held-out clips."""
    return verbs(settings, cache).figures


def table(records: Sequence[Record]) -> Table:
    """Top-1 and the rest of each choice."""
    shares = ("top1", "top_pair", "within_pair")
    body = [
        [
            row.label,
            *(measured(records, share, {"motion.freeze": row.freeze}, scale=100) for share in shares),
            row.paper,
        ]
        for row in ROWS
    ]
    return Table(
        f"Which towers learn: twelve motion verbs, KMTA, {spread_of(records)}, beside Kinetics-400 (another dataset)",
        ("what learns", "top-1 %", "right pair %", "within pair %", "paper, Kinetics-400: top-1 %"),
        body,
        note="The paper's two choices with one branch frozen gave 81.0 and 80.8 %; which is which is not told here.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Top-1 of each choice beside the paper's."""
    top1 = [measured(records, "top1", {"motion.freeze": row.freeze}, scale=100) for row in ROWS]
    labels, paper = [row.label for row in ROWS], [row.paper for row in ROWS]
    beside(path, records, "Which towers learn (Table 11)", labels, top1, paper, chance=100 / 12)


def commands(options: Options) -> list[str]:
    """The same on real clips."""
    return [
        line
        for row in ROWS
        for seed in options.seeds
        for line in train_and_evaluate(
            options,
            "k400_b32_8_kmt",
            f"branches_{'_'.join(row.freeze) or 'nothing'}_frozen_seed{seed}",
            {"freeze": row.freeze, "seed": seed},
        )
    ]


STUDY = Study("branches", "Which towers learn", "Table 11", runs, run, table, draw, commands, made_of=written)
