"""The time line of a page: scores after every frame as an SVG that needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from claver.explain.render.labels import apart, wrap
from claver.explain.render.summary import number

Floats = NDArray[np.float32]
WIDTH, _LEAST_HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 225, 14, 40
_LABEL_HEIGHT = 17
_LEAST_RANGE = 0.2  # of scores; what differs by less is drawn as equal
_DASHES = ("", "8 5", "2 4", "10 4 2 4", "5 3", "1 3")
_LONGEST_LABEL = 26


class Line(NamedTuple):
    """One action's scores after each frame [T], its label, and its role: `chosen`, `rival` or nothing."""

    label: str
    scores: Floats
    role: str

    def lines(self, digits: int) -> list[str]:
        """Its label, whole, with the last score, in lines."""
        return wrap(f"{self.label} {number(float(self.scores[-1]), digits)}", _LONGEST_LABEL)


def time_line(lines: Sequence[Line], title: str) -> str:
    """Lines told apart by dash and mark as well as by colour, each with its name at its end.

    Args:
        lines: at least one, all of the same length.
        title: alternative text, for screen readers.
    """
    scores = np.stack([line.scores for line in lines])
    steps = _steps(float(scores.min()), float(scores.max()))
    digits = 1 if steps[-1] - steps[0] > 2 else 2
    labels = [line.lines(digits) for line in lines]
    sizes = [_LABEL_HEIGHT * len(label) for label in labels]
    bottom = max(_LEAST_HEIGHT, sum(sizes) + _TOP + _BOTTOM) - _BOTTOM
    heights, rules = (_heights(values, steps, bottom) for values in (scores, np.array(steps)))
    ends = apart([float(row[-1]) for row in heights], sizes, bottom)
    x = (
        np.linspace(_LEFT, WIDTH - _RIGHT, scores.shape[1])
        if scores.shape[1] > 1
        else np.array([(_LEFT + WIDTH - _RIGHT) / 2])
    )
    parts = [
        _series(line, index, x, y, _label(label, x[-1] + 20, end), end)
        for index, (line, y, label, end) in enumerate(zip(lines, heights, labels, ends, strict=True))
    ]
    grid = "".join(map(_rule, steps, rules.tolist()))
    return (
        f'<svg class="line" viewBox="0 0 {WIDTH} {bottom + _BOTTOM}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{grid}{_frames(x, bottom)}{''.join(reversed(parts))}</svg>"
    )


def _heights(values: NDArray[Any], steps: Sequence[float], bottom: float) -> NDArray[Any]:
    """Where values lie in the picture, downwards."""
    return np.asarray(_TOP + (steps[-1] - values) / (steps[-1] - steps[0]) * (bottom - _TOP))


def _series(line: Line, index: int, x: NDArray[Any], y: NDArray[Any], label: str, label_at: float) -> str:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    marks = "".join(_mark(index, a, b) for a, b in zip(x, y, strict=True))
    dash = f' stroke-dasharray="{_DASHES[index % len(_DASHES)]}"' if index else ""
    leader = f'<path class="grid" d="M{x[-1] + 6:.1f} {y[-1]:.1f}L{x[-1] + 16:.1f} {label_at:.1f}"/>'
    return f'<g class="{line.role}"><polyline class="series" points="{points}"{dash}/>{marks}{leader}{label}</g>'


def _label(lines: Sequence[str], x: float, middle: float) -> str:
    first = middle + 4 - (len(lines) - 1) * _LABEL_HEIGHT / 2
    rows = "".join(
        f'<tspan x="{x:.1f}" y="{first + n * _LABEL_HEIGHT:.1f}">{escape(line)}</tspan>' for n, line in enumerate(lines)
    )
    return f'<text class="label">{rows}</text>'


def _mark(index: int, x: float, y: float) -> str:
    """Circle, square, triangle, diamond: told apart without colour."""
    outlines = ("M-4 -4H4V4H-4Z", "M0 -5L5 4H-5Z", "M0 -5L5 0L0 5L-5 0Z")
    if index % 4 == 0:
        return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="4.2"/>'
    return f'<path class="mark" transform="translate({x:.1f} {y:.1f})" d="{outlines[index % 4 - 1]}"/>'


def _rule(step: float, y: float) -> str:
    line = f'<path class="grid" d="M{_LEFT - 6} {y:.1f}H{WIDTH - _RIGHT + 4}"/>'
    return f'{line}<text x="{_LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{f"{step:g}".replace("-", "−")}</text>'


def _frames(x: NDArray[np.float64], bottom: float) -> str:
    every = -(-len(x) // 16)
    ticks = "".join(
        f'<text x="{at:.1f}" y="{bottom + 20:.1f}" text-anchor="middle">{frame + 1}</text>'
        for frame, at in enumerate(x)
        if frame % every == 0
    )
    return (
        f'{ticks}<text x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{bottom + 38:.1f}" text-anchor="middle">after frame</text>'
    )


def _steps(low: float, high: float) -> list[float]:
    """About five round numbers around a range."""
    middle, width = (low + high) / 2, max(high - low, _LEAST_RANGE)
    low, high = middle - width / 2, middle + width / 2
    unit = 10 ** np.floor(np.log10(width / 4))
    unit *= next(factor for factor in (1, 2, 5, 10) if width / (unit * factor) <= 5)
    first, last = int(np.floor(low / unit)), int(np.ceil(high / unit))
    return [float(round(step * unit, 6)) for step in range(first, max(last, first + 1) + 1)]
