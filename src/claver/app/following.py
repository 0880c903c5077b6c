"""Work that a page follows: it shows how far the work is, then the result, or why there is none in one sentence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from claver.app.drawing import error_card, progress_card, stopped_card
from claver.app.job import Job, StoppedError
from claver.app.service import Service
from claver.app.uploads import Visitor
from claver.errors import ClaverError
from claver.log import logger
from claver.terminal import shown

_EVERY = 0.2
"""Seconds between two looks at the work."""


@dataclass(frozen=True)
class State:
    """What is to be shown.

    Attributes:
        html: how far the work is, or why there is no result; empty if there is one.
        result: of the work; None as long as there is none.
        goes_on: whether the work does.
    """

    html: str
    result: Any = None
    goes_on: bool = False


def visitor_of(service: Service, request: Any) -> Visitor:
    """The visitor who sent a request of Gradio's."""
    return service.visitors.of(str(request.session_hash or "nobody"))


def sentence(error: BaseException) -> str:
    """One sentence about what went wrong; what nobody foresaw is told to whoever runs the page, not to visitors."""
    if isinstance(error, ClaverError):
        return shown(str(error))
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return "there is not enough memory for this at the moment; try again later, or a shorter video"
    logger.warning("a request failed: %s: %s", type(error).__name__, shown(str(error)), exc_info=error)
    return "this did not work, and should not have happened; whoever runs the page finds more in its messages"


def followed(service: Service, request: Any, work: Callable[[Visitor, Job], Any]) -> Iterator[State]:
    """Do some work in a thread, and tell how far it is until it ends. Who closes this early stops the work.

    Args:
        service: whose work it is.
        request: of Gradio's.
        work: is given the visitor and the job, and returns a result that is not None.
    """
    visitor, job, ended = visitor_of(service, request), Job(), threading.Event()
    outcome: list[Any] = []

    def run() -> None:
        try:
            with service.visitors.working(visitor, job):
                outcome.append(work(visitor, job))
        except BaseException as error:  # told by whoever follows
            outcome.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    try:
        while not ended.wait(_EVERY):
            yield State(progress_card(job), goes_on=True)
    finally:
        job.stop()
    (found,) = outcome
    if isinstance(found, StoppedError):
        yield State(stopped_card())
    elif isinstance(found, BaseException):
        yield State(error_card(sentence(found)))
    else:
        yield State("", found)


def finished(service: Service, request: Any, work: Callable[[Visitor, Job], Any]) -> Any:
    """The result of some work, for programs that wait for it.

    Raises:
        gradio.Error: one sentence.
    """
    import gradio

    visitor = visitor_of(service, request)
    try:
        with service.visitors.working(visitor, Job()) as job:
            return work(visitor, job)
    except Exception as error:
        raise gradio.Error(sentence(error), print_exception=False) from None
