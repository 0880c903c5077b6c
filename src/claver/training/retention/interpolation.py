"""A second loss of weights between the start and those that learn, so that all of the way between is good.

Open-VCLIP (Weng et al. 2023), with θ_CLIP the weights at the start and θ those that learn:

    α ~ U(0, 0.6),  θ′ = α·θ_CLIP + (1 − α)·θ,  L = CE(θ) + 0.5·CE(θ′)

The gradient of CE(θ′) with respect to θ is 1 − α times that with respect to θ′: θ′ takes the place of θ while it is
computed, forwards and backwards, and no graph leads through the sum. The temporal tower, which CLIP does not have,
stays as it is in θ′, and has its whole gradient, as in `claver blend`, which goes the same way after training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from claver.distributed import rank_and_size
from claver.errors import CheckpointError, ClaverError
from claver.training.retention.settings import Interpolate
from claver.training.sampling import chance_at

_STREAM = 2  # of a step's random numbers


class Interpolation:
    """The weights at the start, and the way to them.

    Args:
        model: what learns, as it is at the start.
        settings: how far back, and the weight of the second loss.
        seed: of the run.

    Raises:
        ClaverError: nothing but the temporal tower learns.
    """

    def __init__(self, model: nn.Module, settings: Interpolate, seed: int) -> None:
        self.settings, self._seed = settings, seed
        self._parameters = {
            name: p for name, p in model.named_parameters() if p.requires_grad and not name.startswith("temporal.")
        }
        if not self._parameters.keys() - {"logit_scale", "logit_bias"}:
            raise ClaverError("interpolate has nothing to go back with: freeze leaves only the temporal tower to learn")
        self._start = {name: p.detach().clone() for name, p in self._parameters.items()}

    def share_at(self, step: int) -> float:
        """α of a step, the same in all processes."""
        return float(chance_at(step, self._seed, _STREAM).uniform(0, self.settings.up_to))

    @contextmanager
    def applied(self, share: float) -> Iterator[None]:
        """The model has the weights θ′ of α = `share` within this context, where gradients must be taken too.

        They are those with respect to θ.
        """
        own = {name: parameter.data for name, parameter in self._parameters.items()}
        hooks = [parameter.register_hook(lambda grad: grad * (1 - share)) for parameter in self._parameters.values()]
        try:
            for name, parameter in self._parameters.items():
                parameter.data = torch.lerp(own[name], self._start[name], share)
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for name, parameter in self._parameters.items():
                parameter.data = own[name]

    def share_start(self) -> None:
        """Give every process the first one's start."""
        if rank_and_size()[1] > 1:
            for value in self._start.values():
                torch.distributed.broadcast(value, 0)

    def tensors(self) -> dict[str, Tensor]:
        """The start under the names of the parameters, on the CPU."""
        return {name: value.cpu().contiguous() for name, value in self._start.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a saved start.

        Raises:
            CheckpointError: it is of other parameters.
        """
        if tensors.keys() != self._start.keys():
            raise CheckpointError("the start that its weights are interpolated with is of other parameters")
        for name, value in self._start.items():
            value.copy_(tensors[name])
