"""The stages of the quickstart: words for stills, then verbs for clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import Progress

from claver.evaluation.metrics import top_k_accuracy, within_pairs
from claver.models import Claver
from claver.motion.stills import StillsTask
from claver.motion.tasks import PARTNER, cache_clips, clips_task, motion_tokenizer, stills_task, verb_class_texts
from claver.training.clips import ClipsTask
from claver.training.engine import Trainer
from claver.training.initialization import new_model, with_temporal
from claver.training.recipe import Recipe
from claver.training.tokens import TokenClips

__all__ = ["Stage", "VerbResult", "cache_clips", "learn_stills", "learn_verbs", "train_verbs", "verb_class_texts"]


@dataclass(frozen=True)
class Stage:
    """Where a stage writes, if anywhere, and shows itself, if at all."""

    folder: Path | None
    console: Console | None
    progress: Progress
    resume: bool = False


@dataclass(frozen=True)
class VerbResult:
    """A model that knows verbs and how well it does on held-out clips.

    Attributes:
        top1: share of clips named rightly.
        top_pair: share of clips whose verb or its reverse was named.
        within_pair: share of clips whose verb scored above its reverse; one half for any model blind to order.
        seconds: of training.
    """

    model: Claver
    top1: float
    top_pair: float
    within_pair: float
    seconds: float


def learn_stills(recipe: Recipe, stage: Stage) -> tuple[Claver, dict[str, float]]:
    """Stage 1: an image–text model, and the accuracy of its words for each state of held-out stills."""
    assert recipe.model is not None
    task = stills_task(recipe, recipe.model.size)
    model = new_model(recipe.model, motion_tokenizer(recipe, task.train.captions), seed=recipe.seed)
    _trainer(recipe, model, task, stage, "stills").run(resume=stage.resume)
    return model, task.evaluate(model)


def learn_verbs(recipe: Recipe, start: Claver, clips: tuple[TokenClips, TokenClips], stage: Stage) -> VerbResult:
    """Stage 3: one temporal tower, with read-out and text tower, by Eq. 9."""
    model = with_temporal(start, recipe.temporal, token_scale=clips[0].scale(), seed=recipe.seed)
    return train_verbs(recipe, model, clips_task(recipe, model, clips), stage)


def train_verbs(recipe: Recipe, model: Claver, task: ClipsTask, stage: Stage) -> VerbResult:
    """Train a model on verbs as the recipe says, and measure it on the task's held-out clips."""
    began = perf_counter()
    _trainer(recipe, model, task, stage, recipe.temporal.kind).run(resume=stage.resume)
    seconds = perf_counter() - began
    scores, labels = task.scores(model)
    best = scores.argmax(1)
    top_pair = ((best == labels) | (best == PARTNER[labels])).double().mean().item()
    return VerbResult(model, top_k_accuracy(scores, labels), top_pair, within_pairs(scores, labels, PARTNER), seconds)


def _trainer(recipe: Recipe, model: Claver, task: StillsTask | ClipsTask, stage: Stage, name: str) -> Trainer:
    folder = None if stage.folder is None else stage.folder / "runs" / name
    return Trainer(recipe, model, task, folder, name, stage.console, stage.progress)
