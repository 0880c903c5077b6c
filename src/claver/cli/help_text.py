"""What `--help` says about each command."""

from __future__ import annotations

import inspect

import typer


def unwrap_help(app: typer.Typer) -> None:
    """Let the terminal alone break the lines of each command's help; typer keeps those of the source as well."""
    for command in app.registered_commands:
        if command.help is None and command.callback is not None:
            paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
            command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            unwrap_help(group.typer_instance)
