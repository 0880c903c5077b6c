"""Labels keep their distance and their order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from claver.explain.chart import _steps
from claver.explain.labels import apart, shorten


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_apart(heights: list[float]) -> None:
    placed = np.array(apart(heights, 17, 100))
    order = np.argsort(heights, kind="stable")
    assert (np.diff(placed[order]) >= 17 - 1e-9).all()
    assert placed.max() <= 100


def test_labels_with_room_stay() -> None:
    assert apart([50, 10, 90], 17, 100) == [50, 10, 90]


@given(st.text(max_size=60), st.integers(2, 40))
def test_shorten(name: str, longest: int) -> None:
    short = shorten(name, longest)
    assert len(short) <= longest
    assert short == name or (short.endswith("…") and name.startswith(short[:-1]))


@given(st.floats(-100, 100), st.floats(0, 200))
def test_rules_of_a_chart_enclose_it(low: float, width: float) -> None:
    steps = _steps(low, low + width)
    assert steps[0] <= low + 1e-6
    assert steps[-1] >= low + width - 1e-6
    assert 2 <= len(steps) <= 8
    assert steps == sorted(set(steps))
