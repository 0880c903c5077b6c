"""Worker processes: each may crash or be ended alone, and all end with their parent."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from queue import Empty, Full, Queue, SimpleQueue
from typing import Any, Generic, TypeVar

from claver.errors import ClaverError
from claver.terminal import Loudness, loudness, set_loudness, show_warnings

T = TypeVar("T")
Item = TypeVar("Item")
Hear = Callable[[Any], object]
"""Called with each part that a task reports, and with None often in between; what it raises ends the task's process."""

# They reach the whole process group (Ctrl-C, a closed terminal, a stopped service): the parent decides what ends.
GROUP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
_PR_SET_PDEATHSIG = 1
_TELL_SECONDS = 0.05
_HEAR_SECONDS = 0.1
_AHEAD = 8  # parts of a stream that wait to be taken
_END = object()  # wakes who waits for a part when there are no more

# Of a process that works for another: the way to it, and when it was last told of progress.
_pipe: Connection | None = None
_told = 0.0


class WorkerDiedError(Exception):
    """The process ended before it answered: a crash, or the system out of memory.

    Attributes:
        signal: the name of the signal that ended it, such as SIGSEGV; empty if there was none.
    """

    def __init__(self, exit_code: int | None = None) -> None:
        super().__init__()
        self.signal = signal.Signals(-exit_code).name if exit_code is not None and exit_code < 0 else ""


@dataclass(frozen=True)
class _Part:
    """A part of a task's result, ahead of the rest."""

    value: Any


class WorkerPool(Generic[Item, T]):
    """A pool of worker processes.

    Args:
        work: done with each item; it and the items pickle, and so do its results and what it raises.
        count: processes; each starts with its first task.
        timeout: seconds for a task, or since it last was `going_on`, None for no limit. The process of one that takes
            longer is ended.

    A task that ends its process gets a second try, in case the system was out of memory for another's sake; not one
    that is heard.
    """

    def __init__(self, work: Callable[[Item], T], count: int, *, timeout: float | None = None) -> None:
        self._tasks: SimpleQueue[tuple[Item, Future[T], Hear | None] | None] = SimpleQueue()
        self._workers = [_Worker(work, timeout) for _ in range(count)]
        resource_tracker.ensure_running()  # when it starts it lets through the signals that our threads block
        for worker in self._workers:
            threading.Thread(target=self._serve, args=(worker,), daemon=True).start()
        atexit.register(self.close)

    def submit(self, item: Item, hear: Hear | None = None) -> Future[T]:
        """The answer to come: a result, `WorkerDiedError`, `TimeoutError`, or `ClaverError` if no process starts.

        Args:
            item: what the work is done with.
            hear: called, in a thread of the pool, with what the work gives to `report`, and with None ten times a
                second. What it raises becomes the answer and ends the process at once; if it waits, so does the work.
        """
        future: Future[T] = Future()
        self._tasks.put((item, future, hear))
        return future

    def stream(
        self, item: Item, *, check: Callable[[], object] = lambda: None, seconds: float | None = None
    ) -> Generator[Any, None, T]:
        """The parts that the work gives to `report`, as they come, then its result; who closes it ends the process.

        Args:
            item: what the work is done with.
            check: called ten times a second; what it raises ends the process and is raised here.
            seconds: for the whole task, from when a process has it; None for no limit.

        Raises:
            TimeoutError: a limit on time was passed.
            WorkerDiedError: the process died.
        """
        heard = _Heard(check, seconds)
        future = self.submit(item, heard)
        future.add_done_callback(heard.end)
        try:
            while not (future.done() and heard.parts.empty()):
                check()
                with suppress(Empty):
                    part = heard.parts.get(timeout=_HEAR_SECONDS)
                    if part is not _END:
                        yield part
            return future.result()
        finally:
            heard.left.set()

    def close(self) -> None:
        """End all processes at once, whatever they do; tasks in work are never answered."""
        atexit.unregister(self.close)
        for worker in self._workers:
            worker.close()
        for _ in self._workers:
            self._tasks.put(None)

    def _serve(self, worker: _Worker[Item, T]) -> None:
        """A thread for each worker, which starts its process and so must live as long."""
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)  # inherited by the process before its first line
        while (task := self._tasks.get()) is not None and not worker.closed:
            item, future, hear = task
            try:
                future.set_result(worker.run(item, hear))
            except BaseException as error:  # whoever waits for the answer gets it
                future.set_exception(error)
            del task, item, future, hear


class _LeftError(Exception):
    """Nobody waits for the task any more."""


class _Heard:
    """Takes the parts of a task, in a thread of the pool, and ends it when it is to stop or its time is over."""

    def __init__(self, check: Callable[[], object], seconds: float | None) -> None:
        self.parts: Queue[Any] = Queue(_AHEAD)
        self.left = threading.Event()
        self._check_for_end, self._seconds, self._deadline = check, seconds, float("inf")

    def __call__(self, part: Any) -> None:
        if self._deadline == float("inf") and self._seconds is not None:
            self._deadline = time.monotonic() + self._seconds  # from now on a process has it
        self._check()
        while part is not None:
            with suppress(Full):
                self.parts.put(part, timeout=_HEAR_SECONDS)
                return
            self._check()

    def end(self, answered: object) -> None:
        with suppress(Full):  # else who takes the parts finds the answer after them
            self.parts.put_nowait(_END)

    def _check(self) -> None:
        self._check_for_end()
        if self.left.is_set():
            raise _LeftError
        if time.monotonic() > self._deadline:
            raise TimeoutError


class _Worker(Generic[Item, T]):
    """A process and the pipe to it; started with the first task, and again after it died."""

    def __init__(self, work: Callable[[Item], T], timeout: float | None) -> None:
        self.closed = False
        self._work, self._timeout = work, timeout
        self._process: Any = None
        self._pipe: Any = None
        self._lock = threading.Lock()

    def run(self, item: Item, hear: Hear | None) -> T:
        if hear is not None:
            hear(None)  # what nobody waits for any more is not begun, and ends no process
        try:
            result, error = self._ask(item, hear)
        except WorkerDiedError:
            if hear is not None:
                raise
            result, error = self._ask(item, hear)
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        with self._lock:
            self.closed = True
            self._kill()

    def _ask(self, item: Item, hear: Hear | None) -> Any:
        try:
            if self._process is None:
                self._start()
            self._pipe.send(item)
            answer = None
            while answer is None or isinstance(answer, _Part):  # None says that the task is going on
                if hear is not None and answer is not None:
                    hear(answer.value)
                answer = self._next(hear)
            return answer
        except BaseException as error:
            with self._lock:
                code = self._kill()
            if isinstance(error, EOFError | ConnectionError):
                raise WorkerDiedError(code) from error
            raise

    def _next(self, hear: Hear | None) -> Any:
        """What the process says next."""
        began = time.monotonic()
        while not self._pipe.poll(self._timeout if hear is None else _HEAR_SECONDS):
            if hear is None or (self._timeout is not None and time.monotonic() - began > self._timeout):
                raise TimeoutError
            hear(None)
        return self._pipe.recv()

    def _start(self) -> None:
        # Forking a process in which torch has threads can deadlock; spawning cannot.
        context = multiprocessing.get_context("spawn")
        with self._lock:
            if self.closed:
                raise WorkerDiedError
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_main, args=(theirs, self._work, loudness()))
            self._process.start()
            theirs.close()
        try:
            self._pipe.recv()  # its imports take seconds, which are not counted as time of its first task
        except (EOFError, ConnectionError) as error:
            raise ClaverError(
                "a process that reads ahead could not start (a script that asks for workers needs "
                '`if __name__ == "__main__":` around what it does; with little memory try fewer workers, or 0)'
            ) from error

    def _kill(self) -> int | None:
        """End the process; if it had ended before, its exit code is that of its own end."""
        code: int | None = None
        if self._process is not None and self._process.pid is not None:
            self._process.kill()
            self._process.join()
            code = self._process.exitcode
        self._process = None
        return code


def going_on() -> None:
    """Report progress of the running task: its time limit starts over. Call it often; outside a pool a no-op."""
    global _told
    if _pipe is not None and time.monotonic() - _told > _TELL_SECONDS:
        _told = time.monotonic()
        _pipe.send(None)


def report(part: Any) -> None:
    """Hand on a part of the running task's result; waits while nobody takes it. Outside a pool a no-op."""
    if _pipe is not None:
        _pipe.send(_Part(part))


def _main(pipe: Connection, work: Callable[[Item], T], level: Loudness) -> None:
    """The main loop of a worker process."""
    import torch

    global _pipe
    _pipe = pipe
    end_with_parent()
    show_warnings()
    set_loudness(level)
    for number in GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)  # one for each of many processes
    with suppress(EOFError, ConnectionError):
        pipe.send("ready")
        while True:
            item = pipe.recv()
            pipe.send(_attempt(work, item))
            del item


def _attempt(work: Callable[[Item], T], item: Item) -> tuple[T | None, BaseException | None]:
    try:
        return work(item), None
    except Exception as error:
        return None, error.with_traceback(None)


def end_with_parent() -> None:
    """End this process, started by `multiprocessing`, as soon as its parent ends, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Where there is no such signal, and for a parent that was faster.
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)
