"""Videos at addresses: read by ranges, from servers that drop connections and are busy now and then."""

import http.server
import io
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from claver.data.clips import ClipLocation
from claver.errors import VideoError
from claver.inference import VideoEncoder
from claver.video import VideoReader, read_video, remote
from claver.video.remote import BLOCK, RemoteFile, is_remote, reachable
from tests.tiny import tiny_model
from tests.videos import write_video


class Server(http.server.ThreadingHTTPServer):
    """Files of a folder by ranges; `trouble` says how often an answer fails, and `sent` how many bytes went out."""

    daemon_threads = True
    folder: Path
    trouble = 0.0
    ranges = True
    sent = asked = failures = 0
    shift = 0  # bytes by which answers begin too early
    moved = ""  # where all requests of /moved are sent on to
    tag = '"one"'
    rng = random.Random(0)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", self.server.moved)
            self.end_headers()
            return
        path = self.server.folder / self.path.partition("?")[0].lstrip("/")
        content = path.read_bytes() if path.is_file() else b""
        kind = self.server.rng.random()
        self.server.failures += kind < self.server.trouble
        if not content or kind < self.server.trouble / 2:
            self.send_error(503 if content else 404)
            return
        start, stop = self._range(len(content))
        self.send_response(206 if self.server.ranges else 200)
        if self.server.ranges:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("ETag", self.server.tag)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if kind < self.server.trouble:
            stop = start + (stop - start) // 3  # the connection is dropped in the middle
        self.server.sent += stop - start
        self.wfile.write(content[start:stop])

    def _range(self, size: int) -> tuple[int, int]:
        if not self.server.ranges:
            return 0, size
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        return max(0, int(first) - self.server.shift), min(int(last) + 1, size)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(remote, "_FIRST_PAUSE", 0.001)
    with Server(("127.0.0.1", 0), Handler) as made:
        made.folder = tmp_path
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def write_noise(path: Path, *, frames: int) -> Path:
    """A large MPEG-4 file, many key frames."""
    import av

    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 8_000_000
        stream.gop_size = 10
        for _ in range(frames):
            picture = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("trouble", [0.0, 0.5])
def test_frames_are_those_of_the_file_and_few_bytes_are_fetched(server: Server, tmp_path: Path, trouble: float) -> None:
    path = write_noise(tmp_path / "clip.mp4", frames=600)
    server.trouble = trouble
    whole = path.stat().st_size
    assert whole > 60 * BLOCK
    wanted = [0, 150, 300, 450, 599]
    file = RemoteFile(f"{server.address}/clip.mp4")
    with VideoReader(file) as video:  # type: ignore[arg-type]
        np.testing.assert_array_equal(video.read(wanted), read_video(str(path), wanted))
    assert file.fetched < whole / 3
    assert (server.sent < whole / 3) or trouble
    assert (server.failures > 0) == (trouble > 0)


def test_any_reads_give_the_bytes_of_the_file(server: Server, tmp_path: Path) -> None:
    content = os.urandom(5 * BLOCK + 12345)
    (tmp_path / "noise").write_bytes(content)
    server.trouble = 0.4
    file, near = RemoteFile(f"{server.address}/noise"), io.BytesIO(content)
    rng = random.Random(1)
    for _ in range(300):
        place, size = rng.randrange(len(content) + 100), rng.choice([0, 1, 4096, BLOCK, 2 * BLOCK + 1, -1])
        assert file.seek(place) == near.seek(place)
        assert file.read(size) == near.read(size)
    assert file.seek(-5, os.SEEK_END) == near.seek(-5, os.SEEK_END)
    assert file.read() == near.read()


def test_the_encoder_takes_addresses_alone_and_in_worker_processes(server: Server, tmp_path: Path) -> None:
    paths = [str(write_video(tmp_path / f"{number}.mp4", seed=number)) for number in range(3)]
    addresses = [f"{server.address}/{number}.mp4" for number in range(3)]
    encoder = VideoEncoder(tiny_model())
    assert encoder(addresses[0]).source == addresses[0]
    found = list(encoder.stream([*addresses, f"{server.address}/none.mp4"], workers=1))
    for near, far in zip(encoder.stream(paths), found, strict=False):
        np.testing.assert_array_equal(near.frames.numpy(), far.frames.numpy())  # type: ignore[union-attr]
    assert found[3].error == f"{addresses[0][:-5]}none.mp4: it cannot be read (the server answers 404 Not Found)."  # type: ignore[union-attr]


def test_what_cannot_be_read_is_told_in_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x" * 10)
    address = f"{server.address}/clip.mp4"
    server.trouble = 2.0
    with pytest.raises(VideoError, match=r"cannot be read \(the server answers 503"):
        RemoteFile(address)
    assert server.asked == remote.ATTEMPTS
    server.trouble, server.ranges = 0.0, False
    with pytest.raises(VideoError, match="gives no parts of files"):
        RemoteFile(address)
    server.ranges = True
    (tmp_path / "clip.mp4").write_bytes(bytes(3 * BLOCK))
    file = RemoteFile(address)
    file.read(10)
    server.tag = '"two"'
    with pytest.raises(OSError, match="it changed while it was read"):
        file.seek(2 * BLOCK) and file.read(10)
    closed = f"http://127.0.0.1:{free_port()}/clip.mp4"
    with pytest.raises(VideoError, match=rf"^{closed}: it cannot be read \(.*refused"):
        RemoteFile(closed)
    with pytest.raises(VideoError, match="s3:// needs s3fs; pip install s3fs"):
        RemoteFile("s3://bucket/clip.mp4")


def test_a_range_that_begins_elsewhere_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(bytes(3 * BLOCK))
    file = RemoteFile(f"{server.address}/clip.mp4")
    server.shift = 7
    file.seek(2 * BLOCK)
    with pytest.raises(OSError, match=f"gives bytes from {2 * BLOCK - 7} on where {2 * BLOCK} was asked for"):
        file.read(10)


def test_a_server_may_send_on_to_a_web_server_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"0123456789")
    server.moved = f"{server.address}/clip.mp4"
    file = RemoteFile(f"{server.address}/moved")
    file.seek(3)
    assert file.read(4) == b"3456"
    for elsewhere in (f"ftp://127.0.0.1:{free_port()}/clip.mp4", "file:///etc/hostname", f"{server.address}/moved"):
        server.moved, server.asked = elsewhere, 0
        with pytest.raises(VideoError, match=r"/moved: it cannot be read \(the server sends on in a circle, or to "):
            RemoteFile(f"{server.address}/moved")
        assert server.asked < remote.ATTEMPTS


@pytest.mark.parametrize("address", ["http://[::1", "http://127.0.0.1:port/clip.mp4", "http://127.0.0.1/my clip.mp4"])
def test_what_is_no_address_is_told_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_FIRST_PAUSE", 60.0)
    with pytest.raises(VideoError, match=r"it cannot be read \(it is no address that a web server could have\)"):
        RemoteFile(address)


def test_no_message_tells_a_password_or_a_signature(server: Server, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"^https://host/a\.mp4: .*password.* not supported") as caught:
        RemoteFile("https://user:secret@host/a.mp4")
    assert "secret" not in str(caught.value)
    signed = f"{server.address}/%s?X-Amz-Signature=secret&part=1"
    for name, told in (("none.mp4", "the server answers 404 Not Found"), ("clip.mp4", "FFmpeg cannot open it")):
        (found,) = VideoEncoder(tiny_model()).stream([signed % name])
        assert str(found.error).startswith(f"{server.address}/{name}?…: ")  # type: ignore[union-attr]
        assert told in str(found.error)  # type: ignore[union-attr]
        assert found.source == signed % name  # type: ignore[union-attr]
    server.moved = "ftp://user:secret@host/?secret"
    with pytest.raises(VideoError, match="sends on") as caught:
        RemoteFile(f"{server.address}/moved")
    assert "secret" not in str(caught.value)


def free_port() -> int:
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as other:
        return int(other.server_address[1])


class BusyFile(io.BytesIO):
    """Fails every other time."""

    calls = 0
    details: dict[str, Any] = {}  # noqa: RUF012

    @property
    def size(self) -> int:
        return len(self.getvalue())

    def read(self, size: int | None = -1) -> bytes:
        BusyFile.calls += 1
        if BusyFile.calls % 2:
            raise TimeoutError("the bucket is busy")
        return super().read(size)


class Bucket(MemoryFileSystem):
    protocol = "gs"
    store: dict[str, Any] = {}  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("gs://", "/"))

    def _open(self, *args: Any, **settings: Any) -> Any:
        return BusyFile(super()._open(*args, **settings).getvalue())


def test_object_stores_are_read_through_fsspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_FIRST_PAUSE", 0.001)
    fsspec.register_implementation("gs", Bucket, clobber=True)
    path = write_video(tmp_path / "clip.mp4", frames=30)
    Bucket().pipe_file("/bucket/clip.mp4", path.read_bytes())
    with VideoReader(RemoteFile("gs://bucket/clip.mp4")) as video:  # type: ignore[arg-type]
        np.testing.assert_array_equal(video.read([0, 29]), read_video(str(path), [0, 29]))
    assert BusyFile.calls > 1
    with pytest.raises(VideoError, match="there is no such file"):
        RemoteFile("gs://bucket/none.mp4")


def test_an_object_that_is_replaced_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(BusyFile, "calls", 1)  # so that the first read succeeds, and the second opens the object anew
    fsspec.register_implementation("gs", Bucket, clobber=True)
    for content, tag in ((b"B" * 2 * BLOCK, "two"), (b"B" * 3 * BLOCK, "one")):
        monkeypatch.setattr(BusyFile, "details", {"etag": "one"})
        Bucket().pipe_file("/bucket/clip", b"A" * 2 * BLOCK)
        file = RemoteFile("gs://bucket/clip")
        assert file.read(3) == b"AAA"
        monkeypatch.setattr(BusyFile, "details", {"etag": tag})
        Bucket().pipe_file("/bucket/clip", content)
        file.seek(BLOCK)
        with pytest.raises(OSError, match="it changed while it was read"):
            file.read(3)
        BusyFile.calls = 1


def test_only_what_a_user_gave_as_a_video_is_opened(server: Server, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4")
    address = f"{server.address}/clip.mp4"
    assert is_remote(address)
    assert not any(
        map(is_remote, ["clip.mp4", "file:///clip.mp4", "rtsp://a/b", "https:clip.mp4", Path(address), b"http://a"])
    )
    assert reachable("clip.mp4") == "clip.mp4"
    for source in (address, ClipLocation(address, address).source()):  # as a list of clips would name it
        with pytest.raises(VideoError, match="network addresses are not opened"):
            VideoReader(source)
    assert server.asked == 0
