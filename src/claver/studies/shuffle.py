"""Table 9 and Fig. 6: what shuffled tokens do to models that have learned from clips in order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from claver.attention import JOINT
from claver.evaluation.metrics import top_k_accuracy, within_pairs
from claver.models import Claver
from claver.motion.tasks import PARTNER, clips_task
from claver.plotting import new_figure, save_figure
from claver.studies.bench import base, recipes, tokens, verbs, written
from claver.studies.drawing import INK, KINETICS, MOTION, OURS, PAPER, plain_axes, set_title
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Cell, Measured, Table
from claver.studies.token_shuffle import Level, Read, Where, shuffled
from claver.training.clips import Encode, score_clips

KINDS = {"joint": "joint attention", "kmt": "KMTA", "kmct": "KMCTA"}
PAPER_TOP1 = {"joint": (80.1, 58.9), "kmt": (81.5, 43.5), "kmct": (81.4, 42.6)}
"""Top-1 on Kinetics-400 without and with shuffling (Table 9, which does not say before or after the embedding)."""
_SAME = 1e-3  # of a score: what rounding may change where nothing else does


class Way(NamedTuple):
    """One way to shuffle; a new name for each in tables and figures."""

    name: str
    label: str
    where: Where
    level: Level
    read: Read = "followed"


WAYS = (
    Way("before_tokens", "tokens, before e_time", "before", "tokens"),
    Way("after_tokens", "tokens, after e_time", "after", "tokens"),
    Way("before_frames", "frames, before e_time", "before", "frames"),
    Way("after_frames", "frames, after e_time", "after", "frames"),
    Way("after_places", "tokens, after e_time, read at class places", "after", "tokens", "places"),
)


def runs(options: Options) -> list[Settings]:
    """The models of the study `temporal`, whose training is not repeated where it is there."""
    tower = {"motion.temporal.layers": 2, "motion.temporal.init": "sinusoidal"}
    return [
        {**base(options), "seed": seed, "motion.temporal.kind": kind, **tower}
        for kind in KINDS
        for seed in options.seeds
    ]


def run(settings: Settings, cache: Path) -> Figures:
    """Measure a trained model on clips in order and shuffled in every way."""
    model, clips = verbs(settings, cache).model, tokens(settings, cache)
    texts = clips_task(recipes(settings)[1], model, clips).texts

    def scores(encode: Encode) -> Tensor:
        return score_clips(model, clips[1], texts, encode=encode)[0]

    plain, labels = scores(Claver.encode_tokens), clips[1].labels
    figures = _figures("none", plain, labels, plain)
    for way in WAYS:
        encode = partial(shuffled, where=way.where, level=way.level, read=way.read, seed=settings["seed"])
        figures |= _figures(way.name, scores(encode), labels, plain)
    if model.temporal.mask is JOINT:
        # Attention without a mask knows tokens only by what they carry; Appendix B says so of its similarity scores.
        assert max(figures["after_tokens.change"], figures["after_frames.change"]) < _SAME
    return figures


def _figures(name: str, scores: Tensor, labels: Tensor, plain: Tensor) -> Figures:
    own, before = (x.gather(1, labels[:, None]) for x in (scores, plain))
    return {
        f"{name}.top1": top_k_accuracy(scores, labels),
        f"{name}.within_pair": within_pairs(scores, labels, PARTNER),
        f"{name}.change": ((scores - plain).abs().amax() / plain.abs().amax()).item(),
        f"{name}.similarity": (own / before).median().item(),
        f"{name}.flipped": torch.ne(scores.argmax(1), plain.argmax(1)).double().mean().item(),
    }


def table(records: Sequence[Record]) -> Table:
    """Top-1 in order and shuffled, a column for each kind; below, the paper's."""
    rows: list[list[Cell]] = [[label, *(_top1(records, kind, name) for kind in KINDS)] for name, label in _names()]
    more: list[list[Cell]] = [
        [f"{title}: {way.label}", *(_figure(records, kind, f"{way.name}.{name}") for kind in KINDS)]
        for name, title in (("flipped", "answers changed, %"), ("similarity", "own similarity, % of unshuffled"))
        for way in WAYS
    ]
    paper: list[list[Cell]] = [
        [f"paper, Kinetics-400: {label}", *(PAPER_TOP1[kind][place] for kind in KINDS)]
        for place, label in enumerate(("no shuffling", "shuffled"))
    ]
    return Table(
        f"Shuffled tokens: twelve motion verbs, top-1 %, {spread_of(records)}; the paper's rows are of another dataset",
        ("shuffled", *KINDS.values()),
        [*rows, *more, *paper],
        note="Class tokens are read wherever they went, but for the rows “read at class places”. After the temporal "
        "embedding joint attention is unchanged, which is asserted; where whole frames move so is KMTA.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Bars of top-1 for each kind, in order and shuffled; the paper's in a panel of its own."""
    figure = new_figure(10.4, 4.2)
    set_title(figure, "Shuffled tokens (Table 9)", records)
    left, right = figure.subplots(1, 2, width_ratios=[2.4, 1])
    names = [name for name in _names() if name[0] != "after_places"]
    faces, hatches = ("#52525b", "#a1a1aa", "#e4e4e7", "white", "white"), ("", "", "", "////", "....")
    for place, (name, label) in enumerate(names):
        values = [_top1(records, kind, name) for kind in KINDS]
        _group(left, place, len(names), values, label, faces[place], hatches[place])
    for place, label in enumerate(("no shuffling", "shuffled")):
        values = [Measured((PAPER_TOP1[kind][place],)) for kind in KINDS]
        _group(right, place, 2, values, label, (OURS, PAPER)[place], ("////", "....")[place])
    for axes, title, columns in ((left, MOTION, 3), (right, KINETICS.replace(", ", ",\n"), 1)):
        axes.set_title(title, fontsize=10, loc="left", color=INK)
        axes.set(ylim=(0, 100), ylabel="top-1, %", xticks=range(len(KINDS)))
        axes.set_xticklabels(KINDS.values())
        plain_axes(axes)
        axes.legend(frameon=False, fontsize=8, ncols=columns, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    save_figure(figure, path)


def _group(axes: Any, place: int, of: int, values: Sequence[Measured], label: str, face: str, hatch: str) -> None:
    width = 0.8 / of
    x = [column + (place - (of - 1) / 2) * width for column in range(len(values))]
    heights, errors = [v.mean for v in values], [v.std for v in values]
    style = {"color": face, "edgecolor": INK, "linewidth": 0.6, "hatch": hatch, "ecolor": INK, "capsize": 2}
    axes.bar(x, heights, 0.92 * width, yerr=errors if any(errors) else None, label=label, **style)
    for at, height, error in zip(x, heights, errors, strict=True):
        axes.text(at, height + error + 1, f"{height:.0f}", ha="center", fontsize=8, color=INK)


def _names() -> list[tuple[str, str]]:
    return [("none", "no shuffling"), *((way.name, way.label) for way in WAYS)]


def _top1(records: Sequence[Record], kind: str, name: str) -> Measured:
    return _figure(records, kind, f"{name}.top1")


def _figure(records: Sequence[Record], kind: str, figure: str) -> Measured:
    return measured(records, figure, {"motion.temporal.kind": kind}, scale=100)


STUDY = Study("shuffle", "Shuffled tokens", "Table 9", runs, run, table, draw, made_of=written)
