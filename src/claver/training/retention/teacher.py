"""Distillation from what a model was: a teacher that does not learn, projections that do, and the loss of both."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from claver.distributed import rank_and_size
from claver.errors import CheckpointError
from claver.models import Claver
from claver.models.temporal import TemporalTower
from claver.training.samples import Samples


class Distillation(nn.Module, ABC):
    """A loss beside the labels' that only training knows: no model that is saved has anything of it.

    Attributes:
        teacher: the model at the start; it shares the memory of what does not learn.
        weight: of the teacher's part of the loss.
    """

    def __init__(self, teacher: Claver, student: Claver, weight: float) -> None:
        super().__init__()
        self.teacher, self.weight = teacher, weight
        shared = set(map(id, student.parameters()))
        self._own = {name for name, p in teacher.named_parameters() if id(p) not in shared}

    @abstractmethod
    def loss(self, model: Claver, samples: Samples, rng: np.random.Generator) -> Tensor:
        """The whole loss of some samples, that of the labels included; `rng` is the same for all parts of a step."""

    def after_step(self, model: Claver) -> None:
        """Called when the optimiser has made a step."""

    def projections(self) -> dict[str, nn.Parameter]:
        """What learns here, by name."""
        return {name: p for name, p in self.named_parameters() if not name.startswith("teacher.")}

    def kept(self) -> dict[str, Tensor]:
        """All that a run needs to be resumed: projections, and the teacher's own weights."""
        own = {f"teacher.{name}": p for name, p in self.teacher.named_parameters() if name in self._own}
        return {name: p.detach() for name, p in (self.projections() | own).items()}

    def share_start(self) -> None:
        """Give every process the first one's values."""
        if rank_and_size()[1] > 1:
            for value in self.kept().values():
                torch.distributed.broadcast(value, 0)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Resume from what was kept.

        Raises:
            CheckpointError: it is of other parameters.
        """
        kept = self.kept()
        if tensors.keys() != kept.keys():
            odd = sorted(tensors.keys() ^ kept.keys())[0]
            raise CheckpointError(f"what its distillation needs is of other parameters, such as {odd!r}")
        for name, value in kept.items():
            value.copy_(tensors[name])


def teacher_of(model: Claver, *, is_clip: bool) -> Claver:
    """A copy that never learns, and shares the memory of what in the model does not.

    Args:
        model: at its start, before any adapters.
        is_clip: whether it has no temporal tower, only the mean over frames: what the other towers knew before. Else it
            has that of the model; where the model's blocks do nothing yet, its time embedding is zero, so that it
            begins as CLIP whatever the model's embedding begins as.
    """
    shared = {id(p): p for p in model.parameters() if not p.requires_grad}
    twin: Claver = copy.deepcopy(model, {id(model.tokenizer): model.tokenizer, **shared})
    if is_clip:
        twin.config = model.config.with_temporal("mean")
        twin.temporal = TemporalTower(twin.config)
    elif twin.temporal.mask is not None and twin.temporal.does_nothing:
        twin.temporal.embedding = nn.Parameter(torch.zeros_like(twin.temporal.embedding))
    return twin.requires_grad_(False).eval()


def projection(outputs: int, inputs: int, generator: torch.Generator | None) -> nn.Parameter:
    """A matrix [outputs, inputs] that keeps the size of vectors; zeros without a generator."""
    matrix = torch.zeros(outputs, inputs)
    return nn.Parameter(matrix if generator is None else matrix.normal_(std=inputs**-0.5, generator=generator))
