"""Timing by interleaved rounds: on a machine with other work, only times taken side by side can be compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Work = Callable[[], object]


@dataclass(frozen=True)
class Settings:
    """How thorough a run is.

    Attributes:
        quick: smaller sizes.
        budget: seconds for each comparison, within `least` and `most` rounds.
        clock: `time.perf_counter`, or `time.process_time` on a machine that has other work to do.
    """

    quick: bool = False
    budget: float = 20.0
    most: int = 9
    least: int = 3
    clock: Callable[[], float] = time.perf_counter


QUICK = Settings(quick=True, budget=0.5, most=2, least=1)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        area: the group it stands in.
        what: what was done.
        baseline: against what.
        before: the baseline's median, in `unit`.
        after: ours.
        ratio: the median over rounds of before/after.
        low: the smallest ratio of a round.
        high: the largest.
        rounds: how many.
        target: the ratio aimed at, if any.
        unit: `s` or `MiB`.
        note: what a reader must know.
    """

    area: str
    what: str
    baseline: str
    before: float
    after: float
    ratio: float
    low: float
    high: float
    rounds: int
    target: float | None = None
    unit: str = "s"
    note: str = ""

    def labelled(self, what: str, *, target: float | None = None, note: str = "") -> Row:
        """The same measurement under a name of its own."""
        return replace(self, what=what, target=target, note=note)


def missing(area: str, what: str, note: str) -> Row:
    """A row for what could not be measured."""
    nan = float("nan")
    return Row(area, what, "", nan, nan, nan, nan, nan, 0, note=note)


def compare(
    area: str, baseline: str, usual: Work, ours: Mapping[str, Work], settings: Settings, *, gpu: bool = False
) -> list[Row]:
    """Time `usual` and each of `ours` in rounds A, B, C, A, B, C, …, as many as the budget allows.

    All are expected to have run once, in the check that they give the same.
    """
    works = {"": usual, **ours}
    first = {name: _seconds(work, settings, gpu) for name, work in works.items()}
    rounds = max(settings.least, min(settings.most, int(settings.budget / sum(first.values()))))
    times = {name: [seconds] for name, seconds in first.items()}
    for _ in range(rounds - 1):
        for name, work in works.items():
            times[name].append(_seconds(work, settings, gpu))
    return [row_of(area, name, baseline, times[""], times[name]) for name in ours]


def assert_same(ours: Tensor, usual: Tensor, *, tolerance: float = 1e-4) -> None:
    """A benchmark of different results is worthless: equal up to `tolerance` of the largest value."""
    scale = float(usual.abs().max())
    torch.testing.assert_close(ours.to(usual.dtype), usual, rtol=0.0, atol=tolerance * scale)


def assert_alike(ours: Tensor, usual: Tensor, *, cosine: float = 0.99) -> None:
    """For half precision: every vector points where the single-precision one does."""
    worst = float(torch.cosine_similarity(ours.float(), usual.float(), dim=-1).min())
    if worst < cosine:
        raise AssertionError(f"half precision went astray: a cosine of {worst:.4f} with the fp32 result")


def _seconds(work: Work, settings: Settings, gpu: bool) -> float:
    if gpu:
        torch.cuda.synchronize()
    start = settings.clock()
    work()
    if gpu:
        torch.cuda.synchronize()
    return settings.clock() - start


def row_of(area: str, what: str, baseline: str, before: list[float], after: list[float]) -> Row:
    """Medians of the times, and of the ratios of each round."""
    ratios = [b / a for b, a in zip(before, after, strict=True)]
    usual, ours, ratio = (statistics.median(values) for values in (before, after, ratios))
    return Row(area, what, baseline, usual, ours, ratio, min(ratios), max(ratios), len(ratios))
