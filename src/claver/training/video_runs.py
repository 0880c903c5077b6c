"""Runs of the task `videos`: the model they start from, how it is built with its task, and what a dry run tells."""

from __future__ import annotations

import torch
from rich.progress import Progress

from claver.errors import ClaverError
from claver.models import Claver
from claver.training.build import load_start, with_tower
from claver.training.recipe import Recipe, Videos
from claver.training.tasks import Preview, Task, TaskDefinition
from claver.training.videos import VideosTask, check_cacheable, check_files, make_task


def begin_videos(recipe: Recipe) -> Claver:
    """What `init_from` names, with a new temporal tower unless its own has learned something.

    Raises:
        ClaverError: nothing to start from, or weights that do not fit.
    """
    return with_tower(_start(recipe), recipe, 1.0)


def build_videos(recipe: Recipe, progress: Progress, device: torch.device) -> tuple[Claver, Task]:
    """The model at its start, on a device, and its videos.

    Raises:
        ClaverError: as `begin_videos` and `make_task`.
    """
    assert recipe.videos is not None
    check_files(recipe.videos)
    start = _start(recipe)
    start.to(device)
    model = with_tower(start, recipe, _token_scale(start)).to(device)
    if not recipe.videos.cache:
        return model, make_task(recipe, model)
    bar = progress.add_task("image tokens", total=None, note="", visible=False)  # shown if any clip is left to encode

    def encoded(row: int, total: int) -> None:
        progress.update(bar, advance=1, total=total, visible=True)

    return model, make_task(recipe, model, on_cached=encoded)


def preview_videos(recipe: Recipe, model: Claver) -> Preview:
    """Clips, actions and texts, with no token cached."""
    assert recipe.videos is not None
    views = 1
    if recipe.videos.cache:
        check_cacheable(recipe)
        views = recipe.videos.cache_views
        recipe = recipe.model_copy(update={"videos": recipe.videos.model_copy(update={"cache": None})})
    task = make_task(recipe, model)
    assert isinstance(task, VideosTask)
    held_out = "none" if task.test is None else str(len(task.test.paths))
    names, texts = task.actions.names, sum(map(len, task.actions.texts))
    clips = f"data    {len(task)} clips for training, {held_out} for testing"
    return Preview(len(task) * views, [clips, f"actions {len(names)}, with {texts} texts"], task.learned(model))


def _start(recipe: Recipe) -> Claver:
    if (start := load_start(recipe)) is None:
        raise ClaverError("the recipe says nothing to start from: give init_from, such as openai/clip-vit-base-patch16")
    return start


@torch.no_grad()
def _token_scale(model: Claver) -> float:
    """Root mean square of the image tokens, here of two frames of noise."""
    size = model.config.image.size
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    return model.image(noise.to(model.device)).float().square().mean().sqrt().item()


VIDEOS = TaskDefinition(Videos, begin_videos, build_videos, preview_videos, key="videos", compares=True)
