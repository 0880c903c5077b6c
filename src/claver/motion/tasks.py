"""What can be learned from rendered motion: words from stills, then verbs from clips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from rich.progress import Progress
from torch import Tensor

from claver.errors import ClaverError
from claver.models import Claver, Learned, Tokenizer
from claver.motion.captions import class_texts
from claver.motion.rendering import STATES, VERBS, render_clips, render_stills
from claver.motion.stills import StillsTask
from claver.text.templates import PLAIN_TEMPLATES, fill
from claver.training.build import load_start, with_tower
from claver.training.clips import ClipsTask, Encode, tokenize_classes
from claver.training.initialization import new_model, train_tokenizer, with_temporal
from claver.training.recipe import Recipe, load_recipe
from claver.training.tasks import Preview, Section, TaskDefinition
from claver.training.tokens import TokenClips, cache_tokens
from claver.video.transforms import normalize

_RENDERED_AT_ONCE = 256
_CAPTIONS = 4000  # enough to learn a tokenizer from
PARTNER = torch.tensor([[verb.name for verb in VERBS].index(verb.reverse) for verb in VERBS])
"""The class of each verb's time reversal, int64 [C]."""


class MotionData(Section):
    """Section `data` of the tasks `stills` and `clips`: how much is rendered."""

    source: Literal["motion"] = "motion"
    train: int = Field(ge=1)  # samples
    test: int = Field(ge=1)
    states: tuple[str, ...] = Field(default=tuple(STATES), min_length=2)  # of stills: what their captions name

    @field_validator("states")
    @classmethod
    def _known(cls, states: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(states) - set(STATES):
            raise ValueError(f"there is no state {sorted(unknown)[0]!r}; the states are {', '.join(STATES)}")
        return states


def motion_data(recipe: Recipe) -> MotionData:
    """The section `data` of a recipe whose task is `stills` or `clips`."""
    assert isinstance(recipe.data, MotionData)
    return recipe.data


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
    data = motion_data(recipe)
    train = render_stills(range(data.train), split="train", seed=recipe.seed, size=size)
    test = render_stills(range(data.test), split="test", seed=recipe.seed, size=size)
    return StillsTask(train, test, data.states)


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
    data = motion_data(recipe)
    half = [number for number in range(data.train) if number % 2 == 0]
    bar = progress.add_task("image tokens", total=len(half) + data.test, note="")
    seed, frames, size = recipe.seed, recipe.temporal.frames, model.config.image.size

    def encode(numbers: list[int], split: str) -> TokenClips:
        def batches() -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
            for start in range(0, len(numbers), _RENDERED_AT_ONCE):
                part = numbers[start : start + _RENDERED_AT_ONCE]
                yield render_clips(part, split=split, seed=seed, frames=frames, size=size).frames

        tokens = cache_tokens(model, batches(), on_batch=lambda done: progress.advance(bar, done))
        labels = torch.tensor(numbers) % len(VERBS)
        return TokenClips(tokens, labels, PARTNER if split == "train" else None)

    return encode(half, "train"), encode(list(range(data.test)), "test")


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
    size, frames, data = model.config.image.size, recipe.temporal.frames, motion_data(recipe)

    def render(numbers: range, split: str) -> TokenClips:
        clips = render_clips(numbers, split=split, seed=recipe.seed, frames=frames, size=size)
        pixels = torch.from_numpy(clips.frames).flatten(2, 3)  # uint8 [B, T, h·w, 3], in the place of tokens
        return TokenClips(pixels, torch.from_numpy(clips.labels), PARTNER if split == "train" else None)

    def encode(model: Claver, pixels: Tensor) -> Tensor:
        preprocess = model.config.preprocess
        video = pixels.unflatten(2, (size, size)).movedim(-1, -3).to(torch.uint8)
        return model.encode_video(normalize(video, preprocess.mean, preprocess.std))

    clips = render(range(0, data.train, 2), "train"), render(range(data.test), "test")
    return _task(recipe, model, clips, encode)


def _task(recipe: Recipe, model: Claver, clips: tuple[TokenClips, TokenClips], encode: Encode) -> ClipsTask:
    assert model.tokenizer is not None
    said = verb_class_texts()
    texts = tokenize_classes(model.tokenizer, said)
    return ClipsTask(*clips, texts, recipe.texts_per_step, recipe.label_smoothing, encode, said)


def begin_stills(recipe: Recipe) -> Claver:
    """What `init_from` names, or else a new model; errors as `load_start` and `model_for_motion`."""
    return load_start(recipe) or model_for_motion(recipe)


def begin_clips(recipe: Recipe) -> Claver:
    """The same with the recipe's temporal tower, but for the scale that depends on clips."""
    return with_tower(begin_stills(recipe), recipe, 1.0)


def build_stills(recipe: Recipe, progress: Progress, device: torch.device) -> tuple[Claver, StillsTask]:
    """The model at its start, on a device, and rendered stills."""
    start = begin_stills(recipe).to(device)
    return start, stills_task(recipe, start.config.image.size)


def build_clips(recipe: Recipe, progress: Progress, device: torch.device) -> tuple[Claver, ClipsTask]:
    """The model at its start, on a device, and the tokens of rendered clips; errors as `clips_task`."""
    start = begin_stills(recipe).to(device)
    tokens_of = with_temporal(start, recipe.temporal, token_scale=1.0, seed=0)  # all tokens, whatever start's tower
    clips = cache_clips(tokens_of.to(device), recipe, progress)
    model = with_tower(start, recipe, clips[0].scale())
    return model, clips_task(recipe, model, clips)


def preview_stills(recipe: Recipe, model: Claver) -> Preview:
    """How many samples would be rendered."""
    data = motion_data(recipe)
    return Preview(data.train, [f"data    {data.train} for training, {data.test} for testing"])


def preview_clips(recipe: Recipe, model: Claver) -> Preview:
    """The same, and the verbs, which the model keeps."""
    said = verb_class_texts()
    learned = Learned(tuple(said), tuple(said.values()), model.config.temporal.frames)
    return preview_stills(recipe, model)._replace(learned=learned)


STILLS = TaskDefinition(MotionData, begin_stills, build_stills, preview_stills)
CLIPS = TaskDefinition(MotionData, begin_clips, build_clips, preview_clips, compares=True)
