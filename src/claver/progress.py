"""Rich's console and progress bars, safe for untrusted names."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from claver.terminal import Loudness, loudness, shown_text


class Screen(Console):
    """A console that makes all text harmless, and takes no word between colons for a picture."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(emoji=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """Before tables measure it, so that columns are as wide as what is shown."""
        return super().render_str(shown_text(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever came another way."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else shown_text(text), style, control)


def waiting(title: str) -> AbstractContextManager[object]:
    """A line on stderr as long as something takes that has no measure; where bars are hidden, nothing."""
    console = Screen(stderr=True)
    return console.status(title) if console.is_terminal and loudness() is not Loudness.quiet else nullcontext()


def bar(title: str, *more: ProgressColumn, hidden: bool = False, counted: bool = True, **settings: Any) -> Progress:
    """A bar on stderr that disappears when all is done; nothing at all where that is no terminal, or with `--quiet`.

    What is done of all is shown as two counts, unless `counted` says that these are none.
    """
    counts = (MofNCompleteColumn(),) if counted else ()
    columns = (TextColumn(title), BarColumn(), *counts, *more, TimeRemainingColumn())
    console = Screen(stderr=True)
    off = hidden or not console.is_terminal or loudness() is Loudness.quiet
    return Progress(*columns, console=console, transient=True, disable=off, **settings)
