"""Table 11, left: what is said of each class, from its name to its parts; and verbs that were never trained on.

The paper adds one kind of text after the other, in training and at inference alike. Here the same five models are also
asked about twelve verbs that none of them has seen (diagonals, zigzags, spirals, …), described by each set of texts:
the interpretive prompts may help in training, at inference, or in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from claver.motion.prompts import Aspect
from claver.motion.rendering import VERBS
from claver.motion.unseen import UNSEEN_VERBS
from claver.plotting import new_figure, save_figure
from claver.studies.drawing import INK, KINETICS, MOTION, bars, set_title
from claver.studies.prompt_studies import EVERYTHING, held_out, learned, made_of, measure, settings_of, unseen
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Cell, Measured, Table


class Stage(NamedTuple):
    """A row of the table: what is added, everything said by then, and the paper's top-1 on Kinetics-400.

    `longer` is how many times as many steps are made; None for as many as usual.
    """

    label: str
    texts: tuple[Aspect, ...]
    paper: float | None
    longer: float | None = None


STAGES = (
    Stage("names", EVERYTHING[:1], 77.4),
    Stage("+ prefix, suffix", EVERYTHING[:2], 77.4),
    Stage("+ decomposition", EVERYTHING[:3], 78.0),
    Stage("+ synonyms", EVERYTHING[:4], 78.2),
    Stage("+ parts", EVERYTHING, 78.4),
    Stage("names, 1.5 times as long", EVERYTHING[:1], None, longer=1.5),
    Stage("+ parts, 1.5 times as long", EVERYTHING, None, longer=1.5),
)
"""The last two: whether what more texts bring is a matter of time, since each is met less often."""
ASKED: dict[str, tuple[Aspect, ...]] = {
    "names": EVERYTHING[:1],
    "+ prefix, suffix": EVERYTHING[:2],
    "+ decomposition": EVERYTHING[:3],
    "+ synonyms": EVERYTHING[:4],
    "+ parts": EVERYTHING,
    "decomposition alone": ("decomposition",),
}
"""What the unseen verbs are described by."""
CHANCE = 100 / len(UNSEEN_VERBS)


def runs(options: Options) -> list[Settings]:
    """KMTA with each set of texts."""
    return [_settings(options, stage, seed) for stage in STAGES for seed in options.seeds]


def _settings(options: Options, stage: Stage, seed: int) -> Settings:
    usual = settings_of(options, seed, texts=stage.texts) | {"motion.batch_size": 64}
    if stage.longer is None:
        return usual
    return usual | {"motion.steps": round(stage.longer * usual["motion.steps"]), "longer": stage.longer}


def run(settings: Settings, cache: Path) -> Figures:
    """Learn the twelve verbs from the run's texts; measure them by the same texts, and the unseen verbs by all sets."""
    model = learned(settings, cache)
    figures = measure(model, held_out(settings, cache), settings["texts"], VERBS)
    strange = unseen(settings, cache, "test", settings["motion.data.test"] // 2)
    for name, aspects in ASKED.items():
        found = measure(model, strange, aspects, UNSEEN_VERBS)
        figures |= {f"unseen by {name}": found["top1"], f"unseen within pair by {name}": found["within_pair"]}
    return figures


def table(records: Sequence[Record]) -> Table:
    """Top-1 of the verbs learned, beside the paper's, then of the unseen verbs by what describes them."""
    body: list[list[Cell]] = [
        [stage.label, _figure(records, stage, "top1"), stage.paper, *(_unseen(records, stage, name) for name in ASKED)]
        for stage in _done(records)
    ]
    return Table(
        f"Texts of twelve motion verbs, KMTA, {spread_of(records)}, beside Kinetics-400 (another dataset); then "
        "twelve verbs never trained on, zero-shot",
        ("learned from", "top-1 %", "paper, Kinetics-400: top-1 %", *(f"unseen, by {name}: top-1 %" for name in ASKED)),
        body,
        note="Each of the first five rows adds a kind of text to those above, in training and at inference; so does "
        f"each column for the unseen verbs, at inference. Chance is {CHANCE:.1f} %.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Three panels: verbs learned, the paper's, and unseen verbs by texts of training and of inference."""
    figure = new_figure(14.4, 4.2)
    title = "What is said of each class (Table 11), and verbs never trained on"
    set_title(figure, title, records)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 0.8, 1.9])
    labels = [stage.label for stage in _done(records)]
    top1 = [_figure(records, stage, "top1") for stage in _done(records)]
    bars(left, labels, top1)
    left.set(xlim=(0, 1.16 * max(value.mean + value.std for value in top1)), xlabel="top-1, %")
    left.set_title(MOTION, fontsize=10, color=INK, loc="left")
    bars(middle, [""] * len(labels), [stage.paper for stage in _done(records)], hatch="////")
    middle.set(xlim=(0, 92), xlabel="top-1, %")
    middle.set_title(KINETICS, fontsize=10, color=INK, loc="left")
    means = [[_unseen(records, stage, name).mean for name in ASKED] for stage in _done(records)]
    _draw_unseen(right, labels, np.array(means))
    save_figure(figure, path)


def _draw_unseen(axes: Any, labels: Sequence[str], means: NDArray[np.float64]) -> None:
    """Means as shades, darker for more, each with its number."""
    axes.imshow(means, cmap="Greys", vmin=0, vmax=130, aspect="auto")
    for row, column in np.ndindex(*means.shape):
        value = means[row, column]
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=INK)
    axes.set_xticks(range(len(ASKED)), [_two_lines(name) for name in ASKED], fontsize=8.5, color=INK)
    axes.set_yticks(range(len(labels)), labels, fontsize=8.5, color=INK)
    axes.set_ylabel("learned from", color=INK, fontsize=9)
    axes.set_xlabel("described by", color=INK, fontsize=9)
    axes.set_title(f"measured: unseen verbs, top-1 %, chance {CHANCE:.0f}", fontsize=10, color=INK, loc="left")


def _done(records: Sequence[Record]) -> list[Stage]:
    """The stages that were run."""
    return [stage for stage in STAGES if _figure(records, stage, "top1").values]


def _two_lines(name: str) -> str:
    return name.replace(", ", ",\n").replace(" alone", "\nalone")


def _figure(records: Sequence[Record], stage: Stage, name: str) -> Measured:
    return measured(records, name, {"texts": list(stage.texts), "longer": stage.longer}, scale=100)


def _unseen(records: Sequence[Record], stage: Stage, asked: str) -> Measured:
    return _figure(records, stage, f"unseen by {asked}")


STUDY = Study("prompts", "What is said of each class", "Table 11", runs, run, table, draw, made_of=made_of)
