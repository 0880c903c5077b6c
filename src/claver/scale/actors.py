"""A pool of Ray actors that do the items of a job: each owns the model, and only names and answers travel."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from claver.errors import ClaverError
from claver.log import logger
from claver.scale.cluster import Actors

R = TypeVar("R")
Open = Callable[[], Callable[[Sequence[str]], Iterable[R]]]
"""Called once in each actor: opens the model, and returns what does some items. It pickles."""

CHUNK = 64
"""Items of a task."""
_IN_FLIGHT = 2
_TURN = 1.0  # seconds between two looks at the machines
_START_SECONDS = 900.0
_STARTS = 3  # deaths of actors that open the model, one after the other, that end the run
_TRIES = 2  # deaths of actors over an item that was alone


@dataclass(frozen=True)
class _Chunk:
    """Items of a task, and how many actors died when it was alone in them."""

    items: tuple[str, ...]
    deaths: int = 0


@dataclass(eq=False)
class _Member:
    """An actor, and its tasks in the order in which it does them."""

    actor: Any
    opened: Any
    ready: bool = False
    tasks: dict[Any, _Chunk] = field(default_factory=dict)


class ActorPool(Generic[R]):
    """Does items in Ray actors, in any order, each once; an actor that dies is replaced.

    The items that were under way in an actor that died are done again, each alone; one over which two actors died alone
    has `failed` for an answer, and costs no other item anything.

    Args:
        open_work: makes what an actor does.
        actors: how many, and what each takes.
        failed: the answer for an item over which actors die.
        chunk: items of a task; with a multiple of the batch size the batches are those of a run on one machine.
    """

    def __init__(self, open_work: Open[R], actors: Actors, failed: Callable[[str], R], *, chunk: int = CHUNK) -> None:
        if chunk < 1:
            raise ClaverError(f"chunk is a number of items, at least 1, not {chunk}")
        self._open, self._actors, self._failed, self._chunk = open_work, actors, failed, chunk
        self._members: list[_Member] = []
        self._todo: deque[_Chunk] = deque()
        self._dead_starts, self._lively = 0, 0.0

    def __call__(self, items: Sequence[str]) -> Iterator[R]:
        """The answers, as they come.

        Raises:
            ClaverError: no actor can be started, or what an actor raises.
        """
        self._todo.extend(_Chunk(tuple(items[at : at + self._chunk])) for at in range(0, len(items), self._chunk))
        self._lively = time.monotonic()
        try:
            while self._todo or any(member.tasks for member in self._members):
                self._grow()
                self._feed()
                yield from self._next_answers()
        finally:
            self._end()

    def _grow(self) -> None:
        """Start actors: the least, and one more while there are tasks and the machines have room for it."""
        import ray

        starting = sum(not member.ready for member in self._members)
        wanted = min(self._actors.most, len(self._todo) + sum(bool(member.tasks) for member in self._members))
        while len(self._members) < min(self._actors.least, max(wanted, 1)):
            self._start()
            starting += 1
        if len(self._members) < wanted and not starting and self._actors.fitting(ray.available_resources()):
            self._start()

    def _start(self) -> None:
        import ray

        settings: dict[str, Any] = {"num_cpus": self._actors.cpus, "num_gpus": self._actors.gpus or 0}
        actor = (
            ray.remote(_Actor).options(max_restarts=0, max_concurrency=1, **settings).remote(self._open, os.getcwd())
        )
        self._members.append(_Member(actor, actor.opened.remote()))

    def _feed(self) -> None:
        """Two tasks for each actor that is ready, shared out evenly; a suspected item is alone in its actor."""
        for depth in range(1, _IN_FLIGHT + 1):
            for member in self._members:
                if self._todo and member.ready and len(member.tasks) < depth and self._may_have(member):
                    chunk = self._todo.popleft()
                    member.tasks[member.actor.do.remote(chunk.items)] = chunk

    def _may_have(self, member: _Member) -> bool:
        suspected = self._todo[0].deaths or any(chunk.deaths for chunk in member.tasks.values())
        return not (suspected and member.tasks)

    def _next_answers(self) -> Iterator[R]:
        import ray

        waited: dict[Any, _Member] = {}
        for member in self._members:
            waited |= dict.fromkeys(member.tasks, member) if member.ready else {member.opened: member}
        done, _ = ray.wait(list(waited), num_returns=1, timeout=_TURN)
        for reference in done:
            member = waited[reference]
            if member not in self._members:  # it died over another task that was looked at before
                continue
            if reference is member.opened:
                self._open_or_bury(member)
            else:
                yield from self._answers(member, reference)
        self._require_life()

    def _open_or_bury(self, member: _Member) -> None:
        try:
            _got(member.opened)
        except _deaths():
            self._members.remove(member)
            self._dead_starts += 1
            if self._dead_starts >= _STARTS:
                raise ClaverError(
                    f"{_STARTS} Ray actors died one after the other while they opened the model; with less memory "
                    "than it needs ask for fewer actors, or for more CPUs for each"
                ) from None
            return
        member.ready, self._dead_starts = True, 0

    def _answers(self, member: _Member, reference: Any) -> Iterator[R]:
        try:
            answers = _got(reference)
        except _deaths():
            yield from self._bury(member)
            return
        del member.tasks[reference]
        yield from answers

    def _bury(self, member: _Member) -> Iterator[R]:
        """Take what a dead actor had finished, do the rest again: what it was at is suspected, what waited is not."""
        self._members.remove(member)
        with suppress(Exception):
            _kill(member.actor)
        left: list[_Chunk] = []
        for reference, chunk in member.tasks.items():
            try:
                yield from _got(reference)
            except _deaths():
                left.append(chunk)
        if not left:
            return
        self._todo.extendleft(reversed(left[1:]))
        died = left[0]
        if len(died.items) > 1:
            logger.warning("an actor of Ray died; what it was at is done again, one by one")
            self._todo.extendleft(_Chunk((item,)) for item in reversed(died.items))
        elif died.deaths + 1 < _TRIES:
            self._todo.appendleft(_Chunk(died.items, died.deaths + 1))
        else:
            yield self._failed(died.items[0])

    def _require_life(self) -> None:
        if any(member.ready for member in self._members):
            self._lively = time.monotonic()
        elif time.monotonic() - self._lively > _START_SECONDS:
            raise ClaverError(
                f"no Ray actor of {self._actors} started within {_START_SECONDS:g} s; the cluster is busy with other "
                "work, or its machines are gone; what is done is kept"
            )

    def _end(self) -> None:
        for member in self._members:
            with suppress(Exception):
                _kill(member.actor)
        self._members, self._todo = [], deque()


class _Actor:
    """Owns the model. What happens in `opened` may fail with a sentence, which a constructor's error would not keep."""

    def __init__(self, open_work: Open[Any], folder: str) -> None:
        self._open, self._folder = open_work, folder
        self._work: Callable[[Sequence[str]], Iterable[Any]] | None = None

    def opened(self) -> bool:
        with suppress(OSError):  # on a machine that has no such folder names must be absolute
            os.chdir(self._folder)
        self._work = self._open()
        return True

    def do(self, items: Sequence[str]) -> list[Any]:
        assert self._work is not None
        return list(self._work(items))


def _got(reference: Any) -> Any:
    """A task's answer; what it raised in the actor is raised as it was."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ClaverError):
            raise type(cause)(str(cause)) from None
        raise RuntimeError(f"in an actor of Ray: {type(cause).__name__}: {cause}") from error


def _deaths() -> tuple[type[Exception], ...]:
    """How Ray says that an actor, its machine, or an answer that lay there is gone."""
    from ray import exceptions

    gone = (exceptions.RayActorError, exceptions.ObjectLostError, exceptions.NodeDiedError)
    return (*gone, exceptions.OutOfMemoryError, exceptions.ActorUnschedulableError)  # two that are none of the former


def _kill(actor: Any) -> None:
    import ray

    ray.kill(actor)
