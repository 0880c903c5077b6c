"""Tables of what was measured, mean ± deviation over seeds: Markdown for people, CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from claver.evaluation.protocols import mean_and_std


class Measured(NamedTuple):
    """One figure of several runs that differ in their seed alone."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """NaN where nothing was measured."""
        return mean_and_std(self.values)[0] if self.values else float("nan")

    @property
    def std(self) -> float:
        """Sample standard deviation; 0 for a single run."""
        return mean_and_std(self.values)[1] or 0.0 if self.values else 0.0


Cell = str | float | int | Measured | None


@dataclass(frozen=True)
class Table:
    """Rows of cells under named columns.

    Attributes:
        title: what was measured, on what.
        columns: their names; those of the paper's numbers say `paper` and on which dataset.
        rows: as many cells as columns each; None where there is nothing.
        note: below the table.
        digits: after the decimal point.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    digits: int = 1

    def markdown(self) -> str:
        """A Markdown table below its title; `mean ± deviation` where there was more than one run."""
        lines = [f"**{self.title}**", ""] if self.title else []
        marks = ["---" if self._is_text(column) else "---:" for column in range(len(self.columns))]
        for cells in (self.columns, marks, *([self._shown(cell) for cell in row] for row in self.rows)):
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join([*lines, *(["", self.note] if self.note else [])]) + "\n"

    def csv(self) -> str:
        """Comma-separated; a measured column becomes three: mean, deviation, number of runs."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        wide = [any(isinstance(row[c], Measured) for row in self.rows) for c in range(len(self.columns))]
        parts = [[n, f"{n} deviation", f"{n} runs"] if w else [n] for n, w in zip(self.columns, wide, strict=True)]
        writer.writerow(name for names in parts for name in names)
        for row in self.rows:
            writer.writerow(value for cell, w in zip(row, wide, strict=True) for value in _plain(cell, w))
        return file.getvalue()

    def _is_text(self, column: int) -> bool:
        return any(isinstance(row[column], str) for row in self.rows)

    def _shown(self, cell: Cell) -> str:
        if isinstance(cell, Measured):
            more = f" ± {cell.std:.{self.digits}f}" if len(cell.values) > 1 else ""
            return f"{cell.mean:.{self.digits}f}{more}" if cell.values else "–"
        if isinstance(cell, float):
            return f"{cell:.{self.digits}f}"
        return "" if cell is None else str(cell).replace("|", r"\|")


def _plain(cell: Cell, wide: bool) -> list[object]:
    if isinstance(cell, Measured):
        numbers = (cell.mean, cell.std) if cell.values else ()
        return [*(round(number, 4) for number in numbers), *(None,) * (2 - len(numbers)), len(cell.values)]
    return [cell, None, None] if wide else [cell]
