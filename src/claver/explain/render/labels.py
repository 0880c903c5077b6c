"""Labels that fit: names in lines of bounded length, and places where none lies on another."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from claver.terminal import shown


def wrap(name: str, longest: int) -> list[str]:
    """The whole name in lines of at most so many characters, at least one."""
    name = shown(name)
    return textwrap.wrap(name, longest) or [name.strip()]


def apart(heights: Sequence[float], sizes: Sequence[float], most: float) -> list[float]:
    """Middles of labels of these sizes, none on another and, as far as there is room, none beyond `most`.

    Their order stays.
    """
    placed, half = np.array(heights, dtype=np.float64), np.array(sizes, dtype=np.float64) / 2
    order = np.argsort(placed, kind="stable")
    for before, after in pairwise(order):
        placed[after] = max(placed[after], placed[before] + half[before] + half[after])
    placed[order[-1]] = min(placed[order[-1]], most - half[order[-1]])
    for after, before in pairwise(order[::-1]):
        placed[before] = min(placed[before], placed[after] - half[before] - half[after])
    return [float(height) for height in placed]
