"""Where a video comes from: a path, bytes or an open binary stream, each of which can be opened again and again."""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import av

from claver.errors import VideoError

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO


class Media:
    """One source, checked: `open()` gives a fresh FFmpeg container each time, `name` is what messages call it.

    Raises `VideoError` when the source is missing, a folder, empty, a network address or not a binary stream.
    """

    def __init__(self, source: Source) -> None:
        self.name = "<bytes>"
        self._data: bytes | BinaryIO | None = None
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
        """A new `av` input container, positioned at the start; the caller closes it."""
        try:
            return av.open(self._handle(), "r", metadata_errors="ignore", options=self._options())
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self.error(f"FFmpeg cannot open it as a video ({_reason(error)})") from error

    def error(self, cause: str) -> VideoError:
        """A `VideoError` of one sentence that begins with the name of the source."""
        return VideoError(f"{self.name}: {cause}.")

    def _handle(self) -> Any:
        if self._data is None:
            return f"file:{self.name}"  # without the prefix "a:b.mp4" would be read as protocol "a"
        if isinstance(self._data, bytes):
            return io.BytesIO(self._data)
        self._data.seek(0)
        return self._data

    def _options(self) -> dict[str, str]:
        # A playlist that names other addresses must not make FFmpeg go there.
        return {"protocol_whitelist": "file" if self._data is None else "data"}

    def _check_path(self) -> None:
        path = Path(self.name)
        if not path.exists():
            self._require("://" not in self.name, "network addresses are not opened; download it and give the file")
        self._require(path.exists(), "there is no such file")
        self._require(not path.is_dir(), "this is a folder; give a video file")
        self._require(path.is_file(), "this is not a regular file; give a video file")
        self._require(path.stat().st_size > 0, "the file is empty; give a video file")

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


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
