"""Checkpoints from which a run goes on exactly: a folder `last/` that is whole at every instant, and `best/` beside it.

A checkpoint is completed beside its place and moved into it. A process killed at any instant, by whatever signal,
leaves a whole checkpoint behind: `last`, or for the blink between two renames `last.old`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from claver.errors import CheckpointError, ClaverError
from claver.files import replacing, replacing_folder
from claver.models import Claver, Learned
from claver.models.checkpoint.weights import WEIGHTS, read_safetensors
from claver.models.learned import read_learned
from claver.training.ema import Averages
from claver.training.lora import has_lora, plain_model
from claver.training.recipe import Recipe, make_recipe
from claver.training.retention.retention import Retention, named

OPTIMIZER, STATE = "optimizer.safetensors", "state.json"
PARAMETERS, RETENTION = "parameters.safetensors", "retention.safetensors"
# Recipe keys that leave the weights alone.
_WATCHING = {"evaluate_every", "checkpoint_every", "checkpoint_minutes", "trackers"}
_WATCHING |= {f"videos.{key}" for key in ("workers", "decode_timeout", "ahead", "bad_share", "cache_verify")}


@dataclass(frozen=True)
class State:
    """Where a run stands.

    Attributes:
        step: optimiser steps done.
        recipe: what it follows, as plain values.
        losses: the loss of every step done.
        figures: what evaluations gave, by steps done.
        scaler: that of fp16's gradients.
    """

    step: int
    recipe: dict[str, Any]
    losses: list[float]
    figures: dict[int, dict[str, float]] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    folder: Path,
    model: Claver,
    optimizer: torch.optim.Optimizer,
    state: State,
    averages: Averages | None = None,
    retention: Retention | None = None,
) -> Path:
    """Write `folder/last`; returns it.

    It is a model folder, adapters merged. With averaged weights there is another in it, `ema` or `average`.

    Raises:
        CheckpointError: it cannot be written (disk full, read-only); what was saved before is still there.
    """

    def fill(new: Path) -> None:
        plain_model(model).save_pretrained(new)
        _write(_optimizer_tensors(named(model, retention), optimizer), new / OPTIMIZER)
        if retention is not None and (kept := retention.tensors()):
            _write(kept, new / RETENTION)
        if has_lora(model):
            _write({key: value.cpu().contiguous() for key, value in model.state_dict().items()}, new / PARAMETERS)
        if averages is not None:
            _write(averages.tensors(), new / f"{averages.folder}.safetensors")
            with averages.applied():
                plain_model(model).save_pretrained(new / averages.folder)
        (new / STATE).write_text(json.dumps(vars(state)) + "\n", encoding="utf-8")

    return _put(folder / "last", fill)


def _write(tensors: dict[str, Tensor], path: Path) -> None:
    with replacing(path) as beside:
        save_file(tensors, beside)


def save_best(folder: Path, model: Claver, figures: Mapping[str, float], step: int) -> Path:
    """Write the model folder `folder/best` with its `figures.json`; errors as in `save_checkpoint`."""

    def fill(new: Path) -> None:
        plain_model(model).save_pretrained(new)
        (new / "figures.json").write_text(json.dumps({"step": step, **figures}, indent=2) + "\n", encoding="utf-8")

    return _put(folder / "best", fill)


def prepare_folder(folder: Path) -> None:
    """Make a run's folder and see that it can be written to, before anything is computed.

    Raises:
        CheckpointError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CheckpointError(f"checkpoints cannot be written to {folder}: {error.strerror or error}") from error


def find_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in a run's folder, or None."""
    return next((folder / name for name in ("last", "last.old") if (folder / name / STATE).is_file()), None)


def step_of(checkpoint: Path) -> int:
    """The steps that were done when a checkpoint was saved.

    Raises:
        CheckpointError: it is damaged.
    """
    return _read_state(checkpoint).step


def check_same_run(checkpoint: Path, recipe: Recipe, learned: Learned | None) -> int:
    """The steps done of a run that goes on by a recipe, with the actions that its model keeps.

    Raises:
        CheckpointError: the run is another, or the checkpoint damaged.
    """
    _check_recipe(checkpoint, _read_state(checkpoint).recipe, recipe.model_dump(mode="json"))
    if (earlier := read_learned(checkpoint)) not in (None, learned):
        raise CheckpointError(
            f"{checkpoint} belongs to a run on other actions or texts: {_difference(earlier, learned)}; give another "
            "output folder, or begin anew with --resume never"
        )
    return step_of(checkpoint)


def load_checkpoint(
    path: Path,
    model: Claver,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    averages: Averages | None = None,
    retention: Retention | None = None,
) -> State:
    """Put weights, their averages, teachers and optimiser where they stood.

    Raises:
        CheckpointError: the checkpoint is damaged, of another model, or of a run with another recipe.
    """
    try:
        state = _read_state(path)
        check_same_run(path, recipe, model.learned)
        _restore_weights(path, model)
        _restore_optimizer(named(model, retention), optimizer, read_safetensors(path / OPTIMIZER))
        if retention is not None and retention.tensors():
            retention.restore(read_safetensors(path / RETENTION))
        if averages is not None:
            averages.restore(read_safetensors(path / f"{averages.folder}.safetensors"))
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"checkpoint {path} cannot be resumed: {error}") from error
    return state


def _read_state(path: Path) -> State:
    try:
        values = json.loads((path / STATE).read_text(encoding="utf-8"))
        values["figures"] = {int(step): figures for step, figures in values.get("figures", {}).items()}
        return State(**values)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}") from error


def _put(target: Path, fill: Callable[[Path], None]) -> Path:
    """Fill a folder beside `target`, and move it there when it is whole and on the disk."""
    try:
        with replacing_folder(target) as new:
            fill(new)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint {target} cannot be written: {error}") from error
    return target


def _check_recipe(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    with suppress(ClaverError):  # a key that this version no longer knows is named below
        theirs = make_recipe(theirs).model_dump(mode="json")  # with the defaults of keys that are newer than it
    theirs, ours = _keyed(theirs), _keyed(ours)
    for key in sorted((set(theirs) | set(ours)) - _WATCHING):
        if theirs.get(key) != ours.get(key):
            raise CheckpointError(
                f"{path} belongs to a run with {key} {theirs.get(key)!r}, but the recipe now says {ours.get(key)!r}; "
                "give another output folder, or begin anew with --resume never"
            )


def _difference(theirs: Learned | None, ours: Learned | None) -> str:
    """The first action that only one of them has, or of which they say other things."""
    said = [{} if one is None else dict(zip(one.names, one.texts, strict=True)) for one in (theirs, ours)]
    names = [name for name in said[0] | said[1] if said[0].get(name) != said[1].get(name)]
    return f"{names[0]!r}" if names else "their order"


def _keyed(recipe: dict[str, Any]) -> dict[str, Any]:
    """The values of a recipe by their keys as one writes them: `videos.train`."""
    sections = {key: value for key, value in recipe.items() if isinstance(value, dict)}
    inner = {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
    return {key: value for key, value in recipe.items() if key not in sections} | inner


def _optimizer_tensors(parameters: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state under the names of the parameters: `text.projection/exp_avg`."""
    return {
        f"{name}/{slot}": value.detach().cpu().contiguous()
        for name, parameter in parameters.items()
        for slot, value in optimizer.state.get(parameter, {}).items()
    }


def _restore_weights(path: Path, model: Claver) -> None:
    saved, ours = read_safetensors(path / (PARAMETERS if has_lora(model) else WEIGHTS)), model.state_dict()
    for key in sorted(saved.keys() | ours.keys()):
        sizes = [tuple(state[key].shape) if key in state else "none" for state in (saved, ours)]
        if sizes[0] != sizes[1]:
            raise CheckpointError(
                f"{path} is of a model of other sizes: its {key} is {sizes[0]}, that of this run {sizes[1]}; what "
                "init_from names has changed since"
            )
    model.load_state_dict(saved)


def _restore_optimizer(
    parameters: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    learning = {id(p) for group in optimizer.param_groups for p in group["params"]}
    saved = {key.split("/")[0] for key in tensors}
    expected = {name for name, parameter in parameters.items() if id(parameter) in learning}
    if saved != expected:
        raise CheckpointError(f"its optimiser state is of other parameters, such as {sorted(saved ^ expected)[0]!r}")
    for key, value in tensors.items():
        name, slot = key.split("/")
        optimizer.state[parameters[name]][slot] = value.to(parameters[name].device)
