"""Whatever happens to a file, reading it ends in frames of a full decode of it, or in a `VideoError`."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claver.errors import VideoError
from claver.video import VideoReader, load_views
from tests.video.golden_clips import CLIPS
from tests.video.video_files import Picture, decode_all, pictures, write_video

NAMES = (
    "av1.mkv",
    "flv1.flv",
    "gif.gif",
    "h264.ts",
    "h264_faststart.mp4",
    "h264_of_avi.mp4",
    "h264_ten_bits.mkv",
    "h264_turned_90.mov",
    "hevc.mp4",
    "mjpeg.avi",
    "mpeg2.mpg",
    "mpeg4_b_frames.avi",
    "theora.ogv",
    "vp9.webm",
    "wmv2.wmv",
)
REAL = ("decord__unordered.mov", "decord__corrupted.mp4")
bounded = settings(
    max_examples=12, deadline=30_000, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def full_decode(data: bytes) -> list[Picture]:
    try:
        return pictures(io.BytesIO(data))
    except Exception:  # whatever PyAV makes of it: nothing can be read
        return []


def check(data: bytes, seed: int) -> None:
    expected = full_decode(data)
    known = {picture.tobytes() for picture in expected}
    asked = np.random.default_rng(seed).random(4)
    for survey in (False, True):
        try:
            with VideoReader(data, survey=survey) as video:
                assert expected, "frames out of nothing"
                for index in (asked * video.info.frames).astype(int).tolist():
                    check_frame(video, index, expected, known, strict=survey)
        except VideoError:
            assert not (survey and expected), "a survey finds what a full decode finds"


def check_frame(video: VideoReader, index: int, expected: list[Picture], known: set[bytes], *, strict: bool) -> None:
    try:
        picture = video.read([index])[0]
    except VideoError:
        assert not strict, "what a survey has counted can be read"
        return
    if video.info.frames == len(expected) and picture.shape == expected[index].shape:
        assert np.array_equal(picture, expected[index])
    elif any(picture.shape != other.shape for other in expected):
        return  # damage changed the size of some frames, which are then scaled to the first
    assert picture.tobytes() in known


@pytest.fixture(params=NAMES + REAL)
def data(request: pytest.FixtureRequest) -> bytes:
    if request.param in CLIPS:
        return CLIPS[request.param].path.read_bytes()
    folder: Path = request.getfixturevalue("clips")
    return (folder / "varied/_codec_test" / request.param).read_bytes()


@bounded
@given(part=st.floats(0, 1), seed=st.integers(0, 2**16))
def test_truncation(data: bytes, part: float, seed: int) -> None:
    check(data[: int(part * len(data))], seed) if int(part * len(data)) else None


@bounded
@given(places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=6), bit=st.integers(0, 7))
def test_flipped_bits(data: bytes, places: list[float], bit: int) -> None:
    flipped = bytearray(data)
    for place in places:
        flipped[int(place * len(data))] ^= 1 << bit
    check(bytes(flipped), bit)


def test_a_file_cut_in_the_middle_gives_the_frames_before(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mkv", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    expected = decode_all(path)
    assert 10 < len(expected) < 50
    with VideoReader(path, survey=True) as video:
        assert video.info.frames == len(expected)
        assert all(np.array_equal(a, b) for a, (_, b) in zip(video.read(range(len(expected))), expected, strict=True))
    assert load_views(path, frames=4).shape == (1, 4, 3, 224, 224)
