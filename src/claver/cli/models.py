"""`claver models`: which models can be loaded, and what is published of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from claver.cli.formats import ReportFormat
from claver.csv_text import csv_text
from claver.json_text import to_json
from claver.terminal import put

if TYPE_CHECKING:
    from rich.padding import Padding
    from rich.table import Table

    from claver.catalogue import Family, ListedModel

EPILOG = """
[bold]Examples[/]

claver models\n
claver models large\n
claver models --family siglip2\n
claver models clip --format csv > models.csv
"""
_UNKNOWN = "–"
_LICENCE, _BESIDE = 12, 22
"""Columns that a licence needs at least, and everything else beside an id and a licence."""
_LEGEND = (
    "M: million parameters. px: sides of a frame. K400: published zero-shot top-1 accuracy on Kinetics-400, percent; "
    f"{_UNKNOWN} where none was found; not all are measured alike. Tested means here, with random weights: no real "
    "ones were run."
)


def models(
    part: Annotated[
        str, typer.Argument(metavar="NAME-PART", show_default=False, help="Only what has this in its name.")
    ] = "",
    family: Annotated[str | None, typer.Option(help="Only this family, such as siglip2.")] = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="How to write the list.")] = ReportFormat.table,
) -> None:
    """List the families of models that can be loaded, with what was tested of each and example checkpoints.

    Nothing is downloaded. Ids, but those of peers, are what --model and claver.load take, as others of these families.
    """
    from claver.catalogue import find_models, records, rows

    found = find_models(part, family)
    if form is ReportFormat.json:
        put(to_json(records(found), indent=2, allow_nan=False))
    elif form is ReportFormat.csv:
        put(csv_text(rows(found)))
    else:
        _show(found)


def _show(families: Sequence[Family]) -> None:
    from claver.progress import Screen

    screen = Screen(highlight=False)
    sources = _sources(families)
    longest = max((len(model.id) for family in families for model in family.models), default=0)
    width = min(longest, max(14, screen.width - _LICENCE - _BESIDE))
    for family in families:
        screen.print(f"[bold]{family.name}[/] ({family.kind})", soft_wrap=True)
        screen.print(_lines([family.about, f"tested: {family.tested}", family.load]))
        if family.models:
            screen.print(_table(family.models, sources, width, screen.width - width - _BESIDE))
        if notes := [f"{model.id.partition('/')[2]}: {model.note}" for model in family.models if model.note]:
            screen.print(_lines(notes, indent=4))
        screen.print()
    told = [f"[{number}] {source}, {_of_frames(frames)}" for (source, frames), number in sources.items()]
    screen.print(_lines([*told, _LEGEND]))


def _lines(lines: Sequence[str], indent: int = 2) -> Padding:
    from rich.padding import Padding
    from rich.text import Text

    return Padding(Text("\n".join(lines), style="dim"), (0, 0, 0, indent), expand=False)


def _sources(families: Sequence[Family]) -> dict[tuple[str, int | None], int]:
    """Each source, with its number of frames, and its number below the list."""
    told = [model for family in families for model in family.models if model.source]
    each = dict.fromkeys((model.source or "", model.frames) for model in told)
    return {source: number for number, source in enumerate(each, start=1)}


def _of_frames(frames: int | None) -> str:
    return "frames not said" if frames is None else f"{frames} frame{'s' * (frames > 1)} of a clip"


def _table(listed: Sequence[ListedModel], sources: dict[tuple[str, int | None], int], width: int, left: int) -> Table:
    """Nothing is cut; where the terminal is narrow, long licences and ids go on in a second line."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("  model", min_width=width + 2, max_width=width + 2, overflow="fold")
    table.add_column("licence", min_width=_LICENCE, max_width=max(_LICENCE, left), overflow="fold")
    for name, needed in (("M", 4), ("px", 3), ("K400", 8)):
        table.add_column(name, justify="right", min_width=needed, no_wrap=True)
    for model in listed:
        size = _UNKNOWN if model.parameters is None else f"{model.parameters:.0f}"
        pixels = _UNKNOWN if model.pixels is None else str(model.pixels)
        table.add_row(f"  {model.id}", _licence(model), size, pixels, _accuracy(model, sources))
    return table


def _licence(model: ListedModel) -> str:
    """SPDX writes a licence that it does not list with a prefix and without blanks."""
    name = model.licence or _UNKNOWN
    own = name.removeprefix("LicenseRef-")
    return name if own == name else own.replace("-", " ", 1)


def _accuracy(model: ListedModel, sources: dict[tuple[str, int | None], int]) -> str:
    if model.top1 is None:
        return _UNKNOWN
    return f"{model.top1:.1f} \\[{sources[model.source or '', model.frames]}]"
