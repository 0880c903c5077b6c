"""Curves and segments: what always holds, and small cases by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from claver.errors import ClaverError
from claver.timeline.curves import auto_threshold, relative, smooth
from claver.timeline.segments import (
    LOW,
    Segment,
    bounds,
    candidates,
    chosen,
    contrast,
    hysteresis,
    levels,
    overlap,
    soft_nms,
)

values = st.floats(-50, 50, allow_nan=False, width=32)
curves = arrays.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 5)), elements=values)
curve = arrays.arrays(np.float64, st.integers(1, 60), elements=values)
spans = st.lists(st.tuples(st.floats(0, 90), st.floats(0.1, 20), st.floats(0, 10)), max_size=12)


def windows(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two seconds each, every second."""
    starts = np.arange(count, dtype=np.float64)
    return starts, starts + 2


@given(curves, st.floats(0, 5))
def test_smoothing_stays_in_range_and_keeps_what_is_constant(curves: np.ndarray, std: float) -> None:
    smoothed = smooth(curves, std)
    assert smoothed.shape == curves.shape
    assert (smoothed >= curves.min(0)).all()
    assert (smoothed <= curves.max(0)).all()
    np.testing.assert_allclose(smooth(curves[::-1], std), smoothed[::-1], atol=1e-9)
    np.testing.assert_allclose(smooth(np.full_like(curves, 7.5), std), 7.5)
    np.testing.assert_allclose(smooth(curves + 3, std), smoothed + 3, atol=1e-9)


def test_smoothing_of_an_impulse_is_a_gaussian() -> None:
    impulse = np.zeros((21, 1))
    impulse[10] = 1
    weights = np.exp(-0.5 * (np.arange(-3, 4) / 1.0) ** 2)
    np.testing.assert_allclose(smooth(impulse, 1.0)[7:14, 0], weights / weights.sum())
    np.testing.assert_array_equal(smooth(impulse, 0), impulse)
    with pytest.raises(ClaverError, match="smoothing"):
        smooth(impulse, -1)


@given(curves)
def test_the_background_is_at_zero(curves: np.ndarray) -> None:
    above = relative(curves)
    assert above.shape == curves.shape
    if len(curves) >= 4:
        np.testing.assert_allclose(np.median(above, axis=0), 0, atol=1e-9)
    if curves.shape[1] > 2:  # pictures that go with any text move nothing
        moved = curves + np.arange(len(curves))[:, None]
        np.testing.assert_allclose(relative(moved), above, atol=1e-6)


@given(curves)
def test_the_threshold_lies_above_the_background_and_can_be_reached(curves: np.ndarray) -> None:
    threshold = auto_threshold(curves)
    assert threshold > 0
    if curves.max() > 0:
        assert threshold <= curves.max()


@given(curve, values, st.floats(0, 20))
def test_hysteresis(curve: np.ndarray, high: float, gap: float) -> None:
    low = high - gap
    runs = hysteresis(curve, high, low)
    inside = np.zeros(len(curve), dtype=bool)
    for first, end in runs:
        assert curve[first:end].min() >= low
        assert curve[first:end].max() >= high
        assert first == 0 or curve[first - 1] < low
        assert end == len(curve) or curve[end] < low
        assert not inside[first:end].any()
        inside[first:end] = True
    assert inside[curve >= high].all()  # nothing that reaches the level is missed
    more = hysteresis(curve, high, low - 1)  # a lower end joins and widens, and loses nothing
    assert len(more) <= len(runs)
    assert all(any(first <= run[0] and run[1] <= end for first, end in more) for run in runs)


def test_hysteresis_by_hand() -> None:
    assert hysteresis([0, 1, 3, 1, 0, 1, 1, 0, 3], high=2, low=1) == [(1, 4), (8, 9)]
    assert hysteresis([0, 0], 1, 0.5) == []
    with pytest.raises(ClaverError, match="low threshold"):
        hysteresis([1.0], 1, 2)


def test_a_boundary_lies_where_the_curve_crosses() -> None:
    starts, stops = windows(5)  # middles at 1, 2, 3, 4, 5
    curve = np.array([0.0, 0.0, 4.0, 4.0, 0.0])
    assert bounds(curve, (2, 4), 2.0, starts, stops) == (2.5, 4.5)
    assert bounds(curve, (2, 4), 1.0, starts, stops) == (2.25, 4.75)
    assert bounds(np.full(5, 4.0), (0, 5), 2.0, starts, stops) == (0.0, 6.0)  # the whole video


def test_a_segment_scores_more_than_its_peak_or_its_surroundings() -> None:
    starts, stops = windows(30)
    curve = np.zeros(30)
    curve[10:20] = 4
    whole = contrast(curve, starts, stops, 10.5, 20.5)
    assert whole > contrast(curve, starts, stops, 14, 16) == 0
    assert whole > contrast(curve, starts, stops, 5, 26)
    assert contrast(np.full(30, 4.0), starts, stops, 0, 31) == 4  # what is beyond the video is background


def test_overlap_by_hand() -> None:
    np.testing.assert_allclose(overlap([0, 4], [[0, 4], [2, 6], [4, 8], [1, 2], [9, 9]]), [1, 2 / 6, 0, 1 / 4, 0])


@given(spans, st.floats(0.05, 5))
def test_soft_nms(found: list[tuple[float, float, float]], sigma: float) -> None:
    pairs = np.array([(start, start + length) for start, length, _ in found]).reshape(-1, 2)
    scores = np.array([score for *_, score in found])
    lowered = soft_nms(pairs, scores, sigma)
    assert (lowered <= scores + 1e-12).all()
    assert (lowered >= 0).all()
    if len(scores):
        assert lowered.max() == scores.max()  # the best keeps its score
    alone = [n for n in range(len(pairs)) if (np.delete(overlap(pairs[n], pairs), n) == 0).all()]
    np.testing.assert_array_equal(lowered[alone], scores[alone])
    np.testing.assert_allclose(soft_nms(pairs + 5, scores, sigma), lowered, atol=1e-6)


def test_soft_nms_by_hand() -> None:
    # 3 stays; 2 overlaps it by 1/3; 1 overlaps nothing.
    lowered = soft_nms([[0, 4], [2, 6], [10, 12]], [3.0, 2.0, 1.0], sigma=0.5)
    np.testing.assert_allclose(lowered, [3.0, 2 * np.exp(-(1 / 9) / 0.5), 1.0])
    with pytest.raises(ClaverError, match="sigma"):
        soft_nms([[0, 1]], [1.0], 0)
    with pytest.raises(ClaverError, match="0 and above"):
        soft_nms([[0, 1]], [-1.0])


@given(curves, st.floats(0.1, 10))
def test_segments_of_any_curves(curves: np.ndarray, threshold: float) -> None:
    starts, stops = windows(len(curves))
    names = [f"action {number}" for number in range(curves.shape[1])]
    found = candidates(curves, starts, stops, names, levels(curves, threshold))
    assert [segment.score for segment in found] == sorted((segment.score for segment in found), reverse=True)
    for segment in found:
        assert starts[0] <= segment.start < segment.stop <= stops[-1]
        assert segment.score >= 0
    best = chosen(found, 0)
    assert best == sorted(best)
    for one in best:
        others = [other for other in best if other is not one and other.action == one.action]
        assert all(one.stop <= other.start or other.stop <= one.start for other in others)
    happens = {name for name, column in zip(names, curves.T, strict=True) if column.max() >= threshold}
    assert {segment.action for segment in found} == happens


def test_several_actions_at_once_with_known_boundaries() -> None:
    starts, stops = windows(40)
    middles = (starts + stops) / 2
    one, other = np.zeros(40), np.zeros(40)
    one[10:20], other[15:30] = 6, 5
    found = chosen(candidates(np.stack([one, other], 1), starts, stops, ["a", "b"], [2.0]), 0.5)
    assert [segment.action for segment in found] == ["a", "b"]
    assert found[0].start == pytest.approx(middles[10] - 1 + LOW * 2 / 6)
    assert found[1].stop == pytest.approx(middles[29] + 1 - LOW * 2 / 5)
    assert found[1].start < found[0].stop


def test_a_threshold_is_above_the_background() -> None:
    with pytest.raises(ClaverError, match="above 0"):
        candidates(np.zeros((3, 1)), *windows(3), ["a"], [0.0])


def test_a_segment_as_plain_values() -> None:
    segment = Segment(1.0004, 2.5, "waving", 3.25)
    assert segment.to_dict() == {"action": "waving", "start": 1.0, "stop": 2.5, "score": 3.25}
    assert Segment.from_dict(segment.to_dict()) == Segment(1.0, 2.5, "waving", 3.25)
