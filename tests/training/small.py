"""A model and a motion problem small enough to train within a test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from claver.models import Claver, Tokenizer
from claver.motion.captions import class_texts
from claver.motion.rendering import VERBS, render_clips
from claver.training import Trainer
from claver.training.clips import ClipsTask, tokenize_classes
from claver.training.initialization import new_model, train_tokenizer, with_temporal
from claver.training.recipe import NewModel, Recipe, make_recipe
from claver.training.tokens import TokenClips, cache_tokens

SIZES = NewModel(
    size=16, patch=8, width=64, layers=1, text_width=64, text_layers=1, context=32, vocabulary=300, embedding=32
)
PAIR = VERBS[:2]  # moves right, moves left


def tokenizer() -> Tokenizer:
    return train_tokenizer([text for texts in class_texts(PAIR).values() for text in texts], 300, 32)


def small_model() -> Claver:
    return new_model(SIZES, tokenizer(), seed=3)


def clips_recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "task": "clips",
        "data": {"train": 64, "test": 64},
        "temporal": {"kind": "kmct", "layers": 1, "frames": 4, "init": "sinusoidal"},
        "freeze": ["image"],
        "steps": 12,
        "warmup": min(2, changes.get("steps", 12)),
        "batch_size": 16,
        "lr": 2e-4,
        "label_smoothing": 0.1,
        "texts_per_step": 2,
    }
    return make_recipe(values | changes)


def clips_problem(recipe: Recipe) -> tuple[Claver, ClipsTask]:
    """Moves right against moves left, 16 pixels, 4 frames, on an untrained image tower."""
    image_model = small_model()
    sets = []
    for split, count in (("train", recipe.data.train), ("test", recipe.data.test)):
        clips = render_clips(range(count), split=split, frames=recipe.temporal.frames, size=16, verbs=PAIR)
        sets.append(TokenClips(cache_tokens(image_model, [clips.frames]), torch.from_numpy(clips.labels)))
    scale = sets[0].tokens.square().mean().sqrt().item()
    model = with_temporal(image_model, recipe.temporal, token_scale=scale, seed=recipe.seed)
    texts = tokenize_classes(tokenizer(), class_texts(PAIR))
    return model, ClipsTask(*sets, texts, recipe.texts_per_step, recipe.label_smoothing)


def main(folder: str, kill_after: int, resume: bool) -> None:
    """Train into a folder and print the steps made; after step `kill_after` the process ends by SIGKILL."""
    import os
    import signal

    from claver.training import Trainer

    made = []

    def after_step(done: int) -> None:
        made.append(done)
        if done == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    recipe = clips_recipe(checkpoint_every=3)
    model, task = clips_problem(recipe)
    Trainer(recipe, model, task, Path(folder), after_step=after_step).run(resume=resume)
    print(made)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "resume")


def train(
    folder: Path | None = None, resume: bool = False, after_step: Callable[[int], object] | None = None, **changes: Any
) -> Trainer:
    """A run on these clips, finished."""
    recipe = clips_recipe(**changes)
    model, task = clips_problem(recipe)
    trainer = Trainer(recipe, model, task, folder, after_step=after_step)
    trainer.run(resume=resume)
    return trainer
