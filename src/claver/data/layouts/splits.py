"""UCF-101 and HMDB-51 as downloaded: three official splits in text files beside class folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from claver.data.classes import ClassFinder, dataset_classes, recognize_dataset, split_camel_case, words
from claver.data.layouts.listing import Entry, LayoutRequest, Listing
from claver.data.manifest_file import read_text
from claver.errors import ClaverError
from claver.names import text_lines

UCF_EXPECTED = "ucf101: ucfTrainTestlist/classInd.txt with trainlist01.txt and testlist01.txt, and class folders"
HMDB_EXPECTED = (
    "hmdb51: testTrainMulti_7030_splits/CLASS_test_split1.txt (1 train, 2 test, 0 unused) or hmdb51_split1_train.txt, "
    "and class folders"
)
_HMDB_OFFICIAL = re.compile(r"(?P<name>.+)_test_split(?P<fold>[123])\.txt")
_HMDB_LIST = re.compile(r"hmdb51_split(?P<fold>[123])_(?P<name>train|test)\.txt")
_HMDB_SPLITS = {"1": "train", "2": "test"}


def sniff_ucf(annotations: Sequence[Path]) -> list[Path]:
    """UCF-101's list of classes among some lists."""
    return [path for path in annotations if path.name.lower() == "classind.txt"]


def read_ucf(request: LayoutRequest) -> Listing:
    """The clips of one of UCF-101's three splits; classes in words, `ApplyEyeMakeup` kept as the raw name."""
    index = sniff_ucf(request.annotations)[0]
    raw = _class_index(index)
    entries = []
    for split in ("train", "test"):
        path = index.with_name(f"{split}list{request.fold:02d}.txt")
        entries += [_ucf_entry(line, split, raw, place) for line, place in _lines(path)]
    dataset = "ucf101" if tuple(raw) == dataset_classes("ucf101", raw=True) else ""
    return Listing(tuple(map(split_camel_case, raw)), tuple(entries), dataset, tuple(raw))


def _class_index(path: Path) -> dict[str, int]:
    """Raw class names in order; the file counts from 1."""
    raw: dict[str, int] = {}
    for line, place in _lines(path):
        number, _, name = line.partition(" ")
        if number != str(len(raw) + 1) or not name.strip():
            raise ClaverError(f"{place}: {line!r} should be {len(raw) + 1} and the name of a class")
        raw[name.strip()] = len(raw)
    return raw


def _ucf_entry(line: str, split: str, raw: dict[str, int], place: str) -> Entry:
    listed, _, number = line.partition(" ") if split == "train" else (line, "", "")
    name = listed.split("/")[0]
    if name not in raw:
        raise ClaverError(f"{place}: {name!r} is none of the {len(raw)} classes of classInd.txt")
    if number and number.strip() != str(raw[name] + 1):
        raise ClaverError(f"{place}: {name!r} is class {raw[name] + 1} in classInd.txt, not {number.strip()}")
    return Entry(listed, raw[name], split)


def sniff_hmdb(annotations: Sequence[Path]) -> list[Path]:
    """The lists of HMDB-51's splits, in either form, among some lists."""
    return [path for path in annotations if _HMDB_OFFICIAL.fullmatch(path.name) or _HMDB_LIST.fullmatch(path.name)]


def read_hmdb(request: LayoutRequest) -> Listing:
    """The clips of one of HMDB-51's three splits; those marked as unused are noted."""
    files = sniff_hmdb(request.annotations)
    official = {found["name"]: path for path in files if (found := _matches(_HMDB_OFFICIAL, path, request.fold))}
    lists = {found["name"]: path for path in files if (found := _matches(_HMDB_LIST, path, request.fold))}
    if not official and len(lists) < 2:
        raise ClaverError(f"{files[0].parent} has no lists of split {request.fold}; expected are {HMDB_EXPECTED}")
    rows, unused = _official_rows(official) if official else (_list_rows(lists), 0)
    raw = tuple(sorted({listed.split("/")[0] for listed, _, _ in rows}))
    dataset = recognize_dataset(raw, ("hmdb51",))
    classes = dataset_classes(dataset) if dataset else tuple(map(words, raw))
    finder = ClassFinder(classes)
    entries = tuple(Entry(listed, finder.index(listed.split("/")[0], place), split) for listed, split, place in rows)
    notes = (f"{unused} clips are marked as unused in split {request.fold}, and are left out",) if unused else ()
    raw = dataset_classes(dataset, raw=True) if dataset else raw
    return Listing(classes, entries, dataset, raw if raw != classes else (), notes)


def _matches(pattern: re.Pattern[str], path: Path, fold: int) -> re.Match[str] | None:
    found = pattern.fullmatch(path.name)
    return found if found and found["fold"] == str(fold) else None


def _official_rows(files: dict[str, Path]) -> tuple[list[tuple[str, str, str]], int]:
    rows, unused = [], 0
    for name, path in sorted(files.items()):
        for line, place in _lines(path):
            file, _, mark = line.rpartition(" ")
            if mark not in ("0", "1", "2") or not file.strip():
                raise ClaverError(f"{place}: {line!r} should be a file name and 0 (unused), 1 (train) or 2 (test)")
            unused += mark == "0"
            if mark != "0":
                rows.append((f"{name}/{file.strip()}", _HMDB_SPLITS[mark], place))
    return rows, unused


def _list_rows(files: dict[str, Path]) -> list[tuple[str, str, str]]:
    """Rows of `number TAB class TAB class_name/file`; the folder tells the class."""
    rows = []
    for split, path in sorted(files.items(), reverse=True):
        for line, place in _lines(path):
            fields = line.split("\t")
            if len(fields) != 3 or "/" not in fields[2]:
                raise ClaverError(f"{place}: {line!r} should be number, class and class/file, with tabs between")
            rows.append((fields[2].strip(), split, place))
    return rows


def _lines(path: Path) -> list[tuple[str, str]]:
    """The lines of a list that are not blank, each with what a message calls it."""
    text = text_lines(read_text(path))
    return [(line.strip(), f"{path}, line {number}") for number, line in enumerate(text, start=1) if line.strip()]
