"""How much a study was run, for the titles of its table and figure."""

from __future__ import annotations

from collections.abc import Sequence

from claver.studies.bench import QUICK
from claver.studies.study import Record


def size_of(records: Sequence[Record]) -> str:
    """`3 seeds`, or `quick, one seed`; empty for runs without a seed."""
    seeds = {record.settings["seed"] for record in records if "seed" in record.settings}
    if not seeds:
        return ""
    quick = any(_is_quick(record) for record in records)
    return ("quick, " if quick else "") + ("one seed" if len(seeds) == 1 else f"{len(seeds)} seeds")


def _is_quick(record: Record) -> bool:
    return bool(record.settings.get("quick")) or record.settings.get("stills.steps") == QUICK["stills.steps"]


def spread_of(records: Sequence[Record]) -> str:
    """What the numbers are: `mean ± deviation over 3 seeds`, or, of single runs, `quick, one seed`."""
    size = size_of(records)
    quick, _, seeds = size.rpartition(", ")
    return size if seeds == "one seed" else f"{quick}{', ' * bool(quick)}mean ± deviation over {seeds}"
