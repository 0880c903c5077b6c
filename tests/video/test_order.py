"""Frames come in the order in which they are shown, also where the file's time stamps are those of decoding."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from claver.errors import VideoError
from claver.video import VideoReader, load_views, read_video
from tests.video.ffmpeg_program import ffmpeg, needs_ffmpeg, same_frames, shown
from tests.video.golden_clips import CLIPS, number
from tests.video.video_files import moving_pictures, pictures, write_video

X265 = {"x265-params": "bframes=3:keyint=12:log-level=none"}
ENCODERS: dict[str, dict[str, Any]] = {
    "libx264": {"bf": "3", "g": "12"},
    "libx265": X265,
    "mpeg4": {"bf": "2", "g": "12"},
}
# The case files show their number as a bar code of 12 bits, the lowest first, in the upper half of the picture.
# Two have an edit list that cuts off two packets: by times of decoding, those are not the first two frames.
CASES = {
    "mpeg4_avi_remuxed_to_mp4_by_copy.mp4": list(range(60)),
    "raw_h264_remuxed_to_mp4_by_copy.mp4": [n for n in range(60) if n not in (0, 3)],
    "h264_bframes_mp4_without_ctts.mp4": [n for n in range(60) if n not in (0, 4)],
    "first_frame_then_one_hour_gap.webm": list(range(60)),
    "timestamps_jump_9800s_in_the_middle.mp4": list(range(60)),
    "ts_spliced_timestamps_jump_20s.ts": list(range(120)),
    "ts_spliced_timestamps_jump_10h.ts": list(range(120)),
}
JUMPS = {name: name.startswith(("first", "time", "ts")) for name in CASES}


def timed_by_file_order(path: Path, codec: str) -> Path:
    """B-frames whose packets carry the time at which they are decoded, as copies of AVI and raw streams do."""
    with av.open(path, "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=ENCODERS[codec])
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        coded = [p for m in moving_pictures(50) for p in stream.encode(av.VideoFrame.from_ndarray(m, format="rgb24"))]
        for number, packet in enumerate(coded + stream.encode(None)):
            packet.pts = packet.dts = number
            packet.time_base = stream.codec_context.time_base
            container.mux(packet)
    return path


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.mkv"])
def test_times_of_decoding_are_not_taken_for_times_of_showing(tmp_path: Path, codec: str, name: str) -> None:
    path = timed_by_file_order(tmp_path / name, codec)
    expected = pictures(path)
    assert len(expected) >= 48
    with VideoReader(path) as video:
        assert video.info.frames == len(expected)
        assert np.array_equal(video.read(range(len(expected))), np.stack(expected))
        assert np.diff(video.info.timestamps) == pytest.approx(0.04)
        assert not video.info.time_jumps


def test_b_frames_that_begin_late_are_noticed_when_they_are_met(tmp_path: Path) -> None:
    """Two streams joined, the first without B-frames: its header says that none are to come."""
    path = tmp_path / "clip.mp4"
    with av.open(path, "w") as container:
        coded: list[tuple[Any, Any]] = []
        for b_frames in ("0", "2"):
            target = container if not coded else av.open(tmp_path / "other.mp4", "w")
            stream: Any = target.add_stream("mpeg4", rate=25, options={"bf": b_frames, "g": "12"})
            stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
            frames = [av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in moving_pictures(40)]
            packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
            headers = b"" if not coded else bytes(stream.codec_context.extradata)
            coded += [(headers if packet.is_keyframe else b"", packet) for packet in packets]
        for number, (headers, packet) in enumerate(coded):
            copy = av.Packet(headers + bytes(packet))
            copy.pts = copy.dts = number
            copy.is_keyframe, copy.stream, copy.time_base = packet.is_keyframe, container.streams[0], Fraction(1, 25)
            container.mux(copy)
    expected = pictures(path)
    with VideoReader(path) as video:
        assert np.array_equal(video.read([3, 30])[1], expected[30])
        with pytest.raises(VideoError, match="its time stamps are not in the order"):
            video.read([62, 63, 64, 65])
    with VideoReader(path, survey=True) as video:
        assert np.array_equal(video.read(range(len(expected))), np.stack(expected))
    assert load_views(path, frames=40).shape[1] == 40


@needs_ffmpeg
@pytest.mark.parametrize(
    ("codec", "first", "second"),
    [
        ("libx264", "avi", "mp4"),
        ("libx264", "h264", "mov"),
        ("libx264", "ts", "mkv"),
        ("libx265", "hevc", "mp4"),
        ("mpeg4", "avi", "mp4"),
        ("mpeg4", "m4v", "mov"),
    ],
)
def test_copies_show_what_the_ffmpeg_program_shows(tmp_path: Path, codec: str, first: str, second: str) -> None:
    source = write_video(tmp_path / f"first.{first}", 40, codec=codec, options=ENCODERS[codec])
    copy = tmp_path / f"copy.{second}"
    ffmpeg("-i", source, "-c", "copy", copy)
    theirs = shown(copy, 96, 128)
    assert len(theirs) >= 36
    with VideoReader(copy) as video:
        assert same_frames(video.read(range(video.info.frames)), theirs)


@pytest.mark.parametrize("name", CASES)
def test_cases_show_their_numbers_in_order(shared: Path, name: str) -> None:
    path = shared / "cases" / "videos" / name
    numbers = [number(picture) for picture in read_video(path)]
    assert numbers == CASES[name]
    with VideoReader(path) as video:
        assert bool(video.info.time_jumps) == JUMPS[name]
        assert video.info.duration == pytest.approx(len(numbers) / 25, rel=0.01)
        assert video.info.fps == pytest.approx(25, rel=0.01)


@needs_ffmpeg
@pytest.mark.parametrize("name", CASES)
def test_cases_show_what_the_ffmpeg_program_shows(shared: Path, name: str) -> None:
    path = shared / "cases" / "videos" / name
    frames = read_video(path)
    assert [number(picture) for picture in shown(path, *frames.shape[1:3])] == CASES[name]


@needs_ffmpeg
@pytest.mark.parametrize("name", CLIPS)
def test_clips_show_what_the_ffmpeg_program_shows(name: str) -> None:
    clip = CLIPS[name]
    theirs = shown(clip.path, 96, 192)
    assert [number(picture) for picture in theirs] == clip.numbers
    assert same_frames(read_video(clip.path), theirs)
