"""Processes that work for another: ended one by one, and all of them with their parent."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from claver.processes import WorkerDiedError, WorkerPool, report

HANGING = """
import sys, time
{before}
from claver.processes import WorkerPool

def work(item):
    open(item, "w").close()
    time.sleep(600)

if __name__ == "__main__":
    pool = WorkerPool(work, 1)
    pool.submit(sys.argv[1])
    {then}
"""


def work(item: str) -> str:
    """What an item asks for."""
    if item == "hang":
        time.sleep(600)
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item.startswith("die once"):
        mark = Path(item.removeprefix("die once "))
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if item == "wrong":
        raise KeyError(item)
    return f"{item} {os.getpid()}"


def answer(future: Future[str]) -> str:
    return future.result(timeout=60)


def test_one_task_that_hangs_dies_or_fails_is_ended_alone(tmp_path: Path) -> None:
    pool = WorkerPool(work, 1, timeout=0.5)
    try:
        names = ["a", "wrong", "b", "hang", "c", f"die once {tmp_path / 'mark'}", "die", "d"]
        futures = {name: pool.submit(name) for name in names}
        (a, first), (b, second) = answer(futures["a"]).split(), answer(futures["b"]).split()
        assert (a, b) == ("a", "b")
        assert first == second  # an exception ends no process
        with pytest.raises(KeyError, match="wrong"):
            answer(futures["wrong"])
        with pytest.raises(TimeoutError):
            answer(futures["hang"])
        assert answer(futures["c"]).split()[1] != first
        assert answer(futures[names[5]]).startswith("die once")
        with pytest.raises(WorkerDiedError):
            answer(futures["die"])
        assert answer(futures["d"]).startswith("d ")
    finally:
        pool.close()


def run(tmp_path: Path, *, before: str = "", then: str = "pass") -> tuple[subprocess.Popen[str], Path]:
    """A script whose worker hangs in its task when this returns."""
    script, mark = tmp_path / "script.py", tmp_path / "at work"
    script.write_text(HANGING.format(before=before, then=then))
    process = subprocess.Popen([sys.executable, str(script), str(mark)], text=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mark.exists()
    return process, script


def working(script: Path) -> list[str]:
    """The processes, of which workers have the script's name in no argument, but stand in its group of pipes."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            content = entry.read_bytes()
        except OSError:
            continue
        if f"SCRIPT={script}".encode() in content:
            found.append(entry.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found under /proc")
@pytest.mark.parametrize(
    "before", ["", "import claver.processes; claver.processes.sys = type('', (), {'platform': ''})"]
)
def test_a_worker_ends_with_a_parent_that_is_killed(
    tmp_path: Path, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a signal of Linux, and without it."""
    monkeypatch.setenv("SCRIPT", str(tmp_path / "script.py"))
    process, script = run(tmp_path, before=before, then="time.sleep(600)")
    assert len(working(script)) >= 2
    process.kill()
    process.wait(timeout=30)
    deadline = time.monotonic() + 10
    while working(script) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert working(script) == []


def test_a_script_that_ends_does_not_wait_for_its_workers(tmp_path: Path) -> None:
    process, _ = run(
        tmp_path, then="import os; [time.sleep(0.01) for _ in iter(lambda: os.path.exists(sys.argv[1]), 1)]"
    )
    assert process.wait(timeout=30) == 0


def test_a_script_without_the_usual_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from claver.errors import ClaverError\nfrom claver.processes import WorkerPool\n"
        "try: WorkerPool(len, 1).submit('abc').result(timeout=60)\n"
        "except ClaverError as error: print('said:', error)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert "said: a process that reads ahead could not start" in done.stdout, done.stderr


def tell(item: str) -> str:
    """Reports as many parts as the item says, then goes on for ever or ends."""
    count, then = item.split()
    for number in range(int(count)):
        report(number)
    if then == "hang":
        time.sleep(600)
    return then


def test_parts_are_heard_in_order_and_who_hears_can_end_the_work() -> None:
    pool = WorkerPool(tell, 1, timeout=60)
    try:
        parts: list[int | None] = []
        assert answer(pool.submit("5 done", parts.append)) == "done"
        assert [part for part in parts if part is not None] == [0, 1, 2, 3, 4]

        def enough(part: int | None) -> None:
            if part is None and time.monotonic() > stop:
                raise InterruptedError

        stop = time.monotonic() + 0.5
        began = time.monotonic()
        with pytest.raises(InterruptedError):
            answer(pool.submit("2 hang", enough))
        assert time.monotonic() - began < 5
        assert answer(pool.submit("0 done")) == "done"  # by a new process
    finally:
        pool.close()


def test_a_silent_task_that_is_heard_is_ended_after_its_time() -> None:
    pool = WorkerPool(tell, 1, timeout=0.5)
    try:
        with pytest.raises(TimeoutError):
            answer(pool.submit("1 hang", lambda part: None))
    finally:
        pool.close()
