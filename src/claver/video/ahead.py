"""Files read ahead of need, in processes of their own and in order; one that kills its process stops no other."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from claver.errors import VideoError

T = TypeVar("T")
Item = TypeVar("Item")


def load_ahead(
    paths: Iterable[Item], load: Callable[[Item], T], *, workers: int, depth: int | None = None
) -> Iterator[tuple[Item, T | VideoError]]:
    """Yield `(path, load(path))` in order, with up to `depth` files in work ahead of the consumer.

    Args:
        paths: the files, or whatever says where they are: it pickles, and as a string it is their name.
        load: picklable; runs in a worker process.
        workers: processes; 0 works in this one, when asked and not before.
        depth: files in work or waiting to be fetched, twice the workers if None; it bounds memory.

    Yields:
        The path with its result, or with the `VideoError` it ended in. A file that kills its process (a crash in a
        decoder, or the system out of memory) counts as such an error.
    """
    if workers < 1:
        yield from ((path, _attempt(load, path)) for path in paths)
        return
    pool = _pool(workers)
    pending: deque[tuple[Item, Future[T | VideoError]]] = deque()
    rest = iter(paths)
    try:
        while True:
            for following in islice(rest, (depth or 2 * workers) - len(pending)):
                pending.append((following, _submit(pool, load, following)))
            if not pending:
                return
            path, future = pending.popleft()
            try:
                result = future.result()
            except BrokenProcessPool:
                # Whose fault it was is not known: this file gets a process to itself, the others start anew.
                result = _alone(load, path)
                pool.shutdown(wait=False, cancel_futures=True)
                pool = _pool(workers)
                pending = deque((waiting, _submit(pool, load, waiting)) for waiting, _ in pending)
            yield path, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _attempt(load: Callable[[Item], T], path: Item) -> T | VideoError:
    try:
        return load(path)
    except VideoError as error:
        return error
    except MemoryError:
        return VideoError(f"{path}: there is not enough memory for its frames.")
    except Exception as error:  # one odd file among thousands must not end the run; it is reported with its cause
        return VideoError(f"{path}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _pool(workers: int) -> ProcessPoolExecutor:
    # Forking a process in which torch has threads can deadlock; spawning cannot.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)


def _start_worker() -> None:
    """Ctrl-C reaches the whole process group: the parent decides. One thread for each of many."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _submit(pool: ProcessPoolExecutor, load: Callable[[Item], T], path: Item) -> Future[T | VideoError]:
    try:
        with _interrupts_blocked():
            return pool.submit(_attempt, load, path)
    except BrokenProcessPool as error:
        broken: Future[T | VideoError] = Future()
        broken.set_exception(error)
        return broken


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A worker that starts inherits the block: Ctrl-C while it still imports would end it with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _alone(load: Callable[[Item], T], path: Item) -> T | VideoError:
    with _pool(1) as pool:
        try:
            return _submit(pool, load, path).result()
        except BrokenProcessPool:
            return VideoError(f"{path}: the process that read it was killed, by its decoder or for want of memory.")
