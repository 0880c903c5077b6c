"""Whatever happens to a file, reading it ends in frames of a full decode of it, or in a `VideoError`.

Or in the frame as it was before: reading sparsely passes over damage that the frame does not depend on, while a full
decode may conceal more than it has to.
"""

import io
from functools import cache
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
    "h264_open_gop.mkv",
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


@cache
def pictures_of(data: bytes) -> list[Picture]:
    """Of a sound file."""
    return full_decode(data)


def full_decode(data: bytes) -> list[Picture]:
    try:
        return pictures(io.BytesIO(data))
    except Exception:  # whatever PyAV makes of it: nothing can be read
        return []


def check(data: bytes, seed: int, sound: list[Picture]) -> None:
    expected = full_decode(data)
    known = {picture.tobytes() for picture in expected}
    asked = np.random.default_rng(seed).random(4)
    for survey in (False, True):
        try:
            with VideoReader(data, survey=survey) as video:
                assert expected, "frames out of nothing"
                for index in (asked * video.info.frames).astype(int).tolist():
                    check_frame(video, index, expected, known, sound, strict=survey)
        except VideoError:
            assert not (survey and expected), "a survey finds what a full decode finds"


def check_frame(
    video: VideoReader, index: int, expected: list[Picture], known: set[bytes], sound: list[Picture], *, strict: bool
) -> None:
    try:
        picture = video.read([index])[0]
    except VideoError:
        assert not strict, "what a survey has counted can be read"
        return
    if video.info.frames == len(sound) and np.array_equal(picture, sound[index]):
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
    check(data[: int(part * len(data))], seed, pictures_of(data)) if int(part * len(data)) else None


@bounded
@given(places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=6), bit=st.integers(0, 7))
def test_flipped_bits(data: bytes, places: list[float], bit: int) -> None:
    flipped = bytearray(data)
    for place in places:
        flipped[int(place * len(data))] ^= 1 << bit
    check(bytes(flipped), bit, pictures_of(data))


@pytest.mark.parametrize(
    ("name", "places", "bit"),
    [
        ("h264_faststart.mp4", [903], 5),  # the size of a packet is half a gigabyte, at which FFmpeg stops
        ("h264_faststart.mp4", [719], 0),  # of a run of offsets are too many
        ("h264_faststart.mp4", [700, 312], 0),  # a frame from the beginning is shown last
        ("hevc.mp4", [4699, 4039], 6),
        ("h264_turned_90.mov", [3755], 3),
        ("h264_fragmented.mp4", [3251], 7),  # a full decode conceals a frame that is sound
        ("h264_open_gop.mkv", [3113, 1708, 954], 5),
    ],
)
def test_bits_that_were_found(name: str, places: list[int], bit: int) -> None:
    data = CLIPS[name].path.read_bytes()
    flipped = bytearray(data)
    for place in places:
        flipped[place] ^= 1 << bit
    for seed in range(8):
        check(bytes(flipped), seed, pictures_of(data))


def test_threads_do_not_hide_damage_of_mpeg4() -> None:
    """With two, three reads in five gave concealed frames without a mark."""
    data = bytearray(CLIPS["mpeg4.3gp"].path.read_bytes())
    data[4270] ^= 8
    expected = full_decode(bytes(data))
    for _ in range(8):
        with VideoReader(bytes(data), threads=2) as video:
            for _ in range(2):
                assert np.array_equal(video.read([20])[0], expected[20])
                assert video.damage([20]) is not None


def test_a_file_cut_in_the_middle_gives_the_frames_before(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mkv", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    expected = decode_all(path)
    assert 10 < len(expected) < 50
    with VideoReader(path, survey=True) as video:
        assert video.info.frames == len(expected)
        assert all(np.array_equal(a, b) for a, (_, b) in zip(video.read(range(len(expected))), expected, strict=True))
    assert load_views(path, frames=4).shape == (1, 4, 3, 224, 224)
