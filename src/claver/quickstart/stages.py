"""The stages of the quickstart: words for stills, then verbs for clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from claver.data.motion import VERBS, render_clips, render_stills
from claver.data.motion_vocabulary import class_texts
from claver.evaluation.metrics import top_k_accuracy, within_pairs
from claver.models import Claver
from claver.prompts.templates import fill
from claver.training.beginning import new_model, train_tokenizer, with_temporal
from claver.training.clips import ClipsTask, score_clips, tokenize_classes
from claver.training.engine import Trainer
from claver.training.recipe import Recipe
from claver.training.stills import StillsTask
from claver.training.tokens import TokenClips, cache_tokens

_RENDERED_AT_ONCE = 256
PARTNER = torch.tensor([[verb.name for verb in VERBS].index(verb.reverse) for verb in VERBS])
"""The class of each verb's time reversal, int64 [C]."""


@dataclass(frozen=True)
class Stage:
    """Where a stage writes and shows itself."""

    folder: Path
    console: Console
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


def verb_class_texts() -> dict[str, tuple[str, ...]]:
    """What the quickstart says of each verb: its own texts, then the bare name in the templates every user gets."""
    return {name: (*texts, *fill(name)) for name, texts in class_texts().items()}


def learn_stills(recipe: Recipe, stage: Stage) -> tuple[Claver, dict[str, float]]:
    """Stage 1: an image–text model, and the accuracy of its words for each state of held-out stills."""
    assert recipe.model is not None
    train = render_stills(range(recipe.data.train), split="train", seed=recipe.seed, size=recipe.model.size)
    test = render_stills(range(recipe.data.test), split="test", seed=recipe.seed, size=recipe.model.size)
    corpus = [*train.captions[:4000], *(text for texts in verb_class_texts().values() for text in texts)]
    tokenizer = train_tokenizer(corpus, recipe.model.vocabulary, recipe.model.context)
    model, task = new_model(recipe.model, tokenizer, seed=recipe.seed), StillsTask(train, test)
    _trainer(recipe, model, task, stage, "stills").run(resume=stage.resume)
    return model, task.evaluate(model)


def cache_clips(model: Claver, recipe: Recipe, progress: Progress) -> tuple[TokenClips, TokenClips]:
    """Stage 2: the frozen image tower's tokens of all clips, for every temporal tower alike.

    For training one clip of each time-reversed pair is enough: `TokenClips` makes the other of it. The held-out clips
    are all rendered and encoded as they are.
    """
    half = [number for number in range(recipe.data.train) if number % 2 == 0]
    bar = progress.add_task("image tokens", total=len(half) + recipe.data.test, note="")
    seed, frames, size = recipe.seed, recipe.temporal.frames, model.config.image.size

    def encode(numbers: list[int], split: str) -> TokenClips:
        def batches() -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
            for start in range(0, len(numbers), _RENDERED_AT_ONCE):
                part = numbers[start : start + _RENDERED_AT_ONCE]
                yield render_clips(part, split=split, seed=seed, frames=frames, size=size).frames

        tokens = cache_tokens(model, batches(), on_batch=lambda done: progress.advance(bar, done))
        labels = torch.tensor(numbers) % len(VERBS)
        return TokenClips(tokens, labels, PARTNER if split == "train" else None)

    return encode(half, "train"), encode(list(range(recipe.data.test)), "test")


def learn_verbs(recipe: Recipe, start: Claver, clips: tuple[TokenClips, TokenClips], stage: Stage) -> VerbResult:
    """Stage 3: one temporal tower, with read-out and text tower, by Eq. 9."""
    from time import perf_counter

    train, test = clips
    scale = train.tokens.float().square().mean().sqrt().item()
    model = with_temporal(start, recipe.temporal, token_scale=scale, seed=recipe.seed)
    assert model.tokenizer is not None
    texts = tokenize_classes(model.tokenizer, verb_class_texts())
    task = ClipsTask(train, test, texts, recipe.texts_per_step, recipe.label_smoothing)
    began = perf_counter()
    _trainer(recipe, model, task, stage, recipe.temporal.kind).run(resume=stage.resume)
    return _measure(model, test, texts, perf_counter() - began)


def _measure(model: Claver, test: TokenClips, texts: Tensor, seconds: float) -> VerbResult:
    scores, labels = score_clips(model, test, texts)
    best = scores.argmax(1)
    top_pair = ((best == labels) | (best == PARTNER[labels])).double().mean().item()
    return VerbResult(model, top_k_accuracy(scores, labels), top_pair, within_pairs(scores, labels, PARTNER), seconds)


def _trainer(recipe: Recipe, model: Claver, task: StillsTask | ClipsTask, stage: Stage, name: str) -> Trainer:
    folder = stage.folder / "runs" / name
    return Trainer(recipe, model, task, folder, name, stage.console, stage.progress)
