"""Appendix A: the rank of attention matrices as T·N passes the width of a head, by kind, random and trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from claver.models import Claver
from claver.motion.rendering import render_clips
from claver.plotting import new_figure, save_figure
from claver.studies.attention_rank import Ranks, random_tower, ranks_by_length
from claver.studies.bench import base, stills, verbs, written
from claver.studies.drawing import INK, PALE, plain_axes, set_title
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Cell, Measured, Table
from claver.training.tokens import cache_tokens

KINDS = {"joint": "joint attention", "kmt": "KMTA", "kmct": "KMCTA"}
WIDTHS = (16, 32, 64, 128)
"""Of heads; the model's own is 64."""
TOLERANCE = 1e-3
"""Of the largest singular value; about what half precision can still tell apart."""
LENGTHS = {"random": (1, 2, 4, 8, 16), "trained": (1, 2, 4, 8)}
_WIDTH, _OWN, _CLIPS = 128, 64, 2
_STYLES = {"joint": ("s", ":"), "kmt": ("o", "-"), "kmct": ("^", "--")}


def runs(options: Options) -> list[Settings]:
    """Random towers with heads of every width, and the trained ones of the study `temporal`."""
    tower = {"motion.temporal.layers": 2, "motion.temporal.init": "sinusoidal"}
    return [
        {**base(options), "seed": seed, "motion.temporal.kind": kind, **tower, "weights": weights, "head_width": width}
        for weights, widths in (("random", WIDTHS), ("trained", (_OWN,)))
        for width in widths
        for kind in KINDS
        for seed in options.seeds
    ]


def run(settings: Settings, cache: Path) -> Figures:
    """Ranks on the first 1, 2, … frames of a few held-out clips, means over layers, heads and clips."""
    own = {key: value for key, value in settings.items() if key not in ("weights", "head_width")}
    kind, seed, weights = own["motion.temporal.kind"], own["seed"], settings["weights"]
    lengths, heads = LENGTHS[weights], _WIDTH // settings["head_width"]
    start = stills(own, cache)
    tower = random_tower(kind, width=_WIDTH, heads=heads, frames=max(lengths), seed=seed)
    if weights == "trained":
        tower = verbs(own, cache).model.temporal
    figures: Figures = {}
    for ranks in ranks_by_length(tower, _tokens(start, seed, max(lengths)), lengths):
        figures |= {f"{name}@{ranks.frames}": value for name, value in _figures(ranks).items()}
    return figures


def _tokens(start: Claver, seed: int, frames: int) -> Tensor:
    clips = render_clips(range(_CLIPS), split="test", seed=seed, frames=frames, size=start.config.image.size)
    return cache_tokens(start, [clips.frames])


def _figures(ranks: Ranks) -> dict[str, float]:
    shares = ranks.weight_values / ranks.weight_values.sum(-1, keepdim=True)
    return {
        "tokens": float(ranks.total),
        "scores": float(ranks.scores().double().mean()),
        "share": float(ranks.weights(TOLERANCE).double().mean() / ranks.total),
        "full": ranks.full(),
        "effective": float(torch.special.entr(shares).sum(-1).exp().mean()),
        "least_own": float(ranks.least_own.min()),
    }


def table(records: Sequence[Record]) -> Table:
    """Rows by weights, head width, frames; for each kind the share of full rank, and what it counts in effect."""
    rows: list[list[Cell]] = [
        [
            weights,
            width,
            frames,
            *(_whole(_figure(records, weights, width, "joint", frames, name)) for name in ("tokens", "scores")),
            *(_figure(records, weights, width, kind, frames, "share", 100) for kind in KINDS),
            *(_figure(records, weights, width, kind, frames, "full", 100) for kind in KINDS),
            *(_figure(records, weights, width, kind, frames, "effective") for kind in KINDS),
        ]
        for weights, widths in (("random", WIDTHS), ("trained", (_OWN,)))
        for width in widths
        for frames in (LENGTHS[weights] if width == _OWN else LENGTHS[weights][-1:])
    ]
    names = KINDS.values()
    return Table(
        f"Rank of attention matrices on rendered motion, {spread_of(records)}; the paper proves and prints no numbers",
        (
            *("weights", "head width", "frames", "T·N", "rank of scores, joint"),
            *(f"{name}: rank, % of T·N" for name in names),
            *(f"{name}: of full rank, %" for name in names),
            *(f"{name}: effective rank" for name in names),
        ),
        rows,
        note=f"Rank: singular values above {TOLERANCE} of the largest. Of full rank: the share of matrices that have "
        "it, up to rounding in double precision. Effective rank: exp of the entropy of the singular values.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Effective rank over T·N, random and trained, and over the width of heads."""
    figure = new_figure(10.4, 3.9)
    title = "Effective rank of attention matrices (Appendix A), rendered motion"
    set_title(figure, title, records)
    panels = figure.subplots(1, 3, width_ratios=[1.2, 1.2, 1])
    for axes, weights in zip(panels, LENGTHS, strict=False):
        _by_length(axes, records, weights)
    _by_width(panels[2], records)
    panels[0].set_ylabel("effective rank")
    panels[0].legend(frameon=False, fontsize=9, loc="upper left")
    save_figure(figure, path)


def _by_length(axes: Any, records: Sequence[Record], weights: str) -> None:
    lengths = LENGTHS[weights]
    sizes = [_figure(records, weights, _OWN, "joint", frames, "tokens").mean for frames in lengths]
    axes.plot(sizes, sizes, color=PALE, linewidth=0.8)
    axes.annotate(
        "full rank", (sizes[-1], sizes[-1]), xytext=(-4, 0), textcoords="offset points", ha="right", fontsize=8
    )
    axes.axvline(_OWN, color=PALE, linestyle="-.", linewidth=0.8)
    style = {"transform": axes.get_xaxis_transform(), "fontsize": 8, "color": INK}
    axes.text(1.05 * _OWN, 0.03, "head width", **style)
    for kind, label in KINDS.items():
        _line(axes, sizes, [_figure(records, weights, _OWN, kind, t, "effective") for t in lengths], kind, label)
    axes.set(xscale="log", yscale="log", xlabel="tokens T·N", ylim=(3, 400))
    axes.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
    axes.minorticks_off()
    axes.set_title(f"{weights} weights, heads of {_OWN}", fontsize=10, loc="left", color=INK)
    plain_axes(axes)


def _by_width(axes: Any, records: Sequence[Record]) -> None:
    frames = LENGTHS["random"][-1]
    for kind, label in KINDS.items():
        _line(axes, WIDTHS, [_figure(records, "random", d, kind, frames, "effective") for d in WIDTHS], kind, label)
    total = _figure(records, "random", _OWN, "joint", frames, "tokens").mean
    axes.set(xscale="log", xlabel="width of a head", ylim=(0, None))
    axes.set_xticks(WIDTHS, WIDTHS)
    axes.minorticks_off()
    axes.set_title(f"random weights, {total:.0f} tokens", fontsize=10, loc="left", color=INK)
    plain_axes(axes)


def _line(axes: Any, x: Sequence[float], values: Sequence[Measured], kind: str, label: str) -> None:
    marker, line = _STYLES[kind]
    face = "white" if kind == "joint" else INK
    means, errors = [v.mean for v in values], [v.std for v in values]
    style = {"marker": marker, "linestyle": line, "color": INK, "markerfacecolor": face, "markersize": 5.5}
    axes.errorbar(x, means, errors, capsize=2, linewidth=1.2, label=label, **style)


def _whole(value: Measured) -> int | None:
    return round(value.mean) if value.values else None


def _figure(
    records: Sequence[Record], weights: str, width: int, kind: str, frames: int, name: str, scale: float = 1
) -> Measured:
    where = {"weights": weights, "head_width": width, "motion.temporal.kind": kind}
    return measured(records, f"{name}@{frames}", where, scale=scale)


STUDY = Study("rank", "Rank of attention matrices", "Appendix A", runs, run, table, draw, made_of=written)
