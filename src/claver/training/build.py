"""From a recipe to the model it starts from and the task it sets."""

from __future__ import annotations

import torch
from rich.progress import Progress

from claver.errors import ClaverError
from claver.models import Claver, load
from claver.training.initialization import with_temporal
from claver.training.recipe import Recipe
from claver.training.tasks import Task, find_task


def build(recipe: Recipe, progress: Progress, device: torch.device) -> tuple[Claver, Task]:
    """The model at its start, on a device, and what it is to learn.

    Everything that the recipe names is looked for before anything is computed.

    Raises:
        ClaverError: a file that is not there, weights that do not fit, or nothing to start from.
    """
    return find_task(recipe.task).build(recipe, progress, device)


def begin(recipe: Recipe) -> Claver:
    """The model at its start, but for the scale of a new temporal tower, which depends on data; errors as `build`."""
    return find_task(recipe.task).begin(recipe)


def load_start(recipe: Recipe) -> Claver | None:
    """What `init_from` names: weights only, whatever else the run they are from has kept; None if it names nothing.

    Raises:
        ClaverError: weights that cannot be read or do not fit.
    """
    if recipe.init_from is None:
        return None
    temporal = recipe.temporal
    model = load(recipe.init_from, temporal=temporal.kind, frames=temporal.frames)
    layers = model.config.temporal.layers
    if not model.temporal.does_nothing and temporal.layers not in (None, layers):
        raise ClaverError(f"temporal.layers is {temporal.layers}, but {recipe.init_from} was trained with {layers}")
    return model


def with_tower(start: Claver, recipe: Recipe, token_scale: float) -> Claver:
    """The model with a new temporal tower as the recipe has it, unless its own has learned something.

    Args:
        start: what training starts from.
        recipe: its section `temporal` and its seed are used.
        token_scale: root mean square of the image tokens.
    """
    if start.temporal.does_nothing:  # so it is where the weights had no tower
        return with_temporal(start, recipe.temporal, token_scale=token_scale, seed=recipe.seed)
    return start
