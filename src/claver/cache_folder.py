"""Where caches are kept."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT = "CLAVER_CACHE"


def usual_place(what: str) -> Path | None:
    """The place of a cache, in `~/.cache/claver` or `CLAVER_CACHE`; None if that is set to nothing.

    None as well where there is no home, as for a user of a container whom nobody knows.
    """
    folder = os.environ.get(ENVIRONMENT)
    if folder == "":
        return None
    try:
        return (Path(folder) if folder else Path("~/.cache/claver")).expanduser() / what
    except RuntimeError:
        return None
