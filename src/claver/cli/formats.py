"""Results as a table for people, or as JSON, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from claver.errors import ClaverError

Record = dict[str, Any]
"""`{"path": …, "top": [{"action", "probability", "score"}, …]}`, or `{"path": …, "error": …}`."""


class Format(StrEnum):
    """How results are written."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


def render(records: Sequence[Record], form: Format) -> str:
    """All records in one of the formats."""
    writers: dict[Format, Callable[[Sequence[Record]], str]] = {
        Format.table: _table,
        Format.json: lambda rows: json.dumps(list(rows), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        Format.jsonl: lambda rows: "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows),
        Format.csv: _csv,
    }
    return writers[form](records)


def _csv(records: Sequence[Record]) -> str:
    """One row per answer, and one per file that failed."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["path", "rank", "action", "probability", "score", "error"])
    for record in records:
        if "error" in record:
            writer.writerow([record["path"], "", "", "", "", record["error"]])
        for rank, answer in enumerate(record.get("top", ()), start=1):
            numbers = (f"{answer['probability']:.6f}", f"{answer['score']:.6f}")
            writer.writerow([record["path"], rank, answer["action"], *numbers, ""])
    return file.getvalue()


def _table(records: Sequence[Record]) -> str:
    from rich.console import Console

    file = io.StringIO()
    console = Console(file=file, width=max(60, min(120, Console(stderr=True).width)))
    for record in records:
        console.print(record["path"], style="bold", markup=False, highlight=False, soft_wrap=True)
        console.print(_answers(record), highlight=False, soft_wrap="error" in record)
    return file.getvalue()


def _answers(record: Record) -> Any:
    from rich.markup import escape
    from rich.table import Table

    if "error" in record:
        return f"  ✗ {escape(record['error'])}\n"
    table = Table(box=None, padding=(0, 1), show_header=False)
    for rank, answer in enumerate(record["top"], start=1):
        bar = "█" * round(24 * answer["probability"])
        table.add_row(f"{rank:3}", f"{answer['probability']:6.1%}", escape(answer["action"]), bar)
    return table


def check_output(path: Path) -> None:
    """Raise `ClaverError` if a file cannot be put there, before any work is done."""
    if not path.parent.is_dir():
        raise ClaverError(f"cannot write {path}: the folder {path.parent} does not exist")
    if path.exists() and not path.is_file():
        raise ClaverError(f"cannot write {path}: it exists and is no regular file")
