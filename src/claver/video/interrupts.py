"""Ctrl-C while FFmpeg asks Python for bytes: PyAV can hand on errors from there, but not a `KeyboardInterrupt`.

Python tells of an exception that nobody can be given through `sys.unraisablehook`. There such an interrupt is heard,
and whoever called FFmpeg raises it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Event, current_thread, main_thread
from types import TracebackType
from typing import Any

_lost = Event()


class Interruptible:
    """Within this context a Ctrl-C that FFmpeg's call for bytes swallowed is raised at the end of the context."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _lost.is_set() and current_thread() is main_thread():
            _lost.clear()
            raise KeyboardInterrupt from None


def _hear(told_before: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def hear(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            _lost.set()
        else:
            told_before(unraisable)

    return hear


sys.unraisablehook = _hear(sys.unraisablehook)
interruptible = Interruptible()
