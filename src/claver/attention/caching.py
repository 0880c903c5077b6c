"""A cache of tensors that may outlive the mode they were first asked for in."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar, cast

import torch

P = ParamSpec("P")
R = TypeVar("R")


def cached(maxsize: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """`lru_cache` for functions that make tensors: never inference tensors, which a later backward could not save."""

    def decorate(make: Callable[P, R]) -> Callable[P, R]:
        @lru_cache(maxsize=maxsize)
        @wraps(make)
        def lasting(*arguments: P.args, **settings: P.kwargs) -> R:
            with torch.inference_mode(False):
                return make(*arguments, **settings)

        return cast(Callable[P, R], lasting)

    return decorate
