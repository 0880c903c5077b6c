"""`--quiet` and `--verbose`, for every command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from claver.errors import ClaverError
from claver.terminal import Loudness, set_loudness

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, and where in the program an error arose.")]


def add_loudness(app: typer.Typer) -> None:
    """Give each command of an app and of those below it both options."""
    for command in app.registered_commands:
        if command.callback is not None:
            command.callback = _with_loudness(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_loudness(group.typer_instance)


def _with_loudness(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def run(*, quiet: bool, verbose: bool, **options: Any) -> Any:
        if quiet and verbose:
            raise ClaverError("give either --quiet or --verbose, not both")
        set_loudness(Loudness.quiet if quiet else Loudness.verbose if verbose else Loudness.usual)
        return command(**options)

    signature = inspect.signature(command, eval_str=True)
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in (("quiet", Quiet), ("verbose", Verbose))
    ]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *own])  # type: ignore[attr-defined]
    return run
