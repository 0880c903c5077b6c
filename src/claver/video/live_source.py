"""Sources of live frames: a file, a camera, an address or standard input, reopened when lost."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av

from claver.errors import VideoError, in_short
from claver.video.iterating import TimedFrame
from claver.video.live import iterate_stream
from claver.video.reader import VideoReader
from claver.video.source import LISTS, MAX_PIXELS

Kind = Literal["file", "camera", "network", "stdin"]
OPEN_SECONDS, SILENT_SECONDS = 10.0, 10.0
"""How long an address may take to answer, and a stream to send nothing, before it counts as lost."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds until a lost stream is tried again, doubled each time up to the longest."""

_USER = re.compile(r"//[^/@]*@")  # name and password of an address, which nobody is to read
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.I)
# What FFmpeg may open for an address that was typed, by its scheme: never a file of this machine.
_PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp,tls",
    "rtsps": "rtsp,rtsps,rtp,udp,tcp,tls",
    "http": "http,https,tcp,tls,crypto,httpproxy",
    "https": "http,https,tcp,tls,crypto,httpproxy",
    "tcp": "tcp",
    "udp": "udp",
    "rtp": "rtp,udp",
    "srt": "srt",
    "rtmp": "rtmp,tcp",
}


@dataclass
class LiveSource:
    """A source of live frames, as the user named it.

    Attributes:
        name: as it was written.
        kind: what it is.
        target: the file, device or address.
        ends: whether it has an end of its own, as far as is known; of an address it is known when it is opened.
    """

    name: str
    kind: Kind
    target: str
    ends: bool = False

    @classmethod
    def parse(cls, source: str | Path | int) -> LiveSource:
        """From a path, `0` or another number of a camera, `/dev/video0`, an address, or `-` for standard input.

        Raises:
            VideoError: an address of a kind that is not read, or no such file.
        """
        name = str(source)
        if name == "-":
            return cls("<stdin>", "stdin", name, ends=True)
        if name.isdecimal() and not Path(name).exists():
            return cls(f"camera {name}", "camera", f"/dev/video{name}")
        if name.startswith("/dev/video"):
            return cls(name, "camera", name)
        if match := _ADDRESS.match(name):
            if match[1].lower() not in _PROTOCOLS:
                raise VideoError(f"{in_short(name)}: addresses are read of {', '.join(_PROTOCOLS)}, not {match[1]}.")
            return cls(_USER.sub("//", name), "network", name)
        if not Path(name).is_file():
            raise VideoError(f"{in_short(name)}: there is no such file; give a file, a camera, an address or -.")
        return cls(name, "file", name, ends=True)

    @property
    def is_live(self) -> bool:
        """Whether it does not wait for its reader, as a camera or a network stream: then the newest frame wins."""
        return not self.ends

    def frames(self, fps: float | None) -> Iterator[TimedFrame]:
        """Its frames, from one opening of it to its end.

        Args:
            fps: at most so many in a second, evenly spaced; None for every frame.

        Raises:
            VideoError: it cannot be opened, is no video, or broke off.
        """
        if self.kind == "file":
            with VideoReader(self.target) as video, video.frames(fps=fps) as frames:
                yield from frames
            return
        container = self._open()
        try:
            if self.kind == "network":  # a file that a web server has: of a stream neither length is known
                self.ends = bool(container.duration) or _size_of(container) > 0
            with iterate_stream(container, fps=fps) as frames:
                yield from frames
        finally:
            container.close()

    def _open(self) -> Any:
        limits = {"max_pixels": str(MAX_PIXELS)}
        try:
            if self.kind == "stdin":
                piped = _Piped()
                if any(piped.head.startswith(mark) for mark, _ in LISTS):
                    raise VideoError(f"{self.name}: it is a list of other files; give the video itself.")
                return av.open(piped.stream, "r", options=limits | {"protocol_whitelist": ""})
            if self.kind == "camera":
                if sys.platform == "win32":
                    raise VideoError(f"{self.name}: cameras are read on Linux and macOS; give an address or a file.")
                form = "v4l2" if sys.platform.startswith("linux") else "avfoundation"
                return av.open(self.target, "r", format=form, options=limits)
            scheme = _ADDRESS.match(self.target)
            assert scheme is not None
            options = limits | {"protocol_whitelist": _PROTOCOLS[scheme[1].lower()]}
            if scheme[1].lower() in ("rtsp", "rtsps"):
                options["rtsp_transport"] = "tcp"
            return av.open(self.target, "r", timeout=(OPEN_SECONDS, SILENT_SECONDS), options=options)
        except VideoError:
            raise
        except Exception as error:  # PyAV raises more than FFmpeg's errors
            reason = str(getattr(error, "strerror", None) or error).rstrip(".")
            raise VideoError(f"{in_short(self.name)}: it cannot be opened ({reason}).") from error

    def lasting(
        self,
        fps: float | None,
        *,
        reconnect: bool = True,
        on_lost: Callable[[str], None] = lambda why: None,
        stopped: Callable[[float], bool] | None = None,
    ) -> Iterator[TimedFrame]:
        """Its frames, reopening a live source that is lost, with exponential backoff.

        Seconds continue: they count from the first frame of all, a pause included.

        Args:
            fps: as of `frames`.
            reconnect: whether to open it again; a file, and standard input, end when they end.
            on_lost: called with the reason, once each time the stream is lost.
            stopped: waits for so many seconds, and returns whether to stop; only waits if None.

        Raises:
            VideoError: it could not be opened the first time, or is not opened again.
        """
        began: float | None = None
        last: float | None = None
        wait, shift, told = FIRST_WAIT, 0.0, False
        while True:
            why = "it ended"
            try:
                first = True
                for frame in self.frames(fps):
                    now = time.monotonic()
                    began = now if began is None else began
                    again = first and last is not None
                    if again:
                        shift = max(now - began, last or 0.0)
                    first, told, wait, last = False, False, FIRST_WAIT, shift + frame.seconds
                    yield TimedFrame(last, frame.pixels, frame.damaged, again)
            except VideoError as error:
                if began is None or not (reconnect and self.is_live):
                    raise
                why = str(error)
            if not (reconnect and self.is_live) or began is None:
                return
            if not told:
                on_lost(why)
                told = True
            if (stopped or threading.Event().wait)(wait):
                return
            wait = min(2 * wait, LONGEST_WAIT)


def _size_of(container: Any) -> int:
    """Bytes, as far as the server tells; none for what has no end."""
    try:
        return int(container.size)
    except (av.FFmpegError, TypeError, ValueError):
        return 0


class _Piped:
    """Standard input past Python's own buffer, whose lock a thread that waits for data would hold to the very end.

    Attributes:
        head: its first bytes.
        stream: what it is read from: the file itself where standard input is one, so that FFmpeg may seek in it.
    """

    def __init__(self) -> None:
        self._raw: Any = os.fdopen(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
        self.head: bytes = self._raw.read(64) or b""
        self._first = self.head
        self.stream: Any = self._raw if self._raw.seekable() else self
        if self._raw.seekable():
            self._raw.seek(-len(self.head), os.SEEK_CUR)

    def read(self, size: int) -> bytes:
        """Up to so many bytes, as they come."""
        first, self._first = self._first[:size], self._first[size:]
        return first or self._raw.read(size) or b""
