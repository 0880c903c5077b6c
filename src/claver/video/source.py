"""Sources of a video: a path, bytes or an open binary stream, each of which can be opened repeatedly."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterable
from contextlib import ExitStack, closing
from typing import Any, BinaryIO

import av

from claver.errors import VideoError, in_short
from claver.log import logger
from claver.video.interrupts import interruptible

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO

HEAD_BYTES = 4096
# 8192 × 8192: the largest pictures that video codecs have levels for. A header that declares more asks for all memory.
MAX_PIXELS = 2**26
_TOO_LARGE = re.compile(r"(\d+)x(\d+) exceeds specified max pixel count")  # FFmpeg's words
# What FFmpeg would read as a list of other files or addresses: how each begins, and what it is called.
LISTS = (
    (b"#EXTM3U", "playlist (hls)"),
    (b"ffconcat", "playlist (concat script)"),
    (b"v=0", "session description (sdp)"),
)
XML_LISTS = ((b"<MPD", "playlist (dash)"), (b"CompositionPlaylist", "playlist (imf)"))
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # also as `Path` writes it, with one slash; C:/ is a drive


class Media:
    """One source, checked: `open()` gives a fresh FFmpeg container each time, `name` is what messages call it.

    FFmpeg is handed the bytes of the source, never its name, and may open nothing by itself: neither what a playlist
    names nor the neighbours of a file whose name looks like a pattern.

    Raises `VideoError` when the source is missing, a folder, empty, a network address or not a binary stream.
    """

    def __init__(self, source: Source) -> None:
        self.name = "<bytes>"
        self._data: bytes | BinaryIO | None = None
        self._warned: set[str] = set()
        if isinstance(source, bytes | bytearray | memoryview):
            self._data = bytes(source)
            self._require(len(self._data) > 0, "it holds no bytes; give the content of a video file")
        elif isinstance(source, str | os.PathLike):
            self.name = os.fspath(source)
            self._check_path()
        else:
            self.name = str(getattr(source, "name", "<stream>"))
            self._data = self._rewindable(source)

    def open(self) -> Any:
        """A new `av` input container, positioned at the start; the caller closes it.

        Raises `VideoError` when it cannot be read, is no video, or is a list of other files.
        """
        with ExitStack() as on_failure:
            stream = self._stream()
            on_failure.callback(stream.close)
            self._refuse_lists(stream.head())
            container = self._container(stream)
            on_failure.pop_all()
        return container

    def stream(self) -> Any:
        """A context in which the source is read as a binary stream of its own, from its start."""
        return closing(self._stream())

    def size(self) -> int:
        """Bytes."""
        with self.stream() as stream:
            return int(stream.seek(0, os.SEEK_END))

    def tail(self, size: int) -> bytes:
        """The last bytes of the source, up to `size`."""
        with self.stream() as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - size))
            return stream.read(size)

    def error(self, cause: str) -> VideoError:
        """A `VideoError` of one sentence that begins with the name of the source."""
        return VideoError(self.sentence(cause))

    def sentence(self, cause: str) -> str:
        """What is said of the source: its name, and the cause."""
        return f"{in_short(self.name)}: {cause}."

    def require_size(self, width: int, height: int) -> None:
        """Raises `VideoError` for frames that are too large to be read."""
        limit = f"more than the {MAX_PIXELS:,} that are read"
        self._require(width * height <= MAX_PIXELS, f"its frames are {width} × {height} pixels, {limit}; scale it down")

    def require_no_refusal(self, messages: Iterable[str]) -> None:
        """Raises `VideoError` as `require_size` does where FFmpeg's `messages` tell of such frames."""
        for found in filter(None, map(_TOO_LARGE.search, messages)):
            self.require_size(int(found[1]), int(found[2]))

    def is_animated_webp(self) -> bool:
        """By the header: an extended WebP (`VP8X`) with the flag of animation."""
        with self.stream() as stream:
            head = stream.head()
        return head[8:16] == b"WEBPVP8X" and len(head) > 20 and bool(head[20] & 2)

    def warn(self, odd: str) -> None:
        """Log what is odd about this source, once."""
        if odd not in self._warned:
            self._warned.add(odd)
            logger.warning("%s: %s", self.name, odd)

    def _container(self, stream: _Nameless) -> Any:
        try:
            # An empty list of protocols: whatever a demuxer would open beside this stream is refused. Opening decodes
            # a picture where the header tells too little.
            options = {"protocol_whitelist": "", "max_pixels": str(MAX_PIXELS)}
            with interruptible:
                return av.open(stream, "r", metadata_errors="ignore", options=options)
        except (VideoError, MemoryError):
            raise
        except Exception as error:  # PyAV raises more than FFmpeg's errors
            raise self.error(f"FFmpeg cannot open it as a video ({_reason(error)})") from error

    def _stream(self) -> _Nameless:
        if isinstance(self._data, bytes):
            return _Nameless(self, io.BytesIO(self._data), owned=True)
        if self._data is not None:
            return _Shared(self, self._data, owned=False)
        try:
            return _Nameless(self, open(self.name, "rb", buffering=0), owned=True)
        except OSError as error:
            raise self.error(f"it cannot be read ({_reason(error)})") from error

    def _refuse_lists(self, head: bytes) -> None:
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        kinds = [kind for mark, kind in LISTS if start.startswith(mark)]
        kinds += [kind for mark, kind in XML_LISTS if start.startswith(b"<") and mark in start]
        for kind in kinds[:1]:
            raise self.error(f"it is a {kind} that names other files; give the video itself")

    def _check_path(self) -> None:
        try:
            status = os.stat(self.name)
        except (FileNotFoundError, NotADirectoryError) as error:
            self._require(
                not _ADDRESS.match(self.name), "network addresses are not opened; download it and give the file"
            )
            raise self.error("there is no such file") from error
        except (OSError, ValueError) as error:  # a name too long or with a null character, a folder without access
            raise self.error(f"it cannot be opened ({_reason(error)})") from error
        self._require(not stat.S_ISDIR(status.st_mode), "this is a folder; give a video file")
        self._require(stat.S_ISREG(status.st_mode), "this is not a regular file; give a video file")
        self._require(status.st_size > 0, "the file is empty; give a video file")

    def _rewindable(self, stream: Any) -> bytes | BinaryIO:
        readable = hasattr(stream, "read") and not isinstance(stream, io.TextIOBase)
        self._require(readable, "a video is given as a path, bytes, or a stream opened in binary mode")
        seekable = hasattr(stream, "seekable") and stream.seekable()
        data: bytes | BinaryIO = stream if seekable else stream.read()
        self._require(not isinstance(data, bytes) or len(data) > 0, "the stream holds no bytes")
        return data

    def _require(self, condition: bool, cause: str) -> None:
        if not condition:
            raise self.error(cause)


class _Nameless:
    """A binary stream without its name, from which FFmpeg would guess a pattern of images.

    One that is `owned` is closed when the container that reads it is dropped.
    """

    def __init__(self, media: Media, stream: Any, *, owned: bool) -> None:
        self._media, self._stream, self._owned, self._failed = media, stream, owned, False
        self.seek, self.tell = stream.seek, stream.tell

    def head(self) -> bytes:
        """The first bytes; leaves the stream at its start."""
        self.seek(0)
        head = self.read(HEAD_BYTES)
        self.seek(0)
        return head

    def read(self, size: int) -> bytes:
        """A disk that fails is no damage of the file: it ends the reading instead of looking like the file's end."""
        if self._failed:
            return b""  # FFmpeg asks again before it gives the first error back to Python
        try:
            return bytes(self._stream.read(size) or b"")
        except OSError as error:
            self._failed = True
            raise self._media.error(f"it cannot be read ({_reason(error)})") from error

    def close(self) -> None:
        if self._owned:
            self._stream.close()

    __del__ = close


class _Shared(_Nameless):
    """A stream of the user's, which several containers read in turns: each continues at its own position."""

    def __init__(self, media: Media, stream: Any, *, owned: bool) -> None:
        super().__init__(media, stream, owned=owned)
        self.seek, self.tell, self._at = self._move, self._place, 0

    def read(self, size: int) -> bytes:
        if self._stream.tell() != self._at:
            self._stream.seek(self._at)
        data = super().read(size)
        self._at += len(data)
        return data

    def _move(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset, whence = self._at + offset, os.SEEK_SET
        self._at = self._stream.seek(offset, whence)
        return self._at

    def _place(self) -> int:
        return self._at


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
