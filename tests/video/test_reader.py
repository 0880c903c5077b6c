"""The reader on videos written here, each with one peculiarity; equal to decoding everything."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from claver.video import VideoReader, decoding, listing, read_video
from claver.video import reader as reader_module
from tests.video.video_files import decode_all, moving_pictures, pictures, write_video

KINDS: dict[str, dict[str, Any]] = {
    "long.mp4": {"options": {"bf": "3", "g": "250"}},
    "gops.mp4": {"options": {"bf": "3", "g": "12"}},
    "open.mkv": {"options": {"bf": "3", "g": "12", "x264-params": "open-gop=1"}},
    "refresh.mkv": {"options": {"x264-params": "intra-refresh=1:keyint=20"}},
    "intra.mov": {"options": {"g": "1"}},
    "ten.mp4": {"pix_fmt": "yuv420p10le"},
    "full.mp4": {"pix_fmt": "yuvj420p"},
    "444.mp4": {"pix_fmt": "yuv444p"},
    "h264.avi": {"options": {"bf": "2"}},
    "h264.ts": {"options": {"bf": "2"}},
    "raw.h264": {"options": {"bf": "2"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=12:open-gop=1:log-level=none"}},
    "hevc.mkv": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12", "svtav1-params": "keyint=16"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "auto-alt-ref": "1"}},
    "vp8.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2", "g": "12"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "ffv1.mkv": {"codec": "ffv1"},
    "anim.gif": {"codec": "gif", "pix_fmt": "rgb8"},
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("threads", [0, 1])
def test_every_kind_equals_a_full_decode(tmp_path: Path, name: str, threads: int) -> None:
    path = write_video(tmp_path / name, 70, **KINDS[name])
    expected = pictures(path)
    rng = np.random.default_rng(3)
    with VideoReader(path, threads=threads) as video:
        assert video.info.frames == len(expected) == 70
        for indices in ([69], [5], [4, 20, 40, 60], rng.permutation(70)[:9], [33, 33, 2, 33], list(range(70)), []):
            read = video.read(indices)
            assert read.shape == (len(indices), 96, 128, 3)
            assert all(np.array_equal(a, expected[i]) for a, i in zip(read, indices, strict=True))


@pytest.mark.parametrize("name", ["long.mp4", "gops.mp4", "open.mkv", "hevc.mp4", "hevc.mkv", "av1.mp4", "vp9.webm"])
def test_sound_files_are_read_sparsely(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Had the sparse way failed, the frames would still be right, and the speed gone without a sound."""
    path = write_video(tmp_path / name, 70, **KINDS[name])
    monkeypatch.setattr(reader_module, "decode_plainly", None)
    assert read_video(path, [9, 30, 66]).shape == (3, 96, 128, 3)


def test_films_too_large_to_keep_are_demuxed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "KEEP_BYTES", 1000)
    monkeypatch.setattr(reader_module, "decode_plainly", None)
    path = write_video(tmp_path / "film.mp4", 70, **KINDS["gops.mp4"])
    expected = pictures(path)
    with VideoReader(path) as video:
        for indices in ([2, 30, 68], [50, 1]):
            assert np.array_equal(video.read(indices), np.stack([expected[i] for i in indices]))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi"])
def test_very_short_files(tmp_path: Path, count: int, name: str) -> None:
    path = write_video(tmp_path / name, count)
    with VideoReader(path) as video:
        assert video.info.frames == count
        assert video.info.fps == pytest.approx(25)
        assert video.info.duration == pytest.approx(count / 25)
        assert not video.info.variable_rate
        assert np.array_equal(video.read(range(count)), np.stack(pictures(path)))


def test_a_still_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "still.png", 1, codec="png", pix_fmt="rgb24")
    with VideoReader(path) as video:
        assert video.info.frames == 1
        assert np.array_equal(video.read([0, 0])[1], next(iter(moving_pictures(1))))


def test_variable_rate(tmp_path: Path) -> None:
    ticks = [0, 40, 80, 500, 520, 900, 1000, 2000, 2040, 2080]
    path = write_video(tmp_path / "vfr.mkv", 10, ticks=ticks)
    with VideoReader(path) as video:
        assert video.info.variable_rate
        assert video.info.timestamps.tolist() == pytest.approx([tick / 1000 for tick in ticks])
        assert np.array_equal(video.read(range(10)), np.stack(pictures(path)))


def test_bytes_and_streams(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 20)
    expected = np.stack(pictures(path))
    data = path.read_bytes()

    class Pipe(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return data

        def seekable(self) -> bool:
            return False

    with path.open("rb") as opened:
        for source in (path, str(path), data, bytearray(data), io.BytesIO(data), opened, Pipe()):
            assert np.array_equal(read_video(source), expected)  # type: ignore[arg-type]


def test_reading_goes_on_after_close(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", 8)
    expected = pictures(path)
    with VideoReader(path) as video:
        pass
    assert np.array_equal(video.read([3])[0], expected[3])


def test_a_name_that_looks_like_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "clip.mp4", 3).rename(tmp_path / "http:clip.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read_video("http:clip.mp4")) == 3


def test_plan_jumps_only_where_it_is_exact_and_pays() -> None:
    key = np.zeros(60, dtype=bool)
    key[[0, 20, 40]] = True
    rank = np.arange(60)
    rank[[20, 21]] = [21, 20]  # packet 21 is shown before the key frame 20: it needs the frames before
    assert decoding.plan([50, 5], key, rank) == [decoding.Segment(0, [5], 5), decoding.Segment(40, [50], 50)]
    assert decoding.plan([18, 25], key, rank) == [decoding.Segment(0, [18, 25], 25)]
    assert decoding.plan([21], key, rank) == [decoding.Segment(0, [21], 21)]
    assert decoding.plan([22], key, rank) == [decoding.Segment(20, [22], 22)]


def test_times_start_at_zero_whatever_the_container_says(tmp_path: Path) -> None:
    path = write_video(tmp_path / "late.mkv", 5, ticks=[7000, 7040, 7080, 7120, 7160])
    assert decode_all(path)[0][0] == pytest.approx(7)
    with VideoReader(path) as video:
        assert video.info.timestamps.tolist() == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
