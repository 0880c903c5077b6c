"""Untrusted JSON: every mistake is reported in one sentence, with its line."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from claver.errors import ClaverError
from claver.files import MOST_DOCUMENT, read_text

_HALF = re.compile("[\ud800-\udfff]")


def read_json(path: Path, most: int = MOST_DOCUMENT) -> Any:
    """The value of a JSON file.

    Raises:
        ClaverError: it cannot be read, is larger than `most` bytes, or as in `parse_json`.
    """
    return parse_json(read_text(path, most, keep_bytes=True), str(path))


def parse_json(text: str, where: str, line: int = 0) -> Any:
    """The value of a JSON text.

    Args:
        text: the text.
        where: how an error names it.
        line: its number in a file of JSON lines; 0 for a document of its own.

    Raises:
        ClaverError: it is not JSON, nested too deeply, or holds a number that is none (NaN, Infinity, 1e999) or too
            long to be read.
    """
    at = f"{where}, line {line}" if line else where
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except json.JSONDecodeError as error:
        at, what = f"{where}, line {line or error.lineno}", "a line of JSON" if line else "valid JSON"
        raise ClaverError(f"{at}: not {what} ({error.msg})") from error
    except RecursionError:
        raise ClaverError(f"{at}: JSON that is nested too deeply") from None
    except MemoryError:
        raise ClaverError(f"{at}: JSON that does not fit into memory") from None
    except ValueError as error:
        raise ClaverError(f"{at}: {reason_of_number(error)}") from error


def to_json(values: Any, indent: int | None = None, *, allow_nan: bool = True) -> str:
    """One JSON document and an end of line: text as it is, but bytes of file names that are no UTF-8 as escapes."""
    text = json.dumps(values, indent=indent, ensure_ascii=False, allow_nan=allow_nan)
    return _HALF.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def reason_of_number(error: Exception) -> str:
    """Why a number cannot be read; Python's own words about digits speak of a setting that helps nobody here."""
    return "a whole number of thousands of digits" if "integer string conversion" in str(error) else str(error)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not finite")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value
