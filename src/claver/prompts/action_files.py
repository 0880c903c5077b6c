"""Files of actions: a `.txt` with an action a line, or a `.csv` with a row for each text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from claver.errors import ClaverError
from claver.files import read_text
from claver.prompts.actions import BENCHMARKS


def read_action_file(path: Path) -> dict[str, tuple[str, ...]]:
    """The actions of a file, in its order, with their own texts if it has any.

    Args:
        path: `.txt` with an action a line, or `.csv` with a column `action` (or `name`) and perhaps `text`, one row
            per text.

    Raises:
        ClaverError: no such file, not UTF-8, no such column, an empty or repeated action.
    """
    if path.is_dir():
        raise ClaverError(
            f"{path} is a folder; actions come from a .txt, .csv or .jsonl file, a list of words, or a benchmark"
        )
    if not path.is_file():
        raise ClaverError(f"there is no file of actions {path}; benchmarks are {', '.join(BENCHMARKS)}")
    text = read_text(path)
    if path.suffix.lower() == ".csv":
        return _read_csv(path, text)
    return _read_lines(path, text)


def _read_lines(path: Path, text: str) -> dict[str, tuple[str, ...]]:
    actions: dict[str, tuple[str, ...]] = {}
    for row, line in enumerate(text.splitlines(), 1):
        if (action := line.strip()) in actions:
            raise ClaverError(f"{path}, line {row}: action {action!r} is listed more than once")
        if action:
            actions[action] = ()
    return actions


def _read_csv(path: Path, text: str) -> dict[str, tuple[str, ...]]:
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        return _read_rows(path, rows)
    except csv.Error as error:
        raise ClaverError(f"{path}, line {rows.line_num + 1}: not valid CSV ({error})") from error


def _delimiter(text: str) -> str:
    """A comma, or the semicolon that spreadsheets write where the comma is a decimal point."""
    header = text.partition("\n")[0]
    return ";" if ";" in header and "," not in header else ","


def _read_rows(path: Path, rows: csv.DictReader[str]) -> dict[str, tuple[str, ...]]:
    rows.fieldnames = [name.strip().casefold() for name in rows.fieldnames or []]
    column = next((name for name in ("action", "name") if name in rows.fieldnames), None)
    if column is None:
        raise ClaverError(f"{path} has columns {list(rows.fieldnames)}; one of them must be 'action' (or 'name')")
    texts: dict[str, list[str]] = {}
    for row in rows:
        action, own = (row[column] or "").strip(), " ".join((row.get("text") or "").split())
        if not action:
            raise ClaverError(f"{path}, line {rows.line_num}: the action is empty")
        if action in texts and not own:
            raise ClaverError(f"{path}, line {rows.line_num}: action {action!r} is listed more than once")
        texts.setdefault(action, []).extend([own] if own else [])
    return {action: tuple(own) for action, own in texts.items()}
