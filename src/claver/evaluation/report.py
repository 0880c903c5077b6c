"""An evaluation as people read it, beside the paper's rows, and as programs do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from claver.evaluation.paper import PaperRow, rows_for
from claver.evaluation.protocols import Evaluation, mean_and_deviation


def to_dict(evaluations: Sequence[Evaluation], settings: dict[str, Any]) -> dict[str, Any]:
    """Everything: per test set top-1, top-5, per class, confusions, unreadable clips; mean and deviation over sets."""
    return {
        "settings": settings,
        **{f"top{k}": _summary([evaluation.top(k) for evaluation in evaluations]) for k in (1, 5)},
        "sets": [
            {
                "name": evaluation.test.name,
                "clips": len(evaluation.test.paths),
                "classes": len(evaluation.test.classes),
                "top1": evaluation.top(1),
                "top5": evaluation.top(5),
                "per_class": evaluation.per_class(),
                "confusions": [list(pair) for pair in evaluation.confusions()],
                "unreadable": dict(evaluation.failures),
            }
            for evaluation in evaluations
        ],
    }


def _summary(values: list[float]) -> dict[str, float | None]:
    mean, deviation = mean_and_deviation(values)
    return {"mean": mean, "std": deviation}


def print_report(
    console: Console,
    evaluations: Sequence[Evaluation],
    *,
    benchmark: str,
    setting: str,
    name: str,
    frames: int,
    views: str,
) -> None:
    """The result under the paper's rows of the same benchmark and setting, then what went wrong most."""
    table = Table(title=escape(f"{benchmark}, {setting}"), title_justify="left", title_style="bold")
    for column in ("method", "frames", "views", "top-1", "top-5", "source"):
        table.add_column(column, justify="left" if column in ("method", "source") else "right")
    for row in rows_for(benchmark, setting):
        _add_paper_row(table, row)
    table.add_section()
    for evaluation in evaluations if len(evaluations) > 1 else ():
        shares = [f"{100 * evaluation.top(k):.1f}" for k in (1, 5)]
        table.add_row(f"  {escape(evaluation.test.name)}", str(frames), views, *shares, "measured")
    totals = [_percent(*mean_and_deviation([100 * e.top(k) for e in evaluations])) for k in (1, 5)]
    table.add_row(f"[bold]{escape(name)}[/]", str(frames), views, *(f"[bold]{t}[/]" for t in totals), "measured")
    console.print(table)
    _print_notes(console, evaluations)


def _add_paper_row(table: Table, row: PaperRow) -> None:
    style = "cyan" if row.is_claver else ""
    top5 = "" if row.top5 is None else _percent(row.top5, row.top5_std)
    cells = (escape(row.method), str(row.frames or ""), row.views, _percent(row.top1, row.top1_std), top5)
    table.add_row(*cells, f"Table {row.table}", style=style)


def _percent(mean: float, deviation: float | None) -> str:
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"


def _print_notes(console: Console, evaluations: Sequence[Evaluation]) -> None:
    clips = sum(len(evaluation.test.paths) for evaluation in evaluations)
    failures = {path: cause for evaluation in evaluations for path, cause in evaluation.failures.items()}
    console.print(f"{clips} clips, each counted once; {len(failures)} could not be read and count as wrong.")
    for own, taken, times in evaluations[0].confusions(5):
        console.print(f"  {escape(own)} → {escape(taken)}: {times} times", highlight=False)
