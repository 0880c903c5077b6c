"""Results of the paper and of the methods it compares with (Tables 1 to 5 and 13), for comparison."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True)
class PaperRow:
    """One row of a table; None where the paper prints nothing.

    Attributes:
        table: its number in the paper.
        benchmark: `kinetics400`, `kinetics600`, `ucf101` or `hmdb51`.
        setting: `supervised`, `zero-shot`, or `few-shot K`.
        method: as the paper calls it.
        frames: frames of a clip.
        views: temporal clips x spatial crops.
        top1: per cent; with `top1_std` over splits or draws.
        top5: per cent; with `top5_std`.
        gflops: as printed; they count the MLPs only.
    """

    table: str
    benchmark: str
    setting: str
    method: str
    frames: int | None
    views: str
    top1: float
    top1_std: float | None
    top5: float | None
    top5_std: float | None
    gflops: float | None

    @property
    def is_claver(self) -> bool:
        """Whether it is the paper's own method."""
        return self.method.startswith("CLAVER")


@lru_cache(maxsize=1)
def paper_rows() -> tuple[PaperRow, ...]:
    """All rows, in the paper's order."""
    text = resources.files("claver.evaluation").joinpath("paper.csv").read_text(encoding="utf-8")
    return tuple(_row(values) for values in csv.DictReader(text.splitlines()))


def rows_for(benchmark: str, setting: str) -> list[PaperRow]:
    """The paper's rows for one benchmark and setting; empty where it has none."""
    return [row for row in paper_rows() if (row.benchmark, row.setting) == (benchmark, setting)]


def _row(values: dict[str, str]) -> PaperRow:
    def number(key: str) -> float | None:
        return float(values[key]) if values[key] else None

    frames, top1 = number("frames"), number("top1")
    assert top1 is not None
    return PaperRow(
        values["table"],
        values["benchmark"],
        values["setting"],
        values["method"],
        None if frames is None else int(frames),
        values["views"],
        top1,
        number("top1_std"),
        number("top5"),
        number("top5_std"),
        number("gflops"),
    )
