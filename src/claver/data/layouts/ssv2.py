"""Something-Something v2 as downloaded: JSON lists, labels with their order, and videos named by number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claver.data.classes import ClassFinder, dataset_classes
from claver.data.layouts.listing import Entry, LayoutRequest, Listing
from claver.errors import ClaverError
from claver.files import MOST_TEXT
from claver.json_text import read_json

EXPECTED = (
    "ssv2: something-something-v2-train.json, -validation.json and -labels.json (or train.json, validation.json and "
    "labels.json), and ID.webm"
)
_LIST = re.compile(r"(?:something-something-v2-)?(?P<split>train|validation|test)\.json")
_LABELS = re.compile(r"(?:something-something-v2-)?labels\.json")
_SPLITS = {"train": "train", "validation": "val", "test": "test"}


def sniff(annotations: Sequence[Path]) -> list[Path]:
    """The lists of Something-Something v2 among some lists: none where its labels are not beside them."""
    if not any(_LABELS.fullmatch(path.name) for path in annotations):
        return []
    return [path for path in annotations if _LIST.fullmatch(path.name)]


def read(request: LayoutRequest) -> Listing:
    """The clips of all lists; the class is the template without its brackets. A test set without labels is noted."""
    labels = next(path for path in request.annotations if _LABELS.fullmatch(path.name))
    classes = _classes(labels)
    finder = ClassFinder(classes)
    entries, unlabelled = [], 0
    for path in sniff(request.annotations):
        split = _SPLITS[_LIST.fullmatch(path.name)["split"]]  # type: ignore[index]  # sniff saw to it
        for number, record in enumerate(_json(path, list)):
            place = f"{path}, record {number}"
            name, template = _record(record, place)
            unlabelled += template is None
            if template is not None:
                entries.append(Entry(f"{name}.webm", finder.index(template, place), split))
    notes = (f"{unlabelled} clips have no template, as those of the test set, and are left out",) if unlabelled else ()
    dataset = "ssv2" if classes == dataset_classes("ssv2") else ""
    return Listing(classes, tuple(entries), dataset, notes=notes)


def _record(record: Any, place: str) -> tuple[str, str | None]:
    if not isinstance(record, dict) or "id" not in record:
        raise ClaverError(f"{place}: there is no 'id'; a record should have id and template")
    template = record.get("template")
    return str(record["id"]), None if template is None else re.sub(r"[\[\]]", "", str(template)).strip()


def _classes(path: Path) -> tuple[str, ...]:
    """`{"name": "0", …}` in the order of the numbers."""
    table = _json(path, dict)
    try:
        return tuple(sorted(table, key=lambda name: int(table[name])))
    except (TypeError, ValueError):
        raise ClaverError(f"{path}: each class should have a number, as in {{'Opening something': '0'}}") from None


def _json(path: Path, kind: type) -> Any:
    content = read_json(path, MOST_TEXT)
    if not isinstance(content, kind):
        raise ClaverError(f"{path} should hold a JSON {'list' if kind is list else 'object'}")
    return content
