"""Previews play in browsers and stay within their bounds."""

from pathlib import Path

import av
import numpy as np
import pytest
from tests.videos import write_ffv1, write_video

from claver.app.limits import Limits
from claver.app.preview import plays_as, write_preview
from claver.video import VideoReader
from claver.video.writing import write_clip


def rewritten(source: Path, target: Path, codec: str, form: str) -> Path:
    """A video in another codec and container."""
    with VideoReader(source) as video, av.open(str(target), "w", format=form) as container:
        frames = video.read(np.arange(video.info.frames))
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = video.info.width, video.info.height, "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return target


def test_what_browsers_play_as_it_is(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", np.zeros((8, 48, 64, 3), dtype=np.uint8))
    assert plays_as(str(clip)) == "video/mp4"
    assert plays_as(str(rewritten(clip, tmp_path / "a.webm", "libvpx", "webm"))) == "video/webm"
    assert plays_as(str(rewritten(clip, tmp_path / "b.mkv", "libx264", "matroska"))) is None
    assert plays_as(str(rewritten(clip, tmp_path / "c.mp4", "libx265", "mp4"))) is None
    assert plays_as(str(write_video(tmp_path / "d.mp4"))) is None  # MPEG-4 Part 2
    assert plays_as(str(write_ffv1(tmp_path / "e.mkv"))) is None


def test_a_preview_shows_what_the_video_shows_at_the_same_time(tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "clip.mp4", frames=40, height=96, width=128), tmp_path / "preview.mp4"
    assert write_preview(str(source), str(target), Limits(), start=1.0, stop=3.0) == pytest.approx(2.0, abs=0.11)
    assert plays_as(str(target)) == "video/mp4"
    with VideoReader(source) as video, VideoReader(target) as preview:
        assert (preview.info.width, preview.info.height) == (128, 96)
        for seconds in (0.0, 1.0, 1.8):
            own = video.read([int(np.searchsorted(video.info.timestamps, 1.0 + seconds - 0.01))])
            shown = preview.read([int(np.searchsorted(preview.info.timestamps, seconds - 0.01))])
            assert np.abs(own.astype(int) - shown).mean() < 9


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [(Limits(preview_seconds=1.5), 1.5), (Limits(preview_bytes=3000), None), (Limits(preview_side=32), 4.0)],
)
def test_length_size_and_pixels_are_bounded(limits: Limits, seconds: float | None, tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "clip.mp4", frames=40, height=96, width=128), tmp_path / "preview.mp4"
    lasted = write_preview(str(source), str(target), limits)
    assert lasted == pytest.approx(seconds, abs=0.11) if seconds else lasted < 4
    with VideoReader(target) as preview:
        assert preview.info.duration == pytest.approx(lasted, abs=0.11)
        assert max(preview.info.width, preview.info.height) <= limits.preview_side
        assert preview.info.width % 2 == preview.info.height % 2 == 0
