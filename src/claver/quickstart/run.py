"""The quickstart from beginning to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.console import Console

from claver.motion.stages import Stage, VerbResult, cache_clips, learn_stills, learn_verbs
from claver.motion.tasks import motion_recipes
from claver.quickstart.report import next_commands, print_results, print_words, write_actions, write_results
from claver.training.engine import training_progress
from claver.training.recipe import Recipe

KINDS = ("mean", "kmt", "kmct")


@dataclass(frozen=True)
class QuickstartReport:
    """What came out.

    Attributes:
        output: the folder with models, clips, picture and `results.json`.
        words: accuracy of the image–text model on held-out stills, for each state.
        results: for each temporal kind.
        seconds: all in all.
    """

    output: Path
    words: dict[str, float]
    results: dict[str, VerbResult]
    seconds: float


def run_quickstart(
    output: Path,
    *,
    seed: int = 0,
    changes: Sequence[str] = (),
    resume: bool = False,
    console: Console | None = None,
) -> QuickstartReport:
    """Learn words from stills, verbs from clips, compare three ways to pool frames, and recognise new video files.

    Args:
        output: a folder for everything; made if need be.
        seed: of weights, data and order.
        changes: to the recipes, as `stills.KEY=VALUE` or `motion.KEY=VALUE`.
        resume: go on with an interrupted quickstart of the same settings.
        console: where progress and results are shown; the terminal if None.

    Raises:
        ClaverError: a change that no recipe takes, or checkpoints that cannot be written.
    """
    from claver.quickstart.showcase import show_videos

    console, began = console or Console(), perf_counter()
    stills, motion = motion_recipes(seed, changes)
    with training_progress(console) as progress:
        stage = Stage(output, console, progress, resume)
        start, words = learn_stills(stills, stage)
        print_words(console, words)
        start.save_pretrained(output / "stills")
        clips = cache_clips(start, motion, progress)
        results = {kind: learn_verbs(_for_kind(motion, kind), start, clips, stage) for kind in KINDS}
    for kind, result in results.items():
        result.model.save_pretrained(output / kind)
    print_results(console, results)
    actions = write_actions(output)
    show_videos(results["kmct"].model, output, console, seed=seed)
    report = QuickstartReport(output, words, results, perf_counter() - began)
    write_results(report.output, words, results, report.seconds, seed)
    next_commands(console, output, actions, report.seconds)
    return report


def _for_kind(recipe: Recipe, kind: str) -> Recipe:
    return recipe.model_copy(update={"temporal": recipe.temporal.model_copy(update={"kind": kind})})
