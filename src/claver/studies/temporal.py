"""Table 7: the ways frames can be joined, all at the same budget; the depth of the temporal tower; how it starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from claver.studies.bench import base, verbs
from claver.studies.drawing import beside
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
"""The same by layers of KMTA: 1, a sixth and a third of the image tower's 12 (Table 7, left)."""
_KIND, _LAYERS, _INIT = (f"motion.temporal.{key}" for key in ("kind", "layers", "init"))
_DEPTH, _START = 2, "waves"


def runs(options: Options) -> list[Settings]:
    """Every kind from a good start; KMTA at three depths; the three that see patches from other starts."""
    towers = [(kind, _DEPTH, _START) for kind in KINDS]
    towers += [("kmt", layers, _START) for layers in PAPER_DEPTH]
    towers += [(kind, _DEPTH, start) for start in ("random", "zero") for kind in ("joint", "kmct", "kmt")]
    return [
        {**base(options), "seed": seed, _KIND: kind, _LAYERS: layers, _INIT: start}
        for kind, layers, start in dict.fromkeys(towers)
        for seed in options.seeds
    ]


def run(settings: Settings, cache: Path) -> Figures:
    """Train the tower and measure it on held-out clips."""
    return verbs(settings, cache).figures


Row = tuple[str, str, int, str, float | None]


def rows() -> list[Row]:
    """Label, kind, layers, start, and the paper's number of each row."""
    kinds: list[Row] = [(title, kind, _DEPTH, _START, PAPER[kind]) for kind, title in KINDS.items()]
    depth: list[Row] = [(f"KMTA, {n} layer{'s' * (n > 1)}", "kmt", n, _START, PAPER_DEPTH[n]) for n in PAPER_DEPTH]
    starts: list[Row] = [
        (f"{KINDS[kind]}, start: {start}", kind, _DEPTH, start, None)
        for start in ("random", "zero")
        for kind in ("joint", "kmct", "kmt")
    ]
    return kinds + depth + starts


def table(records: Sequence[Record]) -> Table:
    """Top-1, right pair and within pair of every row."""
    body = [
        [label, layers, *(_figure(records, name, row) for name in ("top1", "top_pair", "within_pair")), row[-1]]
        for row in rows()
        for label, _, layers, _, _ in [row]
    ]
    columns = ("frames joined by", "layers", "top-1 %", "right pair %", "within pair %", "paper, Kinetics-400: top-1 %")
    return Table(
        "Twelve motion verbs, mean ± deviation over seeds, beside the paper's Kinetics-400 (another dataset)",
        columns,
        body,
        note="Right pair: the verb or its time reversal was named. Within pair: the verb scored above its reversal; "
        "50 % for any model blind to the order of frames. Start `waves` where none is named.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Top-1 of every row beside the paper's."""
    top1 = [_figure(records, "top1", row) for row in rows()]
    beside(
        path,
        "How frames are joined (Table 7)",
        [r[0] for r in rows()],
        top1,
        [r[-1] for r in rows()],
        chance=100 / 12,
        paper_from=76,
    )


def commands(options: Options) -> list[str]:
    """The same on real clips: a training and an evaluation for each row of the paper's table."""
    from claver.studies.real import train_and_evaluate

    towers = [(kind, 4) for kind in KINDS] + [("kmt", layers) for layers in PAPER_DEPTH if layers != 4]
    return [
        line
        for kind, layers in towers
        for seed in options.seeds
        for line in train_and_evaluate(
            options,
            "k400_b32_8_kmt",
            f"temporal_{kind}_{layers}_seed{seed}",
            {"temporal.kind": kind, "temporal.layers": layers, "seed": seed},
        )
    ]


def _figure(records: Sequence[Record], figure: str, row: Row) -> Measured:
    _, kind, layers, start, _ = row
    return measured(records, figure, scale=100, **{_KIND: kind, _LAYERS: layers, _INIT: start})


STUDY = Study("temporal", "How frames are joined", "Table 7", runs, run, table, draw, commands)
