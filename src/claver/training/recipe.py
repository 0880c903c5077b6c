"""Recipes: a training run as one validated YAML file, with `key=value` changes on top (the paper's Table 14)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import (
    BaseModel,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from claver.errors import ClaverError
from claver.log import warn_once
from claver.models.config import Temporal
from claver.suggest import nearest
from claver.training.mirror import mirrored_pairs
from claver.training.recipe_file import find_recipe, read_recipe
from claver.training.retention.settings import Average, Distill, Interpolate
from claver.training.tasks import Section, find_task
from claver.yaml_text import parse_yaml

_ON = ("tokens", "token", "cache", "cached", "yes", "y", "on", "t", "true", "1", "enable", "enabled", "auto", "default")
_OFF = ("no", "n", "off", "f", "false", "0", "none", "null", "never", "disable", "disabled", "")


class NewModel(Section):
    """Sizes of a model that starts from nothing; heads are 64 wide, as in every CLIP."""

    size: int = Field(default=32, ge=8)  # pixels of a square frame
    patch: int = Field(default=8, ge=1)
    width: int = Field(default=128, multiple_of=64, ge=64)
    layers: int = Field(default=4, ge=1)
    text_width: int = Field(default=128, multiple_of=64, ge=64)
    text_layers: int = Field(default=2, ge=1)
    context: int = Field(default=48, ge=4)  # longest text in tokens
    vocabulary: int = Field(default=512, ge=259)  # 256 bytes, start and end of text, merges
    embedding: int = Field(default=128, ge=1)  # E, the joint space


class TemporalSettings(Section):
    """The temporal tower and its starting point."""

    kind: Temporal = "kmt"
    layers: int | None = Field(default=None, ge=1)  # a third of the image tower's if not given
    frames: int = Field(default=8, ge=2)
    init: Literal["zero", "random", "sinusoidal"] = "zero"

    @field_validator("init", mode="before")
    @classmethod
    def _renamed(cls, init: Any) -> Any:
        return "sinusoidal" if init == "waves" else init  # its name until version 0.2


class Augment(Section):
    """How training clips are varied; every choice is one per clip, the same for all its frames. 0 turns a part off.

    The paper names the operations and the probabilities; the strengths of the jitter are the usual (.4, .4, .2, .1).
    """

    crop_scales: tuple[float, ...] = (1, 0.875, 0.75, 0.66)  # shares of the short side; none: the centre
    crop_fixed: bool = True  # crops lie in a corner or the centre, else anywhere
    flip: float = Field(default=0.5, ge=0, le=1)  # probability of mirroring left and right
    # what classes become when mirrored, where their names do not tell
    flip_labels: dict[str, str] = Field(default_factory=dict)
    jitter: float = Field(default=0.8, ge=0, le=1)  # probability of changing colours, by up to …
    brightness: float = Field(default=0.4, ge=0, le=1)
    contrast: float = Field(default=0.4, ge=0, le=1)
    saturation: float = Field(default=0.2, ge=0, le=1)
    hue: float = Field(default=0.1, ge=0, le=0.5)  # of the whole circle of hues
    greyscale: float = Field(default=0.2, ge=0, le=1)  # probability
    mixup: float = Field(default=0.8, ge=0)  # α of Beta(α, α)
    cutmix: float = Field(default=1.0, ge=0)  # α of Beta(α, α)
    mix_switch: float = Field(default=0.5, ge=0, le=1)  # probability of cutmix where both are on

    @model_validator(mode="after")
    def _possible(self) -> Augment:
        if not all(0 < scale <= 1 for scale in self.crop_scales):
            raise ValueError("crop_scales are shares of the short side, above 0 and at most 1")
        mirrored_pairs(self.flip_labels)
        return self


class Videos(Section):
    """Labelled clips to learn from and to be measured on."""

    train: Path  # manifest (`claver data index`) or folder of shards (`claver data shard`)
    test: Path | None = None  # the same; none measures nothing
    train_split: str | None = None  # only clips of this split of `train`; if not given train, where there are splits
    test_split: str | None = None  # likewise test, or else val
    root: Path | None = None  # what paths in the manifests are relative to; their own folders if not given
    # names, templates, templates-plain, interpretive, rewritten, kinds of text, or a file; if not given, interpretive
    # where texts come with claver
    texts: str | None = None
    shots: int | None = Field(default=None, ge=1)  # K clips of each class (few-shot), drawn by …
    shots_seed: int = Field(default=0, ge=0)
    stream: bool = False  # read shards from end to end, as a network disk or a spinning one likes it …
    buffer: int = Field(default=512, ge=1)  # … mixing them among as many clips held in memory
    workers: int = Field(default=2, ge=0)  # processes that decode, in each training process
    decode_timeout: float = Field(default=60, gt=0)  # seconds after which a worker gives a clip up; it is replaced
    ahead: int = Field(default=2, ge=1)  # batches decoded ahead
    bad_share: float = Field(default=0.01, ge=0, le=1)  # of the clips that may be unreadable before the run stops
    # image tokens kept on disk, for a frozen image tower: true in ~/.cache/claver/tokens (or CLAVER_CACHE), or a folder
    cache: Path | bool | None = None
    cache_views: int = Field(default=1, ge=1)  # deterministic samplings of each clip that are cached
    cache_verify: bool = True  # compare checksums of the whole cache at every start, about a second per GB

    @field_validator("cache", mode="before")
    @classmethod
    def _switch(cls, given: Any) -> Any:
        """A word that was meant as a switch is one, unless there is a folder of that name."""
        if not isinstance(given, str) or given.strip().lower() not in (*_ON, *_OFF) or Path(given).is_dir():
            return given
        meant = given.strip().lower() in _ON
        warn_once(
            f"videos.cache: {given!r} is taken for {str(meant).lower()}; a folder of that name is written "
            f"{os.path.abspath(given)}"
        )
        return meant

    @model_validator(mode="after")
    def _one_way(self) -> Videos:
        if self.stream and self.cache:
            raise ValueError("stream and cache exclude each other: cached tokens are read in no order of the disk")
        return self


class Lora(Section):
    """Adapters beside the linear layers of towers, which learn in their stead."""

    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=16, gt=0)  # the adapters' output is scaled by alpha / rank
    parts: tuple[Literal["image", "text"], ...] = Field(default=("image", "text"), min_length=1)


class Recipe(Section):
    """One training run; defaults are Table 14's where that has the field.

    Of `data` and `videos` a recipe has the one that its task reads, as the kind of section that the task says.
    """

    task: str  # by its name in `training/tasks.py`
    data: SerializeAsAny[Section] | None = Field(default=None, validate_default=True)
    videos: SerializeAsAny[Videos] | None = Field(default=None, validate_default=True)
    augment: Augment = Augment()  # of videos
    init_from: str | None = None  # weights to start from: another run's folder, or whatever `claver.load` takes
    model: NewModel | None = None  # sizes of a model that starts from nothing
    temporal: TemporalSettings = TemporalSettings()
    freeze: tuple[str, ...] = ()  # parts of the model, by the beginning of their parameters' names
    lora: Lora | None = None

    steps: int | None = Field(default=None, ge=1)  # either steps …
    epochs: float | None = Field(default=None, gt=0)  # … or epochs
    warmup: float = Field(default=5, ge=0)  # in the unit of the length: steps or epochs
    batch_size: int = Field(default=128, ge=1)  # samples of one optimiser step
    accumulation: int = Field(default=1, ge=1)  # parts a batch is computed in

    lr: float = Field(default=12e-6, gt=0)
    temporal_lr_factor: float = Field(default=10, gt=0)
    min_lr_factor: float = Field(default=0.01, ge=0, le=1)
    weight_decay: float = Field(default=0.001, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: float | None = Field(default=1.0, gt=0)
    ema: float | None = Field(default=None, gt=0, lt=1)  # decay of a running mean of the weights, such as 0.999
    average: Average | None = None  # of the weights at the ends of epochs, in the place of ema
    distill: Distill | None = None  # from the start, so that what it knew is kept
    interpolate: Interpolate | None = None  # a second loss, of weights part of the way back to the start

    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    texts_per_step: int = Field(default=5, ge=1)  # K'

    seed: int = Field(default=0, ge=0)
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    activation_checkpointing: bool = False  # less memory for a third more computation, the same gradients
    compile: bool = False  # image and temporal tower by torch.compile
    trackers: tuple[str, ...] | None = None  # Accelerate's names; TensorBoard if not given and installed, [] for none
    evaluate_every: int | Literal["epoch"] | None = None  # steps, or after each epoch
    checkpoint_every: int | None = Field(default=None, ge=1)  # steps; always one at the end, and when interrupted
    checkpoint_minutes: float | None = Field(default=5, ge=0)  # another when the last is older than this

    @field_validator("task")
    @classmethod
    def _known(cls, task: str) -> str:
        find_task(task)
        return task

    @field_validator("data", "videos", mode="before")
    @classmethod
    def _of_task(cls, given: Any, info: ValidationInfo) -> Section | None:
        if "task" not in info.data:  # it is wrong, which is what will be said
            return None
        task = find_task(info.data["task"])
        if info.field_name == task.key:
            return task.section.model_validate({} if given is None else given)
        if given is None or (info.field_name == "data" and _asks_for_nothing(given)):
            return None
        raise ValueError(f"task {info.data['task']} reads section {task.key}, not this one")

    @field_validator("evaluate_every", mode="before")
    @classmethod
    def _often(cls, every: Any) -> Any:
        if every in (None, "epoch") or (type(every) is int and every >= 1):
            return every
        raise ValueError(f"give a number of steps, at least 1, or epoch, not {every!r}")

    @model_validator(mode="after")
    def _lengths(self) -> Recipe:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        if self.warmup > (length := self.steps or self.epochs or 0):
            unit = "steps" if self.steps else "epochs"
            raise ValueError(f"warmup is {self.warmup:g} {unit}, longer than the run of {length:g}; give a shorter one")
        if self.batch_size % self.accumulation:
            raise ValueError(f"batch_size {self.batch_size} cannot be cut into {self.accumulation} equal parts")
        return self

    @model_validator(mode="after")
    def _together(self) -> Recipe:
        if self.average is not None and self.ema is not None:
            raise ValueError("average and ema exclude each other: leave one of them out")
        if self.average is not None and self.lora is not None:
            raise ValueError(
                "average takes the mean of weights, which that of adapters is not: leave out lora, or average"
            )
        is_clip = self.temporal.init != "random" and self.temporal.kind != "pipeline"
        if self.distill is not None and self.distill.kind == "relational" and not is_clip:
            raise ValueError(
                "the teacher of relational distillation starts as CLIP, which a tower with init random or of kind "
                "pipeline is not: take temporal.init zero or sinusoidal and another kind"
            )
        if self.interpolate is not None and self.lora is not None:
            raise ValueError("interpolate goes between weights, and adapters are none: leave out lora, or interpolate")
        if (given := self.interpolate or self.distill) is not None and not find_task(self.task).compares:
            key = type(given).__name__.lower()
            raise ValueError(
                f"{key} needs clips and texts that two models can see, which task {self.task} does not have"
            )
        return self

    def total_steps(self, samples: int) -> int:
        """Optimiser steps of the whole run over a training set of so many samples."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, round(self.epochs * samples / self.batch_size))

    def evaluates(self, done: int, samples: int) -> bool:
        """Whether the model is to be measured when so many steps are done; always at the end if at all."""
        if self.evaluate_every is None:
            return False
        if done == self.total_steps(samples):
            return True
        if self.evaluate_every == "epoch":
            return self._epochs(done, samples) > self._epochs(done - 1, samples)
        return done % self.evaluate_every == 0

    def averages(self, done: int, samples: int) -> bool:
        """Whether the weights after so many steps are part of their mean, if there is one: the last always are."""
        assert self.average is not None
        if done == self.total_steps(samples):
            return True
        if (every := self.average.every) is not None:
            return done % every == 0 and done // every >= self.average.from_epoch
        ended = self._epochs(done, samples)
        return ended > self._epochs(done - 1, samples) and ended >= self.average.from_epoch

    def _epochs(self, done: int, samples: int) -> int:
        """Whole epochs after so many steps."""
        return done * self.batch_size // samples

    def warmup_steps(self, samples: int) -> int:
        """Optimiser steps until the learning rate is reached."""
        return round(self.warmup * (1 if self.steps is not None else samples / self.batch_size))


def _asks_for_nothing(data: Any) -> bool:
    """Whether a section `data` is what version 0.2 kept with every run on videos: no samples."""
    return isinstance(data, dict) and (not data or data.get("train") == data.get("test") == 0)


def load_recipe(source: str | Path, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        source: a YAML file, or the name of a recipe that comes with the package.
        changes: `key=value` or `section.key=value`, later ones winning.

    Raises:
        ClaverError: no such file or base, not YAML, a wrong value, or an unknown key, answered with the nearest
            right one or with all.
    """
    path, changed = find_recipe(source), tuple(changes)
    values = read_recipe(path)
    for change in changed:
        _change(values, change)
    return make_recipe(values, str(path), changed)


def make_recipe(values: dict[str, Any], name: str = "recipe", changes: Sequence[str] = ()) -> Recipe:
    """Validate plain values; errors as in `load_recipe`, of what `changes` brought about or of what `name` says."""
    if "base" in values:
        raise ClaverError(
            f"{name}: base is no change of a recipe but a line of its file; name the other recipe instead"
        )
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        # What is missing comes last: it may be there, but misspelt.
        first = min(error.errors(), key=lambda each: each["type"] == "missing")
        raise ClaverError(f"{_origin(first, name, changes)}: {_explain(first, str(values.get('task')))}") from error


def _origin(error: Any, name: str, changes: Sequence[str]) -> str:
    """The change that set what is wrong, or else the name of the recipe."""
    place = ".".join(map(str, error["loc"])) + "."
    mine = [change for change in changes if place.startswith(change.partition("=")[0] + ".")]
    return f"in the change {mine[-1]!r}" if mine else name


def _change(values: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise ClaverError(f"a change of a recipe is written key=value, not {change!r}")
    *sections, last = key.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ClaverError(f"{section!r} in {change!r} is no section of the recipe")
        values = inner
    values[last] = parse_yaml(value, f"the value in {change!r}")


def _explain(error: Any, task: str) -> str:
    place = [str(part) for part in error["loc"]]
    if error["type"] == "missing" and len(place) > 1:
        needs = f"task {task}" if place[0] in ("data", "videos") else place[0]
        return f"{needs} needs {'.'.join(place)}"
    if error["type"] != "extra_forbidden":
        message = str(error["msg"]).removeprefix("Value error, ")
        return f"{'.'.join(place)}: {message}" if place else message
    known = _keys_at(place[:-1], task)
    near = nearest(place[-1], known)
    meant = f"did you mean {'.'.join([*place[:-1], near])!r}?" if near else f"choose one of {', '.join(known)}"
    return f"unknown key {'.'.join(place)!r}; {meant}"


def _keys_at(sections: list[str], task: str) -> list[str]:
    model: type[BaseModel] = Recipe
    if sections and sections[0] in ("data", "videos"):
        model, sections = find_task(task).section, sections[1:]
    for section in sections:
        annotation = model.model_fields[section].annotation
        model = next(kind for kind in (annotation, *get_args(annotation)) if _is_section(kind))
    return list(model.model_fields)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
