"""Frames of many videos, decoded ahead in worker processes, of which a crash of a decoder ends one alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from queue import Empty, Queue
from typing import Any

from claver.closing import Closing
from claver.errors import VideoError, in_short
from claver.inference.cutting import Cutter, StoppedError, Unencoded, VideoEnd, VideoFrames
from claver.processes import WorkerDiedError, WorkerPool
from claver.video.prefetch import death_of_reader

_POLL = 0.1  # seconds between two looks at whether it is to end


class FramesAhead(Closing):
    """Gives the batches of frames of many videos, each video's in order, and after them its end.

    Memory does not depend on the number or length of the videos: who decodes waits as long as nobody takes its frames.

    Args:
        cutter: how a video is decoded.
        paths: of the videos, no two alike; two for each that decodes are taken ahead.
        workers: processes that decode. A video whose process dies has an end with an error; the others go on.
        threads: of this process that decode where `workers` is 0; there a crash of a decoder ends this process.
        timeout: seconds after which a worker that gives no frame gives its video up; None for never.

    Iterating raises `ClaverError` where no process starts, and what `paths` raises.
    """

    def __init__(
        self, cutter: Cutter, paths: Iterator[str], *, workers: int = 0, threads: int = 1, timeout: float | None = None
    ) -> None:
        self._cutter, self._paths, self._timeout = cutter, paths, timeout
        self._decoders = workers or threads
        # Only frames wait for room: an end is put by whoever learns of it, which may be the thread that takes here.
        self._queue: Queue[VideoFrames | VideoEnd | BaseException] = Queue()
        self._room = threading.Semaphore(2 * self._decoders + 2)
        self._stop = threading.Event()
        self._under_way = 0
        self._pool = WorkerPool[str, VideoEnd](cutter, workers, timeout=timeout) if workers else None
        self._threads = None if workers else ThreadPoolExecutor(threads, "decoding")

    def __iter__(self) -> Iterator[VideoFrames | VideoEnd]:
        self._begin(2 * self._decoders)
        while self._under_way:
            try:
                item = self._queue.get(timeout=_POLL)  # so that Ctrl-C is heard between two looks
            except Empty:
                continue
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, VideoEnd):
                self._under_way -= 1
                self._begin(1)
            else:
                self._room.release()
            yield item
            del item  # its pixels are not kept while the next ones are waited for

    def close(self) -> None:
        """End all decoding, at once where processes do it."""
        self._stop.set()
        if self._pool is not None:
            self._pool.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, count: int) -> None:
        for path in islice(self._paths, count):
            self._under_way += 1
            future: Future[VideoEnd]
            if self._pool is not None:
                future = self._pool.submit(path, self._hear)
            else:
                assert self._threads is not None
                future = self._threads.submit(self._cutter, path, self._put)
            future.add_done_callback(partial(self._finish, path))

    def _hear(self, part: Any) -> None:
        if part is not None:
            self._put(part)
        elif self._stop.is_set():
            raise StoppedError

    def _put(self, frames: VideoFrames) -> None:
        while not self._stop.is_set():
            if self._room.acquire(timeout=_POLL):
                self._queue.put(frames)
                return
        raise StoppedError

    def _finish(self, path: str, future: Future[VideoEnd]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        self._queue.put(future.result() if error is None else self._ended(path, error))

    def _ended(self, path: str, error: BaseException) -> VideoEnd | BaseException:
        """What is said of a video whose process was ended; any other error ends all."""
        if isinstance(error, WorkerDiedError):
            # For want of memory another time may do; a crash comes again with the same bytes.
            passing, why = error.signal in ("", "SIGKILL"), death_of_reader(path, error)
        elif isinstance(error, TimeoutError):
            passing, why = (
                True,
                VideoError(f"{in_short(path)}: it gave no frame for {self._timeout:g} s and was given up."),
            )
        else:
            return error
        return VideoEnd(path, error=Unencoded(path, why, passing, "" if passing else self._note(path)))

    def _note(self, path: str) -> str:
        try:
            return self._cutter.note(path)
        except OSError:
            return ""
