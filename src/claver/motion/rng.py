"""Random numbers of the motion dataset: each clip draws from a key of its own, all clips of a batch at once.

A generator object per clip is slow; one generator per batch would make a clip depend on its neighbours. So every number
is a hash of (key of the clip, how many were drawn before it), vectorised over the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from claver.errors import ClaverError
from claver.suggest import hint_or_some

SPLITS = ("train", "validation", "test")

_WEYL = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, made odd: consecutive multiples spread evenly


class ClipRng:
    """A stream of random numbers for each of B clips; what a clip draws never depends on which clips are beside it."""

    def __init__(self, keys_B: NDArray[np.uint64]) -> None:
        self.keys_B = keys_B
        self._drawn = 0

    def uniform(self, low: float, high: float, count: int = 1) -> NDArray[np.float64]:
        """Numbers [B, count] uniform in [low, high)."""
        position = np.arange(self._drawn + 1, self._drawn + count + 1, dtype=np.uint64) * _WEYL
        self._drawn += count
        bits = _mix(self.keys_B[:, None] + position) >> np.uint64(11)
        return low + (high - low) * (bits.astype(np.float64) * 2.0**-53)

    def pick(self, choices: int) -> NDArray[np.int64]:
        """Whole numbers [B] uniform in 0 .. choices − 1."""
        return self.uniform(0, choices)[:, 0].astype(np.int64)

    def fork(self, rows: NDArray[np.int64]) -> ClipRng:
        """An independent stream for some of the clips: what is drawn from it moves nothing in this one."""
        return ClipRng(_mix(self.keys_B[rows] ^ _WEYL))


def rng_for(purpose: str, seed: int, split: str, numbers_B: NDArray[np.int64]) -> ClipRng:
    """The streams of some scenes of a split. The hash is one-to-one: with one purpose and seed, splits share no key."""
    entropy = [abs(seed), int(seed < 0), *purpose.encode()]
    base = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    offset = np.uint64(one_of("split", split, SPLITS) << 48)
    return ClipRng(_mix(base + (offset + numbers_B.astype(np.uint64))))


def one_of(what: str, name: str, allowed: Sequence[str]) -> int:
    """The position of `name` among the allowed ones, or a ClaverError that names the nearest."""
    if name in allowed:
        return allowed.index(name)
    raise ClaverError(f"there is no {what} {name!r}{hint_or_some(str(name), allowed, len(allowed))}")


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A one-to-one scramble of 64 bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
