"""Aliases of modules, classes and functions from before version 0.2, with a deprecation warning."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import Any
from warnings import warn

_CHECKPOINT = ("configs", "files", "folder", "hub", "hugging_face", "inferred", "names", "open_clip", "unpickle")

MOVED = {
    "attention.relation": "attention.mask",
    "data.layouts_kinetics": "data.layouts.kinetics",
    "data.layouts_plain": "data.layouts.plain",
    "data.layouts_splits": "data.layouts.splits",
    "data.layouts_ssv2": "data.layouts.ssv2",
    "data.listing": "data.layouts.listing",
    "data.motion": "motion.rendering",
    "data.motion_files": "motion.files",
    "data.motion_prompts": "motion.prompts",
    "data.motion_unseen": "motion.unseen",
    "data.motion_verbs": "motion.verbs",
    "data.motion_vocabulary": "motion.captions",
    "data.tree": "data.layouts.tree",
    "explain.rank": "studies.attention_rank",
    "explain.saving": "explain.render.saving",
    "explain.shuffle": "studies.token_shuffle",
    "models.identity": "models.fingerprint",
    "models.image": "models.vision.clip",
    **{f"models.{name}": f"models.checkpoint.{name}" for name in (*_CHECKPOINT, "weights")},
    "prediction": "inference.prediction",
    "prompts": "text",
    "prompts.action_files": "data.action_files",
    "prompts.choice": "text.selection",
    "prompts.text_cache": "text.cache",
    "quickstart.stages": "motion.stages",
    "recognizer": "inference.recognizer",
    "training.beginning": "training.initialization",
    "training.motion": "motion.tasks",
    "training.recipe_data": "training.recipe",
    "training.stills": "motion.stills",
    "video.ahead": "video.prefetch",
}
"""Old names and today's, without the `claver.` in front."""


class MovedFinder(MetaPathFinder, Loader):
    """Asked first: what lies below a package that has moved must not be loaded a second time under its old name."""

    def __init__(self) -> None:
        self._specs: dict[ModuleType, ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec for an old name of ours; None for any other."""
        return None if today(fullname) == fullname else ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module of today, imported."""
        name = today(spec.name)
        warn(f"{spec.name} is now {name}; the old name goes with the next release", DeprecationWarning, stacklevel=2)
        module = import_module(name)
        self._specs[module] = module.__spec__
        return module

    def get_code(self, fullname: str) -> CodeType | None:
        """The code of the module of today, for `python -m`."""
        spec = find_spec(today(fullname))
        loader: Any = None if spec is None else spec.loader
        return None if loader is None else loader.get_code(today(fullname))

    def exec_module(self, module: ModuleType) -> None:
        """It has run already; the import system has only changed what it says of itself."""
        module.__spec__ = self._specs.pop(module)


def today(name: str) -> str:
    """The name that a module of ours has today; other names stay."""
    package, _, rest = name.partition(".")
    if package != __package__:
        return name
    parts = rest.split(".")
    for count in range(len(parts), 0, -1):
        if new := MOVED.get(".".join(parts[:count])):
            return ".".join([package, new, *parts[count:]])
    return name


def install() -> None:
    """Let old names be found."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, MovedFinder())


RENAMED = {
    "CenterCut": "CenterCrop",
    "Cut": "Crop",
    "Place": "ClipLocation",
    "Reading": "ClipDecoder",
    "load_ahead": "prefetch",
    "mean_and_deviation": "mean_and_std",
    "recognise_dataset": "recognize_dataset",
    "say_once": "warn_once",
}
"""Old names of classes and functions, and today's."""


def renamed(module: str, name: str) -> Any:
    """What an old name of a module is called today, for the module's `__getattr__`.

    Raises:
        AttributeError: it has never had that name.
    """
    if name not in RENAMED:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    warn(f"{name} is now {RENAMED[name]}; the old name goes with the next release", DeprecationWarning, stacklevel=3)
    return getattr(import_module(module), RENAMED[name])
