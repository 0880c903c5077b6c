"""Formats of time lines, and their file suffixes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

from claver.errors import ClaverError
from claver.suggest import hint
from claver.timeline.track import Entry, Track
from claver.timeline.writing.cvat import cvat_text
from claver.timeline.writing.elan import elan_text
from claver.timeline.writing.label_studio import label_studio_text
from claver.timeline.writing.page import page
from claver.timeline.writing.text import csv_lines, json_text, jsonl_text, srt_text, vtt_text


class TimelineFormat(StrEnum):
    """A format of time lines."""

    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    vtt = "vtt"
    srt = "srt"
    eaf = "eaf"
    labelstudio = "labelstudio"
    cvat = "cvat"
    html = "html"

    @property
    def suffix(self) -> str:
        """What a file of it ends in."""
        return {"labelstudio": ".labelstudio.json", "cvat": ".xml"}.get(self.value, f".{self.value}")


_SUFFIXES = {".htm": TimelineFormat.html} | {form.suffix: form for form in TimelineFormat}
TOGETHER = frozenset([TimelineFormat.csv, TimelineFormat.json, TimelineFormat.jsonl, TimelineFormat.labelstudio])
"""Formats of which one file holds many videos; of the others there is a file for each."""


def timeline_format(form: TimelineFormat | str | None, path: Path | None) -> TimelineFormat:
    """The requested format, else the one that the suffix says.

    Raises:
        ClaverError: there is no such format, or the suffix says nothing.
    """
    names = [name.value for name in TimelineFormat]
    if form is not None:
        if form not in names:
            raise ClaverError(f"there is no format {form!r} of time lines{hint(str(form), names)}")
        return TimelineFormat(form)
    name = "" if path is None else path.name.lower()
    found = [suffix for suffix in _SUFFIXES if name.endswith(suffix)]
    if not found:
        raise ClaverError(f"the suffix of {path} names no format; give one of {', '.join(names)}")
    return _SUFFIXES[max(found, key=len)]


def text_of(
    entries: Sequence[Entry], form: TimelineFormat, *, csv_safe: bool = False, beside: Path | None = None
) -> str:
    """Time lines as the text of a file.

    Args:
        entries: those of one video, for formats that are not in `TOGETHER`.
        form: the format.
        csv_safe: as in `csv_text`.
        beside: the file that the text is written to, from which a page finds its video.

    Raises:
        ClaverError: several videos for a format that has one.
    """
    together: dict[TimelineFormat, Callable[[Sequence[Entry]], str]] = {
        TimelineFormat.csv: lambda rows: csv_lines(rows, safe=csv_safe),
        TimelineFormat.json: json_text,
        TimelineFormat.jsonl: jsonl_text,
        TimelineFormat.labelstudio: label_studio_text,
    }
    if form in together:
        return together[form](entries)
    tracks = [entry for entry in entries if isinstance(entry, Track)]
    if len(tracks) != 1:
        raise ClaverError(f"a file of format {form} holds one video, not {len(tracks)}")
    single: dict[TimelineFormat, Callable[[Track], str]] = {
        TimelineFormat.vtt: vtt_text,
        TimelineFormat.srt: srt_text,
        TimelineFormat.eaf: elan_text,
        TimelineFormat.cvat: cvat_text,
        TimelineFormat.html: lambda track: page(track, beside),
    }
    return single[form](tracks[0])
