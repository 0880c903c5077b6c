"""Seconds from time stamps: jumps count as one spacing and are told, and nothing else changes."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.video import VideoReader, clip_indices
from claver.video.times import NO_TIME, frame_times
from tests.video.video_files import pictures, write_video


def times(milliseconds: list[int], rate: float = 25.0) -> tuple[list[float], tuple[int, ...]]:
    told = frame_times(np.array(milliseconds), 0.001, rate)
    return told.seconds.round(6).tolist(), told.jumps


def test_a_jump_ahead_or_back_counts_as_one_spacing() -> None:
    right = [0, 0.04, 0.08, 0.12, 0.16]
    assert times([500, 540, 580, 3_600_580, 3_600_620]) == (right, (3,))
    assert times([0, 3_600_000, 3_600_040, 3_600_080, 3_600_120]) == (right, (1,))
    many = list(range(0, 4000, 40))
    seconds, jumps = times(many + many)
    assert seconds == pytest.approx(np.arange(200) / 25)
    assert jumps == (100,)


def test_pauses_are_kept() -> None:
    """A screen recorder saves a frame when something changes; slides change every few seconds."""
    assert times([0, 40, 80, 1900, 1940]) == ([0, 0.04, 0.08, 1.9, 1.94], ())
    assert times([0, 60_000, 120_000, 600_000]) == ([0, 60, 120, 600], ())


def test_times_of_decoding_are_put_in_order() -> None:
    """As in files copied from AVI: the frames are right, their times are each other's."""
    assert times([0, 80, 120, 40, 200, 240, 160]) == ([0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.24], ())


def test_without_sound_times_the_rate_tells() -> None:
    assert times([0, 40, 40, 80], rate=10) == ([0, 0.1, 0.2, 0.3], ())
    assert times([NO_TIME, 0, 40], rate=10) == ([0, 0.1, 0.2], ())
    assert times([70]) == ([0], ())


@given(st.lists(st.integers(-(10**9), 10**9) | st.integers(0, 100), min_size=1, max_size=80))
def test_seconds_increase_from_zero_without_holes(ticks: list[int]) -> None:
    seconds, jumps = times(ticks)
    assert len(seconds) == len(ticks)
    assert seconds[0] == 0
    assert (np.diff(seconds) > 0).all()
    assert all(0 < jump < len(ticks) for jump in jumps)


JUMP = [40 * i + 9_800_000 * (i >= 15) for i in range(30)]


@pytest.mark.parametrize("name", ["jump.mp4", "jump.mkv"])
def test_a_file_with_a_jump_is_sampled_evenly_and_told(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / name, 30, ticks=JUMP)
    with caplog.at_level(logging.WARNING, "claver"), VideoReader(path) as video:
        assert video.info.time_jumps == (15,)
        assert (video.info.fps, video.info.duration) == pytest.approx((25, 1.2))
        assert clip_indices(video.info, 5).tolist() == [[3, 9, 15, 21, 27]]
        assert np.array_equal(video.read(range(30)), np.stack(pictures(path)))
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: its time stamps jump once, first before frame 15; a jump counts as one frame"
    ]


def test_times_that_step_back_do_not_mix_the_frames(tmp_path: Path) -> None:
    """Two clips spliced, each with its own times: to sort them would put the frames of one between the other's."""
    first = write_video(tmp_path / "first.mkv", 40, ticks=[40 * i for i in range(40)], options={"bf": "0"})
    second = write_video(tmp_path / "second.mkv", 40, ticks=[40 * i + 10 for i in range(40)], options={"bf": "0"})
    spliced = tmp_path / "spliced.mkv"
    spliced.write_bytes(_endless(first.read_bytes()) + _clusters(second.read_bytes()))
    expected = pictures(spliced)
    assert len(expected) == 80
    with VideoReader(spliced) as video:
        assert video.info.time_jumps == (40,)
        assert video.info.timestamps == pytest.approx(np.arange(80) / 25)
        assert np.array_equal(video.read(range(80)), np.stack(expected))


def _endless(matroska: bytes) -> bytes:
    """The length of the segment set to unknown."""
    place = matroska.index(b"\x18\x53\x80\x67") + 4
    return matroska[:place] + b"\x01" + b"\xff" * 7 + matroska[place + 8 :]


def _clusters(matroska: bytes) -> bytes:
    return matroska[matroska.index(b"\x1f\x43\xb6\x75") :]
