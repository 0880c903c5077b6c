"""Labels keep their distance and their order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from claver.explain.render.chart import _steps
from claver.explain.render.labels import apart, wrap
from claver.terminal import shown


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 40)), min_size=1, max_size=8))
def test_apart(labels: list[tuple[float, int]]) -> None:
    heights, sizes = (np.array(part, dtype=float) for part in zip(*labels, strict=True))
    placed = np.array(apart(heights.tolist(), sizes.tolist(), 100))
    order = np.argsort(heights, kind="stable")
    ends = placed + sizes / 2
    assert ((placed - sizes / 2)[order][1:] >= ends[order][:-1] - 1e-9).all()
    assert ends.max() <= 100 + 1e-9


def test_labels_with_room_stay() -> None:
    assert apart([50, 10, 90], [17] * 3, 100) == [50, 10, 90]


@given(st.text(max_size=60), st.integers(2, 40))
def test_wrapped_names_are_whole(name: str, longest: int) -> None:
    lines = wrap(name, longest)
    assert lines
    assert all(len(line) <= longest for line in lines)
    assert "".join("".join(lines).split()) == "".join(shown(name).split())


@given(st.floats(-100, 100), st.floats(0, 200))
def test_rules_of_a_chart_enclose_it(low: float, width: float) -> None:
    steps = _steps(low, low + width)
    assert steps[0] <= low + 1e-6
    assert steps[-1] >= low + width - 1e-6
    assert 2 <= len(steps) <= 8
    assert steps == sorted(set(steps))
