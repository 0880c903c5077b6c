"""Ctrl-C, SIGTERM and a closed terminal: noted when they come, obeyed when a step is done and nothing would be lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_HEARD = b"\nclaver: stopping after this step, with a checkpoint; once more stops at once\n"


class Interrupted(KeyboardInterrupt):
    """A run was told to stop.

    Attributes:
        number: the signal's.
        step: of the checkpoint that was saved then; None if none was.
    """

    def __init__(self, number: int, step: int | None = None) -> None:
        super().__init__(f"signal {number}")
        self.number, self.step = number, step


class Stop:
    """Whether this process was told to stop.

    Attributes:
        number: of the signal that said so; 0 if none did.
    """

    def __init__(self, *, speaks: bool = False) -> None:
        self.number = 0
        self._speaks, self._at_once = speaks, False
        self._before: dict[int, Any] = {}

    @contextmanager
    def watched(self) -> Iterator[Stop]:
        """Within this context the first of these signals is noted; a second one acts as ever.

        What is ignored, as SIGHUP is under `nohup`, stays so.
        """
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._heard) for number in heard}
        try:
            yield self
        finally:
            for number in list(self._before):
                self._as_before(number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within this context a signal raises `Interrupted` where it finds the program."""
        self._at_once = True
        try:
            if self.number:
                raise Interrupted(self.number)
            yield
        finally:
            self._at_once = False

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self._as_before(number)
        self.number = number
        if self._at_once:
            raise Interrupted(number)
        if self._speaks:
            os.write(2, _HEARD)  # a print could meet another, half done

    def _as_before(self, number: int) -> None:
        if (before := self._before.pop(number, None)) is not None:
            signal.signal(number, before)
