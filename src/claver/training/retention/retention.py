"""What a run does so that the model keeps what it knew, in one place for the engine: loss, gradients, what is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import numpy as np
from torch import Tensor, nn

from claver.errors import ClaverError
from claver.models import Claver
from claver.training.recipe import Recipe
from claver.training.retention.feature import FeatureDistillation
from claver.training.retention.interpolation import Interpolation
from claver.training.retention.relational import RelationalDistillation
from claver.training.retention.settings import Distill
from claver.training.retention.teacher import Distillation
from claver.training.samples import Sampled, Samples
from claver.training.sampling import Rows, chance_at
from claver.training.tasks import Task

_DIRECTIONS = 3  # of a step's random numbers: 1 is the task's, 2 those of interpolation


class Retention:
    """Distillation and interpolation, as far as a recipe has them; else the task's own loss and nothing more.

    Args:
        model: at its start, on its device, before any adapters, with what does not learn frozen.
        recipe: its keys `distill` and `interpolate`.
    """

    def __init__(self, model: Claver, recipe: Recipe) -> None:
        self._seed = recipe.seed
        self.distillation = None if recipe.distill is None else _distillation(model, recipe.distill, recipe.seed)
        self.interpolation = None
        if recipe.interpolate is not None:
            self.interpolation = Interpolation(model, recipe.interpolate, recipe.seed)

    def accumulate(
        self,
        model: Claver,
        task: Task,
        rows: Rows,
        rng: np.random.Generator,
        *,
        step: int,
        parts: float,
        autocast: Callable[[], AbstractContextManager[object]],
        backward: Callable[[Tensor], None],
    ) -> Tensor:
        """The loss of some samples of a step, divided by `parts`, whose gradients are added to those there are.

        Raises:
            ClaverError: the task gives no samples, though its definition says that it compares.
        """
        if self.distillation is None and self.interpolation is None:
            with autocast():
                loss = task.loss(model, rows, rng) / parts
            backward(loss)
            return loss.detach()
        if not isinstance(task, Sampled):
            raise ClaverError(
                "distill and interpolate need a task with a method samples, as of claver.training.samples"
            )
        with autocast():
            samples = task.samples(model, rows, rng)
            loss = self._loss(model, samples, step) / parts
        backward(loss)
        if self.interpolation is None:
            return loss.detach()
        with self.interpolation.applied(self.interpolation.share_at(step)):
            with autocast():
                between = self.interpolation.settings.weight * samples.loss(model) / parts
            backward(between)
        return loss.detach() + between.detach()

    def _loss(self, model: Claver, samples: Samples, step: int) -> Tensor:
        if self.distillation is None:
            return samples.loss(model)
        return self.distillation.loss(model, samples, chance_at(step, self._seed, _DIRECTIONS))

    def after_step(self, model: Claver) -> None:
        """Called when the optimiser has made a step."""
        if self.distillation is not None:
            self.distillation.after_step(model)

    def parameters(self) -> dict[str, nn.Parameter]:
        """What learns beside the model, by names that no parameter of it has."""
        found = {} if self.distillation is None else self.distillation.projections()
        return {f"distill.{name}": p for name, p in found.items()}

    def share_start(self) -> None:
        """Give every process the first one's values."""
        for part in (self.distillation, self.interpolation):
            if part is not None:
                part.share_start()

    def tensors(self) -> dict[str, Tensor]:
        """All that a run needs to be resumed, on the CPU; nothing where nothing is asked for."""
        kept = {} if self.distillation is None else self.distillation.kept()
        found = {f"distill.{name}": value.cpu().contiguous() for name, value in kept.items()}
        start = {} if self.interpolation is None else self.interpolation.tensors()
        return found | {f"start.{name}": value for name, value in start.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Resume from what `tensors` gave.

        Raises:
            CheckpointError: it is of other parameters.
        """
        for prefix, part in (("distill.", self.distillation), ("start.", self.interpolation)):
            if part is not None:
                part.restore({n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)})


def named(model: Claver, retention: Retention | None) -> dict[str, nn.Parameter]:
    """All parameters of a run by name: the model's, and what learns beside it."""
    return dict(model.named_parameters()) | ({} if retention is None else retention.parameters())


def _distillation(model: Claver, settings: Distill, seed: int) -> Distillation:
    kinds = {"relational": RelationalDistillation, "feature": FeatureDistillation}
    made: Distillation = kinds[settings.kind](model, settings, seed)
    return made.to(model.device)
