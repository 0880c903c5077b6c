"""`claver quickstart`: from nothing to an answer about a video file, offline, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from claver.errors import ClaverError
from claver.files import only_writer
from claver.terminal import complain, say, tell

EPILOG = """
[bold]Examples[/]

claver quickstart\n
claver quickstart --output runs/second --seed 1\n
claver quickstart --set motion.steps=800 --set stills.steps=600\n
claver quickstart --real holiday.mp4\n
claver quickstart --real clips/ --actions "playing guitar, arm wrestling, making a cake"
"""
_OUTPUT, _TOP = Path("runs/quickstart"), 5


def quickstart(
    videos: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE|FOLDER|GLOB…", show_default=False, help="With --real: your own videos."),
    ] = None,
    real: Annotated[
        bool,
        typer.Option(
            "--real",
            help="Train nothing, and name the actions in your own videos at once by real weights that packages carry "
            "(extra real-weights): EfficientNet-Lite0 and MiniLM. Weak: they know nouns of ImageNet alone.",
        ),
    ] = False,
    actions: Annotated[
        str | None,
        typer.Option(
            help="With --real: words separated by commas, a file, or a benchmark, as of `claver recognize`; "
            "kinetics400 if not given.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="With --real: answers per video.")] = _TOP,
    output: Annotated[Path, typer.Option(help="A folder for models, clips, picture and results.")] = _OUTPUT,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, data and their order.")] = 0,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a recipe: stills.KEY=VALUE or motion.KEY=VALUE.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted quickstart.")] = False,
) -> None:
    """Learn verbs from nothing in minutes: train, compare mean pooling with KMTA and KMCTA, recognize new videos.

    Nothing is downloaded: pictures and clips are rendered. With --real nothing is trained either: see there.
    """
    if real:
        if output != _OUTPUT or seed or changes or resume:
            raise ClaverError("--real trains nothing: --output, --seed, --set and --resume do not go with it")
        _name_real(videos or [], actions, top)
        return
    if videos or actions is not None or top != _TOP:
        raise ClaverError("videos, --actions and --top go with --real: claver quickstart --real VIDEO…")
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


def _name_real(videos: list[str], actions: str | None, top: int) -> None:
    """Answers for the user's own videos; exit code 1 if one has none."""
    from claver.cli.formats import Format, damage_line, render
    from claver.cli.inputs import find_videos, given_actions
    from claver.cli.model import progress_shown
    from claver.quickstart.real_weights import CAVEAT, real_recognizer, require_packages

    if not videos:
        raise ClaverError("--real needs a video: claver quickstart --real FILE, a folder or a pattern")
    require_packages()
    paths = find_videos(videos)
    named: Any = "kinetics400" if actions is None else given_actions(actions)
    with progress_shown("encoding names") as shown:
        recognizer = real_recognizer(list(named) if isinstance(named, tuple) else named, progress=shown)
    answered = 0
    for answer in recognizer.stream(paths):
        record = answer.to_dict(top)
        if "top" in record:
            answered += 1
            say(render([record], Format.table), end="")
            if record.get("damaged"):
                complain(damage_line(record))
        else:
            complain(str(record["error"]))
    if answered:
        tell(CAVEAT)
    if answered < len(paths):
        raise typer.Exit(1)


def _check_extras() -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("accelerate", "matplotlib") if find_spec(name) is None]:
        raise ClaverError(f"the quickstart needs {' and '.join(missing)}; pip install 'claver[train,explain]'")
