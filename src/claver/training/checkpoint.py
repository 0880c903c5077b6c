"""Checkpoints from which a run goes on exactly: a folder `last/` that is whole at every instant.

A checkpoint is completed beside its place and moved into it. A process killed at any instant, by whatever signal,
leaves a whole checkpoint behind: `last`, or for the blink between two renames `last.old`.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from claver.errors import CheckpointError
from claver.models import Claver
from claver.models.folder import WEIGHTS, read_safetensors
from claver.training.recipe import Recipe

OPTIMIZER, STATE = "optimizer.safetensors", "state.json"
_WATCHING = {"evaluate_every", "checkpoint_every"}  # recipe keys that leave the weights alone


@dataclass(frozen=True)
class State:
    """Where a run stands.

    Attributes:
        step: optimiser steps done.
        recipe: what it follows, as plain values.
        losses: the loss of every step done.
    """

    step: int
    recipe: dict[str, Any]
    losses: list[float]


def save_checkpoint(folder: Path, model: Claver, optimizer: torch.optim.Optimizer, state: State) -> Path:
    """Write `folder/last`; returns it.

    Raises:
        CheckpointError: it cannot be written (disk full, read-only); what was saved before is still there.
    """
    last, new, old = (folder / name for name in ("last", "last.new", "last.old"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(new, ignore_errors=True)
        model.save_pretrained(new)
        save_file(_optimizer_tensors(model, optimizer), new / OPTIMIZER)
        (new / STATE).write_text(json.dumps(vars(state)) + "\n", encoding="utf-8")
        _flush(new)
        if last.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(last, old)
        os.rename(new, last)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise CheckpointError(f"checkpoint {last} cannot be written: {error}") from error
    return last


def find_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in a run's folder, or None."""
    return next((folder / name for name in ("last", "last.old") if (folder / name / STATE).is_file()), None)


def load_checkpoint(path: Path, model: Claver, optimizer: torch.optim.Optimizer, recipe: Recipe) -> State:
    """Put weights and optimiser where they stood.

    Raises:
        CheckpointError: the checkpoint is damaged, of another model, or of a run with another recipe.
    """
    try:
        state = State(**json.loads((path / STATE).read_text(encoding="utf-8")))
        weights, moments = read_safetensors(path / WEIGHTS), read_safetensors(path / OPTIMIZER)
        _check_recipe(path, state.recipe, recipe.model_dump(mode="json"))
        model.load_state_dict(weights)
        _restore_optimizer(model, optimizer, moments)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"checkpoint {path} cannot be resumed: {error}") from error
    return state


def _check_recipe(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    for key in sorted((set(theirs) | set(ours)) - _WATCHING):
        if theirs.get(key) != ours.get(key):
            raise CheckpointError(
                f"{path} belongs to a run with {key} {theirs.get(key)!r}, but the recipe now says {ours.get(key)!r}"
            )


def _optimizer_tensors(model: Claver, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state under the names of the parameters: `text.projection/exp_avg`."""
    return {
        f"{name}/{slot}": value.detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        for slot, value in optimizer.state.get(parameter, {}).items()
    }


def _restore_optimizer(model: Claver, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    learning = {id(p) for group in optimizer.param_groups for p in group["params"]}
    saved = {key.split("/")[0] for key in tensors}
    expected = {name for name, parameter in parameters.items() if id(parameter) in learning}
    if saved != expected:
        raise CheckpointError(f"its optimiser state is of other parameters, such as {sorted(saved ^ expected)[0]!r}")
    for key, value in tensors.items():
        name, slot = key.split("/")
        optimizer.state[parameters[name]][slot] = value.to(parameters[name].device)


def _flush(folder: Path) -> None:
    """Onto the disk, so that not even a power cut leaves a checkpoint that is there but empty."""
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
