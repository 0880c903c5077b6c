"""FFmpeg opens nothing that was not named: no playlist's files, no neighbours of a name with a pattern, no devices."""

import gc
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from claver.errors import VideoError
from claver.video import VideoReader, load_views, read_video, source
from tests.video.video_files import pictures, write_video

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{uri}\n#EXT-X-ENDLIST\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" '
    'type="static" mediaPresentationDuration="PT2S" minBufferTime="PT1S"><Period><AdaptationSet contentType="video">'
    '<Representation id="0" mimeType="video/mp4" bandwidth="1000"><BaseURL>{uri}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>"
)
PLAYLISTS = {
    "playlist (hls)": HLS,
    "playlist (concat script)": "ffconcat version 1.0\nfile {uri}\n",
    "playlist (dash)": DASH,
    "session description (sdp)": "v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A sound video that a playlist leads to."""
    (tmp_path / "elsewhere").mkdir()
    return write_video(tmp_path / "elsewhere" / "secret.ts", 10)


def refusal(given: object) -> str:
    with pytest.raises(VideoError) as caught:
        load_views(given, frames=2)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("prefix", ["", "file:", "file://"])
def test_a_list_of_other_files_is_refused_with_the_reason(
    tmp_path: Path, planted: Path, kind: str, prefix: str
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text(PLAYLISTS[kind].format(uri=f"{prefix}{planted}"))
    assert refusal(path) == f"{path}: it is a {kind} that names other files; give the video itself."
    assert "that names other files" in refusal(path.read_bytes())
    with path.open("rb") as stream:
        assert "that names other files" in refusal(stream)


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize(
    "uri", ["elsewhere/secret.ts", "{planted}", "file:{planted}", "data:video/mp2t;base64,{base64}"]
)
def test_a_list_that_is_not_known_as_one_still_opens_nothing(
    tmp_path: Path, planted: Path, kind: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64

    monkeypatch.setattr(source, "LISTS", ())
    monkeypatch.setattr(source, "XML_LISTS", ())
    monkeypatch.chdir(tmp_path)
    target = uri.format(planted=planted, base64=base64.b64encode(planted.read_bytes()).decode())
    path = tmp_path / "clip.m3u8"
    path.write_text(PLAYLISTS[kind].format(uri=target))
    assert refusal(path).startswith(f"{path}: ")


def test_a_name_that_looks_like_a_pattern_is_one_picture(tmp_path: Path) -> None:
    import av

    for number, name in enumerate(["a%03d.png", "a001.png", "a002.png"]):
        av.VideoFrame.from_ndarray(np.full((16, 16, 3), 60 * number, np.uint8), format="rgb24").save(
            str(tmp_path / f"plain{number}.png")
        )
        os.rename(tmp_path / f"plain{number}.png", tmp_path / name)
    path = tmp_path / "a%03d.png"
    for given in (path, path.read_bytes(), path.open("rb")):
        frames = read_video(given)
        assert frames.shape == (1, 16, 16, 3)
        assert not frames.any()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_system_saw_only_the_named_file_opened(tmp_path: Path, planted: Path) -> None:
    script = tmp_path / "clip.mp4"
    script.write_text("ffconcat version 1.0\nfile list.m3u8\n")
    (tmp_path / "list.m3u8").write_text(HLS.format(uri=f"file://{planted}"))
    code = (
        "import sys, claver.video.source as source; from claver.video import read_video\n"
        "def read():\n"
        "    try: read_video(sys.argv[1])\n"
        "    except Exception as error: print(error)\n"
        "read(); source.LISTS = (); read()"
    )
    log = tmp_path / "strace"
    command = [
        "strace",
        "-f",
        "-e",
        "trace=open,openat,openat2",
        "-o",
        str(log),
        sys.executable,
        "-c",
        code,
        str(script),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if not log.exists() or "clip.mp4" not in log.read_text():
        pytest.skip(f"strace does not run here: {done.stderr[-200:]}")
    assert not {name for name in (planted.name, "list.m3u8") if name in log.read_text()}


def test_a_stream_is_read_from_its_start_and_left_open(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 5)
    stream = io.BytesIO(path.read_bytes())
    stream.seek(100)
    for _ in range(2):
        assert np.array_equal(read_video(stream), np.stack(pictures(path)))
    assert not stream.closed


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted under /proc")
def test_reading_leaves_no_file_open(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 5)
    bad = tmp_path / "bad.mp4"
    bad.write_text("This is not a video. " * 100)
    gc.collect()  # what other tests left open
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        read_video(path)
        refusal(bad)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 5)
    (tmp_path / "link.mp4").symlink_to(path)
    (tmp_path / "lost.mp4").symlink_to(tmp_path / "none.mp4")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    assert np.array_equal(read_video(tmp_path / "link.mp4"), read_video(path))
    assert "there is no such file" in refusal(tmp_path / "lost.mp4")
    assert refusal(tmp_path / "loop.mp4").startswith(f"{tmp_path}/loop.mp4: it cannot be opened (")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.timeout(30)
def test_pipes_and_devices_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "pipe.mp4")
    for given in (tmp_path / "pipe.mp4", tmp_path / "link.mp4", "/dev/zero", "/dev/tty"):
        assert "this is not a regular file; give a video file" in refusal(given)


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "a/" * 3000 + "b.mp4", "a\0b.mp4"])
def test_a_name_that_no_file_can_have(name: str) -> None:
    said = refusal(name)
    assert said.startswith(name[:8])
    assert f"{name[-80:]}: it cannot be opened (" in said
    assert len(said) < 500, "of an endless name its beginning and its end"


def test_a_disk_that_fails_is_not_taken_for_the_end_of_the_file(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        name = "clip.avi"

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 20_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    content = write_video(tmp_path / "clip.avi", 60, codec="mpeg4", size=(360, 640)).read_bytes()
    assert len(content) > 60_000
    with (
        pytest.raises(VideoError, match=r"^clip.avi: it cannot be read \(Input/output error\)\.$"),
        VideoReader(Failing(content)),
    ):
        pass


def test_ctrl_c_while_ffmpeg_reads_is_heard(tmp_path: Path) -> None:
    """Whenever it comes, opening or later; PyAV would go on as if nothing had happened."""
    path = write_video(tmp_path / "clip.mp4", 40)
    content, heard = path.read_bytes(), 0

    class Interrupted(io.BytesIO):
        left = 0

        def read(self, size: int | None = -1) -> bytes:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return super().read(size)

    for number in range(1, 40):
        stream = Interrupted(content)
        stream.left = number
        try:
            with VideoReader(stream) as video:
                video.read([0, 39, 20])
        except KeyboardInterrupt:
            heard += 1
        else:
            assert stream.left > 0, f"of read {number} nobody heard"
    assert heard > 3
