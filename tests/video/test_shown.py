"""What is read is what a player shows: the default stream, no cover, no preview, and pixels made square."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from claver.video import VideoReader, read_video
from claver.video.orientation import shown_width
from tests.video.ffmpeg_program import ffmpeg, needs_ffmpeg
from tests.video.video_files import moving_pictures


def two_tracks(path: Path, *, default: int, first_frames: int) -> Path:
    """A red track of `first_frames` large JPEGs, then one of 20 moving pictures."""
    with av.open(path, "w") as container:
        tracks: list[Any] = [container.add_stream("mjpeg", rate=25), container.add_stream("libx264", rate=25)]
        tracks[0].width, tracks[0].height, tracks[0].pix_fmt = 200, 200, "yuvj420p"
        tracks[1].width, tracks[1].height, tracks[1].pix_fmt = 128, 96, "yuv420p"
        for number, track in enumerate(tracks):
            track.disposition = av.stream.Disposition.default if number == default else 0
        red = np.full((200, 200, 3), (255, 0, 0), np.uint8)
        for track, pictures in ((tracks[0], [red] * first_frames), (tracks[1], moving_pictures(20))):
            for picture in pictures:
                container.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(track.encode(None))
    return path


def test_the_default_stream_is_read(tmp_path: Path) -> None:
    with VideoReader(two_tracks(tmp_path / "second.mkv", default=1, first_frames=1)) as video:
        assert (video.info.frames, video.info.height, video.info.width) == (20, 96, 128)
        assert video.read([0]).std() > 10
    with VideoReader(two_tracks(tmp_path / "first.mkv", default=0, first_frames=5)) as video:
        assert (video.info.frames, video.info.height, video.info.width) == (5, 200, 200)


def squeezed(path: Path, aspect: Fraction) -> Path:
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for picture in moving_pictures(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@needs_ffmpeg
@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2), Fraction(16, 15), Fraction(1024, 765)])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_pixels_are_made_square_as_the_ffmpeg_program_does(tmp_path: Path, name: str, aspect: Fraction) -> None:
    path = squeezed(tmp_path / name, aspect)
    options = ("-vf", "scale=round(iw*sar):ih:flags=bilinear,format=rgb24", "-f", "rawvideo", "-")
    theirs = np.frombuffer(ffmpeg("-i", path, *options), np.uint8).reshape(5, 96, -1, 3)
    with VideoReader(path) as video:
        ours = video.read(range(5))
        assert ours.shape == theirs.shape == (5, 96, round(128 * aspect), 3)
        assert (video.info.height, video.info.width) == ours.shape[1:3]
    assert np.abs(ours.astype(int) - theirs).mean() < 9


def test_nearly_square_and_absurd_pixels_are_left_alone() -> None:
    assert shown_width(426, Fraction(640, 639)) == 426
    assert shown_width(426, Fraction(65535, 1)) == 426
    assert shown_width(426, Fraction(1, 65535)) == 426
    assert shown_width(426, None) == 426
    assert shown_width(340, Fraction(1024, 765)) == 455
    assert shown_width(1, Fraction(1, 4)) == 1


def test_cases(shared: Path) -> None:
    videos = shared / "cases" / "videos"
    assert read_video(videos / "pixels_2to1_stored_96x96_shown_192x96.mp4").shape == (60, 96, 192, 3)
    assert read_video(videos / "still_picture_track_before_default_video.mkv").shape == (60, 96, 192, 3)
