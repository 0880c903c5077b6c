"""Verbs that no model here is trained on: what zero-shot recognition is tried on, in time-reversed pairs as well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from claver.motion.rng import ClipRng
from claver.motion.verbs import Pose, Verb, orbit, travel, verb_pair

_ZIGZAGS = 1.5  # ups and downs on the way across


def _rises_right(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    return Pose(x=travel(u, rng), y=1 - travel(u, rng))


def _rises_left(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    return Pose(x=1 - travel(u, rng), y=1 - travel(u, rng))


def _zigzags(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    first_up = 1 - 2 * rng.pick(2)[:, None]
    wave = 2 / np.pi * np.arcsin(np.sin(2 * np.pi * _ZIGZAGS * u))  # a triangle between −1 and 1
    return Pose(x=travel(u, rng), y=0.5 + first_up * rng.uniform(0.2, 0.25) * wave)


def _spirals(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    """Either way round, so that only the growing circle is always there."""
    round_ = orbit(u, rng, 0.04 + 0.28 * u)
    return Pose(x=np.where(rng.pick(2)[:, None] == 1, round_.x, 1 - np.asarray(round_.x)), y=round_.y)


def _grows_right(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    return Pose(x=travel(u, rng), y=rng.uniform(0.28, 0.72), scale=rng.uniform(3.5, 4.5) ** (u - 0.5))


def _rises_into_view(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    return Pose(x=rng.uniform(0.28, 0.72), y=1 - travel(u, rng), opacity=u)


# What they are made of occurs in the verbs of training, what they are made to does not. In pairs, as `motion.VERBS`.
UNSEEN_VERBS: tuple[Verb, ...] = (
    *verb_pair(("rises to the right",), ("sinks to the left",), _rises_right),
    *verb_pair(("rises to the left",), ("sinks to the right",), _rises_left),
    *verb_pair(("zigzags to the right",), ("zigzags to the left",), _zigzags),
    *verb_pair(("spirals outwards",), ("spirals inwards",), _spirals),
    *verb_pair(("grows to the right",), ("shrinks to the left",), _grows_right, changes_size=True),
    *verb_pair(("rises into view",), ("sinks out of view",), _rises_into_view),
)
