"""Work that a visitor waits for: how far it is, and that it can be stopped."""

from __future__ import annotations

from threading import Event

from claver.errors import ClaverError


class StoppedError(ClaverError):
    """The visitor stopped the work, or left."""


class Job:
    """One piece of work.

    Attributes:
        share: how much of it is done, in 0 … 1; None where that is not known.
        words: what is being done.
    """

    def __init__(self) -> None:
        self.share: float | None = None
        self.words = "starting"
        self._stopped = Event()

    def stop(self) -> None:
        """Stop it: soon `check` raises, wherever the work is."""
        self._stopped.set()

    def check(self) -> None:
        """Raise `StoppedError` if it is to stop."""
        if self._stopped.is_set():
            raise StoppedError("stopped")

    def report(self, share: float | None, words: str) -> None:
        """Say how far it is; also a place where it can stop."""
        self.check()
        self.share, self.words = share, words
