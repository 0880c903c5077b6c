"""Results as a table for people, or as JSON, JSON lines and CSV for programs."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from claver.csv_text import csv_text
from claver.errors import ClaverError
from claver.files import refuse_special
from claver.json_text import to_json
from claver.terminal import shown

Record = dict[str, Any]
"""`{"path", "seconds": […], "damaged": null, "top": [{"action", "probability", "score"}, …], "unknown": 0.1,
"none_of_these": false}`, or path and `error`, or path and `skipped`. Where there is damage, `damaged` is `{"share",
"present", "cause"}`, see `claver.video.Damage`; `unknown` is null where it was not computed."""


CsvSafeOption = Annotated[
    bool,
    typer.Option("--csv-safe", help="In CSV put ' before text that a spreadsheet would run, such as =, +, -, @."),
]


class Format(StrEnum):
    """How results are written."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


class ReportFormat(StrEnum):
    """How a report or a list is written."""

    table = "table"
    json = "json"
    csv = "csv"


def form_for(form: Format | None, output: Path | None) -> Format:
    """The requested format; else the one that the suffix of the output names, else a table."""
    suffix = output.suffix.lower().removeprefix(".") if output is not None else ""
    return form or (Format(suffix) if suffix in tuple(Format) else Format.table)


def render(records: Sequence[Record], form: Format, *, csv_safe: bool = False) -> str:
    """All records in one of the formats; `csv_safe` as in `csv_text`."""
    writers: dict[Format, Callable[[Sequence[Record]], str]] = {
        Format.table: _table,
        Format.json: lambda rows: to_json(list(rows), indent=2, allow_nan=False),
        Format.jsonl: lambda rows: "".join(to_json(row, allow_nan=False) for row in rows),
        Format.csv: lambda rows: _csv(rows, csv_safe),
    }
    return writers[form](records)


def _csv(records: Sequence[Record], csv_safe: bool) -> str:
    """One row per answer, and one per file that failed."""
    answer_columns = ("path", "rank", "action", "probability", "score")
    rows: list[list[object]] = [[*answer_columns, "error", "seconds", "damaged", "unknown", "none_of_these"]]
    for record in records:
        damaged = damage_text(record)
        if "top" not in record:
            rows.append([record["path"], "", "", "", "", record.get("error", ""), "", damaged, "", ""])
        unknown = "" if record.get("unknown") is None else f"{record['unknown']:.6f}"
        none = "yes" if record.get("none_of_these") else "no" if unknown else ""
        seconds = " ".join(f"{moment:g}" for moment in record.get("seconds") or ())
        for rank, answer in enumerate(record.get("top", ()), start=1):
            numbers = (f"{answer['probability']:.6f}", f"{answer['score']:.6f}")
            rows.append([record["path"], rank, answer["action"], *numbers, "", seconds, damaged, unknown, none])
    return csv_text(rows, safe=csv_safe)


def _table(records: Sequence[Record]) -> str:
    from claver.progress import Screen

    file = io.StringIO()
    console = Screen(file=file, width=max(60, min(120, Screen(stderr=True).width)))
    for record in records:
        console.print(shown(record["path"]), style="bold", markup=False, highlight=False, soft_wrap=True)
        for line in _about(record):
            console.print(f"  {shown(line)}", style="dim", markup=False, highlight=False, soft_wrap=True)
        console.print(_answers(record), highlight=False, soft_wrap="top" not in record)
    return file.getvalue()


def damage_text(record: Record) -> str:
    """What is damaged about the video of a record, in words; empty for a sound one."""
    from claver.video.damage import Damage

    return str(Damage(**record["damaged"])) if record.get("damaged") else ""


def damage_line(record: Record) -> str:
    """The file and its damage."""
    return f"{record['path']}: damaged: {damage_text(record)}"


def _about(record: Record) -> list[str]:
    """When the frames used are shown, and what is damaged."""
    moments: list[float] = record.get("seconds") or []
    frames = f"{len(moments)} frames, {moments[0]:.2f} … {moments[-1]:.2f} s" if len(moments) > 1 else ""
    damaged = damage_text(record) if "top" in record else ""
    return [line for line in (frames, damaged and f"damaged: {damaged}") if line]


def _answers(record: Record) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from claver.inference.prediction import NONE

    if "top" not in record:
        return f"  ✗ {escape(shown(record.get('error') or record['skipped']))}\n"
    table = Table(box=None, padding=(0, 1), show_header=False)
    if record.get("none_of_these"):
        table.add_row("", f"{record['unknown']:6.1%}", f"[bold]{NONE}[/]", "")
    for rank, answer in enumerate(record["top"], start=1):
        bar = "█" * round(24 * answer["probability"])
        table.add_row(f"{rank:3}", f"{answer['probability']:6.1%}", escape(shown(answer["action"])), bar)
    return table


def check_new_folder(path: Path) -> None:
    """Raise `ClaverError` if a folder is there that holds anything: a model or run in it would be lost."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ClaverError(f"{path} is there already and is no empty folder; name a new one")


def check_apart(outputs: Iterable[Path | None], inputs: Iterable[str | Path | None] = ()) -> None:
    """Raise `ClaverError` if a file that is read, or another output, would be written over."""
    read = {os.path.realpath(path) for path in inputs if path is not None and "\0" not in str(path)}
    seen: set[str] = set()
    for path in outputs:
        place = "" if path is None else os.path.realpath(path)
        if place and place in read:
            raise ClaverError(f"{path} is read, and would be lost if results were written there; name another file")
        if place and place in seen:
            raise ClaverError(f"{path} is given for two outputs; name another file for one")
        seen.add(place)


def check_output(path: Path | None, instead: str = "name another file") -> None:
    """Raise `ClaverError` if a file cannot be put there, before any work is done; `instead` as in `refuse_special`."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise ClaverError(f"cannot write {path}: the folder {path.parent} does not exist")
    refuse_special(path, instead)
    if path.exists() and not path.is_file():
        raise ClaverError(f"cannot write {path}: it exists and is no regular file")
