"""Reports of an evaluation: tables beside the paper's rows, and JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from claver.errors import ClaverError
from claver.evaluation.paper import PaperRow, paper_rows, rows_for
from claver.evaluation.protocols import Evaluation, TestSet, by_benchmark, mean_and_std


def to_dict(evaluations: Sequence[Evaluation], settings: dict[str, Any]) -> dict[str, Any]:
    """Everything: per test set top-1, top-5, per class, confusions, unreadable clips.

    Mean and standard deviation are over the sets of one benchmark: as `top1` and `top5` where there is one, in
    `benchmarks` for each where there are several.
    """
    groups = _grouped(evaluations)
    means = [{"name": title(group[0].test), "sets": len(group), **_means(group)} for group in groups]
    return {
        "settings": settings,
        **(_means(groups[0]) if len(groups) == 1 else {"benchmarks": means}),
        "sets": [_set(evaluation) for evaluation in evaluations],
    }


def title(test: TestSet) -> str:
    """What a report calls the benchmark of a test set."""
    return test.benchmark or "clips"


def check_setting(setting: str) -> None:
    """Raise `ClaverError` if it is none of the paper's."""
    if not re.fullmatch(r"supervised|zero-shot|few-shot [1-9]\d*", setting):
        raise ClaverError(f"the setting is supervised, zero-shot or 'few-shot K' such as 'few-shot 4', not {setting!r}")


def paper_rows_beside(tests: Sequence[TestSet], setting: str) -> tuple[list[PaperRow], str]:
    """The paper's rows that a result on some test sets of one benchmark may stand beside, or none and why not."""
    benchmark, first = tests[0].benchmark, tests[0]
    if not benchmark:
        return [], ""
    if any(test.split == "train" for test in tests):
        return [], "the paper's rows are left out: these are training clips"
    if benchmark == "kinetics600" and first.is_draw != (setting == "zero-shot"):
        what = "160 classes compete, as in the paper's zero-shot rows" if first.is_draw else "all 600 classes compete"
        return [], f"the paper's {setting} rows are left out: here {what}"
    rows = rows_for(benchmark, setting)
    known = ", ".join(dict.fromkeys(row.setting for row in paper_rows() if row.benchmark == benchmark))
    none = f"the paper has no {setting} rows for {benchmark}; it has: {known} (--setting)" if known else ""
    return rows, "" if rows else none


def print_report(
    console: Console, evaluations: Sequence[Evaluation], *, setting: str, name: str, frames: int, views: str
) -> None:
    """For each benchmark the result under the paper's rows of it and the setting, then what went wrong most."""
    for group in _grouped(evaluations):
        _print_group(console, group, setting, name, frames, views)


def _grouped(evaluations: Sequence[Evaluation]) -> list[list[Evaluation]]:
    groups = by_benchmark([evaluation.test for evaluation in evaluations])
    return [[next(e for e in evaluations if e.test is test) for test in group] for group in groups]


def _means(group: Sequence[Evaluation]) -> dict[str, Any]:
    found = {}
    for k in (1, 5):
        mean, std = mean_and_std([evaluation.top(k) for evaluation in group])
        found[f"top{k}"] = {"mean": mean, "std": std}
    return found


def _set(evaluation: Evaluation) -> dict[str, Any]:
    test = evaluation.test
    return {
        "name": test.name,
        "benchmark": test.benchmark,
        "split": test.split,
        "clips": len(test.paths),
        "classes": len(test.classes),
        "wording": evaluation.wording,
        "top1": evaluation.top(1),
        "top5": evaluation.top(5),
        "per_class": evaluation.per_class(),
        "confusions": [list(pair) for pair in evaluation.confusions()],
        "unreadable": dict(evaluation.failures),
        "damaged": dict(evaluation.damaged),
        "skipped": dict(evaluation.skipped),
    }


def _print_group(
    console: Console, evaluations: Sequence[Evaluation], setting: str, name: str, frames: int, views: str
) -> None:
    tests = [evaluation.test for evaluation in evaluations]
    table = Table(title=escape(f"{title(tests[0])}, {setting}"), title_justify="left", title_style="bold")
    for column in ("method", "frames", "views", "top-1", "top-5", "source"):
        table.add_column(column, justify="left" if column in ("method", "source") else "right")
    rows, why_none = paper_rows_beside(tests, setting)
    for row in rows:
        _add_paper_row(table, row)
    table.add_section()
    for evaluation in evaluations if len(evaluations) > 1 else ():
        shares = [f"{100 * evaluation.top(k):.1f}" for k in (1, 5)]
        table.add_row(f"  {escape(evaluation.test.name)}", str(frames), views, *shares, "measured")
    totals = [_percent(*mean_and_std([100 * e.top(k) for e in evaluations])) for k in (1, 5)]
    if worded := evaluations[0].wording:
        name = f"{name}, {worded} texts"
    table.add_row(f"[bold]{escape(name)}[/]", str(frames), views, *(f"[bold]{t}[/]" for t in totals), "measured")
    console.print(table)
    if why_none:
        console.print(why_none, highlight=False, markup=False)
    _print_notes(console, evaluations)


def damaged_clips(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """The damaged clips with an answer, of all sets, with what is known of the damage."""
    return {path: what for evaluation in evaluations for path, what in evaluation.damaged.items()}


def skipped_clips(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """The damaged clips that were left out, of all sets, with the reason."""
    return {path: why for evaluation in evaluations for path, why in evaluation.skipped.items()}


def _add_paper_row(table: Table, row: PaperRow) -> None:
    style = "cyan" if row.is_claver else ""
    top5 = "" if row.top5 is None else _percent(row.top5, row.top5_std)
    cells = (escape(row.method), str(row.frames or ""), row.views, _percent(row.top1, row.top1_std), top5)
    table.add_row(*cells, f"Table {row.table}", style=style)


def _percent(mean: float, std: float | None) -> str:
    return f"{mean:.1f}" if std is None else f"{mean:.1f} ± {std:.1f}"


def _print_notes(console: Console, evaluations: Sequence[Evaluation]) -> None:
    clips = sum(len(evaluation.test.paths) for evaluation in evaluations)
    failures = {path: cause for evaluation in evaluations for path, cause in evaluation.failures.items()}
    competing = sorted({len(evaluation.test.classes) for evaluation in evaluations})
    console.print(f"{clips} clips, each counted once; {len(failures)} could not be read and count as wrong.")
    for some, what in ((damaged_clips(evaluations), "have an answer"), (skipped_clips(evaluations), "were skipped")):
        if some:
            console.print(f"{len(some)} clips are damaged and {what}.")
    alone = "1 class competes, so that every answer is right."
    many = f"{' or '.join(map(str, competing))} classes compete."
    console.print(alone if competing == [1] else many, highlight=False)
    confusions = evaluations[0].confusions(5)
    if confusions:
        where = f" of {escape(evaluations[0].test.name)}" if len(evaluations) > 1 else ""
        console.print(f"Most frequent errors{where}, label → answer:", highlight=False)
    for own, taken, times in confusions:
        console.print(f"  {escape(own)} → {escape(taken)}: {times} clip{'s' * (times > 1)}", highlight=False)
