"""Table 7: the ways frames can be joined, all at the same budget; what decides their order; depth; starting points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from claver.studies.bench import base, verbs, written
from claver.studies.drawing import beside
from claver.studies.real_data import train_and_evaluate
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Measured, Table

KINDS = {
    "mean": "mean pooling",
    "class": "class tokens only",
    "pipeline": "pipeline",
    "joint": "joint attention",
    "kmct": "KMCTA",
    "kmt": "KMTA",
}
"""In the paper's order, worst first."""
PAPER = {"mean": 78.4, "class": 78.9, "pipeline": 79.4, "joint": 80.1, "kmct": 81.4, "kmt": 81.5}
"""Top-1 on Kinetics-400, CLAVER-B/32 with 8 frames (Table 7, right)."""
PAPER_DEPTH = {1: 78.3, 2: 79.6, 4: 80.9}
"""The same by layers of KMTA: 1, a sixth and a third of the image tower's 12 (Table 7, left; without its prompts)."""
NOUNS = ["shape", "colour"]
"""What captions of stills name if the image tower is to know things only, as CLIP is said to."""
_PATCHES = ("joint", "kmct", "kmt")  # the kinds whose class tokens see patches


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    label: str
    kind: str
    layers: int = 2
    start: str = "sinusoidal"
    states: list[str] | None = None  # what captions of stills named; everything if None
    paper: float | None = None

    def settings(self) -> Settings:
        """What tells its runs from those of the others."""
        tower = {"kind": self.kind, "layers": self.layers, "init": self.start}
        return {f"motion.temporal.{key}": value for key, value in tower.items()} | (
            {"stills.data.states": self.states} if self.states else {}
        )

    def measured(self, records: Sequence[Record], figure: str) -> Measured:
        """A figure of its runs, in per cent."""
        return measured(records, figure, {"stills.data.states": None} | self.settings(), scale=100)


ROWS = (
    *(Row(title, kind, paper=PAPER[kind]) for kind, title in KINDS.items()),
    *(Row(f"nouns only: {KINDS[kind]}", kind, states=NOUNS) for kind in ("class", *_PATCHES)),
    *(Row(f"KMTA, {n} layer{'s' * (n > 1)}", "kmt", layers=n, paper=PAPER_DEPTH[n]) for n in PAPER_DEPTH),
    *(Row(f"random start: {KINDS[kind]}", kind, start="random") for kind in ("class", *_PATCHES)),
)


def runs(options: Options) -> list[Settings]:
    """Every row with every seed; KMTA with two layers stands in two rows and is run once."""
    return [{**base(options), "seed": seed, **row.settings()} for row in ROWS for seed in options.seeds]


def run(settings: Settings, cache: Path) -> Figures:
    """Train the tower and measure it on held-out clips."""
    return verbs(settings, cache).figures


def table(records: Sequence[Record]) -> Table:
    """Top-1, right pair and within pair of every row."""
    shares = ("top1", "top_pair", "within_pair")
    return Table(
        f"Twelve motion verbs, {spread_of(records)}, beside the paper's Kinetics-400 (another dataset)",
        ("frames joined by", "layers", "top-1 %", "right pair %", "within pair %", "paper, Kinetics-400: top-1 %"),
        [[row.label, row.layers, *(row.measured(records, share) for share in shares), row.paper] for row in ROWS],
        note="Right pair: the verb or its time reversal was named. Within pair: the verb scored above its reversal; "
        "50 % for any model blind to the order of frames. Nouns only: an image tower whose captions named shape and "
        "colour and nothing else. Random start: the paper's; else the recipe's.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Top-1 of every row beside the paper's."""
    beside(
        path,
        records,
        "How frames are joined (Table 7)",
        [row.label for row in ROWS],
        [row.measured(records, "top1") for row in ROWS],
        [row.paper for row in ROWS],
        chance=100 / 12,
    )


def commands(options: Options) -> list[str]:
    """The same on real clips: a training and an evaluation for each row of the paper's table."""
    towers = [(kind, 4) for kind in KINDS] + [("kmt", layers) for layers in PAPER_DEPTH if layers != 4]
    lines = []
    for kind, layers in towers:
        for seed in options.seeds:
            changes = {"temporal.kind": kind, "temporal.layers": layers, "seed": seed}
            lines += train_and_evaluate(options, "k400_b32_8_kmt", f"temporal_{kind}_{layers}_seed{seed}", changes)
    return lines


STUDY = Study("temporal", "How frames are joined", "Table 7", runs, run, table, draw, commands, made_of=written)
