"""Datasets of one's own: a folder per class, `path label` text files, CSV files with a path and a label."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from claver.data.classes import ClassFinder, dataset_classes, recognize_dataset, words
from claver.data.layouts.listing import Entry, LayoutRequest, Listing, numbered_classes
from claver.data.layouts.tree import VIDEO_SUFFIXES
from claver.data.manifest import SPLITS, normal_split
from claver.data.manifest_file import csv_rows, read_text
from claver.errors import ClaverError
from claver.names import text_lines

FOLDERS_EXPECTED = "folders: a folder per class with videos in it, perhaps below train/, val/ and test/"
LIST_EXPECTED = "list: text files with a path and a label a line, as train.txt with `a clip.mp4 3`"
CSV_EXPECTED = "csv: a CSV file with the columns path and label (and perhaps split)"
_PATHS = ("path", "video", "video_path", "file", "filename", "file_name", "filepath", "clip")
_LABELS = ("label", "class", "class_name", "action", "category", "name")
_SUFFIX = "|".join(re.escape(suffix) for suffix in VIDEO_SUFFIXES)
_LINE = re.compile(rf"""\s*["']?(?P<path>\S.*(?:{_SUFFIX}))["']?\s*[,;\t ]\s*(?P<label>\S.*)""", re.IGNORECASE)


def class_folders(files: Sequence[str]) -> dict[str, tuple[str, str]]:
    """For each video in a folder of a class: its split (or empty) and the class folder's name.

    A folder that holds all others, as `data/` in `data/train/waving/a.mp4`, is no class.
    """
    below, _ = _unwrapped({file: tuple(file.split("/")[:-1]) for file in files})
    splits = {file: normal_split(folders[0]) for file, folders in below.items()}
    splits = {file: split if split in SPLITS else "" for file, split in splits.items()}
    inner, _ = _unwrapped({file: folders[1:] if splits[file] else folders for file, folders in below.items()})
    return {file: (splits[file], folders[0]) for file, folders in inner.items()}


def _unwrapped(folders: dict[str, tuple[str, ...]]) -> tuple[dict[str, tuple[str, ...]], str]:
    """The folders of each video without those that hold all others, and what these are; videos beside them go."""
    wrapper: list[str] = []
    while True:
        folders = {file: names for file, names in folders.items() if names}
        firsts = {names[0] for names in folders.values()}
        if len(firsts) != 1 or normal_split(next(iter(firsts))) in SPLITS or max(map(len, folders.values())) < 2:
            return folders, "/".join(wrapper)
        wrapper += firsts
        folders = {file: names[1:] for file, names in folders.items()}


def read_folders(request: LayoutRequest) -> Listing:
    """A class per folder. Underscores in its name become blanks; a known dataset's spelling is restored."""
    placed = class_folders(request.tree.videos)
    if not placed:
        raise ClaverError(f"{request.tree.root} has no folder with videos; expected is {FOLDERS_EXPECTED}")
    raw = sorted({folder for _, folder in placed.values()})
    dataset = request.dataset or ("" if request.classes else recognize_dataset(raw))
    given = request.classes or (dataset_classes(dataset) if dataset else ())
    classes = given or tuple(sorted({words(folder) for folder in raw}))
    finder = ClassFinder(classes)
    index = {folder: finder.index(folder, str(request.tree.root / folder)) for folder in raw}
    entries = tuple(Entry(file, index[folder], split) for file, (split, folder) in placed.items())
    notes = (*_merged(classes, index), *_nested(placed))
    return Listing(classes, entries, dataset, _raw_names(classes, dataset, index), notes)


def _merged(classes: Sequence[str], index: dict[str, int]) -> list[str]:
    """A note for each class that has folders of several spellings."""
    of_class: dict[int, list[str]] = {}
    for folder, label in index.items():
        of_class.setdefault(label, []).append(folder)
    return [
        f"the folders {', '.join(map(repr, folders))} are one class, {classes[label]!r}"
        for label, folders in of_class.items()
        if len(folders) > 1
    ]


def _nested(placed: dict[str, tuple[str, str]]) -> list[str]:
    """Notes where it is not plain which folders are the classes."""
    file = next(iter(placed))
    above = [names for names, (_, folder) in placed.items() if names.split("/")[-2] != folder]
    notes = []
    outer = file.split("/")[: file.split("/").index(placed[file][1])]
    if outer and normal_split(outer[0]) not in SPLITS:
        notes.append(f"all videos lie below {outer[0]}, which is no class; classes are the folders in it")
    if len(above) == len(placed):
        notes.append(
            f"no video lies directly in the folder of its class, as {file} in {placed[file][1]!r}: if the classes are "
            "the folders further in, index the folder above them"
        )
    splits = {split for split, _ in placed.values()}
    if len(splits) > 1 and "" in splits:
        name = next(folder for split, folder in placed.values() if not split)
        known = ", ".join(sorted(splits - {""}))
        notes.append(f"beside the splits {known} there are folders that are taken for classes, as {name!r}")
    return notes


def _raw_names(classes: Sequence[str], dataset: str, index: dict[str, int]) -> tuple[str, ...]:
    if dataset:
        raw = dataset_classes(dataset, raw=True)
    else:
        written = {label: folder for folder, label in reversed(index.items())}
        raw = tuple(written.get(label, name) for label, name in enumerate(classes))
    return raw if raw != tuple(classes) else ()


def sniff_lists(annotations: Sequence[Path]) -> list[Path]:
    """The text files whose first line is a video's path and a label."""
    texts = (path for path in annotations if path.suffix.lower() == ".txt")
    return [path for path in islice(texts, 200) if _LINE.fullmatch(_first_line(path))]


def read_lists(request: LayoutRequest) -> Listing:
    """Lines of path and label, a tab, comma or blank between them; blanks and commas in paths and names are kept.

    The path ends with the suffix of a video; where it has none, the label is what follows the last separator.
    """
    named = [path for path in request.annotations if path.suffix.lower() == ".txt"]
    files = named if len(named) == 1 else sniff_lists(named)
    if not files:
        raise ClaverError(f"{request.tree.root} has no list of videos; expected is {LIST_EXPECTED}")
    rows = [(*_fields(line, f"{path}, line {n}"), _split_of(path), f"{path}, line {n}")
            for path in files
            for n, line in enumerate(text_lines(read_text(path)), start=1)
            if line.strip()]  # fmt: skip
    return _labelled(rows, request)


def _fields(line: str, place: str) -> tuple[str, str]:
    if found := _LINE.fullmatch(line):
        return found["path"], found["label"].strip()
    for separator in ("\t", ",", " "):
        path, _, label = line.strip().rpartition(separator)
        if path.strip() and label.strip():
            return path.strip(), label.strip()
    raise ClaverError(f"{place}: {line.strip()!r} should be a path and a label")


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        begun = file.read(2**16)
    utf16 = begun.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lines = text_lines(begun.decode("utf-16" if utf16 else "utf-8-sig", "replace"))
    return next((line.strip() for line in lines[:20] if line.strip()), "")


def sniff_csv(annotations: Sequence[Path]) -> list[Path]:
    """The CSV files with a column for paths and one for labels."""
    return [path for path in annotations if path.suffix.lower() == ".csv" and all(_columns(csv_rows(path)[0]))]


def read_csv(request: LayoutRequest) -> Listing:
    """Rows of a CSV; the split is in its column, or in the name of the file."""
    files = sniff_csv(request.annotations)
    if not files:
        raise ClaverError(f"{request.tree.root} has no such list; expected is {CSV_EXPECTED}")
    if len(files) > 1 and not all(_split_of(path) for path in files):
        names = ", ".join(path.name for path in files[:4])
        raise ClaverError(
            f"{request.tree.root} has several lists ({names}); give the one to read in place of the folder"
        )
    rows = []
    for path in files:
        columns, listed = csv_rows(path)
        where, what = _columns(columns)
        for row, line in listed:
            place = f"{path}, line {line}"
            if not row[where].strip() or not row[what].strip():
                raise ClaverError(f"{place}: the {where if not row[where].strip() else what} is empty")
            rows.append((row[where], row[what].strip(), normal_split(row.get("split", "")) or _split_of(path), place))
    return _labelled(rows, request)


def _columns(columns: Sequence[str]) -> tuple[str, str]:
    where = next((name for name in _PATHS if name in columns), "")
    return where, next((name for name in _LABELS if name in columns), "")


def _split_of(path: Path) -> str:
    """`kinetics_val_list.txt` is of split val."""
    parts = (normal_split(part) for part in re.split(r"[^a-z]+", path.stem.lower()))
    return next((part for part in parts if part in SPLITS), "")


def _labelled(rows: Sequence[tuple[str, str, str, str]], request: LayoutRequest) -> Listing:
    """Rows of path, label, split and place."""
    classes, labels, notes = numbered_classes([(label, place) for _, label, _, place in rows], request)
    entries = tuple(Entry(path, label, split) for (path, _, split, _), label in zip(rows, labels, strict=True))
    given = set(request.given_classes())
    dataset = request.dataset if given else recognize_dataset(classes)
    if dataset and not given:
        request = LayoutRequest(request.tree, request.annotations, dataset=dataset)
        return _labelled(rows, request)
    return Listing(classes, entries, dataset if not request.classes else "", request.raw_of(classes), notes)
