"""Annotations of when actions happen: ActivityNet's JSON, and THUMOS'14 as such JSON or as its text files."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claver.errors import ClaverError
from claver.evaluation.localization import Instance
from claver.files import MOST_TEXT, read_text
from claver.json_text import read_json
from claver.suggest import hint

_EXPECTED = (
    'a JSON object with "database": {VIDEO: {"subset": …, "annotations": [{"segment": [0.5, 3.5], "label": …}]}}'
)
_THUMOS_FILE = re.compile(r"(\w+)_(val|test)\.txt")
_AMBIGUOUS = "Ambiguous"


@dataclass(frozen=True)
class Annotations:
    """Annotated actions of some videos, with their times.

    Attributes:
        videos: the names of all annotated videos, those without an action too.
        instances: the actions.
        left_out: instances that end before they start, or have no length, as a few of ActivityNet's do.
    """

    videos: tuple[str, ...]
    instances: tuple[Instance, ...]
    left_out: int = 0

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that are annotated, sorted."""
        return tuple(sorted({instance.label for instance in self.instances}))


def read_annotations(path: Path, subset: str | None = None) -> Annotations:
    """The annotations of a JSON file in ActivityNet's layout, or of a folder of THUMOS'14's text files.

    Args:
        path: a file, or a folder with files such as `BaseballPitch_val.txt`.
        subset: which part, such as `validation`, `test` or `val`, in any case; all if None.

    Raises:
        ClaverError: it is neither, has no such part, or no action in it.
    """
    found = _of_folder(path, subset) if path.is_dir() else _of_json(path, subset)
    if not found.instances:
        raise ClaverError(f"{path} annotates no action" + (f" in subset {subset!r}" if subset else ""))
    return found


def _of_json(path: Path, subset: str | None) -> Annotations:
    content = read_json(path, MOST_TEXT)
    database = content.get("database") if isinstance(content, dict) else None
    if not isinstance(database, dict):
        raise ClaverError(f"{path} is not in ActivityNet's layout, {_EXPECTED}")
    subsets = {name: _subset(path, name, entry) for name, entry in database.items()}
    if subset is not None and subset.casefold() not in {own.casefold() for own in subsets.values()}:
        raise ClaverError(f"{path} has no subset {subset!r}{hint(subset, sorted(set(subsets.values()) - {''}))}")
    chosen = [name for name, own in subsets.items() if subset is None or own.casefold() == subset.casefold()]
    instances = [_instance(path, name, one) for name in chosen for one in database[name].get("annotations", [])]
    return _sound(chosen, instances)


def _subset(path: Path, name: str, entry: Any) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("annotations", []), list):
        raise ClaverError(f"{path}, video {name!r}: not in ActivityNet's layout, {_EXPECTED}")
    return str(entry.get("subset", ""))


def _instance(path: Path, name: str, given: Any) -> Instance:
    """Times are numbers, or text as in some conversions of THUMOS'14."""
    try:
        start, stop = (float(time) for time in given["segment"])
        label = given["label"]
    except (KeyError, TypeError, ValueError):
        label, start, stop = None, math.nan, math.nan
    if not isinstance(label, str) or not math.isfinite(start + stop):
        raise ClaverError(f"{path}, video {name!r}: an annotation needs a label and a segment of two times in seconds")
    return Instance(name, label, start, stop)


def _of_folder(path: Path, subset: str | None) -> Annotations:
    """A file for each class; what THUMOS'14 calls ambiguous is left out."""
    files = {file: match for file in sorted(path.iterdir()) if (match := _THUMOS_FILE.fullmatch(file.name))}
    if not files:
        raise ClaverError(f"{path} holds no file of THUMOS'14, such as BaseballPitch_val.txt")
    part = {"validation": "val"}.get(subset.casefold(), subset.casefold()) if subset else None
    chosen = {file: match for file, match in files.items() if part in (None, match[2])}
    instances = [
        _line(file, number, line, match[1])
        for file, match in chosen.items()
        for number, line in enumerate(read_text(file).splitlines(), start=1)
        if line.strip()
    ]
    videos = list(dict.fromkeys(instance.video for instance in instances))
    return _sound(videos, [instance for instance in instances if instance.label != _AMBIGUOUS])


def _line(file: Path, number: int, line: str, label: str) -> Instance:
    try:
        video, start, stop = line.split()
        return Instance(video, label, float(start), float(stop))
    except ValueError:
        raise ClaverError(f"{file}, line {number}: not a video and two times in seconds, {line[:80]!r}") from None


def _sound(videos: list[str], instances: list[Instance]) -> Annotations:
    kept = tuple(instance for instance in instances if instance.start < instance.stop)
    return Annotations(tuple(videos), kept, len(instances) - len(kept))
