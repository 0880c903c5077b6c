"""Verbs learned from chosen texts, and verbs never trained on: what the studies of the text side share.

Beside the settings of the bench, a run has `texts`, the aspects of `claver.motion.prompts` that the twelve verbs
are learned from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from claver.evaluation.metrics import top_k_accuracy, within_pairs
from claver.models import Claver, load
from claver.motion.prompts import Aspect, aspect_texts
from claver.motion.rendering import VERBS, render_clips
from claver.motion.tasks import PARTNER
from claver.motion.unseen import UNSEEN_VERBS
from claver.motion.verbs import Verb
from claver.studies.bench import base, kept, recipes, stills, tokens, written
from claver.studies.study import Figures, Options, Settings
from claver.training.clips import ClipsTask, score_clips, tokenize_classes
from claver.training.engine import Trainer, training_progress
from claver.training.initialization import with_temporal
from claver.training.recipe import Recipe
from claver.training.tokens import TokenClips, cache_tokens

EVERYTHING: tuple[Aspect, ...] = get_args(Aspect)
_RENDERED_AT_ONCE = 240
_CHANGES = {"motion.steps": 200, "motion.temporal.init": "sinusoidal", "motion.texts_per_step": 5}


def settings_of(options: Options, seed: int, kind: str = "kmt", texts: Sequence[Aspect] = EVERYTHING) -> Settings:
    """The settings of a model that learns the twelve verbs from some texts."""
    shorter = {"motion.steps": 60} if options.quick else {}
    own = {"seed": seed, "motion.temporal.kind": kind, "texts": list(texts)}
    return {**base(options), **_CHANGES, **shorter, **own}


def learned(settings: Settings, cache: Path) -> Claver:
    """A model that has learned the twelve verbs from the texts of the settings, by all towers but the image tower."""

    def make(folder: Path) -> None:
        clips, recipe = tokens(bench_part(settings), cache), recipe_of(settings)
        model = fresh(settings, cache)
        train(recipe, model, clips[0], settings["texts"], VERBS)
        model.save_pretrained(folder)

    of_recipe = {"recipe": written(settings), "said": _digest(aspect_texts(settings["texts"], VERBS))}
    return load(kept(cache, "described", settings | of_recipe, make)).eval()


def made_of(settings: Settings) -> str:
    """What a run on chosen texts depends on: the recipes, and the texts of all verbs."""
    return (
        written(settings) + _digest(aspect_texts(EVERYTHING, VERBS)) + _digest(aspect_texts(EVERYTHING, UNSEEN_VERBS))
    )


def _digest(texts: Mapping[str, Sequence[str]]) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]


def fresh(settings: Settings, cache: Path) -> Claver:
    """Towers that know stills, with a new temporal tower."""
    start, recipe = stills(bench_part(settings), cache), recipe_of(settings)
    scale = tokens(bench_part(settings), cache)[0].scale()
    return with_temporal(start, recipe.temporal, token_scale=scale, seed=recipe.seed)


def train(recipe: Recipe, model: Claver, clips: TokenClips, aspects: Sequence[Aspect], verbs: Sequence[Verb]) -> None:
    """Learn verbs from clips and texts, in place (Eq. 9)."""
    texts = encode_aspects(model, aspects, verbs)
    task = ClipsTask(clips, clips, texts, recipe.texts_per_step, recipe.label_smoothing)
    Trainer(recipe, model, task, progress=training_progress()).run()


def measure(model: Claver, clips: TokenClips, aspects: Sequence[Aspect], verbs: Sequence[Verb]) -> Figures:
    """Top-1, and how often a verb scores above its time reversal, by the sum over the texts of each verb (Eq. 10)."""
    scores, labels = score_clips(model, clips, encode_aspects(model, aspects, verbs))
    return {"top1": top_k_accuracy(scores, labels), "within_pair": within_pairs(scores, labels, PARTNER)}


def encode_aspects(model: Claver, aspects: Sequence[Aspect], verbs: Sequence[Verb]) -> Tensor:
    """Token ids [K, C, L] of what is said of each verb."""
    assert model.tokenizer is not None
    return tokenize_classes(model.tokenizer, aspect_texts(aspects, verbs))


def held_out(settings: Settings, cache: Path) -> TokenClips:
    """Clips of the twelve verbs that nothing is learned from."""
    return tokens(bench_part(settings), cache)[1]


def unseen(settings: Settings, cache: Path, split: str, count: int) -> TokenClips:
    """Tokens of the first `count` clips of the verbs never trained on, verb after verb in turn.

    `PARTNER` pairs them as it does the twelve.
    """
    from safetensors.torch import load_file, save_file

    seed, frames = settings["seed"], recipe_of(settings).temporal.frames
    own = {key: value for key, value in settings.items() if key.startswith("stills.")}
    own |= {"seed": seed, "frames": frames, "split": split, "count": count}
    own |= {"recipe": written(settings, stills_alone=True)}

    def batches(size: int) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, count, _RENDERED_AT_ONCE):
            numbers = range(start, min(start + _RENDERED_AT_ONCE, count))
            chosen = {"split": split, "seed": seed, "frames": frames, "size": size, "verbs": UNSEEN_VERBS}
            yield render_clips(numbers, **chosen).frames

    def make(folder: Path) -> None:
        model = fresh(settings, cache)  # with a tower that reads patches, so that the image tower gives them
        found = cache_tokens(model, batches(model.config.image.size), dtype=torch.float16)
        save_file({"tokens": found}, folder / "tokens.safetensors")

    found = load_file(kept(cache, "unseen", own, make) / "tokens.safetensors")["tokens"]
    return TokenClips(found, torch.arange(count) % len(UNSEEN_VERBS))


def recipe_of(settings: Settings) -> Recipe:
    """The recipe for verbs."""
    return recipes(bench_part(settings))[1]


def bench_part(settings: Settings) -> Settings:
    """The settings that the bench knows."""
    return {key: value for key, value in settings.items() if key == "seed" or key.startswith(("stills.", "motion."))}
