"""Lists of actions: a benchmark's classes by name, a file's, or one's own words; each action with its texts."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from claver.errors import ClaverError
from claver.prompts.templates import DEFAULT_TEMPLATES, fill

BENCHMARKS = ("kinetics400", "kinetics600", "ucf101", "hmdb51")


@dataclass(frozen=True)
class Actions:
    """Actions and what is said about each.

    Attributes:
        names: the actions, C of them, no two alike.
        texts: for each action its texts, at least one.
    """

    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise ClaverError("the list of actions is empty; give at least one action")
        if repeated := [name for name, count in Counter(self.names).items() if count > 1]:
            raise ClaverError(f"action {repeated[0]!r} is listed more than once")
        if bare := [name for name, texts in zip(self.names, self.texts, strict=True) if not texts]:
            raise ClaverError(f"action {bare[0]!r} has no text")

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Actions({len(self.names)} actions, {sum(map(len, self.texts))} texts: {', '.join(self.names[:3])}, …)"


def read_actions(
    source: str | Path | Sequence[str] | Mapping[str, Sequence[str]] | Actions,
    *,
    templates: Sequence[str] = DEFAULT_TEMPLATES,
) -> Actions:
    """Actions from whatever names them.

    Args:
        source: a benchmark (`kinetics400`, `kinetics600`, `ucf101`, `hmdb51`); a file, either `.txt` with an action a
            line or `.csv` with a column `action` (or `name`) and perhaps `text`, one row per text; words separated by
            commas; a list of actions; or a mapping from action to its own texts.
        templates: forms that an action without texts of its own is put into, `{}` standing for it.

    Raises:
        ClaverError: an unknown benchmark, a missing or malformed file, an empty or repeated action.
    """
    if isinstance(source, Actions):
        return source
    if isinstance(source, Mapping):
        texts = ((own,) if isinstance(own, str) else tuple(own) for own in source.values())
        return Actions(tuple(source), tuple(texts))
    if isinstance(source, Path):
        return _read_file(source, templates)
    if not isinstance(source, str):
        return _templated([word.strip() for word in source if word.strip()], templates)
    return _from_words(source.strip(), templates)


def _from_words(source: str, templates: Sequence[str]) -> Actions:
    if source in BENCHMARKS:
        return _templated(benchmark_classes(source), templates)
    if _names_a_file(source):
        return _read_file(Path(source), templates)
    words = [word.strip() for word in source.split(",") if word.strip()]
    if len(words) == 1 and (meant := _nearly_a_benchmark(words[0])):
        raise ClaverError(f"{words[0]!r} is no list of actions; did you mean {meant!r}?")
    return _templated(words, templates)


def _nearly_a_benchmark(word: str) -> str | None:
    plain = re.sub(r"[\W_]", "", word).casefold()
    near = difflib.get_close_matches(plain, BENCHMARKS, n=1, cutoff=0.85)
    return near[0] if near else None


def benchmark_classes(name: str, *, raw: bool = False) -> list[str]:
    """The classes of a benchmark in its official order.

    Args:
        name: one of `BENCHMARKS`.
        raw: UCF-101's names as its authors wrote them (`ApplyEyeMakeup`) in place of words (`apply eye makeup`).
    """
    if name not in BENCHMARKS:
        raise ClaverError(f"there is no benchmark {name!r}; known are {', '.join(BENCHMARKS)}")
    lines = resources.files("claver.prompts").joinpath("lists", f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return lines if raw or name != "ucf101" else [split_camel_case(line) for line in lines]


def split_camel_case(name: str) -> str:
    """`ApplyEyeMakeup` to `apply eye makeup`."""
    return " ".join(re.findall(r"[A-Z][a-z]*|[a-z]+|\d+", name)).lower()


def _templated(names: Sequence[str], templates: Sequence[str]) -> Actions:
    return Actions(tuple(names), tuple(fill(name, templates) for name in names))


def _names_a_file(source: str) -> bool:
    if source.endswith((".txt", ".csv")):
        return True
    try:
        return "," not in source and Path(source).exists()
    except OSError:  # longer than a file name may be
        return False


def _read_file(path: Path, templates: Sequence[str]) -> Actions:
    if path.is_dir():
        raise ClaverError(f"{path} is a folder; actions come from a .txt or .csv file, a list of words, or a benchmark")
    if not path.is_file():
        raise ClaverError(f"there is no file of actions {path}; benchmarks are {', '.join(BENCHMARKS)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ClaverError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if path.suffix.lower() == ".csv":
        return _read_csv(path, text, templates)
    return _templated([line.strip() for line in text.splitlines() if line.strip()], templates)


def _read_csv(path: Path, text: str, templates: Sequence[str]) -> Actions:
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        return _read_rows(path, rows, templates)
    except csv.Error as error:
        raise ClaverError(f"{path}, line {rows.line_num + 1}: not valid CSV ({error})") from error


def _delimiter(text: str) -> str:
    """A comma, or the semicolon that spreadsheets write where the comma is a decimal point."""
    header = text.partition("\n")[0]
    return ";" if ";" in header and "," not in header else ","


def _read_rows(path: Path, rows: csv.DictReader[str], templates: Sequence[str]) -> Actions:
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
    filled = {action: tuple(own) or fill(action, templates) for action, own in texts.items()}
    return Actions(tuple(filled), tuple(filled.values()))
