"""The reader on small clips of many codecs and containers: the frames FFmpeg shows, upright, at its times."""

import numpy as np
import pytest

from claver.data.check import check_clip
from claver.video import VideoReader, load_views, read_video
from tests.video.golden_clips import CLIPS, FOLDER, Clip, number
from tests.video.video_files import decode_all

every_clip = pytest.mark.parametrize("clip", CLIPS.values(), ids=CLIPS)


def test_the_index_lists_the_folder() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*CLIPS, "INDEX.tsv"}
    assert len({clip.codec for clip in CLIPS.values()}) >= 15


@every_clip
def test_frames_show_the_numbers_that_ffmpeg_shows(clip: Clip) -> None:
    frames = read_video(clip.path)
    assert frames.shape == (len(clip.numbers), 96, 192, 3)
    assert [number(picture) for picture in frames] == clip.numbers


@every_clip
def test_frames_in_any_order_and_times_are_those_of_a_full_decode(clip: Clip) -> None:
    expected = decode_all(clip.path)
    with VideoReader(clip.path) as video:
        total = video.info.frames
        assert total == len(expected)
        asked = np.random.default_rng(total).integers(0, total, 8).tolist()
        for indices in (asked, asked[:1], [total - 1, 0]):
            assert np.array_equal(video.read(indices), np.stack([expected[index][1] for index in indices]))
        if "_of_" not in clip.path.name:  # of a copied stream the file's own times are those of decoding
            times = np.array([time for time, _ in expected])
            np.testing.assert_allclose(video.info.timestamps, times - times[0], atol=1e-9)


@every_clip
def test_what_is_told_of_a_clip(clip: Clip) -> None:
    with VideoReader(clip.path) as video:
        info = video.info
    assert (info.height, info.width, info.codec, info.rotation) == (96, 192, clip.codec, -clip.turned % 360)
    assert info.variable_rate == ("uneven" in clip.path.name)
    assert not info.time_jumps
    assert info.fps == pytest.approx(25, rel=0.03)
    assert info.duration == pytest.approx(len(clip.numbers) / 25, rel=0.03)


@every_clip
def test_a_check_finds_them_sound(clip: Clip) -> None:
    record = check_clip(str(clip.path))
    assert (record["status"], record["frames"]) == ("ok", len(clip.numbers)), record


@pytest.mark.parametrize("name", ["h264_full_range.mp4", "h264_ten_bits.mkv", "ffv1.mkv"])
def test_colours_are_those_that_were_drawn(name: str) -> None:
    """A red block, white and black bars, a grey slope."""
    picture = read_video(CLIPS[name].path)[5].astype(int)
    assert np.abs(picture[64:80, 36:50].mean((0, 1)) - (255, 60, 0)).max() < 12
    assert np.abs(picture[8:40, 4:12] - 255).mean() < 6
    assert np.abs(picture[8:40, 20:28]).mean() < 6
    grad_output = np.linspace(40, 200, 192)[96:, None]
    assert np.abs(picture[64:80, 96:] - grad_output).mean() < 6


def test_views_of_a_turned_clip_are_those_of_the_upright_one() -> None:
    upright = load_views(CLIPS["h264.mp4"].path, frames=4, normalized=False)
    for name in ("h264_turned_90.mov", "h264_turned_180.mp4", "h264_turned_270.mp4"):
        turned = load_views(CLIPS[name].path, frames=4, normalized=False)
        assert (turned.float() - upright.float()).abs().mean() < 6
