"""FFmpeg's error messages: counted for all threads, or collected for the calling one.

Some decoders conceal damage, or pass over it, and tell only the log. The log is one for the whole process, so its
level is raised only while someone listens, and put back to the user's own after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from av import logging as ffmpeg

Messages = list[tuple[int, str, str]]
"""Level, source (a decoder's or demuxer's name), and message."""

QUIET = -8  # FFmpeg's own word for no messages at all

_lock = Lock()
_levels: list[int] = []
_user: tuple[int | None, bool] = (None, True)


@contextmanager
def collected_errors() -> Iterator[Messages]:
    """The messages of errors that FFmpeg writes in this thread within the context; keep it around single calls.

    Two readers that take turns would otherwise get each other's.
    """
    # What other threads write meanwhile must not reach Python's logging, and with it the terminal.
    with _listening(ffmpeg.ERROR), ffmpeg.Capture(local=False), ffmpeg.Capture() as messages:
        yield messages


class ErrorCount:
    """Tells whether FFmpeg wrote an error since the context was entered, in any thread of the process."""

    def __enter__(self) -> ErrorCount:
        self._listening = _listening(ffmpeg.PANIC)
        self._listening.__enter__()
        self._before = ffmpeg.get_last_error()[0]
        return self

    def __exit__(self, *error: object) -> None:
        self._listening.__exit__(None, None, None)

    def __bool__(self) -> bool:
        return bool(ffmpeg.get_last_error()[0] != self._before)


@contextmanager
def _listening(level: int) -> Iterator[None]:
    global _user
    with _lock:
        if not _levels:
            _user = (ffmpeg.get_level(), ffmpeg.get_skip_repeated())
            ffmpeg.set_skip_repeated(False)
        _levels.append(level)
        ffmpeg.set_level(max([*_levels, _user[0] or 0]))
    try:
        yield
    finally:
        with _lock:
            _levels.remove(level)
            ffmpeg.set_level(max([*_levels, _user[0] or 0]))
            if not _levels:
                ffmpeg.set_skip_repeated(_user[1])
                if not _user[0]:
                    _be_quiet()


def _be_quiet() -> None:
    """As without a level, which PyAV must not be without while a decoder's thread still hands it a message."""
    ffmpeg.set_libav_level(QUIET)
    ffmpeg.restore_default_callback()
