"""Prefetching of files in worker processes, in order; a file that kills its process stops no other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeVar

from claver.errors import VideoError, in_short
from claver.moved import renamed
from claver.processes import WorkerDiedError, WorkerPool

T = TypeVar("T")
Item = TypeVar("Item")

DECODE_TIMEOUT = 60.0
"""Seconds for one file by default."""


class GivenUpError(VideoError):
    """A file that took too long, which says nothing about its contents."""


def death_of_reader(name: str, error: WorkerDiedError) -> VideoError:
    """What is said of a video whose reading process died: of a crash by the name of its signal."""
    crashed = error.signal not in ("", "SIGKILL")  # by which the system ends whoever takes too much memory
    how = f"killed by {error.signal}, as when a decoder crashes" if crashed else None
    how = how or "killed, by its decoder or for want of memory"
    return VideoError(f"{in_short(name)}: the process that read it was {how}.")


def prefetch(
    paths: Iterable[Item],
    load: Callable[[Item], T],
    *,
    workers: int,
    threads: int = 0,
    depth: int | None = None,
    timeout: float | None = DECODE_TIMEOUT,
) -> Iterator[tuple[Item, T | VideoError]]:
    """Yield `(path, load(path))` in order, with up to `depth` files in work ahead of the consumer.

    Args:
        paths: the files, or whatever says where they are: it pickles, and as a string it is their name.
        load: picklable; runs in a worker process.
        workers: processes; 0 loads in this process.
        threads: where there are no workers, threads of this process that load; 0 loads lazily.
        depth: files in work or waiting to be fetched, twice the workers or threads if None; it bounds memory.
        timeout: seconds for one file, or since `load` last was `claver.processes.going_on`, None for no limit; only
            processes can be ended, so with 0 workers there is none.

    Yields:
        The path with its result, or with the `VideoError` it ended in. A file that kills its process (a crash in a
        decoder, or the system out of memory) counts as such an error; one that keeps it longer than `timeout` is a
        `GivenUpError`.
    """
    if workers < 1 and threads < 1:
        yield from ((path, _attempt(load, path)) for path in paths)
        return
    if (most := 2 * max(workers, threads) if depth is None else depth) < 1:
        raise ValueError(f"depth must be at least 1, not {depth}")
    work = partial(_attempt, load)
    pending: deque[tuple[Item, Future[T | VideoError]]] = deque()
    rest = iter(paths)
    with closing(WorkerPool(work, workers, timeout=timeout) if workers else _Threads(work, threads)) as pool:
        while True:
            for following in islice(rest, most - len(pending)):
                pending.append((following, pool.submit(following)))
            if not pending:
                return
            path, future = pending.popleft()
            yield path, _result(path, future, timeout)
            del path, future


class _Threads(Generic[Item, T]):
    """Threads in the place of worker processes."""

    def __init__(self, work: Callable[[Item], T], count: int) -> None:
        self._work, self._threads = work, ThreadPoolExecutor(count, "decoding")

    def submit(self, item: Item) -> Future[T]:
        return self._threads.submit(self._work, item)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _attempt(load: Callable[[Item], T], path: Item) -> T | VideoError:
    try:
        return load(path)
    except VideoError as error:
        error.__cause__ = error.__context__ = None  # their tracebacks would keep what was read so far
        return error.with_traceback(None)
    except MemoryError:
        return VideoError(f"{in_short(str(path))}: there is not enough memory for its frames.")
    except Exception as error:  # one odd file among thousands must not end the run; it is reported with its cause
        return VideoError(f"{in_short(str(path))}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _result(path: Item, future: Future[T | VideoError], timeout: float | None) -> T | VideoError:
    name = in_short(str(path))
    try:
        return future.result()
    except WorkerDiedError as error:
        return death_of_reader(str(path), error)
    except TimeoutError:
        return GivenUpError(
            f"{name}: it was not read within {timeout:g} s and was given up; a longer --decode-timeout lets it finish."
        )


def __getattr__(name: str) -> Any:
    return renamed(__name__, name)
