"""`claver`: the command line. Commands import what they need when they run, so that `--help` is quick."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from claver.cli.quickstart import quickstart
from claver.cli.recognize import recognize
from claver.errors import ClaverError

app = typer.Typer(
    name="claver",
    help="Name the actions in a video, in your own words or a benchmark's.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(recognize)
app.command()(quickstart)


def main() -> None:
    """Run the command line; bad input ends in one sentence and exit code 1."""
    try:
        app()
    except ClaverError as error:
        Console(stderr=True).print(f"[bold red]claver:[/] {error}", soft_wrap=True, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
