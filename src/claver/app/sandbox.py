"""Files of visitors are decoded in worker processes, with limits on time and memory, that a crash does not pass.

A task is a function of a module with arguments that pickle. It runs in a process of its own pool; where it is a
generator, what it yields arrives piece by piece, and it waits while nobody takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from inspect import isgenerator
from pathlib import Path
from typing import Any

from claver.app.job import Job
from claver.app.limits import Limits
from claver.closing import Closing
from claver.errors import VideoError, in_short
from claver.processes import WorkerDiedError, WorkerPool, report
from claver.video.prefetch import death_of_reader

Task = tuple[Callable[..., Any], tuple[Any, ...]]


class Sandbox(Closing):
    """Worker processes for untrusted files; `call` and `stream` may be used by several threads at a time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._pool: WorkerPool[Task, Any] = WorkerPool(
            partial(_perform, limits.memory), limits.workers, timeout=limits.decode_seconds
        )

    def call(self, job: Job, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns.

        Args:
            job: that can be stopped meanwhile; then the process is ended.
            name: what messages call the file.
            function: of a module.
            arguments: which pickle.

        Raises:
            StoppedError: the job was stopped.
            VideoError: of the function, or it took too long or too much memory, or its process died.
        """
        parts = self._run(job, name, function, arguments, self.limits.decode_seconds)
        try:
            while True:
                next(parts)
        except StopIteration as ended:
            return ended.value

    def stream(
        self, job: Job, name: str, function: Callable[..., Iterator[Any]], *arguments: Any
    ) -> Generator[Any, None, Any]:
        """What a generator yields, as it comes; errors as of `call`. Who closes it early ends the process."""
        return self._run(job, name, function, arguments, None)

    def _run(
        self, job: Job, name: str, function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float | None
    ) -> Generator[Any, None, Any]:
        try:
            return (yield from self._pool.stream((function, arguments), check=job.check, seconds=seconds))
        except TimeoutError as error:
            why = f"it was not read within {self.limits.decode_seconds:g} s"
            raise VideoError(f"{in_short(name)}: {why}.") from error
        except WorkerDiedError as error:
            raise death_of_reader(name, error) from error

    def close(self) -> None:
        """End all processes."""
        self._pool.close()


_limited = False


def _perform(memory: int, task: Task) -> Any:
    """The work of a process: the first time it limits its memory."""
    global _limited
    if not _limited:
        _limit_memory(memory)
        _limited = True
    function, arguments = task
    try:
        result = function(*arguments)
        if not isgenerator(result):
            return result
        for part in result:
            report(part)
    except MemoryError:
        raise VideoError("a file: there is not enough memory for its frames.") from None
    return None


def _limit_memory(more: int) -> None:
    """Let this process take so many bytes more than it has now; where the system has no such limit, do nothing."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        now = pages * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (now + more, most))
