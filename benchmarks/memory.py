"""Peak memory of the temporal tower at L/14-336 on 16 frames: S = 9,232 tokens, measured in a process of its own.

Every block needs the same again, so two blocks show the peak of eight; `python -m benchmarks.memory --help` for others.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.timing import Row, Settings, missing
from claver.models import named_config
from claver.models.temporal import TemporalTower

AREA = "peak memory"


def rows(settings: Settings) -> list[Row]:
    if sys.platform != "linux":
        return [missing(AREA, "temporal tower", "is measured on Linux only")]
    size, frames = ("B/16", 8) if settings.quick else ("L/14-336", 16)
    made = []
    for kind in ("kmct",) if settings.quick else ("kmct", "kmt"):
        usual, ours = (_in_process(size, frames, kind, way) for way in ("usual", "ours"))
        name = f"temporal tower, {size}, {frames} frames, {kind.upper()}A, 2 blocks"
        ratio = usual / ours
        note = "above weights and input"
        made.append(
            Row(AREA, name, "MHA, dense float mask", usual, ours, ratio, ratio, ratio, 1, unit="MiB", note=note)
        )
    return made


def _in_process(size: str, frames: int, kind: str, way: str, layers: int = 2) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", size, str(frames), kind, way, f"--layers={layers}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    return float(done.stdout)


@torch.inference_mode()
def peak(size: str, frames: int, kind: Any, way: str, layers: int) -> float:
    """MiB at the peak of one forward pass, above what is there before it."""
    from benchmarks.baseline import UsualTemporal

    config = named_config(size, kind, frames)
    config = replace(config, temporal=replace(config.temporal, layers=layers))
    tower = TemporalTower(config).eval()
    tokens = torch.randn(1, frames, config.image.tokens, config.image.width)
    before = status("VmRSS")
    if way == "usual":
        UsualTemporal(SimpleNamespace(config=config, temporal=tower), frames)(tokens)  # type: ignore[arg-type]
    else:
        tower(tokens)
    return status("VmHWM") - before


def status(field: str) -> float:
    """A field of this process's status in MiB.

    `getrusage` will not do, since a child's peak there begins at its parent's size.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) / 1024


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("size")
    parser.add_argument("frames", type=int)
    parser.add_argument("kind")
    parser.add_argument("way", choices=["usual", "ours"])
    parser.add_argument("--layers", type=int, default=2)
    print(peak(**vars(parser.parse_args())))


if __name__ == "__main__":
    _main()
