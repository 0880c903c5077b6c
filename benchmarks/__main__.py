"""`python -m benchmarks`: measure, print one table of ratios, write `docs/benchmarks.md` and `.json`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch
from rich.console import Console

from benchmarks import machine, report
from benchmarks.timing import QUICK, Row, Settings

AREAS = (
    "attention",
    "encoder",
    "text",
    "memory",
    "xclip",
    "frames",
    "loader",
    "step",
    "keeping",
    "evaluation",
    "live",
    "export",
    "gpu",
)
_OF_MACHINES = ("encoder", "text")
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
    rows = []
    for area in [area for area in AREAS if not options.only or area in options.only]:
        console.print(f"measuring {area} …")
        rows += _measured(area, settings, here, console)
    console.print(report.table(rows))
    if options.join:
        rows = report.joined(OUTPUT, rows, here)
    whole = not (options.quick or options.only or options.cpu_time)
    output = options.output or (OUTPUT if whole or options.join else None)
    if output:
        report.write(output, rows, here, quick=options.quick, cpu_time=options.cpu_time)
        console.print(f"written to {output} and {output.with_suffix('.json').name}")
    return rows


def _measured(area: str, settings: Settings, here: machine.Machine, console: Console) -> list[Row]:
    """The rows of an area, whose module is imported for it alone: a machine need not have what others need."""
    module = import_module(f"benchmarks.{area}")
    if area == "gpu":
        made: list[Row] = module.rows(settings, shown=lambda row: console.print(report.line(row)))
        return made
    more = (here,) if area in _OF_MACHINES else ()
    return list(module.rows(settings, *more))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=AREAS, help="this area; may be repeated")
    parser.add_argument("--join", action="store_true", help="put the areas measured into the page, keep its others")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds, about a minute")
    parser.add_argument("--cpu-time", action="store_true", help="one thread, processor time: for a busy machine")
    parser.add_argument("--output", type=Path, help=f"where to write; by default {OUTPUT.parent.name}/{OUTPUT.name}")
    return parser


if __name__ == "__main__":
    main()
