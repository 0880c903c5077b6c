"""A lever on memory that leaves the mathematics alone: activation checkpointing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from claver.models.block import Block
from claver.models.hosting import HostedLayer


@contextmanager
def recomputed_blocks(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Within this context the blocks of all towers keep their inputs only and compute the rest anew when going back.

    Memory for activations falls to about a tenth for a third more computation; gradients are the same to the bit.
    """
    blocks = [module for module in model.modules() if isinstance(module, Block | HostedLayer)] if wanted else []
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for block in blocks:
            del block.forward  # the instance's; the class's is back
