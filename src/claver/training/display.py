"""How a run shows itself: how far, how fast, and how the loss stands."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def training_progress(console: Console | None = None) -> Progress:
    """A display of runs; silent without a console."""
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        SpeedColumn(""),
        TextColumn("[dim]{task.fields[note]}[/]"),
        console=console,
        disable=console is None,
    )


class SpeedColumn(TextColumn):
    """Steps a second."""

    def render(self, task: Any) -> Any:
        """The rate of a task, once known."""
        from rich.text import Text

        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="dim")
