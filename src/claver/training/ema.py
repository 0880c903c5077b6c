"""Averages of the weights that learn, which often do better than the weights themselves; here a running mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from claver.errors import CheckpointError
from claver.models.checkpoint.folder import EMA_FOLDER

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_RAMP = 10  # steps that soon forget where the run began


class Averages(ABC):
    """Averaged weights beside those that learn.

    Args:
        model: its parameters that learn are averaged, from their values now on, and the means and variances of batch
            norms: averaged weights do not fit those of the last step.

    Attributes:
        folder: within a checkpoint, of the model with the averages; their tensors are in a file of that name.
    """

    folder: str

    def __init__(self, model: nn.Module) -> None:
        self._statistics = _norm_statistics(model)
        learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._parameters: dict[str, Tensor] = {**learning, **self._statistics}
        self._means = {name: p.detach().clone() for name, p in self._parameters.items()}

    @abstractmethod
    def update(self, step: int) -> None:
        """Take in the weights after optimiser step number `step`, counted from 0."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights within this context, and its own again after it, however it ends."""
        own = {name: parameter.data for name, parameter in self._parameters.items()}
        try:
            self._put(self._averaged(own))
            yield
        finally:
            self._put(own)

    def has_by(self, steps: int) -> bool:
        """Whether there are averages once so many optimiser steps are done."""
        return True

    def _averaged(self, own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The averages; `own` where there are none yet."""
        return self._means

    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.data = values[name]

    def tensors(self) -> dict[str, Tensor]:
        """The averages under the names of the parameters, on the CPU, and whatever else resuming needs."""
        return {name: mean.detach().cpu().contiguous() for name, mean in self._means.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Resume from saved averages.

        Raises:
            CheckpointError: they are of other parameters.
        """
        if tensors.keys() | self._statistics.keys() != self._means.keys():
            raise CheckpointError("its averaged weights are of other parameters")
        for name, mean in self._means.items():
            mean.copy_(tensors.get(name, self._parameters[name]))  # checkpoints of before have no statistics


def _norm_statistics(model: nn.Module) -> dict[str, Tensor]:
    """Means and variances of the batch norms, by their names in the model; they move wherever a tower learns."""
    norms = [(name, module) for name, module in model.named_modules() if isinstance(module, _BATCH_NORMS)]
    return {
        f"{name}.{key}".removeprefix("."): value
        for name, norm in norms
        for key, value in norm.named_buffers()
        if value.is_floating_point()
    }


class Ema(Averages):
    """Exponential moving average: `mean ← d·mean + (1 − d)·weights` after each step.

    In the first steps d is (1 + step) / (10 + step), if that is less: the starting point is soon forgotten.

    Args:
        model: as of every kind.
        decay: d, such as 0.999.
    """

    folder = EMA_FOLDER

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimiser step number `step`, counted from 0."""
        decay = min(self.decay, (1 + step) / (_RAMP + step))
        for name, mean in self._means.items():
            mean.lerp_(self._parameters[name], 1 - decay)
