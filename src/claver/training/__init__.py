"""Training: recipe, optimiser groups, tasks, engine and checkpoints."""

from claver.training.engine import Trainer, TrainingError
from claver.training.recipe import Recipe, load_recipe
from claver.training.recipe_file import find_recipe

__all__ = ["Recipe", "Trainer", "TrainingError", "find_recipe", "load_recipe"]
