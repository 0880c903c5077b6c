"""Untrusted work in other processes: what takes too much is ended, and the next task finds a sound process."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.app.conftest import LIMITS
from tests.app.tasks import count, die, fail, fill, sleep

from claver.app.job import Job, StoppedError
from claver.app.limits import Limits
from claver.app.sandbox import Sandbox
from claver.errors import VideoError


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    limits = Limits(workers=1, memory=256 * 2**20, decode_seconds=1.0)
    with Sandbox(limits) as made:
        yield made


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_memory_and_time_are_limited_and_crashes_pass_nothing(sandbox: Sandbox) -> None:
    assert sandbox.call(Job(), "a", fill, 2**20) == 2**20
    with pytest.raises(VideoError, match="not enough memory"):
        sandbox.call(Job(), "a", fill, 2**30)
    with pytest.raises(VideoError, match=r"^a: it was not read within 1 s\.$"):
        sandbox.call(Job(), "a", sleep, 30)
    with pytest.raises(VideoError, match="a: the process that read it was killed"):
        sandbox.call(Job(), "a", die)
    with pytest.raises(VideoError, match=r"^clip\.mp4: it is damaged\.$"):
        sandbox.call(Job(), "a", fail)
    assert sandbox.call(Job(), "a", sleep, 0.0) == 0.0


def test_stopping_ends_the_process_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    job, mark = Job(), str(tmp_path / "mark")
    parts = sandbox.stream(job, "a", count, 10**9, mark)
    assert [next(parts) for _ in range(3)] == [0, 1, 2]
    pid = int(Path(mark).read_text().split()[0])
    assert is_alive(pid)
    job.stop()
    with pytest.raises(StoppedError):
        list(parts)
    deadline = time.monotonic() + 5
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_pieces_come_in_order_and_wait_to_be_taken(sandbox: Sandbox, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    parts = sandbox.stream(Job(), "a", count, 10**9, mark)
    assert next(parts) == 0
    time.sleep(1.5)  # longer than a silent task may take
    reached = int(Path(mark).read_text().split()[1])
    assert reached < 100_000  # no more than the pipe holds
    assert next(parts) == 1
    parts.close()
    assert sandbox.call(Job(), "a", fill, 10) == 10  # who leaves early frees the process
    assert list(sandbox.stream(Job(), "a", count, 20, mark)) == list(range(20))


def test_the_limits_of_the_page_have_room_for_a_large_frame() -> None:
    assert LIMITS.memory == 2 * 2**30
    assert Limits().pixels >= 3840 * 2160
