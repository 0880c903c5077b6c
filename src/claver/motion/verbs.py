"""The verbs of the motion dataset: how a shape moves, as functions of normalised time, in time-reversed pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from claver.motion.rng import ClipRng, one_of

Number = float | NDArray[np.float64]
_TURN = 2 * np.pi


@dataclass(frozen=True)
class Pose:
    """Where and how a shape is: arrays that broadcast to [B, T]; lengths in frame sides, y downwards."""

    x: Number = 0.5
    y: Number = 0.5
    scale: Number = 1.0  # times the shape's own size
    angle: Number = 0.0  # radians, clockwise, added to the shape's own tilt
    opacity: Number = 1.0


# Time u [T] in (0, 1) and the clips' random numbers → their poses.
Path = Callable[[NDArray[np.float64], ClipRng], Pose]


@dataclass(frozen=True)
class Verb:
    """One class of the dataset. A verb and its `reverse` share a path; one of the two runs it backwards."""

    name: str
    reverse: str
    path: Path = field(repr=False)
    backwards: bool = False
    phrases: tuple[str, ...] = ()  # further ways to say it, third person
    changes_size: bool = False  # then no caption calls the shape small or large


def verb_pair(
    forwards: Sequence[str], backwards: Sequence[str], path: Path, *, changes_size: bool = False
) -> tuple[Verb, Verb]:
    """The verb that follows `path` and the one that runs it backwards, each given as its name and further phrasings."""
    (name, *more), (reverse, *more_reverse) = forwards, backwards
    return (
        Verb(name, reverse, path, phrases=tuple(more), changes_size=changes_size),
        Verb(reverse, name, path, backwards=True, phrases=tuple(more_reverse), changes_size=changes_size),
    )


def travel(u: NDArray[np.float64], rng: ClipRng) -> NDArray[np.float64]:
    """A coordinate [B, T] that grows steadily by 0.5 to 0.65 frame sides, about the middle of the frame."""
    return rng.uniform(0.46, 0.54) + rng.uniform(0.5, 0.65) * (u - 0.5)


def aside(rng: ClipRng) -> NDArray[np.float64]:
    """A coordinate [B, 1] that stays: anywhere a shape is seen whole."""
    return rng.uniform(0.28, 0.72)


def orbit(u: NDArray[np.float64], rng: ClipRng, radius: Number) -> Pose:
    """About one clockwise turn around the middle of the frame, from anywhere on the circle."""
    phase = _TURN * (rng.uniform(0, 1) + rng.uniform(0.85, 1.15) * u)
    return Pose(x=0.5 + radius * np.cos(phase), y=0.5 + radius * np.sin(phase))


def _slides(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    return Pose(x=travel(u, rng), y=aside(rng))


def _rises(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    return Pose(x=aside(rng), y=1 - travel(u, rng))


def _grows(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    factor = rng.uniform(3.5, 4.5)  # from first to last instant; geometric, so that it looks steady
    return Pose(x=aside(rng), y=aside(rng), scale=factor ** (u - 0.5))


def _spins(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    turned = _TURN * (rng.uniform(0, 1) + rng.uniform(0.85, 1.15) * u)
    return Pose(x=aside(rng), y=aside(rng), angle=turned)


def _circles(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    return orbit(u, rng, rng.uniform(0.22, 0.28))


def _appears(u: NDArray[np.float64], rng: ClipRng) -> Pose:
    return Pose(x=aside(rng), y=aside(rng), opacity=u)


# In pairs: verb 2k and verb 2k + 1 are each other's reverse.
VERBS: tuple[Verb, ...] = (
    *verb_pair(
        ("moves right", "slides to the right", "travels from left to right"),
        ("moves left", "slides to the left", "travels from right to left"),
        _slides,
    ),
    *verb_pair(("rises", "moves up", "goes upwards"), ("sinks", "moves down", "goes downwards"), _rises),
    *verb_pair(
        ("grows", "gets bigger", "becomes larger"),
        ("shrinks", "gets smaller", "becomes smaller"),
        _grows,
        changes_size=True,
    ),
    *verb_pair(
        ("spins clockwise", "turns clockwise on the spot", "rotates clockwise"),
        ("spins counter-clockwise", "turns counter-clockwise on the spot", "rotates counter-clockwise"),
        _spins,
    ),
    *verb_pair(
        ("circles clockwise", "goes round clockwise", "runs in a clockwise circle"),
        ("circles counter-clockwise", "goes round counter-clockwise", "runs in a counter-clockwise circle"),
        _circles,
    ),
    *verb_pair(("appears", "fades in", "becomes visible"), ("vanishes", "fades out", "disappears"), _appears),
)


def verb_names(verbs: Sequence[Verb] = VERBS) -> tuple[str, ...]:
    """The class names, in the order of the labels."""
    return tuple(verb.name for verb in verbs)


def find_verbs(verbs: Sequence[Verb | str]) -> tuple[Verb, ...]:
    """Verbs given as such or by name; a name that is none is answered with the nearest right one."""
    return tuple(v if isinstance(v, Verb) else VERBS[one_of("verb", v, verb_names())] for v in verbs)


def leaders(verbs: Sequence[Verb]) -> NDArray[np.int64]:
    """For each verb the position of the first of its pair: the two share their scenes."""
    names = verb_names(verbs)
    pairs = [(i, names.index(v.reverse) if v.reverse in names else i) for i, v in enumerate(verbs)]
    return np.array([min(pair) for pair in pairs], dtype=np.int64)
