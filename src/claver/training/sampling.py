"""Which samples a step sees, and its random numbers: pure functions of (seed, step), so that resuming is exact."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def batch_at(step: int, *, samples: int, batch_size: int, seed: int) -> Rows:
    """The samples of a step, int64 [batch_size].

    Steps walk through one shuffled epoch after another; every sample comes once per epoch, and a batch that reaches
    the end of an epoch goes on with the next.
    """
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = places // samples
    return np.concatenate([_shuffled(samples, seed, int(e))[places[epochs == e] % samples] for e in np.unique(epochs)])


def chance_at(step: int, seed: int, stream: int = 1) -> np.random.Generator:
    """The random numbers of a step, for whatever it draws besides its samples; other streams are independent."""
    return np.random.default_rng([seed, step, stream])


@lru_cache(maxsize=4)
def _shuffled(samples: int, seed: int, epoch: int) -> Rows:
    return np.random.default_rng([seed, epoch, 0]).permutation(samples)
