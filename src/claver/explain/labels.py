"""Labels that fit: names of bounded length, and places where none lies on another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np


def shorten(name: str, longest: int) -> str:
    """A name of at most so many characters."""
    return name if len(name) <= longest else name[: longest - 1] + "…"


def apart(heights: Sequence[float], least: float, most: float) -> list[float]:
    """Heights at least `least` apart and, as far as there is room, not above `most`; their order stays."""
    placed = np.array(heights, dtype=np.float64)
    order = np.argsort(placed, kind="stable")
    for before, after in pairwise(order):
        placed[after] = max(placed[after], placed[before] + least)
    placed[order[-1]] = min(placed[order[-1]], most)
    for after, before in pairwise(order[::-1]):
        placed[before] = min(placed[before], placed[after] - least)
    return [float(height) for height in placed]
