"""What a training step that keeps what CLIP knew costs: interpolated weights, both distillations, beside a plain one.

B/32, the image tower frozen and run once for all models of the step; texts and temporal tower learn. A ratio below 1
says how much slower the step is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.encoder import random_model
from benchmarks.step import CLASSES, CLIPS, FRAMES, SLOTS, Batch
from benchmarks.timing import Row, Settings, compare, missing
from claver.models import Claver, video_embedding
from claver.models.tokenizer import packaged_clip_tokenizer
from claver.training.recipe import make_recipe
from claver.training.retention.averaging import EpochAverage
from claver.training.retention.retention import Retention, named
from claver.training.samples import Samples
from claver.training.sampling import Rows

AREA = "keeping what CLIP knew, a step"
WAYS: dict[str, dict[str, Any]] = {
    "weight averaging, at the end of an epoch": {},
    "interpolated weights": {"interpolate": {}},
    "feature distillation": {"distill": {"kind": "feature"}},
    "relational distillation": {"distill": {"kind": "relational"}},
}


class Fixed:
    """A task of one batch."""

    def __init__(self, batch: Batch) -> None:
        self.batch, self.labels = batch, F.one_hot(batch.labels, batch.texts.shape[1]).float()

    def __len__(self) -> int:
        return len(self.labels)

    def samples(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Samples:
        """The batch; the image tower sees it once."""
        with torch.no_grad():
            tokens = model.image_tokens(self.batch.video)
        return Samples(
            lambda model: video_embedding(model.encode_tokens(tokens)),
            lambda model: model.encode_text(self.batch.texts),
            self.labels,
        )

    def loss(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Tensor:
        """Eq. 9."""
        return self.samples(model, rows, rng).loss(model)

    def evaluate(self, model: Claver) -> dict[str, float]:
        """Nothing."""
        return {}


def rows(settings: Settings) -> list[Row]:
    if packaged_clip_tokenizer() is None:
        return [missing(AREA, "B/32", "needs the package instant-clip-tokenizer")]
    clips, frames, classes = (1, 2, 1) if settings.quick else (CLIPS, FRAMES, CLASSES)
    model = random_model("B/32", "kmct", frames, quick=settings.quick)
    model.image.requires_grad_(False)
    task = Fixed(Batch.drawn(clips, frames, classes))
    plain, *ours = (_step(model, task, keys, averages=name.startswith("weight")) for name, keys in _named())
    what = f"B/32, KMCTA, {clips} clips × {frames} frames, {classes} × {SLOTS} texts, image tower frozen"
    for work in (plain, *ours):
        work()
    works = {f"{what}: {name}": work for name, work in zip(WAYS, ours, strict=True)}
    return compare(AREA, "the same step, plain", plain, works, settings)


def _named() -> list[tuple[str, dict[str, Any]]]:
    return [("plain", {}), *WAYS.items()]


def _step(model: Claver, task: Fixed, keys: dict[str, Any], *, averages: bool) -> Callable[[], None]:
    recipe = make_recipe({"task": "videos", "videos": {"train": "none.csv"}, "steps": 1, "warmup": 0} | keys)
    retention = Retention(model, recipe)
    learning = [p for p in named(model, retention).values() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-9, fused=True)
    average = EpochAverage(model, lambda done: averages)
    everything = np.arange(len(task))

    def work() -> None:
        way: dict[str, Any] = {"step": 0, "parts": 1.0, "autocast": nullcontext, "backward": Tensor.backward}
        retention.accumulate(model, task, everything, np.random.default_rng(0), **way)
        optimizer.step()
        optimizer.zero_grad()
        retention.after_step(model)
        average.update(0)

    return work
