"""The logger `claver`, and warnings that are logged once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from claver.moved import renamed

logger = logging.getLogger("claver")


class _WarnOnce:
    """Logs a warning the first time it comes up in this process: a setting that is bent to fit, a file made again."""

    def __init__(self) -> None:
        self._log = lru_cache(maxsize=256)(logger.warning)
        self._other: ContextVar[tuple[str, str] | None] = ContextVar("other", default=None)

    def __call__(self, message: str) -> None:
        start, other = self._other.get() or (message, message)
        self._log(other if message.startswith(start) else message)

    @contextmanager
    def put_as(self, start: str, message: str) -> Iterator[None]:
        """Within it, warnings that begin so are this one, which sums up what would be a line each."""
        token = self._other.set((start, message))
        try:
            yield
        finally:
            self._other.reset(token)

    def cache_clear(self) -> None:
        """Forget what was logged."""
        self._log.cache_clear()


warn_once = _WarnOnce()


def __getattr__(name: str) -> Any:
    return renamed(__name__, name)
