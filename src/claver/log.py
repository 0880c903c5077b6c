"""The logger `claver`, and warnings that are logged once."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from claver.moved import renamed

logger = logging.getLogger("claver")


@lru_cache(maxsize=256)
def warn_once(message: str) -> None:
    """Log a warning the first time it comes up in this process: a setting that is bent to fit, a file made again."""
    logger.warning(message)


def __getattr__(name: str) -> Any:
    return renamed(__name__, name)
