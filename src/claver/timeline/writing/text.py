"""Time lines as tables, JSON and subtitles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from claver.csv_text import csv_text
from claver.json_text import to_json
from claver.terminal import shown
from claver.timeline.segments import Segment
from claver.timeline.track import Entry, Track

_COLUMNS = ("path", "start", "stop", "action", "score", "error", "damaged")


def csv_lines(entries: Sequence[Entry], *, safe: bool = False) -> str:
    """A row for each segment, and one for each video without any; `safe` as in `csv_text`."""
    rows: list[Sequence[object]] = [_COLUMNS]
    for entry in entries:
        if not isinstance(entry, Track):
            rows.append([entry["path"], "", "", "", "", entry.get("error") or entry.get("skipped"), ""])
            continue
        rows += [
            [entry.source, f"{one.start:.3f}", f"{one.stop:.3f}", one.action, f"{one.score:.6f}", "", entry.damaged]
            for one in entry.segments
        ]
        if not entry.segments:
            rows.append([entry.source, "", "", "", "", "", entry.damaged])
    return csv_text(rows, safe=safe)


def json_text(entries: Sequence[Entry]) -> str:
    """A list of all videos, with segments and curves."""
    return to_json([_plain(entry) for entry in entries], indent=1, allow_nan=False)


def jsonl_text(entries: Sequence[Entry]) -> str:
    """A line for each video, with segments and curves."""
    return "".join(to_json(_plain(entry), allow_nan=False) for entry in entries)


def _plain(entry: Entry) -> dict[str, Any]:
    return entry.to_dict() if isinstance(entry, Track) else entry


def vtt_text(track: Track) -> str:
    """WebVTT; several actions at once are cues that overlap."""
    cues = [f"{start} --> {stop}\n{escape(name, quote=False)}\n" for start, stop, name in _cues(track, ".")]
    return "\n".join(["WEBVTT\n", *cues])


def srt_text(track: Track) -> str:
    """SubRip."""
    cues = enumerate(_cues(track, ","), start=1)
    return "\n".join(f"{number}\n{start} --> {stop}\n{name}\n" for number, (start, stop, name) in cues)


def _cues(track: Track, point: str) -> Iterator[tuple[str, str, str]]:
    for segment in track.segments:
        start, stop = milliseconds(segment)
        # An arrow within the text would be taken for times.
        yield clock(start, point), clock(stop, point), shown(segment.action).replace("-->", "→")


def milliseconds(segment: Segment) -> tuple[int, int]:
    """When it starts and stops, in whole milliseconds, at least one apart."""
    start = round(segment.start * 1000)
    return start, max(round(segment.stop * 1000), start + 1)


def clock(milliseconds: int, point: str = ".") -> str:
    """As hh:mm:ss.mmm."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"
