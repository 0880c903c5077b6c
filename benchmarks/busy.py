"""Threads that wait by sleeping against threads that wait by running, beside other work: `python -m benchmarks.busy`.

Each way has a process of its own, for OpenMP reads the environment once. They take turns, every round with and without
a busy process per processor; at most a minute.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from claver.cpus import _WAITING, allowed_cpus

ROUNDS, SECONDS, WIDTH, TOKENS = 9, 50.0, 384, 197
WAYS = {"waits running": {}, "waits sleeping": {"OMP_WAIT_POLICY": "PASSIVE"}}
_CHILD = f"""
import sys, time, torch
torch.manual_seed(0)
block = torch.nn.TransformerEncoderLayer({WIDTH}, 6, batch_first=True, norm_first=True).eval()
x = torch.randn(2, {TOKENS}, {WIDTH})
with torch.inference_mode():
    block(x)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(4): block(x)
        print(time.perf_counter() - start, flush=True)
"""


def main() -> None:
    """Measure, and print medians, least times and the ratios of each round."""
    began = time.perf_counter()
    times: dict[tuple[str, str], list[float]] = {(way, where): [] for where in ("alone", "busy") for way in WAYS}
    with ExitStack() as stack:
        workers = {way: stack.enter_context(_worker(more)) for way, more in WAYS.items()}
        for _ in range(ROUNDS):
            for where in ("alone", "busy"):
                with _others(allowed_cpus() if where == "busy" else 0):
                    for way, worker in workers.items():
                        times[way, where].append(_turn(worker))
            if time.perf_counter() - began > SECONDS:
                break
    for (way, where), seconds in times.items():
        print(f"{where}, {way}: median {statistics.median(seconds):.4f} s, least {min(seconds):.4f} s, {len(seconds)}")
    for where in ("alone", "busy"):
        running, sleeping = (times[way, where] for way in WAYS)
        ratios = [one / other for one, other in zip(running, sleeping, strict=True)]
        print(f"{where}: {statistics.median(ratios):.2f} [{min(ratios):.2f}–{max(ratios):.2f}] times as fast asleep")


@contextmanager
def _worker(more: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if name not in _WAITING} | more
    command = [sys.executable, "-c", _CHILD]
    with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def _turn(worker: subprocess.Popen[str]) -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


@contextmanager
def _others(count: int) -> Iterator[None]:
    """So many processes that do nothing but run."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.2)
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
