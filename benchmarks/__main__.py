"""`python -m benchmarks`: measure, print one table of ratios, write `docs/benchmarks.md` and `.json`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from benchmarks import (
    attention,
    encoder,
    evaluation,
    frames,
    gpu,
    live,
    loader,
    machine,
    memory,
    report,
    step,
    text,
    xclip,
)
from benchmarks.timing import QUICK, Row, Settings

OUTPUT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Run the chosen areas; a partial run writes only where it is told to."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.join and (options.quick or options.cpu_time or not OUTPUT.with_suffix(".json").is_file()):
        parser.error(f"--join puts a full measurement into {OUTPUT}, which must be there")
    settings, console = QUICK if options.quick else Settings(), Console()
    if not console.is_terminal:
        console.width = 220
    if options.cpu_time:
        torch.set_num_threads(1)
        settings = replace(settings, clock=time.process_time)
    here = machine.describe()
    areas = _areas(settings, here)
    chosen = {name: run for name, run in areas.items() if not options.only or name in options.only}
    rows = []
    for name, run in chosen.items():
        console.print(f"measuring {name} …")
        rows += run()
    console.print(report.table(rows))
    if options.join:
        rows = report.joined(OUTPUT, rows, here)
    whole = not (options.quick or options.only or options.cpu_time)
    output = options.output or (OUTPUT if whole or options.join else None)
    if output:
        report.write(output, rows, here, quick=options.quick, cpu_time=options.cpu_time)
        console.print(f"written to {output} and {output.with_suffix('.json').name}")
    return rows


def _areas(settings: Settings, here: machine.Machine) -> dict[str, Callable[[], list[Row]]]:
    return {
        "attention": lambda: attention.rows(settings),
        "encoder": lambda: encoder.rows(settings, here),
        "text": lambda: text.rows(settings, here),
        "memory": lambda: memory.rows(settings),
        "xclip": lambda: xclip.rows(settings),
        "frames": lambda: frames.rows(settings),
        "loader": lambda: loader.rows(settings),
        "step": lambda: step.rows(settings),
        "evaluation": lambda: evaluation.rows(settings),
        "live": lambda: live.rows(settings),
        "gpu": lambda: gpu.rows(settings),
    }


def _parser() -> argparse.ArgumentParser:
    names = ["attention", "encoder", "text", "memory", "xclip", "frames", "loader", "step", "evaluation", "live", "gpu"]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="this area; may be repeated")
    parser.add_argument("--join", action="store_true", help="put the areas measured into the page, keep its others")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds, about a minute")
    parser.add_argument("--cpu-time", action="store_true", help="one thread, processor time: for a busy machine")
    parser.add_argument("--output", type=Path, help=f"where to write; by default {OUTPUT.parent.name}/{OUTPUT.name}")
    return parser


if __name__ == "__main__":
    main()
