"""A profile as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from claver.profile.counting import KINDS, PARTS, Kind, Part
from claver.profile.measure import Measured
from claver.profile.report import Profile

_PARTS: dict[Part, str] = {
    "image": "image tower",
    "temporal": "temporal tower",
    "readout": "read-out",
    "text": "text tower",
}
_KINDS: dict[Kind, str] = {
    "embeddings": "embeddings",
    "projections": "attention projections",
    "scores": "attention scores and values",
    "mlp": "MLP",
    "norms": "norms",
    "readout": "projection to joint space",
}


def show(console: Console, profile: Profile, *, name: str, views: int) -> None:
    """Print the table of parts, what is saved, and the paper's figure."""
    config = profile.config
    size, frames = config.image.size, config.temporal.frames
    what = f"{config.temporal.kind}, {frames} frames of {size}×{size} pixels"
    console.print(f"[bold]{escape(name)}[/], {what}", highlight=False)
    console.print(_parts(profile))
    console.print(
        f"Of one view; the text tower of {_texts(profile)}, encoded once for all clips. MACs are multiply-adds, half "
        "as many as FLOPs; ours as on a CPU.",
        highlight=False,
        style="dim",
    )
    _show_totals(console, profile, views)
    _show_savings(console, profile, views)
    _show_paper(console, profile)
    for operator, times in (profile.usual.uncounted | profile.ours.uncounted).items():
        console.print(f"[bold]Not counted[/]: {operator}, run {times} times, has no formula", highlight=False)


def _parts(profile: Profile) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for column in ("parameters", "usual MACs", "our MACs"):
        table.add_column(column, justify="right")
    counts = (profile.parameters, profile.usual, profile.ours)
    for part in PARTS:
        table.add_row(f"[bold]{_PARTS[part]}[/]", *(f"[bold]{_number(c.total(part))}[/]" for c in counts))
        for kind in KINDS:
            if any((part, kind) in c.of for c in counts):
                table.add_row(f"  {_KINDS[kind]}", *(_number(c.total(part, kind)) for c in counts))
    table.add_section()
    table.add_row("[bold]all[/]", *(f"[bold]{_number(c.total())}[/]" for c in counts))
    return table


def _show_totals(console: Console, profile: Profile, views: int) -> None:
    usual, ours = (rows[1].total() for rows in (profile.video[0], profile.video[-1]))
    clip = f"A clip in {views} views" if views > 1 else "A clip"
    console.print(
        f"{clip}: {_number(views * ours)} MACs; the reference implementation {_number(views * usual)}.", highlight=False
    )


def _show_savings(console: Console, profile: Profile, views: int) -> None:
    total = views * profile.video[0][1].total() + profile.text[0][1].total()
    for optimization, less in profile.saved(views):
        console.print(f"  saved by {optimization}: {_number(less)} ({less / total:.1%} of all)", highlight=False)


def _show_paper(console: Console, profile: Profile) -> None:
    usual = profile.video[0][1].total()
    counted = f"as the paper counts (MLPs and patch embedding, one text of full length): {_number(profile.paper)}"
    if profile.printed is not None:
        off = profile.paper / profile.printed / 1e9 - 1
        counted = f"The paper's Table 1 prints {profile.printed:g} G; {counted} ({off:+.1%})"
    else:
        counted = counted[0].upper() + counted[1:]
    console.print(f"{counted}. With attention one view is {_number(usual)}.", highlight=False)


def show_measured(console: Console, measured: Mapping[str, Measured], *, device: str, dtype: str) -> None:
    """Print time and memory of each way."""
    table = Table(box=None, padding=(0, 2, 0, 0), title=f"on {device}, {dtype}", title_justify="left")
    for column in ("", "median", "runs", "peak memory above model and input"):
        table.add_column(column, justify="left" if not column else "right")
    for name, result in measured.items():
        peak = "unknown" if result.peak_mib is None else f"{result.peak_mib:,.0f} MiB"
        table.add_row(name, _time(result.median), str(len(result.seconds)), peak)
    console.print(table)


def _texts(profile: Profile) -> str:
    count = "one text" if profile.texts == 1 else f"{profile.texts} texts"
    return f"{count} of {profile.text_tokens} tokens"


def _number(value: int) -> str:
    """With three or four digits and a unit, `200.4 G`; nothing for nothing."""
    if not value:
        return ""
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:,.{0 if value >= 1000 * scale else 1}f} {unit}"
    return f"{value}  "


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def measured_to_dict(measured: Mapping[str, Measured], *, device: str, dtype: str) -> dict[str, Any]:
    """Plain values, for JSON."""
    return {"device": device, "dtype": dtype, **{name: result.to_dict() for name, result in measured.items()}}
