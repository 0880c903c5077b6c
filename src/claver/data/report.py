"""Reports of a check or an index: counts for people, whole lists for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from claver.csv_text import csv_text
from claver.data.layouts.registry import Indexed
from claver.data.manifest import Manifest
from claver.terminal import shown

Record = dict[str, Any]
BAD = ("missing", "broken", "damaged", "timeout", "short")
TOLD = (*BAD, "irregular")  # which is told of clips that can be used
SHOWN = 10  # of a long list, on a screen
_COLUMNS = ("path", "status", "frames", "listed", "seconds", "height", "width", "codec", "cause")


def check_report(records: Sequence[Record], duplicates: Sequence[str], form: str, *, csv_safe: bool = False) -> str:
    """A check as `table`, `json` (with the duplicates) or `csv`: counts, and each file of which there is to tell."""
    told = [record for record in records if record["status"] in TOLD]
    counts = Counter(record["status"] for record in records)
    if form == "json":
        tally = {"clips": len(records)} | {status: counts[status] for status in ("ok", *TOLD)}
        return json.dumps(tally | {"duplicates": list(duplicates), "files": told}, indent=2) + "\n"
    if form == "csv":
        return csv_text([_COLUMNS, *([record.get(name) for name in _COLUMNS] for record in told)], safe=csv_safe)
    tallies = ", ".join(f"{counts[status]} {status}" for status in TOLD if counts[status])
    lines = [f"{len(records)} clips: {counts['ok']} sound{', ' + tallies if tallies else ''}"]
    lines += [f"  {record['status']:9} {shown(record['cause'])}" for record in told]
    return "\n".join(lines) + "\n"


def find_duplicates(manifest: Manifest, records: Sequence[Record]) -> list[str]:
    """One sentence for each file whose very bytes are in two splits, under whatever name."""
    digest = {record["path"]: record.get("sha256") for record in records}
    first: dict[str, int] = {}
    found = []
    for row, sample in enumerate(manifest.samples):
        if not (content := digest.get(manifest.path(row))):
            continue
        earlier = manifest.samples[first.setdefault(content, row)]
        if earlier.split != sample.split and earlier.path != sample.path:
            found.append(
                f"{sample.path} ({sample.split or 'no split'}) is the same video as {earlier.path} "
                f"({earlier.split or 'no split'}): results on it say nothing; remove one of them"
            )
    return found


def index_report(indexed: Indexed) -> str:
    """What an index found, for people: layout, counts, and the beginnings of the lists of what is amiss."""
    manifest = indexed.manifest
    named = f", {manifest.dataset}" if manifest.dataset else ""
    lines = [f"layout {indexed.detected.layout} ({indexed.detected.saw}){named}"]
    splits = Counter(sample.split for sample in manifest.samples)
    parts = ", ".join(f"{count} {split}" for split, count in splits.items() if split)
    lines += [f"found {len(manifest)} clips of {len(manifest.classes)} classes{f': {parts}' if parts else ''}"]
    lines += _head("listed, but without a file", indexed.missing)
    lines += _head("video files that no list names", indexed.unlisted)
    lines += _head("classes without a clip", manifest.empty_classes())
    return "\n".join([*lines, *indexed.notes]) + "\n"


def index_json(indexed: Indexed) -> str:
    """What an index found, whole, as JSON."""
    manifest = indexed.manifest
    said = {"layout": indexed.detected.layout, "saw": indexed.detected.saw, "dataset": manifest.dataset}
    lists = {"missing": indexed.missing, "unlisted": indexed.unlisted, "empty_classes": manifest.empty_classes()}
    rest = {"found": len(manifest), "notes": indexed.notes, "warnings": manifest.warnings}
    return json.dumps(said | lists | rest, indent=2) + "\n"


def _head(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = [f"    … and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return [f"{len(names)} {title}:", *(f"    {shown(name)}" for name in names[:SHOWN]), *more]
