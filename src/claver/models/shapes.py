"""Models without values: every shape, and no memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

M = TypeVar("M")


class NoInitialization(TorchFunctionMode):
    """Leaves out what `torch.nn.init` does: random numbers on the meta device cost seconds of imports, for nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """As of every such mode."""
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        return func(*args, **(kwargs or {}))


def without_values(make: Callable[[], M]) -> M:
    """What `make` makes, on the meta device."""
    with torch.device("meta"), NoInitialization():
        return make()
