"""Signals that end a process: work is left as by Ctrl-C, in order, with the exit code that shells expect."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from claver.terminal import complain

# The terminal is closed, `kill`, Ctrl-\ (some systems lack some of them). Ctrl-C is Python's own.
_ENDING = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGTERM", "SIGQUIT") if hasattr(signal, name))


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Within it SIGHUP, SIGTERM and SIGQUIT act as Ctrl-C does, and end in exit code 128 + their number.

    A second one ends the process at once. What is ignored, as under `nohup`, stays so.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    ours = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    except BaseException:
        if not received:
            raise
        with suppress(OSError):  # the terminal may be gone
            complain(f"ended by {signal.Signals(received[0]).name}")
        raise SystemExit(128 + received[0]) from None
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
