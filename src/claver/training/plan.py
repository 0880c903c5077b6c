"""What a run would do, for `--dry-run`: recipe, clips and weights are read, nothing is decoded, computed or written."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from claver.errors import ClaverError
from claver.models import Learned
from claver.training.build import begin
from claver.training.checkpoint import check_same_run, find_checkpoint
from claver.training.lora import add_lora
from claver.training.optim import extra_groups, freeze, groups_table, parameter_groups
from claver.training.recipe import Recipe
from claver.training.retention.retention import Retention
from claver.training.run_folder import results_in
from claver.training.tasks import find_task


def plan(recipe: Recipe, folder: Path, *, resume: bool) -> tuple[list[str], Table]:
    """Sentences on what would be done, and the table of what would learn.

    Raises:
        ClaverError: what the run itself would refuse before its first step.
    """
    model = begin(recipe)
    samples, about, learned = find_task(recipe.task).preview(recipe, model)
    freeze(model, recipe.freeze)
    beside = Retention(model, recipe).parameters()
    if recipe.lora is not None:
        add_lora(model, recipe.lora)
    groups = parameter_groups(model, recipe)
    if not any(group.lr for group in groups):
        raise ClaverError("nothing is left to learn: freeze names every part of the model")
    config, total = model.config, recipe.total_steps(samples)
    measured = sum(recipe.evaluates(step, samples) for step in range(1, total + 1))
    lines = [
        f"model   {recipe.init_from or 'new'}, {config.temporal.kind}, {config.temporal.frames} frames",
        *about,
        f"steps   {total} of {recipe.batch_size} ({total * recipe.batch_size / samples:.3g} epochs), "
        f"{recipe.warmup_steps(samples)} of them to warm up",
        f"saved   {measured} evaluations; a checkpoint {_how_often(recipe)}",
        f"output  {folder}, {_beginning(recipe, folder, learned, resume)}",
    ]
    return lines, groups_table(groups + extra_groups(beside, recipe))


def _how_often(recipe: Recipe) -> str:
    times = [] if recipe.checkpoint_every is None else [f"every {recipe.checkpoint_every} steps"]
    times += [] if recipe.checkpoint_minutes is None else [f"every {recipe.checkpoint_minutes:g} minutes"]
    return " and ".join([*times, "at the end"])


def _beginning(recipe: Recipe, folder: Path, learned: Learned | None, resume: bool) -> str:
    found = find_checkpoint(folder) if resume else None
    if found is not None:
        return f"resuming at step {check_same_run(found, recipe, learned)}"
    return "from the first step" + ("; what is there is moved aside" if results_in(folder) else "")
