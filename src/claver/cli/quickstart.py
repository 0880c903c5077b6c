"""`claver quickstart`: from nothing to an answer about a video file, offline, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from claver.errors import ClaverError
from claver.files import only_writer
from claver.terminal import complain

EPILOG = """
[bold]Examples[/]

claver quickstart\n
claver quickstart --output runs/second --seed 1\n
claver quickstart --set motion.steps=800 --set stills.steps=600
"""


def quickstart(
    output: Annotated[Path, typer.Option(help="A folder for models, clips, picture and results.")] = Path(
        "runs/quickstart"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Of weights, data and their order.")] = 0,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a recipe: stills.KEY=VALUE or motion.KEY=VALUE.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted quickstart.")] = False,
) -> None:
    """Learn verbs from nothing in minutes: train, compare mean pooling with KMTA and KMCTA, recognize new videos.

    Nothing is downloaded: pictures and clips are rendered.
    """
    _check_extras()
    from claver.progress import Screen
    from claver.quickstart import run_quickstart
    from claver.training.interruption import Interrupted

    output.parent.mkdir(parents=True, exist_ok=True)
    with only_writer(output):
        try:
            run_quickstart(output, seed=seed, changes=changes or [], resume=resume, console=Screen())
        except KeyboardInterrupt as told:
            complain("interrupted; the same command with --resume resumes at the last checkpoint")
            if isinstance(told, Interrupted):  # which heard the signal itself
                raise typer.Exit(128 + told.number) from None
            raise


def _check_extras() -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("accelerate", "matplotlib") if find_spec(name) is None]:
        raise ClaverError(f"the quickstart needs {' and '.join(missing)}; pip install 'claver[train,explain]'")
