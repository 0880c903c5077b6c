"""What cannot be read is told in one sentence that begins with the path and names the cause."""

import io
import os
from pathlib import Path

import av
import numpy as np
import pytest

from claver.errors import VideoError
from claver.video import VideoReader, load_views, read_video
from tests.video.video_files import write_video


def message(source: object) -> str:
    with pytest.raises(VideoError) as caught, VideoReader(source):  # type: ignore[arg-type]
        pass
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_missing_folder_empty(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert message(tmp_path / "none.mp4") == f"{tmp_path}/none.mp4: there is no such file."
    assert message(tmp_path) == f"{tmp_path}: this is a folder; give a video file."
    assert message(empty) == f"{empty}: the file is empty; give a video file."
    assert message(b"") == "<bytes>: it holds no bytes; give the content of a video file."


def test_an_endless_name_is_shown_in_short() -> None:
    said = message("x" * 5000 + "/clip.mp4")
    assert said.startswith("x" * 200 + " … ")
    assert said.endswith("x/clip.mp4: it cannot be opened (File name too long).")
    assert len(said) < 400


def test_network_addresses_are_not_opened() -> None:
    assert "network addresses are not opened" in message("https://example.org/clip.mp4")
    assert "network addresses are not opened" in message(Path("https://example.org/watch?v=1"))
    assert "there is no such file" in message("C:/clip.mp4")


def test_a_playlist_does_not_lead_to_the_network(tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttp://127.0.0.1:9/clip.ts\n#EXT-X-ENDLIST\n")
    assert message(playlist).startswith(f"{playlist}: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in message(tmp_path / "pipe")


def test_not_a_video(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("This is not a video. " * 100)
    assert message(text).startswith(f"{text}: FFmpeg cannot open it as a video (")


def test_sound_alone(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "has no video stream" in message(path)


def test_a_header_without_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", 10)
    data = path.read_bytes()
    assert message(data[: data.index(b"\x1fC\xb6u")]).startswith("<bytes>: ")  # up to the first cluster


def test_a_text_stream() -> None:
    assert "binary mode" in message(io.StringIO("abc"))


def test_an_index_outside(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 5)
    with VideoReader(path) as video:
        for index in (5, -1):
            with pytest.raises(VideoError, match=f"clip.mp4: there is no frame {index}; it has 5, counted from 0"):
                video.read([0, index])


def test_arrays_of_another_kind() -> None:
    for wrong in (np.zeros((8, 8, 3), np.uint8), np.zeros((4, 8, 8, 3), np.float32), np.zeros((0, 8, 8, 3), np.uint8)):
        with pytest.raises(VideoError, match=r"<array>: frames must be uint8 \[T, H, W, 3\]"):
            load_views(wrong, frames=2)
        with pytest.raises(VideoError, match="<array>"):
            read_video(wrong)
