"""Things a user should hear of, once: a setting that is bent to fit the input."""

import logging
from functools import lru_cache

logger = logging.getLogger("claver")


@lru_cache(maxsize=256)
def say_once(message: str) -> None:
    """Log a warning the first time it comes up in this process."""
    logger.warning(message)
