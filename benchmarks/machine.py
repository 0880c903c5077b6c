"""What the numbers were measured on, without anything that names the machine or its owner."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass

import torch

from claver.cpus import processor_name


@dataclass(frozen=True)
class Machine:
    """Processor and libraries; `rates` are measured GFLOP/s of a large matrix product by type."""

    processor: str
    cores: int
    threads: int
    system: str
    python: str
    torch: str
    card: str
    rates: dict[str, float]

    @property
    def slow_half(self) -> bool:
        """Whether bf16 products are no faster here than fp32: nothing in bf16 can then be."""
        return self.rates["bf16"] <= self.rates["fp32"]


def describe() -> Machine:
    """Look the machine up and measure its matrix rates."""
    return Machine(
        processor=processor_name(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=torch.__version__,
        card=torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        rates={"fp32": matrix_rate(torch.float32), "bf16": matrix_rate(torch.bfloat16)},
    )


def matrix_rate(dtype: torch.dtype, device: str = "cpu", side: int = 1536) -> float:
    """GFLOP/s of a square matrix product, the median of five."""
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    left @ right
    seconds = []
    for _ in range(5):
        _wait(device)
        start = time.perf_counter()
        left @ right
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / statistics.median(seconds) / 1e9


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
