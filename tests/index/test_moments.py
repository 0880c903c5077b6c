"""Moments of one file."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from claver.index.moments import KEPT, moments


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40), st.integers(1, 9))
def test_moments_are_apart_and_ordered_and_reach_their_share(scores: list[float], most: int) -> None:
    starts = np.arange(len(scores)) * 2.0
    stops = starts + 4  # each overlaps the next by half
    found = moments(starts, stops, np.asarray(scores), most)
    assert 1 <= len(found) <= most
    assert found[0].score == max(scores)
    peaks = [one.score for one in found]
    assert peaks == sorted(peaks, reverse=True)
    for one in found:
        assert one.start < one.best < one.stop
        inside = [score for score, a, b in zip(scores, starts, stops, strict=True) if one.start <= a and b <= one.stop]
        assert min(inside) >= (KEPT * one.score if one.score > 0 else one.score)
        assert max(inside) == one.score
    times = sorted((one.start, one.stop) for one in found)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))


def test_windows_that_do_not_touch_are_two_moments() -> None:
    found = moments(np.array([0.0, 4, 100]), np.array([4.0, 8, 104]), np.array([1.0, 0.9, 0.8]), 5)
    assert [(one.start, one.stop) for one in found] == [(0, 8), (100, 104)]


def test_a_window_below_the_background_stays_alone() -> None:
    found = moments(np.array([0.0, 4]), np.array([4.0, 8]), np.array([-1.0, -1.0]), 1)
    assert [(one.start, one.stop, one.best) for one in found] == [(0, 4, 2)]
