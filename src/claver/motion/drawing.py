"""Drawing for the motion dataset: anti-aliased shapes over smooth textures, many clips at once, at any resolution.

A shape is a signed distance function in its own coordinates: outline within the unit circle, y downwards, 'up' is −y.
Everything is measured in frame sides, so a scene looks the same at 32 and at 512 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from claver.motion.rng import ClipRng

Plane = NDArray[np.floating[Any]]  # float32: half the memory traffic of float64, and far finer than a pixel value

_CACHED_PIXELS = 1 << 17  # as many as stay in a core's second-level cache while a dozen operations pass over them
_TIP_COLOUR, _TIP_FROM = 1.0, 0.35  # white; the height in the shape where it begins
_PERIODS = np.array([0.5, 0.8, 1.2, 1.8, 2.7, 4.0])  # waves of the texture per frame side


def _circle(x: Plane, y: Plane) -> Plane:
    return np.sqrt(x * x + y * y) - np.float32(0.9)


def _square(x: Plane, y: Plane) -> Plane:
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.78)


def _triangle(x: Plane, y: Plane) -> Plane:
    """Equilateral, on its base, apex up."""
    y = y - np.float32(0.12)
    sides = np.abs(x) * np.float32(0.866) - y * np.float32(0.5)
    return np.maximum(sides, y) - np.float32(0.55)


def _star(x: Plane, y: Plane) -> Plane:
    """Five points: fold the plane into the wedge of half a point, where the outline is one straight line."""
    sine, cosine = np.float32(np.sin(np.pi / 5)), np.float32(np.cos(np.pi / 5))
    x, y = np.abs(x), -y
    for _ in range(2):
        beyond = 2 * np.maximum(x * cosine - y * sine, 0)
        x, y = np.abs(x - beyond * cosine), y + beyond * sine
    tip, valley = 1.05, 0.46  # distances of the corners from the centre
    normal = np.array([tip - valley * cosine, valley * sine])
    across, along = (normal / np.hypot(*normal)).astype(np.float32)
    return np.asarray(x * across + (y - np.float32(tip)) * along)


def _cross(x: Plane, y: Plane) -> Plane:
    x, y = np.abs(x), np.abs(y)
    return np.maximum(np.maximum(x, y) - np.float32(0.95), np.minimum(x, y) - np.float32(0.32))


def _ring(x: Plane, y: Plane) -> Plane:
    return np.abs(np.sqrt(x * x + y * y) - np.float32(0.68)) - np.float32(0.25)


def _diamond(x: Plane, y: Plane) -> Plane:
    return np.asarray(np.abs(x) * np.float32(0.857) + np.abs(y) * np.float32(0.514) - np.float32(0.514))


def _heart(x: Plane, y: Plane) -> Plane:
    """Two discs, and below them the wedge between their common tangents to the point (0, 0.95)."""
    x = np.abs(x)
    discs = np.hypot(x - np.float32(0.4), y + np.float32(0.3)) - np.float32(0.52)
    wedge = x * np.float32(0.7536) + y * np.float32(0.6574) - np.float32(0.6245)
    return np.asarray(np.minimum(discs, np.maximum(wedge, np.float32(0.042) - y)))


_OUTLINES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "diamond": _diamond,
    "heart": _heart,
}
_RGB = {
    "red": (0.90, 0.16, 0.15),
    "orange": (1.00, 0.55, 0.08),
    "yellow": (0.99, 0.87, 0.12),
    "green": (0.15, 0.72, 0.25),
    "cyan": (0.15, 0.83, 0.88),
    "blue": (0.14, 0.38, 0.95),
    "purple": (0.60, 0.22, 0.85),
    "pink": (1.00, 0.47, 0.76),
}
SHAPES = tuple(_OUTLINES)
COLOURS = tuple(_RGB)
_PALETTE = np.array(list(_RGB.values()), dtype=np.float32)


@dataclass(frozen=True)
class Scene:
    """B scenes with their shapes at T instants: what is drawn, apart from the resolution."""

    shape: NDArray[np.int64]  # [B] positions in SHAPES
    colour: NDArray[np.int64]  # [B] positions in COLOURS
    x: NDArray[np.float64]  # [B, T], as all that follow
    y: NDArray[np.float64]
    radius: NDArray[np.float64]
    angle: NDArray[np.float64]
    opacity: NDArray[np.float64]
    rng: ClipRng  # the backgrounds are drawn from it


def draw(scene: Scene, size: int) -> NDArray[np.uint8]:
    """The frames [B, T, size, size, 3] of the scenes."""
    B, T = scene.x.shape
    frames = np.empty((B, T, size, size, 3), dtype=np.uint8)
    backgrounds = _textures(scene.rng, size)
    for rows in _same_shape(scene.shape, max(1, _CACHED_PIXELS // (T * size * size))):
        cover, tip = _coverage(scene, rows, size)
        behind_all = backgrounds(rows)
        for channel in range(3):
            colour = _PALETTE[scene.colour[rows], channel][:, None, None, None]
            behind = behind_all[:, channel, None]
            paint = tip * (np.float32(_TIP_COLOUR) - colour)
            paint += colour - behind
            paint *= cover
            paint += behind
            paint *= np.float32(255)
            paint += np.float32(0.5)
            frames[rows, ..., channel] = paint
    return frames


def _same_shape(shape_B: NDArray[np.int64], most: int) -> Iterator[NDArray[np.int64]]:
    """Positions of scenes that one distance function draws, at most `most` at a time."""
    for shape in np.unique(shape_B):
        rows = np.flatnonzero(shape_B == shape)
        for start in range(0, len(rows), most):
            yield rows[start : start + most]


def _coverage(scene: Scene, rows: NDArray[np.int64], size: int) -> tuple[Plane, Plane]:
    """How much of each pixel [b, T, H, W] the shape covers, and how much of the shape there is its white tip.

    The tip tells 'up' from 'down' even on a circle; without it nobody could see a ring spin.
    """
    centres = (np.arange(size) + 0.5) / size
    radius, angle = scene.radius[rows][..., None], scene.angle[rows][..., None]
    right, down = (centres - scene.x[rows][..., None]) / radius, (centres - scene.y[rows][..., None]) / radius
    sine, cosine = np.sin(angle), np.cos(angle)
    x = _outer_sum(sine * down, cosine * right)
    y = _outer_sum(cosine * down, -sine * right)
    pixels = (radius * size).astype(np.float32)[..., None]  # in one unit of the shape's coordinates
    outline = _OUTLINES[SHAPES[scene.shape[rows[0]]]](x, y)
    cover = np.clip(np.float32(0.5) - outline * pixels, 0, 1)
    cover *= scene.opacity[rows].astype(np.float32)[..., None, None]
    tip = np.clip(np.float32(0.5) - (y + np.float32(_TIP_FROM)) * pixels, 0, 1)
    return cover, tip


def _outer_sum(rows_BTH: NDArray[np.float64], columns_BTW: NDArray[np.float64]) -> Plane:
    return rows_BTH.astype(np.float32)[..., :, None] + columns_BTW.astype(np.float32)[..., None, :]


def _textures(rng: ClipRng, size: int) -> Callable[[NDArray[np.int64]], Plane]:
    """Smooth mixtures of two muted colours per scene: a few plane waves, coarse ones strong and fine ones weak."""
    pixel = (np.arange(size) + 0.5) / size * 2 * np.pi
    heading, phase = rng.uniform(0, 2 * np.pi, len(_PERIODS)), rng.uniform(0, 2 * np.pi, len(_PERIODS))
    frequency = _PERIODS * rng.uniform(0.8, 1.25, len(_PERIODS))
    across = (frequency * np.cos(heading))[..., None] * pixel
    down = (frequency * np.sin(heading))[..., None] * pixel + phase[..., None]
    # cos(a + b) = cos a cos b − sin a sin b: the sum over waves is one small matrix product per scene
    weight = (0.5 / _PERIODS**0.8)[:, None]
    left = np.concatenate([weight * np.cos(down), -weight * np.sin(down)], axis=1).astype(np.float32)
    right = np.concatenate([np.cos(across), np.sin(across)], axis=1).astype(np.float32)
    first, second = _muted_colours(rng), _muted_colours(rng)

    def background(rows: NDArray[np.int64]) -> Plane:
        """The pictures [b, 3, H, W] behind some of the scenes."""
        mixture = 0.5 + 0.5 * np.tanh(left[rows].transpose(0, 2, 1) @ right[rows])
        one, other = first[rows, :, None, None], second[rows, :, None, None]
        return np.asarray(one + (other - one) * mixture[:, None], dtype=np.float32)

    return background


def _muted_colours(rng: ClipRng) -> Plane:
    """Dim and nearly grey [B, 3]: no background passes for a named colour or for the white tip."""
    return (rng.uniform(0.12, 0.40) + rng.uniform(-0.06, 0.06, 3)).astype(np.float32)
