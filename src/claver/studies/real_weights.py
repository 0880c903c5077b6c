"""Real clips above real, frozen image weights: the ways frames can be joined, on clips as they are and backwards."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from claver.models import ClaverConfig, ImageConfig, TemporalConfig, class_scores, interpretive_loss, similarity
from claver.models.config import Temporal
from claver.models.objective import video_embedding
from claver.models.temporal import TemporalTower
from claver.models.vision.clip import Readout
from claver.plotting import new_figure, save_figure
from claver.studies.drawing import INK, bars, set_title
from claver.studies.real_clips import (
    FRAMES,
    TEXTS,
    VIEWS,
    WIDTH,
    Fold,
    check_clips,
    clips_digest,
    folds_of,
    read_names,
    sentence_vectors,
    texts_of,
)
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Cell, Measured, Table
from claver.training.objectives import smooth_labels
from claver.training.sampling import batch_at

KINDS = {
    "mean": "mean pooling",
    "class": "class tokens only",
    "pipeline": "pipeline",
    "joint": "joint attention",
    "kmct": "KMCTA",
    "kmt": "KMTA",
}
"""In the order of the study `temporal`."""
WHOLE = "mean, all 1,280 numbers"
"""What making tokens smaller costs: the one kind that is cheap enough to be run without."""
ROWS = {WHOLE: WHOLE, **KINDS}
SAID = {"names": "names", "sentences": "names and sentences"}
WAYS = {False: "six actions", True: "twelve: each backwards too"}
CHANCE = {False: 100 / len(TEXTS), True: 50 / len(TEXTS)}
_STEPS, _QUICK_STEPS, _BATCH, _RATE, _WARMUP = 80, 10, 16, 2e-3, 10
_DECAY, _SMOOTHING = 0.01, 0.1
_MADE = (_BATCH, _RATE, _WARMUP, _DECAY, _SMOOTHING, FRAMES, VIEWS, WIDTH)


def check(options: Options) -> None:
    """Whether the clips are there, and the weights.

    Raises:
        ClaverError: they are not.
    """
    check_clips(options, "real-weights")


def runs(options: Options) -> list[Settings]:
    """Every kind with every way of saying and of playing, each with every seed."""
    steps = _QUICK_STEPS if options.quick else _STEPS
    return [
        {"data": str(options.data), "kind": kind, "texts": said, "backwards": backwards, "steps": steps, "seed": seed}
        | ({"quick": True} if options.quick else {})
        for seed in options.seeds
        for backwards in WAYS
        for said in SAID
        for kind in ROWS
    ]


def run(settings: Settings, cache: Path) -> Figures:
    """Leave each sequence out once: `folds` has top-1 of each, `top1` their mean; `within_pair` of clips both ways."""
    said = texts_of(settings["texts"], backwards=settings["backwards"])
    texts = sentence_vectors(said, cache)
    right, paired = [], []
    for left_out in folds_of(Path(settings["data"]), cache, whole=settings["kind"] == WHOLE):
        fold = left_out.both_ways() if settings["backwards"] else left_out
        scores = learn(settings, fold, texts)
        right.append((scores.argmax(1) == fold.wanted).double().mean().item())
        if settings["backwards"]:
            other = (fold.wanted + len(TEXTS)) % (2 * len(TEXTS))
            own, reverse = (scores.gather(1, index[:, None]) for index in (fold.wanted, other))
            paired.append((own > reverse).double().mean().item())
    figures: Figures = {"top1": sum(right) / len(right), "folds": right}
    return figures | ({"within_pair": sum(paired) / len(paired)} if paired else {})


class Head(nn.Module):
    """What learns: a temporal tower, a read-out and the scale of similarities."""

    def __init__(self, kind: Temporal, width: int, embedding: int, token_scale: float) -> None:
        super().__init__()
        image = ImageConfig(224, 32, width, heads=width // 64)
        config = ClaverConfig(image, temporal=TemporalConfig(kind, 1, FRAMES), embedding=embedding, activation="gelu")
        self.temporal = TemporalTower(config)
        self.temporal.initialize("sinusoidal", token_scale)
        self.readout = Readout(width, embedding, config.norm_eps)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, tokens_BTND: Tensor, texts_KCE: Tensor) -> Tensor:
        """Scaled similarities [B, K, C]."""
        frames = self.readout(self.temporal(tokens_BTND))
        return similarity(video_embedding(frames), texts_KCE, self.logit_scale.exp().clamp(max=100))


def learn(settings: Settings, fold: Fold, texts_KCE: Tensor) -> Tensor:
    """Scores [M, C] of the clips left out, over all texts and views, after learning from the others."""
    seed = settings["seed"]
    torch.manual_seed(seed)
    kind = "mean" if settings["kind"] == WHOLE else settings["kind"]
    scale = fold.train.square().mean().sqrt().item()
    head = Head(cast(Temporal, kind), fold.train.shape[-1], texts_KCE.shape[-1], scale)
    optimizer = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, settings["steps"]))
    for step in range(settings["steps"]):
        rows = torch.from_numpy(batch_at(step, samples=len(fold.train), batch_size=_BATCH, seed=seed))
        soft = smooth_labels(fold.labels[rows], texts_KCE.shape[1], _SMOOTHING)
        optimizer.zero_grad()
        interpretive_loss(head(fold.train[rows], texts_KCE), soft).backward()
        nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        scores = class_scores(head(fold.test.flatten(0, 1), texts_KCE))
    return scores.unflatten(0, fold.test.shape[:2]).sum(1)


def _rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / _WARMUP) * 0.5 * (1 + math.cos(math.pi * step / steps))


def made_of(settings: Settings) -> str:
    """A digest of the clips, of the texts and of how is learned."""
    said = texts_of(settings["texts"], backwards=settings["backwards"])
    paths, labels, _ = read_names(Path(settings["data"]))
    return hashlib.sha256(repr((said, _MADE, clips_digest(paths, labels.tolist()))).encode()).hexdigest()[:12]


def sign_flip(differences: Sequence[float]) -> float:
    """How probable differences as far from zero as these, or farther, are if their signs were those of coins.

    An exact permutation test, two-sided, of the mean: all 2^n ways of choosing the n signs.
    """
    values = torch.tensor(differences, dtype=torch.float64)
    signs = torch.tensor(list(itertools.product((1.0, -1.0), repeat=len(differences))), dtype=torch.float64)
    return float(((signs @ values).abs() >= values.sum().abs() - 1e-9).double().mean())


def compared(records: Sequence[Record], kind: str, where: Settings) -> float | None:
    """`sign_flip` of the folds, each the mean of its seeds: a kind against mean pooling."""
    chosen, pooled = (
        [r.figures["folds"] for r in records if r.settings.items() >= (where | {"kind": name}).items()]
        for name in (kind, "mean")
    )
    if not chosen or len(chosen) != len(pooled):
        return None
    own, other = (torch.tensor(folds, dtype=torch.float64).mean(0) for folds in (chosen, pooled))
    return sign_flip((own - other).tolist())


def _columns() -> list[tuple[str, Settings]]:
    return [
        (f"{WAYS[backwards]}, {said}", {"texts": key, "backwards": backwards})
        for backwards in WAYS
        for key, said in SAID.items()
    ]


def _top1(records: Sequence[Record], kind: str, where: Settings) -> Measured:
    return measured(records, "top1", where | {"kind": kind}, scale=100)


def table(records: Sequence[Record]) -> Table:
    """Top-1 of every kind, and beside it how probable such a difference from mean pooling is by chance."""
    columns = _columns()
    rows: list[list[Cell]] = []
    for kind, label in ROWS.items():
        row: list[Cell] = [label]
        for _, where in columns:
            found = None if kind == "mean" else compared(records, kind, where)
            row += [_top1(records, kind, where), "" if found is None else f"{found:.3f}"]
            if where["backwards"]:
                row.append(measured(records, "within_pair", where | {"kind": kind}, scale=100))
        rows.append(row)
    heads = [
        [f"{label}: {figure}" for figure in ("top-1 %", "p", *(["within pair %"] if where["backwards"] else []))]
        for label, where in columns
    ]
    return Table(
        f"60 real clips of UT-Interaction, one of ten sequences left out, {spread_of(records)}",
        ("frames joined by", *(name for names in heads for name in names)),
        rows,
        note=f"Chance is {CHANCE[False]:.1f} %, and {CHANCE[True]:.1f} % of twelve. p: against mean pooling, exact "
        "two-sided sign-flip test of the ten folds, each the mean of its seeds. Within pair: the action scored above "
        "itself played the other way.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Two panels: six actions, and twelve with those that are played backwards."""
    figure = new_figure(10.4, 6.4)
    set_title(figure, "Real clips above frozen real weights (UT-Interaction)", records)
    panels = figure.subplots(1, 2, sharey=True)
    labels = [f"{label}, {said}" for label in ROWS.values() for said in SAID]
    for axes, backwards in zip(panels, WAYS, strict=True):
        values = [_top1(records, kind, {"texts": said, "backwards": backwards}) for kind in ROWS for said in SAID]
        _panel(axes, labels, values, backwards)
    save_figure(figure, path)


def _panel(axes: Any, labels: Sequence[str], values: Sequence[Measured], backwards: bool) -> None:
    bars(axes, labels, values)
    axes.set(xlim=(0, 100), xlabel="top-1, %")
    axes.set_title(WAYS[backwards], fontsize=10, color=INK, loc="left")
    axes.axvline(CHANCE[backwards], color=INK, linestyle=":", linewidth=1)
    axes.annotate(
        "chance", (CHANCE[backwards], -0.6), xytext=(3, -1), textcoords="offset points", fontsize=8, color=INK, va="top"
    )


STUDY = Study(
    "real-weights",
    "Real clips above frozen real weights",
    "Real clips",
    runs,
    run,
    table,
    draw,
    check=check,
    made_of=made_of,
    takes_data=True,
)
