"""Models without values: every shape, and no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

M = TypeVar("M")
_uninitialized: ContextVar[bool] = ContextVar("uninitialized", default=False)


@contextmanager
def uninitialized() -> Iterator[None]:
    """Within this context models get no values: random numbers cost seconds, and whatever is loaded replaces them."""
    token = _uninitialized.set(True)
    try:
        with _NoInitialization():
            yield
    finally:
        _uninitialized.reset(token)


def is_uninitialized() -> bool:
    """Whether models get no values, for libraries that have ways of their own to give them."""
    return _uninitialized.get()


def without_values(make: Callable[[], M]) -> M:
    """What `make` makes, on the meta device."""
    with torch.device("meta"), uninitialized():
        return make()


class _NoInitialization(TorchFunctionMode):
    """Leaves out what `torch.nn.init` does."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        return func(*args, **(kwargs or {}))
