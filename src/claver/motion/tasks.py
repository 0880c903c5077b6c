"""What can be learned from rendered motion: words from stills, then verbs from clips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor

from claver.errors import ClaverError
from claver.models import Claver, Tokenizer
from claver.motion.captions import class_texts
from claver.motion.rendering import VERBS, render_clips, render_stills
from claver.motion.stills import StillsTask
from claver.text.templates import PLAIN_TEMPLATES, fill
from claver.training.clips import ClipsTask, Encode, tokenize_classes
from claver.training.initialization import new_model, train_tokenizer
from claver.training.recipe import Recipe, load_recipe
from claver.training.tokens import TokenClips, cache_tokens
from claver.video.transforms import normalize

_RENDERED_AT_ONCE = 256
_CAPTIONS = 4000  # enough to learn a tokenizer from
PARTNER = torch.tensor([[verb.name for verb in VERBS].index(verb.reverse) for verb in VERBS])
"""The class of each verb's time reversal, int64 [C]."""


def motion_recipes(seed: int, changes: Iterable[str] = ()) -> tuple[Recipe, Recipe]:
    """The recipes `motion_stills` and `motion`, with changes written `stills.KEY=VALUE` or `motion.KEY=VALUE`.

    Raises:
        ClaverError: a change that neither takes.
    """
    own: dict[str, list[str]] = {"stills": [f"seed={seed}"], "motion": [f"seed={seed}"]}
    for change in changes:
        which, _, rest = change.partition(".")
        if which not in own or "=" not in rest:
            raise ClaverError(f"a change is written stills.KEY=VALUE or motion.KEY=VALUE, not {change!r}")
        own[which].append(rest)
    return load_recipe("motion_stills", own["stills"]), load_recipe("motion", own["motion"])


def verb_class_texts() -> dict[str, tuple[str, ...]]:
    """What is said of each verb: its own texts, then the bare name in plain templates."""
    return {name: (*texts, *fill(name, PLAIN_TEMPLATES)) for name, texts in class_texts().items()}


def stills_task(recipe: Recipe, size: int) -> StillsTask:
    """Stills of so many pixels, and their captions."""
    train = render_stills(range(recipe.data.train), split="train", seed=recipe.seed, size=size)
    test = render_stills(range(recipe.data.test), split="test", seed=recipe.seed, size=size)
    return StillsTask(train, test, recipe.data.states)


def model_for_motion(recipe: Recipe) -> Claver:
    """A new model of the recipe's sizes, whose tokenizer knows the words of stills and clips.

    Raises:
        ClaverError: the recipe has no sizes.
    """
    if recipe.model is None:
        raise ClaverError("the recipe says nothing to start from: give init_from, or sizes in section model")
    captions = render_stills(range(_CAPTIONS), split="train", seed=recipe.seed, size=16).captions
    return new_model(recipe.model, motion_tokenizer(recipe, captions), seed=recipe.seed)


def motion_tokenizer(recipe: Recipe, captions: tuple[str, ...]) -> Tokenizer:
    """A tokenizer learned from captions of stills and the texts of verbs."""
    assert recipe.model is not None
    corpus = [*captions[:_CAPTIONS], *(text for texts in verb_class_texts().values() for text in texts)]
    return train_tokenizer(corpus, recipe.model.vocabulary, recipe.model.context)


def cache_clips(model: Claver, recipe: Recipe, progress: Progress) -> tuple[TokenClips, TokenClips]:
    """The frozen image tower's tokens of all clips, of training and test, for every temporal tower alike.

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


def clips_task(recipe: Recipe, model: Claver, clips: tuple[TokenClips, TokenClips]) -> ClipsTask:
    """Verbs from the tokens of clips.

    Raises:
        ClaverError: the recipe would have the image tower learn, of which the tokens are.
    """
    if "image" not in recipe.freeze or (recipe.lora is not None and "image" in recipe.lora.parts):
        raise ClaverError("task clips learns from tokens of the image tower: add image to freeze, and no LoRA to it")
    return _task(recipe, model, clips, Claver.encode_tokens)


def pixels_task(recipe: Recipe, model: Claver) -> ClipsTask:
    """Verbs from the pixels of the same clips: several times the work, and the image tower may learn."""
    size, frames = model.config.image.size, recipe.temporal.frames

    def render(numbers: range, split: str) -> TokenClips:
        clips = render_clips(numbers, split=split, seed=recipe.seed, frames=frames, size=size)
        pixels = torch.from_numpy(clips.frames).flatten(2, 3)  # uint8 [B, T, h·w, 3], in the place of tokens
        return TokenClips(pixels, torch.from_numpy(clips.labels), PARTNER if split == "train" else None)

    def encode(model: Claver, pixels: Tensor) -> Tensor:
        preprocess = model.config.preprocess
        video = pixels.unflatten(2, (size, size)).movedim(-1, -3).to(torch.uint8)
        return model.encode_video(normalize(video, preprocess.mean, preprocess.std))

    clips = render(range(0, recipe.data.train, 2), "train"), render(range(recipe.data.test), "test")
    return _task(recipe, model, clips, encode)


def _task(recipe: Recipe, model: Claver, clips: tuple[TokenClips, TokenClips], encode: Encode) -> ClipsTask:
    assert model.tokenizer is not None
    said = verb_class_texts()
    texts = tokenize_classes(model.tokenizer, said)
    return ClipsTask(*clips, texts, recipe.texts_per_step, recipe.label_smoothing, encode, said)
