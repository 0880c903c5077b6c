"""Decoding threads of several live sources, and the queues from which their frames are taken."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from claver.errors import ClaverError, VideoError
from claver.log import logger
from claver.video.iterating import TimedFrame
from claver.video.live_source import LiveSource

QUEUED = 4
"""Frames of a file that are decoded ahead."""


@dataclass(frozen=True)
class Arrived:
    """A frame, and when it was decoded."""

    frame: TimedFrame
    at: float


def _reopened(*arrived: Arrived) -> bool:
    return any(one.frame.reopened for one in arrived)


class Feeds:
    """Decoding threads, one per source, and queues from which the model takes frames."""

    def __init__(self, sources: Sequence[LiveSource], fps: float | None, reconnect: bool, newest: bool | None) -> None:
        self._changed, self._stop = threading.Condition(), threading.Event()
        self._queues: list[deque[Arrived]] = [deque() for _ in sources]
        self._ended = [False] * len(sources)
        self._errors: list[Exception] = []
        self.dropped = [0] * len(sources)
        self._sources, self._newest = sources, newest
        self._threads = [
            threading.Thread(target=self._run, args=(number, source, fps, reconnect), daemon=True)
            for number, source in enumerate(sources)
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> list[Arrived | None] | None:
        """The next frame of each stream that has one, at least one; None when all have ended.

        Raises:
            VideoError: a source failed, and all others have ended.
        """
        with self._changed:
            while not any(self._queues):
                if all(self._ended):
                    if self._errors:
                        raise self._errors[0]
                    return None
                self._changed.wait(0.2)  # bounded, so that Ctrl-C is heard
            taken = [queue.popleft() if queue else None for queue in self._queues]
            self._changed.notify_all()
            return taken

    def close(self) -> None:
        """Stop the threads; one that waits for a silent network stops at its timeout."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=2)

    def _run(self, number: int, source: LiveSource, fps: float | None, reconnect: bool) -> None:
        def lost(why: str) -> None:
            logger.warning("%s is lost (%s); it is tried again", source.name, why.rstrip("."))

        try:
            with closing(source.lasting(fps, reconnect=reconnect, on_lost=lost, stopped=self._stop.wait)) as frames:  # type: ignore[type-var]
                for frame in frames:
                    if not self._put(number, Arrived(frame, time.perf_counter())):
                        return
        except Exception as error:
            failure = error if isinstance(error, ClaverError) else VideoError(f"{source.name}: {error}")
            if len(self._sources) > 1:  # the others go on
                logger.warning("%s", failure)
            with self._changed:
                self._errors.append(failure)
        finally:
            with self._changed:
                self._ended[number] = True
                self._changed.notify_all()

    def _takes_newest(self, number: int) -> bool:
        return self._sources[number].is_live if self._newest is None else self._newest

    def _put(self, number: int, arrived: Arrived) -> bool:
        """Queue a frame; False when the consumer has stopped."""
        queue = self._queues[number]
        with self._changed:
            while not self._takes_newest(number) and len(queue) >= QUEUED and not self._stop.is_set():
                self._changed.wait(0.2)
            if self._takes_newest(number) and queue:
                dropped = queue.pop()
                arrived = replace(arrived, frame=replace(arrived.frame, reopened=_reopened(dropped, arrived)))
                self.dropped[number] += 1
            queue.append(arrived)
            self._changed.notify_all()
        return not self._stop.is_set()
