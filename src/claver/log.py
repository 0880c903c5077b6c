"""What a user should hear beside results: through the logger `claver`, and what may come up often, once."""

from __future__ import annotations

import logging
from functools import lru_cache

logger = logging.getLogger("claver")


@lru_cache(maxsize=256)
def say_once(message: str) -> None:
    """Log a warning the first time it comes up in this process: a setting that is bent to fit, a file made again."""
    logger.warning(message)
