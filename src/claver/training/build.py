"""From a recipe to the model it starts from and the task it sets."""

from __future__ import annotations

import torch
from rich.progress import Progress

from claver.errors import ClaverError
from claver.models import Claver, load
from claver.motion.tasks import cache_clips, clips_task, model_for_motion, stills_task
from claver.training.engine import Task
from claver.training.initialization import with_temporal
from claver.training.recipe import Recipe


def build(recipe: Recipe, progress: Progress, device: torch.device) -> tuple[Claver, Task]:
    """The model at its start, on a device, and what it is to learn.

    Everything that the recipe names is looked for before anything is computed.

    Raises:
        ClaverError: a file that is not there, weights that do not fit, or nothing to start from.
    """
    if recipe.videos is not None:
        return _build_videos(recipe, progress, device)
    start = _start(recipe) or model_for_motion(recipe)
    start.to(device)
    if recipe.task == "stills":
        return start, stills_task(recipe, start.config.image.size)
    tokens_of = with_temporal(start, recipe.temporal, token_scale=1.0, seed=0)  # all tokens, whatever start's tower
    clips = cache_clips(tokens_of.to(device), recipe, progress)
    model = _with_tower(start, recipe, clips[0].scale())
    return model, clips_task(recipe, model, clips)


def begin(recipe: Recipe) -> Claver:
    """The model at its start, but for the scale of a new temporal tower, which depends on data; errors as `build`."""
    start = _start(recipe)
    if start is None and recipe.videos is not None:
        raise _nothing_to_start_from()
    start = start or model_for_motion(recipe)
    return start if recipe.task == "stills" else _with_tower(start, recipe, 1.0)


def _nothing_to_start_from() -> ClaverError:
    return ClaverError("the recipe says nothing to start from: give init_from, such as openai/clip-vit-base-patch16")


def _build_videos(recipe: Recipe, progress: Progress, device: torch.device) -> tuple[Claver, Task]:
    from claver.training.videos import check_files, make_task

    assert recipe.videos is not None
    check_files(recipe.videos)
    start = _start(recipe)
    if start is None:
        raise _nothing_to_start_from()
    start.to(device)
    model = _with_tower(start, recipe, _token_scale(start)).to(device)
    if not recipe.videos.cache:
        return model, make_task(recipe, model)
    bar = progress.add_task("image tokens", total=None, note="", visible=False)  # shown if any clip is left to encode

    def encoded(row: int, total: int) -> None:
        progress.update(bar, advance=1, total=total, visible=True)

    return model, make_task(recipe, model, on_cached=encoded)


def _start(recipe: Recipe) -> Claver | None:
    """What `init_from` names: weights only, whatever else the run they are from has kept."""
    if recipe.init_from is None:
        return None
    temporal = recipe.temporal
    model = load(recipe.init_from, temporal=temporal.kind, frames=temporal.frames)
    layers = model.config.temporal.layers
    if not _is_new(model) and temporal.layers not in (None, layers):
        raise ClaverError(f"temporal.layers is {temporal.layers}, but {recipe.init_from} was trained with {layers}")
    return model


def _with_tower(start: Claver, recipe: Recipe, token_scale: float) -> Claver:
    """The model with a new temporal tower as the recipe has it, unless its own has learned something."""
    if _is_new(start):
        return with_temporal(start, recipe.temporal, token_scale=token_scale, seed=recipe.seed)
    return start


def _is_new(model: Claver) -> bool:
    """Whether the temporal tower does nothing: so it is where the weights had none."""
    outputs = [getattr(block, name).weight for block in model.temporal.blocks for name in ("out", "down")]
    return not any(bool(weight.any()) for weight in outputs)


@torch.no_grad()
def _token_scale(model: Claver) -> float:
    """Root mean square of the image tokens, here of two frames of noise."""
    size = model.config.image.size
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    return model.image(noise.to(model.device)).float().square().mean().sqrt().item()
