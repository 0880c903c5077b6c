"""Training: recipe, optimiser groups, tasks, engine and checkpoints."""

from __future__ import annotations

from claver.training.engine import Trainer, TrainingError
from claver.training.recipe import Recipe, load_recipe
from claver.training.recipe_file import find_recipe
from claver.training.tasks import Preview, Section, Task, TaskDefinition, register_task

__all__ = [
    "Preview",
    "Recipe",
    "Section",
    "Task",
    "TaskDefinition",
    "Trainer",
    "TrainingError",
    "find_recipe",
    "load_recipe",
    "register_task",
]
