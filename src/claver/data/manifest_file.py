"""Manifests as files: read with every mistake named by its line, written whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from claver import files
from claver.csv_text import csv_text, delimiter_of
from claver.data.classes import dataset_classes
from claver.data.manifest import Manifest, Sample, check_duplicates, known_dataset, normal_split
from claver.errors import ClaverError
from claver.names import composed, fault
from claver.suggest import hint_or_some

Row = dict[str, str]

COLUMNS = ("path", "label", "split", "raw_label", "dataset")
"""Of a manifest, in the order in which they are written; any others follow them."""


def read_manifest(
    path: str | Path,
    *,
    root: str | Path | None = None,
    split: str | None = None,
    classes: Sequence[str] | None = None,
) -> Manifest:
    """Read a manifest.

    Args:
        path: a CSV file with a header, see `claver.data.manifest`.
        root: what relative paths are relative to; the folder of the file if None.
        split: only the clips of this split (train, val, test).
        classes: the class list, where it is not to be that of the dataset named in the file, or of its labels.

    Raises:
        ClaverError: no such file, not a CSV in UTF-8, a missing column, an empty field, a label that is no class, a
            clip listed twice, no clip at all. One sentence with file, line and what would be right.
    """
    path = Path(path)
    columns, rows, lines = _rows(path)
    dataset = _dataset(path, rows, lines) if classes is None else ""
    names = tuple(map(composed, classes)) if classes is not None else _class_names(rows, dataset)
    place = {name: index for index, name in enumerate(names)}
    more = tuple(name for name in dict.fromkeys(columns) if name and name not in COLUMNS)
    samples = tuple(_sample(path, row, line, place, more) for row, line in zip(rows, lines, strict=True))
    warnings = check_duplicates(samples, [f"{path}, line {line}" for line in lines])
    base = path.parent if root is None else Path(root)
    raw = _raw_names(path, rows, lines, names, dataset)
    warnings += _numbers(path, names) if not dataset and classes is None else []
    return Manifest(names, samples, base, dataset, raw, tuple(warnings), more).select(split)


def write_manifest(manifest: Manifest, path: str | Path, *, root: str | Path | None = None) -> Path:
    """Write a manifest; the file appears whole or not at all.

    Args:
        manifest: what to write.
        path: the file.
        root: what to write the paths relative to; the folder of the file if None. Clips elsewhere get absolute paths.

    Raises:
        ClaverError: the file cannot be written, or holds no clip.
    """
    path = Path(path)
    if not len(manifest):
        raise ClaverError(f"{path} would list no clip at all")
    placed = manifest.rooted(path.parent if root is None else root)
    columns = ["path", "label"]
    columns += ["split"] if any(placed.splits) else []
    columns += ["raw_label"] if placed.raw_classes else []
    columns += ["dataset"] if placed.dataset else []
    rows = [[*columns, *placed.columns]]
    for sample in placed.samples:
        values = {"path": sample.path, "label": placed.classes[sample.label], "split": sample.split}
        values |= {"raw_label": placed.raw_name(sample.label), "dataset": placed.dataset}
        rows.append([*(values[column] for column in columns), *sample.more])
    files.write_whole(path, csv_text(rows))
    return path


def read_text(path: Path) -> str:
    """The text of a list, see `claver.files.read_text`; bytes that are not UTF-8 are kept, as file names may hold them.

    Raises:
        ClaverError: it cannot be read.
    """
    return files.read_text(path, keep_bytes=True)


def csv_rows(path: Path) -> tuple[list[str], Iterator[tuple[Row, int]]]:
    """The columns of a CSV file with a header, and its rows with their lines; blank lines are passed over.

    A column may be without a name, as that of the row's number which pandas writes.
    """
    text = read_text(path)
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="", delimiter=delimiter_of(text))
    try:
        columns = [name.strip().lower() for name in reader.fieldnames or []]
    except csv.Error as error:
        raise ClaverError(f"{path}, line 1: it is not a CSV file ({error})") from error
    reader.fieldnames = columns
    return columns, _each_row(path, reader)


def _each_row(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[Row, int]]:
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ClaverError(f"{path}, line {line}: it is not CSV ({error})") from error
        if row is None:
            return
        if None in row:
            raise ClaverError(
                f'{path}, line {reader.line_num}: there are more fields than columns; put a name with a comma into "…"'
            )
        yield row, reader.line_num


def _rows(path: Path) -> tuple[list[str], list[Row], list[int]]:
    if path.is_dir() or not path.exists():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ClaverError(f"the manifest {path} {what}; `claver data index FOLDER --output FILE.csv` makes one")
    columns, rows = csv_rows(path)
    for needed in ("path", "label"):
        if needed not in columns:
            if any("\0" in column for column in columns):
                raise ClaverError(f"{path} holds null characters, as UTF-16 without a mark does; save it as UTF-8")
            raise ClaverError(
                f"{path}, line 1: there is no column {needed!r} but {', '.join(map(repr, columns)) or 'nothing'}; the "
                "first line should be path,label or path,label,split"
            )
    listed = list(rows)
    if not listed:
        raise ClaverError(f"{path} lists no clip; each line after the first should be path,label")
    return columns, [row for row, _ in listed], [line for _, line in listed]


def _dataset(path: Path, rows: Sequence[Row], lines: Sequence[int]) -> str:
    named = rows[0].get("dataset", "").strip()
    for row, line in zip(rows, lines, strict=True):
        if row.get("dataset", "").strip() != named:
            raise ClaverError(f"{path}, line {line}: a manifest is of one dataset, and {named!r} stands above")
    return known_dataset(named, f"{path}, line {lines[0]}")


def _class_names(rows: Sequence[Row], dataset: str) -> tuple[str, ...]:
    return dataset_classes(dataset) if dataset else tuple(sorted({_label(row) for row in rows} - {""}))


def _numbers(path: Path, names: Sequence[str]) -> list[str]:
    """A warning where labels are numbers, about which no text says anything."""
    if not (numbers := [name for name in names if name.isdecimal()]):
        return []
    return [
        f"{path}: the label {numbers[0]!r} is taken as the name of an action; if it is a number of one, "
        f"`claver data index {path} --classes FILE` puts the name in its place"
    ]


def _sample(path: Path, row: Row, line: int, place: dict[str, int], more: Sequence[str]) -> Sample:
    label = _label(row)
    if not row["path"].strip():
        raise ClaverError(f"{path}, line {line}: the path is empty; it should name a video file")
    if not label:
        raise ClaverError(f"{path}, line {line}: the label is empty; it should name an action")
    if wrong := fault(label):
        raise ClaverError(f"{path}, line {line}: the label {wrong}")
    if label not in place:
        near = hint_or_some(label, place)
        raise ClaverError(f"{path}, line {line}: {label!r} is none of the {len(place)} classes{near}")
    return Sample(row["path"], place[label], normal_split(row.get("split", "")), tuple(row[name] for name in more))


def _raw_names(
    path: Path, rows: Sequence[Row], lines: Sequence[int], names: Sequence[str], dataset: str
) -> tuple[str, ...]:
    if not rows[0].get("raw_label"):
        return ()
    written = dict(zip(names, dataset_classes(dataset, raw=True) if dataset else names, strict=True))
    seen: dict[str, str] = {}
    for row, line in zip(rows, lines, strict=True):
        label, raw = _label(row), composed(row["raw_label"].strip())
        if raw and seen.setdefault(label, raw) != raw:
            raise ClaverError(f"{path}, line {line}: {label!r} has raw label {raw!r} here and {seen[label]!r} above")
    return tuple((written | seen)[name] for name in names)


def _label(row: Row) -> str:
    return composed(row["label"].strip())
