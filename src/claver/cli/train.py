"""`claver train`: a recipe from beginning to end, in any number of processes, from wherever it was interrupted."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from claver.errors import ClaverError
from claver.terminal import complain

if TYPE_CHECKING:
    from claver.training import Recipe, Trainer

EPILOG = """
[bold]Examples[/]

claver train motion init_from=runs/quickstart/stills temporal.kind=kmct --output runs/verbs\n
claver train own_clips --dry-run\n
claver train my_recipe.yaml init_from=openai/clip-vit-base-patch16 lr=1e-5 ema=0.999\n
torchrun --nproc-per-node 8 -m claver train my_recipe.yaml --output runs/mine
"""


class Resume(StrEnum):
    """What to do with a run that is already in the output folder."""

    auto = "auto"
    never = "never"


def train(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or the name of a recipe that comes with claver.")],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE…", help="Changes, such as temporal.kind=kmct.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A folder for checkpoints and logs; runs/RECIPE if not given.")
    ] = None,
    resume: Annotated[
        Resume,
        typer.Option(
            help="auto resumes the run in the output folder, if any; never starts a new one, and moves the earlier "
            "results aside."
        ),
    ] = Resume.auto,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained, on what and how long, and do nothing.")
    ] = False,
) -> None:
    """Train a model by a recipe. Ctrl-C and SIGTERM save a checkpoint, from which the same command resumes.

    Checkpoints are model folders: `last`, saved every few minutes, and `best` by the first metric of the evaluations.
    """
    from importlib.util import find_spec

    from claver.training.recipe import load_recipe

    chosen = load_recipe(recipe, changes or [])
    if find_spec("accelerate") is None:
        raise ClaverError("training needs accelerate; pip install 'claver[train]'")
    folder = output or Path("runs") / Path(recipe).stem
    if dry_run:
        _show_plan(chosen, folder, resume is Resume.auto)
        return
    from claver.distributed import leave
    from claver.training.interruption import Interrupted, Stop

    stop = Stop()
    try:
        with stop.watched(), stop.at_once():
            _run(chosen, folder, resume is Resume.auto)
    except Interrupted as told:
        complain(f"interrupted; {_resumes(folder, told.step, resume)}")
        raise typer.Exit(128 + told.number) from None
    except KeyboardInterrupt:
        complain(f"interrupted; {_resumes(folder, None, resume)}")
        raise typer.Exit(130) from None
    finally:
        leave()


def _show_plan(recipe: Recipe, folder: Path, resume: bool) -> None:
    from claver.progress import Screen
    from claver.training.plan import plan

    console, (lines, table) = Screen(), plan(recipe, folder, resume=resume)
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    console.print(table)


def _resumes(folder: Path, step: int | None, resume: Resume) -> str:
    """Where the same command resumes; without the step of a checkpoint just saved, where the last one says."""
    from claver.training.checkpoint import find_checkpoint, step_of

    if step is None and (found := find_checkpoint(folder)) is not None:
        step = step_of(found)
    if step is None:
        return "no step was saved yet, so the same command starts at the first"
    command = "the same command" + (" without --resume never" if resume is Resume.never else "")
    return f"{folder / 'last'} has step {step}, and {command} resumes there"


def _run(recipe: Recipe, folder: Path, resume: bool) -> None:
    from claver.distributed import join, rank_and_size
    from claver.progress import Screen
    from claver.training import Trainer
    from claver.training.build import build
    from claver.training.checkpoint import prepare_folder
    from claver.training.display import training_progress
    from claver.training.run_folder import held

    device = join()
    console = Screen() if rank_and_size()[0] == 0 else None
    with ExitStack() as stack:
        if console is not None:
            prepare_folder(folder)
            stack.enter_context(held(folder))
        progress = stack.enter_context(training_progress(console))
        model, task = build(recipe, progress, device)
        trainer = Trainer(recipe, model, task, folder, folder.name, console, progress)
        trainer.run(resume=resume)
    if console is not None:
        console.print(_summary(trainer, folder), highlight=False, soft_wrap=True)


def _summary(trainer: Trainer, folder: Path) -> str:
    lines = [f"last: {folder / 'last'}"]
    scored = {step: metrics for step, metrics in trainer.figures.items() if metrics}
    if scored:
        best = max(scored, key=lambda step: next(iter(scored[step].values())))
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in scored[best].items())
        lines.append(f"best: {folder / 'best'} (step {best}: {metrics})")
    return "\n".join(lines)
