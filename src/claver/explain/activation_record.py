"""Activation record: transformer blocks replayed last to first, for the gradient of each attention's output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from claver.models.block import Attend, Select


@dataclass(frozen=True, eq=False)
class Step:
    """A block as a tower ran it: its input [..., L, D], its attention, and the tokens it was to compute."""

    block: nn.Module
    x: Tensor
    attend: Attend
    select: Select | None


@dataclass(frozen=True, eq=False)
class Layer:
    """Inputs of an attention and the gradient w.r.t. its output, in the block's layout.

    Attributes:
        q: queries [..., M, H, d].
        k: keys [..., L, H, d].
        v: values [..., L, H, d].
        grad_output: gradient of what is explained w.r.t. the attention's output [..., M, H, d]. Output being A·v, the
            gradient w.r.t. the weights A is `grad_output · vᵀ`, exactly: they need no graph, nor to be stored.
        select: the tokens that had queries; all if None.
        pools: the one query is no token: what it reads comes out before the tokens, which pass unchanged.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    grad_output: Tensor
    select: Select | None
    pools: bool = False


class ActivationRecord:
    """Runs a tower's blocks without a graph and keeps their inputs; `replay` takes them up again, last block first.

    Give it to a tower as `run`, with gradients enabled: what it returns is a leaf, so that `torch.autograd.grad` of
    whatever is computed from the tower's output begins the replay. Stored are the blocks' inputs, and of one block at a
    time all that its backward pass needs.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.output: Tensor

    def __call__(self, block: nn.Module, x: Tensor, attend: Attend, select: Select | None = None) -> Tensor:
        """Run a block as it would run anyway, by its own attention."""
        self.steps.append(Step(block, x.detach(), attend, select))
        with torch.no_grad():
            y = block(x, attend, select)
        self.output = y.requires_grad_()
        return self.output

    def replay(self, target: Tensor) -> Iterator[tuple[Layer, Tensor]]:
        """Each layer, last first, with the gradient of a scalar of the tower's output w.r.t. its block's input."""
        (gradient,) = torch.autograd.grad(target, self.output)
        for step in reversed(self.steps):
            layer, gradient = _replay(step, gradient)
            yield layer, gradient


def _replay(step: Step, gradient: Tensor) -> tuple[Layer, Tensor]:
    seen: list[Tensor] = []

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = step.attend(q, k, v)
        seen.extend((q, k, v, out))
        return out

    x = step.x.requires_grad_()
    y = step.block(x, attend, step.select)
    q, k, v, out = seen
    grad_output, by_input = torch.autograd.grad(y, (out, x), gradient)
    pools = bool(getattr(step.block, "pools", False))
    return Layer(q.detach(), k.detach(), v.detach(), grad_output, step.select, pools), by_input
