"""Small pictures of moments."""

from pathlib import Path

import numpy as np
from tests.videos import write_video

from claver.index.pictures import HEIGHT, picture_at
from claver.video import VideoReader


def test_a_picture_is_the_frame_at_that_time_made_small(tmp_path: Path) -> None:
    path = str(tmp_path / "a.mp4")
    write_video(path, frames=40, seed=1)
    with VideoReader(path) as reader:
        expected = reader.read([20])[0]
        when = float(reader.info.timestamps[20])
    picture = picture_at(path, when)
    assert picture is not None
    assert picture.shape[0] == HEIGHT
    assert picture.shape[1] == round(HEIGHT * expected.shape[1] / expected.shape[0])
    assert abs(float(picture.mean()) - float(np.asarray(expected).mean())) < 2


def test_no_picture_where_there_is_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, frames=10)
    assert picture_at(str(path), 1e4) is None
    assert picture_at(str(tmp_path / "gone.mp4"), 0.0) is None
    (tmp_path / "no_video.mp4").write_text("nothing")
    assert picture_at(str(tmp_path / "no_video.mp4"), 0.0) is None
