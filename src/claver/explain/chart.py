"""The time line of a page: scores after every frame as an SVG that needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from claver.explain.labels import apart, shorten
from claver.explain.telling import number

Floats = NDArray[np.float32]
WIDTH, HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 205, 14, 40
_LABEL_HEIGHT = 17
_LEAST_RANGE = 0.2  # of scores; what differs by less is drawn as equal
_DASHES = ("", "8 5", "2 4", "10 4 2 4", "5 3", "1 3")
_LONGEST_LABEL = 20


class Line(NamedTuple):
    """One action's scores after each frame [T], its label, and its role: `chosen`, `rival` or nothing."""

    label: str
    scores: Floats
    role: str


def time_line(lines: Sequence[Line], title: str) -> str:
    """Lines told apart by dash and mark as well as by colour, each with its name at its end.

    Args:
        lines: at least one, all of the same length.
        title: what is read aloud in place of the picture.
    """
    scores = np.stack([line.scores for line in lines])
    steps = _steps(float(scores.min()), float(scores.max()))
    digits = 1 if steps[-1] - steps[0] > 2 else 2
    x = (
        np.linspace(_LEFT, WIDTH - _RIGHT, scores.shape[1])
        if scores.shape[1] > 1
        else np.array([(_LEFT + WIDTH - _RIGHT) / 2])
    )
    heights, rules = (_heights(values, steps) for values in (scores, np.array(steps)))
    ends = apart([float(row[-1]) for row in heights], _LABEL_HEIGHT, HEIGHT - _BOTTOM)
    parts = [
        _series(*these, digits) for these in zip(lines, range(len(lines)), [x] * len(lines), heights, ends, strict=True)
    ]
    grid = "".join(map(_rule, steps, rules.tolist()))
    return (
        f'<svg class="line" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{grid}{_frames(x)}{''.join(reversed(parts))}</svg>"
    )


def _heights(values: NDArray[Any], steps: Sequence[float]) -> NDArray[Any]:
    """Where values lie in the picture, downwards."""
    return np.asarray(_TOP + (steps[-1] - values) / (steps[-1] - steps[0]) * (HEIGHT - _TOP - _BOTTOM))


def _series(line: Line, place: int, x: NDArray[Any], y: NDArray[Any], label_at: float, digits: int) -> str:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    marks = "".join(_mark(place, a, b) for a, b in zip(x, y, strict=True))
    dash = f' stroke-dasharray="{_DASHES[place % len(_DASHES)]}"' if place else ""
    leader = f'<path class="grid" d="M{x[-1] + 6:.1f} {y[-1]:.1f}L{x[-1] + 16:.1f} {label_at:.1f}"/>'
    label = f"{escape(shorten(line.label, _LONGEST_LABEL))} {number(float(line.scores[-1]), digits)}"
    text = f'<text class="label" x="{x[-1] + 20:.1f}" y="{label_at + 4:.1f}">{label}</text>'
    return f'<g class="{line.role}"><polyline class="series" points="{points}"{dash}/>{marks}{leader}{text}</g>'


def _mark(place: int, x: float, y: float) -> str:
    """Circle, square, triangle, diamond: told apart without colour."""
    outlines = ("M-4 -4H4V4H-4Z", "M0 -5L5 4H-5Z", "M0 -5L5 0L0 5L-5 0Z")
    if place % 4 == 0:
        return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="4.2"/>'
    return f'<path class="mark" transform="translate({x:.1f} {y:.1f})" d="{outlines[place % 4 - 1]}"/>'


def _rule(step: float, y: float) -> str:
    line = f'<path class="grid" d="M{_LEFT - 6} {y:.1f}H{WIDTH - _RIGHT + 4}"/>'
    return f'{line}<text x="{_LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{f"{step:g}".replace("-", "−")}</text>'


def _frames(x: NDArray[np.float64]) -> str:
    every = -(-len(x) // 16)
    ticks = "".join(
        f'<text x="{at:.1f}" y="{HEIGHT - 20}" text-anchor="middle">{frame + 1}</text>'
        for frame, at in enumerate(x)
        if frame % every == 0
    )
    return f'{ticks}<text x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 2}" text-anchor="middle">after frame</text>'


def _steps(low: float, high: float) -> list[float]:
    """About five round numbers around a range."""
    middle, width = (low + high) / 2, max(high - low, _LEAST_RANGE)
    low, high = middle - width / 2, middle + width / 2
    unit = 10 ** np.floor(np.log10(width / 4))
    unit *= next(factor for factor in (1, 2, 5, 10) if width / (unit * factor) <= 5)
    first, last = int(np.floor(low / unit)), int(np.ceil(high / unit))
    return [float(round(step * unit, 6)) for step in range(first, max(last, first + 1) + 1)]
