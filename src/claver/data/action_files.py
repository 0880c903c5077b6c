"""Files of actions: a `.txt` with an action a line, perhaps numbered, or a `.csv` with a row for each text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from claver.csv_text import delimiter_of
from claver.data.classes import BENCHMARKS
from claver.errors import ClaverError
from claver.files import read_text
from claver.names import composed, seems_numbered, text_lines, without_numbers

_NAME_COLUMNS = ("action", "name", "class_name")
_NUMBER_COLUMNS = ("id", "index", "number")
_PERHAPS_NUMBERS = ("idx", "no", "label", "class", "class_id", "label_id", "class_index")
"""Columns that hold numbers, or where all that is in them are numbers."""


def read_action_file(path: Path) -> dict[str, tuple[str, ...]]:
    """The actions of a file, in its order, with their own texts if it has any.

    Args:
        path: `.txt` with an action a line, or `.csv` with a column `action` (or `name`) and perhaps `text`, one row
            per text. Lists whose lines are numbered (`0 abseiling`, `1 archery`, …) give the names alone.

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
    if path.suffix.lower() == ".csv" and not _without_header(text):
        return _read_csv(path, text)
    return _read_lines(path, text)


def read_class_file(path: Path) -> tuple[tuple[str, ...], int | None]:
    """The classes of a file of actions in their order, and the number of the first where the file numbers them.

    Raises:
        ClaverError: as of `read_action_file`; numbers in a column `id` that do not count from 0 or 1 without a gap.
    """
    names = tuple(read_action_file(path))
    text = read_text(path)
    if path.suffix.lower() != ".csv" or _without_header(text):
        return names, without_numbers(_lines(path, text)[0])[1]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter_of(text))
    columns = {name.strip().casefold(): name for name in rows.fieldnames or []}
    if not (column := _number_column(columns, listed := list(rows))):
        return names, None
    ids = [(row[column] or "").strip() for row in listed]
    if len(ids) != len(names) or not all(number.isdecimal() for number in ids):
        raise ClaverError(f"{path}: the column {column!r} should have one whole number for each class")
    order = sorted(range(len(ids)), key=lambda row: int(ids[row]))
    first = int(ids[order[0]])
    if first not in (0, 1) or [int(ids[row]) for row in order] != list(range(first, first + len(ids))):
        raise ClaverError(f"{path}: the numbers in the column {column!r} should count from 0 or 1 without a gap")
    return tuple(names[row] for row in order), first


def _number_column(columns: Mapping[str, str], rows: Sequence[Mapping[str, str | None]]) -> str:
    """The column that numbers the classes, or an empty name."""
    perhaps = (name for name in _PERHAPS_NUMBERS if name in columns)
    numbers = (name for name in perhaps if all((row[columns[name]] or "").strip().isdecimal() for row in rows))
    return next((columns[name] for name in (*_NUMBER_COLUMNS, *numbers) if name in columns), "")


def _lines(path: Path, text: str) -> tuple[list[str], list[int]]:
    """The lines that are not blank, and their numbers."""
    lines = _without_header(text) if path.suffix.lower() == ".csv" else text_lines(text)
    pairs = [(line.strip(), row) for row, line in enumerate(lines, 1) if line.strip()]
    return [line for line, _ in pairs], [row for _, row in pairs]


def _without_header(text: str) -> list[str]:
    """The rows of a table that has a number and a name in each, the first included; else none."""
    with suppress(csv.Error):
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text)) if row]
        if all(len(row) == 2 and row[0].strip().isdecimal() for row in rows):
            return [f"{number.strip()} {name.strip()}" for number, name in rows]
    return []


def _read_lines(path: Path, text: str) -> dict[str, tuple[str, ...]]:
    from claver.log import warn_once

    if text.lstrip().startswith(("{", "[")):
        raise ClaverError(f"{path} looks like JSON; actions come from a .txt with one a line, a .csv or a .jsonl")
    lines, rows = _lines(path, text)
    names, first = without_numbers(lines)
    if seems_numbered(lines):
        warn_once(
            f"{path}: the numbers of its lines do not count from 0 or 1 without a gap: they are left in the names"
        )
    if first is not None:
        warn_once(f"{path} is read as a numbered list: {len(names)} names from {names[0]!r} on, without their numbers")
        rows = list(range(1, len(names) + 1))
    actions: dict[str, tuple[str, ...]] = {}
    for row, action in zip(rows, map(composed, names), strict=True):
        if action in actions:
            raise ClaverError(f"{path}, line {row}: action {action!r} is listed more than once")
        actions[action] = ()
    return actions


def _read_csv(path: Path, text: str) -> dict[str, tuple[str, ...]]:
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter_of(text))
    try:
        return _read_rows(path, rows)
    except csv.Error as error:
        raise ClaverError(f"{path}, line {rows.line_num + 1}: not valid CSV ({error})") from error


def _read_rows(path: Path, rows: csv.DictReader[str]) -> dict[str, tuple[str, ...]]:
    rows.fieldnames = [name.strip().casefold() for name in rows.fieldnames or []]
    column = next((name for name in _NAME_COLUMNS if name in rows.fieldnames), None)
    if column is None:
        raise ClaverError(
            f"{path} has columns {list(rows.fieldnames)}; one of them must be 'action' (or 'name'), or 'path' and "
            "'label' as in a manifest"
        )
    texts: dict[str, list[str]] = {}
    for row in rows:
        action, own = composed((row[column] or "").strip()), " ".join((row.get("text") or "").split())
        if not action:
            raise ClaverError(f"{path}, line {rows.line_num}: the action is empty")
        if action in texts and not own:
            raise ClaverError(f"{path}, line {rows.line_num}: action {action!r} is listed more than once")
        texts.setdefault(action, []).extend([own] if own else [])
    return {action: tuple(own) for action, own in texts.items()}
