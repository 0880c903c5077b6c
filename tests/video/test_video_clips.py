"""The reader on real videos: many codecs, containers, sizes, rotations; equal to a full decode, pixel by pixel."""

import csv
from pathlib import Path

import numpy as np
import pytest

from claver.errors import VideoError
from claver.video import VideoInfo, VideoReader, load_views
from tests.video.video_files import decode_all, decode_some

INDEX = Path(__file__).resolve().parents[3] / "shared" / "clips" / "INDEX.tsv"
ROWS = list(csv.DictReader(INDEX.open(), delimiter="\t")) if INDEX.exists() else []
DAMAGED = "decord__corrupted.mp4"
# INDEX.tsv counts packets. These have packets that no player shows: an edit list cuts them off.
EDITED = {
    "MAX-Sports-Video-Classifier__baseball.mp4": 167,
    "MAX-Sports-Video-Classifier__basketball.mp4": 214,
    "Ask-Anything__dancing_example_4.mp4": 238,
}
# INDEX.tsv gives the size that is stored, here squeezed by whoever made a dataset, and says in the file's pixel aspect.
SQUEEZED = ("mmaction2__test.mp4", "mmaction2__part_0.mp4", "clean_and_jerk.mp4", "Kop0sDqOn-c.mp4", "zZ9Zb41KNR4.mp4")
SHOWN = {Path(row["path"]).name: (256, 455) for row in ROWS if row["path"].endswith(SQUEEZED)}
SHOWN |= {"mmaction2__demo.mp4": (256, 427)}
# INDEX.tsv is about its first video stream; FFmpeg, and any player, take the other.
SECOND_STREAM = {"torchcodec__nasa_13013.mp4": {"frames": "390", "fps": "29.97", "w": "480", "h": "270"}}
ROWS = [row | SECOND_STREAM.get(Path(row["path"]).name, {}) for row in ROWS]
HEALTHY = [row for row in ROWS if not row["path"].endswith(DAMAGED)]


@pytest.mark.parametrize("row", HEALTHY, ids=[row["path"].rsplit("/")[-1] for row in HEALTHY])
def test_frames_equal_those_of_a_full_decode(clips: Path, row: dict[str, str]) -> None:
    with VideoReader(clips / row["path"]) as video:
        total = video.info.frames
        asked = np.random.default_rng(total).integers(0, total, 8)
        groups = [np.arange(8) * total // 8, asked, asked[:1], [total - 1, 0]]
        count, expected = decode_some(clips / row["path"], np.concatenate(groups).tolist())
        assert total == count
        for indices in groups:
            read = video.read(indices)
            assert all(np.array_equal(a, expected[i]) for a, i in zip(read, indices, strict=True))
        check_info(video.info, Path(row["path"]).name, row)


def check_info(info: VideoInfo, name: str, row: dict[str, str]) -> None:
    # The UT-Interaction files have two to three packets that only say "as before".
    slack = 3 if row["dataset"].startswith("UT") else 0
    count = EDITED.get(name, int(row["frames"]))
    assert count - slack <= info.frames <= count
    size = SHOWN.get(name, (int(row["h"]), int(row["w"])))
    assert (info.height, info.width) == (size if info.rotation in (0, 180) else size[::-1])
    assert info.codec == row["codec"].replace("libdav1d", "av1")
    assert len(info.timestamps) == info.frames
    assert info.timestamps[0] == 0
    assert (np.diff(info.timestamps) > 0).all()
    if name not in EDITED and not info.variable_rate:
        assert info.fps == pytest.approx(float(row["fps"]), rel=2e-2)
        assert info.duration == pytest.approx(info.frames / info.fps)


def test_all_rotations_come_out_upright(clips: Path) -> None:
    """Something red lies in a known place of each upright picture: a button, a glow, a line (looked at by eye)."""
    red_at = {0: (0.40, 0.28), 180: (0.05, 0.97), 270: (0.37, 0.3)}
    for degrees in (0, 90, 180, 270):
        with VideoReader(clips / f"varied/_codec_test/decord__video_{degrees}.mov") as video:
            assert video.info.rotation == -degrees % 360
            assert (video.info.height, video.info.width) == ((320, 568) if degrees in (0, 180) else (568, 320))
            picture = video.read([0])[0].astype(float)
        redness = picture[..., 0] - picture[..., 1:].mean(-1)
        y, x = np.argwhere(redness > 0.8 * redness.max()).mean(0) / redness.shape
        if degrees in red_at:
            assert (y, x) == pytest.approx(red_at[degrees], abs=0.1)


def test_times_are_those_of_a_full_decode(clips: Path) -> None:
    path = clips / "varied/dog_skateboarding/Video-LLaMA__skateboarding_dog.mp4"
    times = np.array([time for time, _ in decode_all(path)])
    with VideoReader(path) as video:
        assert video.info.variable_rate
        np.testing.assert_allclose(video.info.timestamps, times - times[0], atol=1e-9)


def test_full_range_and_ten_bit_colours(clips: Path) -> None:
    """Full range: against the conversion formula of BT.709. Ten bit: against the luma, scaled to eight."""
    import av

    path = clips / "varied/_codec_test/torchcodec__bt709_full_range.mp4"
    with av.open(path) as container:
        frame = next(container.decode(video=0))
    y, u, v = (frame.to_ndarray(format="yuvj444p").astype(float)[c] for c in range(3))
    expected = np.stack(
        [y + 1.5748 * (v - 128), y - 0.1873 * (u - 128) - 0.4681 * (v - 128), y + 1.8556 * (u - 128)], -1
    )
    with VideoReader(path) as video:
        assert np.abs(video.read([0])[0] - expected.clip(0, 255)).mean() < 3


def test_the_damaged_clip_gives_its_frames_or_an_error(clips: Path) -> None:
    path = clips / "varied/_codec_test" / DAMAGED
    expected = decode_all(path)
    assert len(expected) == 49
    by_time = {round(time - expected[0][0], 4): picture for time, picture in expected}
    with VideoReader(path) as video:
        assert video.info.frames == 50
        readable = 0
        for index, time in list(enumerate(video.info.timestamps.round(4).tolist()))[24:40]:
            if time in by_time:
                assert np.array_equal(video.read([index])[0], by_time[time])
                readable += 1
            else:
                with pytest.raises(VideoError, match=f"corrupted.mp4: frame {index} of 50 does not decode"):
                    video.read([0, index])
        assert readable == 15
    with VideoReader(path, survey=True) as video:
        assert video.info.frames == 49
        assert all(np.array_equal(a, b) for a, (_, b) in zip(video.read(range(49)), expected, strict=True))
    assert load_views(path, frames=50).shape == (1, 50, 3, 224, 224)
