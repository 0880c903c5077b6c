"""`claver study`: a table or figure of the paper, run again."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from claver.errors import ClaverError
from claver.studies import STUDIES
from claver.terminal import say, shown

if TYPE_CHECKING:
    from claver.studies.study import Options, Study

EPILOG = (
    """
[bold]Examples[/]

claver study temporal --quick\n
claver study temporal --workers 2\n
claver study shuffle --seeds 0,1,2,3,4 --output runs/studies/shuffle\n
claver study texts clip.mp4 texts.txt --model runs/quickstart/kmct\n
claver study search runs/quickstart\n
claver study real-weights --data ut_interaction_set1 --workers 2\n
claver study forgetting-real clips.csv clips/ --data ut_interaction_set1 --workers 2\n
claver study temporal --model openai/clip-vit-base-patch32 --data k400_train.csv --test k400_val.csv

[bold]Studies[/]

"""
    + "\n\n".join(f"{name}: {about}" for name, about in STUDIES.items())
    + "\n"
)


def study(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(STUDIES)}.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARGUMENTS…",
            help="Of texts: CLIP TEXTS.txt. Of search: the folder of the quickstart. Of forgetting-real: a list of "
            "clips of other actions, and the folder that its paths start from.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="A folder for table, figure, data; runs/studies/NAME if not given. Shared models go beside."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Minutes on two cores: shows that it works.")] = False,
    seeds: Annotated[str, typer.Option(help="Runs of everything; 0 with --quick if not given.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="Runs at once, each in a process of one thread.")] = 1,
    model: Annotated[
        str | None, typer.Option(help="What the study texts ranks by; with --data: weights to begin with.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A manifest of real clips: prints the training commands of the same study. Of one with splits the "
            "training clips are taken. For real-weights and forgetting-real: the folder of UT-Interaction, on which "
            "they run."
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(help="With --data: a manifest of clips to be measured on. Of one with splits test, or else val."),
    ] = None,
) -> None:
    """Rerun an analysis of the paper: a table and a figure beside the paper's own, their data, and the command.

    Runs on rendered motion, at any size of machine; real-weights and forgetting-real on real clips. Interrupted, the
    same command does what is missing.
    """
    from claver.studies import find_study
    from claver.studies.study import Options

    chosen = find_study(name)
    given = tuple(arguments or ())
    if len(given) != len(chosen.arguments):
        takes = " ".join(chosen.arguments) or "no further arguments"
        raise ClaverError(f"the study {name} takes {takes}, not {' '.join(given) or 'none'!r}")
    options = Options(quick, _seeds(seeds, quick), given, model, data, test)
    if chosen.takes_data and (model is not None or test is not None):
        raise ClaverError(f"the study {name} takes neither --model nor --test")
    if data is None and (test is not None or (model is not None and not chosen.arguments)):
        raise ClaverError("--model and --test go with --data, the clips to learn from; only texts takes --model alone")
    if data is not None and not chosen.takes_data:
        _print_commands(chosen, options)
    else:
        _run(chosen, options, output or Path("runs/studies") / name, workers)


def _run(chosen: Study, options: Options, output: Path, workers: int) -> None:
    from importlib.util import find_spec

    from claver.progress import Screen

    if missing := [name for name in ("accelerate", "matplotlib") if find_spec(name) is None]:
        raise ClaverError(f"studies need {' and '.join(missing)}; pip install 'claver[train,explain]'")
    from claver.studies.running import run_study

    command = shlex.join(["claver", *sys.argv[1:]])
    table = run_study(chosen, options, output, command=command, workers=workers, console=Screen())
    say(table.markdown())
    say(f"Table, figure and data: {shown(str(output))}")


def _print_commands(chosen: Study, options: Options) -> None:
    if chosen.commands is None:
        raise ClaverError(f"the study {chosen.name} has no recipe for real clips; leave out --data")
    if options.model is None or options.test is None:
        raise ClaverError(
            "--data goes with --model, the weights to begin with, and --test, the clips to be measured on"
        )
    _check_apart(options.data, options.test)
    for line in chosen.commands(options):
        say(line)


def _check_apart(data: Path | None, test: Path | None) -> None:
    """Raise `ClaverError` if one list without splits is to be learned from and measured on."""
    from claver.data.opening import open_clips

    if data is None or test is None or not data.exists() or not test.exists() or not data.samefile(test):
        return
    if not any(open_clips(data).manifest.splits):
        raise ClaverError(
            f"{data} has no splits, and results on clips that were learned from say nothing: give another --test, or "
            f"set some apart with `claver data split {data} --test 0.2 --output FILE.csv`"
        )


def _seeds(given: str, quick: bool) -> tuple[int, ...]:
    if not given:
        return (0,) if quick else (0, 1, 2)
    parts = given.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise ClaverError(f"seeds are whole numbers with commas between them, such as 0,1,2, not {given!r}")
    return tuple(dict.fromkeys(int(part) for part in parts))
