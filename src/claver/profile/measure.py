"""Time and peak memory of one way of running a model, each way in a process of its own.

A process that has run anything before has memory left over from it, which would hide what the next needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from torch import Tensor

from claver.errors import ClaverError
from claver.models import Claver, ClaverConfig, load
from claver.profile.counting import plain_texts, random_video
from claver.profile.reference import padded, reference_text, reference_video

Way = Literal["usual", "ours"]
WAYS: tuple[Way, ...] = ("usual", "ours")
DTYPES = ("float32", "bfloat16", "float16")
_ENOUGH_RUNS, _MOST_RUNS = 3, 30
_ENOUGH_SECONDS, _MOST_SECONDS = 3.0, 60.0


@dataclass(frozen=True)
class Request:
    """What is to be measured, in plain values that travel to another process.

    Attributes:
        source: a path or hub id to load; None for random weights.
        config: `ClaverConfig.to_dict()` of the model as it is to run.
        way: everything computed under dense masks, or as the model runs.
        device: where.
        dtype: one of `DTYPES`.
        views: views of one clip, all at once.
        texts: how many, of `text_tokens` each; 0 measures the clip, more measure the texts in its place.
    """

    source: str | None
    config: dict[str, Any]
    way: Way = "ours"
    device: str = "cpu"
    dtype: str = "float32"
    views: int = 1
    texts: int = 0
    text_tokens: int = 12

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ClaverError(f"dtype must be {', '.join(DTYPES[:-1])} or {DTYPES[-1]}, not {self.dtype!r}")


@dataclass(frozen=True)
class Measured:
    """What it took.

    Attributes:
        seconds: of each run, after one to warm up.
        peak_mib: memory above the model and its input at the peak of the first run; None where the system does not
            tell.
    """

    seconds: tuple[float, ...]
    peak_mib: float | None

    @property
    def median(self) -> float:
        """Seconds of the run in the middle."""
        return median(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"median_seconds": self.median, "runs": len(self.seconds), "peak_mib": self.peak_mib}


def measure(request: Request) -> Measured:
    """Measure in a fresh process.

    Raises:
        ClaverError: it did not end well, memory running out above all.
    """
    command = [sys.executable, "-m", "claver.profile.measure", json.dumps(asdict(request))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        cause = done.stderr.strip().splitlines()[-1:] or ["it was killed, as a process is that needs too much memory"]
        raise ClaverError(f"measuring {request.way} on {request.device} failed: {cause[0]}")
    result = json.loads(done.stdout.splitlines()[-1])
    return Measured(tuple(result["seconds"]), result["peak_mib"])


@torch.inference_mode()
def measure_here(request: Request) -> Measured:
    """Measure in this process, which should have done nothing else before."""
    model = _model(request)
    run = _run(model, request)
    _forget_peak(model.device)
    before = _memory(model.device, peak=False)
    run()
    _wait(model.device)
    peak = _memory(model.device, peak=True)
    seconds: list[float] = []
    while not _enough(seconds):
        start = time.perf_counter()
        run()
        _wait(model.device)
        seconds.append(time.perf_counter() - start)
    return Measured(tuple(seconds), None if before is None or peak is None else peak - before)


def _model(request: Request) -> Claver:
    config, dtype = ClaverConfig.from_dict(request.config), getattr(torch, request.dtype)
    if request.source is None:
        return Claver(config).eval().to(request.device, dtype)
    kind, frames = config.temporal.kind, config.temporal.frames
    return load(request.source, temporal=kind, frames=frames, device=request.device, dtype=dtype)


def _run(model: Claver, request: Request) -> Callable[[], Tensor]:
    if request.texts:
        ids = plain_texts(model, request.texts, request.text_tokens).to(model.device)
        whole = padded(model, ids)
        return (lambda: reference_text(model, whole)) if request.way == "usual" else (lambda: model.encode_text(ids))
    video = random_video(model, request.views, model.config.temporal.frames)
    return (lambda: reference_video(model, video)) if request.way == "usual" else (lambda: model.encode_video(video))


def _enough(seconds: list[float]) -> bool:
    spent = sum(seconds)
    enough = len(seconds) >= _ENOUGH_RUNS and spent >= _ENOUGH_SECONDS
    return enough or len(seconds) >= _MOST_RUNS or spent >= _MOST_SECONDS


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _forget_peak(device: torch.device) -> None:
    """Let the peak begin at what is in use now: a model that is loaded is there twice for a moment."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "cpu":
        with suppress(OSError):  # not Linux, or a kernel that has no such file
            Path("/proc/self/clear_refs").write_text("5")


def _memory(device: torch.device, *, peak: bool) -> float | None:
    """MiB in use now, or at the peak so far; of the process on a CPU, of torch's allocator on a GPU."""
    if device.type == "cuda":
        return (torch.cuda.max_memory_allocated if peak else torch.cuda.memory_allocated)(device) / 2**20
    status = Path("/proc/self/status")
    if device.type != "cpu" or not status.exists():
        return None
    field = "VmHWM:" if peak else "VmRSS:"
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(field)) / 1024


if __name__ == "__main__":
    print(json.dumps(asdict(measure_here(Request(**json.loads(sys.argv[1]))))))
