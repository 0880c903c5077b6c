"""The bench that studies share: small models that learn the motion verbs, each stage kept for whoever needs it next.

Settings of a run are changes of the recipes `motion_stills` and `motion` (`stills.KEY`, `motion.KEY`, see
`claver quickstart --set`) and `seed`. Stills, tokens and trained models lie in one cache folder, each under a name made
of the settings it depends on: two studies, or two runs, that need the same thing compute it once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from claver.files import replacing_folder, write_whole
from claver.json_text import to_json
from claver.models import Claver, load
from claver.motion.captions import still_caption
from claver.motion.rendering import STATES
from claver.motion.stages import Stage, VerbResult, cache_clips, learn_stills, learn_verbs, train_verbs
from claver.motion.tasks import PARTNER, motion_data, motion_recipes, pixels_task, verb_class_texts
from claver.studies.study import Figures, Options, Settings, as_before, key_of
from claver.training.engine import training_progress
from claver.training.initialization import with_temporal
from claver.training.recipe import Recipe
from claver.training.tokens import TokenClips

FULL: Settings = {
    "stills.steps": 300,
    "motion.steps": 300,
    "motion.batch_size": 32,
    "motion.data.train": 4096,
    "motion.data.test": 1440,
    "motion.temporal.kind": "kmt",
}
"""What a run is unless a study says otherwise: a third of the work of the quickstart, and more test clips."""
QUICK: Settings = FULL | {
    "stills.steps": 60,
    "motion.steps": 60,
    "motion.warmup": 10,
    "motion.data.train": 1024,
    "motion.data.test": 240,
}
"""Enough to see that everything works, and mean pooling fall behind; too little to rank what is left."""


def base(options: Options) -> Settings:
    """Settings to change: `{**base(options), "seed": 0, "motion.temporal.kind": "joint"}`."""
    return dict(QUICK if options.quick else FULL)


@dataclass(frozen=True)
class Trained:
    """A model that has learned the verbs.

    Attributes:
        figures: `top1`, `top_pair`, `within_pair` on held-out clips (shares), `seconds` of training.
    """

    model: Claver
    figures: Figures


def recipes(settings: Settings) -> tuple[Recipe, Recipe]:
    """The recipes for stills and for verbs that some settings stand for.

    Raises:
        ClaverError: a setting that no recipe takes.
    """
    changes = [f"{key}={json.dumps(value)}" for key, value in settings.items() if key != "seed"]
    return motion_recipes(settings["seed"], changes)


def stills(settings: Settings, cache: Path) -> Claver:
    """The image and text towers that have learned from stills, without a temporal tower."""

    def make(folder: Path) -> None:
        model, words = learn_stills(recipes(settings)[0], _quiet())
        model.save_pretrained(folder)
        _write_json(folder / "figures.json", dict(words))

    return load(
        kept(cache, "stills", _of_stills(settings) | _of_recipe(settings, stills_alone=True), make), temporal="mean"
    )


def tokens(settings: Settings, cache: Path) -> tuple[TokenClips, TokenClips]:
    """The frozen image tower's tokens [M, T, N, D] of the clips to learn from and of those held out, in float16."""
    from safetensors.torch import load_file, save_file

    motion = recipes(settings)[1]
    data = motion_data(motion)
    drawn = {"frames": motion.temporal.frames, "train": data.train, "test": data.test}

    def make(folder: Path) -> None:
        with training_progress() as progress:
            parts = cache_clips(stills(settings, cache), motion, progress)
        values = dict(zip(("train", "test"), parts, strict=True))
        kept: dict[str, Tensor] = {f"{name}.tokens": part.tokens.half() for name, part in values.items()}
        kept |= {f"{name}.labels": part.labels for name, part in values.items()}
        save_file(kept, folder / "tokens.safetensors")

    found = load_file(
        kept(cache, "tokens", _of_stills(settings) | _of_recipe(settings, stills_alone=True) | drawn, make)
        / "tokens.safetensors"
    )
    train = TokenClips(found["train.tokens"], found["train.labels"], PARTNER)
    return train, TokenClips(found["test.tokens"], found["test.labels"])


def verbs(settings: Settings, cache: Path) -> Trained:
    """A model with the temporal tower of the settings, trained on the verbs, and how well it does on held-out clips."""

    def make(folder: Path) -> None:
        result = _learn(settings, cache)
        result.model.save_pretrained(folder)
        figures = {"top1": result.top1, "top_pair": result.top_pair, "within_pair": result.within_pair}
        _write_json(folder / "figures.json", figures | {"seconds": result.seconds})

    folder = kept(cache, "verbs", settings | _of_recipe(settings), make)
    return Trained(load(folder).eval(), json.loads((folder / "figures.json").read_text(encoding="utf-8")))


def _learn(settings: Settings, cache: Path) -> VerbResult:
    start, motion, clips = stills(settings, cache), recipes(settings)[1], tokens(settings, cache)
    if "image" in motion.freeze:
        return learn_verbs(motion, start, clips, _quiet())
    model = with_temporal(start, motion.temporal, token_scale=clips[0].scale(), seed=motion.seed)
    return train_verbs(motion, model, pixels_task(motion, model), _quiet())


def _of_recipe(settings: Settings, *, stills_alone: bool = False) -> Settings:
    return {"recipe": written(settings, stills_alone=stills_alone)}


def _of_stills(settings: Settings) -> Settings:
    return {key: value for key, value in settings.items() if key == "seed" or key.startswith("stills.")}


def written(settings: Settings, *, stills_alone: bool = False) -> str:
    """A digest of what the recipes say in the end, defaults included, and of the texts: a change makes other models.

    Args:
        settings: those that the bench does not know are passed over.
        stills_alone: of what towers that know stills depend on.
    """
    known = {key: value for key, value in settings.items() if key == "seed" or key.startswith(("stills.", "motion."))}
    chosen = recipes(known)[:1] if stills_alone else recipes(known)
    said = [as_before(recipe.model_dump_json(exclude=_unset(recipe))) for recipe in chosen]
    said.append(json.dumps([verb_class_texts(), [still_caption({k: w}) for k, words in STATES.items() for w in words]]))
    return hashlib.sha256("".join(said).encode()).hexdigest()[:12]


def _unset(recipe: Recipe) -> set[str]:
    """Keys that are newer than what is kept: where they say nothing, the models are those of before."""
    return {key for key in ("average", "interpolate", "distill") if getattr(recipe, key, None) is None}


def _quiet() -> Stage:
    return Stage(None, None, training_progress())


def kept(cache: Path, what: str, settings: Settings, make: Callable[[Path], None]) -> Path:
    """The folder of something made with these settings; made now, by one process, if it is not there."""
    name = f"{what}-{hashlib.sha256(key_of(settings).encode()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / name
    with _locked(cache / f"{name}.lock"):
        if not folder.exists():
            with replacing_folder(folder) as unfinished:
                make(unfinished)
                _write_json(unfinished / "settings.json", settings)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock

    with FileLock(path):
        yield


def _write_json(path: Path, values: Settings) -> None:
    write_whole(path, to_json(values, indent=2))
