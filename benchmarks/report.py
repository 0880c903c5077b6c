"""The rows as a table on the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.machine import Machine
from benchmarks.timing import Row

COLUMNS = ("what", "against", "its time", "ours", "ratio", "of rounds", "target", "note")
INTRODUCTION = """\
Ratios of time (and of memory) of the reference implementation to ours, measured side by side in one run by

    python -m benchmarks

which needs `pip install -e '.[bench,clip-vocabulary]'`, and FFmpeg's libraries for torchcodec. Above 1 means that ours
is faster or smaller. Each ratio is the median over rounds in which the two took turns, with the least and the
greatest in brackets. The reference implementation is `benchmarks/baseline.py`; it has our weights, and the results are
asserted to be the same before anything is timed. X-CLIP is another model: there only the time to an answer is compared.
`--only AREA --join` measures an area anew and keeps the rows of the others, if they are of the same machine; the date
is that of the last run.
"""
APART = """## Beside other work

OpenMP's threads, by themselves, wait for one another by running, and so keep from a processor the very thread that
they wait for. The command line has them sleep instead (`OMP_WAIT_POLICY=PASSIVE`, unless that, `GOMP_SPINCOUNT` or
`KMP_BLOCKTIME` is set; in a script set it before torch is imported). `python -m benchmarks.busy` times four passes
through one block of width 384 on 2 × 197 tokens, each way in a process of its own, in turns. On 2 cores of an AMD EPYC,
9 rounds, 2026-11-27, medians: beside two busy processes of its own 1.90 s waiting by running and 0.30 s asleep, 6.4
[4.4–19.6] times as fast; without them 0.47 s and 0.09 s, 5.1 [2.9–7.4] times. Other work was going on there all the
time (a load of 5 to 8), so what sleeping costs where there is none was not measured; it is a wake-up per operation.

## bfloat16 and torch.compile

A clip of 8 frames, B/32 with KMCTA and random weights, on 2 cores of an AMD EPYC with AVX512-BF16 under a load of 6,
2026-11-27, medians of 7 to 9 rounds in which the two took turns: 1.43 s in float32, 0.42 s in bfloat16, 3.4 times as
fast (`--dtype auto` chose it after 0.06 s, products being 5.4 times as fast; the least cosine of a frame embedding with
its float32 self is 0.9999). `torch.compile` gained nothing there, 1.01 [0.61–1.20] times as fast in float32 and 1.01
[0.76–1.45] in bfloat16, and took 25 and 21 s: the time goes into products and attention, which it does not change.
Since plain towers have their products computed by oneDNN, compiled ones are slower: 1.63 against 0.71 s in float32 and
0.53 against 0.45 in bfloat16 (B/32, medians of 9, beside other work).

### What bounds bfloat16

3.5 times the reference implementation's float32 at B/16, and 4 at any size, are missed. 2026-11-27, the same processor,
one thread, processor time (other work was going on), B/32 and B/16 with KMCTA, 8 frames:

- Products run at 351 to 456 GFLOP/s a core in the tower's own shapes, a product of two 2048 × 2048 matrices at 382 to
  393: there is nothing left to win but 4 to 12 % in the larger ones, by weights that oneDNN would have packed
  beforehand, which are a second copy of them.
- 83 % of the time at B/32 and 70 % at B/16 go into products, 13 and 26 % into attention, 1 % each into norms, and into
  copies and sums. Were attention free, B/16 would reach some 4.4.
- PyTorch's flash kernel on a CPU is no faster in bfloat16 than in float32: 67 GFLOP/s in both for 8 × 12 heads of 197
  tokens, 80 and 82 for 12 heads of 788. Two products and a softmax take 0.45 times as long at 197 tokens, 0.96 times at
  788, with scores that are rounded to bfloat16: errors of 7.0e-3 of the output's root mean square in place of 1.9e-3,
  and the more, the larger the scores. It is not used.
- KMTA, which computes twice the pairs, does not lag behind KMCTA at B/16 any more: 1.08 against 1.11 s in float32, 692
  against 710 ms in bfloat16 (table above).

## Frame reading: what bounds it

2026-11-27, 2 cores of an AMD EPYC, other work going on at times (a load of 0.1 to 2, so that times of different lines
are not to be compared). 1.3 times the speed of torchcodec is missed. A profile of reading 8 of 250 frames of 640×360,
key frames 250 apart, has 88 % of the time within FFmpeg's decoder, 4 % in opening the file and 1 % in conversion to
RGB. Of the pictures that are fed only B-frames to which no other picture refers are passed over, and x264's other
B-frames may be referred to by pictures after them, so that no more can be left out exactly. Every picture after the
last one read is left out already.

- Conversion to RGB by one thread in place of one per core, whose start took longer than the work: the same pixels,
  1.08 and 1.03 times as fast at 640×360 (a key frame every 250 and 12), 1.03 and 1.01 at 1280×720; ours against ours, 9
  rounds. It is kept.
- Conversion and resizing in one step by swscale (bicubic): on 28 pictures of real clips 11 grey levels off our resize
  at most in the median picture, 180 in the worst, 1.04 on average; with its exact flags 9.5, 126 and 1.28; area and
  Lanczos are no nearer. It takes 0.98 ms a picture at 640×360 and 1.74 at 1280×720, ours 0.41 and 0.92. It is not used.
- Two files at once in each worker: 14.4 files/s by 2 workers, 13.9 by 2 workers of 2 files each, medians of 3 (8.0 and
  13.1 by 1 worker). Workers of one file each, which can be ended alone, are kept.
- Threads of the decoder within one file gain little: all 250 pictures of 1280×720 take 505 ms by one, 448 by two and
  464 by four frame threads, and with B-frames passed over 414, 417 and 410, the processor being busy for 411 to 465
  ms, that is mostly one core (medians of 4). Why FFmpeg's frame threads wait for one another here was not found out.
  Two files at once scale: 1.9 files/s by one thread, 3.4 to 3.6 by two.
- Pixels on their way from a worker, pickled through its pipe: 1.8 ms for a clip of 1×1 views (1.2 MB), 24 ms for 4×3
  (14 MB), beside 125 ms of decoding on one core. Shared memory would save that, and was not built: with 16 workers it
  is the bound only above some 550 clips/s (1×1) or 42 (4×3), if the parent does nothing else.
"""
"""What other scripts have measured, by hand."""


def table(rows: Sequence[Row]) -> Table:
    """For the terminal."""
    made = Table(title="benchmarks: the reference implementation ÷ ours")
    for column in COLUMNS:
        made.add_column(column, justify="right" if column in COLUMNS[2:7] else "left")
    area = ""
    for row in rows:
        if row.area != area:
            made.add_section()
        area = row.area
        made.add_row(*_cells(row))
    return made


def line(row: Row) -> str:
    """A row as it is measured, for who watches."""
    return " · ".join(cell for cell in _cells(row) if cell)


def markdown(rows: Sequence[Row], machine: Machine, *, quick: bool = False, cpu_time: bool = False) -> str:
    """The page `docs/benchmarks.md`."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    heading = f"# Benchmarks\n\n{INTRODUCTION}\n## {date.today()}\n\n{_machine(machine)}\n"
    manner = "Times are processor time on one thread: other work was going on.\n" if cpu_time else ""
    quickly = "\nThis was a `--quick` run: small sizes, few rounds; the targets are not for it.\n" if quick else ""
    return heading + manner + quickly + "\n" + "\n".join(lines) + f"\n\n{APART}"


def write(path: Path, rows: Sequence[Row], machine: Machine, *, quick: bool = False, cpu_time: bool = False) -> None:
    """The page at `path`, and the same as JSON beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(markdown(rows, machine, quick=quick, cpu_time=cpu_time), encoding="utf-8")
    plain = {
        "date": str(date.today()),
        "quick": quick,
        "cpu_time": cpu_time,
        "machine": asdict(machine),
        "rows": [_plain(r) for r in rows],
    }
    path.with_suffix(".json").write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def joined(path: Path, rows: Sequence[Row], machine: Machine) -> list[Row]:
    """The rows of the page at `path`, with those of the areas measured now in the place of their earlier ones.

    Those were measured on a machine of the same kind, or they are left out.
    """
    page = json.loads(path.with_suffix(".json").read_text())
    same = all(page["machine"][name] == getattr(machine, name) for name in ("processor", "cores", "torch", "card"))
    earlier = [Row(**_with_nan(values)) for values in page["rows"]] if same else []
    areas = {row.area for row in rows}
    kept = [row for row in earlier if row.area not in areas]
    last = [row for row in kept if not row.rounds]
    return [row for row in kept if row.rounds] + list(rows) + last


def _with_nan(values: dict[str, Any]) -> dict[str, Any]:
    numbers = ("before", "after", "ratio", "low", "high")
    return values | {name: float("nan") for name in numbers if values[name] is None}


def _cells(row: Row) -> list[str]:
    what = f"{row.area}: {row.what}"
    if not row.rounds:
        return [what, "", "", "", "", "", "", row.note]
    spread = f"[{row.low:.2f}–{row.high:.2f}] {row.rounds}"
    return [what, row.baseline, *_amounts(row), f"{row.ratio:.2f}", spread, _target(row), row.note]


def _amounts(row: Row) -> list[str]:
    if row.unit == "s":
        return [f"{x:.2f} s" if x >= 1 else f"{1000 * x:.1f} ms" for x in (row.before, row.after)]
    return [f"{x:.0f} {row.unit}" for x in (row.before, row.after)]


def _target(row: Row) -> str:
    return "" if row.target is None else f"{row.target:g}: {'met' if row.ratio >= row.target else 'missed'}"


def _machine(machine: Machine) -> str:
    rates = ", ".join(f"{kind} {rate:.0f}" for kind, rate in machine.rates.items())
    lines = [
        f"{machine.processor}, {machine.cores} cores, {machine.threads} threads; {machine.system}, "
        f"Python {machine.python}, torch {machine.torch}; CUDA card: {machine.card}.",
        f"Matrix rates in GFLOP/s, measured before the last run: {rates}.",
    ]
    if machine.slow_half:
        lines.append(
            "**This processor has no fast bf16 products** (it lacks AMX and AVX512-BF16), so no bf16 target can be "
            "met on it; those rows are measured all the same."
        )
    return "\n".join(lines)


def _plain(row: Row) -> dict[str, Any]:
    """JSON has no NaN."""
    values = asdict(row).items()
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values}
