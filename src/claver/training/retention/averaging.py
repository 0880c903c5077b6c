"""The mean of the weights at the ends of epochs: between what training began with and where it went, and often better.

Stochastic weight averaging (Izmailov et al. 2018), as the zero-shot methods that build on CLIP have it (Open-VCLIP,
Weng et al. 2023; FROSTER, Huang et al. 2024): at the end of each epoch from a chosen one on,
`mean_n = mean_{n−1} + (weights − mean_{n−1}) / n`. `claver blend` then goes part of the way back to the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from claver.errors import CheckpointError
from claver.models.checkpoint.folder import AVERAGE_FOLDER
from claver.training.ema import Averages

_COUNT = "count"


class EpochAverage(Averages):
    """The mean of the weights at chosen steps; the weights themselves until the first of these.

    Args:
        model: as of every kind.
        counts: whether the weights after so many steps are taken in.
    """

    folder = AVERAGE_FOLDER

    def __init__(self, model: nn.Module, counts: Callable[[int], bool]) -> None:
        super().__init__(model)
        self._counts = counts
        self.count = 0

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimiser step number `step`, counted from 0, if they count."""
        if not self._counts(step + 1):
            return
        self.count += 1
        for name, mean in self._means.items():
            mean.lerp_(self._parameters[name], 1 / self.count)  # the first replaces what was there, exactly

    def has_by(self, steps: int) -> bool:
        """Whether the weights after any of so many steps count."""
        return any(self._counts(done) for done in range(1, steps + 1))

    def _averaged(self, own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return self._means if self.count else own

    def tensors(self) -> dict[str, Tensor]:
        """The means under the names of the parameters, on the CPU, and of how many weights they are."""
        return super().tensors() | {_COUNT: torch.tensor(self.count)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Resume from saved means; errors as of every kind."""
        kept = dict(tensors)
        count = kept.pop(_COUNT, None)
        if count is None:
            raise CheckpointError("its averaged weights do not say how many they are of")
        super().restore(kept)
        self.count = int(count)
