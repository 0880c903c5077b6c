"""CSV that every reader reads back alike and, on request, that no spreadsheet runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_RUN = ("=", "+", "-", "@", "\t", "\r")
"""What begins a cell that a spreadsheet takes for a formula."""


def delimiter_of(text: str) -> str:
    """What stands between the cells of a table, by its first line.

    A comma, or the semicolon or tab that spreadsheets write where the comma is a decimal point.
    """
    header = text.partition("\n")[0]
    return next((sign for sign in ",;\t" if sign in header), ",")


def csv_text(rows: Iterable[Sequence[object]], *, safe: bool = False) -> str:
    """Rows as lines of CSV, with `\\n` at the end of each.

    Args:
        rows: cells; None is an empty one, numbers are written as Python shows them.
        safe: whether cells of text that a spreadsheet would run get an apostrophe before them. Numbers are left alone,
            and so is text that is a number.
    """
    return "".join(",".join(_cell(value, safe) for value in row) + "\n" for row in rows)


def _cell(value: object, safe: bool) -> str:
    text = "" if value is None else str(value)
    if safe and text.startswith(_RUN) and not _is_number(text):
        text = f"'{text}"
    return quoted(text)


def quoted(text: str) -> str:
    """A cell; Python's own writer leaves a lone carriage return bare, over which its reader then stumbles."""
    needed = any(sign in text for sign in ',"\r\n') or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if needed else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text
