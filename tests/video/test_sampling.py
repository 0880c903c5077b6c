"""Index arithmetic, by its properties and by a few numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.video import VideoInfo, clip_indices, dense_indices, indices_at, sparse_indices, view_indices

counts = st.integers(1, 2000)
few = st.integers(1, 64)


def info(timestamps: np.ndarray, duration: float) -> VideoInfo:
    fps = len(timestamps) / duration
    return VideoInfo(len(timestamps), 8, 8, fps, duration, "h264", 0, timestamps)


def test_centres_by_hand() -> None:
    assert sparse_indices(8, 4).tolist() == [1, 3, 5, 7]
    assert sparse_indices(300, 8).tolist() == [18, 56, 93, 131, 168, 206, 243, 281]
    assert sparse_indices(2, 4).tolist() == [0, 0, 1, 1]
    assert sparse_indices(1, 3).tolist() == [0, 0, 0]


def test_views_by_hand() -> None:
    assert view_indices(16, 2, 4).tolist() == [[1, 9], [3, 11], [5, 13], [7, 15]]


@given(counts, few, st.one_of(st.none(), st.integers(0, 99)))
def test_one_frame_of_each_segment(total: int, frames: int, seed: int | None) -> None:
    chosen = sparse_indices(total, frames, generator=None if seed is None else np.random.default_rng(seed))
    assert chosen.dtype == np.int64
    assert chosen.shape == (frames,)
    edges = np.arange(frames + 1) * total / frames
    assert (chosen >= np.floor(edges[:-1])).all()
    assert (chosen < np.ceil(edges[1:])).all()
    assert (np.diff(chosen) >= 0).all()
    if total >= 2 * frames and seed is None:
        assert (np.diff(chosen) > 0).all()


def test_random_places_reach_the_whole_segment_and_follow_the_generator() -> None:
    generator = np.random.default_rng(0)
    drawn = np.stack([sparse_indices(40, 4, generator=generator) for _ in range(400)])
    assert [np.unique(column).tolist() for column in drawn.T] == [list(range(10 * i, 10 * i + 10)) for i in range(4)]
    again = sparse_indices(40, 4, generator=np.random.default_rng(0))
    assert again.tolist() == drawn[0].tolist()


@given(counts, few, st.integers(1, 8))
def test_views_are_sorted_distinct_and_start_from_sparse(total: int, frames: int, views: int) -> None:
    chosen = view_indices(total, frames, views)
    assert chosen.shape == (views, frames)
    assert chosen.min() >= 0
    assert chosen.max() < total
    assert (np.diff(chosen, axis=1) >= 0).all()
    assert (np.diff(chosen, axis=0) >= 0).all()
    assert view_indices(total, frames, 1)[0].tolist() == sparse_indices(total, frames).tolist()
    if total >= views * frames:
        assert len(np.unique(chosen)) == views * frames


@given(counts, few, st.integers(1, 16), st.one_of(st.none(), st.integers(0, 99)))
def test_dense_windows(total: int, frames: int, stride: int, seed: int | None) -> None:
    generator = None if seed is None else np.random.default_rng(seed)
    chosen = dense_indices(total, frames, stride=stride, generator=generator)
    assert chosen.min() >= 0
    assert chosen.max() < total
    assert (np.diff(chosen) % total == stride % total).all()
    if (frames - 1) * stride < total:
        assert (np.diff(chosen) == stride).all()
    elif seed is None:
        assert chosen[0] == 0


def test_dense_windows_by_hand() -> None:
    assert dense_indices(20, 4, stride=2).tolist() == [6, 8, 10, 12]
    assert dense_indices(20, 3, stride=4, start=15).tolist() == [15, 19, 3]
    with pytest.raises(ValueError, match=r"start must be in 0 \.\.\. 19, not 20"):
        dense_indices(20, 3, stride=4, start=20)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=50), st.lists(st.integers(-100, 30000), min_size=1))
def test_nearest_frame(steps: list[int], times: list[int]) -> None:
    stamps = np.cumsum(steps).astype(float)
    chosen = indices_at(stamps, times)
    distance = np.abs(stamps[None] - np.array(times)[:, None])
    assert chosen.tolist() == distance.argmin(axis=1).tolist()


@given(st.integers(1, 900), few, st.integers(1, 4), st.sampled_from([10.0, 23.976, 25.0, 29.97, 60.0]))
def test_clips_of_constant_rate_are_the_index_formula(total: int, frames: int, views: int, fps: float) -> None:
    video = info(np.arange(total) / fps, total / fps)
    assert not video.variable_rate
    assert clip_indices(video, frames, views=views).tolist() == view_indices(total, frames, views).tolist()


def test_clips_of_variable_rate_are_even_in_time() -> None:
    """One second at 100 frames per second, then nine at 10: by index half the samples would fall into the first."""
    stamps = np.concatenate([np.arange(100) / 100, 1 + np.arange(90) / 10])
    video = info(stamps, 10.0)
    assert video.variable_rate
    chosen = clip_indices(video, 10)[0]
    assert stamps[chosen].tolist() == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5])
    drawn = clip_indices(video, 10, views=3, generator=np.random.default_rng(1))
    assert drawn.shape == (3, 10)
    assert (np.floor(stamps[drawn] + 1e-9) == np.arange(10)).all()


def test_a_regular_clock_with_rounded_times_is_not_variable() -> None:
    stamps = np.round(np.arange(300) / 59.94, 3)
    assert not info(stamps, 300 / 59.94).variable_rate


@pytest.mark.parametrize(("total", "frames", "name"), [(0, 8, "total"), (10, 0, "frames")])
def test_nothing_to_choose_is_an_error(total: int, frames: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        sparse_indices(total, frames)
