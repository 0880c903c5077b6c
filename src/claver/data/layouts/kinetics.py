"""Kinetics as downloaded: CSV annotations, and files named by YouTube id and time in class folders or in one heap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from claver.data.classes import ClassFinder, dataset_classes
from claver.data.layouts.listing import Entry, LayoutRequest, Listing
from claver.data.manifest import normal_split
from claver.data.manifest_file import csv_rows
from claver.errors import ClaverError
from claver.names import plain

EXPECTED = (
    "kinetics: CSV files with the columns label,youtube_id,time_start,time_end,split, and videos "
    "ID_000010_000020.mp4 (or ID.mp4), in class folders or not"
)


@dataclass(frozen=True)
class _Segment:
    label: str
    youtube_id: str
    start: int
    end: int
    split: str
    place: str


def sniff(annotations: Sequence[Path]) -> list[Path]:
    """The annotation files of Kinetics among some lists."""
    return [path for path in annotations if path.suffix.lower() == ".csv" and "youtube_id" in csv_rows(path)[0]]


def read(request: LayoutRequest) -> Listing:
    """The clips of Kinetics-400, -600 or -700. Those without a label (a test set) are noted, not listed."""
    files = sniff(request.annotations)
    segments = list(dict.fromkeys(segment for path in files for segment in _segments(path)))
    labelled = [segment for segment in segments if segment.label]
    if not labelled:
        raise ClaverError(f"no row of {', '.join(map(str, files)) or 'the annotations'} has a label and a youtube_id")
    dataset = request.dataset or ("" if request.classes else _which(labelled, files))
    classes = request.classes or (dataset_classes(dataset) if dataset else _sorted_labels(labelled))
    finder = ClassFinder(classes)
    times = Counter(youtube_id for youtube_id, _ in {(s.youtube_id, s.start) for s in segments})
    entries = tuple(_entry(s, finder.index(s.label, s.place), times[s.youtube_id] == 1) for s in labelled)
    unlabelled = len(segments) - len(labelled)
    notes = (f"{unlabelled} rows have no label, as those of a test set, and are left out",) if unlabelled else ()
    return Listing(tuple(classes), tuple(dict.fromkeys(entries)), dataset, notes=notes)


def _segments(path: Path) -> list[_Segment]:
    columns, rows = csv_rows(path)
    for needed in ("youtube_id", "time_start", "time_end"):
        if needed not in columns:
            raise ClaverError(f"{path}, line 1: there is no column {needed!r} but {', '.join(columns)}")
    found = []
    for row, line in rows:
        place = f"{path}, line {line}"
        split = normal_split(row.get("split", "").strip() or path.stem.split("_")[-1])
        times = (_seconds(row["time_start"], place), _seconds(row["time_end"], place))
        label = " ".join(row.get("label", "").replace("_", " ").replace('"', "").split())
        found.append(_Segment(label, row["youtube_id"].strip(), *times, split, place))
    return found


def _seconds(text: str, place: str) -> int:
    try:
        return int(float(text))
    except ValueError:
        raise ClaverError(f"{place}: {text!r} is not a time in seconds") from None


def _entry(segment: _Segment, label: int, alone: bool) -> Entry:
    """A video cut only once may bear its id alone; of one cut twice that would not say which piece it is."""
    name, start, end = segment.youtube_id, segment.start, segment.end
    stems = [f"{name}_{start:06d}_{end:06d}", f"{name}_{start}_{end}", f"{name}_{start:06d}", f"{name}_{start}"]
    stems += [name, f"v_{name}"] if alone else []
    return Entry(f"{stems[0]}.mp4", label, segment.split, tuple(stems))


def _sorted_labels(segments: Sequence[_Segment]) -> tuple[str, ...]:
    return tuple(sorted({segment.label for segment in segments}))


def _which(segments: Sequence[_Segment], files: Sequence[Path]) -> str:
    """By the labels; where both lists hold them all, by the names of files and folders, else the smaller."""
    labels = {plain(segment.label) for segment in segments}
    fitting = [
        name for name in ("kinetics400", "kinetics600") if labels <= {plain(known) for known in dataset_classes(name)}
    ]
    path = "/".join(part for file in files for part in file.parts[-3:])
    named = [name for name in fitting if name[-3:] in path]
    return (named or fitting or [""])[0]
